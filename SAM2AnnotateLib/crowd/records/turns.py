"""Turns: who was given which task, and what came of it. Imports tables, values and errors.

==========  ============================================================================
state       a turn
==========  ============================================================================
open        was given; it takes a place of the task until it expires
answered    has an answer that counts
aside       has an answer that came when enough others had been given; it waits
released    was given back by the person
==========  ============================================================================
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, aliased

from ..answers import Task
from .tables import AssignmentRow, ProjectRow, TaskRow
from .tokens import new_id
from .values import Turn

STATES = ("open", "answered", "aside", "released")


def lock_project(session: Session, key: str) -> ProjectRow | None:
    """The project's row, held until the transaction ends: who is given what in a project is decided by one at a time."""
    return session.scalar(select(ProjectRow).where(ProjectRow.key == key).with_for_update())


def lock_project_of(session: Session, task_id: int) -> None:
    """As `lock_project`, for a task."""
    session.scalar(
        select(ProjectRow.id).join(TaskRow, TaskRow.project_id == ProjectRow.id).where(TaskRow.id == task_id).with_for_update(of=ProjectRow)
    )


def turn_from(row: AssignmentRow) -> Turn:
    """The value of a row."""
    task = Task(row.task.volume, row.task.object, row.task.position)
    return Turn(row.public_id, task, row.task.kind, row.expires, row.state in ("answered", "aside"))  # type: ignore[arg-type]


def give(session: Session, task: TaskRow, person_id: int, now: datetime, expires: datetime) -> AssignmentRow:
    """A turn for a person: the one that was given before, or a new one."""
    row = session.scalar(select(AssignmentRow).where(AssignmentRow.task_id == task.id, AssignmentRow.person_id == person_id))
    if row is None:
        row = AssignmentRow(public_id=new_id(), task_id=task.id, person_id=person_id, state="open", created=now, expires=expires)
        row.task = task
        session.add(row)
    row.state, row.expires = "open", expires
    session.flush()
    return row


def find_turn(session: Session, public_id: str, person_id: int) -> AssignmentRow | None:
    """A person's own turn by its id; None if it is not theirs or there is none."""
    return session.scalar(select(AssignmentRow).where(AssignmentRow.public_id == public_id, AssignmentRow.person_id == person_id))


def give_up_held(session: Session, person_id: int, now: datetime) -> None:
    """Let others have at once what a person holds, as if its time were over: the person did not give it back, and may get it again."""
    held = (AssignmentRow.person_id == person_id, AssignmentRow.state == "open", AssignmentRow.expires > now)
    session.execute(update(AssignmentRow).where(*held).values(expires=now))


def open_count(session: Session, task_id: int, now: datetime, but: int = 0) -> int:
    """How many people hold a task now, one turn left out."""
    return (
        session.scalar(
            select(func.count())
            .select_from(AssignmentRow)
            .where(
                AssignmentRow.task_id == task_id, AssignmentRow.state == "open", AssignmentRow.expires > now, AssignmentRow.id != but
            )
        )
        or 0
    )  # fmt: skip


def promote_waiting(session: Session, project_id: int, now: datetime) -> None:
    """Let answers count that had been kept aside and are needed now, because somebody who held the task gave it up."""
    other = aliased(AssignmentRow)
    held = (
        select(func.count())
        .where(other.task_id == TaskRow.id, other.state == "open", other.expires > now)
        .correlate(TaskRow)
        .scalar_subquery()
    )
    waiting = session.scalars(
        select(AssignmentRow)
        .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
        .where(TaskRow.project_id == project_id, AssignmentRow.state == "aside", TaskRow.answered + held < TaskRow.wanted)
        .order_by(AssignmentRow.id)
    ).all()
    for row in waiting:
        if row.task.wanted is not None and row.task.answered + open_count(session, row.task_id, now) < row.task.wanted:
            row.state = "answered"
            row.task.answered += 1
            session.flush()
