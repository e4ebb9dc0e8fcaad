"""How far a study is: units finished, how long the rest takes, thresholds found. Imports the folder, result_reader and errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...errors import InputError
from .calibration import Thresholds
from .folder import Study
from .result_reader import read_events
from .units import STAGES


class UnitTimes:
    """Mean seconds of the units that are finished, by kind: all scenarios are one kind, and so are all workflows of a comparison."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, int]] = {}

    def note(self, unit: str, seconds: float) -> None:
        """Count a finished unit."""
        total, count = self._sums.get(kind_of(unit), (0.0, 0))
        self._sums[kind_of(unit)] = total + seconds, count + 1

    def mean(self, unit: str) -> float | None:
        """Mean of the unit's kind; None if none is finished."""
        total, count = self._sums.get(kind_of(unit), (0.0, 0))
        return total / count if count else None

    def left(self, units: Iterable[str], workers: int) -> float | None:
        """Seconds that these units will take with so many workers; None if a kind among them is not known yet.

        Models are trained one at a time; with several GPUs they take less.
        """
        total = 0.0
        for unit in units:
            mean = self.mean(unit)
            if mean is None:
                return None
            total += mean if kind_of(unit) == "models" else mean / workers
        return total


@dataclass(frozen=True)
class StageStatus:
    """One kind of unit.

    Args:
        stage: ``prompts``, ``sweep``, ``comparison``, ``joint``, ``scenarios`` or ``models``.
        finished: units that are finished.
        total: units in all.
        outdated: units that were done before the configuration or the data changed, and will be done again.
        mean_seconds: of a finished unit; None if there is none.
        seconds_left: for the units that are not finished; None if not known.
    """

    stage: str
    finished: int
    total: int
    outdated: int
    mean_seconds: float | None
    seconds_left: float | None


@dataclass(frozen=True)
class StudyStatus:
    """A study at this moment.

    Args:
        name: of the study.
        stages: in the order in which they are done; those that the study does not have are left out.
        thresholds: by scenario; empty as long as they are not found.
        problems: of the calibration, a sentence each.
        running: whether a run is going on.
        workers: that `seconds_left` counts with.
    """

    name: str
    stages: tuple[StageStatus, ...]
    thresholds: Mapping[str, Thresholds]
    problems: tuple[str, ...]
    running: bool
    workers: int


def study_status(study: Study, workers: int | None = None) -> StudyStatus:
    """Look at a study; changes nothing.

    Args:
        workers: to reckon with; None takes as many as the last run had.

    Raises:
        InputError: if the cases or the log cannot be read.
    """
    workers = workers or _workers_of_last_run(study)
    calibration = study.calibration()
    return StudyStatus(
        study.config.name,
        tuple(_stages(study, workers)),
        calibration.thresholds if calibration is not None else {},
        calibration.problems if calibration is not None else (),
        is_running(study),
        workers,
    )


def is_running(study: Study) -> bool:
    """Whether another process holds the study's lock. Held here for an instant if none does."""
    try:
        with study.lock():
            return False
    except InputError:
        return True


def kind_of(unit: str) -> str:
    """``scenarios`` of ``scenarios/low``."""
    return unit.partition("/")[0]


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 05 min``, ``2 d 4 h``."""
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


def _stages(study: Study, workers: int) -> list[StageStatus]:
    units = [unit for stage in STAGES for unit in study.units_of_stage(stage)]
    times, waiting, counts = UnitTimes(), dict[str, list[str]](), dict[str, list[int]]()
    for unit in units:
        left, (finished, total, outdated) = waiting.setdefault(kind_of(unit), []), counts.get(kind_of(unit), [0, 0, 0])
        for case_id in study.case_ids_of(unit):
            envelope = study.envelope(unit, case_id)
            total += 1
            if envelope is not None:
                finished += 1
                times.note(unit, float(envelope["seconds"]))
                continue
            left.append(unit)
            outdated += study.unit_file(unit, case_id).exists()
        counts[kind_of(unit)] = [finished, total, outdated]
    return [
        StageStatus(kind, finished, total, outdated, times.mean(kind), times.left(waiting[kind], workers))
        for kind, (finished, total, outdated) in counts.items()
    ]


def _workers_of_last_run(study: Study) -> int:
    begun = [event for event in read_events(study.folder / "log.jsonl")[0] if event.get("event") == "run started"]
    return max(1, int(begun[-1].get("workers", 1))) if begun else 1
