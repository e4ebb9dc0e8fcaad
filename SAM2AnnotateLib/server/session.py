"""One user's session: volumes, requests one after the other in a thread of its own, and what happens when the connection breaks.

Imports seats, uploads, worker and below.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass

from ..errors import Cancelled, InputError, SAM2AnnotateError, WorkerError
from ..progress import CancelToken
from ..worker.messages import (
    Cancel,
    CloseVolume,
    Failed,
    Finished,
    Heartbeat,
    Message,
    SliceDone,
)
from ..worker.wire import Chunk, ChunksWanted, Refusal, UploadVolume, to_text
from .limits import Limits
from .log import event, mark_of
from .metrics import Metrics
from .outbox import Outbox
from .requests import mask_pixels, require_crop
from .seats import GrayVolume, Seats
from .uploads import MemoryBudget, Upload, check_upload

_MOST_VOLUMES = 32
# A request may hold a prompt's mask and a proposal for each slice, and a little more.
_MOST_MASKS_A_SLICE, _FREE_PIXELS = 3, 1 << 25
_A_FAULT = "Unexpected error"  # how the worker begins the text of an error that nobody expected


@dataclass(frozen=True, eq=False)
class _Asked:
    """A request that waits or is at work."""

    message: Message
    cancel: CancelToken
    upload: Upload | None = None
    byte_count: int = 0


class Session:
    """What the server keeps for one client.

    Args:
        key: unguessable.
        user: id of the token.
        name: of the user.
        seats: where to compute.
        budget: memory for volumes.
        limits: what the session may ask.
        metrics: counts.
    """

    def __init__(self, key: str, user: str, name: str, seats: Seats, budget: MemoryBudget, limits: Limits, metrics: Metrics):
        self.key, self.user, self.name = key, user, name
        self._budget, self._limits, self._metrics = budget, limits, metrics
        self._lock = threading.RLock()
        self._waiting: queue.Queue[_Asked | None] = queue.Queue()
        self._asked: dict[int, _Asked] = {}  # what the client at the other end waits for
        self._at: _Asked | None = None
        self._uploads: dict[int, Upload] = {}  # by the request that chunks name
        self._volumes: dict[str, Upload] = {}
        self._outbox: Outbox | None = None
        self._malformed = 0
        self._allowance = float(limits.requests_at_once)
        self._ended = False
        self.asked_at = self.left_at = self._counted_at = time.monotonic()
        self._seat = seats.seat(self._send, lambda: not self._waiting.empty())
        self._thread = threading.Thread(target=self._work, name=f"session {mark_of(key)}", daemon=True)
        self._thread.start()

    # -- the connection --------------------------------------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether somebody listens."""
        return self._outbox is not None

    @property
    def is_busy(self) -> bool:
        """Whether a request is at work or waits."""
        return bool(self._asked)

    def attach(self, outbox: Outbox) -> bool:
        """Speak to this connection from now on; one that was there before is closed. False if the session is over."""
        with self._lock:
            if self._ended:
                return False
            before, self._outbox = self._outbox, outbox
            self._malformed = 0
            self.asked_at = time.monotonic()
        if before is not None:
            self._forget_requests()
            before.close(Refusal.TAKEN_OVER, Refusal.TAKEN_OVER.problem)
        return True

    def detach(self, outbox: Outbox) -> None:
        """The connection is gone: stop what is at work, keep volumes, wait for the client to come back."""
        with self._lock:
            if self._outbox is not outbox:
                return
            self._outbox = None
            self.left_at = time.monotonic()
        self._forget_requests()

    def beat(self) -> None:
        """A sign of life, where nothing else waits to be sent."""
        outbox = self._outbox
        if outbox is not None and outbox.is_empty:
            at = self._at
            outbox.put(to_text(Heartbeat(0 if at is None else at.message.request)), patient=False)

    def end(self, refusal: Refusal | None = None, reason: str = "") -> None:
        """Forget everything. The client is told why, if there is a reason."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            outbox, self._outbox = self._outbox, None
        self._forget_requests()
        self._waiting.put(None)
        if outbox is not None:
            outbox.close(refusal, reason or (refusal.problem if refusal else ""))
        event("session_ended", session=mark_of(self.key), user=self.name, reason=refusal.name.lower() if refusal else "client")

    def join(self, seconds: float) -> None:
        """Wait until its thread has ended."""
        self._thread.join(seconds)

    # -- what the client sends; called from the loop's thread ---------------------------------------------------------------------------

    def may_ask(self) -> bool:
        """Count a message against the rate; False if there were too many."""
        now = time.monotonic()
        most = self._limits.requests_at_once
        self._allowance = min(most, self._allowance + (now - self._counted_at) * self._limits.requests_per_second)
        self._counted_at = now
        self._allowance -= 1
        return self._allowance >= 0

    def malformed(self, problem: str, request: int = 0) -> bool:
        """Note something that could not be read; False if it was once too often."""
        self._malformed += 1
        self._metrics.count("malformed_total")
        self._reply(Failed(request, "WorkerError", problem))
        return self._malformed < self._limits.malformed_messages

    def take(self, message: Message, byte_count: int) -> None:
        """Take a request, checked. Cancelling works at once, all else in its order.

        Args:
            byte_count: of its frame: those that wait may not take more memory than one that is as large as allowed.
        """
        self.asked_at = time.monotonic()
        if isinstance(message, Cancel):
            target = self._asked.get(message.target)
            if target is not None:
                target.cancel.cancel()
            return
        try:
            self._require_order(message, byte_count)
            upload = self._begin_upload(message) if isinstance(message, UploadVolume) else None
            with self._lock:
                asked = self._asked[message.request] = _Asked(message, CancelToken(), upload, byte_count)
                self._waiting.put(asked)
        except SAM2AnnotateError as exc:
            self._metrics.count("requests_total", kind=type(message).__name__, outcome="refused")
            self._reply(Failed(message.request, type(exc).__name__, exc.problem, exc.remedy))

    def take_chunk(self, frame: bytes) -> None:
        """Take a chunk of an upload; blocks while it is unpacked. Raises InputError if it is none, or nobody asked for it."""
        self.asked_at = time.monotonic()
        chunk = Chunk.of(frame)
        with self._lock:
            upload = self._uploads.get(chunk.request)
        if upload is None:
            raise InputError("There is no upload that this chunk belongs to.")
        upload.take(chunk)

    def _require_order(self, message: Message, byte_count: int) -> None:
        if message.request in self._asked:
            raise WorkerError(f"There is a request {message.request} already.")
        if len(self._asked) >= self._limits.waiting_requests:
            raise WorkerError(f"{len(self._asked)} requests wait already. Wait for their replies.")
        waiting_bytes = sum(asked.byte_count for asked in list(self._asked.values()))
        if waiting_bytes + byte_count > self._limits.largest_message_bytes:
            raise WorkerError(f"Requests of {waiting_bytes >> 20} MB wait already. Wait for their replies.")
        with self._lock:
            voxels = sum(upload.byte_count for upload in self._held())
        pixels = mask_pixels(vars(message))
        if pixels > _MOST_MASKS_A_SLICE * voxels + _FREE_PIXELS:
            raise WorkerError(f"The masks in the request have {pixels} pixels, all slices of the session's volumes {voxels}.")
        crop = getattr(message, "crop", None)
        if crop is not None:
            require_crop(crop, type(message).__name__)

    def _begin_upload(self, message: UploadVolume) -> Upload:
        check_upload(message, self._limits.largest_volume_bytes)
        wanted = (message.sha256, tuple(message.shape_kji))
        with self._lock:
            upload = next((one for one in self._held() if one.key == wanted), None)
            if upload is None:
                self._drop_abandoned()
                if len(self._held()) >= _MOST_VOLUMES:
                    raise InputError(f"A session holds at most {_MOST_VOLUMES} volumes. Close some.")
                upload = Upload(message, self._budget, self.user)
            upload.moved_at = time.monotonic()
            self._uploads[message.request] = upload
        self._reply(ChunksWanted(message.request, upload.missing))
        return upload

    def _held(self) -> list[Upload]:
        """All volumes and uploads, each once."""
        return list({id(one): one for one in (*self._volumes.values(), *self._uploads.values())}.values())

    def _drop_abandoned(self) -> None:
        """Uploads that nobody goes on with: another one comes instead."""
        for request in [request for request in self._uploads if request not in self._asked]:
            self._drop_unless_held(self._uploads.pop(request))

    # -- the session's thread -----------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (asked := self._waiting.get()) is not None:
            self._at = asked
            message, began = asked.message, time.monotonic()
            try:
                if asked.upload is not None and isinstance(message, UploadVolume):
                    self._open(message, asked.upload, asked.cancel)
                else:
                    if isinstance(message, CloseVolume):
                        self._close(message.volume)
                    self._seat.handle(message, asked.cancel)
            except SAM2AnnotateError as exc:
                self._send(Failed(message.request, type(exc).__name__, exc.problem, exc.remedy))
            except Exception as exc:  # noqa: BLE001 - a bug in one session must not end the others; it is logged and counted
                self._metrics.count("faults_total")
                event("fault_in_session", session=mark_of(self.key), request=type(message).__name__, error=type(exc).__name__)
                self._send(Failed(message.request, "EngineError", "The server failed at this request. Its log has the details."))
            self._metrics.count("request_seconds_total", time.monotonic() - began, kind=type(message).__name__)
            self._at = None
            self.asked_at = time.monotonic()
        self._seat.close()
        with self._lock:
            for upload in self._held():
                upload.drop()
            self._volumes.clear()
            self._uploads.clear()

    def _open(self, message: UploadVolume, upload: Upload, cancel: CancelToken) -> None:
        while not upload.is_whole(0.2):
            if cancel.cancelled:  # the chunks that came stay, for another try
                raise Cancelled("The upload was stopped.")
            if time.monotonic() - upload.moved_at > self._limits.stalled_upload_seconds:
                raise InputError(f"No voxels came for {self._limits.stalled_upload_seconds:.0f} s.", "Send the volume again.")
        self._seat.open_volume(GrayVolume(message.volume, upload.array_kji(), message.ijk_to_ras, message.axis))
        with self._lock:
            before = self._volumes.get(message.volume)
            self._volumes[message.volume] = upload
            self._uploads = {request: one for request, one in self._uploads.items() if one is not upload or request in self._asked}
            self._uploads.pop(message.request, None)
            if before is not None:
                self._drop_unless_held(before)
        self._send(Finished(message.request))

    def _close(self, volume: str) -> None:
        with self._lock:
            upload = self._volumes.pop(volume, None)
            if upload is not None:
                self._drop_unless_held(upload)

    def _drop_unless_held(self, upload: Upload) -> None:
        if all(one is not upload for one in self._held()):
            upload.drop()

    def _forget_requests(self) -> None:
        """Whatever was asked is cancelled, and will be asked again by whoever still wants it."""
        with self._lock:
            for asked in self._asked.values():
                asked.cancel.cancel()
            self._asked = {}

    def _send(self, message: Message) -> None:
        """A reply from this session's thread; it waits where the client does not read.

        A client that has come back may use the number of a request that broke: replies to the old one are not for it.
        """
        at = self._at
        assert at is not None
        if isinstance(message, (Finished, Failed)):
            outcome = message.kind if isinstance(message, Failed) else "done"
            self._metrics.count("requests_total", kind=type(at.message).__name__, outcome=outcome)
            if isinstance(message, Failed) and message.problem.startswith(_A_FAULT):
                self._metrics.count("faults_total")
        elif isinstance(message, SliceDone):
            self._metrics.count("slices_total")
        with self._lock:
            wanted = self._asked.get(message.request) is at
            outbox = self._outbox
            if wanted and isinstance(message, (Finished, Failed)):
                del self._asked[message.request]
        if wanted and outbox is not None:
            outbox.put(to_text(message))

    def _reply(self, message: Message) -> None:
        """A reply from the loop's thread, which must not wait."""
        outbox = self._outbox
        if outbox is not None:
            outbox.put(to_text(message), patient=False)
