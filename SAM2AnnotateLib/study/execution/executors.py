"""Executor: who does the tasks of a study; what it tells, how failures are summed up, which devices there are. Imports tasks, errors."""

from __future__ import annotations

import importlib
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ... import errors
from ...errors import SAM2AnnotateError, WorkerError
from ...processors import cores_here
from ...progress import CancelToken
from ...yaml_config.names import first_few
from ..work.tasks import MODELS, Task

# What does a task: dotted name of a module, a colon, a function like `tasks.execute`. By name, as it is called in another process.
EXECUTE = "SAM2AnnotateLib.study.work.tasks:execute"
# What torch computes on a CPU depends on the number of threads: with one each, results are the same however many workers there are.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1")
_NAMED_AT_MOST = 10


@dataclass(frozen=True)
class TaskEvent:
    """Something that happened to a task.

    Args:
        unit: the unit of work that is finished; of a failed task the one that failed.
        case: its case; empty for a model.
        seconds: how long the unit took; 0 if it failed.
        problem: why the task failed, one line; empty if the unit is finished.
        kind: name of the class in errors.py that a failure is of.
        note: what a unit that takes long is doing, one line; it is neither finished nor failed then.
    """

    unit: str
    case: str
    seconds: float = 0.0
    problem: str = ""
    kind: str = ""
    note: str = ""


class Executor(Protocol):
    """Does tasks, in whatever processes it likes.

    Attributes:
        workers: how many tasks it does at once, as far as it knows before it has begun.
    """

    @property
    def workers(self) -> int:
        """See above."""

    def run(self, tasks: Sequence[Task], on_event: Callable[[TaskEvent], None], cancel: CancelToken | None = None) -> None:
        """Do all tasks. A task that fails stops no other; when all have been tried, one error names those that failed.

        Args:
            on_event: told of every unit that is finished and every task that failed, and of what long ones are doing, in this thread.

        Raises:
            Cancelled: on request; no worker is left, finished units stay.
            SAM2AnnotateError: if tasks failed, of the class that the first failure has.
        """


@dataclass
class Failures:
    """The tasks that failed, for one error at the end."""

    events: list[TaskEvent] = field(default_factory=list)

    def note(self, event: TaskEvent) -> None:
        """Keep the event if it is a failure."""
        if event.problem:
            self.events.append(event)

    def raise_if_any(self, total: int) -> None:
        """Raise one error for all failures among `total` tasks."""
        if not self.events:
            return
        names = [event.case or event.unit for event in self.events]
        first = self.events[0]
        place = " of ".join(filter(None, (first.unit, first.case)))
        raise _class_of(first.kind)(
            f"{len(names)} of {total} tasks failed: {first_few(names, _NAMED_AT_MOST)}. The first of them at {place}: "
            f"{first.problem} What is finished is kept; give the same command again to try these once more."
        )


def failure(unit: str, case: str, error: Exception) -> TaskEvent:
    """The event of a task that ended with this error."""
    known = isinstance(error, SAM2AnnotateError)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    return TaskEvent(unit, case, problem=" ".join(text.split()), kind=type(error).__name__ if known else WorkerError.__name__)


def trains_a_model(task: Task) -> bool:
    """Whether a task starts nnU-Net, which wants a device or all cores for itself."""
    return task.units[0].startswith(MODELS)


def unit_at(task: Task, finished: int) -> str:
    """The unit that a task is at, when so many of its units are finished: it does them in order."""
    return task.units[min(finished, len(task.units) - 1)]


def function_at(path: str) -> Callable:
    """The function that a name like ``package.module:function`` means."""
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)


def gpus_here() -> tuple[str, ...]:
    """Names of this machine's NVIDIA GPUs as CUDA_VISIBLE_DEVICES takes them, in torch's order; torch itself is not asked."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1"))
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):  # no such program, or a driver that does not answer: no GPU that could be used
        return ()
    count = sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    return tuple(str(index) for index in range(count))


@dataclass(frozen=True)
class Seat:
    """What one worker computes on.

    Args:
        device: torch device name, for `tasks.execute`.
        environment: variables for its process.
    """

    device: str
    environment: Mapping[str, str]


def seats_for_cases(device: str, workers: int | None, gpus: Sequence[str]) -> tuple[Seat, ...]:
    """Seats for the simulation of cases: one thread each, and the GPUs in turn.

    Args:
        device: ``auto`` takes all GPUs if there are any, else the CPU; ``cuda`` all GPUs; else a torch device name.
        workers: how many; None takes one a GPU, or one a core of the CPU.
        gpus: see `gpus_here`.
    """
    if device == "auto":
        device = "cuda" if gpus else "cpu"
    names = [f"cuda:{index}" for index, _ in enumerate(gpus)] if device == "cuda" and gpus else [device]
    count = workers or (cores_here() if device == "cpu" else len(names))
    return tuple(Seat(names[index % len(names)], ONE_THREAD) for index in range(count))


def seats_for_models(device: str, gpus: Sequence[str]) -> tuple[Seat, ...]:
    """Seats for nnU-Net's trainings: one a GPU, each seeing that GPU alone, as nnU-Net takes no number; else one with all cores."""
    if device == "auto":
        device = "cuda" if gpus else "cpu"
    kind, _, number = device.partition(":")
    if kind != "cuda" or not gpus:
        return (Seat(kind, {}),)
    chosen = [gpus[int(number)]] if number.isdecimal() and int(number) < len(gpus) else gpus
    return tuple(Seat(kind, {"CUDA_VISIBLE_DEVICES": name}) for name in chosen)


def _class_of(kind: str) -> type[SAM2AnnotateError]:
    found = getattr(errors, kind, None)
    return found if isinstance(found, type) and issubclass(found, SAM2AnnotateError) else WorkerError
