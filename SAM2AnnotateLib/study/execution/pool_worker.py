"""Runs inside a worker of the process pool: take tasks from the parent, tell it what is finished, end with it. Imports executors, tasks.

Called as ``python -m SAM2AnnotateLib.study.execution.pool_worker FUNCTION DEVICE``; process_pool says what goes through its two pipes.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from dataclasses import asdict

from ..work.tasks import Task
from .executors import TaskEvent, failure, function_at, unit_at


def main() -> None:
    """Do tasks until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group; the parent decides, and ends this process
    asked, told = os.dup(0), os.dup(1)
    # What is started from here, and what others print, must not reach the two pipes.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    tasks: queue.Queue[Task] = queue.Queue()
    threading.Thread(target=_take_tasks, args=(asked, tasks), daemon=True).start()
    path, device = sys.argv[1:3]
    while True:
        _do(tasks.get(), path, device, told)


def _do(task: Task, path: str, device: str, told: int) -> None:
    """Do one task; tell each unit, and at last that it is over."""
    finished = 0

    def on_unit(unit: str, case: str, seconds: float) -> None:
        nonlocal finished
        finished += 1
        _tell(told, {"event": asdict(TaskEvent(unit, case, seconds))})

    def on_note(note: str) -> None:
        _tell(told, {"event": asdict(TaskEvent(unit_at(task, finished), task.case, note=note))})

    try:
        function_at(path)(task, device, on_unit, on_note)
    except Exception as exc:  # noqa: BLE001 - told to the parent, which goes on with the other tasks
        traceback.print_exc()
        _tell(told, {"event": asdict(failure(unit_at(task, finished), task.case, exc))})
    _tell(told, {"over": True})


def _tell(told: int, content: dict) -> None:
    """Write one line; a short one, so that the pipe takes it whole."""
    line = json.dumps(content).encode() + b"\n"
    while line:
        line = line[os.write(told, line) :]


def _take_tasks(asked: int, tasks: queue.Queue[Task]) -> None:
    """Read tasks until the pipe ends, which it does when the parent is gone, however it went. Then end, whatever is being computed."""
    rest = b""
    while chunk := os.read(asked, 1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            fields = json.loads(line)
            tasks.put(Task(fields["study"], fields["case"], tuple(fields["units"])))
    os._exit(0)


if __name__ == "__main__":
    main()
