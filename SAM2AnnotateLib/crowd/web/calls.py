"""A request as the routes see it, and what they answer. Imports gate, service, json_input and problems."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import InputError
from ...geometry import Box2D
from ...json_input import Fields, is_whole
from ..records import Member, Role
from .gate import Gate, Visitor
from .problems import not_allowed, not_there
from .service import CrowdService, Served


@dataclass(frozen=True)
class Reply:
    """What is sent back: JSON unless it is something else already."""

    body: Any
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cookie: str | None = None  # a new session's token; "" to forget it

    def content(self) -> bytes:
        """Bytes to send. A ``<`` is written so that no browser takes JSON for a page, whatever it thinks of its type."""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c").encode()


@dataclass(frozen=True)
class Call:
    """One request.

    Args:
        service: what is served.
        gate: who comes in.
        path: what the route's pattern took from the path.
        query: what stands behind the question mark.
        body: the JSON object of a POST.
        headers: by lower-case name.
        cookies: by name.
        address: where it comes from.
        origin: scheme and host that the browser sees.
    """

    service: CrowdService
    gate: Gate
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    address: str
    origin: str
    is_post: bool

    def visitor(self) -> Visitor:
        """Who is signed in; of a POST, with the proof that our page made it. Raises RefusedError."""
        visitor = self.gate.visitor(self.cookies)
        if self.is_post:
            self.gate.require_csrf(visitor, self.headers)
        return visitor

    def member(self, role: Role = "annotator") -> tuple[Visitor, Served, Member]:
        """Who is signed in, the project of the path, and what they are there. Raises RefusedError."""
        visitor = self.visitor()
        served = self.service.served(self.path["project"])
        if served is None:
            raise not_there()
        memberships = self.service.records.memberships(visitor.person)
        member = next((one for one in memberships if one.project_id == served.id), None)
        if member is None:
            raise not_there()
        if not member.may(role):
            raise not_allowed()
        return visitor, served, member

    def fields(self, *names: str) -> Fields:
        """The body, with fields of these names only. Raises InputError."""
        found = Fields(self.body, "the request")
        found.require_only(*names)
        return found

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number behind the question mark. Raises InputError."""
        text = self.query.get(name)
        if text is None:
            return default
        digits = text[1:] if text.startswith("-") else text
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 10 and low <= int(text) <= high):
            raise InputError(f"'{name}' is a whole number from {low} to {high}.")
        return int(text)


def boxes_from(value: list, shape_rc: tuple[int, int]) -> list[Box2D]:
    """Boxes as the page sends them. Raises InputError if one is none, or leaves the slice."""
    rows, cols = shape_rc
    boxes = []
    for one in value[:1000]:
        if not (isinstance(one, list) and len(one) == 4 and all(is_whole(edge) for edge in one)):
            raise InputError("A box is [first row, row past it, first column, column past it] in whole numbers.")
        r0, r1, c0, c1 = one
        if not (0 <= r0 < r1 <= rows and 0 <= c0 < c1 <= cols):
            raise InputError(f"The box {one} is empty or leaves the slice, which has {rows} rows and {cols} columns.")
        boxes.append(Box2D(r0, r1, c0, c1))
    return boxes
