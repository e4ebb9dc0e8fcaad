"""One device, one thread that computes on it, and sessions that take turns. Imports engine and errors.

A session goes through its request in a thread of its own, which holds no more than numpy. Whenever it needs the model (to encode a slice,
to take a step) it hands that one call to the device's thread and waits. Each session has one call waiting at most, and who waits longest is
next: so sessions take turns between slices, and nobody waits longer than one call of each other. All of torch runs in one thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..engine import Embedding, SlicePrediction
from ..errors import EngineError
from ..progress import CancelToken

# What needs no device to be used. Anything else that a model gives (a track, a model with an adapter) computes when it is used.
_PLAIN = (str, bytes, int, float, bool, type(None), dict, list, tuple, np.ndarray, np.generic, Embedding, SlicePrediction)

# Compute nothing: no turn is waited for.
_AT_ONCE = ("describe", "start_track")


class Turns:
    """The thread of one device."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "device")
        self._ident = self._thread.submit(threading.get_ident).result()
        self._calm = threading.Condition()
        self._working = 0
        self.calls = 0
        self.busy_seconds = self.waited_seconds = self.longest_wait_seconds = 0.0

    def do(self, call: Callable[..., Any], *arguments: Any, cancel: CancelToken | None = None, **options: Any) -> Any:
        """Run a call in the device's thread when it is its turn, and give what it gives.

        Raises:
            Cancelled: if `cancel` was set while it waited.
            EngineError: if the device is closed.
        """
        if threading.get_ident() == self._ident:  # part of a call that has its turn
            return call(*arguments, **options)
        asked = time.perf_counter()

        def turn() -> Any:
            began = time.perf_counter()
            self.calls += 1
            self.waited_seconds += began - asked
            self.longest_wait_seconds = max(self.longest_wait_seconds, began - asked)
            if cancel is not None:
                cancel.raise_if_cancelled()
            try:
                return call(*arguments, **options)
            finally:
                self.busy_seconds += time.perf_counter() - began

        try:
            result: Future[Any] = self._thread.submit(turn)
        except RuntimeError as exc:
            raise EngineError("The server is stopping.") from exc
        return result.result()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around a request that somebody waits for."""
        with self._calm:
            self._working += 1
        try:
            yield
        finally:
            with self._calm:
                self._working -= 1
                self._calm.notify_all()

    def is_calm(self, seconds: float = 0.0) -> bool:
        """Whether nobody waits for anything, or so after waiting for at most `seconds`."""
        with self._calm:
            return self._calm.wait_for(lambda: self._working == 0, seconds)

    def close(self) -> None:
        """End the thread after the call that it is at."""
        self._thread.shutdown(wait=True, cancel_futures=True)


class OnDevice:
    """A model, or what a model gave, whose every call takes its turn.

    Args:
        inner: the model.
        turns: of its device.
        current: gives the token of the request that is at work.
    """

    def __init__(self, inner: Any, turns: Turns, current: Callable[[], CancelToken | None] = lambda: None):
        self._on_device = (inner, turns, current)

    def __getattr__(self, name: str) -> Any:
        inner, turns, current = self._on_device
        value = getattr(inner, name)
        if not callable(value):
            return value

        def called(*arguments: Any, **options: Any) -> Any:
            given = value(*arguments, **options) if name in _AT_ONCE else turns.do(value, *arguments, cancel=current(), **options)
            return given if isinstance(given, _PLAIN) else OnDevice(given, turns, current)

        return called
