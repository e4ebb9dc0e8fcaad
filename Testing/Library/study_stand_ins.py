"""A study without images, and what stands in for `study.tasks.execute`: called by name in the processes of an executor."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.study.records.folder import Study

HERE = Path(__file__).parent
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


def named(function: Callable) -> str:
    """The name by which an executor finds a function of this file, which must lie on PYTHONPATH."""
    return f"{Path(__file__).stem}:{function.__name__}"


def leave_traces(task, device, on_unit, on_note=None):
    """A file for each unit, with what the process was given; ``case-fails`` fails at its second unit.

    ``case-dies`` is killed at each sweep, ``case-dies-once`` only at the first.
    """
    for number, unit in enumerate(task.units):
        print("noise that must not disturb")  # noqa: T201
        if number == 1 and task.case == "case-fails":
            raise InputError("The image is\nno image.")
        if number == 1 and task.case == "case-breaks":
            raise ZeroDivisionError("division by zero")
        died = Path(task.study) / "died-once"
        if unit == "sweep" and (task.case == "case-dies" or (task.case == "case-dies-once" and not died.exists())):
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        traces = [task.case, unit, str(device), *(os.environ.get(name, "") for name in VARIABLES)]
        (Path(task.study) / f"{task.case}.{unit.replace('/', '.')}.{os.getpid()}").write_text("|".join(traces))
        on_unit(unit, task.case, 0.25)


def wait_for_the_end(task, device, on_unit, on_note=None):
    """Name the process, then wait."""
    (Path(task.study) / f"pid-{os.getpid()}").touch()
    on_unit(task.units[0], task.case, 0.0)
    time.sleep(600)


def meet(task, device, on_unit, on_note=None):
    """Finish only when as many tasks are at work at once as the case's name says."""
    folder = Path(task.study)
    (folder / f"met-{os.getpid()}").write_text(device)
    deadline = time.monotonic() + 60
    while len(list(folder.glob("met-*"))) < int(task.case.partition("-")[0]):
        if time.monotonic() > deadline:
            raise TimeoutError("nobody came")
        time.sleep(0.01)
    on_unit(task.units[0], task.case, 0.0)


def pretend(task, device, on_unit, on_note=None):
    """Write a result for every unit that is not finished, without any model; what lies in the study's folder changes the manner.

    ``pace`` holds the seconds that a unit really takes; ``fail-CASE`` makes the case fail. ``done.txt`` gets a line for each unit.
    """
    study = Study.open(task.study)
    for unit in task.units:
        if study.is_finished(unit, task.case):
            continue
        if (study.folder / f"fail-{task.case}").exists():
            raise InputError("The image is no image.")
        pace = study.folder / "pace"
        time.sleep(float(pace.read_text()) if pace.exists() else 0.0)
        with open(study.folder / "done.txt", "a") as done:
            done.write(f"{unit} {task.case}\n")
        study.write(unit, task.case, result_of(study, unit), 2.0)
        on_unit(unit, task.case, 2.0)


def result_of(study: Study, unit: str) -> dict:
    """Alone, each threshold of `STUDY_YAML` corrects 0, 4 and 8 of 10 slices; a pair corrects a quarter more than each alone."""
    if unit == "sweep":
        return {"objects": [{"slices": 10, "dsc": [0, 4, 8], "nsd": [0, 4, 8]}], "encoded": 10}
    if unit == "joint":
        calibration = study.calibration()
        assert calibration is not None
        return {"objects": [{"slices": 10, "corrected": [12.5 * point.share for point in calibration.joint]}], "encoded": 0}
    return {"objects": [], "encoded": 0}


STUDY_YAML = """
name: trial
data: {images: images, labels: labels, values: {1: thing}, test_share: 0.5}
prompts: [box]
calibration:
  dsc: [0.5, 0.7, 0.9]
  nsd: [0.2, 0.4, 0.6]
  joint: to_target
  joint_shares: [0.1, 0.3, 0.5, 0.7]
downstream: {channel: MR, device: cpu, folds: all}
"""
# With four cases, two of them for training.
UNITS = (
    "prompts",
    "sweep",
    "joint",
    *(f"scenarios/{name}" for name in ("none", "low", "moderate", "high")),
    *(f"models/{name}" for name in ("reference", "none", "low", "moderate", "high")),
)


def a_study(folder: Path, text: str = STUDY_YAML) -> Study:
    """A study of four cases whose files hold no image; `pretend` looks into none."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
        for name in "abcd":
            (folder / kind / f"{name}.nii.gz").write_text(f"{kind} {name}")
    return Study.create(folder, text)


def say_what_it_does(task, device, on_unit, on_note=None):
    """Takes long, and says so, a line at a time."""
    for unit in task.units:
        on_note(f"{unit}: epoch 1 of 2")
        on_note(f"{unit}: epoch 2 of 2")
        on_unit(unit, task.case, 1.0)
