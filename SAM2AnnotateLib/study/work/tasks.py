"""Task: a piece of a study that a worker process does whole. Imports case_work, downstream and the folder.

A task is about one case, so that its volume is read once and its slices are encoded once for all of its units.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..records.folder import Study
from .case_work import CaseWork
from .downstream import run_model

MODELS = "models/"


@dataclass(frozen=True)
class Task:
    """Units of work to be done one after the other.

    Args:
        study: the study's folder.
        case: id of the case; empty for the training of a model.
        units: names of units.
    """

    study: str
    case: str
    units: tuple[str, ...]


def execute(
    task: Task, device: str | None, on_unit: Callable[[str, str, float], None], on_note: Callable[[str], None] | None = None
) -> None:
    """Do every unit of a task that is not finished, and write each as soon as it is.

    Args:
        task: what to do.
        device: torch's name of the device to compute on; None takes the configuration's.
        on_unit: told unit, case and seconds of each unit that was done.
        on_note: told what a training is doing, a line each.

    Raises:
        SAM2AnnotateError: if a unit cannot be done; those before it stand.
    """
    study = Study.open(Path(task.study))
    work: CaseWork | None = None
    for unit in task.units:
        if study.is_finished(unit, task.case):
            continue
        started = time.perf_counter()
        if unit.startswith(MODELS):
            result = run_model(study, unit.removeprefix(MODELS), device=device, tell=on_note)
        else:
            if work is None:
                study.inputs(unit, task.case)  # takes the files' digests before they are read: a change meanwhile is noticed later
                work = CaseWork(study, study.case(task.case), device)
            result = work.run(unit)
        seconds = time.perf_counter() - started
        study.write(unit, task.case, result, seconds)
        on_unit(unit, task.case, seconds)
