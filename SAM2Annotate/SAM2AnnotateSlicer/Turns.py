"""Turns: pieces of work that take long, one in each turn of the event loop, so that the mouse comes in between. Imports qt only."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import qt

_works: deque[Callable[[], None]] = deque()
_timer = None


def inTurn(work: Callable[[], None]) -> None:
    """Do this when its turn comes, after all that waits already, even if one of these raises."""
    global _timer
    _works.append(work)
    if _timer is None:
        _timer = qt.QTimer()
        _timer.setSingleShot(True)
        _timer.setInterval(1)  # with 0 it could come up again in the same turn
        _timer.connect("timeout()", _next)
    if not _timer.isActive():
        _timer.start()


def inTurnOnce(work: Callable[[], None]) -> None:
    """As `inTurn`, unless that very work waits already."""
    if work not in _works:
        inTurn(work)


def waits(work: Callable[[], None]) -> bool:
    """Whether that work waits for its turn."""
    return work in _works


def forget(work: Callable[[], None]) -> None:
    """Do it no more."""
    while work in _works:
        _works.remove(work)


def _next() -> None:
    if not _works:
        return
    try:
        _works.popleft()()
    finally:
        if _works:
            _timer.start()
