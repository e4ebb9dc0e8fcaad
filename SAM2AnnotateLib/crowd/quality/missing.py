"""What is likely to be missing or wrong on a slice, and why, in words. Imports answers, consensus and numpy.

Missing annotations show as gaps in a run of slices, as disagreement on absence, as jumps of the boxes' area and as an end at full size;
once there are masks, also where propagation expects something else than the boxes say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from ..answers import Task
from ..consensus import ConsensusBox, ConsensusSlice, edges_iou, expected_boxes

FindingKind = Literal["gap", "absence", "jump", "end", "place", "propagation", "few"]

# A box whose area differs from what lies between its neighbors by this factor, or that overlaps that by less IoU, jumps.
_JUMP_FACTOR, _JUMP_IOU = 2.0, 0.3
# An object that ends with this share of its largest area, at a slice beside which it was asked for, has perhaps not ended.
_FULL_SIZE = 0.5
_LEAST_AGREEMENT, _LEAST_DIRECTIONS = 0.8, 0.7


class MaskLike(Protocol):
    """What is looked at of a slice's mask, see `MaskedSlice`."""

    @property
    def mask(self) -> np.ndarray:
        """(rows, columns) bool."""

    @property
    def boxes_rc(self) -> tuple:
        """Boxes that led."""

    @property
    def agreement(self) -> float | None:
        """DSC of boxes' mask and carried mask."""

    @property
    def disagreement(self) -> float | None:
        """1 - DSC of both directions."""

    @property
    def predicted_iou(self) -> float:
        """The model's estimate."""

    @property
    def object_score(self) -> float:
        """The model's probability."""

    @property
    def words(self) -> str:
        """What else is to be said."""


@dataclass(frozen=True)
class Finding:
    """Something that is likely to be wrong with a slice.

    Args:
        task: which.
        kind: what: a ``gap`` in the run, disagreement on ``absence``, a ``jump``, an ``end`` at full size, disagreement on the ``place``,
            what ``propagation`` expects, or that too ``few`` answered or were sure.
        strength: how likely, 0..1.
        reason: for the reviewer.
    """

    task: Task
    kind: FindingKind
    strength: float
    reason: str


def missing(consensus: Mapping[Task, ConsensusSlice], results: Mapping[Task, MaskLike] | None = None) -> list[Finding]:
    """Everything that is found, by task in rising order.

    Args:
        consensus: of all tasks, see `consensus_of_all`.
        results: masks of slices, where there are any.
    """
    runs: dict[tuple[str, str], dict[int, ConsensusSlice]] = defaultdict(dict)
    for task, one in sorted(consensus.items()):
        runs[task.volume, task.object][task.position] = one
    found: list[Finding] = []
    for run in runs.values():
        for position, one in run.items():
            if not one.final:
                found += _of_answers(one)
                found += _of_neighbors(run, position)
    for task, result in sorted((results or {}).items()):
        said = consensus.get(task)
        if said is None or not said.final:
            found += _of_propagation(task, said, result)
    return sorted(found, key=lambda one: (one.task, -one.strength, one.kind, one.reason))


def _of_answers(one: ConsensusSlice) -> list[Finding]:
    """What the answers to one task say against each other."""
    found = []
    sure = one.n_box + one.n_absent
    if one.present and not one.boxes:
        said = f"{one.n_absent} of {one.n} say that it is not here" if one.n_absent else "nobody was sure"
        found.append(Finding(one.task, "gap", 0.8, f"nobody drew the object here, though it is on the slices beside ({said})"))
    elif one.n_box and one.n_absent:
        split = min(one.n_box, one.n_absent) / sure
        doubt = max(0.7 * split, 1 - abs(2 * one.presence - 1))
        reason = f"{one.n_absent} of {sure} say that it is not here, {one.n_box} drew it"
        found.append(Finding(one.task, "absence", min(1.0, doubt), reason))
    elif 0.1 < one.presence < 0.9:
        found.append(Finding(one.task, "absence", 1 - abs(2 * one.presence - 1), "it is not certain that the object is here"))
    if one.others and one.present:
        weight = max(other.weight for other in one.others)
        found.append(Finding(one.task, "place", min(1.0, 0.2 + weight), f"{len(one.others)} more places were drawn by some"))
    for box in one.counted_boxes:
        a, b, c, d = box.edges_rc_px
        share = box.spread_px / max(1.0, ((b - a) * (d - c)) ** 0.5)
        if len(box.people) > 1 and share > 0.08:
            found.append(Finding(one.task, "place", min(1.0, 4 * share), f"people's boxes differ by {box.spread_px:.0f} px at the edges"))
    if one.n_unsure:
        found.append(Finding(one.task, "few", 0.7 * one.n_unsure / one.n, f"{one.n_unsure} of {one.n} were not sure"))
    if one.n == 1 and one.present:
        found.append(Finding(one.task, "few", 0.1, "one person alone answered"))
    return found


