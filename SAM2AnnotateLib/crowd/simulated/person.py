"""SimulatedPerson: answers tasks as a skill has it. Imports answers, this room's skill and truth, geometry and numpy."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from ...geometry import Box2D
from ..answers import Task
from ..answers.answer import Kind
from .skill import Skill
from .truth import ObjectTruth

# Beyond this many slices from an object's end nobody draws it by mistake.
_FARTHEST_BEYOND = 4
# Sides of a random box, in shares of the slice: evenly between these. An assumption.
_RANDOM_SIDES = (0.05, 0.5)


@dataclass(frozen=True)
class Said:
    """One answer before it is recorded.

    Args:
        kind: one of `answers.KINDS`.
        boxes_rc: half-open boxes of whole pixels within the slice; empty unless `kind` is ``box``.
        seconds: that it took.
    """

    kind: Kind
    boxes_rc: tuple[Box2D, ...]
    seconds: float


@dataclass(frozen=True)
class SimulatedPerson:
    """A person who always answers the same task in the same way, whenever it is asked.

    Args:
        skill: how.
        seed: of this person; two of one skill and other seeds err differently.
    """

    skill: Skill
    seed: int

    def answer(self, task: Task, truth: ObjectTruth, again: int = 0) -> Said:
        """What this person says of a slice.

        Args:
            task: what is asked.
            truth: of the task's object on its volume.
            again: how often this person has answered it before; a later answer errs anew.
        """
        skill = self.skill
        rng = self._rng(f"{task.volume} {task.object} {task.position} {again}")
        seconds = float(skill.seconds * np.exp(skill.seconds_spread * rng.standard_normal()))
        # One draw for each question, asked or not: skills that differ in one number give answers that differ in that alone.
        is_random, is_absent, is_unsure, misses, swaps, merges = rng.random(6)
        drawn = self._drawn(task, truth, rng)
        if is_random < skill.random_share:
            if is_absent < skill.random_absent:
                return Said("absent", (), seconds)
            return Said("box", (_anywhere(truth.frame_shape_rc, rng),), seconds)
        if is_unsure < skill.unsure:
            return Said("unsure", (), seconds)
        miss = skill.miss + max(skill.miss_small - skill.miss, 0.0) * truth.smallness(task.position)
        if not drawn or misses < miss or task.position in self._forgotten(task, truth):
            return Said("absent", (), seconds)
        if merges < skill.merges:
            drawn = (_around(drawn),)
        if swaps < skill.swaps:
            drawn = tuple(_mirrored(box, truth.frame_shape_rc) for box in drawn)
        return Said("box", drawn, seconds)

    def _drawn(self, task: Task, truth: ObjectTruth, rng: np.random.Generator) -> tuple[Box2D, ...]:
        """The boxes as the hand draws them; none where the person sees that there is nothing to draw."""
        skill, boxes = self.skill, truth.at(task.position)
        overlooked = rng.random(64)
        beyond = rng.random()
        if not boxes:
            extent = truth.extent
            away = max(extent.first - task.position, task.position - extent.last)
            if not 1 <= away <= _FARTHEST_BEYOND or beyond >= skill.beyond / 2 ** (away - 1):
                return ()
            boxes = truth.at(extent.first if task.position < extent.first else extent.last)
        kept = [box for n, box in enumerate(boxes) if n == 0 or overlooked[n % 64] >= skill.overlooks]
        return tuple(self._jittered(box, truth.frame_shape_rc, rng) for box in kept)

    def _jittered(self, box: Box2D, frame_shape_rc: tuple[int, int], rng: np.random.Generator) -> Box2D:
        skill, edges = self.skill, []
        sides = ((box.row_start, box.row_stop), (box.col_start, box.col_stop))
        for (start, stop), size, shift in zip(sides, frame_shape_rc, skill.shift_share_rc, strict=True):
            side = stop - start
            error = np.hypot(skill.edge_px, skill.edge_share * side) * rng.standard_normal(2)
            low = start - skill.outward_share * side + shift * side + error[0]
            high = stop + skill.outward_share * side + shift * side + error[1]
            # A mouse gives whole pixels within the picture, and a box that holds one.
            first = int(np.clip(np.rint(min(low, high)), 0, size - 1))
            edges += [first, int(np.clip(np.rint(max(low, high)), first + 1, size))]
        return Box2D(*edges)

    def _forgotten(self, task: Task, truth: ObjectTruth) -> range:
        """The run of slices of this object that this person passes over."""
        length = round(self.skill.forgets * len(truth.extent))
        rng = self._rng(f"{task.volume} {task.object} forgotten")
        first = truth.extent.first + int(rng.integers(len(truth.extent) - length + 1))
        return range(first, first + length)

    def _rng(self, what: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(what.encode())])


def _anywhere(frame_shape_rc: tuple[int, int], rng: np.random.Generator) -> Box2D:
    edges = []
    for size in frame_shape_rc:
        side = max(1, round(size * rng.uniform(*_RANDOM_SIDES)))
        start = int(rng.integers(size - side + 1))
        edges += [start, start + side]
    return Box2D(*edges)


def _around(boxes: tuple[Box2D, ...]) -> Box2D:
    whole = boxes[0]
    for box in boxes[1:]:
        whole = whole.union(box)
    return whole


def _mirrored(box: Box2D, frame_shape_rc: tuple[int, int]) -> Box2D:
    """Left for right, at the middle of the slice."""
    cols = frame_shape_rc[1]
    return Box2D(box.row_start, box.row_stop, cols - box.col_stop, cols - box.col_start)
