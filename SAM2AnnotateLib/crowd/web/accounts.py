"""Signing in, joining by an invite, signing out, and who I am. Imports calls, assignment and `server`'s log."""

from __future__ import annotations

from ...errors import InputError
from ...server.log import event
from ..assignment import remaining
from ..records import ROLES, Person
from .calls import Call, Reply
from .gate import Visitor
from .problems import RefusedError


def log_in(call: Call) -> Reply:
    """``POST /api/login {name, password}``."""
    fields = call.fields("name", "password")
    name, password = fields.text("name"), fields.text("password")
    call.gate.require_patience(call.address, name)
    person = call.service.records.sign_in(name, password)
    if person is None:
        call.gate.wrong(call.address, name)
        event("refused", reason="password", address=call.address)
        raise RefusedError(401, "Name or password is wrong.", "Look at them and try again. If they are lost, ask for a new invite.")
    call.gate.right(call.address, name)
    return _signed_in(call, person)


def join(call: Call) -> Reply:
    """``POST /api/join {invite, name, password}``: a new account, or one's own in another project."""
    fields = call.fields("invite", "name", "password")
    invite, name, password = fields.text("invite"), fields.text("name"), fields.text("password")
    call.gate.require_patience(call.address, name)
    try:
        person = call.service.records.join(invite, name, password)
    except InputError:
        call.gate.wrong(call.address, name)  # a name that is taken: it must not be a way to guess its password
        raise
    if person is None:
        call.gate.wrong(call.address, name)
        event("refused", reason="invite", address=call.address)
        raise RefusedError(403, "This invite is not valid: it was used or revoked, or its time is over.", "Ask for a new one.")
    call.gate.right(call.address, name)
    event("joined", person=person.pseudonym)
    return _signed_in(call, person)


def log_out(call: Call) -> Reply:
    """``POST /api/logout``: others may have at once what this person holds."""
    visitor = call.visitor()
    call.service.records.end_session(visitor.token)
    return Reply({"signed_out": True}, cookie="")


def me(call: Call) -> Reply:
    """``GET /api/me``: who I am, and my projects."""
    visitor = call.visitor()
    return Reply({**_whoami(call, visitor.person), "csrf": visitor.csrf, "projects": _projects(call, visitor.person)})


def _signed_in(call: Call, person: Person) -> Reply:
    hours = max((one.project.rules.session_hours for one in call.service.projects), default=12.0)
    old = call.cookies.get(call.gate.cookie, "")
    if old:
        call.service.records.end_session(old, successor=person)
    token = call.service.records.open_session(person, hours)
    event("signed_in", person=person.pseudonym, address=call.address)
    visitor = Visitor(person, token)
    return Reply({"csrf": visitor.csrf, "person": _whoami(call, person)}, cookie=token)


def _whoami(call: Call, person: Person) -> dict:
    roles = [one.role for one in call.service.records.memberships(person) if call.service.served(one.project_id) is not None]
    return {"name": person.name, "role": max(roles, key=ROLES.index, default=ROLES[0])}


def _projects(call: Call, person: Person) -> list[dict]:
    found = []
    for member in call.service.records.memberships(person):
        served = call.service.served(member.project_id)
        if served is not None:
            left = remaining(call.service.records, served.project, person)
            found.append(
                {
                    "id": served.id, "title": served.project.title, "role": member.role, "left": left.left, "done": left.done,
                    "training_left": left.training_left,
                }
            )  # fmt: skip
    return found
