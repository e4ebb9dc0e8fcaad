"""What a project's owner asks for: how far it is, who is in it, ways in for others. Imports calls, records and problems."""

from __future__ import annotations

from ...errors import InputError
from ..records import Invite
from .calls import Call, Reply
from .problems import not_there


def status(call: Call) -> Reply:
    """``GET /api/projects/{id}/status``: counts by volume and by person, under pseudonyms."""
    _, served, _ = call.member("owner")
    return Reply(call.service.records.progress(served.project.key).to_json())


def people(call: Call) -> Reply:
    """``GET /api/projects/{id}/people``: who is who, which only owners learn."""
    _, served, _ = call.member("owner")
    members = call.service.records.members(served.project.key)
    return Reply([{"name": one.person.name, "person": one.person.pseudonym, "role": one.role} for one in members])


def invite(call: Call) -> Reply:
    """``POST /api/projects/{id}/invites {role, days, note}``: a link that is told this once; its token is never in a log."""
    visitor, served, _ = call.member("owner")
    fields = call.fields("role", "days", "note", "uses")
    token = call.service.records.make_invite(
        served.project.key, fields.text("role", "annotator"), fields.number("days", 14), fields.whole("uses", 1, 1000, 1),  # type: ignore[arg-type]
        fields.text("note", ""), visitor.person,
    )  # fmt: skip
    return Reply({"link": f"{call.origin}/#invite={token}"})


def invites(call: Call) -> Reply:
    """``GET /api/projects/{id}/invites``: all that were made, without their tokens, which nobody can tell any more."""
    _, served, _ = call.member("owner")
    return Reply([_invite(one) for one in call.service.records.invites(served.project.key)])


def revoke(call: Call) -> Reply:
    """``POST /api/projects/{id}/invites/{number}/revoke``: nobody joins by it any more; who did stays."""
    _, served, _ = call.member("owner")
    call.fields()
    number = call.path["invite"]
    if not (number.isascii() and number.isdecimal() and len(number) < 7):
        raise not_there()
    try:
        revoked = call.service.records.revoke_invite(served.project.key, int(number))
    except InputError as exc:
        raise not_there() from exc
    return Reply(_invite(revoked))


def _invite(one: Invite) -> dict:
    return {
        "number": one.number, "role": one.role, "note": one.note, "created": one.created.isoformat(timespec="seconds"),
        "expires": one.expires.isoformat(timespec="seconds"), "uses_left": one.uses_left, "state": one.state,
        "revoked": None if one.revoked is None else one.revoked.isoformat(timespec="seconds"),
    }  # fmt: skip
