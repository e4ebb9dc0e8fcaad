"""PythonSlicer starts the interpreter and waits for it: whoever kills PythonSlicer must not leave the interpreter at work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from worlds import waitFor

from SAM2AnnotateSlicer.Model.CommandProcess import CommandProcess
from SAM2AnnotateSlicer.Model.PythonCommand import moduleCommand
from SAM2AnnotateSlicer.Model.WorkerProcess import WorkerProcess

posix = pytest.mark.skipif(sys.platform == "win32", reason="looks for processes by POSIX means")

LAUNCHER = """import subprocess, sys
child = subprocess.Popen([sys.executable, *sys.argv[2:]])
open(sys.argv[1], "w").write(str(child.pid))
sys.exit(child.wait())
"""


@pytest.fixture
def launcher(tmp_path):
    """As PythonSlicer: the command that starts it, and the file where it writes the interpreter's process id."""
    (tmp_path / "launcher.py").write_text(LAUNCHER)
    return [sys.executable, str(tmp_path / "launcher.py"), str(tmp_path / "pid")], tmp_path / "pid"


def idIn(file: Path) -> int:
    waitFor(lambda: file.is_file() and file.read_text() != "", 20)
    return int(file.read_text())


def isThere(processId: int) -> bool:
    """Whether a process runs; one that has ended and that nobody asked for counts as ended."""
    try:
        os.kill(processId, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{processId}/stat")
    return not status.is_file() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@posix
def test_a_command_that_is_cancelled_ends_behind_its_launcher_too(launcher):
    python, file = launcher
    ended = []
    command = CommandProcess(lambda _report: None, ended.append, python)
    command.start(["self-check"])
    interpreter = idIn(file)
    command.cancel()
    assert "Stopped" in str(ended[0])
    waitFor(lambda: not isThere(interpreter), 2.5, "for the interpreter to end")


@posix
def test_a_worker_that_is_killed_ends_behind_its_launcher_although_it_is_busy(launcher, tmp_path):
    python, file = launcher
    (tmp_path / "busy.py").write_text("import time\nprint('busy', flush=True)\ntime.sleep(30)\n")
    command = moduleCommand(python, "busy")
    process = WorkerProcess(lambda _message: None, lambda _error: None, tmp_path / "log", ["/usr/bin/env", "-C", str(tmp_path), *command])
    process.start()
    interpreter = idIn(file)
    process.kill()
    waitFor(lambda: not isThere(interpreter), 2.5, "for the interpreter to end")
    process.close()


def test_the_library_is_found_as_by_python_m_and_the_arguments_arrive(tmp_path):
    (tmp_path / "said.py").write_text("import sys\nprint(__name__, sys.argv[1:], sys.path[0])\n")
    command = moduleCommand([sys.executable], "said", "a", "--b")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == f"__main__ ['a', '--b'] {tmp_path}"
