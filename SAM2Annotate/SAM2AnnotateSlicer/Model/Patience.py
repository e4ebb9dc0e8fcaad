"""Patience: waiting for somebody else, in which time that we ourselves spent elsewhere does not count. Imports qt.

Slicer may be busy for seconds, with a rendering or a dialog of the system. What the other one said meanwhile waits to be read, so nobody is
held to be silent before we have listened.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import qt

_LATE = 1.5  # of a look's interval: one that comes later than this was kept waiting by ourselves


class Patience:
    """Calls `onOver` once after this time of listening, unless `stop` comes first.

    Args:
        milliseconds: how long to listen.
        looks: how often to look whether we listened; a look that comes late does not count.
        onOver: what to do then.
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, milliseconds: int, looks: int, onOver: Callable[[], None], clock: Callable[[], float] = time.monotonic):
        self._looks, self._onOver, self._clock = looks, onOver, clock
        self._interval = milliseconds / looks / 1000
        self._left = 0
        self._looked = 0.0
        self._timer = qt.QTimer()
        self._timer.setInterval(round(1000 * self._interval))
        self._timer.connect("timeout()", self.look)

    def begin(self) -> None:
        """Begin to wait, or begin anew."""
        self._left, self._looked = self._looks, self._clock()
        self._timer.start()

    def stop(self) -> None:
        """Wait no longer."""
        self._left = 0
        self._timer.stop()

    def look(self) -> None:
        """The time of a look has come."""
        if self._left == 0:
            return
        now = self._clock()
        late, self._looked = now - self._looked > _LATE * self._interval + 0.05, now
        if late:
            return
        self._left -= 1
        if self._left == 0:
            self.stop()
            self._onOver()
