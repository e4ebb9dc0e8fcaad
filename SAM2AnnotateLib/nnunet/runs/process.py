"""Run the real nnU-Net in a process of its own: its folders, its log, its end. Imports the standard library, progress and errors.

nnU-Net is never imported here: it may be another Python's, it keeps its state in environment variables, and it must be possible to stop.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import EngineError, MissingPackageError, OutputError, SAM2AnnotateError, WorkerError
from ...processors import wait_patiently
from ...progress import CancelToken
from .folders import NnunetFolders

INSTALL_HINT = 'pip install "nnunetv2>=2.8"'
_ENTRY = Path(__file__).with_name("process_entry.py")
_ASK_SECONDS = 0.2  # how soon a request to stop is noticed
_LINES_KEPT = 60  # of the end of the output, to find the reason of a failure in

# First match wins: what is seen in the output, the error it becomes, and what to say; for a missing package, how to get it besides.
_REASONS: tuple[tuple[str, type[SAM2AnnotateError], str, str], ...] = (
    (
        r"ModuleNotFoundError: No module named '(nnunetv2)[\w.]*'",
        MissingPackageError,
        "nnU-Net is not installed.",
        f"Get it: {INSTALL_HINT}",
    ),
    (  # nnU-Net's preprocessing asks for it, and Python 3.12 no longer brings it
        r"ModuleNotFoundError: No module named '(distutils)[\w.]*'",
        MissingPackageError,
        "nnU-Net lacks the package 'distutils', which setuptools brings.",
        "Install it with: pip install setuptools",
    ),
    (
        r"ModuleNotFoundError: No module named '([\w.]+)'",
        MissingPackageError,
        "nnU-Net lacks the package '{0}'.",
        "Install it with: pip install {0}",
    ),
    (
        r"Could not find requested nnunet trainer (\w+)",
        MissingPackageError,
        "nnU-Net does not know the trainer '{0}'. Leave it out to take ours, or name the folder it lies in by nnUNet_extTrainer.",
        "",
    ),
    (
        r"No space left on device|Disk quota exceeded|PytorchStreamWriter failed writing",
        OutputError,
        "The disk is full. Make room, then call again: training goes on.",
        "",
    ),
    (
        r"out of memory|can't allocate memory|not enough memory|MemoryError",
        EngineError,
        "nnU-Net ran out of memory. Choose a smaller batch size or fewer processes, or close other programs.",
        "",
    ),
    (
        r"[Bb]ackground workers? (?:is|are) (?:6 feet under|no longer alive)",
        EngineError,
        "A helper process of nnU-Net died, mostly for lack of memory. Use fewer processes.",
        "",
    ),
    (
        r"Torch not compiled with CUDA enabled|No CUDA GPUs are available|Found no NVIDIA driver",
        EngineError,
        "nnU-Net was asked for an NVIDIA GPU and there is none that torch can use. Use the device 'cpu'.",
        "",
    ),
)


@dataclass(frozen=True)
class NnunetCall:
    """One of nnU-Net's entry points with its command line.

    Args:
        module: dotted name of the module.
        function: the entry point in it.
        arguments: its command line.
        what: the work, as the subject of a sentence ("Training of fold 0").
    """

    module: str
    function: str
    arguments: tuple[str, ...]
    what: str


@dataclass(frozen=True)
class NnunetRunner:
    """How nnU-Net is run.

    Args:
        python: command of the interpreter that has nnunetv2; in Slicer PythonSlicer.
        processes: helper processes for preprocessing and augmentation; 0 augments in the training process; None leaves it to nnU-Net.
        environment: variables for its process, besides nnU-Net's folders.
    """

    python: tuple[str, ...] = (sys.executable,)
    processes: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        call: NnunetCall,
        folders: NnunetFolders | None,
        log_file: Path,
        on_line: Callable[[str], None] | None = None,
        cancel: CancelToken | None = None,
    ) -> None:
        """Run one call to its end. Its process and all that it started are gone when this returns or raises.

        Args:
            folders: become nnU-Net's variables, for this process only; None where the call needs none.
            log_file: gets everything that nnU-Net prints, added at its end; its folder is made.
            on_line: called with each line, in this thread.
            cancel: asked for at least five times a second.

        Raises:
            Cancelled: on request.
            MissingPackageError: if nnunetv2 or something it needs is not installed.
            EngineError: if it ran out of memory or has no such device, or failed in a way of its own.
            WorkerError: if it cannot be started, or was killed.
            OutputError: if the disk is full or the log cannot be written.
        """
        try:
            log_file.parent.mkdir(parents=True, exist_ok=True)
            log = open(log_file, "ab")  # noqa: SIM115 - closed below
        except OSError as exc:
            raise OutputError(f"Cannot write nnU-Net's log '{log_file}': {exc.strerror}.") from exc
        with log:
            process = self._start(call, folders)
            last_lines: deque[str] = deque(maxlen=_LINES_KEPT)
            try:
                for line in _LineReader(process, cancel):
                    try:
                        log.write(line.encode("utf-8") + b"\n")
                        log.flush()
                    except OSError as exc:
                        raise OutputError(f"Cannot write nnU-Net's log '{log_file}': {exc.strerror}.") from exc
                    last_lines.append(line)
                    if on_line is not None:
                        on_line(line)
                code = process.wait()
            finally:
                _end(process)
        if code != 0:
            raise _error_of(call.what, code, list(last_lines), log_file)

    def _start(self, call: NnunetCall, folders: NnunetFolders | None) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
        wait_patiently(environment)
        if folders is not None:
            environment.update(folders.environment())
        if self.processes is not None:
            environment.update(nnUNet_n_proc_DA=str(self.processes), nnUNet_def_n_proc=str(max(1, self.processes)))
        environment.update(self.environment)
        try:
            return subprocess.Popen(
                [*self.python, str(_ENTRY), call.module, call.function, *call.arguments],
                stdin=subprocess.PIPE,  # never written to: its end tells the process that we are gone
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=os.name == "posix",  # a group of its own, so that its helpers can be ended with it
            )
        except OSError as exc:
            raise WorkerError(f"{call.what} cannot be started with '{self.python[0]}': {exc.strerror}.") from exc


class _LineReader:
    """The lines of a process's output as they come; a progress bar's every state is a line. Raises Cancelled between two of them."""

    def __init__(self, process: subprocess.Popen[bytes], cancel: CancelToken | None):
        self._cancel = cancel
        self._chunks: queue.Queue[bytes] = queue.Queue()
        self._process = process
        threading.Thread(target=self._read, daemon=True).start()

    def __iter__(self) -> Iterator[str]:
        rest = b""
        while True:
            if self._cancel is not None:
                self._cancel.raise_if_cancelled()
            try:
                chunk = self._chunks.get(timeout=_ASK_SECONDS)
            except queue.Empty:
                if self._process.poll() is None:
                    continue
                # It is dead, and a helper that outlived it holds the pipe open: nothing of interest will come.
                chunk = b""
            if not chunk:
                break
            *lines, rest = re.split(rb"[\r\n]+", rest + chunk)
            yield from (line.decode("utf-8", "replace") for line in lines if line)
        if rest:
            yield rest.decode("utf-8", "replace")

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while chunk := os.read(self._process.stdout.fileno(), 1 << 16):
                self._chunks.put(chunk)
        except (OSError, ValueError):
            pass  # the pipe was closed by `_end`; the empty chunk below says so
        self._chunks.put(b"")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its helpers, whether it is alive or not."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the whole group is gone, or is made of zombies (macOS)
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _error_of(what: str, code: int, last_lines: Sequence[str], log_file: Path) -> SAM2AnnotateError:
    """The error that a failed call becomes, by what it printed."""
    text = "\n".join(last_lines)
    for pattern, kind, problem, remedy in _REASONS:
        if found := re.search(pattern, text):
            told, where = f"{what} failed. {problem.format(*found.groups())}", f"Log: '{log_file}'."
            return kind(told, f"{remedy.format(*found.groups())} {where}") if remedy else kind(f"{told} {where}")
    if code < 0 or code == 137:
        return WorkerError(f"{what} was killed, perhaps for lack of memory. Call again: training goes on where it was. Log: '{log_file}'.")
    # The last line that names an exception; nnU-Net's own say what is wrong in the data.
    reasons = [line for line in last_lines if re.match(r"\w*(Error|Exception|Interrupt)\b", line)]
    reason = reasons[-1] if reasons else last_lines[-1] if last_lines else "It printed nothing."
    return EngineError(f"{what} failed with exit code {code}: {reason.strip()} Log: '{log_file}'.")
