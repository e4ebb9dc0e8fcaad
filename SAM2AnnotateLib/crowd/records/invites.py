"""Invites: made, used, revoked and listed; none is ever removed. Imports tables, tokens, people, values and errors."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ...errors import InputError
from .people import require_role
from .tables import InviteRow
from .tokens import hash_of, new_token
from .values import Invite, InviteState, Role

_LONGEST_NOTE = 200


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
    token = new_token()
    session.add(
        InviteRow(
            project_id=project_id, token_hash=hash_of(token), role=role, uses_left=uses, created=now,
            expires=now + timedelta(days=days), note=note, created_by=created_by,
        )
    )  # fmt: skip
    return token


def is_open(session: Session, token: str, now: datetime) -> bool:
    """Whether an invite lets somebody in now."""
    row = _row_of(session, token)
    return row is not None and _state(row, now) == "open"


def use_invite(session: Session, token: str, now: datetime) -> InviteRow | None:
    """Take one use of an invite; None if it is none, or lets nobody in any more."""
    row = _row_of(session, token)
    if row is None or row.expires <= now:
        return None
    # In one statement, so that two who come at once with the last use are two, and one is let in; and nobody who comes as it is revoked.
    still = (InviteRow.id == row.id, InviteRow.uses_left > 0, InviteRow.revoked.is_(None))
    taken = session.execute(update(InviteRow).where(*still).values(uses_left=InviteRow.uses_left - 1))
    return row if taken.rowcount == 1 else None  # type: ignore[attr-defined]


def revoke_invite(session: Session, project_id: int, invite: int | str, now: datetime) -> Invite:
    """Let nobody in by an invite any more; one that was revoked before stays as it is.

    Args:
        session: that writes.
        project_id: whose invite.
        invite: its number, or its token.
        now: this moment.

    Raises:
        InputError: if the project has no such invite.
    """
    rows = _rows_of(session, project_id)
    wanted = invite if isinstance(invite, int) else next((n for n, row in rows.items() if row.token_hash == hash_of(invite)), 0)
    row = rows.get(wanted)
    if row is None:
        called = f"number {invite}" if isinstance(invite, int) else "of this link"
        raise InputError(f"This project has no invite {called}.", "sam2annotate crowd people FOLDER lists those that there are.")
    if row.revoked is None:
        row.revoked = now
    return _invite(wanted, row, now)


def invites_of(session: Session, project_id: int, now: datetime) -> list[Invite]:
    """All that were ever made for a project, the first one first."""
    return [_invite(number, row, now) for number, row in _rows_of(session, project_id).items()]


def _row_of(session: Session, token: str) -> InviteRow | None:
    return session.scalar(select(InviteRow).where(InviteRow.token_hash == hash_of(token)))


def _rows_of(session: Session, project_id: int) -> dict[int, InviteRow]:
    """By number in the project, from 1. None is ever removed, so a number stays."""
    rows = session.scalars(select(InviteRow).where(InviteRow.project_id == project_id).order_by(InviteRow.id))
    return dict(enumerate(rows, start=1))


def _state(row: InviteRow, now: datetime) -> InviteState:
    if row.revoked is not None:
        return "revoked"
    if row.uses_left <= 0:
        return "used up"
    return "over" if row.expires <= now else "open"


def _invite(number: int, row: InviteRow, now: datetime) -> Invite:
    return Invite(number, row.role, row.note, row.created, row.expires, row.uses_left, row.revoked, _state(row, now))  # type: ignore[arg-type]
