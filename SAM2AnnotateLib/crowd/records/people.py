"""Accounts and memberships. Imports tables, passwords, values and errors."""

from __future__ import annotations

import secrets
import unicodedata
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from ...errors import InputError
from .tables import MembershipRow, PersonRow, ProjectRow
from .values import ROLES, Member, Person, Role

_LONGEST_NAME = 60
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that could be taken for another


def checked_name(name: str) -> str:
    """A name that can be shown in one line. Raises InputError."""
    name = unicodedata.normalize("NFC", name).strip()
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise InputError(f"A name has 1 to {_LONGEST_NAME} letters that can be shown in one line.")
    return name


def folded(name: str) -> str:
    """Equal for names that could be taken for each other by case or by how their letters are composed."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


def person_from(row: PersonRow) -> Person:
    """The value of a row."""
    return Person(row.id, row.name, row.pseudonym)


def add_person(session: Session, name: str, password_hash: str, now: datetime) -> PersonRow:
    """A new account. Raises InputError if the name is taken or none."""
    name = checked_name(name)
    if find_person(session, name) is not None:
        raise InputError(f"The name '{name}' is taken.", "Choose another one, or sign in if it is yours.")
    row = PersonRow(
        name=name, folded_name=folded(name), pseudonym=_new_pseudonym(session), password=password_hash, created=now, disabled=False
    )
    session.add(row)
    session.flush()
    return row


def find_person(session: Session, name: str) -> PersonRow | None:
    """Whose name it is, or None."""
    return session.scalar(select(PersonRow).where(PersonRow.folded_name == folded(name)))


def set_role(session: Session, person_id: int, project_id: int, role: Role, now: datetime) -> None:
    """Let a person into a project; somebody who is in it keeps the higher role."""
    require_role(role)
    row = session.get(MembershipRow, (person_id, project_id))
    if row is None:
        session.add(MembershipRow(person_id=person_id, project_id=project_id, role=role, joined=now, planned=0, planned_at=-1))
    elif ROLES.index(role) > ROLES.index(row.role):
        row.role = role


def require_role(role: str) -> None:
    """Raise InputError unless it is one."""
    if role not in ROLES:
        raise InputError(f"A role is one of {', '.join(ROLES)}, got '{role[:40]}'.")


def memberships(session: Session, person_id: int) -> list[Member]:
    """All projects that a person is in, by title."""
    return _members(session, PersonRow.id == person_id, ProjectRow.title, ProjectRow.id)


def members(session: Session, project_id: int) -> list[Member]:
    """Everybody in a project, in the order in which they came."""
    return _members(session, ProjectRow.id == project_id, MembershipRow.joined, PersonRow.id)


def rows_of(session: Session, project_id: int) -> list[PersonRow]:
    """The accounts of everybody in a project."""
    query = select(PersonRow).join(MembershipRow, MembershipRow.person_id == PersonRow.id).where(MembershipRow.project_id == project_id)
    return list(session.scalars(query.order_by(PersonRow.id)))


def member_named(session: Session, project_id: int, name: str) -> PersonRow:
    """The account of somebody in a project. Raises InputError if nobody there has this name."""
    row = find_person(session, name)
    if row is None or session.get(MembershipRow, (row.id, project_id)) is None:
        raise InputError(f"Nobody in this project is called '{name}'.", "sam2annotate crowd people FOLDER lists who there is.")
    return row


def _members(session: Session, which: ColumnElement[bool], *order: Any) -> list[Member]:
    rows = session.execute(
        select(PersonRow, MembershipRow, ProjectRow)
        .join(MembershipRow, MembershipRow.person_id == PersonRow.id)
        .join(ProjectRow, ProjectRow.id == MembershipRow.project_id)
        .where(which)
        .order_by(*order)
    )
    return [
        Member(person_from(person), project.key, project.public_id, project.title, membership.role)  # type: ignore[arg-type]
        for person, membership, project in rows
    ]


def _new_pseudonym(session: Session) -> str:
    while True:
        pseudonym = "P-" + "".join(secrets.choice(_LETTERS) for _ in range(6))
        if session.scalar(select(PersonRow.id).where(PersonRow.pseudonym == pseudonym)) is None:
            return pseudonym
