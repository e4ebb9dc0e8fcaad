"""What a person is told about an answer in the training round. Imports answers, geometry and numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...geometry import Box2D
from ..answers import Kind


@dataclass(frozen=True)
class Feedback:
    """On one answer.

    Args:
        right: whether it is right.
        iou: overlap of what all boxes cover with what the known ones cover: intersection over union; 1 where both are none.
        boxes_rc: the known boxes.
        text: a sentence for the person.
    """

    right: bool
    iou: float
    boxes_rc: tuple[Box2D, ...]
    text: str


def feedback_on(kind: Kind, boxes_rc: Sequence[Box2D], known_rc: Sequence[Box2D], least_iou: float) -> Feedback:
    """Compare an answer with what is known.

    Args:
        kind, boxes_rc: the answer.
        known_rc: the known boxes; none where the object is absent.
        least_iou: overlap from which boxes are right.
    """
    known = tuple(known_rc)
    if kind == "unsure":
        where = "It is here: look at the known boxes." if known else "It is not on this slice."
        return Feedback(False, 0.0, known, f"You were not sure. {where}")
    iou = covered_iou(boxes_rc, known)
    if not known:
        absent = kind == "absent"
        text = "Right: it is not on this slice." if absent else "It is not on this slice."
        return Feedback(absent, iou, known, text)
    if kind == "absent":
        return Feedback(False, 0.0, known, "It is here: look at the known boxes.")
    if iou < least_iou:
        return Feedback(False, iou, known, f"Your boxes and the known ones overlap by {iou:.0%}. Draw them as tight as you can.")
    if len(boxes_rc) != len(known):
        parts = "one part" if len(known) == 1 else f"{len(known)} parts"
        return Feedback(True, iou, known, f"Right, with an overlap of {iou:.0%}. The known answer has {parts}: one box for each.")
    return Feedback(True, iou, known, f"Right, with an overlap of {iou:.0%}.")


def covered_iou(boxes_rc: Sequence[Box2D], other_rc: Sequence[Box2D]) -> float:
    """Intersection over union of what two sets of boxes cover, each pixel once; 1 where both are empty."""
    if not boxes_rc and not other_rc:
        return 1.0
    if not boxes_rc or not other_rc:
        return 0.0
    # The grid of all edges: its cells are covered whole or not at all, so that nothing as large as a slice is needed.
    every = [*boxes_rc, *other_rc]
    rows = np.unique([edge for box in every for edge in (box.row_start, box.row_stop)])
    cols = np.unique([edge for box in every for edge in (box.col_start, box.col_stop)])
    areas = np.outer(np.diff(rows), np.diff(cols))

    def covered(boxes: Sequence[Box2D]) -> np.ndarray:
        cells = np.zeros(areas.shape, dtype=bool)
        for box in boxes:
            r0, r1 = np.searchsorted(rows, [box.row_start, box.row_stop])
            c0, c1 = np.searchsorted(cols, [box.col_start, box.col_stop])
            cells[r0:r1, c0:c1] = True
        return cells

    one, two = covered(boxes_rc), covered(other_rc)
    return float(areas[one & two].sum() / areas[one | two].sum())
