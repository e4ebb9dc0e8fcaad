"""How long work reports where it is, and how it is told to stop. Imports: standard library and errors.

A worker reports by calling a `ProgressCallback` with a `Progress`, and asks a `CancelToken` at every point where it can stop cleanly.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from .errors import Cancelled


@dataclass(frozen=True)
class Progress:
    """Where a piece of work is.

    Args:
        done: units finished so far (slices, bytes), counted from 0.
        total: units in all, or None while that is not known.
        what: the work and its unit, for the user to read ("Downloading x.pt (bytes)").
    """

    done: int
    total: int | None
    what: str


ProgressCallback = Callable[[Progress], None]


class CancelToken:
    """A request to stop, made in one thread and noticed in another.

    The worker stops at the next point where it asks, never in between; what it has finished is kept. A token is used once.
    """

    def __init__(self) -> None:
        self._requested = threading.Event()

    def cancel(self) -> None:
        """Ask for the work to stop. Asking again changes nothing."""
        self._requested.set()

    @property
    def cancelled(self) -> bool:
        """Whether a stop was asked for."""
        return self._requested.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise Cancelled if a stop was asked for."""
        if self.cancelled:
            raise Cancelled("Stopped on request. What was finished until then is kept.")
