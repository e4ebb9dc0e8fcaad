"""What can be seen of a computed slice without the truth: scores, distance, jumps. Imports review.session, propagation.results, geometry
and numpy.

A slice is *known* if it carries a prompt or is locked. Sizes are those of the nearest known mask, so that signals mean the same for a
cord and a liver. Lengths are in mm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..geometry import SliceStack
from ..propagation.results import SliceResult
from .session import ReviewSession


@dataclass(frozen=True)
class MaskShape:
    """What is measured of a mask once, because it is compared with several others.

    Args:
        area: number of pixels.
        centroid_rc: (row, column) of the center of mass; None for an empty mask.
    """

    area: int
    centroid_rc: tuple[float, float] | None

    @classmethod
    def of(cls, mask: np.ndarray) -> MaskShape:
        """Measure a (rows, cols) bool mask."""
        by_row, by_col = mask.sum(axis=1), mask.sum(axis=0)
        area = int(by_row.sum())
        if area == 0:
            return cls(0, None)
        return cls(area, (float(by_row @ np.arange(by_row.size)) / area, float(by_col @ np.arange(by_col.size)) / area))


class ShapeMemory:
    """Measures each mask, and each pair of neighbors, once as long as slices keep them; for a queue that is asked for after every slice."""

    def __init__(self) -> None:
        self._shapes: dict[int, tuple[np.ndarray, MaskShape]] = {}
        self._overlaps: dict[tuple[int, int], tuple[np.ndarray, np.ndarray, float]] = {}

    def shape(self, position: int, mask: np.ndarray) -> MaskShape:
        """The shape of the mask that a slice has now."""
        known = self._shapes.get(position)
        if known is None or known[0] is not mask:
            known = (mask, MaskShape.of(mask))
            self._shapes[position] = known
        return known[1]

    def overlap(self, position: int, mask: np.ndarray, other: int, beside: np.ndarray) -> float:
        """DSC of the masks of two slices, laid over each other; 1 if both are empty."""
        known = self._overlaps.get((position, other))
        if known is None or known[0] is not mask or known[1] is not beside:
            total = self.shape(position, mask).area + self.shape(other, beside).area
            known = (mask, beside, 1.0 if total == 0 else 2.0 * int(np.count_nonzero(mask & beside)) / total)
            self._overlaps[position, other] = known
        return known[2]


@dataclass(frozen=True)
class SliceSignals:
    """What is seen of one slice.

    Args:
        predicted_iou: the model's estimate of its mask, 0..1.
        object_score: the model's probability that the object is here, 0..1.
        worst_iou: the least estimate between here and the nearest known slice, this one among them: what follows from a poor mask is poor.
        distance_mm: to the nearest known slice; 0 on it.
        distance: the same in sizes of the object there (square root of the area).
        way: beyond the outermost known slice, the share of the way to the object's end: 0 at the known slice, 1 on the last one. 0 between
            known slices, and where the volume ends before the object does, so that it does not taper off.
        stretch: length of that way, or of the gap between the two known slices, in sizes of the object.
        between: whether there is a known slice on either side.
        overlap: DSC with the mask of the next slice towards the nearest known one.
        area_change: logarithm of the area's ratio to that of the nearest known slice, -3..3.
        disagreement: 1 - DSC of what the runs from two sides say; 0 where only one came by.
    """

    predicted_iou: float
    object_score: float
    worst_iou: float
    distance_mm: float = 0.0
    distance: float = 0.0
    way: float = 0.0
    stretch: float = 0.0
    between: bool = False
    overlap: float = 1.0
    area_change: float = 0.0
    disagreement: float = 0.0


def session_signals(session: ReviewSession, stack: SliceStack, memory: ShapeMemory | None = None) -> dict[int, SliceSignals]:
    """The signals of every slice that was computed and is not locked, by position.

    Args:
        session: the review.
        stack: that it was made on.
        memory: keeps what was measured for the next call; of one session only.
    """
    memory = memory or ShapeMemory()
    results = session.results
    found = {position: signals_at(session, stack, position, memory, results) for position in session.extent.indices}
    return {position: seen for position, seen in found.items() if seen is not None}


def signals_at(
    session: ReviewSession, stack: SliceStack, position: int, memory: ShapeMemory, results: Mapping[int, SliceResult] | None = None
) -> SliceSignals | None:
    """The signals of one slice; None if it is locked, or nothing was computed for it.

    Args:
        session, stack, memory: as of `session_signals`.
        position: of the slice.
        results: the session's, if they are at hand.
    """
    results = session.results if results is None else results
    result, known = results.get(position), sorted({*session.prompts, *session.locked})
    if result is None or position in session.locked:
        return None
    below, above = ([p for p in known if p <= position], [p for p in known if p >= position])
    nearest = min((*below[-1:], *above[:1]), key=lambda other: abs(other - position))
    mask, there = session.mask(position), session.mask(nearest)
    if nearest == position or mask is None or there is None:
        return SliceSignals(result.predicted_iou, result.object_score, result.predicted_iou)
    spacing_mm, pixel_mm2 = stack.spacing_src_mm[0], float(np.prod(stack.frame_spacing_rc_mm))
    area_there = memory.shape(nearest, there).area
    size_mm = float(np.sqrt(max(1, area_there) * pixel_mm2))
    distance_mm, step = abs(position - nearest) * spacing_mm, 1 if position > nearest else -1
    on_the_way = [results[other].predicted_iou for other in range(position, nearest, -step) if other in results]
    between = bool(below and above)
    end = session.extent.last if step > 0 else session.extent.first
    slices = above[0] - below[-1] if between else abs(end - nearest)
    tapers = not between and 0 < end < stack.shape_src[0] - 1
    toward = session.mask(position - step)
    ratio = (memory.shape(position, mask).area + 1) / (area_there + 1)
    return SliceSignals(
        result.predicted_iou,
        result.object_score,
        min(on_the_way),
        distance_mm=distance_mm,
        distance=distance_mm / size_mm,
        way=abs(position - nearest) / slices if tapers else 0.0,
        stretch=slices * spacing_mm / size_mm,
        between=between,
        overlap=1.0 if toward is None else memory.overlap(position, mask, position - step, toward),
        area_change=float(np.clip(np.log(ratio), -3, 3)),
        disagreement=result.disagreement or 0.0,
    )
