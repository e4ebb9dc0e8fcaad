"""SliceResult: what propagation says about one slice. Imports geometry, prompts and numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry import Box2D
from ..prompts.mask_runs import mask_from_runs, mask_to_runs


@dataclass(frozen=True, eq=False)
class SliceResult:
    """The mask of one slice and how it came about.

    Args:
        position: of the slice in the stack.
        mask: (rows, cols) bool of the whole upright slice, read-only.
        predicted_iou: the model's own estimate of the mask's IoU, 0..1; 1 for a mask that a person gave.
        object_score: the model's probability that the object is on this slice, 0..1.
        seconds: time that this slice took, encoding included where it was needed.
        crop: the part of the slice that the model saw; it may reach beyond the slice.
        prompted: whether a prompt stands on this slice.
        disagreement: 1 - DSC of what the runs from two sides said of this slice; None where only one came by.
    """

    position: int
    mask: np.ndarray
    predicted_iou: float
    object_score: float
    seconds: float
    crop: Box2D
    prompted: bool
    disagreement: float | None = None

    def __post_init__(self) -> None:
        self.mask.setflags(write=False)

    def to_json(self) -> dict:
        """A plain dict that `from_json` reads back; the mask as runs."""
        return {
            "position": self.position,
            "mask": mask_to_runs(self.mask),
            "predicted_iou": self.predicted_iou,
            "object_score": self.object_score,
            "seconds": self.seconds,
            "crop": [self.crop.row_start, self.crop.row_stop, self.crop.col_start, self.crop.col_stop],
            "prompted": self.prompted,
            "disagreement": self.disagreement,
        }

    @classmethod
    def from_json(cls, stored: dict) -> SliceResult:
        """Read back what `to_json` wrote, also before it held a disagreement."""
        return cls(**{**stored, "mask": mask_from_runs(stored["mask"]), "crop": Box2D(*stored["crop"])})

    def __repr__(self) -> str:
        return (
            f"SliceResult(position {self.position}, {int(self.mask.sum())} pixels, predicted IoU {self.predicted_iou:.2f}, "
            f"object score {self.object_score:.2f}, {self.seconds:.2f} s{', prompted' if self.prompted else ''})"
        )
