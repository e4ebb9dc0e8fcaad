"""Which part of a slice is shown where nobody drew a box. Imports propagation, geometry and numpy.

A *whole look* shows the whole slice. A *close look* shows a crop as large, in mm, as those that the annotated slices were learnt in, around
what was annotated in this volume or was found by the whole look. Where the slice is hardly larger than such a crop, one look is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..geometry import Box2D
from ..propagation import RegionPolicy, SliceEncoder
from .proposals import key_of

if TYPE_CHECKING:
    from ..adaptation import AnnotatedSlice

# A crop of more than this share of the slice's longer side shows nothing that the whole slice does not.
_HARDLY_CLOSER = 0.75


@dataclass(frozen=True)
class ObjectSize:
    """How large the annotated object is.

    Args:
        box_mm: longer side of the box around it on the slice where that is longest, the median over the volumes.
        look_mm: longer side of the box around it on all slices, the median over the volumes; what a close look must hold.
        largest_mm2, smallest_mm2: areas on a slice.
        parts: the most pieces of at least a fifth of the largest that it has on a slice.
    """

    box_mm: float
    look_mm: float
    largest_mm2: float
    smallest_mm2: float
    parts: int

    @classmethod
    def of(cls, holding: Sequence[AnnotatedSlice]) -> ObjectSize:
        """Measure annotated slices, all of which hold the object."""
        boxes: dict = {}
        areas, parts = [], 1
        for one in holding:
            spacing = one.encoder.stack.frame_spacing_rc_mm
            areas.append(float(one.mask.sum()) * spacing[0] * spacing[1])
            boxes.setdefault(key_of(one.encoder), []).append((Box2D.around(one.mask), spacing))
            parts = max(parts, len(large_parts(one.mask)))
        single = [max(longer_side_mm(box, spacing) for box, spacing in some) for some in boxes.values()]
        union = [longer_side_mm(joined([box for box, _ in some]), some[0][1]) for some in boxes.values()]
        return cls(float(np.median(single)), float(np.median(union)), max(areas), min(areas), parts)


def longer_side_mm(box: Box2D, spacing_rc_mm: tuple[float, float]) -> float:
    """Of a box."""
    return max(count * mm for count, mm in zip(box.shape_rc, spacing_rc_mm, strict=True))


def joined(boxes: Sequence[Box2D]) -> Box2D:
    """The smallest box that holds them all; there is at least one."""
    whole = boxes[0]
    for box in boxes[1:]:
        whole = whole.union(box)
    return whole


def whole_look(encoder: SliceEncoder, policy: RegionPolicy) -> Box2D:
    """All of a slice."""
    return policy.whole_slice(encoder.stack.frame_shape_rc, encoder.stack.frame_spacing_rc_mm)


def close_look(encoder: SliceEncoder, policy: RegionPolicy, around: Box2D, look_mm: float) -> Box2D:
    """A crop around `around`, at the scale of an object of `look_mm`; all of the slice where that is hardly larger.

    Args:
        encoder: the volume.
        policy: how a crop follows from an object.
        around: what it is centered on.
        look_mm: see `ObjectSize`; the same for every volume, so that all are seen at one scale.
    """
    shape, spacing = encoder.stack.frame_shape_rc, encoder.stack.frame_spacing_rc_mm
    counts = [max(1, round(look_mm / mm)) for mm in spacing]
    row, col = (around.row_start + around.row_stop) // 2, (around.col_start + around.col_stop) // 2
    start_row, start_col = row - counts[0] // 2, col - counts[1] // 2
    typical = Box2D(start_row, start_row + counts[0], start_col, start_col + counts[1])
    crop, whole = policy.crop_around(typical, shape, spacing), whole_look(encoder, policy)
    return whole if longer_side_mm(crop, spacing) > _HARDLY_CLOSER * longer_side_mm(whole, spacing) else crop


def large_parts(mask: np.ndarray, least_share: float = 0.2) -> list[np.ndarray]:
    """The pieces of a mask that have at least this share of the largest one's pixels, as (rows, cols) bool, the largest first."""
    pieces = connected_pieces(mask)
    return [piece for piece in pieces if piece.sum() >= least_share * pieces[0].sum()]


def connected_pieces(mask: np.ndarray) -> list[np.ndarray]:
    """The pieces of a (rows, cols) bool mask whose pixels share an edge or a corner, the largest first; without scipy.

    Runs of a row are joined with the runs of the row before that they touch.
    """
    leaders: list[int] = []
    runs: list[tuple[int, int, int]] = []  # row, start, stop

    def leader(number: int) -> int:
        while leaders[number] != number:
            leaders[number] = leaders[leaders[number]]
            number = leaders[number]
        return number

    above: list[int] = []
    for row in np.flatnonzero(mask.any(axis=1)).tolist():
        edges = np.flatnonzero(np.diff(np.concatenate(([0], mask[row].astype(np.int8), [0]))))
        here = []
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            number = len(runs)
            runs.append((row, start, stop))
            leaders.append(number)
            for other in above:
                if runs[other][0] == row - 1 and runs[other][1] <= stop and start <= runs[other][2]:
                    leaders[leader(other)] = leader(number)
            here.append(number)
        above = here
    pieces: dict[int, np.ndarray] = {}
    for number, (row, start, stop) in enumerate(runs):
        piece = pieces.setdefault(leader(number), np.zeros(mask.shape, dtype=bool))
        piece[row, start:stop] = True
    return sorted(pieces.values(), key=lambda piece: -int(piece.sum()))
