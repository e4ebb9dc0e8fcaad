"""CommandProcess: one command of SAM2AnnotateLib under Slicer's event loop, so that downloads and checks never block it. Imports qt.

The command runs with ``--json-lines``: what it reports comes as dicts, its error too; it is also the last line on standard error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import qt

import SAM2AnnotateLib
from SAM2AnnotateLib import errors
from SAM2AnnotateLib.errors import Cancelled, SAM2AnnotateError, WorkerError

from .PythonCommand import moduleCommand, pythonCommand
from .ServerSettings import environmentWith

_ERROR_PREFIX = "sam2annotate: error: "
_END_MILLISECONDS = 3000
_LOG_CHARACTERS = 20000


class CommandProcess:
    """Runs one command at a time.

    Args:
        onReport: takes each line of output as a dict, see `SAM2AnnotateLib.cli.json_lines`.
        onEnd: called once when the command has ended, with None or the error that it ended with; `Cancelled` after `cancel`.
        python: the interpreter and its options; by default `pythonCommand`.
    """

    def __init__(
        self,
        onReport: Callable[[dict], None],
        onEnd: Callable[[SAM2AnnotateError | None], None],
        python: Sequence[str] | None = None,
    ):
        self._onReport, self._onEnd = onReport, onEnd
        self._python = list(python) if python is not None else None
        self._process: qt.QProcess | None = None
        self._ended: qt.QProcess | None = None  # kept, because a process must not be destroyed within its own signal
        self._output = b""
        self._failure: SAM2AnnotateError | None = None  # what the command reported at its end
        self.log = ""  # what the command wrote to standard error

    @property
    def running(self) -> bool:
        """Whether a command is running."""
        return self._process is not None

    def start(self, arguments: Sequence[str], token: str = "", module: str = "SAM2AnnotateLib") -> None:
        """Start the command line ``MODULE ARGUMENTS --json-lines``. The caller sees to it that none is running.

        Args:
            arguments: the command and its own.
            token: of a server that the command is to speak to; it travels apart from them.
            module: of the library.

        Raises:
            WorkerError: if there is no interpreter, it cannot be started, or a command is running.
        """
        if self._process is not None:
            raise WorkerError("A command is running already. Wait until it has ended, or cancel it.")
        python = self._python if self._python is not None else pythonCommand()
        process = qt.QProcess()
        if token:
            process.setProcessEnvironment(environmentWith(token))
        process.setWorkingDirectory(str(Path(SAM2AnnotateLib.__file__).parents[1]))  # so that this very library is found
        process.connect("readyReadStandardOutput()", self._readOutput)
        process.connect("readyReadStandardError()", self._readError)
        process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        program, *rest = moduleCommand(python, module, *arguments, "--json-lines")
        process.start(program, rest)
        if process.state() == qt.QProcess.NotRunning:  # Windows tells it at once, other systems by the signal
            raise WorkerError(_notStarted(process))
        process.connect("errorOccurred(QProcess::ProcessError)", self._failed)
        self._process, self._output, self.log, self._failure = process, b"", "", None

    def cancel(self) -> None:
        """End the command at once; `onEnd` hears of it. What a download has received is kept, and the next one goes on from there."""
        if self._process is not None:
            self.kill()
            self._onEnd(Cancelled("Stopped on request."))

    def kill(self) -> None:
        """End the command without a word to anyone; for `cleanup`. Does nothing if none is running."""
        process = self._forget()
        if process is not None:
            process.kill()
            process.waitForFinished(_END_MILLISECONDS)

    def _forget(self):
        process, self._process = self._process, None
        if process is not None:
            self._ended = process
            process.disconnect("readyReadStandardOutput()", self._readOutput)
            process.disconnect("readyReadStandardError()", self._readError)
            process.disconnect("finished(int,QProcess::ExitStatus)", self._finished)
            process.disconnect("errorOccurred(QProcess::ProcessError)", self._failed)
        return process

    def _readOutput(self) -> None:
        *lines, self._output = (self._output + self._process.readAllStandardOutput().data()).split(b"\n")
        for line in lines:
            try:
                report = json.loads(line)
            except ValueError:  # a library's own print
                self.log += line.decode(errors="replace") + "\n"
                continue
            if isinstance(report, dict) and report.get("type") == "failed":
                kind = getattr(errors, report["error"], SAM2AnnotateError)
                self._failure = kind(report["problem"], report["remedy"])
            elif isinstance(report, dict):
                self._onReport(report)

    def _readError(self) -> None:
        text = self._process.readAllStandardError().data().decode(errors="replace")
        self.log = (self.log + text)[-_LOG_CHARACTERS:]

    def _finished(self, exitCode: int, exitStatus: int) -> None:
        self._readError()
        self._readOutput()
        process = self._process  # None if a report made its receiver cancel
        self._forget()
        if process is None:
            return
        if exitStatus != qt.QProcess.NormalExit:
            self._onEnd(WorkerError("The command was killed, perhaps for lack of memory. Close other programs and try again."))
        elif exitCode == 0:
            self._onEnd(None)
        else:
            told = [line for line in self.log.splitlines() if line.startswith(_ERROR_PREFIX)]
            text = (
                told[-1].removeprefix(_ERROR_PREFIX) if told else f"The command ended with exit code {exitCode}. The log has the details."
            )
            self._onEnd(self._failure or SAM2AnnotateError(text))

    def _failed(self, error: int) -> None:
        if error == qt.QProcess.FailedToStart:
            text = _notStarted(self._process)
            self._forget()
            self._onEnd(WorkerError(text))


def _notStarted(process) -> str:
    return f"Slicer's Python cannot be started: {process.errorString()}. Repair the installation of Slicer."
