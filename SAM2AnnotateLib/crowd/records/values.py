"""What the records give: people, invites, saved answers, slices to review. Imports answers, geometry and errors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ...errors import InputError
from ...geometry import Box2D
from ..answers import Kind, Task, check_boxes

Role = Literal["annotator", "reviewer", "owner"]
ROLES: tuple[Role, ...] = ("annotator", "reviewer", "owner")
TaskKind = Literal["real", "gold", "training"]
InviteState = Literal["open", "used up", "over", "revoked"]


@dataclass(frozen=True)
class Person:
    """Somebody with an account.

    Args:
        id: in this database.
        name: as they chose it; it goes nowhere but to their own browser and to owners of their projects.
        pseudonym: what everything that is exported calls them.
    """

    id: int
    name: str
    pseudonym: str


@dataclass(frozen=True)
class Member:
    """A person in a project, and what they may do there: each role may do what those before it may."""

    person: Person
    project: str
    project_id: str
    title: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether this person may do what `role` may."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True)
class Invite:
    """A way into a project, without its token, which nobody has but who was given it.

    Args:
        number: in the project, from 1.
        role: that it gives.
        note: for whom it is; only owners see it.
        created, expires: with time zone.
        uses_left: how many more people it lets in, if it is open.
        revoked: when, or None.
        state: now.
    """

    number: int
    role: Role
    note: str
    created: datetime
    expires: datetime
    uses_left: int
    revoked: datetime | None
    state: InviteState


@dataclass(frozen=True)
class Turn:
    """One person's turn at one task.

    Args:
        id: random; tells nothing of the task.
        task: what is asked.
        kind: `real`, `gold` (the answer is known, the person is not told) or `training` (with feedback).
        expires: until when it is kept.
        answered: whether this person has answered it.
    """

    id: str
    task: Task
    kind: TaskKind
    expires: datetime
    answered: bool = False


@dataclass(frozen=True)
class Saved:
    """An answer that is in the database.

    Args:
        turn: whose answer it is.
        round: how often this person had answered the task before.
        counted: False if enough others had answered before it came; it is kept, and counts as soon as it is needed.
        known_boxes_rc: the right answer, in the training round only.
        again: it had been saved before, under the same client's id.
    """

    turn: Turn
    round: int
    counted: bool
    known_boxes_rc: tuple[Box2D, ...] | None = None
    again: bool = False


@dataclass(frozen=True)
class Doubtful:
    """A slice that a reviewer is to look at.

    Args:
        task: which.
        doubt: 0 (none) to 1.
        reasons: sentences for the reviewer.
        boxes_rc: the consensus so far, half-open.
        outline: of the mask so far: polygons of (row, column), or None.
    """

    task: Task
    doubt: float
    reasons: tuple[str, ...] = ()
    boxes_rc: tuple[Box2D, ...] = ()
    outline: tuple[tuple[tuple[float, float], ...], ...] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.doubt <= 1:
            raise InputError(f"A doubt is 0 to 1, got {self.doubt}.")
        object.__setattr__(self, "reasons", tuple(self.reasons))
        object.__setattr__(self, "boxes_rc", tuple(self.boxes_rc))


@dataclass(frozen=True)
class ReviewItem:
    """A doubtful slice in the queue, under an id of its own; `decided` if somebody has."""

    id: str
    doubtful: Doubtful
    decided: bool


@dataclass(frozen=True)
class Decision:
    """What a reviewer said about a slice: final.

    Args:
        task: which.
        kind: as in an answer.
        boxes_rc: half-open; empty unless `kind` is `box`.
        reviewer: pseudonym.
        when: with time zone.
    """

    task: Task
    kind: Kind
    boxes_rc: tuple[Box2D, ...]
    reviewer: str
    when: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "boxes_rc", tuple(self.boxes_rc))
        check_boxes(self.kind, self.boxes_rc)
