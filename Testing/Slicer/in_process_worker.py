"""InProcessWorker: the console's worker without a process: the library's own worker with the scripted model. Imports the library."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.worker.client import WorkerClient
from SAM2AnnotateLib.worker.messages import Cancel, Failed, Finished, Message, from_line
from SAM2AnnotateLib.worker.serve import Worker


class InProcessWorker:
    """As `SubprocessWorker`; a request is answered whole when it is sent."""

    def __init__(self, *_arguments, **_options):
        self._said: list[Message] = []
        self.worker = Worker(self._said.append, lambda *_arguments, **_options: ScriptedEngine())
        self.client = WorkerClient(self._send)
        self.process = SimpleNamespace(poll=lambda: None)

    def replies(self, _request: int) -> Iterator[Message]:
        """What was said to the request that was sent last."""
        said, self._said[:] = list(self._said), []
        for message in said:
            if isinstance(message, Failed):
                raise message.error()
            if not isinstance(message, Finished):
                yield message

    def wait(self, request: int) -> list[Message]:
        """All of it."""
        return list(self.replies(request))

    def close(self) -> None:
        """Remove the shared files."""
        self.client.close()

    def _send(self, data: bytes) -> None:
        message = from_line(data)
        if not isinstance(message, Cancel):
            self.worker.handle(message, CancelToken())
