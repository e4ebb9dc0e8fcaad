"""How often somebody may be wrong about a token. Imports the standard library.

Counted by address and by the id in the token. So a hospital behind one address is not locked out by one of its machines that goes on with a
token that was revoked: whoever comes with an id that the server knows is counted for himself.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

_WINDOW_SECONDS = 60.0
_MOST_KEPT = 10_000  # addresses and ids; an attacker with more of them pushes out the oldest


class Guesses:
    """Counts failed tries of the last minute, or another time.

    Args:
        most: tries in that time.
        clock: in seconds.
        window_seconds: how long a try is counted.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic, window_seconds: float = _WINDOW_SECONDS):
        self._most, self._clock, self._window_seconds = most, clock, window_seconds
        self._failed: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def too_many(self, address: str, known_id: str) -> bool:
        """Whether to refuse without looking.

        Args:
            address: where somebody comes from.
            known_id: the id of the token if the server knows it, else "".
        """
        with self._lock:
            times = self._failed.get((address, known_id))
            if times is None:
                return False
            while times and times[0] <= self._clock() - self._window_seconds:
                times.popleft()
            if not times:
                del self._failed[address, known_id]
            return len(times) >= self._most

    def failed(self, address: str, known_id: str) -> None:
        """Note a try that was wrong."""
        with self._lock:
            times = self._failed.setdefault((address, known_id), deque(maxlen=self._most))
            times.append(self._clock())
            self._failed.move_to_end((address, known_id))
            while len(self._failed) > _MOST_KEPT:
                self._failed.popitem(last=False)
