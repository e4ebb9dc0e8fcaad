"""The next task for a person. Imports records, project and SQLAlchemy.

First the training round; where it has a pass mark, what was wrong in it comes again until enough is right. Then, by a random number for
each task, one with a known answer or a real one. Of the real ones that have a place left, those that fewest people have or hold; among
these the volume that is behind the others, then the volume of which this person has seen least, then by chance: so all slices have one
answer before any has two, volumes go forward together, and nobody's habits rule a volume.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from ...errors import InputError
from ..project import CrowdProject
from ..records import CrowdRecords, Person, Turn
from ..records.tables import AssignmentRow, MembershipRow, TaskRow
from ..records.turns import give, lock_project, promote_waiting, turn_from
from .practice import practice_of
from .remaining import ANSWERED, Remaining, known_here, remaining_in

MOST_HELD = 8
_TOO_MANY_HELD = "You have several slices open already. Answer those first; look at your other windows."
_HELD_BY_OTHERS = "Others are at work on the last slices. Some may come back: look again later."
_PRACTICE_FIRST = "Practice comes first: answer those slices that you have open, then there are more."
_ALL_DONE = "There is nothing left for you to do here. Thank you!"


@dataclass(frozen=True)
class Reservation:
    """A task that a person was given.

    Args:
        turn: with its id, the task, and until when it is kept.
        remaining: for this person.
    """

    turn: Turn
    remaining: Remaining

    @property
    def id(self) -> str:
        """What an answer is sent to."""
        return self.turn.id

    @property
    def training(self) -> bool:
        """Whether there will be feedback."""
        return self.turn.kind == "training"


@dataclass(frozen=True)
class Done:
    """There is nothing to give, and why."""

    why: str
    remaining: Remaining


def next_task(
    records: CrowdRecords, project: CrowdProject, person: Person, now: datetime, rng: np.random.Generator, have: Collection[str] = ()
) -> Reservation | Done:
    """Give a person the next task: the one that they hold already, if they do.

    Args:
        records: where the project was added.
        project: as project.yaml has it.
        person: in the project.
        now: with time zone.
        rng: whether a known answer is asked, and what equal chances fall on.
        have: ids of reservations that the person's page has before it or whose answer is on its way: another task is wanted, so that it is
            there in time. Nobody holds more than a few.

    Raises:
        InputError: if the person is not in the project, or the database does not have it.
        OutputError: if it cannot be written.
    """
    expires = now + timedelta(minutes=project.reservation_minutes)
    with records.database.write() as session:
        row = lock_project(session, project.key)
        if row is None or session.get(MembershipRow, (person.id, row.id)) is None:
            raise InputError(f"This person is not in the project '{project.key}'.")
        promote_waiting(session, row.id, now)
        here = known_here(project, row.id)
        held = _held(session, here, person.id, now)
        wanted = next((one for one in held if one.public_id not in have), None)
        if wanted is not None:
            wanted.expires = expires
            return Reservation(turn_from(wanted), remaining_in(session, project, row.id, person.id))
        left = remaining_in(session, project, row.id, person.id)
        if len(held) >= MOST_HELD:
            return Done(_TOO_MANY_HELD, left)
        task = _known(session, here, person.id, "training", rng, have)
        if task is None:
            practice = practice_of(session, project, here, person.id)
            if practice.unanswered or any(one.public_id in have for one in practice.again):
                return Done(_PRACTICE_FIRST, left)  # nothing ahead: whether it goes on is known when that is answered
            if practice.again:  # as it was answered, not given anew: what was said counts until something else is said
                return Reservation(turn_from(practice.again[0]), left)
            real = _real(session, here, person.id, now, rng, have)
            known = _known(session, here, person.id, "gold", rng, have) if real is not None and rng.random() < project.gold_share else None
            task = known or real
        if task is None:
            return Done(_HELD_BY_OTHERS if left.left else _ALL_DONE, left)
        return Reservation(turn_from(give(session, task, person.id, now, expires)), left)


def _held(session: Session, here: Sequence[ColumnElement[bool]], person_id: int, now: datetime) -> Sequence[AssignmentRow]:
    """What a person holds, oldest first."""
    return session.scalars(
        select(AssignmentRow)
        .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
        .where(
            *here, AssignmentRow.person_id == person_id, AssignmentRow.state == "open", AssignmentRow.expires > now,
        )
        .order_by(AssignmentRow.id)
    ).all()  # fmt: skip


def _known(
    session: Session, here: Sequence[ColumnElement[bool]], person_id: int, kind: str, rng: np.random.Generator, have: Collection[str]
) -> TaskRow | None:
    """A task of this kind that the person has neither answered nor before them, by chance."""
    done = AssignmentRow.state.in_(ANSWERED) | AssignmentRow.public_id.in_(have)
    mine = select(AssignmentRow.task_id).where(AssignmentRow.person_id == person_id, done)
    ids = session.scalars(select(TaskRow.id).where(*here, TaskRow.kind == kind, TaskRow.id.not_in(mine)).order_by(TaskRow.id)).all()
    return session.get(TaskRow, ids[int(rng.integers(len(ids)))]) if ids else None


def _real(
    session: Session, known_here: Sequence[ColumnElement[bool]], person_id: int, now: datetime, rng: np.random.Generator,
    have: Collection[str],
) -> TaskRow | None:  # fmt: skip
    held = (
        select(AssignmentRow.task_id, func.count().label("count"))
        .where(AssignmentRow.state == "open", AssignmentRow.expires > now)
        .group_by(AssignmentRow.task_id)
        .subquery()
    )
    mine = AssignmentRow.person_id == person_id
    turns = select(AssignmentRow.task_id, AssignmentRow.state).where(mine).subquery()
    before = select(AssignmentRow.task_id).where(mine, AssignmentRow.public_id.in_(have))
    taken = TaskRow.answered + func.coalesce(held.c.count, 0)
    here = (*known_here, TaskRow.kind == "real")
    released = case((turns.c.state == "released", 1), else_=0)
    free = (*here, TaskRow.id.not_in(before), taken < TaskRow.wanted, turns.c.state.is_(None) | turns.c.state.not_in(ANSWERED))

    def joined(query: Any) -> Any:
        return query.outerjoin(held, held.c.task_id == TaskRow.id).outerjoin(turns, turns.c.task_id == TaskRow.id)

    # Counted in the database: of thousands of tasks one comes out of it.
    counted = select(released.label("was_released"), taken.label("have_it"), TaskRow.volume, func.count())
    groups = session.execute(joined(counted).where(*free).group_by("was_released", "have_it", TaskRow.volume)).all()
    if not groups:
        return None
    # What the person gave back comes last; then what fewest people have.
    least = min((gave_back, count) for gave_back, count, _, _ in groups)
    sums = select(TaskRow.volume, func.sum(taken), func.sum(TaskRow.wanted), func.count(turns.c.state))
    volumes = session.execute(joined(sums).where(*here).group_by(TaskRow.volume))
    rank = {volume: (float(count or 0) / float(wanted or 1), float(mine) / float(wanted or 1)) for volume, count, wanted, mine in volumes}
    first = min(rank[volume] for gave_back, count, volume, _ in groups if (gave_back, count) == least)
    names = [volume for gave_back, count, volume, _ in groups if (gave_back, count) == least and rank[volume] == first]
    chosen = joined(select(TaskRow)).where(*free, released == least[0], taken == least[1], TaskRow.volume.in_(names))
    size = sum(number for gave_back, count, volume, number in groups if (gave_back, count) == least and volume in names)
    return session.scalar(chosen.order_by(TaskRow.id).offset(int(rng.integers(size))).limit(1))
