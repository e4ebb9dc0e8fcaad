"""Read all results of a study, once; nothing else of the report reads JSON. Imports study.folder, nnunet, simulation, errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from ...errors import InputError
from ...nnunet.scores.evaluation_tables import read_scores_csv
from ...simulation.effort import Effort
from .crowd_reader import read_crowd
from .folder import Study
from .learning_reader import read_learning
from .results import Annotation, ForeseenSlice, ModelUnit, ObjectKey, PromptScore, StudyResults, UnitProgress, WorstFirst
from .units import CROWD_KINDS, LEARNING_KINDS

_NAN = float("nan")
_Row = TypeVar("_Row")


def read_results(study: Study) -> StudyResults:
    """Read every finished unit of a study.

    Raises:
        InputError: if a finished unit does not hold what such a unit holds, or scores cannot be read.
    """
    reader = _Reader(study)
    prompts: tuple[tuple[PromptScore, ...], ...] = ()
    comparison: dict[tuple[str, int], tuple[Annotation, ...]] = {}
    worst_first: dict[str, tuple[WorstFirst, ...]] = {}
    first = study.units_of_stage("first")
    learning, crowd = read_learning(first, reader.objects), read_crowd(first, reader.objects, reader.entries)
    for unit in first:
        kind, *rest = unit.split("/")
        if kind == "prompts":
            prompts = reader.objects(unit, _prompt_scores)
        elif kind == "comparison":
            comparison[rest[0], int(rest[1])] = reader.objects(unit, _annotation)
        elif kind == "worst_first":
            worst_first[rest[0]] = reader.objects(unit, _worst_first)
        elif kind not in (*LEARNING_KINDS, *CROWD_KINDS):
            reader.count(unit)
    for unit in study.units_of_stage("joint"):
        reader.count(unit)
    scenarios = {unit.split("/")[1]: reader.objects(unit, _annotation) for unit in study.units_of_stage("scenarios")}
    trained = [model for model in map(reader.model, study.units_of_stage("models")) if model is not None]
    scores = study.folder / "downstream" / "scores.csv"
    events, damaged = read_events(study.folder / "log.jsonl")
    names = [model.name for model in trained]  # scores of a model that must be trained anew are none of this study's
    evaluations = [one for one in (read_scores_csv(scores) if scores.is_file() else ()) if one.model in names]
    return StudyResults(
        prompts=tuple(score for scores_of_object in prompts for score in scores_of_object),
        scenarios={name: rows for name, rows in scenarios.items() if rows},
        comparison={key: rows for key, rows in comparison.items() if rows},
        worst_first={name: rows for name, rows in worst_first.items() if rows},
        calibration=study.calibration(),
        models=tuple(sorted(evaluations, key=lambda evaluation: names.index(evaluation.model))),
        model_units=tuple(trained),
        progress=tuple(reader.progress.values()),
        versions=tuple(sorted(reader.versions)),
        events=events,
        damaged_log_lines=damaged,
        learning=learning,
        crowd=crowd,
    )


def read_events(path: Path) -> tuple[tuple[Mapping[str, Any], ...], int]:
    """The lines of a study's log, and how many cannot be read because a power failure or a full disk cut them off. No log has no line."""
    events: list[Mapping[str, Any]] = []
    damaged = 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            event = json.loads(line)
            datetime.fromisoformat(event["time"])
            event["event"].startswith("run")
        except (ValueError, KeyError, TypeError, AttributeError):
            damaged += 1
        else:
            events.append(event)
    return tuple(events), damaged


