"""From what is said of each slice to a proposal: masks that agree, first and last slice; or that it is not there. Imports this room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .asking import CUTOFF, MOST_LOGIT, SliceAnswer
from .joining import AREA_BOUND, large_parts, one_run, smoothed
from .prototype import Prototype

# Neighboring slices are made to agree over this share of the object's thickness (standard deviation of a Gaussian).
_SMOOTHING = 1 / 30
# This share of the object's thickness beyond its likely ends, nothing is taken for it.
_FAR_BEYOND = 0.25
# What was found has at least this share of the smallest prototype's volume.
_LEAST_VOLUME = 0.2


@dataclass(frozen=True, eq=False)
class Settled:
    """What was settled of a run of slices.

    Args:
        masks: (slices,) of (rows, cols) bool, in the crop; empty where the object is not.
        run: first and last index of the slices that the object is on; None if it is on none.
        absent: why the object is taken not to be there; empty if it is.
    """

    masks: list[np.ndarray]
    run: tuple[int, int] | None
    absent: str


def settled(
    answers: Sequence[SliceAnswer],
    along: np.ndarray,
    prototypes: Sequence[Prototype],
    spacing_src_mm: tuple[float, float, float],
) -> Settled:
    """Settle which slices the object is on, and its mask there.

    Args:
        answers: of neighboring slices, by rising position.
        along: (slices,) where each lies in the likely extent, 0..1; below and above beyond it.
        prototypes: what is known of the object's size.
        spacing_src_mm: of slices, rows and columns of the volume.
    """
    thickness = float(np.median([one.extent_mm for one in prototypes])) / spacing_src_mm[0]
    beyond = np.maximum(0.0, np.maximum(-along, along - 1))
    penalty = MOST_LOGIT * np.minimum(1.0, beyond / _FAR_BEYOND)
    logits = np.stack([one.logits for one in answers]) - penalty[:, None, None]
    masks = [large_parts(one > CUTOFF) for one in smoothed(logits, _SMOOTHING * thickness)]
    areas = np.array([float(mask.sum()) for mask in masks]) * spacing_src_mm[1] * spacing_src_mm[2]
    areas[areas > AREA_BOUND * max(one.largest_area_mm2 for one in prototypes)] = 0.0
    masks = [mask if area > 0 else np.zeros_like(mask) for mask, area in zip(masks, areas, strict=True)]
    run = one_run(areas)
    if run is None:
        return Settled(masks, None, "nothing on this volume is taken for the object")
    volume_mm3 = float(areas[run[0] : run[1] + 1].sum()) * spacing_src_mm[0]
    if volume_mm3 < _LEAST_VOLUME * min(one.volume_mm3 for one in prototypes):
        return Settled(masks, run, "what comes closest to it is much smaller")
    return Settled(masks, run, "")
