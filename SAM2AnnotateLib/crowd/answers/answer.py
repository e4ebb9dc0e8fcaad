"""A task (one object on one slice of one volume), and what one person said about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ...errors import InputError
from ...geometry import Box2D

Kind = Literal["box", "absent", "unsure"]
KINDS: tuple[Kind, ...] = ("box", "absent", "unsure")


@dataclass(frozen=True, order=True)
class Task:
    """One object on one slice.

    Args:
        volume: key of the volume in the project.
        object: key of the object in the project.
        position: index of the upright slice (see `SliceStack`) along the project's axis.
    """

    volume: str
    object: str
    position: int


def check_boxes(kind: str, boxes_rc: tuple[Box2D, ...]) -> None:
    """Raise InputError unless it is a kind, and there are boxes just where it says so."""
    if kind not in KINDS:
        raise InputError(f"An answer is one of {', '.join(KINDS)}, got '{kind}'.")
    if (kind == "box") != bool(boxes_rc):
        raise InputError(f"An answer has boxes if it says 'box', and only then; got '{kind}' with {len(boxes_rc)} boxes.")


@dataclass(frozen=True)
class Answer:
    """What one person said about one task, as it stands (of several by the same person the last).

    Args:
        task: what was asked.
        person: pseudonym, never a name or an address.
        kind: `box` (the object is here), `absent` (not on this slice) or `unsure`.
        boxes_rc: half-open boxes in rows and columns of the upright slice, one for each part of the object; empty unless `kind` is `box`.
        seconds: time that the slice was looked at until it was answered; 0 where unknown.
        answered: when, with time zone.
        gold: the right answer was known, so that this one counts for the person's accuracy and not for the labels.
        training: given in the training round; as gold, and with feedback.
        round: how often this person had answered this task before.

    Raises:
        InputError: if kind and boxes disagree.
    """

    task: Task
    person: str
    kind: Kind
    boxes_rc: tuple[Box2D, ...] = ()
    seconds: float = 0.0
    answered: datetime | None = None
    gold: bool = False
    training: bool = False
    round: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "boxes_rc", tuple(self.boxes_rc))
        check_boxes(self.kind, self.boxes_rc)


@dataclass(frozen=True)
class GoldAnswer:
    """What is known to be right about one task: the boxes of the object's parts, or none where it is absent."""

    task: Task
    boxes_rc: tuple[Box2D, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "boxes_rc", tuple(self.boxes_rc))

    @property
    def kind(self) -> Kind:
        """`box` or `absent`."""
        return "box" if self.boxes_rc else "absent"
