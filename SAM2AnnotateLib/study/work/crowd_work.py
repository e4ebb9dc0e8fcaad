"""CrowdWork: the units of a study in which a simulated crowd draws boxes (study C). Imports crowd, simulation, propagation, records."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np

from ...crowd.answers import Answer, GoldAnswer, Task
from ...crowd.consensus import ConsensusSlice, consensus_of_all
from ...crowd.masks import masks_by_slice, masks_through_memory
from ...crowd.simulated import (
    PEOPLE,
    ObjectTruth,
    SimulatedPerson,
    box_count,
    every_nth,
    of_people,
    with_missing_boxes,
)
from ...crowd.simulated.finding import random_people_found
from ...crowd.simulated.made_up_project import KNOWN, OBJECT, VOLUME, asked_positions, made_up_project
from ...geometry import Extent
from ...intensity import IntensityMapping
from ...metrics import dice
from ...optional_imports import import_for
from ...propagation import RegionPolicy, SliceEncoder
from ...simulation.interpolation import interpolate_slices
from ...simulation.objects import StackedTruth
from ..configuration.config import StudyConfig
from ..configuration.config_crowd import NONE_MISSING, CrowdConfig, CrowdSetting
from ..records.cases import StudyCase
from .learning_work import WorkObject

# Answers of the model that are kept for the units to come; one takes a KB or two.
_MOST_ANSWERS = 30_000
# Answers of a whole crowd by object, as long as one case is at work.
_Said = tuple[tuple[Answer, ...], dict[Task, GoldAnswer], IntensityMapping]


class CrowdWork:
    """The units of `config_crowd` on one case.

    Args:
        config: of the study.
        case: with its image.
        objects: of the case.
        objects_of: the objects of another case, by its id.
    """

    def __init__(
        self, config: StudyConfig, case: StudyCase, objects: Sequence[WorkObject], objects_of: Callable[[str], Sequence[WorkObject]]
    ):
        assert config.crowd is not None
        self._config, self._crowd, self._case = config, config.crowd, case
        self._objects, self._objects_of = objects, objects_of
        self._said: dict[int, _Said] = {}
        self._encoders: dict[int, SliceEncoder] = {}

    def masks(self, people: int) -> dict[str, Any]:
        """What each way makes of the boxes of so many people, for each setting."""
        found = []
        for number, one in enumerate(self._objects):
            settings = [self._setting(number, setting) for setting in self._crowd.settings if setting.people == people]
            found.append({**one.key, "settings": settings})
            if one.case.bench.engine.answers > _MOST_ANSWERS:
                one.case.bench.engine.forget()
        return {"objects": found}

    def people(self, case_ids: Sequence[str]) -> dict[str, Any]:
        """Who is told of in many crowds, by answers of each person and answers for each slice; objects of all cases, no model.

        Raises:
            MissingPackageError: if scipy is not installed.
        """
        config, truths = self._crowd, {}
        asked: list[Task] = []
        known: dict[Task, GoldAnswer] = {}
        for case_id in case_ids:
            for one in self._objects_of(case_id):
                name = f"{one.key['label']}-{one.key['instance']}"
                truth = _boxes_of(one.case.memory.truth)
                truths[case_id, name] = truths[f"{KNOWN} {case_id}", name] = truth
                positions = asked_positions(truth, one.case.bench.stack, config.beyond).indices
                asked += [Task(case_id, name, position) for position in positions]
                tasks = [Task(f"{KNOWN} {case_id}", name, position) for position in positions[:: config.gold_every]]
                known |= {task: GoldAnswer(task, truth.at(task.position)) for task in tasks}
        skills = [PEOPLE[name] for name, _ in zip(cycle(config.skills), range(config.largest), strict=False)]
        found = []
        for answers, gold, per_slice in product(config.answers, (True, False), sorted({min(3, config.largest), config.largest})):
            counts = random_people_found(
                truths, asked, known if gold else {}, skills, per_slice=per_slice, random_share=config.random_share, crowds=config.crowds,
                answers=answers, seed=self._config.seed,
            )  # fmt: skip
            found.append({"wanted": answers, "gold": gold, "per_slice": per_slice, **asdict(counts)})
        return {"objects": [], "crowds": found}

    # -- one object --------------------------------------------------------------------------------------------------------------

    def _setting(self, number: int, setting: CrowdSetting) -> dict[str, Any]:
        one = self._objects[number]
        truth, stack = one.case.memory.truth, one.case.bench.stack
        asked = asked_positions(_boxes_of(truth), stack, self._crowd.beyond)
        said, gold, mapping = self._answers(number)
        # The same people on every slice: the first of the crowd.
        answers = every_nth(of_people(said, names_of(self._crowd)[: setting.people]), setting.every, asked.first)
        if setting.missing != NONE_MISSING:
            answers = with_missing_boxes(answers, self._crowd.missing, setting.missing, self._config.seed)
        consensus = consensus_of_all(answers, gold)
        run = {task.position: slice_ for task, slice_ in consensus.items() if task.volume == VOLUME}
        by_position: dict[int, list[Answer]] = {position: [] for position in run}
        for answer in answers:
            if answer.task.volume == VOLUME:
                by_position[answer.task.position].append(answer)
        if number not in self._encoders:  # one for all settings, so that a slice is read once
            self._encoders[number] = SliceEncoder(one.case.bench.engine, one.case.bench.volume, stack, mapping)
        made = self._made(self._encoders[number], run, by_position)
        ways = {way: _scores(masks, truth, asked) for way, masks in made.items()}
        return {"every": setting.every, "missing": setting.missing, "boxes": box_count(answers), "ways": ways}

    def _made(
        self, encoder: SliceEncoder, run: Mapping[int, ConsensusSlice], by_position: Mapping[int, Sequence[Answer]]
    ) -> dict[str, dict[int, np.ndarray]]:
        """Masks by way and position; what a way says nothing of is not there."""
        policy = RegionPolicy.parse(self._config.workflow.roi)
        best = {one.position: one.mask for one in masks_by_slice(encoder, policy, by_position)}
        own = {one.position: one.mask for one in masks_by_slice(encoder, policy, run)}
        ours = {one.position: one.mask for one in masks_through_memory(encoder, policy, run)}
        return {"best_scored": best, "by_slice": own, "interpolated": _interpolated(own, encoder), "memory": ours}

    def _answers(self, number: int) -> _Said:
        """The whole crowd's answers, through the real project, assignment and records.

        Raises:
            MissingPackageError: if the records' packages are not installed.
        """
        import_for("A simulated crowd", "sqlalchemy", "pip install 'sam2annotate[crowd]'")
        from ...crowd.records import CrowdRecords
        from ...crowd.simulated.crowd import run_crowd

        if number not in self._said:
            one, config = self._objects[number], self._crowd
            truth = _boxes_of(one.case.memory.truth)
            with tempfile.TemporaryDirectory(prefix="crowd-") as folder:
                project = made_up_project(
                    Path(folder), self._case.image, truth, one.case.bench.stack, axis=one.axis, window=one.window,
                    people=config.largest, beyond=config.beyond, gold_every=config.gold_every, name=one.key["name"],
                )  # fmt: skip
                with CrowdRecords.open("sqlite://", durable=False) as records:
                    records.add_project(project)
                    seed = object_seed(self._config.seed, self._case.case_id, one.key)
                    run = run_crowd(records, project, {(VOLUME, OBJECT): truth, (KNOWN, OBJECT): truth}, crowd_of(config, seed), seed)
                    self._said[number] = run.answers, records.gold_answers(project.key), project.volume(VOLUME).mapping
        return self._said[number]


def names_of(config: CrowdConfig) -> list[str]:
    """What the people of a crowd are called."""
    return [f"person {number}" for number in range(1, config.largest + 1)]


def crowd_of(config: CrowdConfig, seed: int) -> dict[str, SimulatedPerson]:
    """The people of a crowd by name; they have the configuration's skills in turn."""
    skills = [PEOPLE[config.skills[number % len(config.skills)]] for number in range(config.largest)]
    return {name: SimulatedPerson(skill, seed + number) for number, (name, skill) in enumerate(zip(names_of(config), skills, strict=True))}


