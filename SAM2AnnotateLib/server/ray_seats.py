"""Sessions on Ray actors: one device each, on this machine or others. Imports seats, worker and below; ray is handed in.

The server keeps tokens, connections, limits and voxels; an actor holds models, embeddings and a copy of the voxels. An actor that ends
(its machine is switched off, the system takes its memory) is started again: the session's model is loaded there, its volumes are brought
again, and the request that broke goes on with the slices that are missing. What a slice becomes does not depend on which others are due, so
the masks are those that would have come.

Whatever holds something of an image travels in parts small enough for Ray to send them within the call: what is larger goes to Ray's store
of objects, which may write it to a disk.
"""

from __future__ import annotations

import itertools
import os
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from ..engine import SegmentationEngine
from ..errors import InputError, SAM2AnnotateError, WorkerError
from ..progress import CancelToken
from ..worker.messages import CloseVolume, Failed, Finished, LoadModel, Message, Prefetch, Propagate, SliceDone, from_line, to_line
from .log import event
from .seats import GrayVolume, LocalSeats, Seat

_PART_BYTES = 64 << 10  # Ray sends arguments and results of up to 100 KB within the call
_ASK_SECONDS = 0.5
_START_SECONDS = 600.0  # torch and large weights, from a cold disk
_MOST_DEATHS = 3  # of an actor during one request: then it is the request that kills it
_KEPT = ("LoadModel", "UseAdapter")  # requests that change what later ones mean, so that they are repeated on a new actor


# -- the actor's side ---------------------------------------------------------------------------------------------------------------


class Device:
    """One device's models and seats; what a Ray actor is made of. Calls of different seats run at the same time.

    Args:
        make_models: loads them, by the name that clients call them.
        embeddings_bytes: memory for embeddings of all sessions.
        threads: of the processor, for a model that computes there; 0 for one that does not.
    """

    def __init__(self, make_models: Callable[[], Mapping[str, SegmentationEngine]], embeddings_bytes: int, threads: int):
        if threads:  # Ray gives an actor one, and torch reads this when it is imported
            os.environ["OMP_NUM_THREADS"] = str(threads)
        self._seats = LocalSeats(make_models(), embeddings_bytes)
        self._open: dict[int, _RemoteSeat] = {}

    def models(self) -> dict[str, dict]:
        """What they say of themselves."""
        return dict(self._seats.models)

    def figures(self) -> dict[str, float]:
        """For the metrics."""
        return self._seats.figures()

    def open(self, seat: int) -> None:
        """A session begins."""
        self._open[seat] = _RemoteSeat(self._seats)

    def close(self, seat: int) -> None:
        """A session ends."""
        found = self._open.pop(seat, None)
        if found is not None:
            found.seat.close()

    def add_part(self, seat: int, part: bytes) -> None:
        """Some of what is brought next: of a volume's voxels, or of a request."""
        self._open[seat].parts.append(part)

    def open_volume(self, seat: int, key: str, shape_kji: tuple[int, int, int], ijk_to_ras: list[list[float]], axis: str) -> None:
        """Take the volume whose voxels were brought."""
        one = self._open[seat]
        array = np.frombuffer(b"".join(one.parts), dtype=np.uint8).reshape(shape_kji)
        one.parts.clear()
        one.seat.open_volume(GrayVolume(key, array, ijk_to_ras, axis))

    def begin(self, seat: int) -> None:
        """Begin the request that was brought."""
        one = self._open[seat]
        message = from_line(b"".join(one.parts))
        one.parts.clear()
        one.begin(message)

    def replies(self, seat: int, part: int) -> tuple[list[bytes], int]:
        """Replies that have come since, after waiting for the first a little; a long one in parts.

        Args:
            part: of a reply that is too long for one answer; 0 for new ones.

        Returns:
            Lines; and which part is next of the one that it holds, 0 if it is whole.
        """
        return self._open[seat].replies(part)

    def cancel(self, seat: int) -> None:
        """Stop what the session is at."""
        self._open[seat].cancel.cancel()

    def hurry(self, seat: int) -> None:
        """The session has another request: end its prefetch."""
        self._open[seat].is_waiting = True


class _RemoteSeat:
    def __init__(self, seats: LocalSeats):
        self.parts: list[bytes] = []
        self.cancel, self.is_waiting = CancelToken(), False
        self._replies: queue.Queue[bytes] = queue.Queue()
        self._long = b""
        self.seat: Seat = seats.seat(lambda message: self._replies.put(to_line(message)), lambda: self.is_waiting)

    def begin(self, message: Message) -> None:
        self.cancel, self.is_waiting = CancelToken(), False
        self._replies = queue.Queue()
        threading.Thread(target=self.seat.handle, args=(message, self.cancel), daemon=True).start()

    def replies(self, part: int) -> tuple[list[bytes], int]:
        if part == 0:
            lines: list[bytes] = []
            try:
                self._long = self._replies.get(timeout=_ASK_SECONDS)
                while len(self._long) <= _PART_BYTES:
                    lines.append(self._long)
                    if sum(map(len, lines)) > _PART_BYTES // 4:
                        return lines, 0
                    self._long = b""
                    self._long = self._replies.get_nowait()
            except queue.Empty:
                return lines, 0
            if lines:  # the long one comes by itself
                self._replies.queue.appendleft(self._long)
                return lines, 0
        some = self._long[part * _PART_BYTES : (part + 1) * _PART_BYTES]
        return [some], part + 1 if (part + 1) * _PART_BYTES < len(self._long) else 0


