"""How exact each person is: on slices whose answer is known and, where there are few of those, by agreement with the others.

Imports answers, the rest of this room and numpy. Estimates are pulled towards what is usual in this crowd, the more, the less is known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from ..answers import Answer, GoldAnswer, Task
from .consensus_boxes import Drawn, Edges, consensus_boxes, edges_iou, edges_of, match_edges, sides_of
from .estimates import Estimate, shrunk_mean, shrunk_rate
from .presence import evidence, probability

# What is usual before anything is known of a crowd, and how many answers that counts as.
_USUAL_SENSITIVITY, _USUAL_SPECIFICITY, _USUAL_PLACE = 0.9, 0.95, 0.95
_USUAL_IOU, _USUAL_IOU_SPREAD = 0.8, 0.12
_USUAL_DEVIATION = 0.08  # of an edge, as a share of the side
_STRENGTH = 4.0
# With fewer known answers than this, a person's agreement with others counts too, each answer as this share of a known one.
_ENOUGH_GOLD, _AGREEMENT_SHARE = 6, 0.5
# A box with less IoU than this with any that is right is at the wrong place: it tells nothing of how exactly edges are drawn.
_PLACE_IOU = 0.3
_LEAST_DEVIATION, _MOST_DEVIATION = 0.02, 0.5
_LEAST_TRUST = 0.02


@dataclass(frozen=True)
class PersonAccuracy:
    """How exact one person is.

    Args:
        person: pseudonym.
        iou: mean IoU of their boxes with the right ones, where both drew; 0 counts for a box at the wrong place.
        sensitivity: how often they saw an object that was there; "not sure" counts for neither.
        specificity: how often they said that it was not there where it was not.
        place: how often their box was at the right place (IoU of 0.3 or more).
        bias_rc_px: mean error of (row start, row stop, column start, column stop): negative starts and positive stops are boxes drawn
            too large; from known answers alone, pulled towards 0.
        deviation: of their edges after that, as a share of the box's side.
        seconds: median time of an answer; NaN where no time is known.
        weight: of their boxes' edges against those of a usual person, who has 1.
        unsure: share of their answers that were "not sure".
        n: answers of theirs on slices whose answer is known.
        compared: answers that were compared with other people's; those count where n is small.
        by: what this rests on: known answers (``gold``), those and ``agreement``, agreement alone, or ``nothing``: what is usual.
    """

    person: str
    iou: Estimate
    sensitivity: Estimate
    specificity: Estimate
    place: Estimate
    bias_rc_px: tuple[float, float, float, float]
    deviation: float
    seconds: float
    weight: float
    unsure: float
    n: int
    compared: int
    by: Literal["gold", "gold and agreement", "agreement", "nothing"]

    @property
    def trust(self) -> float:
        """How much their word weighs on whether there is a part here, 0..1: little for one whose boxes are often elsewhere."""
        return max(_LEAST_TRUST, self.place.value) ** 2

    def corrected(self, edges: Edges) -> Edges:
        """A box of theirs without their bias; as it is where that would leave nothing of it."""
        a, b, c, d = (edge - bias for edge, bias in zip(edges, self.bias_rc_px, strict=True))
        return (a, b, c, d) if b - a >= 1 and d - c >= 1 else edges


@dataclass
class _Seen:
    """What was seen of one person; each with its weight."""

    present: list[tuple[float, float]] = field(default_factory=list)  # weight, 1 if they said so
    absent: list[tuple[float, float]] = field(default_factory=list)
    ious: list[tuple[float, float]] = field(default_factory=list)
    placed: list[tuple[float, float]] = field(default_factory=list)
    errors_px: list[tuple[float, Edges]] = field(default_factory=list)
    shares: list[tuple[float, Edges, float]] = field(default_factory=list)  # weight, errors by side, what of it is their own
    sides: list[Edges] = field(default_factory=list)


def people_accuracy(answers: Iterable[Answer], gold: Mapping[Task, GoldAnswer] | None = None) -> dict[str, PersonAccuracy]:
    """The accuracy of everyone who answered, by pseudonym.

    Args:
        answers: as they stand, one for each person and task; in any order. Those of the training round count only for people who have no
            other answer on a known slice.
        gold: what is known to be right. Without any, people are compared with each other, which finds one who differs from the rest, and
            cannot find what all of them do wrong.
    """
    listed = sorted(answers, key=lambda one: (one.person, one.task, one.round))
    known = gold or {}
    tested = {one.person for one in listed if one.task in known and not one.training}
    by_task: dict[Task, list[Answer]] = defaultdict(list)
    by_person: dict[str, list[Answer]] = defaultdict(list)
    for one in listed:
        if one.training and one.person in tested:
            continue
        by_task[one.task].append(one)
        by_person[one.person].append(one)
    gold_seen = {person: _Seen() for person in by_person}
    other_seen = {person: _Seen() for person in by_person}
    counts: dict[str, list[int]] = {person: [0, 0] for person in by_person}
    asked = _asked_beside(by_task)
    for task, there in by_task.items():
        if task in known:
            right = [edges_of(box) for box in known[task].boxes_rc]
            for one in there:
                counts[one.person][0] += 1
                _note(gold_seen[one.person], one, 1.0 if right else 0.0, right, 1.0, 1.0)
        else:
            beside = [edges_of(box) for other in asked[task] for one in by_task[other] for box in one.boxes_rc]
            _compare(there, beside, other_seen, counts)
    biases = {person: _bias(seen) for person, seen in gold_seen.items()}  # of others it is not known which of two is off
    for person in by_person:
        if counts[person][0] < _ENOUGH_GOLD:
            _add(gold_seen[person], other_seen[person])
    usual = _usual(gold_seen)
    return {
        person: _accuracy(person, by_person[person], gold_seen[person], biases[person], usual, *counts[person])
        for person in sorted(by_person)
    }


def _note(
    seen: _Seen, answer: Answer, is_present: float, right: list[Edges], weight: float, own: float, may_be_absent: bool = True
) -> None:
    """Note how one answer compares with what is right, or what others said.

    Args:
        seen: where.
        answer: the answer.
        is_present: how likely the object is there, 0..1.
        right: the boxes that are right.
        weight: of this observation.
        own: share of a squared error of an edge that is this person's own.
        may_be_absent: whether it can count against their specificity.
    """
    if answer.kind == "unsure":
        return
    says = 1.0 if answer.kind == "box" else 0.0
    if is_present > 0:
        seen.present.append((weight * is_present, says))
    if is_present < 1 and may_be_absent:
        seen.absent.append((weight * (1 - is_present), 1 - says))
    if not says or not right or is_present <= 0:
        return
    boxes = [edges_of(box) for box in answer.boxes_rc]
    pairs = match_edges(boxes, right, least_iou=1e-9)
    seen.ious.append((weight * is_present, sum(iou for _, _, iou in pairs) / max(len(boxes), len(right))))
    hits = [(i, j) for i, j, iou in pairs if iou >= _PLACE_IOU]
    seen.placed += [(weight * is_present, 1.0)] * len(hits)
    seen.placed += [(weight * is_present, 0.0)] * (len(boxes) - len(hits) if len(hits) < len(right) else 0)
    for i, j in hits:
        a, b, c, d = (x - y for x, y in zip(boxes[i], right[j], strict=True))
        seen.errors_px.append((weight * is_present, (a, b, c, d)))
        sides = sides_of(right[j])
        seen.sides.append(sides)
        seen.shares.append((weight * is_present, sides, own))


def _asked_beside(tasks: Iterable[Task]) -> dict[Task, list[Task]]:
    """For each task those of the same object on the next slices that were asked, one on either side."""
    ordered = sorted(tasks)
    found: dict[Task, list[Task]] = {task: [] for task in ordered}
    for one, other in pairwise(ordered):
        if (one.volume, one.object) == (other.volume, other.object):
            found[one].append(other)
            found[other].append(one)
    return found


def _compare(there: list[Answer], beside: list[Edges], seen: dict[str, _Seen], counts: dict[str, list[int]]) -> None:
    """Compare each of the people who answered one task with the others.

    Args:
        there: their answers.
        beside: boxes on the asked slices next to it. A box that overlaps one of them is not taken for invented, whatever others say.
        seen, counts: where to note it.
    """
    sure = [one for one in there if one.kind != "unsure"]
    if len(sure) < 2:
        return
    for one in sure:
        others = [other for other in sure if other is not one]
        drawn = {
            other.person: [Drawn(other.person, edges_of(box), _USUAL_DEVIATION, 1.0) for box in other.boxes_rc]
            for other in others
            if other.kind == "box"
        }
        kept, _ = consensus_boxes(drawn)
        # As usual people's words have it, not by their majority: "not here" is said of more that is there than boxes are made up.
        here, gone = (evidence(present, _USUAL_SENSITIVITY, _USUAL_SPECIFICITY) for present in (True, False))
        says = probability(len(drawn) * here + (len(others) - len(drawn)) * gone)
        own = len(drawn) / (len(drawn) + 1) if drawn else 1.0
        counts[one.person][1] += 1
        fits = one.kind == "box" and bool(match_edges([edges_of(box) for box in one.boxes_rc], beside))
        _note(seen[one.person], one, says, [box.edges_rc_px for box in kept], _AGREEMENT_SHARE, own, not fits)


def _add(to: _Seen, more: _Seen) -> None:
    for name in ("present", "absent", "ious", "placed", "errors_px", "shares", "sides"):
        getattr(to, name).extend(getattr(more, name))


@dataclass(frozen=True)
class _Usual:
    """What is usual in this crowd."""

    sensitivity: float
    specificity: float
    place: float
    iou: float
    deviation: float


def _usual(seen: Mapping[str, _Seen]) -> _Usual:
    """Each person counts the same, so that one who answered very much does not set what is usual."""

    def rate(name: str, prior: float) -> float:
        rates = []
        for one in seen.values():
            weights = [w for w, _ in getattr(one, name)]
            if weights:
                rates.append(shrunk_rate(sum(w * v for w, v in getattr(one, name)), sum(weights), prior, 1.0).value)
        return float(np.median([*rates, prior]))

    deviations = [_deviation(one, (0.0,) * 4, _USUAL_DEVIATION, 1.0) for one in seen.values() if one.shares]
    return _Usual(
        rate("present", _USUAL_SENSITIVITY),
        rate("absent", _USUAL_SPECIFICITY),
        rate("placed", _USUAL_PLACE),
        rate("ious", _USUAL_IOU),
        float(np.median([*deviations, _USUAL_DEVIATION])),
    )


def _accuracy(
    person: str, answers: list[Answer], seen: _Seen, bias: tuple[float, float, float, float], usual: _Usual, n: int, compared: int
) -> PersonAccuracy:
    def rate(pairs: list[tuple[float, float]], prior: float) -> Estimate:
        return shrunk_rate(sum(w * v for w, v in pairs), sum(w for w, _ in pairs), prior, _STRENGTH)

    deviation = min(max(_deviation(seen, bias, usual.deviation, _STRENGTH), _LEAST_DEVIATION), _MOST_DEVIATION)
    ious = shrunk_mean([v for _, v in seen.ious], [w for w, _ in seen.ious], usual.iou, _USUAL_IOU_SPREAD, _STRENGTH)
    seconds = [one.seconds for one in answers if one.seconds > 0]
    enough = n >= _ENOUGH_GOLD or not compared
    return PersonAccuracy(
        person,
        Estimate(ious.value, max(0.0, ious.low), min(1.0, ious.high), ious.n),
        rate(seen.present, usual.sensitivity),
        rate(seen.absent, usual.specificity),
        rate(seen.placed, usual.place),
        bias,
        deviation,
        float(np.median(seconds)) if seconds else float("nan"),
        (_USUAL_DEVIATION / deviation) ** 2,
        sum(one.kind == "unsure" for one in answers) / len(answers),
        n,
        0 if n >= _ENOUGH_GOLD else compared,
        ("gold" if enough else "gold and agreement") if n else ("agreement" if compared else "nothing"),
    )


def _bias(seen: _Seen) -> tuple[float, float, float, float]:
    """Median error of each edge, pulled towards 0."""
    if not seen.errors_px:
        return (0.0, 0.0, 0.0, 0.0)
    n = sum(w for w, _ in seen.errors_px)
    a, b, c, d = np.median(np.array([errors for _, errors in seen.errors_px]), axis=0) * n / (n + _STRENGTH)
    return (float(a), float(b), float(c), float(d))


def _deviation(seen: _Seen, bias: tuple[float, ...], usual: float, strength: float) -> float:
    """Root of the mean square of an edge's error after the bias, as a share of the side."""
    total, squares = strength, strength * usual**2
    for (weight, errors), (_, sides, own) in zip(seen.errors_px, seen.shares, strict=True):
        total += weight
        squares += weight * own * float(np.mean([((e - b) / side) ** 2 for e, b, side in zip(errors, bias, sides, strict=True)]))
    return float(np.sqrt(squares / total))


def union_iou(ones: Iterable[Edges], others: Iterable[Edges]) -> float:
    """IoU of what two sets of boxes cover together; 1 where both have none."""
    a, b = list(ones), list(others)
    if not a and not b:
        return 1.0
    if not a or not b:
        return 0.0
    if len(a) == len(b) == 1:
        return edges_iou(a[0], b[0])
    cuts = [sorted({edge for box in a + b for edge in box[2 * axis : 2 * axis + 2]}) for axis in (0, 1)]
    both = either = 0.0
    for low, high in zip(cuts[0], cuts[0][1:], strict=False):
        for left, right in zip(cuts[1], cuts[1][1:], strict=False):
            cell = (low, high, left, right)
            ins = [any(x[0] <= low and high <= x[1] and x[2] <= left and right <= x[3] for x in boxes) for boxes in (a, b)]
            size = (cell[1] - cell[0]) * (cell[3] - cell[2])
            both += size * all(ins)
            either += size * any(ins)
    return both / either
