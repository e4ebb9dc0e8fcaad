"""Study: a folder, its units of work, and which of them are finished. Imports the files beside it, simulation, nnunet.

A unit of a case is one file, written once and atomically. It keeps the SHA-256 of all that decides it; while that is what it would be now,
the unit is finished. The library's version is no part of it, so that a new version does not throw away days of work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from ... import __version__
from ...atomic_files import write_text_atomically
from ...errors import InputError, OutputError
from ...file_locks import locked
from ...file_names import is_plain_name
from ...nnunet.cases.splits import TEST, TRAIN
from ...simulation.acceptance import Acceptance
from ...yaml_config.yaml_file import parse_yaml, read_yaml
from ..configuration.config import StudyConfig
from .calibration import Calibration, acceptance_of
from .cases import StudyCase, find_cases
from .digests import FileDigests
from .groups import prototype_cases, series_of
from .inputs import UnitInputs
from .plain_json import json_text, plain
from .units import Unit, parse_unit, units_of_stage

CONFIG_FILE = "study.yaml"
# Kinds of unit that training for an nnU-Net has no part in.
_OF_ALL_CASES = ("comparison", "worst_first", "prompt_learning", "auto_prompts", "one_volume", "crowd")


class Study:
    """A study in its folder. Made by `open` or `create`; the configuration is that of the moment it was opened.

    Args:
        folder: of the study.
        config: its configuration, with absolute paths of weights and organ masks.
    """

    def __init__(self, folder: Path, config: StudyConfig):
        self.folder = folder
        self.config = config

    @classmethod
    def create(cls, folder: str | Path, yaml_text: str) -> Study:
        """Write the configuration of a new study, as it is. The cases are not looked for yet.

        Raises:
            InputError: if there is a study in the folder, or the text is no configuration.
            OutputError: if the folder cannot be written to.
        """
        folder = Path(folder).resolve()
        if (folder / CONFIG_FILE).exists():
            raise InputError(f"'{folder}' holds a study already. Choose another folder, or edit its {CONFIG_FILE}.")
        config = StudyConfig.from_mapping(parse_yaml(yaml_text, CONFIG_FILE))
        _make_folder(folder)
        write_text_atomically(folder / CONFIG_FILE, yaml_text)
        return cls(folder, config.resolved(folder))

    @classmethod
    def open(cls, folder: str | Path) -> Study:
        """Raises InputError if there is no study, or its configuration is wrong."""
        folder = Path(folder).resolve()
        path = folder / CONFIG_FILE
        if not path.is_file():
            raise InputError(f"'{folder}' holds no study: there is no {CONFIG_FILE}. Make one: sam2annotate study init FOLDER.")
        try:
            return cls(folder, StudyConfig.from_mapping(read_yaml(path)).resolved(folder))
        except InputError as exc:
            raise InputError(f"{exc} ({path})" if str(path) not in str(exc) else str(exc)) from exc

    @cached_property
    def cases(self) -> tuple[StudyCase, ...]:
        """All cases by id. Raises InputError, see `find_cases`."""
        return find_cases(self.config, self.folder)

    @property
    def training_cases(self) -> tuple[StudyCase, ...]:
        """The cases that are annotated and trained on."""
        return tuple(case for case in self.cases if case.part == TRAIN)

    @property
    def test_cases(self) -> tuple[StudyCase, ...]:
        """The cases that are kept for testing."""
        return tuple(case for case in self.cases if case.part == TEST)

    def case(self, case_id: str) -> StudyCase:
        """Raises InputError if there is none."""
        found = self._case_by_id.get(case_id)
        if found is None:
            raise InputError(f"The study has no case '{case_id}'.")
        return found

    def units_of_stage(self, stage: str) -> tuple[str, ...]:
        """Names of the units of a stage, one of `units.STAGES`, in the order in which they are done."""
        return units_of_stage(self.config, stage)

    def case_ids_of(self, unit: str) -> tuple[str, ...]:
        """The cases that a unit is done for: those for training; for what is compared or learned all; of a series the first; of a
        crowd's people the first of all; for a model ``""``, which stands for no case.
        """
        kind = self._unit(unit).kind
        if kind == "models":
            return ("",)
        if kind == "series":
            return tuple(series_of(self.config, self.cases))
        if kind == "crowd_people":
            return tuple(case.case_id for case in self.cases[:1])
        if kind == "prototypes":
            return prototype_cases(self.config, self.cases)[1]
        return tuple(case.case_id for case in (self.cases if kind in _OF_ALL_CASES else self.training_cases))

    def unit_file(self, unit: str, case_id: str) -> Path:
        """Where the result of a unit is."""
        one = self._unit(unit)
        if one.kind == "models":
            return self.folder / "downstream" / "units" / f"{one.name}.json"
        return self.folder.joinpath("units", *unit.split("/"), f"{case_id}.json")

    def inputs(self, unit: str, case_id: str) -> str:
        """SHA-256 of all that decides a unit's result.

        Raises:
            InputError: if it depends on a calibration that is not there, or a file cannot be read.
        """
        return self._inputs_now.of(self._unit(unit), case_id, self.calibration())

    def is_finished(self, unit: str, case_id: str) -> bool:
        """Whether a unit need not be done again."""
        return self.envelope(unit, case_id) is not None

    def result(self, unit: str, case_id: str) -> dict | None:
        """What a finished unit found; None if it is not finished."""
        envelope = self.envelope(unit, case_id)
        return None if envelope is None else envelope["result"]

    def envelope(self, unit: str, case_id: str) -> dict | None:
        """A finished unit's whole file, with seconds and version; None if it is not finished."""
        one, path = self._unit(unit), self.unit_file(unit, case_id)
        if case_id not in self.case_ids_of(unit):
            raise InputError(f"The unit '{unit}' is not done for '{case_id}': see the cases and their parts.")
        content = _read_json(path)
        if content is None or not isinstance(content.get("result"), dict):
            return None
        calibration = self.calibration() if one.needs_calibration else None
        if one.needs_calibration and not _is_calibrated(one, calibration):
            return None
        if content.get("inputs") != self._inputs_now.of(one, case_id, calibration):
            return None
        labels = content["result"].get("labels")
        if labels is None:
            return content
        file = labels.get("file") if isinstance(labels, dict) else None
        return content if is_plain_name(file) and (path.parent / str(file)).is_file() else None

    def write(self, unit: str, case_id: str, result: Mapping, seconds: float) -> None:
        """Keep a unit's result, whole or not at all; other files of the unit must be written before. Raises OutputError."""
        envelope = {
            "unit": unit,
            "case": case_id,
            "inputs": self.inputs(unit, case_id),
            "seconds": round(seconds, 3),
            "finished": _now(),
            "version": __version__,
            "result": result,
        }
        path = self.unit_file(unit, case_id)
        _make_folder(path.parent)
        write_text_atomically(path, json_text(envelope) + "\n")

    def calibration(self) -> Calibration | None:
        """The calibration that fits the configuration and the cases as they are now; its thresholds may still be missing."""
        if self.config.calibration is None:
            return None
        content = _read_json(self.folder / "calibration.json")
        if content is None or content.get("inputs") != self._calibration_inputs:
            return None
        return Calibration.from_json(content)

    def write_calibration(self, calibration: Calibration) -> Calibration:
        """Keep a calibration; returns it with its inputs. Raises OutputError."""
        kept = replace(calibration, inputs=self._calibration_inputs)
        write_text_atomically(self.folder / "calibration.json", json.dumps(plain(kept), indent=1) + "\n")
        return kept

    def acceptance_of(self, scenario: str) -> Acceptance:
        """The rule by which a scenario accepts masks. Raises InputError if it is not calibrated."""
        return acceptance_of(scenario, self.calibration())

    def joint_thresholds(self) -> tuple[tuple[float, float], ...]:
        """Thresholds of DSC and NSD that the unit ``joint`` tries. Raises InputError if the sweeps are not calibrated."""
        calibration = self.calibration()
        if calibration is None:
            raise InputError("The study is not calibrated yet. Run the sweeps of all training cases first.")
        return tuple((point.dsc, point.nsd) for point in calibration.joint)

    def file_digest(self, path: Path) -> str:
        """SHA-256 of a file of a case, see `FileDigests.digest`."""
        return self._digests.digest(path)

    def log(self, event: str, **values: Any) -> None:
        """Append a line to log.jsonl. Raises OutputError."""
        path = self.folder / "log.jsonl"
        try:
            with open(path, "ab") as file:  # one write of a line in append mode: lines of several processes do not mix
                file.write((json_text({"time": _now(), "event": event, **values}) + "\n").encode())
        except OSError as exc:
            raise OutputError(f"Cannot write '{path}': {exc.strerror or exc}.") from exc

    def lock(self) -> AbstractContextManager[None]:
        """Hold the study for one run. Raises InputError if another process runs it."""
        return locked(self.folder / ".lock")

    @cached_property
    def _case_by_id(self) -> dict[str, StudyCase]:
        return {case.case_id: case for case in self.cases}

    @cached_property
    def _digests(self) -> FileDigests:
        return FileDigests(self.folder / "digests.jsonl")

    @cached_property
    def _inputs_now(self) -> UnitInputs:
        return UnitInputs(self.config, self.cases, self._digests)

    @cached_property
    def _calibration_inputs(self) -> str:
        return self._inputs_now.of_calibration()

    def _unit(self, unit: str) -> Unit:
        return parse_unit(self.config, unit)


def _is_calibrated(unit: Unit, calibration: Calibration | None) -> bool:
    return calibration is not None and (unit.kind == "joint" or unit.name in calibration.thresholds)


def _read_json(path: Path) -> dict | None:
    """The object in a JSON file; None if there is none that can be read, which is then made again."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"Cannot make the folder '{folder}': {exc.strerror or exc}.") from exc


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
