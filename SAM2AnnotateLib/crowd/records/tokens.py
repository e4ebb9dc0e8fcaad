"""Random tokens, of which only hashes are kept, and the sessions that they open. Imports tables.

A token is 32 random bytes, which cannot be guessed; so one pass of SHA-256 keeps whoever reads the database from using it. Looking up a
hash in an index tells nothing of the token by its time.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from .tables import PersonRow, SessionRow

_LONGEST_TOKEN = 100
_READABLE = "abcdefghjkmnpqrstuvwxyz23456789"  # none that could be taken for another


def new_token() -> str:
    """A secret that lets somebody in."""
    return secrets.token_urlsafe(32)


def new_id() -> str:
    """An id that nobody guesses."""
    return secrets.token_urlsafe(16)


def hash_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token[:_LONGEST_TOKEN].encode("utf-8", "surrogatepass")).hexdigest()


def csrf_of(token: str) -> str:
    """What a page proves with that it is ours: made from the cookie's token, which no script can read, and not the other way round."""
    return hashlib.sha256(b"csrf:" + token[:_LONGEST_TOKEN].encode("utf-8", "surrogatepass")).hexdigest()


def add_session(session: Session, person_id: int, hours: float, now: datetime) -> str:
    """A new session's token; sessions that are over are forgotten."""
    session.execute(delete(SessionRow).where(SessionRow.expires <= now))
    token = new_token()
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
