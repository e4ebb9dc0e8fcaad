"""Center slice, box and extent as a person would give them, from ground truth. Imports simulation.objects, geometry, metrics, errors.

The rules and bounds are those of study A (Misera et al.): center slice by center of mass; width and height of the tight box scaled
independently by up to 2 mm but at most 5 % of that side; then a shift by up to 1 mm but at most 5 % of that side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..geometry import Box2D, Extent, SliceStack
from ..metrics.surface_elements import bounding_box
from .objects import StackedTruth, TruthObject

_SCALE_MM, _SHIFT_MM, _SHARE = 2.0, 1.0, 0.05


@dataclass(frozen=True)
class Gestures:
    """What a person gives for one object, in positions, rows and columns of the stack.

    Args:
        center: slice to draw the box on.
        box: the box drawn there.
        extent: first and last slice of the object.
    """

    center: int
    box: Box2D
    extent: Extent


def gestures_from_truth(truth_kji: np.ndarray, stack: SliceStack, rng: np.random.Generator | None) -> Gestures:
    """The gestures for one object.

    Args:
        truth_kji: (k, j, i) bool mask of the object.
        stack: how the volume is sliced.
        rng: draws the jitter of the box; None gives the tight box.

    Raises:
        InputError: if the mask is empty.
    """
    box_kji = bounding_box(truth_kji)
    if box_kji is None:
        raise InputError("The object's mask is empty, so no box can be drawn.")
    k, j, i = (side.start for side in box_kji)
    truth = StackedTruth.of(TruthObject(1, 1, (k, j, i), truth_kji[box_kji]), stack)
    tight = truth.tight_box(truth.center)
    box = tight if rng is None else jittered_box(tight, stack.frame_spacing_rc_mm, stack.frame_shape_rc, rng)
    return Gestures(truth.center, box, truth.extent)


def jittered_box(box: Box2D, spacing_rc_mm: tuple[float, float], frame_shape_rc: tuple[int, int], rng: np.random.Generator) -> Box2D:
    """The box as a person's hand would draw it: scaled, shifted, rounded to whole voxels, clipped to the slice."""
    ranges = []
    for start, stop, mm in ((box.row_start, box.row_stop, spacing_rc_mm[0]), (box.col_start, box.col_stop, spacing_rc_mm[1])):
        side = stop - start
        scale = rng.uniform(-1, 1) * min(_SCALE_MM / mm, _SHARE * side)
        shift = rng.uniform(-1, 1) * min(_SHIFT_MM / mm, _SHARE * side)
        low = round(start - scale / 2 + shift)
        ranges.append((low, max(round(stop + scale / 2 + shift), low + 1)))
    return Box2D(*ranges[0], *ranges[1]).clipped(frame_shape_rc)
