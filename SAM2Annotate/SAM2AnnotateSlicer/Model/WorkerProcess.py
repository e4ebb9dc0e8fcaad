"""WorkerProcess: the model's process under Slicer's event loop, watched. Imports qt and the worker's messages.

A QProcess, because a thread would starve in Slicer: its event loop holds Python's global lock. What comes on standard output becomes
messages, handed on in the order they came, for a hundredth of a second in each turn of the event loop at most: many results may wait after
Slicer was busy, and the mouse must not wait for all of them. Standard error goes to the log file. Silence is noticed: the worker sends a
heartbeat every second, whatever it computes.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import qt

import SAM2AnnotateLib
from SAM2AnnotateLib.errors import WorkerError
from SAM2AnnotateLib.worker.client import WorkerClient
from SAM2AnnotateLib.worker.messages import Message, from_line

from .PythonCommand import moduleCommand, pythonCommand
from .ServerSettings import Server, environmentWith

SILENCE_SECONDS = 20.0
START_SECONDS = 120.0  # importing torch from a cold disk
_WATCH_MILLISECONDS = 2000
_END_MILLISECONDS = 3000
TURN_SECONDS = 0.010  # of handing on messages in one turn of the event loop
_CHECK = "Press 'Set-up...', then 'Check now', to see what is missing."  # for a process that never came to speak


class WorkerProcess:
    """One process after the other that runs the model, and the client that speaks to it.

    Args:
        onMessage: takes each message.
        onEnd: told why the process ended, when nobody asked it to.
        logFile: takes the worker's standard error.
        command: interpreter and arguments; by default `pythonCommand` running the worker.
    """

    def __init__(
        self,
        onMessage: Callable[[Message], None],
        onEnd: Callable[[WorkerError], None],
        logFile: str | Path,
        command: Sequence[str] | None = None,
    ):
        self._onMessage, self._onEnd = onMessage, onEnd
        self.logFile = Path(logFile)
        self._command = list(command) if command is not None else None
        self._process: qt.QProcess | None = None
        self._retired: list[qt.QProcess] = []
        self._heard = self._ticked = 0.0
        self._said = False  # whether this process has said anything yet
        self._lines: deque[bytes] = deque()  # messages that were read and not handed on yet
        self._nextTurn = qt.QTimer()
        self._nextTurn.setSingleShot(True)
        self._nextTurn.setInterval(0)
        self._nextTurn.connect("timeout()", self._handOn)
        self._watch = qt.QTimer()
        self._watch.setInterval(_WATCH_MILLISECONDS)
        self._watch.connect("timeout()", self._look)
        self.client = WorkerClient(self._send)

    @property
    def running(self) -> bool:
        """Whether a process is there."""
        return self._process is not None

    def start(self, server: Server | None = None) -> None:
        """Start a process, if there is none.

        Args:
            server: who is to run the model; the process then only speaks to it. None: the process runs it.

        Raises:
            WorkerError: if it cannot be started.
        """
        if self._process is not None:
            return
        command = self._ownCommand() if server is None else _relayCommand(server)
        self.client.forget_process()
        process = qt.QProcess()
        if server is not None:
            process.setProcessEnvironment(environmentWith(server.token))
        process.setWorkingDirectory(str(Path(SAM2AnnotateLib.__file__).parents[1]))  # so that this very library is found
        process.setStandardErrorFile(str(self.logFile), qt.QIODevice.Append)
        process.connect("readyReadStandardOutput()", self._read)
        process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        process.start(command[0], command[1:])
        if process.state() == qt.QProcess.NotRunning:  # Windows tells it at once, other systems by the signal
            raise WorkerError(f"The model's process cannot be started: {process.errorString()}. {_CHECK} Its log: {self.logFile}")
        process.connect("errorOccurred(QProcess::ProcessError)", self._failed)
        self._process, self._said = process, False
        self._heard = self._ticked = time.monotonic()
        self._watch.start()

    def kill(self) -> None:
        """End the process at once, without a word to `onEnd`. Does nothing if there is none."""
        process = self._forget()
        if process is not None:
            process.kill()
            process.waitForFinished(_END_MILLISECONDS)

    def close(self) -> None:
        """End the process and remove what was laid down for it."""
        self.end()
        self.client.close()

    def end(self) -> None:
        """Let the process end itself, without a word to `onEnd`; what was laid down stays. Does nothing if there is none."""
        process = self._process
        if process is not None:
            self.client.shut_down()
            self._forget()
            if not process.waitForFinished(_END_MILLISECONDS):
                process.kill()
                process.waitForFinished(_END_MILLISECONDS)

    def _ownCommand(self) -> list[str]:
        return self._command if self._command is not None else moduleCommand(pythonCommand(), "SAM2AnnotateLib.worker")

    def _forget(self):
        process, self._process = self._process, None
        self._watch.stop()
        self._nextTurn.stop()
        self._lines.clear()
        if process is not None:
            process.disconnect("readyReadStandardOutput()", self._read)
            process.disconnect("finished(int,QProcess::ExitStatus)", self._finished)
            process.disconnect("errorOccurred(QProcess::ProcessError)", self._failed)
            # We may be inside one of its signals, which it must outlive: it goes when the event loop has come round.
            self._retired.append(process)
            qt.QTimer.singleShot(0, self._retired.clear)
        return process

    def _send(self, data: bytes) -> None:
        if self._process is None:
            raise OSError("no process")
        self._process.write(qt.QByteArray(data))

    def readAll(self) -> None:
        """Hand on all that the process has said until now, however long that takes. Does nothing if there is none."""
        if self._process is not None:
            self._take()
            self._handOn(float("inf"))

    def _read(self) -> None:
        self._take()
        if not self._nextTurn.isActive():
            self._handOn()

    def _take(self) -> None:
        data = self._process.readAllStandardOutput().data()
        if data:
            self._heard, self._said = time.monotonic(), True
        self._lines.extend(self.client.cut(data))

    def _handOn(self, seconds: float = TURN_SECONDS) -> None:
        """Hand on messages for so long; the rest waits for the next turn of the event loop."""
        end = time.monotonic() + seconds
        while self._lines:
            try:
                message = from_line(self._lines.popleft())
            except WorkerError as error:
                self.kill()
                self._onEnd(error)
                return
            try:
                self._onMessage(message)
            except BaseException:
                self._nextTurn.start()  # one message that cannot be dealt with does not hold up the others
                raise
            if self._lines and time.monotonic() >= end:
                self._nextTurn.start()
                return

    def _finished(self, exitCode: int, exitStatus: int) -> None:
        crashed = exitStatus != qt.QProcess.NormalExit
        reason = "killed, perhaps for lack of memory" if crashed else f"exit code {exitCode}"
        process = self._process
        self.readAll()  # what it said before it ended comes before its end
        if self._process is not process:
            return  # one of its last messages ended it for us
        self._forget()
        advice = "Finished slices are kept." if self._said else _CHECK
        self._onEnd(WorkerError(f"The model's process ended unexpectedly ({reason}). {advice} Its log: {self.logFile}"))

    def _failed(self, error: int) -> None:
        if error == qt.QProcess.FailedToStart:
            text = self._process.errorString()
            self._forget()
            self._onEnd(WorkerError(f"The model's process cannot be started: {text}. {_CHECK} Its log: {self.logFile}"))

    def _look(self) -> None:
        now = time.monotonic()
        late, self._ticked = now - self._ticked > 3 * _WATCH_MILLISECONDS / 1000, now
        if late:  # Slicer itself was busy: what the worker said meanwhile waits in the pipe
            self._heard = now
            return
        patience = SILENCE_SECONDS if self._said else START_SECONDS
        if now - self._heard > patience:
            self.kill()
            self._onEnd(WorkerError(f"The model's process has been silent for {patience:.0f} s and was ended. Finished slices are kept."))


def _relayCommand(server: Server) -> list[str]:
    if not server.address:
        raise WorkerError("No server is known to this computer yet. Choose the model 'On a server...' and give its address and token.")
    authority = ["--ca-file", server.caFile] if server.caFile else []
    return moduleCommand(pythonCommand(), "SAM2AnnotateLib.remote", server.address, *authority)
