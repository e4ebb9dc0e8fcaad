"""Coalescer: many wishes for one piece of work, done once a moment later. Imports qt only."""

from __future__ import annotations

from collections.abc import Callable

import qt


class Coalescer:
    """Does a piece of work once, however often it is asked for within a short time.

    Args:
        work: what to do.
        milliseconds: from the first wish to the work.
    """

    def __init__(self, work: Callable[[], None], milliseconds: int):
        self._work = work
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(milliseconds)
        self._timer.connect("timeout()", self._do)

    def ask(self) -> None:
        """Wish for the work; while one wish waits, more change nothing."""
        if not self._timer.isActive():
            self._timer.start()

    @property
    def asked(self) -> bool:
        """Whether the work was wished for and is not done yet."""
        return self._timer.isActive()

    def now(self) -> None:
        """Do the work at once, if it was wished for."""
        if self._timer.isActive():
            self._timer.stop()
            self._work()

    def stop(self) -> None:
        """Forget the wish."""
        self._timer.stop()

    def _do(self) -> None:
        self._work()