# -- the server's side --------------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Actor:
    """A device and the actor that is at it now."""

    handle: Any
    seats: int = 0
    deaths: int = 0


class RaySeats:
    """Devices on a Ray cluster.

    Args:
        ray: connected to it.
        make_models: loads models; sent to each actor.
        embeddings_bytes: memory for embeddings on each device.
        devices: how many.
        gpus: that each takes: 1, or 0 to compute on the CPU.
        most_seats: on one device.

    Raises:
        InputError: if there is to be no device, or the cluster has too few.
        WorkerError: if an actor cannot start, or the cluster has no room for it.
    """

    def __init__(
        self,
        ray: ModuleType,
        make_models: Callable[[], Mapping[str, SegmentationEngine]],
        embeddings_bytes: int,
        devices: int = 1,
        gpus: int = 0,
        most_seats: int = 16,
    ):
        if devices < 1:
            raise InputError(f"A server computes on 1 device or more, got {devices}.")
        kind = "GPU" if gpus else "CPU"
        found = int(ray.cluster_resources().get(kind, 0))
        if found < devices:
            raise InputError(f"The cluster has {found} {kind}s, {devices} devices were asked for.")
        self.ray, self._embeddings_bytes = ray, embeddings_bytes
        self._numbers, self._lock = itertools.count(1), threading.Lock()
        # Two calls of a session can be at work at once: one that waits for replies, and one that cancels.
        options = {"num_gpus": gpus, "num_cpus": 0 if gpus else 1, "max_concurrency": 3 * most_seats + 8}
        threads = 0 if gpus else _threads_each(ray, devices)
        self._start = lambda: ray.remote(Device).options(**options).remote(make_models, embeddings_bytes, threads)
        self._actors = [_Actor(self._start()) for _ in range(devices)]
        try:
            self.models = ray.get([one.handle.models.remote() for one in self._actors], timeout=_START_SECONDS)[0]
        except ray.exceptions.GetTimeoutError as exc:
            raise WorkerError(f"The cluster has had no room for {devices} devices for {_START_SECONDS:.0f} s.") from exc
        except ray.exceptions.RayError as exc:
            raise self._translated(exc) from exc

    def seat(self, send: Callable[[Message], None], is_waiting: Callable[[], bool]) -> RaySeat:
        """A seat at the device that has fewest."""
        with self._lock:
            actor = min(self._actors, key=lambda one: one.seats)
            actor.seats += 1
            number = next(self._numbers)
        return RaySeat(self, actor, number, send, is_waiting)

    def leave(self, actor: _Actor) -> None:
        """A seat is free."""
        with self._lock:
            actor.seats -= 1

    def start_again(self, actor: _Actor, dead: Any) -> None:
        """Start an actor in the place of one that ended; once, whoever notices it first."""
        with self._lock:
            if actor.handle is dead:
                actor.deaths += 1
                actor.handle = self._start()
                event("device_started_again", deaths=actor.deaths)

    def figures(self) -> dict[str, float]:
        """For the metrics; without the devices that do not answer."""
        total: dict[str, float] = {}
        for actor in list(self._actors):
            try:
                found = self.ray.get(actor.handle.figures.remote(), timeout=_ASK_SECONDS)
            except self.ray.exceptions.RayError:
                continue
            for name, value in found.items():
                total[name] = max(total.get(name, 0), value) if "longest" in name else total.get(name, 0) + value
        limit, lost = self._embeddings_bytes * len(self._actors), sum(actor.deaths for actor in self._actors)
        return {**total, "embeddings_limit_bytes": limit, "devices": len(self._actors), "devices_lost_total": lost}

    def close(self) -> None:
        """End the actors."""
        for actor in self._actors:
            self.ray.kill(actor.handle)

    def _translated(self, exc: Exception) -> SAM2AnnotateError:
        cause = getattr(exc, "cause", None)
        if isinstance(cause, SAM2AnnotateError):
            return cause
        reason = " ".join(str(exc).split())[-300:]
        return WorkerError(f"A device cannot be started on the cluster ({type(exc).__name__}): {reason}")


