"""JobCommand: a command whose input lies in a temporary folder, with one answer for one receiver. Opens no dialog. Imports slicer.

The main thread writes the input, and nothing more; the folder goes when the command has ended, however it ended.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import slicer

from SAM2AnnotateLib.errors import OutputError, SAM2AnnotateError
from SAM2AnnotateLib.leftovers import temporary_folder

from .CommandProcess import CommandProcess

Done = Callable[[SAM2AnnotateError | None, dict], None]  # takes None and the command's answer, or the error that it ended with


class JobCommand:
    """Runs one command at a time.

    Args:
        python: the interpreter and its options; Slicer's own by default.
    """

    def __init__(self, python: Sequence[str] | None = None):
        self._command = CommandProcess(self._onReport, self._onEnd, python)
        self._done: Done | None = None
        self._result: dict = {}
        self._folder: tempfile.TemporaryDirectory | None = None

    @property
    def busy(self) -> bool:
        """Whether a command is running."""
        return self._command.running

    @property
    def log(self) -> str:
        """What the last command wrote beside its answer."""
        return self._command.log

    def start(self, arguments: Sequence[str], done: Done) -> None:
        """Start a command that needs no folder; `done` gets its answer. Raises WorkerError as `CommandProcess.start`."""
        self._command.start(arguments)
        self._done, self._result = done, {}

    def startIn(self, kind: str, argumentsFor: Callable[[Path], Sequence[str]], done: Done) -> None:
        """Start a command on what is written for it.

        Args:
            kind: of the folder, a word in its name.
            argumentsFor: writes into an empty folder, and gives the command and its arguments.
            done: gets the answer.

        Raises:
            OutputError: if there is no room for the folder.
            SAM2AnnotateError: what `argumentsFor` raises; as `start`. Nothing is left of the folder then.
        """
        try:
            folder = temporary_folder(kind, slicer.app.temporaryPath)
        except OSError as exc:
            raise OutputError(f"Slicer's temporary folder '{slicer.app.temporaryPath}' cannot be written to: {exc.strerror}.") from exc
        try:
            self.start(argumentsFor(Path(folder.name)), done)
        except SAM2AnnotateError:
            folder.cleanup()
            raise
        self._folder = folder

    def cancel(self) -> None:
        """End the command; its receiver gets `Cancelled`."""
        self._command.cancel()

    def cleanup(self) -> None:
        """End what runs without telling anyone."""
        self._done = None
        self._command.kill()
        self._removeFolder()

    def _onReport(self, report: dict) -> None:
        if report.get("type") != "progress":
            self._result = report

    def _onEnd(self, error: SAM2AnnotateError | None) -> None:
        self._removeFolder()
        done, self._done = self._done, None
        if error is None and not self._result:
            error = SAM2AnnotateError("The command ended without an answer. The log has the details.")
        if done is not None:
            done(error, self._result)

    def _removeFolder(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()
