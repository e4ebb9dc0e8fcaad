"""CaseWork: everything that a study does with one case. Imports simulation, metrics, volume_io, geometry, errors, folder, model."""

from __future__ import annotations

import hashlib
import math
import zlib
from dataclasses import asdict, astuple
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...geometry import Volume
from ...metrics import Scores
from ...metrics.surface_elements import bounding_box
from ...simulated_learning import SeriesCase
from ...simulation.acceptance import Acceptance, SliceScore
from ...simulation.bench import Bench
from ...simulation.effort import Effort
from ...simulation.embedding_files import EmbeddingFiles
from ...simulation.objects import StackedTruth, TruthObject, truth_objects
from ...simulation.reader import MaskMemory, ReaderRules
from ...simulation.simulate import SimulatedObject, by_hand, simulate
from ...simulation.sweep import sweep
from ...simulation.workflow import Workflow
from ...simulation.worst_first import worst_first
from ...volume_io import read_volume, resample_nearest, write_volume
from ..records.cases import StudyCase
from ..records.folder import Study
from ..records.groups import prototype_cases, series_of
from ..records.units import LEARNING_KINDS
from .crowd_work import CrowdWork
from .learning_work import LearningWork, WorkObject
from .model import study_engine

# Answers of the model that are kept for the units to come; one takes a KB or two.
_MOST_ANSWERS = 30_000


class NothingToAnnotateError(InputError):
    """A case shows none of the objects that are studied."""


