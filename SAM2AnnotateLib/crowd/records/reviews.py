"""The reviewers' queue and what they decided. Imports answers, tables, values and errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from ...errors import InputError
from ...geometry import Box2D
from ..answers import Task
from .projects import boxes_from_lists, boxes_to_lists
from .tables import DecisionRow, PersonRow, ReviewRow, TaskRow
from .tokens import new_id
from .values import Decision, Doubtful, ReviewItem


def set_doubtful(session: Session, project_id: int, doubtful: Iterable[Doubtful], now: datetime) -> None:
    """Replace the queue. What was decided stays decided.

    Raises:
        InputError: if a task is none of the project's.
    """
    tasks = {
        Task(one.volume, one.object, one.position): one for one in session.scalars(select(TaskRow).where(TaskRow.project_id == project_id))
    }
    there = {
        row.task_id: row
        for row in session.scalars(select(ReviewRow).join(TaskRow, TaskRow.id == ReviewRow.task_id).where(TaskRow.project_id == project_id))
    }
    for old in there.values():
        old.active = False
    for one in doubtful:
        task = tasks.get(one.task)
        if task is None:
            raise InputError(
                f"The database has no task {one.task}.", "If project.yaml was changed, start the server once: sam2annotate crowd serve"
            )
        row = there.get(task.id)
        if row is None:
            row = ReviewRow(
                public_id=new_id(), task_id=task.id, created=now, active=True, doubt=one.doubt, reasons=[], boxes_rc=[], outline=None
            )
            session.add(row)
        row.active, row.doubt, row.reasons = True, float(one.doubt), list(one.reasons)
        row.boxes_rc = boxes_to_lists(one.boxes_rc)
        row.outline = None if one.outline is None else [[[float(r), float(c)] for r, c in line] for line in one.outline]


def queue(session: Session, project_id: int, limit: int, decided: bool = False) -> list[ReviewItem]:
    """Doubtful slices, the most doubtful first; those that somebody decided only if asked for, at the end."""
    rows = session.scalars(
        select(ReviewRow)
        .join(TaskRow, TaskRow.id == ReviewRow.task_id)
        .where(TaskRow.project_id == project_id, ReviewRow.active)
        .order_by(ReviewRow.doubt.desc(), ReviewRow.id)
        .options(joinedload(ReviewRow.task))
    ).all()
    done = set(session.scalars(select(DecisionRow.review_id).where(DecisionRow.review_id.in_([row.id for row in rows]))))
    items = [item_from(row, row.id in done) for row in rows]
    return [*(one for one in items if not one.decided), *(one for one in items if one.decided and decided)][:limit]


def item_from(row: ReviewRow, decided: bool = False) -> ReviewItem:
    """The value of a row."""
    task = Task(row.task.volume, row.task.object, row.task.position)
    outline = None if row.outline is None else tuple(tuple((r, c) for r, c in line) for line in row.outline)
    return ReviewItem(row.public_id, Doubtful(task, row.doubt, tuple(row.reasons), boxes_from_lists(row.boxes_rc), outline), decided)


def find_review(session: Session, public_id: str) -> ReviewRow | None:
    """A slice in the queue by its id."""
    return session.scalar(select(ReviewRow).where(ReviewRow.public_id == public_id).options(joinedload(ReviewRow.task)))


def decide(
    session: Session, review: ReviewRow, person_id: int, kind: str, boxes_rc: Sequence[Box2D], client_id: str, now: datetime
) -> bool:
    """Add a decision; the same client's id again adds nothing. Returns whether it was saved before."""
    known = session.scalar(select(DecisionRow).where(DecisionRow.person_id == person_id, DecisionRow.client_id == client_id))
    if known is not None:
        if known.review_id != review.id:
            raise InputError("This 'client_id' belongs to another decision. Each decision has a new one.")
        return True
    session.add(
        DecisionRow(
            review_id=review.id, person_id=person_id, kind=kind, boxes_rc=boxes_to_lists(tuple(boxes_rc)), decided=now, client_id=client_id
        )
    )
    session.flush()
    return False


def decisions(session: Session, project_id: int) -> dict[Task, Decision]:
    """The last decision on each slice."""
    rows = session.execute(
        select(DecisionRow, PersonRow.pseudonym, TaskRow)
        .join(ReviewRow, ReviewRow.id == DecisionRow.review_id)
        .join(TaskRow, TaskRow.id == ReviewRow.task_id)
        .join(PersonRow, PersonRow.id == DecisionRow.person_id)
        .where(TaskRow.project_id == project_id)
        .order_by(DecisionRow.id)
    )
    found: dict[Task, Decision] = {}
    for row, pseudonym, task in rows:
        where = Task(task.volume, task.object, task.position)
        found[where] = Decision(where, row.kind, boxes_from_lists(row.boxes_rc), pseudonym, row.decided)  # type: ignore[arg-type]
    return found
