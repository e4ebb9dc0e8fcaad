"""A doubt for each slice, with its reasons, for the reviewer's queue. Imports the rest of this room, answers and consensus."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ..answers import Answer, Task
from ..consensus import ConsensusSlice
from .missing import Finding, MaskLike, missing
from .people import PersonReport

_MOST_REASONS = 4


@dataclass(frozen=True)
class SliceDoubt:
    """The doubt about one slice.

    Args:
        value: 0 (nothing speaks against it, or it is final) to 1.
        reasons: in words, the strongest first.
    """

    value: float
    reasons: tuple[str, ...] = ()


def doubts(
    consensus: Mapping[Task, ConsensusSlice],
    answers: Iterable[Answer] = (),
    people: Mapping[str, PersonReport] | None = None,
    results: Mapping[Task, MaskLike] | None = None,
) -> dict[Task, SliceDoubt]:
    """The doubt about every slice of the consensus, and of every other that has a mask.

    What speaks against a slice adds up as independent chances do: two reasons of 0.5 are 0.75.

    Args:
        consensus: of all tasks.
        answers: as they stand; who stands out among those who answered a slice is told.
        people: reports on them.
        results: masks by task, where there are any.
    """
    found: dict[Task, list[Finding]] = defaultdict(list)
    for one in missing(consensus, results):
        found[one.task].append(one)
    random = {person for person, one in (people or {}).items() if one.is_random}
    for task, by in _answered_by(answers, random).items():
        said = consensus.get(task)
        if said is not None and not said.final and (said.n_box or said.present):
            share = len(by) / max(1, said.n)
            found[task].append(Finding(task, "few", 0.3 * share, f"{len(by)} of {said.n} answers are by people who answer without looking"))
    tasks = sorted({*consensus, *(results or {})})
    return {task: _doubt(found.get(task, [])) for task in tasks}


def _answered_by(answers: Iterable[Answer], people: Collection[str]) -> dict[Task, set[str]]:
    by: dict[Task, set[str]] = defaultdict(set)
    for one in answers:
        if one.person in people:
            by[one.task].add(one.person)
    return by


def _doubt(findings: list[Finding]) -> SliceDoubt:
    free = 1.0
    for one in findings:
        free *= 1 - min(max(one.strength, 0.0), 1.0)
    ordered = sorted(findings, key=lambda one: (-one.strength, one.reason))
    reasons = tuple(dict.fromkeys(one.reason for one in ordered))[:_MOST_REASONS]
    return SliceDoubt(round(1 - free, 4), reasons)
