"""What all people together say of each task. Imports the rest of this room, answers and geometry.

Presence goes by each person's sensitivity and specificity and by the slices beside; boxes by how exact each person's edges are, corrected
for the way in which they are always off. "Not sure" speaks for neither. What a reviewer decided, or was known, is final.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, Protocol

from ...geometry import Box2D
from ..answers import Answer, GoldAnswer, Task
from .accuracy import PersonAccuracy, people_accuracy, union_iou
from .consensus_boxes import ConsensusBox, Drawn, Edges, consensus_boxes, edges_of, expected_boxes
from .presence import CERTAIN, evidence, presence_between, probability, run_evidence

_PRESENT = 0.5
# A slice whose presence is surer than this lets its neighbors expect boxes.
_SURE = 0.7


class DecisionLike(Protocol):
    """What a reviewer decided: `box` with boxes, or `absent`."""

    @property
    def kind(self) -> str:
        """`box` or `absent`."""

    @property
    def boxes_rc(self) -> tuple[Box2D, ...]:
        """The boxes."""


@dataclass(frozen=True)
class ConsensusSlice:
    """What people together say of one task.

    Args:
        task: what was asked.
        presence: probability that the object is on the slice, 0..1.
        boxes: of its parts, if it is there; they are given where presence is small too, as what some drew.
        agreement: mean over pairs of people of the IoU of what they marked (both "not here": 1, one of them: 0); None for fewer than two.
        n: people who answered.
        n_box, n_absent, n_unsure: of these, who said what.
        others: parts that were drawn and do not count.
        source: what it rests on: ``answers``, a reviewer's ``decision``, or that the answer was ``known``.
    """

    task: Task
    presence: float
    boxes: tuple[ConsensusBox, ...]
    agreement: float | None
    n: int
    n_box: int = 0
    n_absent: int = 0
    n_unsure: int = 0
    others: tuple[ConsensusBox, ...] = ()
    source: Literal["answers", "decision", "known"] = "answers"

    @property
    def present(self) -> bool:
        """Whether the object is believed to be here, with a box or without."""
        return self.presence >= _PRESENT

    @property
    def final(self) -> bool:
        """Whether a reviewer decided it, or it was known."""
        return self.source != "answers"

    @property
    def counted_boxes(self) -> tuple[ConsensusBox, ...]:
        """The boxes, where the object is believed to be here."""
        return self.boxes if self.present else ()


def consensus_of(
    answers: Sequence[Answer],
    accuracies: Mapping[str, PersonAccuracy],
    presence: float | None = None,
    expected: Sequence[Edges] = (),
) -> ConsensusSlice:
    """What the answers to one task say together.

    Args:
        answers: to the same task, one of each person; at least one.
        accuracies: of the people who answered, see `people_accuracy`.
        presence: what is known of it with the slices beside; None to go by these answers alone.
        expected: boxes that the slices beside let expect, to decide between places that equally many people drew.
    """
    listed = sorted(answers, key=lambda one: one.person)
    drawn: dict[str, list[Drawn]] = {}
    for one in listed:
        if one.kind == "box":
            by = accuracies[one.person]
            drawn[one.person] = [Drawn(one.person, by.corrected(edges_of(box)), by.deviation, by.trust) for box in one.boxes_rc]
    boxes, others = consensus_boxes(drawn, expected)
    sure = [one for one in listed if one.kind != "unsure"]
    pairs = [union_iou(map(edges_of, a.boxes_rc), map(edges_of, b.boxes_rc)) for a, b in combinations(sure, 2)]
    return ConsensusSlice(
        listed[0].task,
        probability(_log_ratio(listed, accuracies)) if presence is None else presence,
        boxes,
        sum(pairs) / len(pairs) if pairs else None,
        len(listed),
        len(drawn),
        len(sure) - len(drawn),
        len(listed) - len(sure),
        others,
    )


def consensus_of_all(
    answers: Iterable[Answer],
    gold: Mapping[Task, GoldAnswer] | None = None,
    decisions: Mapping[Task, DecisionLike] | None = None,
    accuracies: Mapping[str, PersonAccuracy] | None = None,
) -> dict[Task, ConsensusSlice]:
    """What people together say of every task that was answered, with what the slices beside tell of it.

    Args:
        answers: as they stand, one for each person and task, in any order. Those on known slices count for people's accuracy alone.
        gold: what is known to be right; it stands, on volumes and objects that were asked for otherwise too.
        decisions: of reviewers; they are final.
        accuracies: of people, if they were worked out before.

    Returns:
        By task in rising order. A slice where the object is believed to be, though nobody drew it, has no boxes (`present` without any).
    """
    listed = list(answers)
    known, decided = dict(gold or {}), dict(decisions or {})
    people = people_accuracy(listed, known) if accuracies is None else accuracies
    by_task: dict[Task, list[Answer]] = defaultdict(list)
    for one in listed:
        if one.task not in known and not one.training:
            by_task[one.task].append(one)
    runs: dict[tuple[str, str], set[int]] = defaultdict(set)
    for task in {*by_task, *decided}:
        runs[task.volume, task.object].add(task.position)
    for task in known:
        if (task.volume, task.object) in runs:
            runs[task.volume, task.object].add(task.position)
    found: dict[Task, ConsensusSlice] = {}
    for (volume, name), positions in sorted(runs.items()):
        tasks = [Task(volume, name, position) for position in sorted(positions)]
        found |= _run_of(tasks, by_task, known, decided, people)
    return found


def _run_of(
    tasks: Sequence[Task],
    by_task: Mapping[Task, Sequence[Answer]],
    known: Mapping[Task, GoldAnswer],
    decided: Mapping[Task, DecisionLike],
    people: Mapping[str, PersonAccuracy],
) -> dict[Task, ConsensusSlice]:
    """One object on one volume: first each slice with the presence of its neighbors, then their boxes too."""
    final: dict[Task, ConsensusSlice] = {}
    log_ratios = _log_ratios([one for task in tasks for one in by_task.get(task, ())], people)
    for task in tasks:
        decision = decided.get(task)
        if decision is not None and decision.kind in ("box", "absent"):
            final[task] = _final(task, decision.boxes_rc, "decision", len(by_task.get(task, ())))
        elif task in known:
            final[task] = _final(task, known[task].boxes_rc, "known", 0)
        if task in final:
            log_ratios[task.position] = CERTAIN if final[task].boxes else -CERTAIN
    presence = presence_between(log_ratios)
    first: dict[Task, ConsensusSlice] = {}
    for task in tasks:
        if task in final:
            first[task] = final[task]
        elif task in by_task:
            first[task] = consensus_of(by_task[task], people, presence[task.position])
    sure = {task.position: one for task, one in first.items() if one.boxes and one.presence >= _SURE}
    found = {}
    for task, one in first.items():
        expected = _expected_at(task.position, sure)
        if one.final:
            found[task] = replace(one, boxes=tuple(replace(b, expected_iou=_iou_with(b, expected)) for b in one.boxes))
        else:
            found[task] = consensus_of(by_task[task], people, presence[task.position], expected)
    return found


def _iou_with(box: ConsensusBox, expected: Sequence[Edges]) -> float | None:
    return max((union_iou([box.edges_rc_px], [one]) for one in expected), default=None)


def _expected_at(position: int, sure: Mapping[int, ConsensusSlice]) -> tuple[Edges, ...]:
    """What the nearest surely marked slices on both sides let expect; nothing where one side has none: objects end."""
    below = max((p for p in sure if p < position), default=None)
    above = min((p for p in sure if p > position), default=None)
    if below is None or above is None:
        return ()
    return expected_boxes(position, *((p, [box.edges_rc_px for box in sure[p].boxes]) for p in (below, above)))


def _final(task: Task, boxes_rc: Sequence[Box2D], source: Literal["decision", "known"], n: int) -> ConsensusSlice:
    boxes = tuple(sorted((ConsensusBox(edges_of(box)) for box in boxes_rc), key=lambda one: one.edges_rc_px))
    return ConsensusSlice(task, 1.0 if boxes else 0.0, boxes, None, n, source=source)


def _log_ratios(answers: Sequence[Answer], people: Mapping[str, PersonAccuracy]) -> dict[int, float]:
    """By position, what the answers on one object of one volume speak for its presence; 0 where nobody was sure."""
    said: dict[str, dict[int, bool]] = defaultdict(dict)
    for one in answers:
        if one.kind != "unsure":
            said[one.person][one.task.position] = one.kind == "box"
    total = {one.task.position: 0.0 for one in answers}
    for person in sorted(said):
        by = people[person]
        for position, ratio in run_evidence(said[person], by.sensitivity.value, by.specificity.value).items():
            total[position] += ratio
    return total


def _log_ratio(answers: Sequence[Answer], people: Mapping[str, PersonAccuracy]) -> float:
    total = 0.0
    for one in sorted(answers, key=lambda answer: answer.person):
        if one.kind != "unsure":
            by = people[one.person]
            total += evidence(one.kind == "box", by.sensitivity.value, by.specificity.value)
    return total
