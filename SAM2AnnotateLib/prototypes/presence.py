"""How likely an object is still on a slice, on the way from a slice that is known outward. Imports numpy.

A logistic function of what the model says on the way. Its numbers were fitted on 45 objects, which no figure of README.md is of, by
``python -m SAM2AnnotateLib.benchmark.extents CASES --fit``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

# Beyond these a model's estimate says no more.
_LEAST, _MOST = 0.01, 0.99
_LEAST_LOG_AREA, _MOST_LOG_AREA = -4.0, 1.5
# Weight of each term, in the order of `WaySignals.terms`.
TERMS = (
    "one", "area against the known slice", "least area", "area against the slice before", "least predicted IoU", "predicted IoU",
    "overlap with the slice before", "least overlap", "least object score", "distance in sizes of the object",
)  # fmt: skip
WEIGHTS = (1.611, 0.710, 0.797, -1.270, 0.523, -0.455, -0.731, 0.177, 0.392, -0.729)


@dataclass
class WaySignals:
    """What was seen on one way outward, slice by slice.

    Args:
        known_area: pixels of the known mask.
        size_mm: square root of its area.
        spacing_mm: distance of neighboring slices.
    """

    known_area: int
    size_mm: float
    spacing_mm: float
    _steps: int = field(default=0, init=False)
    _log_area: float = field(default=0.0, init=False)
    _least: np.ndarray = field(default_factory=lambda: np.array([0.0, np.inf, np.inf, np.inf]), init=False)

    def terms(self, area: int, predicted_iou: float, object_score: float, overlap: float) -> np.ndarray:
        """(10,) the terms of the next slice.

        Args:
            area: pixels of its mask.
            predicted_iou: the model's own estimate of it.
            object_score: probability that the object is there.
            overlap: DSC with the mask of the slice before.
        """
        self._steps += 1
        log_area = float(np.clip(np.log(max(area, 1) / max(self.known_area, 1)), _LEAST_LOG_AREA, _MOST_LOG_AREA))
        iou, over, score = _logit(predicted_iou), _logit(overlap), _logit(object_score)
        self._least = np.minimum(self._least, [log_area, iou, over, score])
        change, self._log_area = log_area - self._log_area, log_area
        distance = float(np.log(self._steps * self.spacing_mm / max(self.size_mm, 1e-6) + 0.05))
        least_area, least_iou, least_over, least_score = self._least.tolist()
        return np.array([1.0, log_area, least_area, change, least_iou, iou, over, least_over, least_score, distance])

    def presence(self, area: int, predicted_iou: float, object_score: float, overlap: float) -> float:
        """Probability that the object is on the next slice; arguments as `terms`."""
        return float(1 / (1 + np.exp(-self.terms(area, predicted_iou, object_score, overlap) @ np.array(WEIGHTS))))


def end_of(presence: list[float]) -> tuple[int, float]:
    """How many slices of a way belong to the object, and how sure that is: the end at which presence before and absence after fit best."""
    if not presence:
        return 0, 1.0
    p = np.clip(np.array(presence), _LEAST, _MOST)
    inside = np.concatenate([[0.0], np.cumsum(np.log(p))])
    outside = np.concatenate([np.cumsum(np.log(1 - p)[::-1])[::-1], [0.0]])
    fit = inside + outside
    weights = np.exp(fit - fit.max())
    count = int(fit.argmax())
    return count, float(weights[count] / weights.sum())


def _logit(value: float) -> float:
    value = min(max(value, _LEAST), _MOST)
    return float(np.log(value / (1 - value)))
