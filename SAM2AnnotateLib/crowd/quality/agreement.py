"""How far people agree: where the object is, and how their boxes lie. Imports answers, consensus and numpy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..answers import Answer, Task
from ..consensus import Estimate, edges_of
from ..consensus.accuracy import union_iou
from .alpha import krippendorff_alpha


@dataclass(frozen=True)
class Agreement:
    """Agreement on one object, on one volume or on all.

    Args:
        volume: key; "" for all volumes.
        object: key.
        slices: that two people or more answered.
        pairs: of people on the same slice, over all slices.
        alpha: Krippendorff's of "here" and "not here", "not sure" left out.
        box_iou: mean IoU of what two people marked, over pairs in which both drew; NaN without any.
        box_dice: mean Dice of the same.
        same_presence: share of pairs that say the same of whether it is here.
    """

    volume: str
    object: str
    slices: int
    pairs: int
    alpha: Estimate
    box_iou: float
    box_dice: float
    same_presence: float


def agreements(answers: Iterable[Answer]) -> list[Agreement]:
    """Agreement on each object, first on all volumes together, then by volume; in alphabetical order.

    Args:
        answers: as they stand, one for each person and task.
    """
    groups: dict[tuple[str, str], dict[Task, list[Answer]]] = defaultdict(lambda: defaultdict(list))
    for one in sorted(answers, key=lambda answer: (answer.task, answer.person)):
        for volume in ("", one.task.volume):
            groups[one.task.object, volume][one.task].append(one)
    return [_agreement(volume, name, by_task) for (name, volume), by_task in sorted(groups.items())]


def _agreement(volume: str, name: str, by_task: Mapping[Task, list[Answer]]) -> Agreement:
    ious, same, slices = [], [], 0
    units = []
    for there in by_task.values():
        sure = [one for one in there if one.kind != "unsure"]
        slices += len(sure) >= 2
        units.append([one.kind for one in sure])
        for a, b in combinations(sure, 2):
            same.append(a.kind == b.kind)
            if a.kind == b.kind == "box":
                ious.append(union_iou(map(edges_of, a.boxes_rc), map(edges_of, b.boxes_rc)))
    dice = [2 * iou / (1 + iou) for iou in ious]
    return Agreement(volume, name, slices, len(same), krippendorff_alpha(units), _mean(ious), _mean(dice), _mean(same))


def _mean(values: list) -> float:
    return float(np.mean(values)) if values else float("nan")
