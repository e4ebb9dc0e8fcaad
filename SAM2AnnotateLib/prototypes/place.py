"""Where on a volume an object may be: the part of the slices, and the slices. Imports propagation, geometry and the files beside it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from ..geometry import Box2D
from ..progress import CancelToken, Progress
from ..propagation import SliceEncoder
from .likeness import Likeness, cells
from .views import crop_at

# A slice not much larger than the object's surroundings is shown whole.
_SHOWN_WHOLE = 1.3
# Neighboring squares overlap by this share, so that the object lies whole in one of them.
_OVERLAP = 0.5
# A stack of at most so many times the object's thickness is looked at whole.
_ALL_LOOKED_AT = 3.0
# How far the square is moved to find the place in which it resembles the prototypes most, in shares of its side.
_SHIFTS = (0.12, 0.06, 0.03)
# At most so many squares are looked at in all; slices are left out before that.
_MOST_SQUARES = 240


def squares(side_mm: float, frame_shape_rc: tuple[int, int], spacing_rc_mm: tuple[float, float]) -> list[Box2D]:
    """Squares of one side in mm that together cover a slice; one if the slice is not much larger than that."""
    starts = []
    for size, spacing in zip(frame_shape_rc, spacing_rc_mm, strict=True):
        length = size * spacing
        count = 1 if length <= _SHOWN_WHOLE * side_mm else 1 + int(np.ceil((length - side_mm) / ((1 - _OVERLAP) * side_mm)))
        first, last = side_mm / 2, length - side_mm / 2
        middles = [length / 2] if count == 1 else np.linspace(first, last, count).tolist()
        starts.append([middle / spacing for middle in middles])
    return [crop_at((row, col), side_mm, frame_shape_rc, spacing_rc_mm) for row, col in product(*starts)]


@dataclass(frozen=True)
class FoundPlace:
    """The place that is most alike.

    Args:
        crop: the square around it.
        position: of the slice where it is most alike.
    """

    crop: Box2D
    position: int


def find_place(
    encoder: SliceEncoder,
    likeness: Likeness,
    side_mm: float,
    object_share: float,
    thickness_slices: float,
    cancel: CancelToken | None,
) -> Generator[Progress, None, FoundPlace]:
    """Look for the object on squares that cover the slices, and settle the square that it lies in the middle of.

    Args:
        encoder: the volume and the model.
        likeness: what is looked for.
        side_mm: side of the squares.
        object_share: share of a square that the object covers where it is largest.
        thickness_slices: of the object, in slices of this volume.
        cancel: asked before each square.
    """
    stack = encoder.stack
    spacing, shape = stack.frame_spacing_rc_mm, stack.frame_shape_rc
    around = squares(side_mm, shape, spacing)
    if len(around) == 1 and encoder.slice_count <= _ALL_LOOKED_AT * thickness_slices:
        return FoundPlace(around[0], encoder.slice_count // 2)
    step = max(1, round(thickness_slices / 8), -(-encoder.slice_count * len(around) // _MOST_SQUARES))
    positions = list(range(step // 2, encoder.slice_count, step))
    best: list[tuple[float, int, tuple[float, float]]] = []
    for number, (position, square) in enumerate(product(positions, around), start=1):
        if cancel is not None:
            cancel.raise_if_cancelled()
        here = likeness.here(cells(encoder.embedding(position, square)))
        score, center = _strongest(here, square, object_share)
        best.append((score, position, center))
        yield Progress(number, len(positions) * len(around), "places looked at")
    _, position, center = max(best, key=lambda one: one[0])
    if len(around) == 1:
        return FoundPlace(around[0], position)
    best_crop = crop_at(center, side_mm, shape, spacing)
    for share in _SHIFTS:  # the object in the middle, as the prototypes have it
        moves = [(row * share * side_mm / spacing[0], col * share * side_mm / spacing[1]) for row, col in product((-1, 0, 1), repeat=2)]
        crops = {
            crop_at((center[0] + row, center[1] + col), side_mm, shape, spacing): (center[0] + row, center[1] + col) for row, col in moves
        }
        scores = {}
        for number, crop in enumerate(crops, start=1):
            if cancel is not None:
                cancel.raise_if_cancelled()
            scores[crop] = float(likeness.with_each(cells(encoder.embedding(position, crop))).max())
            yield Progress(number, len(crops), "places compared")
        best_crop = max(scores, key=lambda crop: scores[crop])
        center = crops[best_crop]
    return FoundPlace(best_crop, position)


def _strongest(here: np.ndarray, square: Box2D, share: float) -> tuple[float, tuple[float, float]]:
    """Mean score of the most alike cells, as many as the object covers, and the (row, column) of their middle on the slice."""
    count = max(1, round(share * here.size))
    chosen = np.argsort(here, axis=None)[-count:]
    rows, cols = np.unravel_index(chosen, here.shape)
    weights = np.clip(here.ravel()[chosen], 1e-3, None)
    middle = [float((weights * (at + 0.5)).sum() / weights.sum()) for at in (rows, cols)]
    row = square.row_start + middle[0] * square.shape_rc[0] / here.shape[0]
    col = square.col_start + middle[1] * square.shape_rc[1] / here.shape[1]
    return float(here.ravel()[chosen].mean()), (row, col)


def likely_extent(
    present: np.ndarray, places: np.ndarray, absent: np.ndarray, thickness_slices: tuple[float, float]
) -> tuple[float, float]:
    """First and last slice, also beyond the volume, between which the slices look as the object's extent does from end to end.

    Both lie beyond the same end if no slice looks like a part of it.

    Args:
        present: (slices, places) likeness of each slice with the object's at each place of its extent.
        places: (places,) rising, 0..1.
        absent: (slices,) likeness with slices beyond the object's ends.
        thickness_slices: least and greatest thickness of the object, in slices of this volume.
    """
    count = len(present)
    positions = np.arange(count)
    total_absent = float(absent.sum())
    best = (total_absent, (float(count), float(count) + max(1.0, thickness_slices[0])))
    least, most = max(1.0, thickness_slices[0]), max(1.0, thickness_slices[1])
    for thickness in np.unique(np.rint(np.linspace(least, most, 9))):
        for first in range(1 - int(thickness), count):
            at = (positions - first) / max(1.0, thickness - 1)
            inside = (at >= 0) & (at <= 1)
            if not inside.any():
                continue
            index = at[inside] * (len(places) - 1)
            low = np.minimum(index.astype(int), len(places) - 2)
            rows = np.flatnonzero(inside)
            found = present[rows, low] * (1 - (index - low)) + present[rows, low + 1] * (index - low)
            score = float(found.sum() + total_absent - absent[inside].sum())
            if score > best[0]:
                best = (score, (float(first), float(first + thickness - 1)))
    return best[1]


def resemblance(alike: np.ndarray, along: np.ndarray) -> float:
    """0..1, mean over the slices of the likely extent of the cosine with the prototypes' slice that each is most like.

    Args:
        alike: (slices, supports) cosines.
        along: (slices,) where each lies in the extent, 0..1 inside.
    """
    inside = (along >= 0) & (along <= 1)
    return float(np.clip(alike[inside].max(axis=1).mean(), 0.0, 1.0)) if inside.any() else 0.0


def by_place(
    likeness: np.ndarray, places: Sequence[float | None], prototypes: Sequence[int], count: int = 11
) -> tuple[np.ndarray, np.ndarray]:
    """Likeness with each slice of the prototypes, gathered by place of the object's extent and beyond it.

    Args:
        likeness: (slices, supports) of a volume's slices with the prototypes'.
        places: of the supports; None beyond the extent.
        prototypes: number of the prototype that each support is of.
        count: places to gather by.

    Returns:
        (slices, count) at places 0..1, and (slices,) beyond the extent; each the mean over the prototypes of their most alike slice nearby.
    """
    numbers = np.array(prototypes)
    at = np.array([np.nan if place is None else place for place in places])
    present = []
    for place in np.linspace(0, 1, count):
        ways = []
        for number in np.unique(numbers):
            mine = np.flatnonzero((numbers == number) & ~np.isnan(at))
            if len(mine):
                near = mine[np.abs(at[mine] - place) <= max(0.75 / (count - 1), float(np.abs(at[mine] - place).min()) + 1e-6)]
                ways.append(likeness[:, near].max(axis=1))
        present.append(np.mean(ways, axis=0))
    beyond = [
        likeness[:, (numbers == number) & np.isnan(at)].max(axis=1)
        for number in np.unique(numbers)
        if (np.isnan(at) & (numbers == number)).any()
    ]
    inside = np.stack(present, axis=1)
    return inside, np.mean(beyond, axis=0) if beyond else np.full(len(likeness), float(np.median(inside.max(axis=1))) - 0.1)
