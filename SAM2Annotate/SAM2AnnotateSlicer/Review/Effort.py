"""Effort: how many actions and minutes of a person went into an object, and the pace of the review. Imports the standard library only."""

from __future__ import annotations

import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable

# Between two actions a person may have been away: more than this does not count.
_LONGEST_PAUSE_SECONDS = 60.0

# The pace is known from that many decisions on, and follows from that many of the latest.
_FEWEST_DECISIONS = 5
_MOST_DECISIONS = 40
_PREPARING = frozenset({"box", "point", "extent", "propagate"})  # the time up to these is none of the review


class Effort:
    """Counts actions by kind and the seconds between them.

    Args:
        counts: actions so far, by kind (``box``, ``point``, ``accept``, ``correct``, ...).
        seconds: seconds so far.
        clock: seconds of a clock that never goes back.
        pace: seconds a slice of the latest decisions.
    """

    def __init__(
        self,
        counts: dict[str, int] | None = None,
        seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        pace: Iterable[float] = (),
    ):
        self.counts: Counter[str] = Counter(counts or {})
        self.seconds = seconds
        self._clock = clock
        self._last: float | None = None
        self._pace: deque[float] = deque(pace, maxlen=_MOST_DECISIONS)
        self._sinceDecision: float | None = None  # None until something was done that a decision can be timed from

    def note(self, action: str, times: int = 1, slices: int = 0) -> None:
        """A person did something now.

        Args:
            action: what.
            times: how often.
            slices: how many slices were decided on by it, 0 if it was no decision that took its time now.
        """
        self.counts[action] += times
        now = self._clock()
        if self._last is not None:
            spent = min(now - self._last, _LONGEST_PAUSE_SECONDS)
            self.seconds += spent
            if self._sinceDecision is not None:
                self._sinceDecision += spent
        self._last = now
        if slices:
            if self._sinceDecision is not None:
                self._pace.append(self._sinceDecision / slices)
            self._sinceDecision = 0.0
        elif action in _PREPARING:
            self._sinceDecision = 0.0

    @property
    def secondsPerSlice(self) -> float | None:
        """Median of the latest decisions; None before there were enough of them for a figure to trust."""
        return statistics.median(self._pace) if len(self._pace) >= _FEWEST_DECISIONS else None

    @property
    def actions(self) -> int:
        """All actions."""
        return sum(self.counts.values())

    def toJson(self) -> dict:
        """Plain JSON; `fromJson` reads it back, and goes on counting."""
        return {"counts": dict(self.counts), "seconds": round(self.seconds, 1), "pace": [round(one, 2) for one in self._pace]}

    @classmethod
    def fromJson(cls, stored: dict) -> Effort:
        """Read back what `toJson` wrote; an empty dict is no effort yet."""
        return cls(stored.get("counts"), float(stored.get("seconds", 0.0)), pace=[float(one) for one in stored.get("pace", ())])