class _Reader:
    """Reads units and remembers how many there are."""

    def __init__(self, study: Study):
        self._study = study
        self.progress: dict[str, UnitProgress] = {}
        self.versions: set[str] = set()

    def count(self, unit: str) -> list[tuple[str, dict]]:
        """The finished results of a unit, by case."""
        cases = self._study.case_ids_of(unit)
        found = [(case, self._study.envelope(unit, case)) for case in cases]
        done = [(case, envelope) for case, envelope in found if envelope is not None]
        self.versions.update(str(envelope.get("version")) for _, envelope in done)
        self.progress[unit] = UnitProgress(unit, len(done), len(cases))
        return [(case, envelope["result"]) for case, envelope in done]

    def objects(self, unit: str, read: Callable[[ObjectKey, dict], _Row]) -> tuple[_Row, ...]:
        """One row for each object of a unit, sorted by key."""
        rows = {}
        for case, result in self.count(unit):
            with self._understood(unit, case):
                for entry in result["objects"]:
                    key = _key(case, entry)
                    rows[key] = read(key, entry)
        return tuple(rows[key] for key in sorted(rows))

    def entries(self, unit: str, name: str, read: Callable[[dict], _Row]) -> tuple[_Row, ...]:
        """One row for each entry of a list that the unit's results hold under a name."""
        rows = []
        for case, result in self.count(unit):
            with self._understood(unit, case):
                rows += [read(entry) for entry in result[name]]
        return tuple(rows)

    def model(self, unit: str) -> ModelUnit | None:
        """A trained model, or None."""
        for case, result in self.count(unit):
            with self._understood(unit, case):
                return _model_unit(unit, result)
        return None

    @contextmanager
    def _understood(self, unit: str, case: str) -> Iterator[None]:
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as exc:
            path = self._study.unit_file(unit, case)
            raise InputError(f"'{path}' does not hold a result of '{unit}': {type(exc).__name__} {exc}. Remove it and run again.") from exc


def _key(case: str, entry: dict) -> ObjectKey:
    return ObjectKey(case, int(entry["label"]), int(entry["instance"]), str(entry["name"]))


def _prompt_scores(key: ObjectKey, entry: dict) -> tuple[PromptScore, ...]:
    rows = []
    for prompt, found in entry["prompts"].items():
        center, volume, salient = found["center"], found["volume"], found["salient"]
        rows.append(
            PromptScore(
                key,
                prompt,
                center_dsc=_number(center["dsc"]),
                center_nsd=_number(center["nsd"]),
                volume_dsc=_number(volume["dsc"]),
                volume_nsd=_number(volume["nsd"]),
                salient_slices=int(salient["slices"]),
                salient_dsc=_number(salient["dsc"]),
                salient_nsd=_number(salient["nsd"]),
                rounds=tuple(_number(dsc) for dsc in found.get("rounds") or ()),
            )
        )
    return tuple(rows)


def _worst_first(key: ObjectKey, entry: dict) -> WorstFirst:
    steps = tuple((int(step["drawn"]), int(step["pixels"]), _number(step["dsc"])) for step in entry["steps"])
    return WorstFirst(key, int(entry["voxels"]), steps)


def _annotation(key: ObjectKey, entry: dict) -> Annotation:
    slices, final = entry["slices"], entry["final"]
    return Annotation(
        key,
        slices=len(slices),
        corrected=sum(bool(one["corrected"]) for one in slices),
        truth_pixels=sum(int(one["truth_pixels"]) for one in slices),
        effort=_effort(entry["effort"]),
        manual=_effort(entry["manual"]),
        dsc=_number(final["dsc"]),
        nsd=_number(final["nsd"]),
        foreseen=tuple(_foreseen(one) for one in slices if one.get("expected") is not None and one["dsc"] is not None),
    )


def _foreseen(entry: dict) -> ForeseenSlice:
    expected, low, high = (float(value) for value in entry["expected"])
    return ForeseenSlice(expected, low, high, float(entry["dsc"]), bool(entry["corrected"]), bool(entry["seen"]))


def _effort(entry: dict) -> Effort:
    return Effort(**{one.name: entry[one.name] for one in fields(Effort)})


def _model_unit(unit: str, result: dict) -> ModelUnit:
    seconds = (float(result[name]) for name in ("train_seconds", "predict_seconds"))
    return ModelUnit(unit.split("/")[1], int(result["cases_train"]), int(result["cases_test"]), *seconds)


def _number(value: float | None) -> float:
    """JSON's null stands for what cannot be said."""
    return _NAN if value is None else float(value)
