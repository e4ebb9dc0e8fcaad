"""MaskedSlice: the mask that boxes on one slice, and what memory carried to it, lead to. Imports propagation and numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...geometry import Box2D
from ...propagation import SliceResult


@dataclass(frozen=True, eq=False)
class MaskedSlice:
    """One slice of one object.

    Args:
        position: of the slice.
        mask: (rows, columns) bool of the whole upright slice, read-only.
        presence: probability that the object is here, 0..1.
        predicted_iou: the model's own estimate, 0..1; that of the parts, weighed, where several were mixed.
        object_score: the model's probability that the object is here, 0..1.
        crop: what the model saw of the slice.
        boxes_rc: boxes that the model was prompted with here; none where memory alone led.
        box_share: how much of the mask's weight the boxes have, 0..1: less where they disagree with what memory carried.
        agreement: DSC of the mask from the boxes and of what memory carried; None where one of them is not there.
        disagreement: 1 - DSC of what the two directions carried; None where only one came by.
        seconds: that the model took.
        words: what else is to be said, such as that majority and STAPLE differ.
        people_dice: mean DSC of two people's own masks; None where they were not made, or by one alone.
    """

    position: int
    mask: np.ndarray
    presence: float
    predicted_iou: float
    object_score: float
    crop: Box2D
    boxes_rc: tuple[Box2D, ...] = ()
    box_share: float = 0.0
    agreement: float | None = None
    disagreement: float | None = None
    seconds: float = 0.0
    words: str = ""
    people_dice: float | None = None

    def __post_init__(self) -> None:
        self.mask.setflags(write=False)

    @property
    def result(self) -> SliceResult:
        """The same for a review."""
        return SliceResult(
            self.position, self.mask, self.predicted_iou, self.object_score, self.seconds, self.crop, bool(self.boxes_rc), self.disagreement
        )  # fmt: skip