def object_seed(seed: int, case_id: str, key: Mapping[str, Any]) -> int:
    """A seed of an object's own, so that people err differently on each."""
    return zlib.crc32(f"{seed} {case_id} {key['label']} {key['instance']}".encode())


def _boxes_of(truth: StackedTruth) -> ObjectTruth:
    return ObjectTruth.of_masks({position: truth.frame(position) for position in truth.extent.indices})


def _interpolated(masks: Mapping[int, np.ndarray], encoder: SliceEncoder) -> dict[int, np.ndarray]:
    """The masks, with all slices between the first and the last that has one: those without by the shapes beside."""
    drawn = {position: mask for position, mask in masks.items() if mask.any()}
    if not drawn:
        return dict(masks)
    return interpolate_slices(drawn, Extent(min(drawn), max(drawn)), encoder.stack.frame_spacing_rc_mm)


def _scores(masks: Mapping[int, np.ndarray], truth: StackedTruth, asked: Extent) -> dict[str, float]:
    """Mean DSC of the slices that show the object, and the DSC of the volume, which false masks beyond its ends lower, too."""
    of_slices, shared, total = [], 0, 0
    for position in asked.indices:
        right = truth.frame(position)
        mask = masks.get(position)
        mask = np.zeros_like(right) if mask is None else mask
        shared += int(np.count_nonzero(mask & right))
        total += int(np.count_nonzero(mask)) + int(np.count_nonzero(right))
        if right.any():
            of_slices.append(dice(mask, right))
    return {"slice_dsc": round(float(np.mean(of_slices)), 6), "volume_dsc": round(2 * shared / total, 6)}
