"""Effort: how many actions and minutes of a person went into an object. Imports the standard library only."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

# Between two actions a person may have been away: more than this does not count.
_LONGEST_PAUSE_SECONDS = 60.0


class Effort:
    """Counts actions by kind and the seconds between them.

    Args:
        counts: actions so far, by kind (``box``, ``point``, ``accept``, ``correct``, ...).
        seconds: seconds so far.
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, counts: dict[str, int] | None = None, seconds: float = 0.0, clock: Callable[[], float] = time.monotonic):
        self.counts: Counter[str] = Counter(counts or {})
        self.seconds = seconds
        self._clock = clock
        self._last: float | None = None

    def note(self, action: str, times: int = 1) -> None:
        """A person did something now."""
        self.counts[action] += times
        now = self._clock()
        if self._last is not None:
            self.seconds += min(now - self._last, _LONGEST_PAUSE_SECONDS)
        self._last = now

    @property
    def actions(self) -> int:
        """All actions."""
        return sum(self.counts.values())

    def toJson(self) -> dict:
        """Plain JSON; `fromJson` reads it back, and goes on counting."""
        return {"counts": dict(self.counts), "seconds": round(self.seconds, 1)}

    @classmethod
    def fromJson(cls, stored: dict) -> Effort:
        """Read back what `toJson` wrote; an empty dict is no effort yet."""
        return cls(stored.get("counts"), float(stored.get("seconds", 0.0)))
