"""Pace: a piece of work that is asked for many times a second, done so often that the mouse still gets its turn. Imports qt only."""

from __future__ import annotations

import time
from collections.abc import Callable

import qt

_PROBE_MILLISECONDS = 30  # after the work; by then the event loop has come to what followed from it, such as rendering
_REST = 2  # times as long as work and rendering took


class Pace:
    """Does the work a while after it was asked for, once for all wishes until then.

    Args:
        work: what to do.
        milliseconds: of that while, at least; it grows with the time that the work, and what follows from it, keeps the event loop busy.
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, work: Callable[[], None], milliseconds: int, clock: Callable[[], float] = time.monotonic):
        self._work, self._least, self._clock = work, milliseconds, clock
        self._begun = 0.0
        self._timer = self._singleShot(self._do, milliseconds)
        self._probe = self._singleShot(self._rest, _PROBE_MILLISECONDS)

    def ask(self) -> None:
        """Wish for the work; while one wish waits, more change nothing."""
        if not self._timer.isActive():
            self._timer.start()

    def now(self) -> None:
        """Do the work at once, if it was wished for."""
        if self._timer.isActive():
            self._timer.stop()
            self._work()

    def stop(self) -> None:
        """Forget the wish."""
        self._timer.stop()
        self._probe.stop()

    def _do(self) -> None:
        self._begun = self._clock()
        self._probe.start()
        self._work()

    def _rest(self) -> None:
        busy = 1000 * (self._clock() - self._begun) - _PROBE_MILLISECONDS
        self._timer.setInterval(max(self._least, round(_REST * busy)))

    @staticmethod
    def _singleShot(slot: Callable[[], None], milliseconds: int):
        timer = qt.QTimer()
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.connect("timeout()", slot)
        return timer
