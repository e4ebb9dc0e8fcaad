"""Invites and sessions: random tokens, of which only hashes are kept. Imports tables, people, values and errors.

A token is 32 random bytes, which cannot be guessed; so one pass of SHA-256 keeps whoever reads the database from using it. Looking up a
hash in an index tells nothing of the token by its time.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from ...errors import InputError
from .people import require_role
from .tables import InviteRow, PersonRow, SessionRow
from .values import Role

_LONGEST_NOTE = 200
_LONGEST_TOKEN = 100
_READABLE = "abcdefghjkmnpqrstuvwxyz23456789"  # none that could be taken for another


def new_id() -> str:
    """An id that nobody guesses."""
    return secrets.token_urlsafe(16)


def hash_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token[:_LONGEST_TOKEN].encode("utf-8", "surrogatepass")).hexdigest()


def csrf_of(token: str) -> str:
    """What a page proves with that it is ours: made from the cookie's token, which no script can read, and not the other way round."""
    return hashlib.sha256(b"csrf:" + token[:_LONGEST_TOKEN].encode("utf-8", "surrogatepass")).hexdigest()


def add_invite(
    session: Session, project_id: int, role: Role, days: float, uses: int, note: str, created_by: int | None, now: datetime
) -> str:
    """A new invite's token, told this once. Raises InputError if role, days, uses or note are none."""
    require_role(role)
    if not 0 < days <= 366:
        raise InputError(f"An invite is open for up to 366 days, got {days:g}.")
    if not 1 <= uses <= 1000:
        raise InputError(f"An invite lets in 1 to 1000 people, got {uses}.")
    if len(note) > _LONGEST_NOTE or not (note.isprintable() or not note):
        raise InputError(f"A note is one line of up to {_LONGEST_NOTE} letters.")
    token = secrets.token_urlsafe(32)
    session.add(
        InviteRow(
            project_id=project_id, token_hash=hash_of(token), role=role, uses_left=uses, created=now,
            expires=now + timedelta(days=days), note=note, created_by=created_by,
        )
    )  # fmt: skip
    return token


def is_open(session: Session, token: str, now: datetime) -> bool:
    """Whether an invite lets somebody in now."""
    row = session.scalar(select(InviteRow).where(InviteRow.token_hash == hash_of(token)))
    return row is not None and row.expires > now and row.uses_left > 0


def use_invite(session: Session, token: str, now: datetime) -> InviteRow | None:
    """Take one use of an invite; None if it is none, or over."""
    row = session.scalar(select(InviteRow).where(InviteRow.token_hash == hash_of(token)))
    if row is None or row.expires <= now:
        return None
    # In one statement, so that two who come at once with the last use are two, and one is let in.
    taken = session.execute(
        update(InviteRow).where(InviteRow.id == row.id, InviteRow.uses_left > 0).values(uses_left=InviteRow.uses_left - 1)
    )
    return row if taken.rowcount == 1 else None  # type: ignore[attr-defined]


def add_session(session: Session, person_id: int, hours: float, now: datetime) -> str:
    """A new session's token; sessions that are over are forgotten."""
    session.execute(delete(SessionRow).where(SessionRow.expires <= now))
    token = secrets.token_urlsafe(32)
    session.add(SessionRow(token_hash=hash_of(token), person_id=person_id, created=now, expires=now + timedelta(hours=hours)))
    return token


def session_person(session: Session, token: str, now: datetime) -> PersonRow | None:
    """Who is signed in with this token, or None."""
    return session.scalar(
        select(PersonRow)
        .join(SessionRow, SessionRow.person_id == PersonRow.id)
        .where(SessionRow.token_hash == hash_of(token), SessionRow.expires > now, PersonRow.disabled.is_(False))
    )


def end_session(session: Session, token: str) -> int | None:
    """Sign out; whose session it was, or None if it is none."""
    here = SessionRow.token_hash == hash_of(token)
    person_id = session.scalar(select(SessionRow.person_id).where(here))
    session.execute(delete(SessionRow).where(here))
    return person_id


def end_sessions(session: Session, person_id: int) -> None:
    """Sign somebody out everywhere."""
    session.execute(delete(SessionRow).where(SessionRow.person_id == person_id))


def new_password() -> str:
    """A password that can be read out: four groups of four letters, 79 bits."""
    return "-".join("".join(secrets.choice(_READABLE) for _ in range(4)) for _ in range(4))
