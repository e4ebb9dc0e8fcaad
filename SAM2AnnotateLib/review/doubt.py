"""How doubtful a computed slice is, and why. Imports propagation.results, errors and numpy.

Raw material are the model's own scores and what a volume of tissue does not do: jump in area or place from one slice to the next. The doubt
orders the queue of slices to look at; nothing is ever accepted or rejected by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# A change of area by this factor, or of place by this share of the object's size, between neighbors is as doubtful as can be.
_WORST_AREA_FACTOR = 2.0
_WORST_SHIFT_SHARE = 0.5


@dataclass(frozen=True)
class Doubt:
    """The doubt about one slice.

    Args:
        value: 0 (nothing speaks against it) to 1.
        reason: the strongest reason, for the user; empty if there is none.
    """

    value: float
    reason: str


@dataclass(frozen=True)
class MaskShape:
    """What a doubt needs to know of a mask; made once for each, because it is compared with both neighbors.

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


def slice_doubt(
    shape: MaskShape, predicted_iou: float, object_score: float, neighbors: Mapping[str, MaskShape], spacing_rc_mm: tuple[float, float]
) -> Doubt:
    """The doubt about one slice's mask.

    Args:
        shape: of the mask.
        predicted_iou: the model's estimate, 0..1.
        object_score: the model's probability that the object is on the slice, 0..1.
        neighbors: shapes of the masks of the slices before and after, by a name for the user ("the slice before"); those that are known.
        spacing_rc_mm: row and column spacing.
    """
    present = shape.area > 0
    reasons = [
        (1 - predicted_iou, "the model expects a poor outline") if present else (0.0, ""),
        (1 - object_score, "the model doubts that the object is here") if present else (object_score, "the model expects the object here"),
    ]
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
    value, reason = max(reasons, key=lambda one: one[0])
    return Doubt(float(np.clip(value, 0, 1)), reason if value > 0 else "")


def disagreement(forward: np.ndarray, backward: np.ndarray) -> float:
    """1 - DSC of what the two directions say of one slice; 0 if both are empty."""
    total = int(forward.sum()) + int(backward.sum())
    return 0.0 if total == 0 else 1.0 - 2.0 * int((forward & backward).sum()) / total
