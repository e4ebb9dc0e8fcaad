"""Answers into the database and out of it. Imports answers, tables, turns, values and errors."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session, joinedload

from ...errors import InputError
from ...geometry import Box2D
from ..answers import Answer, GoldAnswer, Task, check_boxes
from .projects import boxes_from_lists, boxes_to_lists
from .tables import AnswerRow, AssignmentRow, PersonRow, ProjectRow, TaskRow
from .turns import find_turn, lock_project_of, open_count, turn_from
from .values import Saved

MOST_BOXES = 100
MOST_ROUNDS = 200
_LARGEST = 1 << 20
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


def require_answer(kind: str, boxes_rc: Sequence[Box2D], seconds: float, client_id: str) -> None:
    """Raise InputError unless this can be an answer."""
    check_boxes(kind, tuple(boxes_rc))
    if len(boxes_rc) > MOST_BOXES:
        raise InputError(f"An answer has at most {MOST_BOXES} boxes, got {len(boxes_rc)}.")
    if len(set(boxes_rc)) < len(boxes_rc):
        raise InputError("The same box is there twice.")
    for box in boxes_rc:
        if min(box.row_start, box.col_start) < 0 or max(box.row_stop, box.col_stop) > _LARGEST:
            raise InputError(f"The box {box.short} leaves the slice.")
    if not (math.isfinite(seconds) and seconds >= 0):
        raise InputError(f"'seconds' is 0 or more, got {seconds}.")
    if not _CLIENT_ID.fullmatch(client_id):
        raise InputError("'client_id' is 8 to 64 letters, digits, '-' and '_', such as a UUID.")


def save(
    session: Session, person_id: int, turn_id: str, kind: str, boxes_rc: Sequence[Box2D], seconds: float, client_id: str, now: datetime
) -> Saved | None:
    """Add an answer; the same client's id again adds nothing. Does not check what `require_answer` does.

    Returns:
        What is saved once the transaction is committed; None if there is no such turn of this person.
    """
    turn = find_turn(session, turn_id, person_id)
    if turn is None:
        return None
    lock_project_of(session, turn.task_id)
    session.refresh(turn)
    session.refresh(turn.task)
    known = session.scalar(select(AnswerRow).where(AnswerRow.person_id == person_id, AnswerRow.client_id == client_id))
    if known is not None:
        if known.assignment_id != turn.id:
            raise InputError("This 'client_id' belongs to another answer. Each answer has a new one.")
        return _saved(turn, known.round, again=True)
    rounds = session.scalar(select(func.count()).select_from(AnswerRow).where(AnswerRow.assignment_id == turn.id)) or 0
    if rounds >= MOST_ROUNDS:
        raise InputError(f"This task was answered {rounds} times; that is enough.")
    if turn.state in ("open", "released"):
        task = turn.task
        held = turn.state == "open" and turn.expires > now
        needed = task.wanted is None or held or task.answered + open_count(session, task.id, now, but=turn.id) < task.wanted
        turn.state = "answered" if needed else "aside"
        if needed:
            task.answered += 1
    session.add(
        AnswerRow(
            assignment_id=turn.id, person_id=person_id, round=rounds, kind=kind, boxes_rc=boxes_to_lists(tuple(boxes_rc)),
            seconds=float(seconds), answered=now, client_id=client_id,
        )
    )  # fmt: skip
    session.flush()
    return _saved(turn, rounds)


def _saved(turn: AssignmentRow, rounds: int, again: bool = False) -> Saved:
    known = turn.task.known_boxes if turn.task.kind == "training" else None
    return Saved(turn_from(turn), rounds, turn.state == "answered", None if known is None else boxes_from_lists(known), again)


def all_answers(session: Session, project_id: int, aside: bool, every_round: bool, tasks: Collection[Task] | None = None) -> list[Answer]:
    """Answers, of these tasks or of all, in the order in which their tasks lie in the project and people first came to them."""
    query = (
        select(AnswerRow, PersonRow.pseudonym, AssignmentRow.id, TaskRow)
        .join(AssignmentRow, AssignmentRow.id == AnswerRow.assignment_id)
        .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
        .join(PersonRow, PersonRow.id == AnswerRow.person_id)
        .where(TaskRow.project_id == project_id, AssignmentRow.state.in_(("answered", "aside") if aside else ("answered",)))
        .order_by(TaskRow.volume, TaskRow.object, TaskRow.position, AssignmentRow.id, AnswerRow.round)
    )
    if tasks is not None:
        place = tuple_(TaskRow.volume, TaskRow.object, TaskRow.position)
        query = query.where(place.in_([(one.volume, one.object, one.position) for one in tasks]))
    found: dict[tuple[int, int], Answer] = {}
    for row, pseudonym, turn_id, task in session.execute(query):
        found[turn_id, row.round if every_round else 0] = answer_from(row, pseudonym, task)
    return list(found.values())


def answer_from(row: AnswerRow, pseudonym: str, task: TaskRow) -> Answer:
    """The value of a row."""
    return Answer(
        Task(task.volume, task.object, task.position), pseudonym, row.kind, boxes_from_lists(row.boxes_rc), row.seconds, row.answered,  # type: ignore[arg-type]
        gold=task.kind != "real", training=task.kind == "training", round=row.round,
    )  # fmt: skip


def gold_of(session: Session, project_id: int) -> dict[Task, GoldAnswer]:
    """Known answers as the database has them."""
    rows = session.scalars(
        select(TaskRow)
        .where(TaskRow.project_id == project_id, TaskRow.kind != "real", TaskRow.active)
        .order_by(TaskRow.volume, TaskRow.object, TaskRow.position)
    )
    tasks = {Task(row.volume, row.object, row.position): row.known_boxes or [] for row in rows}
    return {task: GoldAnswer(task, boxes_from_lists(boxes)) for task, boxes in tasks.items()}


def mine(session: Session, project_id: int, person_id: int, limit: int) -> list[tuple[AssignmentRow, AnswerRow]]:
    """A person's answered turns with the last answer each, newest first."""
    last = (
        select(AnswerRow.assignment_id, func.max(AnswerRow.id).label("last"))
        .where(AnswerRow.person_id == person_id)
        .group_by(AnswerRow.assignment_id)
        .subquery()
    )
    rows = session.execute(
        select(AssignmentRow, AnswerRow)
        .join(last, last.c.assignment_id == AssignmentRow.id)
        .join(AnswerRow, AnswerRow.id == last.c.last)
        .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
        .where(TaskRow.project_id == project_id, AssignmentRow.person_id == person_id)
        .order_by(AnswerRow.id.desc())
        .limit(limit)
        .options(joinedload(AssignmentRow.task))
    )
    return [(turn, answer) for turn, answer in rows]


def last_answer(session: Session, turn_id: int) -> AnswerRow | None:
    """The answer of a turn that counts, or None."""
    return session.scalar(select(AnswerRow).where(AnswerRow.assignment_id == turn_id).order_by(AnswerRow.round.desc()).limit(1))


def project_row(session: Session, key: str) -> ProjectRow:
    """A project's row. Raises InputError if there is none."""
    row = session.scalar(select(ProjectRow).where(ProjectRow.key == key))
    if row is None:
        raise InputError(f"The database has no project '{key}'.", "Start it once: sam2annotate crowd serve FOLDER")
    return row
