"""Whether a person is through with the training round, and what they answer again. Imports feedback, records, project and SQLAlchemy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from ..project import CrowdProject
from ..records.projects import boxes_from_lists
from ..records.tables import AnswerRow, AssignmentRow, TaskRow
from .feedback import feedback_on


@dataclass(frozen=True)
class Practice:
    """What is left of a person's training round, where it has a pass mark.

    Args:
        unanswered: how many of its tasks the person has not answered yet.
        again: turns that were answered wrong and come again, because too few of all were right, those answered longest ago first;
            none as long as some are unanswered.
    """

    unanswered: int = 0
    again: tuple[AssignmentRow, ...] = ()


def practice_of(session: Session, project: CrowdProject, here: Sequence[ColumnElement[bool]], person_id: int) -> Practice:
    """What is left of the training round by the answers that the person gave last; nothing where the project has no pass mark.

    Args:
        session: that reads.
        project: with its `training_pass`.
        here: what makes a task one that is asked.
        person_id: whose.
    """
    rules = project.rules
    if rules.training_pass == 0:
        return Practice()
    asked = session.scalars(select(TaskRow).where(*here, TaskRow.kind == "training")).all()
    said = session.execute(
        select(AssignmentRow, AnswerRow)
        .join(AnswerRow, AnswerRow.assignment_id == AssignmentRow.id)
        .where(AssignmentRow.person_id == person_id, AssignmentRow.task_id.in_([task.id for task in asked]))
        .order_by(AssignmentRow.id, AnswerRow.round)
    )
    last = {turn.task_id: (turn, answer) for turn, answer in said}
    if len(last) < len(asked):
        return Practice(unanswered=len(asked) - len(last))
    wrong = []
    for task in asked:
        turn, answer = last[task.id]
        boxes, known = boxes_from_lists(answer.boxes_rc), boxes_from_lists(task.known_boxes or [])
        if not feedback_on(answer.kind, boxes, known, rules.training_iou).right:  # type: ignore[arg-type]
            wrong.append((answer.id, turn))
    passed = len(asked) - len(wrong) >= rules.training_pass * len(asked) - 1e-9
    return Practice() if passed else Practice(again=tuple(turn for _, turn in sorted(wrong, key=lambda one: one[0])))
