"""What decides the result of a unit, as one SHA-256. Imports the config, units, digests, calibration, nnunet, engine, errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from ...crowd.simulated import PEOPLE
from ...engine.models.checkpoints import find_checkpoint
from ...errors import InputError
from ...nnunet.cases.splits import TRAIN
from ...review.expected_dsc import expected_dsc
from ...simulation.workflow import Workflow
from ..configuration.config import REFERENCE, StudyConfig
from ..configuration.config_learning import AS_IT_CAME
from .calibration import Calibration, acceptance_of
from .cases import StudyCase
from .digests import FileDigests
from .groups import prototype_cases, series_of
from .plain_json import sha256_of
from .units import CROWD_KINDS, LEARNING_KINDS, Unit

# Raised when results of an older version must not be taken for those of this one.
_FORMAT = 2
# The options of a workflow that its method looks at.
_DECISIVE = {
    "propagation": ("prompt", "roi", "order"),
    "slice_boxes": ("roi",),
    "box_tracking": ("roi", "margin_mm"),
    "interpolation": ("every",),
}
# Changes how fast a model is trained, not which.
_DOWNSTREAM_SPEED = ("device", "threads", "processes", "checkpoint_every")


class UnitInputs:
    """Digests of inputs, for one state of configuration and files.

    Args:
        config: with absolute paths.
        cases: all of the study.
        digests: of files.
    """

    def __init__(self, config: StudyConfig, cases: Sequence[StudyCase], digests: FileDigests):
        self._config = config
        self._cases = {case.case_id: case for case in cases}
        self._digests = digests
        self._case_inputs: dict[str, dict] = {}

    def of(self, unit: Unit, case_id: str, calibration: Calibration | None) -> str:
        """SHA-256 for a unit of a case.

        Args:
            calibration: of this state; needed by units that depend on it.

        Raises:
            InputError: if such a unit has none, or a file cannot be read.
        """
        if unit.kind == "models":
            return sha256_of([*self._common(unit), self._downstream(unit.name, calibration)])
        return sha256_of([*self._common(unit), self._simulation(unit.kind), self._case(case_id), self._own(unit, case_id, calibration)])

    def of_calibration(self) -> str:
        """SHA-256 for the calibration: the sweeps of all training cases, and what is made of them."""
        sweeps = [self.of(Unit("sweep"), case.case_id, None) for case in self._cases.values() if case.part == TRAIN]
        return sha256_of([_FORMAT, "calibration", self._config.calibration, sorted(sweeps)])

    @staticmethod
    def _common(unit: Unit) -> list[Any]:
        return [_FORMAT, unit.kind]

    def _simulation(self, kind: str) -> dict:
        """What the simulated units of a kind depend on: prompts are compared without corrections, sweeps score no volume."""
        config = self._config
        found: dict[str, Any] = {
            "separate": config.objects.separate,
            "smallest_voxels": config.objects.smallest_voxels,
            "model": self._model,
            "seed": config.seed,
            "tolerance_mm": config.tolerance_mm,
        }
        if kind == "prompts":
            found["clicks"] = config.clicks
        else:
            found["correction_mm"] = config.correction_mm
        if kind not in ("sweep", "joint"):
            found["salient_pixels"] = config.objects.salient_pixels
        return found

    @cached_property
    def _model(self) -> dict:
        """The weights by their content, so that their file may be moved, and a name that means other weights is noticed."""
        model = self._config.model
        checkpoint = find_checkpoint(model.checkpoint, model.architecture)
        weights = checkpoint.sha256 or self._digests.digest(Path(checkpoint.file_name))
        found = {"weights": weights, "architecture": model.architecture, "image_size": model.image_size, "precision": model.precision}
        if model.adapter is not None:
            found["adapter"] = self._digests.digest(Path(model.adapter))
        return found

    def _case(self, case_id: str) -> dict:
        if case_id not in self._case_inputs:
            case = self._cases[case_id]
            self._case_inputs[case_id] = {
                "case": case.case_id,
                "image": self._digests.digest(case.image),
                "labels": self._digests.digest(case.labels),
                "axis": case.axis,
                "window": case.window,
                "values": sorted([value, name] for value, name in case.values.items()),
            }
        return self._case_inputs[case_id]

    def _own(self, unit: Unit, case_id: str, calibration: Calibration | None) -> dict:
        config = self._config
        if unit.kind == "comparison":
            assert config.comparison is not None
            workflow = next(flow for flow in config.comparison.workflows if flow.name == unit.name)
            return {"workflow": _decisive(workflow), "rule": config.comparison.rules[unit.rule], "effort": config.effort}
        if unit.kind == "worst_first":
            assert config.comparison is not None
            workflow = next(flow for flow in config.comparison.workflows if flow.name == unit.name)
            return {"workflow": _decisive(workflow), "corrections": workflow.corrections, "times": config.comparison.worst_first}
        if unit.kind in LEARNING_KINDS:
            return self._learning(unit, case_id)
        if unit.kind in CROWD_KINDS:
            return self._crowd(unit)
        if unit.kind == "prompts":
            return {"prompts": config.prompts, "roi": config.workflow.roi}
        own: dict[str, Any] = {"workflow": _decisive(config.workflow)}
        if unit.kind == "sweep":
            assert config.calibration is not None
            own["thresholds"] = [config.calibration.dsc, config.calibration.nsd]
        elif unit.kind == "joint":
            if calibration is None:
                raise InputError("The study is not calibrated yet. Run the sweeps of all training cases first.")
            own["grid"] = [[point.dsc, point.nsd] for point in calibration.joint]
        elif unit.kind == "scenarios":
            own["rule"] = acceptance_of(unit.name, calibration)
            own["effort"] = config.effort
        return own

    def _learning(self, unit: Unit, case_id: str) -> dict:
        """What was asked for, and the other cases that the unit looks at."""
        config, cases = self._config, list(self._cases.values())
        if unit.kind == "prompt_learning":
            assert config.prompt_learning is not None
            setting = None if unit.name == AS_IT_CAME else config.prompt_learning.setting(unit.name)
            most = max(config.prompt_learning.slices)  # the slices that are asked about are the same for all settings
            return {"setting": setting, "most": most, "clicks": config.prompt_learning.clicks, "roi": config.workflow.roi}
        if unit.kind == "auto_prompts":
            assert config.auto_prompts is not None
            return {"method": unit.name, "slices": config.auto_prompts.slices, "roi": config.workflow.roi}
        if unit.kind == "prototypes":
            assert config.prototypes is not None
            chosen = [] if unit.name == "prompt_each" else prototype_cases(config, cases)[0]
            learning = config.prototypes.options if unit.name == "prototype_learned" else None
            return {"way": unit.name, "learning": learning, "prototypes": [self._case(one) for one in chosen], "roi": config.workflow.roi}
        saved = config.corrections_saved
        assert saved is not None
        found = {"workflow": _decisive(config.workflow), "rule": saved.rule, "effort": config.effort, "learning": saved.options}
        if unit.kind == "series":
            return {**found, "cases": [self._case(one) for one in series_of(config, cases)[case_id]]}
        return {**found, "learn_after": saved.learn_after}

    def _crowd(self, unit: Unit) -> dict:
        """The crowd; what it is asked; for its people without a model all cases."""
        config = self._config.crowd
        assert config is not None
        found = {
            "skills": [PEOPLE[name] for name in config.skills],
            "largest": config.largest,
            "beyond": config.beyond,
            "gold_every": config.gold_every,
        }
        if unit.kind == "crowd_people":
            cases = [self._case(case_id) for case_id in self._cases]
            asked = {"crowds": config.crowds, "random_share": config.random_share, "answers": config.answers, "people": config.people}
            return {**found, **asked, "cases": cases}
        settings = [setting for setting in config.settings if setting.people == int(unit.name)]
        return {**found, "settings": settings, "missing": config.missing, "roi": self._config.workflow.roi}

    def _downstream(self, name: str, calibration: Calibration | None) -> dict:
        """The options, the organ masks, the test cases, and the training cases with the labels that they are trained on."""
        options = self._config.downstream
        assert options is not None
        settings = {key: value for key, value in asdict(options).items() if key not in (*_DOWNSTREAM_SPEED, "crop_to")}
        cases = []
        for case in self._cases.values():
            trained = case.part == TRAIN
            annotated = trained and name != REFERENCE
            labels = self.of(Unit("scenarios", name), case.case_id, calibration) if annotated else ""
            mask = None if options.crop_to is None else options.crop_to / f"{case.case_id}.nii.gz"
            organ = "" if mask is None or not mask.is_file() else self._digests.digest(mask)
            cases.append([self._case(case.case_id), case.patient, case.part, labels, organ])
        split_seed = self._config.data.split_seed  # also of the folds
        return {"options": settings, "values": sorted(self._config.data.values.items()), "split_seed": split_seed, "cases": cases}


def _decisive(workflow: Workflow) -> dict[str, Any]:
    """What decides the result of a workflow; its name does not."""
    names = _DECISIVE[workflow.method]
    if "prompt" in names and "clicks" in workflow.prompt:
        names = (*names, "clicks")
    if "order" in names and workflow.order == "doubtful":  # from the center outward both ways with a correction are the same
        names = (*names, "corrections")
    found = {"method": workflow.method, **{name: getattr(workflow, name) for name in names}}
    if workflow.method == "propagation" and workflow.together:
        found["together"] = workflow.together
    if workflow.method == "propagation" and (workflow.together or workflow.order == "doubtful"):
        found["expected_dsc"] = expected_dsc().to_json()
    return found
