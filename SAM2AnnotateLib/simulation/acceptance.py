"""When a 2-D mask is taken as it is: study A's rule. Imports metrics, errors and numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..metrics import Scores


@dataclass(frozen=True)
class SliceScore:
    """How well a mask fits the truth on one slice; both NaN if neither has a pixel there.

    Args:
        dsc: Dice similarity coefficient, 0..1.
        nsd: normalized surface Dice at the rule's tolerance, 0..1.
    """

    dsc: float
    nsd: float

    @classmethod
    def of(cls, mask: np.ndarray, truth: np.ndarray, spacing_rc_mm: tuple[float, float], tolerance_mm: float) -> SliceScore:
        """Score a (rows, cols) bool mask."""
        scores = Scores.of(mask, truth, spacing_rc_mm, tolerance_mm)
        return cls(scores.dsc, scores.nsd)


@dataclass(frozen=True)
class Acceptance:
    """A 2-D mask is accepted only if both DSC and NSD exceed their thresholds (study A).

    A threshold of 0 asks for nothing, so that with both at 0 everything is accepted. A slice on which neither mask nor truth has a pixel is
    right as it is, and always accepted.

    Args:
        dsc: threshold of the DSC, 0..1.
        nsd: threshold of the NSD, 0..1.

    Raises:
        InputError: if a threshold is outside of 0..1.
    """

    dsc: float = 0.0
    nsd: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.dsc <= 1 and 0 <= self.nsd <= 1):
            raise InputError(f"Thresholds of DSC and NSD lie between 0 and 1, got {self.dsc} and {self.nsd}.")

    def accepts(self, score: SliceScore) -> bool:
        """Whether a mask with this score is taken as it is."""
        if math.isnan(score.dsc):
            return True
        return (self.dsc == 0 or score.dsc > self.dsc) and (self.nsd == 0 or score.nsd > self.nsd)
