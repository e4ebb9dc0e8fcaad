"""How doubtful a computed slice is, and why. Imports review.signals, review.expected_dsc and numpy.

The doubt is what is missing to an expected DSC of 1. Where the model says nothing of a mask (a prediction of another network, a person's
own), what a volume of tissue does not do counts: jump in area or place from one slice to the next. The doubt orders the queue of slices to
look at; nothing is ever accepted or rejected by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .expected_dsc import Expectation
from .signals import MaskShape, SliceSignals

# A change of area by this factor, or of place by this share of the object's size, between neighbors is as doubtful as can be.
_WORST_AREA_FACTOR = 2.0
_WORST_SHIFT_SHARE = 0.5
# What the last slice of an object is blamed for before a jump is.
_FAR_OFF = 0.8


@dataclass(frozen=True)
class Doubt:
    """The doubt about one slice.

    Args:
        value: 0 (nothing speaks against it) to 1.
        reason: the strongest reason, for the user; empty if there is none.
        expected: the DSC that is expected of it, with an interval; None where the model says nothing of it, or it is out of date.
    """

    value: float
    reason: str
    expected: Expectation | None = None


def slice_doubt(
    shape: MaskShape,
    seen: SliceSignals,
    neighbors: Mapping[str, MaskShape],
    spacing_rc_mm: tuple[float, float],
    expected: Expectation | None,
) -> Doubt:
    """The doubt about one slice's mask.

    Args:
        shape: of the mask.
        seen: its signals.
        neighbors: shapes of the masks of the slices before and after, by a name for the user ("the slice before"); those that are known.
        spacing_rc_mm: row and column spacing.
        expected: what its signals let expect; None to go by jumps alone.
    """
    reasons = [*_reasons_of_scores(shape, seen), *_reasons_of_jumps(shape, neighbors, spacing_rc_mm)]
    if expected is None:
        value, reason = max(reasons, key=lambda one: one[0])
        return Doubt(float(np.clip(value, 0, 1)), reason if value > 0 else "")
    towards = " towards the object's end" if seen.way else ""
    reasons.append((_FAR_OFF * seen.way, f"{seen.distance_mm:.0f} mm from the nearest slice that is known{towards}"))
    reasons.append((seen.disagreement, "the two directions that meet here disagree"))
    strength, reason = max(reasons, key=lambda one: one[0])
    return Doubt(1 - expected.dsc, reason if strength > 0 else "", expected)


def _reasons_of_scores(shape: MaskShape, seen: SliceSignals) -> list[tuple[float, str]]:
    if shape.area == 0:
        return [(seen.object_score, "the model expects the object here")]
    return [
        (1 - seen.predicted_iou, "the model expects a poor outline"),
        (1 - seen.object_score, "the model doubts that the object is here"),
    ]


def _reasons_of_jumps(shape: MaskShape, neighbors: Mapping[str, MaskShape], spacing_rc_mm: tuple[float, float]) -> list[tuple[float, str]]:
    present, reasons = shape.area > 0, []
    for name, beside in neighbors.items():
        if present != (beside.area > 0):
            reasons.append((1.0, f"{name} {'has no mask' if present else 'has a mask'}"))
        elif shape.centroid_rc is not None and beside.centroid_rc is not None:
            factor = max(shape.area / beside.area, beside.area / shape.area)
            reasons.append((min(1.0, (factor - 1) / (_WORST_AREA_FACTOR - 1)), f"area differs by {100 * (factor - 1):.0f} % from {name}"))
            spacing = np.array(spacing_rc_mm)
            shift_mm = float(np.linalg.norm((np.array(shape.centroid_rc) - beside.centroid_rc) * spacing))
            size_mm = float(np.sqrt(max(shape.area, beside.area) * spacing.prod()))
            reasons.append((min(1.0, shift_mm / size_mm / _WORST_SHIFT_SHARE), f"moved by {shift_mm:.0f} mm from {name}"))
    return reasons
