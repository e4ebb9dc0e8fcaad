"""ProcessPool: the tasks of a study on the cores or GPUs of this machine, in processes of their own. Imports executors, tasks and errors.

The parent writes a task to a worker's standard input, ``{"study": .., "case": .., "units": [..]}``, and reads from its standard output
``{"event": {fields of TaskEvent}}`` for each unit and each failure, then ``{"over": true}``. A worker whose input ends, ends.
A task whose worker died is tried once more: a night's work must not end because memory was short for a moment.

Why not a library: when one worker dies, the pools of concurrent.futures and loky (joblib) give up all tasks. Ray, which clusters use
(ray_pool), has no wheel for some of the Pythons and systems that run a study on one machine, tells a task's units only at its end, and
takes seconds and some hundred MB to start. The first two do not set CUDA_VISIBLE_DEVICES and the threads of one worker before torch is
loaded there.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ...errors import InputError, OutputError, WorkerError
from ...progress import CancelToken
from ..work.tasks import Task
from .executors import EXECUTE, Failures, Seat, TaskEvent, gpus_here, seats_for_cases, seats_for_models, trains_a_model, unit_at

_ASK_SECONDS = 0.2  # how soon a request to stop is noticed
_PIPE_SECONDS = 1.0  # for the pipe of a dead process to run dry; only something else that holds it open takes longer


class ProcessPool:
    """An executor on this machine.

    Args:
        workers: how many cases at once; None takes one a GPU, or one a core.
        device: for the simulation of cases, see `seats_for_cases`.
        models_device: for nnU-Net: auto, cpu, cuda or mps.
        execute: what does a task, see `executors.EXECUTE`.
        gpus: names of the GPUs; None looks for them.
        log_file: takes what the workers print; None lets it through to standard error.

    Raises:
        InputError: if there is to be no worker.
    """

    def __init__(
        self,
        workers: int | None = None,
        device: str = "auto",
        models_device: str = "auto",
        *,
        execute: str = EXECUTE,
        gpus: Sequence[str] | None = None,
        log_file: Path | None = None,
    ):
        if workers is not None and workers < 1:
            raise InputError(f"Expected 1 worker or more, got {workers}.")
        gpus = gpus_here() if gpus is None else gpus
        self._seats = seats_for_cases(device, workers, gpus)
        self._model_seats = seats_for_models(models_device, gpus)
        self._execute, self._log_file = execute, log_file

    @property
    def workers(self) -> int:
        """How many cases it simulates at once."""
        return len(self._seats)

    def run(self, tasks: Sequence[Task], on_event: Callable[[TaskEvent], None], cancel: CancelToken | None = None) -> None:
        """See `Executor.run`. Whatever it ends with, no worker is left."""
        failures = Failures()

        def tell(event: TaskEvent) -> None:
            failures.note(event)
            on_event(event)

        self._run_on(self._seats, [task for task in tasks if not trains_a_model(task)], tell, cancel)
        self._run_on(self._model_seats, [task for task in tasks if trains_a_model(task)], tell, cancel)
        failures.raise_if_any(len(tasks))

    def _run_on(self, seats: Sequence[Seat], tasks: Sequence[Task], tell: Callable[[TaskEvent], None], cancel: CancelToken | None) -> None:
        waiting = deque(tasks)
        heard: queue.Queue[tuple[_Worker, bytes]] = queue.Queue()
        workers: list[_Worker] = []
        died: list[Task] = []  # with a worker, once; the next worker that dies at one of them does so because of it
        try:
            for seat in seats[: len(waiting)]:
                workers.append(self._start(seat, heard))
                workers[-1].give(waiting.popleft())
            while workers:
                if cancel is not None:
                    cancel.raise_if_cancelled()
                try:
                    worker, line = heard.get(timeout=_ASK_SECONDS)
                except queue.Empty:
                    # Something that a dead worker has started may hold its pipe open: its end would never be read.
                    for worker in workers:
                        if worker.has_died():
                            heard.put((worker, b""))
                    continue
                if worker not in workers:
                    continue  # its end was noticed already
                if line:
                    worker.hear(line, tell)
                    if worker.task is not None:
                        continue
                    if waiting:
                        worker.give(waiting.popleft())
                        continue
                workers.remove(worker)
                again = worker.end(tell, last_time=worker.task in died)
                if again is not None:
                    died.append(again)
                    waiting.append(again)
                if waiting:
                    workers.append(self._start(worker.seat, heard))
                    workers[-1].give(waiting.popleft())
        finally:
            for worker in workers:
                worker.kill()

    def _start(self, seat: Seat, heard: queue.Queue[tuple[_Worker, bytes]]) -> _Worker:
        command = [sys.executable, "-u", "-m", f"{__package__}.pool_worker", self._execute, seat.device]
        with contextlib.ExitStack() as files:
            try:
                log = None if self._log_file is None else files.enter_context(open(self._log_file, "ab"))
            except OSError as exc:
                raise OutputError(f"Cannot write the workers' log '{self._log_file}': {exc.strerror or exc}.") from exc
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env={**os.environ, **seat.environment},  # set before numpy and torch are imported there
                    cwd=Path(__file__).parents[3],  # where SAM2AnnotateLib lies, so that the same one is found
                )
            except OSError as exc:
                raise WorkerError(f"A worker cannot be started with '{command[0]}': {exc.strerror or exc}.") from exc
        return _Worker(process, seat, self._log_file, heard)


class _Worker:
    """A worker's process, and the task that it is at. `heard` gets its lines as they come, and an empty one at its end."""

    def __init__(self, process: subprocess.Popen[bytes], seat: Seat, log_file: Path | None, heard: queue.Queue[tuple[_Worker, bytes]]):
        self.process, self.seat = process, seat
        self.task: Task | None = None
        self._log_file, self._heard = log_file, heard
        self._finished = 0  # units of the task
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def give(self, task: Task) -> None:
        """Send a task."""
        self.task, self._finished = task, 0
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it died: the end of its output tells
            self.process.stdin.write(json.dumps(asdict(task)).encode() + b"\n")
            self.process.stdin.flush()

    def hear(self, line: bytes, tell: Callable[[TaskEvent], None]) -> None:
        """Take a line that it wrote."""
        content = json.loads(line)
        if content.get("over"):
            self.task = None
            return
        event = TaskEvent(**content["event"])
        self._finished += not (event.problem or event.note)
        tell(event)

    def has_died(self) -> bool:
        """Whether the process is gone; then all that it wrote has been read."""
        if self.process.poll() is None:
            return False
        self._reader.join(_PIPE_SECONDS)
        return True

    def end(self, tell: Callable[[TaskEvent], None], last_time: bool) -> Task | None:
        """End the process. If it was at a task, it died: return what is left of it, to be tried once more.

        Args:
            tell: told of it.
            last_time: tell it as a failure, and return None.
        """
        task = self.task
        if task is None or self._finished == len(task.units):
            self.kill()
            return None
        code = self.process.wait()
        reason = f"signal {-code}), perhaps out of memory: fewer workers need less" if code < 0 else f"exit code {code})"
        log = f" See '{self._log_file}'." if self._log_file is not None else ""
        problem, unit = f"the worker died ({reason}.{log}", unit_at(task, self._finished)
        self.kill()
        if last_time:
            tell(TaskEvent(unit, task.case, problem=problem, kind=WorkerError.__name__))
            return None
        name = f"{unit} of {task.case}" if task.case else unit
        tell(TaskEvent(unit, task.case, note=f"{name}: {problem} It is tried once more, after the others."))
        return replace(task, units=task.units[self._finished :])

    def kill(self) -> None:
        """End the process at once; what it started (nnU-Net) notices by itself."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # what was not sent is of no use to anyone
            self.process.stdin.close()
        self._reader.join(_PIPE_SECONDS)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:  # closed here: another thread could not close it while this one reads
            for line in output:
                if line.endswith(b"\n"):  # else it died in the middle of it
                    self._heard.put((self, line))
        self._heard.put((self, b""))
