"""Outcome: all that a project's answers led to, at one time. Imports quality and the rooms below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ..answers import Answer, Task
from ..consensus import ConsensusSlice
from ..masks import MaskedSlice
from ..quality import Agreement, PersonReport, SliceDoubt


@dataclass(frozen=True, order=True)
class RunKey:
    """One object on one volume, by their keys."""

    volume: str
    object: str


@dataclass(frozen=True, eq=False)
class Outcome:
    """What was made of the answers.

    Args:
        project: key.
        digest: SHA-256 of the answers, known answers and decisions that it rests on.
        made: when, with time zone.
        way: from boxes to masks, one of `make.WAYS`; "" without a model.
        engine: the model, as it describes itself; None without one.
        answers: those that it rests on.
        consensus: by task.
        people: by pseudonym.
        agreements: on each object.
        masks: by object and volume, then by position; empty without a model.
        doubts: by task.
        decided: slices that a reviewer decided.
        notes: what a reader should know of it, a sentence each.
        known: tasks whose answer was known from the start; they are not asked for labels.
    """

    project: str
    digest: str
    made: datetime
    way: str
    engine: dict | None
    answers: tuple[Answer, ...]
    consensus: Mapping[Task, ConsensusSlice]
    people: Mapping[str, PersonReport]
    agreements: tuple[Agreement, ...]
    masks: Mapping[RunKey, Mapping[int, MaskedSlice]]
    doubts: Mapping[Task, SliceDoubt]
    decided: int = 0
    notes: tuple[str, ...] = ()
    known: frozenset[Task] = frozenset()

    def result_of(self, task: Task) -> MaskedSlice | None:
        """The mask of a task's slice, if there is one."""
        return self.masks.get(RunKey(task.volume, task.object), {}).get(task.position)
