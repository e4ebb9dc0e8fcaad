"""Pace: work that is asked for many times a second, done so often that the mouse still gets its turn. Imports Coalescer and Turns."""

from __future__ import annotations

import time
from collections.abc import Callable

from .Coalescer import Coalescer
from .Turns import forget, inTurn

_REST = 2  # times as long as work and rendering took


class Pace(Coalescer):
    """Does the work a while after it was asked for, once for all wishes until then.

    Args:
        work: what to do.
        milliseconds: of that while, at least; it grows with the time until all is done that follows from the work, such as rendering.
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, work: Callable[[], None], milliseconds: int, clock: Callable[[], float] = time.monotonic):
        super().__init__(work, milliseconds)
        self._least, self._clock = milliseconds, clock
        self._begun = 0.0

    def stop(self) -> None:
        """Forget the wish."""
        super().stop()
        forget(self._follows)
        forget(self._rest)

    def _do(self) -> None:
        self._begun = self._clock()
        self._work()
        inTurn(self._follows)

    def _follows(self) -> None:
        inTurn(self._rest)  # behind what the work has waiting, and behind the rendering that follows from that

    def _rest(self) -> None:
        busy = 1000 * (self._clock() - self._begun)
        self._timer.setInterval(max(self._least, round(_REST * busy)))
