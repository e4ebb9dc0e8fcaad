"""Where a session computes: a seat at a device of this process, or (ray_seats) of another. Imports worker, engine and below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..engine import SegmentationEngine
from ..errors import CheckpointError, EngineError, InputError
from ..progress import CancelToken
from ..worker.messages import Message, Prefetch
from ..worker.serve import Worker
from ..worker.wire import GRAY_LOWER, GRAY_UPPER, THE_SERVERS_MODEL
from .embeddings import SharedEmbeddings
from .turns import OnDevice, Turns


@dataclass(frozen=True, eq=False)
class GrayVolume:
    """A volume that has come.

    Args:
        key: the client's name for it.
        array_kji: uint8, read-only.
        ijk_to_ras: (4, 4).
        axis: that slices are numbered along.
    """

    key: str
    array_kji: np.ndarray
    ijk_to_ras: list[list[float]]
    axis: str


class Seat(Protocol):
    """What a session needs of a device. Each call but `close` blocks until it is done, and is made from the session's thread."""

    def open_volume(self, volume: GrayVolume) -> None:
        """Take a volume. Raises InputError."""

    def handle(self, message: Message, cancel: CancelToken) -> None:
        """Do one request; replies come through what the seat was given, a `Finished` or `Failed` at last."""

    def close(self) -> None:
        """Forget everything of this session."""


class Seats(Protocol):
    """Devices, and a seat at one of them for each session."""

    @property
    def models(self) -> Mapping[str, dict]:
        """What each model that is lent says of itself, by name; the server's own choice first."""

    def seat(self, send: Callable[[Message], None], is_waiting: Callable[[], bool]) -> Seat:
        """A seat for a new session.

        Args:
            send: takes replies.
            is_waiting: whether the session has another request.
        """

    def figures(self) -> dict[str, float]:
        """For the metrics, by name."""

    def close(self) -> None:
        """End what computes."""


class LocalSeats:
    """A device of this process with its models, each in memory once.

    Args:
        models: loaded, by the name that clients call them; the first is the server's own choice.
        embeddings_bytes: memory for embeddings of all sessions.
    """

    def __init__(self, models: Mapping[str, SegmentationEngine], embeddings_bytes: int):
        if not models:
            raise InputError("A server lends at least one model.")
        self._models = dict(models)
        self.models = {name: model.describe() for name, model in self._models.items()}
        self.turns = Turns()
        self.embeddings = SharedEmbeddings(embeddings_bytes)

    def seat(self, send: Callable[[Message], None], is_waiting: Callable[[], bool]) -> LocalSeat:
        """A seat for a new session."""
        return LocalSeat(self, send, is_waiting)

    def lend(self, name: str, **wishes: Any) -> SegmentationEngine:
        """A model that the server was started with.

        Args:
            name: as clients call it.
            wishes: the other arguments of `load_engine`, which the server has chosen already.

        Raises:
            CheckpointError: if it has no such model. Names are looked up, never opened.
            EngineError: if the client wants it otherwise than it is.
        """
        name = next(iter(self._models)) if name == THE_SERVERS_MODEL else name
        if name not in self._models:
            raise CheckpointError(f"This server does not lend that model. It lends: {', '.join(self._models)}.")
        described = self.models[name]
        for wish, value in wishes.items():
            same = value in (None, "auto") or value == described.get(wish)
            if not same:
                raise EngineError(f"The server lends {name} with {wish} {described.get(wish, 'as it is')}, not as asked for.")
        return self._models[name]

    def figures(self) -> dict[str, float]:
        """For the metrics."""
        return {
            "embeddings_bytes": self.embeddings.nbytes,
            "embeddings_most_bytes": self.embeddings.most_bytes,
            "device_calls_total": self.turns.calls,
            "device_busy_seconds_total": self.turns.busy_seconds,
            "device_waited_seconds_total": self.turns.waited_seconds,
            "device_longest_wait_seconds": self.turns.longest_wait_seconds,
        }

    def close(self) -> None:
        """End the device's thread."""
        self.turns.close()


class LocalSeat:
    """A session's seat in this process."""

    def __init__(self, seats: LocalSeats, send: Callable[[Message], None], is_waiting: Callable[[], bool]):
        self._turns, self._cancel = seats.turns, CancelToken()
        self._is_waiting = is_waiting
        self._store = seats.embeddings.of_session()

        def load(name: str, **wishes: Any) -> Any:
            return OnDevice(seats.lend(name, **wishes), seats.turns, lambda: self._cancel)

        self._worker = Worker(send, load, self._stop_prefetching, self._store)

    def open_volume(self, volume: GrayVolume) -> None:
        """Take a volume."""
        self._worker.take_volume(volume.key, volume.array_kji, volume.ijk_to_ras, volume.axis, GRAY_LOWER, GRAY_UPPER)

    def handle(self, message: Message, cancel: CancelToken) -> None:
        """Do one request."""
        self._cancel = cancel
        if isinstance(message, Prefetch):
            self._stop_prefetching()  # waits
            self._worker.handle(message, cancel)
        else:
            with self._turns.working():
                self._worker.handle(message, cancel)

    def close(self) -> None:
        """Forget everything of this session."""
        self._store.close()

    def _stop_prefetching(self) -> bool:
        """Whether this session has better to do; waits as long as others have."""
        while not self._cancel.cancelled and not self._is_waiting():
            if self._turns.is_calm(0.2):
                return False
        return True
