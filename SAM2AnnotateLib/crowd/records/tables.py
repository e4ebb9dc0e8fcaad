"""The tables. Imports SQLAlchemy and columns.

Nothing that people said is ever changed or removed: answers and decisions are only added, and the last counts. A row of `assignments` is
one person's turn at one task, and there is never a second one: so nobody is asked twice, and a late answer finds where it belongs.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Double, ForeignKey, Index, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from .columns import UtcTime

# Names that a later migration can refer to, whatever the database would have called them.
_NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """All tables."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {datetime: UtcTime(), float: Double(), list[Any]: JSON(none_as_null=True)}  # noqa: RUF012 - how SQLAlchemy is told


class ProjectRow(Base):
    """A project."""

    __tablename__ = "projects"
    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    key: Mapped[str] = mapped_column(String(80), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    created: Mapped[datetime]


class PersonRow(Base):
    """An account. `password` is an argon2 hash, or empty where nobody can sign in (simulated people)."""

    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    folded_name: Mapped[str] = mapped_column(String(200), unique=True)
    pseudonym: Mapped[str] = mapped_column(String(40), unique=True)
    password: Mapped[str] = mapped_column(String(200))
    created: Mapped[datetime]
    disabled: Mapped[bool] = mapped_column(default=False)


class MembershipRow(Base):
    """What a person is in a project. `planned` tasks were told to be left when `planned_at` were done."""

    __tablename__ = "memberships"
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(String(20))
    joined: Mapped[datetime]
    planned: Mapped[int] = mapped_column(default=0)
    planned_at: Mapped[int] = mapped_column(default=-1)


class InviteRow(Base):
    """A way in, until it is over, used up or revoked. The token itself is nowhere, only its hash."""

    __tablename__ = "invites"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    uses_left: Mapped[int]
    created: Mapped[datetime]
    expires: Mapped[datetime]
    note: Mapped[str] = mapped_column(String(200))
    created_by: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    revoked: Mapped[datetime | None]


class SessionRow(Base):
    """A browser that is signed in. The cookie itself is nowhere, only its hash."""

    __tablename__ = "sessions"
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    created: Mapped[datetime]
    expires: Mapped[datetime]


class TaskRow(Base):
    """One object on one slice. `answered` counts the answers that count; `wanted` is None where the answer is known."""

    __tablename__ = "tasks"
    __table_args__ = (
        UniqueConstraint("project_id", "volume", "object", "position", name="uq_tasks_place"),
        Index("ix_tasks_open", "project_id", "kind", "active", "answered"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    volume: Mapped[str] = mapped_column(String(80))
    object: Mapped[str] = mapped_column(String(80))
    position: Mapped[int]
    kind: Mapped[str] = mapped_column(String(20))
    known_boxes: Mapped[list[Any] | None]
    wanted: Mapped[int | None]
    active: Mapped[bool] = mapped_column(default=True)
    answered: Mapped[int] = mapped_column(default=0)


class AssignmentRow(Base):
    """One person's turn at one task; see `STATES`."""

    __tablename__ = "assignments"
    __table_args__ = (
        UniqueConstraint("task_id", "person_id", name="uq_assignments_turn"),
        Index("ix_assignments_state", "state", "expires"),
        Index("ix_assignments_person", "person_id", "state"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    state: Mapped[str] = mapped_column(String(20))
    created: Mapped[datetime]
    expires: Mapped[datetime]
    task: Mapped[TaskRow] = relationship()


class AnswerRow(Base):
    """What a person said, once."""

    __tablename__ = "answers"
    __table_args__ = (
        UniqueConstraint("person_id", "client_id", name="uq_answers_client"),
        UniqueConstraint("assignment_id", "round", name="uq_answers_round"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignments.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    round: Mapped[int]
    kind: Mapped[str] = mapped_column(String(20))
    boxes_rc: Mapped[list[Any]]
    seconds: Mapped[float]
    answered: Mapped[datetime]
    client_id: Mapped[str] = mapped_column(String(80))
    assignment: Mapped[AssignmentRow] = relationship()


class ReviewRow(Base):
    """A slice that a reviewer is to look at."""

    __tablename__ = "reviews"
    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"), unique=True)
    doubt: Mapped[float]
    reasons: Mapped[list[Any]]
    boxes_rc: Mapped[list[Any]]
    outline: Mapped[list[Any] | None]
    active: Mapped[bool] = mapped_column(default=True)
    created: Mapped[datetime]
    task: Mapped[TaskRow] = relationship()


class DecisionRow(Base):
    """What a reviewer said, once."""

    __tablename__ = "decisions"
    __table_args__ = (UniqueConstraint("person_id", "client_id", name="uq_decisions_client"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    review_id: Mapped[int] = mapped_column(ForeignKey("reviews.id"), index=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    kind: Mapped[str] = mapped_column(String(20))
    boxes_rc: Mapped[list[Any]]
    decided: Mapped[datetime]
    client_id: Mapped[str] = mapped_column(String(80))
    review: Mapped[ReviewRow] = relationship()