def _threads_each(ray: ModuleType, devices: int) -> int:
    """Threads for each of so many devices that compute on processors; what the user has set stays."""
    if "OMP_NUM_THREADS" in os.environ:
        return int(os.environ["OMP_NUM_THREADS"].partition(",")[0])
    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    return max(1, max(cores, default=1) // -(-devices // max(1, len(cores))))


class RaySeat:
    """A session's seat at an actor; see the file's head for what it does when the actor ends."""

    def __init__(self, seats: RaySeats, actor: _Actor, number: int, send: Callable[[Message], None], is_waiting: Callable[[], bool]):
        self._seats, self._actor, self._number = seats, actor, number
        self._send, self._is_waiting = send, is_waiting
        self._ray = seats.ray
        self._at: Any = None  # the actor that knows this seat
        self._kept: dict[str, Message] = {}
        self._volumes: dict[str, GrayVolume] = {}

    def open_volume(self, volume: GrayVolume) -> None:
        """Take a volume."""
        self._volumes[volume.key] = volume

        def bring() -> None:
            if self._require_open() is not None:  # else it was brought with the others
                self._bring(volume)

        self._through_deaths(bring)

    def handle(self, message: Message, cancel: CancelToken) -> None:
        """Do one request."""
        sent: set[int] = set()
        if isinstance(message, CloseVolume):
            self._volumes.pop(message.volume, None)
        try:
            cancel.raise_if_cancelled()
            last = self._through_deaths(lambda: self._ask(message, cancel, sent, self._send))
        except SAM2AnnotateError as exc:
            last = Failed(message.request, type(exc).__name__, exc.problem, exc.remedy)
        if isinstance(last, Finished) and type(message).__name__ in _KEPT:
            if isinstance(message, LoadModel):
                self._kept.clear()
            self._kept[type(message).__name__] = message
        self._send(last)

    def close(self) -> None:
        """Forget everything of this session."""
        if self._at is not None and self._at is self._actor.handle:
            self._at.close.remote(self._number)
        self._seats.leave(self._actor)

    def _through_deaths(self, work: Callable[[], Any]) -> Any:
        for _ in range(_MOST_DEATHS):
            handle = self._actor.handle
            try:
                return work()
            except self._ray.exceptions.RayTaskError as exc:
                if isinstance(exc.cause, SAM2AnnotateError):
                    raise exc.cause from exc
                if not isinstance(exc.cause, KeyError):
                    raise WorkerError(f"The device failed at this request ({type(exc.cause).__name__}).") from exc
                self._at = None  # an actor that does not know this seat: Ray has started it again by itself
            except self._ray.exceptions.RayError:
                self._seats.start_again(self._actor, handle)
        raise WorkerError(f"The device's process ended {_MOST_DEATHS} times at this request. Try a smaller volume, or another model.")

    def _require_open(self) -> Any:
        """See that the actor knows this session; None if it had to be told everything."""
        if self._at is self._actor.handle:
            return self._at
        handle = self._actor.handle
        self._ray.get(handle.open.remote(self._number))
        self._at = handle
        for message in self._kept.values():
            self._ask(message, CancelToken(), set(), lambda _reply: None)
        for volume in list(self._volumes.values()):
            self._bring(volume)
        return None

    def _bring(self, volume: GrayVolume) -> None:
        flat = np.ascontiguousarray(volume.array_kji).reshape(-1)
        self._bring_parts(flat.data)
        shape = volume.array_kji.shape
        self._ray.get(self._at.open_volume.remote(self._number, volume.key, shape, volume.ijk_to_ras, volume.axis))

    def _bring_parts(self, data: memoryview | bytes) -> None:
        for start in range(0, len(data), _PART_BYTES):
            self._ray.get(self._at.add_part.remote(self._number, bytes(data[start : start + _PART_BYTES])))

    def _ask(self, message: Message, cancel: CancelToken, sent: set[int], send: Callable[[Message], None]) -> Finished | Failed:
        """Do a request, without the slices that were sent before; all replies but the last go on."""
        self._require_open()
        before = len(sent)
        if isinstance(message, Propagate) and sent:
            message = replace(message, due=[position for position in message.due if position not in sent])
        self._bring_parts(to_line(message))
        self._ray.get(self._at.begin.remote(self._number))
        stopped = hurried = False
        parts: list[bytes] = []
        part = 0
        while True:
            lines, part = self._ray.get(self._at.replies.remote(self._number, part))
            if part or parts:
                parts += lines
                if part:
                    continue
                lines, parts = [b"".join(parts)], []
            for line in lines:
                reply = from_line(line)
                if isinstance(reply, (Finished, Failed)):
                    return reply
                if isinstance(reply, SliceDone):
                    sent.add(reply.slice["position"])
                    reply = replace(reply, done=reply.done + before, total=reply.total + before)
                send(reply)
            if cancel.cancelled and not stopped:
                self._at.cancel.remote(self._number)
                stopped = True
            if isinstance(message, Prefetch) and not hurried and self._is_waiting():
                self._at.hurry.remote(self._number)
                hurried = True
