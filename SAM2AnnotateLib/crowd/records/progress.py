"""How far a project is: counts by volume and by person, under pseudonyms. Imports tables and values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from .tables import AnswerRow, AssignmentRow, DecisionRow, MembershipRow, PersonRow, ProjectRow, ReviewRow, TaskRow


@dataclass(frozen=True)
class VolumeProgress:
    """A volume: `wanted` answers to its tasks, `answered` so far (never more than wanted), `complete` of its `tasks` have all."""

    volume: str
    tasks: int
    complete: int
    wanted: int
    answered: int


@dataclass(frozen=True)
class PersonProgress:
    """A person: answers by kind of task, those kept aside, turns held now, and when they last answered."""

    pseudonym: str
    name: str
    role: str
    answered: int
    gold: int
    training: int
    aside: int
    holds: int
    last: datetime | None


@dataclass(frozen=True)
class Progress:
    """A project."""

    key: str
    title: str
    volumes: tuple[VolumeProgress, ...]
    people: tuple[PersonProgress, ...]
    to_review: int

    @property
    def wanted(self) -> int:
        """Answers to all tasks together."""
        return sum(one.wanted for one in self.volumes)

    @property
    def answered(self) -> int:
        """Answers that count, to all tasks together."""
        return sum(one.answered for one in self.volumes)

    def to_json(self, names: bool = False) -> dict:
        """For programs; names only where an owner asks."""
        return {
            "project": self.key,
            "title": self.title,
            "wanted": self.wanted,
            "answered": self.answered,
            "to_review": self.to_review,
            "volumes": [
                {"volume": one.volume, "tasks": one.tasks, "complete": one.complete, "wanted": one.wanted, "answered": one.answered}
                for one in self.volumes
            ],
            "people": [
                {
                    "person": one.pseudonym, **({"name": one.name} if names else {}), "role": one.role, "answered": one.answered,
                    "gold": one.gold, "training": one.training, "aside": one.aside, "holds": one.holds,
                    "last": None if one.last is None else one.last.isoformat(timespec="seconds"),
                }
                for one in self.people
            ],
        }  # fmt: skip


def progress_of(session: Session, project: ProjectRow, now: datetime) -> Progress:
    """Counts as they are now."""
    enough = case((TaskRow.answered >= TaskRow.wanted, 1), else_=0)
    counted = case((TaskRow.answered > TaskRow.wanted, TaskRow.wanted), else_=TaskRow.answered)
    volumes = session.execute(
        select(TaskRow.volume, func.count(), func.sum(enough), func.sum(TaskRow.wanted), func.sum(counted))
        .where(TaskRow.project_id == project.id, TaskRow.kind == "real", TaskRow.active)
        .group_by(TaskRow.volume)
        .order_by(TaskRow.volume)
    )

    def turns(*conditions):
        return func.sum(case((conditions[0] if len(conditions) == 1 else conditions[0] & conditions[1], 1), else_=0))

    done = AssignmentRow.state.in_(("answered", "aside"))
    counts = {
        row[0]: row[1:]
        for row in session.execute(
            select(
                AssignmentRow.person_id,
                turns(AssignmentRow.state == "answered", TaskRow.kind == "real"),
                turns(done, TaskRow.kind == "gold"),
                turns(done, TaskRow.kind == "training"),
                turns(AssignmentRow.state == "aside"),
                turns(AssignmentRow.state == "open", AssignmentRow.expires > now),
            )
            .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
            .where(TaskRow.project_id == project.id)
            .group_by(AssignmentRow.person_id)
        )
    }
    last = {
        row[0]: row[1]
        for row in session.execute(
            select(AnswerRow.person_id, func.max(AnswerRow.answered))
            .join(AssignmentRow, AssignmentRow.id == AnswerRow.assignment_id)
            .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
            .where(TaskRow.project_id == project.id)
            .group_by(AnswerRow.person_id)
        )
    }
    people = session.execute(
        select(PersonRow, MembershipRow.role)
        .join(MembershipRow, MembershipRow.person_id == PersonRow.id)
        .where(MembershipRow.project_id == project.id)
        .order_by(MembershipRow.joined, PersonRow.id)
    )
    waiting = session.scalar(
        select(func.count())
        .select_from(ReviewRow)
        .join(TaskRow, TaskRow.id == ReviewRow.task_id)
        .where(
            TaskRow.project_id == project.id,
            ReviewRow.active,
            ~select(DecisionRow.id).where(DecisionRow.review_id == ReviewRow.id).exists(),
        )
    )
    return Progress(
        project.key,
        project.title,
        tuple(VolumeProgress(row[0], row[1], int(row[2] or 0), int(row[3] or 0), int(row[4] or 0)) for row in volumes),
        tuple(
            _person(person, role, [int(one or 0) for one in counts.get(person.id, (0,) * 5)], last.get(person.id))
            for person, role in people
        ),
        waiting or 0,
    )


def _person(row: PersonRow, role: str, counts: list[int], last: datetime | None) -> PersonProgress:
    answered, gold, training, aside, holds = counts
    return PersonProgress(row.pseudonym, row.name, role, answered, gold, training, aside, holds, last)
