"""What is to be said of each person: accuracy, speed, bias, and who answers without looking. Imports answers, consensus and numpy.

**Who answers at random** is found by boxes that lie where the object cannot be: off every known or meant box, or where nothing is, two
slices and more from the object. A person is told of if so many among their boxes would be seen with a chance of less than 1 in 50, shared
out over all people, had they erred as often as is usual in this crowd (at least 1 in 100). Missed slices are tested alike: "not here" in
the midst of an object.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..answers import Answer, GoldAnswer, Task
from ..consensus import ConsensusSlice, Edges, Estimate, PersonAccuracy, edges_iou, edges_of, expected_boxes, match_edges, shrunk_mean
from ..consensus.consensus_boxes import sides_of

# A box that overlaps the right ones by less IoU than this is at the wrong place.
_OFF_IOU = 0.1
# So many slices beyond the object a box is a slip, not a sign of not looking.
_NEAR_SLICES = 2
# What is usual is not believed to be better than this, and the chance at which a person is told of.
_LEAST_RATE, _CHANCE = 0.01, 0.02
_FEWEST_OFF = 2
_SURE, _MIDST = 0.95, 2
_LEAST_BIAS, _BIAS_STRENGTH = 0.05, 2.0
_MUCH_FASTER = 3.0


@dataclass(frozen=True)
class PersonReport:
    """What is to be said of one person.

    Args:
        accuracy: on known slices and by agreement.
        answers: that count, training and known slices among them.
        boxes, absent, unsure: of these.
        seconds: median time of an answer with its 95 % interval; NaN where no time is known.
        outward: how far edges lie outside the right ones, as a share of the side; from known slices; negative: inside.
        shift_rc: how far boxes lie to larger (rows, columns), likewise.
        off: boxes where the object cannot be, and of how many that could be judged.
        missed: "not here" in the midst of an object, of how many such slices.
        off_chance, missed_chance: to see so many, had they erred as often as is usual; 1 where nothing could be judged.
        words: what stands out; none if nothing does.
    """

    accuracy: PersonAccuracy
    answers: int
    boxes: int
    absent: int
    unsure: int
    seconds: Estimate
    outward: Estimate
    shift_rc: tuple[Estimate, Estimate]
    off: tuple[int, int]
    missed: tuple[int, int]
    off_chance: float
    missed_chance: float
    words: tuple[str, ...] = field(default=())
    is_random: bool = False

    @property
    def person(self) -> str:
        """Pseudonym."""
        return self.accuracy.person


@dataclass
class _Judged:
    off: int = 0
    boxes: int = 0
    missed: int = 0
    midst: int = 0


def people_report(
    answers: Iterable[Answer],
    consensus: Mapping[Task, ConsensusSlice],
    accuracies: Mapping[str, PersonAccuracy],
    gold: Mapping[Task, GoldAnswer] | None = None,
) -> dict[str, PersonReport]:
    """A report on everyone who answered, by pseudonym.

    Args:
        answers: as they stand, one for each person and task, in any order.
        consensus: of all of them, see `consensus_of_all`.
        accuracies: see `people_accuracy`.
        gold: what is known to be right.
    """
    known = gold or {}
    by_person: dict[str, list[Answer]] = defaultdict(list)
    for one in sorted(answers, key=lambda answer: (answer.person, answer.task)):
        by_person[one.person].append(one)
    references = _References(consensus, known)
    judged = {person: _judge(listed, references) for person, listed in by_person.items()}
    usual_off = _usual([(one.off, one.boxes) for one in judged.values()])
    usual_missed = _usual([(one.missed, one.midst) for one in judged.values()])
    seconds = [one.seconds for one in accuracies.values() if math.isfinite(one.seconds)]
    usual_seconds = float(np.median(seconds)) if seconds else float("nan")
    bound = _CHANCE / max(1, len(by_person))
    return {
        person: _report(listed, accuracies[person], judged[person], known, (usual_off, usual_missed, usual_seconds, bound))
        for person, listed in by_person.items()
    }


class _References:
    """Where the object is on a slice, or may be, from what is known and from the consensus of that slice and those beside."""

    def __init__(self, consensus: Mapping[Task, ConsensusSlice], known: Mapping[Task, GoldAnswer]):
        self._consensus, self._known = consensus, known
        self._runs: dict[tuple[str, str], dict[int, tuple[Edges, ...]]] = defaultdict(dict)
        for task, one in consensus.items():
            if one.counted_boxes and one.presence >= _SURE:
                self._runs[task.volume, task.object][task.position] = tuple(box.edges_rc_px for box in one.counted_boxes)
        for task, gold in known.items():
            if gold.boxes_rc:
                self._runs[task.volume, task.object][task.position] = tuple(edges_of(box) for box in gold.boxes_rc)
        self._known_runs = {(task.volume, task.object) for task in known}

    def boxes(self, task: Task, without: str) -> list[Edges] | None:
        """Boxes that one at the right place overlaps; none if there can be no object; None if that cannot be told.

        Args:
            task: which slice.
            without: a person whose own boxes do not count.
        """
        if task in self._known:
            right = [edges_of(box) for box in self._known[task].boxes_rc]
            return right or (None if self._near(task) else [])
        one = self._consensus.get(task)
        if one is None:
            return None
        meant = [box.edges_rc_px for box in (*one.boxes, *one.others) if box.people != (without,)]
        beside = self._beside(task)
        if meant or beside:
            return meant + beside
        return None if self._near(task) or one.presence > 1 - _SURE else []

    def in_the_midst(self, task: Task) -> bool:
        """Whether a slice surely shows the object, with such slices on both sides."""
        if task in self._known:
            sure = bool(self._known[task].boxes_rc)
        else:
            one = self._consensus.get(task)
            sure = one is not None and one.presence >= _SURE
        run = self._runs.get((task.volume, task.object), {})
        below, above = [p for p in run if p < task.position], [p for p in run if p > task.position]
        return sure and len(below) >= _MIDST and len(above) >= _MIDST

    def _near(self, task: Task) -> bool:
        run = self._runs.get((task.volume, task.object), {})
        return any(abs(position - task.position) <= _NEAR_SLICES for position in run)

    def _beside(self, task: Task) -> list[Edges]:
        run = self._runs.get((task.volume, task.object), {})
        below = max((p for p in run if p < task.position), default=None)
        above = min((p for p in run if p > task.position), default=None)
        sides = [(p, run[p]) for p in (below, above) if p is not None and abs(p - task.position) <= max(_NEAR_SLICES, 1)]
        if not sides:
            return []
        if len(sides) == 2:
            return [*expected_boxes(task.position, sides[0], sides[1]), *sides[0][1], *sides[1][1]]
        return list(sides[0][1])


def _judge(answers: list[Answer], references: _References) -> _Judged:
    found = _Judged()
    for one in answers:
        if one.kind == "unsure":
            continue
        if references.in_the_midst(one.task):
            found.midst += 1
            found.missed += one.kind == "absent"
        if one.kind == "box":
            right = references.boxes(one.task, one.person)
            if right is not None:
                found.boxes += 1
                best = max((edges_iou(edges_of(box), other) for box in one.boxes_rc for other in right), default=0.0)
                found.off += best < _OFF_IOU
    return found


def _usual(counts: list[tuple[int, int]]) -> float:
    rates = [some / of for some, of in counts if of]
    return max(_LEAST_RATE, float(np.median(rates))) if rates else _LEAST_RATE


def _report(
    answers: list[Answer],
    accuracy: PersonAccuracy,
    judged: _Judged,
    known: Mapping[Task, GoldAnswer],
    usual: tuple[float, float, float, float],
) -> PersonReport:
    usual_off, usual_missed, usual_seconds, bound = usual
    off_chance = binomial_tail(judged.off, judged.boxes, usual_off)
    missed_chance = binomial_tail(judged.missed, judged.midst, usual_missed)
    outward, shift_rc = _biases(answers, known)
    words = []
    is_random = judged.off >= _FEWEST_OFF and off_chance < bound
    if is_random:
        words.append(f"{judged.off} of {judged.boxes} boxes lie where the object cannot be: answers without looking, or on the wrong side")
    if judged.missed >= _FEWEST_OFF and missed_chance < bound:
        words.append(f'"not here" on {judged.missed} of {judged.midst} slices in the midst of an object: passes over slices')
    if outward.n and (outward.low > 0 or outward.high < 0) and abs(outward.value) >= _LEAST_BIAS:
        words.append(f"boxes are too {'large' if outward.value > 0 else 'small'} by {abs(outward.value):.0%} of their side at each edge")
    for name, shift in zip(("down", "right"), shift_rc, strict=True):
        opposite = {"down": "up", "right": "left"}[name]
        if shift.n and (shift.low > 0 or shift.high < 0) and abs(shift.value) >= _LEAST_BIAS:
            words.append(f"boxes lie {abs(shift.value):.0%} of their side too far {name if shift.value > 0 else opposite}")
    seconds = _median([one.seconds for one in answers if one.seconds > 0])
    if seconds.n >= 10 and seconds.high * _MUCH_FASTER < usual_seconds:
        words.append(f"answers within {seconds.value:.1f} s, a third of what is usual or less")
    kinds = [one.kind for one in answers]
    return PersonReport(
        accuracy, len(answers), kinds.count("box"), kinds.count("absent"), kinds.count("unsure"), seconds, outward, shift_rc,
        (judged.off, judged.boxes), (judged.missed, judged.midst), off_chance, missed_chance, tuple(words), is_random,
    )  # fmt: skip


def _biases(answers: list[Answer], known: Mapping[Task, GoldAnswer]) -> tuple[Estimate, tuple[Estimate, Estimate]]:
    """Outward, and (down, right), as shares of the side, from boxes at the right place."""
    outward, down, right = [], [], []
    for one in answers:
        if one.kind == "box" and one.task in known:
            boxes, wanted = [edges_of(box) for box in one.boxes_rc], [edges_of(box) for box in known[one.task].boxes_rc]
            for i, j, _ in match_edges(boxes, wanted, least_iou=0.3):
                a, b, c, d = ((x - y) / side for x, y, side in zip(boxes[i], wanted[j], sides_of(wanted[j]), strict=True))
                outward.append((b - a + d - c) / 4)
                down.append((a + b) / 2)
                right.append((c + d) / 2)
    return _mean(outward), (_mean(down), _mean(right))


def _mean(values: list[float]) -> Estimate:
    return shrunk_mean(values, [1.0] * len(values), 0.0, 0.05, _BIAS_STRENGTH)


def _median(values: list[float]) -> Estimate:
    """The median, with the interval that ranks give (95 %); no assumption on how times are spread."""
    if not values:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    ordered, n = sorted(values), len(values)
    away = 1.96 * math.sqrt(n) / 2
    low, high = max(0, math.floor(n / 2 - away)), min(n - 1, math.ceil(n / 2 + away))
    return Estimate(float(np.median(ordered)), ordered[low], ordered[high], n)


def binomial_tail(hits: int, n: int, rate: float) -> float:
    """Chance of so many hits or more in n, at a rate of each; 1 for none of none."""
    if hits <= 0:
        return 1.0
    logs = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(rate) + (n - k) * math.log1p(-rate)
        for k in range(hits, n + 1)
    ]
    return min(1.0, math.fsum(math.exp(one) for one in logs))
