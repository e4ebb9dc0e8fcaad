"""SubprocessWorker: start the worker, ask, wait with an end, stop. For consoles; a GUI drives `WorkerClient` by events instead."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from ..errors import WorkerError
from ..progress import CancelToken
from .client import WorkerClient
from .messages import Failed, Finished, Heartbeat, Message, Ready

# A worker sends a heartbeat every second, from a thread that a busy model does not stop. This much silence means that it hangs.
SILENCE_SECONDS = 20.0
_START_SECONDS = 120.0  # importing torch from a cold disk
_END_SECONDS = 5.0


class SubprocessWorker:
    """A worker process and the client that speaks to it; a context manager.

    Args:
        python: the interpreter; in Slicer PythonSlicer, as `sys.executable` is Slicer itself there.
        log_file: takes the worker's standard error; None discards it.
        silence_seconds: without a sign of life for that long, the worker counts as hung.
        module: what the process runs, with its arguments: another module of the library that speaks the worker's protocol.
        environment: its environment variables; by default this process's own.

    Raises:
        WorkerError: if it does not start.

    Example::

        with SubprocessWorker() as worker:
            worker.wait(worker.client.load_model("bundled"))
            worker.wait(worker.client.open_volume("ct", volume, "axial", mapping))
            for message in worker.replies(worker.client.propagate("ct", session.due_work(), policy)):
                session.add_result(message.result())
    """

    def __init__(
        self,
        python: Sequence[str] = (sys.executable,),
        log_file: str | Path | None = None,
        silence_seconds: float = SILENCE_SECONDS,
        module: Sequence[str] = ("SAM2AnnotateLib.worker",),
        environment: Mapping[str, str] | None = None,
    ):
        self._silence_seconds = silence_seconds
        self._log = open(log_file, "ab") if log_file is not None else None  # noqa: SIM115 - closed with the process
        command = [*python, "-u", "-m", *module]
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log or subprocess.DEVNULL,
                env=environment,
                cwd=Path(__file__).parents[2],  # where SAM2AnnotateLib lies, so that the same one is found
            )
        except OSError as exc:
            self._close_log()
            raise WorkerError(f"The model's process cannot be started with '{command[0]}': {exc.strerror}.") from exc
        self.client = WorkerClient(self._send)
        self._incoming: queue.Queue[Message | WorkerError | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self._next(_START_SECONDS, Ready)
        except WorkerError:
            self.kill()
            raise

    def replies(self, request: int, cancel: CancelToken | None = None) -> Iterator[Message]:
        """The replies to a request, until it is finished.

        Leaving the loop early cancels the request.

        Raises:
            SAM2AnnotateError: the error that the worker reports, of the class it had there.
            WorkerError: if the worker dies or goes silent; it is killed then, and what came before stands.
        """
        done = cancelled = False
        try:
            while True:
                if cancel is not None and cancel.cancelled and not cancelled:
                    self.client.cancel(request)
                    cancelled = True
                message = self._next(self._silence_seconds)
                if message.request != request or isinstance(message, Heartbeat):
                    continue
                if isinstance(message, Finished):
                    done = True
                    return
                if isinstance(message, Failed):
                    done = True
                    raise message.error()
                yield message
        finally:
            if not done and self.process.poll() is None:
                with contextlib.suppress(WorkerError):  # it died meanwhile: there is nothing left to cancel
                    self.client.cancel(request)

    def wait(self, request: int) -> list[Message]:
        """All replies to a request."""
        return list(self.replies(request))

    def close(self) -> None:
        """Ask the process to end, kill it if it does not, remove shared files."""
        if self.process.poll() is None:
            with contextlib.suppress(WorkerError):
                self.client.shut_down()
            with contextlib.suppress(subprocess.TimeoutExpired):  # killed below
                self.process.wait(_END_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was not sent is of no use to anyone
                    pipe.close()
        self.client.close()
        self._close_log()

    def __enter__(self) -> SubprocessWorker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except ValueError as exc:  # the pipe is closed: the process was killed
            raise OSError(str(exc)) from exc

    def _read(self) -> None:
        assert self.process.stdout is not None
        try:
            while chunk := os.read(self.process.stdout.fileno(), 1 << 16):
                for message in self.client.feed(chunk):
                    self._incoming.put(message)
        except WorkerError as exc:
            self._incoming.put(exc)
        except (OSError, ValueError):
            pass  # the pipe was closed by `kill`; the end is told below
        self._incoming.put(None)

    def _next(self, patience: float, kind: type[Message] = Message) -> Message:
        deadline = time.monotonic() + patience
        while True:
            try:
                message = self._incoming.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self.kill()
                raise WorkerError(
                    f"The model's process has been silent for {patience:.0f} s and was ended. Start it again; finished slices are kept."
                ) from None
            if message is None:
                code = self.process.wait()
                self._incoming.put(None)  # whoever asks next hears it too
                reason = "killed, perhaps for lack of memory" if code < 0 else f"exit code {code}"
                raise WorkerError(f"The model's process ended unexpectedly ({reason}). Start it again; finished slices are kept.")
            if isinstance(message, WorkerError):
                raise message
            if isinstance(message, kind):
                return message

    def _close_log(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None
