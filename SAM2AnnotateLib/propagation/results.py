"""SliceResult: what propagation says about one slice. Imports geometry and numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry import Box2D


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
    """

    position: int
    mask: np.ndarray
    predicted_iou: float
    object_score: float
    seconds: float
    crop: Box2D
    prompted: bool

    def __post_init__(self) -> None:
        self.mask.setflags(write=False)

    def __repr__(self) -> str:
        return (
            f"SliceResult(position {self.position}, {int(self.mask.sum())} pixels, predicted IoU {self.predicted_iou:.2f}, "
            f"object score {self.object_score:.2f}, {self.seconds:.2f} s{', prompted' if self.prompted else ''})"
        )
