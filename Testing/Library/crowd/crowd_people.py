"""Simulated people who answer all slices of one object, for tests of what becomes of their answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from SAM2AnnotateLib.crowd.answers import Answer, GoldAnswer, Task
from SAM2AnnotateLib.crowd.simulated import ObjectTruth, SimulatedPerson, Skill
from SAM2AnnotateLib.geometry import Box2D

SHAPE_RC = (100, 120)


def leaning_truth(first: int = 5, last: int = 30) -> ObjectTruth:
    """An object that grows, wanders to the right and shrinks again."""
    middle, half = (first + last) / 2, (last - first) / 2 + 1
    boxes = {}
    for position in range(first, last + 1):
        size = 8 + round(22 * float(np.sqrt(1 - ((position - middle) / half) ** 2)))
        row, col = 30 + position // 3, 40 + position // 2
        boxes[position] = (Box2D(row - size // 2, row - size // 2 + size, col - size // 2, col - size // 2 + size + 4),)
    return ObjectTruth(SHAPE_RC, boxes)


def gold_of(truth: ObjectTruth, positions: Iterable[int], volume: str = "gold") -> dict[Task, GoldAnswer]:
    """The right answers on some slices."""
    tasks = [Task(volume, "ball", position) for position in positions]
    return {task: GoldAnswer(task, truth.at(task.position)) for task in tasks}


def answers_of(people: Mapping[str, Skill], truth: ObjectTruth, positions: Iterable[int], volume: str = "case") -> list[Answer]:
    """What everybody says of all of the slices."""
    listed = []
    for number, (name, skill) in enumerate(people.items()):
        person = SimulatedPerson(skill, number)
        for position in positions:
            task = Task(volume, "ball", position)
            said = person.answer(task, truth)
            listed.append(Answer(task, name, said.kind, said.boxes_rc, said.seconds))
    return listed
