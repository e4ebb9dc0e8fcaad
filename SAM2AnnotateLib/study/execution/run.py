"""Run a study from wherever it is to its report: stage after stage, each only what is not finished. Imports the files beside it, errors."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import Cancelled, InputError, SAM2AnnotateError
from ...progress import CancelToken
from ..records.calibration import calibrate, calibrate_jointly
from ..records.folder import Study
from ..records.status import UnitTimes, duration
from ..report.report import write_report
from ..work.downstream import drop_outdated_scores, evaluate_models
from ..work.tasks import Task
from .executors import Executor, TaskEvent, trains_a_model

# Where a run may end, in order.
STEPS = ("first", "calibration", "scenarios", "models", "report")


def run_study(
    study: Study, executor: Executor, *, tell: Callable[[str], None], cancel: CancelToken | None = None, until: str = "report"
) -> Path | None:
    """Do all of a study that is not finished yet; returns the report, or None if it was to end before.

    Args:
        study: opened anew for this run.
        executor: does the units.
        tell: told of every step and every unit, a line each.
        cancel: asked for between units.
        until: the last of `STEPS` to do: prompts, sweeps and comparison; thresholds; scenarios; models and their scores; the report.

    Raises:
        InputError: if another process runs the study, a file of it is wrong, or a target cannot be met by the calibration.
        Cancelled: on request; finished units stay.
        SAM2AnnotateError: if units failed, see `Executor.run`; the other units of that stage are finished.
    """
    if until not in STEPS:
        raise InputError(f"Unknown step '{until}': expected one of {', '.join(STEPS)}.")
    begun = time.monotonic()
    with study.lock():
        _remove_leftovers(study.folder / "units")
        study.log("run started", workers=executor.workers, until=until)
        try:
            run = _Run(study, executor, tell, cancel)
            run.go(STEPS.index(until))
            study.log("run finished", seconds=round(time.monotonic() - begun, 1))  # the report tells of this run, too
            report = run.report() if until == "report" else None
        except (Cancelled, KeyboardInterrupt):
            study.log("run stopped", seconds=round(time.monotonic() - begun, 1))
            raise
        except Exception as exc:  # of other packages too: without this line the log would tell of a kill
            problem = str(exc) if isinstance(exc, SAM2AnnotateError) else f"{type(exc).__name__}: {exc}"
            study.log("run failed", seconds=round(time.monotonic() - begun, 1), problem=problem)
            raise
    return report


class _Run:
    """One run; the arguments are those of `run_study`."""

    def __init__(self, study: Study, executor: Executor, tell: Callable[[str], None], cancel: CancelToken | None):
        self._study, self._executor, self._tell, self._cancel = study, executor, tell, cancel
        self._times = UnitTimes()

    def go(self, last: int) -> None:
        """The steps up to this index of `STEPS`, without the report."""
        study = self._study
        self._tell(
            f"Study '{study.config.name}': {len(study.training_cases)} cases for training, {len(study.test_cases)} for testing, "
            f"{self._executor.workers} at once."
        )
        for step in (lambda: self._stage("first"), self._calibrate, self._scenarios, self._models)[: last + 1]:
            step()

    def report(self) -> Path:
        """Write the report."""
        self._ask()
        self._tell("Writing the report.")
        return write_report(self._study)

    def _calibrate(self) -> None:
        study, config = self._study, self._study.config.calibration
        if config is None:
            return
        self._ask()
        calibration = study.calibration()
        if calibration is None:
            calibration = study.write_calibration(calibrate(self._results("sweep"), config))
        self._stage("joint")
        if not calibration.thresholds:
            calibration = study.write_calibration(calibrate_jointly(calibration, self._results("joint"), config.targets))
        for name, found in calibration.thresholds.items():
            self._tell(f"Calibrated: {name}, {found.target:.0%} of slices, DSC above {found.dsc:.4f} and NSD above {found.nsd:.4f}.")
        for problem in calibration.problems:
            self._tell(f"Calibration: {problem}")

    def _scenarios(self) -> None:
        self._stage("scenarios")
        embeddings = self._study.folder / "embeddings"
        if embeddings.exists():
            try:
                shutil.rmtree(embeddings)
            except OSError as exc:  # it only takes room; the study goes on
                self._tell(
                    f"The folder '{embeddings}' is no longer needed and could not be removed: {exc.strerror or exc}. Remove it by hand."
                )

    def _models(self) -> None:
        if not self._study.units_of_stage("models"):
            return
        drop_outdated_scores(self._study)  # else, after a kill, a model trained anew would stand there with the scores of the old one
        self._stage("models")
        self._tell("Scoring the models on the test cases.")
        evaluate_models(self._study, cancel=self._cancel)

    def _stage(self, stage: str) -> None:
        """Do all units of a stage that are not finished."""
        study = self._study
        units = study.units_of_stage(stage)
        if not units:
            return
        self._ask()
        waiting: list[tuple[str, str]] = []
        total = outdated = 0
        for unit in units:
            for case_id in study.case_ids_of(unit):
                total += 1
                envelope = study.envelope(unit, case_id)
                if envelope is not None:
                    self._times.note(unit, float(envelope["seconds"]))
                    continue
                waiting.append((unit, case_id))
                outdated += study.unit_file(unit, case_id).exists()
        if not waiting:
            self._tell(f"Stage {stage}: all {total} units are finished.")
            return
        left = self._time_left([unit for unit, _ in waiting])
        self._tell(f"Stage {stage}: {total - len(waiting)} of {total} units are finished{f', the others take {left}' if left else ''}.")
        if outdated:
            self._tell(f"{outdated} {'units are' if outdated > 1 else 'unit is'} done again because study.yaml or the data changed.")
        self._executor.run(self._tasks(waiting), _Listener(study, self._tell, self._times, waiting, total, self._time_left), self._cancel)
        missing = [unit for unit, case_id in waiting if not study.is_finished(unit, case_id)]
        if missing:
            raise InputError(
                f"{len(missing)} units of the stage '{stage}' are not what was asked for: study.yaml or the data changed during the run. "
                "Give the same command again."
            )

    def _tasks(self, waiting: Sequence[tuple[str, str]]) -> list[Task]:
        """One task for each case, so that its volume is read once; one for each model."""
        by_case: dict[str, list[str]] = {}
        for unit, case_id in waiting:
            by_case.setdefault(case_id, []).append(unit)
        folder = str(self._study.folder)
        tasks = [Task(folder, case_id, tuple(units)) for case_id, units in by_case.items()]
        if trains_a_model(tasks[0]):
            return [Task(folder, "", (unit,)) for unit, _ in waiting]
        return tasks

    def _results(self, unit: str) -> list[dict]:
        found = [self._study.result(unit, case_id) for case_id in self._study.case_ids_of(unit)]
        return [result for result in found if result is not None]

    def _time_left(self, units: Sequence[str]) -> str:
        seconds = self._times.left(units, self._executor.workers)
        return "" if seconds is None else f"about {duration(seconds)}"

    def _ask(self) -> None:
        if self._cancel is not None:
            self._cancel.raise_if_cancelled()


def _remove_leftovers(units: Path) -> None:
    """Remove what a kill left of files that were being written; nobody writes there now."""
    for path in units.rglob(".*.partial.*"):
        with contextlib.suppress(OSError):  # it only takes room
            path.unlink()


class _Listener:
    """Hears what the executor tells during a stage; logs it and hands it on as a line."""

    def __init__(
        self,
        study: Study,
        tell: Callable[[str], None],
        times: UnitTimes,
        waiting: Sequence[tuple[str, str]],
        total: int,
        time_left: Callable[[Sequence[str]], str],
    ):
        self._study, self._tell, self._times = study, tell, times
        self._waiting, self._total, self._time_left = set(waiting), total, time_left

    def __call__(self, event: TaskEvent) -> None:
        name = f"{event.unit} of {event.case}" if event.case else event.unit
        if event.note:
            self._tell(event.note)
            return
        if event.problem:
            self._study.log("unit failed", unit=event.unit, case=event.case, problem=event.problem)
            self._tell(f"{name} failed: {event.problem}")
            return
        self._study.log("unit finished", unit=event.unit, case=event.case, seconds=round(event.seconds, 3))
        self._times.note(event.unit, event.seconds)
        self._waiting.discard((event.unit, event.case))
        left = self._time_left([unit for unit, _ in self._waiting])
        self._tell(
            f"{name}: {duration(event.seconds)}; {self._total - len(self._waiting)} of {self._total}{f', {left} left' if left else ''}"
        )
