"""Frames on their way to one client: from the thread that computes to the loop that sends. Imports the standard library."""

from __future__ import annotations

import asyncio
import threading
from collections import deque

from ..worker.wire import Refusal

# A client that does not read stops its own session here, and nothing else.
_MOST_BYTES = 32 << 20


class Outbox:
    """One connection's frames.

    Args:
        loop: that sends them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop, self._filled = loop, asyncio.Event()
        self._frames: deque[str] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self.closed_for: tuple[Refusal, str] | None = None
        self._closed = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._frames

    def put(self, frame: str, patient: bool = True) -> None:
        """Give a frame; from any thread. After the end it is dropped.

        Args:
            frame: text.
            patient: whether to wait while much is waiting; never from the loop's own thread.
        """
        with self._changed:
            if patient:
                self._changed.wait_for(lambda: self._closed or self._bytes < _MOST_BYTES)
            if self._closed:
                return
            self._frames.append(frame)
            self._bytes += len(frame)
        self._wake()

    async def get(self) -> str | None:
        """The next frame; None at the end."""
        while True:
            with self._changed:
                if self._frames:
                    frame = self._frames.popleft()
                    self._bytes -= len(frame)
                    self._changed.notify_all()
                    return frame
                if self._closed:
                    return None
                self._filled.clear()
            await self._filled.wait()

    def close(self, refusal: Refusal | None = None, reason: str = "") -> None:
        """End: what waits is still sent where there is a `refusal` to follow it, else dropped."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            if refusal is None:
                self._frames.clear()
            else:
                self.closed_for = (refusal, reason)
            self._changed.notify_all()
        self._wake()

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._filled.set)
