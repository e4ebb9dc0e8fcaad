"""What a person is told to be left, so that it does not tell which tasks have known answers. Imports records and SQLAlchemy.

A number that falls with each answer, but not with a known one, would tell the two apart. So what is left is planned for a while ahead and
then falls by one with every answer, whatever it was to; only then is it planned anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from ...errors import InputError
from ..project import CrowdProject
from ..records import CrowdRecords, Person
from ..records.answers import project_row
from ..records.tables import AssignmentRow, MembershipRow, TaskRow
from .practice import practice_of

_ANSWERS_A_PLAN = 20
ANSWERED = ("answered", "aside")


@dataclass(frozen=True)
class Remaining:
    """For one person in one project: about how many tasks are left, how many are done, how many of the training round are to come."""

    left: int
    done: int
    training_left: int


def known_here(project: CrowdProject, project_id: int) -> tuple[ColumnElement[bool], ...]:
    """What makes a task one that is asked and that can be shown here: another server with a newer project.yaml may have added others."""
    volumes, objects = [one.key for one in project.volumes], [one.key for one in project.objects]
    return TaskRow.project_id == project_id, TaskRow.active.is_(True), TaskRow.volume.in_(volumes), TaskRow.object.in_(objects)


def remaining(records: CrowdRecords, project: CrowdProject, person: Person) -> Remaining:
    """What is left for a person. Raises InputError if they are not in the project, or the database does not have it."""
    with records.database.write() as session:
        return remaining_in(session, project, project_row(session, project.key).id, person.id)


def remaining_in(session: Session, project: CrowdProject, project_id: int, person_id: int) -> Remaining:
    """As `remaining`, in a writing transaction."""
    membership = session.get(MembershipRow, (person_id, project_id))
    if membership is None:
        raise InputError("This person is not in the project.")
    mine = select(AssignmentRow.task_id).where(AssignmentRow.person_id == person_id, AssignmentRow.state.in_(ANSWERED))
    here = (TaskRow.project_id == project_id, TaskRow.active)
    counts = dict(session.execute(select(TaskRow.kind, func.count()).where(*here, TaskRow.id.in_(mine)).group_by(TaskRow.kind)).all())
    to_come = dict(
        session.execute(
            select(TaskRow.kind, func.count())
            .where(*here, TaskRow.id.not_in(mine), (TaskRow.kind != "real") | (TaskRow.answered < TaskRow.wanted))
            .group_by(TaskRow.kind)
        ).all()
    )
    done = counts.get("real", 0) + counts.get("gold", 0)
    real = to_come.get("real", 0)
    practice = to_come.get("training", 0) + len(practice_of(session, project, known_here(project, project_id), person_id).again)
    if real == 0:
        return Remaining(0, done, practice)
    since = done - membership.planned_at
    if membership.planned_at < 0 or not 0 <= since < _ANSWERS_A_PLAN or membership.planned - since < 1:
        share = project.gold_share
        membership.planned = real + min(to_come.get("gold", 0), round(real * share / (1 - share)))
        membership.planned_at, since = done, 0
    return Remaining(membership.planned - since, done, practice)
