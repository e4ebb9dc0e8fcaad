"""What a project's owner asks for: how far it is, who is in it, and a way in for others. Imports calls and records."""

from __future__ import annotations

from .calls import Call, Reply


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