class CaseWork:
    """One case, read once, for any number of units.

    Args:
        study: the study.
        case: the case.
        device: to compute on; None takes the configuration's.

    Raises:
        VolumeError, InputError: if the case's files cannot be used.
    """

    def __init__(self, study: Study, case: StudyCase, device: str | None):
        self._study, self._case, self._device = study, case, device
        config = study.config
        image = read_volume(case.image)
        labels = resample_nearest(read_volume(case.labels), image.grid)
        self._grid = image.grid
        engine = study_engine(config.model, device)
        cache = study.folder / "embeddings"
        files = EmbeddingFiles(cache / case.case_id, int(config.compute.embedding_cache_gb * 2**30), shared=cache)
        self._bench = Bench(image, engine, case.axis, case.window, files)
        # By rising value, however the configuration lists them: where masks overlap, the later object's stay.
        self._objects, self._specks = truth_objects(
            labels.array_kji, sorted(case.values), separate=config.objects.separate, smallest_voxels=config.objects.smallest_voxels
        )
        if not self._objects:
            raise NothingToAnnotateError(
                f"The case '{case.case_id}' holds none of the label values {list(case.values)}. Leave it out of the study."
            )
        self._rules = ReaderRules(config.tolerance_mm, config.correction_mm, config.effort, config.objects.salient_pixels)
        self._memories: dict[tuple[int, int], MaskMemory] = {}

    def run(self, unit: str) -> dict[str, Any]:
        """Do one unit; returns its result as plain JSON. Errors of the model propagate."""
        kind, _, rest = unit.partition("/")
        before = self._bench.engine.encoded
        config = self._study.config
        if kind == "prompts":
            found: dict[str, Any] = {"objects": [self._prompts(one) for one in self._objects]}
        elif kind == "sweep":
            found = {"objects": [self._sweep(one) for one in self._objects]}
        elif kind == "joint":
            found = {"objects": [self._joint(one) for one in self._objects]}
        elif kind == "scenarios":
            found = self._annotated(config.workflow, self._study.acceptance_of(rest), self._study.unit_file(unit, self._case.case_id))
        elif kind == "comparison":
            name, _, number = rest.partition("/")
            assert config.comparison is not None
            workflow = next(one for one in config.comparison.workflows if one.name == name)
            found = self._annotated(workflow, config.comparison.rules[int(number)], None)
        elif kind == "worst_first":
            assert config.comparison is not None
            workflow = next(one for one in config.comparison.workflows if one.name == rest)
            found = {"objects": [self._worst_first(one, workflow, config.comparison.worst_first) for one in self._objects]}
        elif kind in LEARNING_KINDS:
            found = self._learning(kind, rest)
        elif kind == "crowd":
            found = self._crowd_work.masks(int(rest))
        elif kind == "crowd_people":
            found = self._crowd_work.people([case.case_id for case in self._study.cases])
        else:
            raise InputError(f"Unknown unit '{unit}' of a study.")
        return {**found, "encoded": self._bench.engine.encoded - before}

    # -- stages ----------------------------------------------------------------------------------------------------------------

    def _prompts(self, one: TruthObject) -> dict[str, Any]:
        """Every kind of prompt, propagated without review: what each gives on the center slice and in 3-D."""
        config, memory = self._study.config, self._memory(one)
        truth, found = memory.truth, {}
        for kind in config.prompts:
            workflow = Workflow(kind, prompt=kind, roi=config.workflow.roi, clicks=config.clicks)
            done = simulate(self._bench, memory, workflow, Acceptance(), self._rng(one))
            center = memory.score(truth.center, done.masks[truth.center])
            entry: dict[str, Any] = {"center": _score_json(center), "volume": self._volume_scores(memory, done)}
            entry["salient"] = self._salient(memory, done)
            if kind in ("clicks", "box+clicks"):
                entry["rounds"] = [_number(memory.score(truth.center, mask).dsc) for mask in done.rounds]
            found[kind] = entry
        self._tidy()
        return {**self._key(one), "center": self._index(truth.center), "prompts": found}

    def _sweep(self, one: TruthObject) -> dict[str, Any]:
        calibration, memory = self._study.config.calibration, self._memory(one)
        assert calibration is not None
        rules = [Acceptance(dsc=t) for t in calibration.dsc] + [Acceptance(nsd=t) for t in calibration.nsd]
        counts = sweep(self._bench, memory, self._study.config.workflow, rules, lambda: self._rng(one))
        self._tidy()
        split = len(calibration.dsc)
        return {**self._key(one), "slices": len(memory.truth.extent), "dsc": counts[:split], "nsd": counts[split:]}

    def _joint(self, one: TruthObject) -> dict[str, Any]:
        memory = self._memory(one)
        rules = [Acceptance(dsc, nsd) for dsc, nsd in self._study.joint_thresholds()]
        counts = sweep(self._bench, memory, self._study.config.workflow, rules, lambda: self._rng(one))
        self._tidy()
        return {**self._key(one), "slices": len(memory.truth.extent), "corrected": counts}

    def _worst_first(self, one: TruthObject, workflow: Workflow, times: int) -> dict[str, Any]:
        memory = self._memory(one)
        steps = worst_first(self._bench, memory, workflow, times, self._rng(one))
        self._tidy()
        return {**self._key(one), "steps": [{"drawn": step.drawn, "pixels": step.pixels, "dsc": _number(step.dsc)} for step in steps]}

    def _learning(self, kind: str, name: str) -> dict[str, Any]:
        """A unit in which the model learns."""
        work = LearningWork(self._study.config, self.learning_objects(), self._objects_of, str(self._study.folder))
        if kind == "series":
            return work.series(series_of(self._study.config, self._study.cases)[self._case.case_id])
        if kind == "one_volume":
            return work.one_volume()
        if kind == "auto_prompts":
            return work.auto_prompts(name)
        if kind == "prototypes":
            return work.prototypes(name, prototype_cases(self._study.config, self._study.cases)[0])
        return work.prompt_learning(name)

    @cached_property
    def _crowd_work(self) -> CrowdWork:
        """Kept, so that one crowd answers for all of a case's units."""
        return CrowdWork(self._study.config, self._case, self.learning_objects(), self._objects_of)

    def learning_objects(self) -> list[WorkObject]:
        """The objects of the case, as the units take them in which the model learns."""
        found = []
        for one in self._objects:
            case = SeriesCase(self._case.case_id, self._bench, self._memory(one), partial(self._rng, one))
            found.append(WorkObject(self._key(one), case, self._case.axis, self._case.window))
        return found

    def _objects_of(self, case_id: str) -> list[WorkObject]:
        """Of another case of the study; one without any of the values has none."""
        if case_id == self._case.case_id:
            return self.learning_objects()
        try:
            return CaseWork(self._study, self._study.case(case_id), self._device).learning_objects()
        except NothingToAnnotateError:
            return []

    def _annotated(self, workflow: Workflow, acceptance: Acceptance, unit_file: Path | None) -> dict[str, Any]:
        """A whole case under one rule; with a label map beside `unit_file`, if that is given."""
        objects = []
        labels_kji = None
        if unit_file is not None:
            labels_kji = np.zeros(self._grid.shape_kji, dtype=np.uint8 if max(self._case.values) < 256 else np.uint16)
        for one in self._objects:
            memory = self._memory(one)
            done = simulate(self._bench, memory, workflow, acceptance, self._rng(one))
            objects.append(self._annotated_json(one, memory, done))
            if labels_kji is not None:
                frames = self._bench.stack.view(labels_kji)
                for position, mask in done.masks.items():
                    frames[position][mask] = one.label
            self._tidy()
        if unit_file is None or labels_kji is None:
            return {"objects": objects}
        for speck in self._specks:  # too small to be annotated by prompts: drawn by hand
            box = tuple(slice(start, start + size) for start, size in zip(speck.start_kji, speck.mask_kji.shape, strict=True))
            labels_kji[box][speck.mask_kji] = speck.label
        path = unit_file.with_suffix(".nii.gz")
        path.parent.mkdir(parents=True, exist_ok=True)
        unit_file.unlink(missing_ok=True)  # an older result, of other inputs, must not stand beside the new labels
        write_volume(Volume(self._grid, labels_kji), path)
        return {"objects": objects, "labels": {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}}

    def _annotated_json(self, one: TruthObject, memory: MaskMemory, done: SimulatedObject) -> dict[str, Any]:
        truth = memory.truth
        slices = [
            {
                "slice": row.slice_index,
                **_score_json(row.score),
                "corrected": row.corrected,
                "pixels": row.pixels,
                "truth_pixels": row.truth_pixels,
                "seen": row.seen,
                "expected": None if row.expected is None else [_number(value) for value in astuple(row.expected)],
            }
            for row in done.slices
        ]
        ends = sorted((self._index(truth.extent.first), self._index(truth.extent.last)))
        return {
            **self._key(one),
            "center": self._index(truth.center),
            "extent": ends,
            "slices": slices,
            "effort": _effort_json(done.effort),
            "manual": _effort_json(by_hand(memory)),
            "final": {**self._volume_scores(memory, done), "salient_dsc": self._salient(memory, done)["dsc"]},
        }

    # -- parts -----------------------------------------------------------------------------------------------------------------

    def _memory(self, one: TruthObject) -> MaskMemory:
        key = (one.label, one.instance)
        if key not in self._memories:
            truth = StackedTruth.of(one, self._bench.stack)
            self._memories[key] = MaskMemory(truth, self._bench.stack.frame_spacing_rc_mm, self._rules)
        return self._memories[key]

    def _rng(self, one: TruthObject) -> np.random.Generator:
        """Always in the same state for an object, whatever was computed before, in whatever process."""
        return np.random.default_rng([self._study.config.seed, zlib.crc32(self._case.case_id.encode()), one.label, one.instance])

    def _volume_scores(self, memory: MaskMemory, done: SimulatedObject) -> dict[str, float | None]:
        """3-D scores over the object's extent; nothing of it lies outside."""
        positions = memory.truth.extent.indices
        seen = np.zeros(self._bench.stack.frame_shape_rc, dtype=bool)
        for position in positions:
            seen |= done.masks[position] | memory.truth.frame(position)
        around = bounding_box(seen)
        masks = np.stack([done.masks[position][around] for position in positions])
        truth = np.stack([memory.truth.frame(position)[around] for position in positions])
        scores = Scores.of(masks, truth, self._bench.stack.spacing_src_mm, self._rules.tolerance_mm)
        return {"dsc": _number(scores.dsc), "nsd": _number(scores.nsd), "hd95_mm": _number(scores.hd95_mm)}

    def _salient(self, memory: MaskMemory, done: SimulatedObject) -> dict[str, Any]:
        """Means over the slices on which the object is large (study D)."""
        truth = memory.truth
        large = [p for p in truth.extent.indices if np.count_nonzero(truth.frame(p)) > self._rules.salient_pixels]
        scores = [memory.score(position, done.masks[position]) for position in large]
        means = [float(np.mean([getattr(score, name) for score in scores])) if scores else math.nan for name in ("dsc", "nsd")]
        return {"slices": len(large), "dsc": _number(means[0]), "nsd": _number(means[1])}

    def _key(self, one: TruthObject) -> dict[str, Any]:
        name = self._case.values.get(one.label, str(one.label))
        return {"label": one.label, "name": name, "instance": one.instance, "voxels": one.voxels}

    def _index(self, position: int) -> int:
        return self._bench.stack.index_of(position)

    def _tidy(self) -> None:
        """Between two objects, whose answers have nothing in common."""
        if self._bench.engine.answers > _MOST_ANSWERS:
            self._bench.engine.forget()


def _score_json(score: SliceScore) -> dict[str, float | None]:
    return {"dsc": _number(score.dsc), "nsd": _number(score.nsd)}


def _effort_json(effort: Effort) -> dict[str, float]:
    return {name: round(value, 3) for name, value in asdict(effort).items()}


def _number(value: float) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return round(value, 6) if math.isfinite(value) else None
