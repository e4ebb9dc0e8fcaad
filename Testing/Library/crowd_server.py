"""A crowd's server in a process of its own, as the command line starts it; and one that kills itself where a test says."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from processes import started

_PATIENCE_SECONDS = 120.0

# The command line's own server, which ends like a machine whose power goes at the n-th answer: before its commit, or behind it and before
# anybody is told.
_MORTAL = """
import os, signal, sys
when, left = sys.argv.pop(1), int(sys.argv.pop(1))
from sqlalchemy import event
from sqlalchemy.engine import Engine
from SAM2AnnotateLib.crowd.records import CrowdRecords

def die():
    os.kill(os.getpid(), signal.SIGKILL)

@event.listens_for(Engine, "before_cursor_execute")
def noticed(connection, cursor, statement, *_):
    if statement.startswith("INSERT INTO answers"):
        connection.info["answers"] = True

@event.listens_for(Engine, "commit")
def committing(connection):
    global left
    if connection.info.pop("answers", False) and when == "before":
        left -= 1
        if left == 0:
            die()

def save_answer(self, *arguments, **options):
    global left
    saved = whole(self, *arguments, **options)
    if when == "behind":
        left -= 1
        if left == 0:
            die()
    return saved

whole, CrowdRecords.save_answer = CrowdRecords.save_answer, save_answer
from SAM2AnnotateLib.cli.main import main
raise SystemExit(main())
"""


@contextmanager
def a_crowd_server(
    log_file: Path, folders: Sequence[Path], *options: str, dies: tuple[str, int] | None = None
) -> Iterator[tuple[int, Any]]:
    """A server of these projects; its port and process. With `dies`, it kills itself ``("before" | "behind", n-th answer)``."""
    program = ["-m", "SAM2AnnotateLib"] if dies is None else ["-c", _MORTAL, dies[0], str(dies[1])]
    command = [sys.executable, *program, "crowd", "serve", *map(str, folders), "--port", "0", *options]
    with open(log_file, "wb") as log, started(command, stderr=log, stdin=-3, stdout=-3) as process:
        yield _port_in(log_file, process), process


def _port_in(log_file: Path, process: Any) -> int:
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        for line in log_file.read_text().splitlines():
            if '"listening"' in line and line.endswith("}"):
                return json.loads(line)["port"]
        assert process.poll() is None, log_file.read_text()
        time.sleep(0.05)
    raise AssertionError(f"The server did not start:\n{log_file.read_text()}")