def _of_neighbors(run: Mapping[int, ConsensusSlice], position: int) -> list[Finding]:
    """What the slices beside say against one."""
    one = run[position]
    marked = [p for p, other in run.items() if other.counted_boxes]
    if not one.counted_boxes:
        return []
    found = []
    below, above = max((p for p in marked if p < position), default=None), min((p for p in marked if p > position), default=None)
    if below is not None and above is not None:
        between = expected_boxes(position, *((p, [box.edges_rc_px for box in run[p].counted_boxes]) for p in (below, above)))
        expected = sum(_size(edges) for edges in between)
        factor = _area(one.counted_boxes) / expected if expected else 1.0
        best = max((edges_iou(box.edges_rc_px, edges) for box in one.counted_boxes for edges in between), default=1.0)
        if best < _JUMP_IOU:
            found.append(Finding(one.task, "jump", 0.9, "the box lies elsewhere than those of the slices beside"))
        elif not 1 / _JUMP_FACTOR < factor < _JUMP_FACTOR:
            size = f"{factor:.1f} times as large as" if factor > 1 else f"{1 / factor:.1f} times smaller than"
            found.append(Finding(one.task, "jump", 0.6, f"what is drawn is {size} on the slices beside"))
    elif len(marked) > 1:
        asked = sorted(run)
        at = asked.index(position)
        outside = asked[at - 1] if below is None and at > 0 else asked[at + 1] if above is None and at + 1 < len(asked) else None
        largest = max(_area(run[p].counted_boxes) for p in marked)
        share = _area(one.counted_boxes) / largest
        if outside is not None and share > _FULL_SIZE:
            found.append(Finding(one.task, "end", 0.5 * share, f"the object ends here with {share:.0%} of its largest area"))
            if not run[outside].final:
                found.append(Finding(run[outside].task, "end", 0.6 * share, "the object is large on the slice beside, and not here"))
    return found


def _of_propagation(task: Task, said: ConsensusSlice | None, result: MaskLike) -> list[Finding]:
    found = []
    if result.mask.any() and not result.boxes_rc:
        certain = 1 - (result.disagreement if result.disagreement is not None else 0.5)
        why = "no box leads here" if said is None or not said.counted_boxes else "the boxes lie elsewhere than what memory carried"
        strength = 0.9 if said is not None and said.counted_boxes else 0.25 + 0.5 * (1 - certain)
        found.append(Finding(task, "propagation", strength, f"{why}; the mask follows from the slices beside"))
    if result.boxes_rc and result.agreement is not None and result.agreement < _LEAST_AGREEMENT:
        strength = min(1.0, 1.2 * (_LEAST_AGREEMENT - result.agreement) / _LEAST_AGREEMENT)
        found.append(Finding(task, "propagation", strength, f"the slices beside expect another mask (DSC {result.agreement:.2f})"))
    if result.disagreement is not None and 1 - result.disagreement < _LEAST_DIRECTIONS:
        reason = f"the two directions that meet here disagree (DSC {1 - result.disagreement:.2f})"
        found.append(Finding(task, "propagation", 0.6 * min(1.0, result.disagreement), reason))
    if result.mask.any() and result.predicted_iou < 0.7:
        strength = min(1.0, 0.6 * (0.7 - result.predicted_iou) / 0.7)
        found.append(Finding(task, "propagation", strength, f"the model expects a poor outline (IoU {result.predicted_iou:.2f})"))
    if result.words:
        found.append(Finding(task, "propagation", 0.6, result.words))
    if said is not None and said.present and not result.mask.any():
        found.append(Finding(task, "propagation", 0.9, "the object is said to be here, and no mask was found"))
    return found


def _area(boxes: tuple[ConsensusBox, ...]) -> float:
    return sum(_size(box.edges_rc_px) for box in boxes)


def _size(edges: tuple[float, float, float, float]) -> float:
    return (edges[1] - edges[0]) * (edges[3] - edges[2])
