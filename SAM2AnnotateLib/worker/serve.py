"""The worker's side: reads requests, runs the model, replies. Imports engine, propagation and the messages.

Three threads: one reads standard input and takes `Cancel` at once, one sends heartbeats, the main one computes. Standard output carries the
protocol alone: whatever else a library prints goes to standard error, which is the log.
"""

from __future__ import annotations

import functools
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from ..engine import EmbeddingStore, SegmentationEngine, load_engine
from ..engine.adapter import Adapter
from ..errors import Cancelled, SAM2AnnotateError, WorkerError
from ..geometry import Box2D, Extent, SliceStack, Volume, VolumeGrid
from ..intensity import IntensityMapping
from ..processors import wait_patiently
from ..progress import CancelToken, Progress
from ..prompts import SlicePrompt
from ..propagation import RegionPolicy, SliceEncoder, SliceResult, propagate
from ..propagation.propagate import predict_slice
from .learning import found_extent, found_object, learned
from .messages import (
    Cancel,
    CloseVolume,
    Failed,
    Finished,
    Heartbeat,
    Learn,
    LoadModel,
    Message,
    ModelLoaded,
    OpenVolume,
    PredictSlice,
    Prefetch,
    Propagate,
    ProposeExtent,
    ProposeObject,
    Ready,
    Shutdown,
    SliceDone,
    UseAdapter,
    from_line,
    prompts_from_json,
    reading,
    to_line,
    unpack,
)

HEARTBEAT_SECONDS = 1.0
# Slicer draws the scene while the model works.
_load = functools.partial(load_engine, spare_cores=1)
_log = logging.getLogger(__name__)


class Worker:
    """Answers one request after the other. Knows nothing of processes: `send` takes replies, `handle` requests.

    Args:
        send: takes each reply, from any thread.
        load: makes an engine, as `load_engine` does.
        is_waiting: whether another request waits; ends prefetching.
        store: where embeddings are kept, whatever limit a request names; by default a store of its own with the limit that it names.
    """

    def __init__(
        self,
        send: Callable[[Message], None],
        load: Callable[..., SegmentationEngine] = _load,
        is_waiting: Callable[[], bool] = lambda: False,
        store: EmbeddingStore | None = None,
    ):
        self._send, self._load, self._is_waiting = send, load, is_waiting
        self._engine: SegmentationEngine | None = None
        self._own_store = store is None
        self._store = EmbeddingStore() if store is None else store
        self._volumes: dict[str, tuple[Volume, SliceStack, IntensityMapping]] = {}
        self._encoders: dict[str, SliceEncoder] = {}
        self._latest = Progress(0, None, "slices")

    def handle(self, message: Message, cancel: CancelToken) -> None:
        """Do one request; every way out sends one `Finished` or `Failed`."""
        try:
            cancel.raise_if_cancelled()
            if isinstance(message, LoadModel):
                self._load_model(message)
            elif isinstance(message, OpenVolume):
                self._open_volume(message)
            elif isinstance(message, CloseVolume):
                self._volumes.pop(message.volume, None)
                self._encoders.pop(message.volume, None)
            elif isinstance(message, PredictSlice):
                self._predict_slice(message)
            elif isinstance(message, Propagate):
                self._propagate(message, cancel)
            elif isinstance(message, UseAdapter):
                self._use_adapter(message)
            elif isinstance(message, Learn):
                self._send_all(learned(message, self._encoder, cancel))
            elif isinstance(message, ProposeObject):
                self._send_all(found_object(message, self._encoder(message.volume), cancel))
            elif isinstance(message, ProposeExtent):
                self._send_all(found_extent(message, self._encoder(message.volume), cancel))
            elif isinstance(message, Prefetch):
                self._prefetch(message, cancel)
            else:
                raise WorkerError(f"{type(message).__name__} is no request.")
        except SAM2AnnotateError as exc:
            self._send(Failed(message.request, type(exc).__name__, exc.problem, exc.remedy))
        except Exception as exc:  # noqa: BLE001 - a bug in one request must not end the session; the log has the traceback
            _log.exception("Request %d (%s) failed", message.request, type(message).__name__)  # what it holds is of a patient
            self._send(
                Failed(message.request, type(exc).__name__, f"Unexpected error in the model's process: {exc}. The log has the details.")
            )
        else:
            self._send(Finished(message.request))

    def _load_model(self, message: LoadModel) -> None:
        self._engine = None  # before the new one comes: two large models may not fit
        self._encoders.clear()
        self._store.clear()
        self._engine = self._load(
            message.checkpoint,
            architecture=message.architecture,
            device=message.device,
            precision=message.precision,
            image_size=message.image_size,
        )
        if self._own_store:
            self._store = EmbeddingStore(limit_bytes=message.cache_mb * 1024**2)
        self._send(ModelLoaded(message.request, self._engine.describe()))

    def _open_volume(self, message: OpenVolume) -> None:
        try:
            array = np.load(Path(message.array_file), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as exc:
            raise WorkerError(f"The volume's file '{message.array_file}' cannot be read: {exc}.") from exc
        self.take_volume(message.volume, array, message.ijk_to_ras, message.axis, message.lower, message.upper)

    def take_volume(self, key: str, array_kji: np.ndarray, ijk_to_ras: list[list[float]], axis: str, lower: float, upper: float) -> None:
        """Open a volume whose voxels are here already; what `OpenVolume` does with those of a file.

        Raises:
            InputError: if grid, axis or window are none.
        """
        with reading("The volume"):
            grid = VolumeGrid(array_kji.shape, np.array(ijk_to_ras, dtype=np.float64))
            mapping = IntensityMapping(lower, upper, "explicit", "chosen by the client")
        self._volumes[key] = (Volume(grid, array_kji), SliceStack.along(grid, axis), mapping)
        self._encoders.pop(key, None)

    def _encoder(self, volume: str) -> SliceEncoder:
        if volume not in self._encoders:
            if self._engine is None:
                raise WorkerError("No model is loaded.")
            if volume not in self._volumes:
                raise WorkerError("The volume is not open in the model's process.")
            self._encoders[volume] = SliceEncoder(self._engine, *self._volumes[volume], store=self._store)
        return self._encoders[volume]

    def _predict_slice(self, message: PredictSlice) -> None:
        with reading("The request"):
            crop = None if message.crop is None else Box2D(*message.crop)
            policy, prompt = RegionPolicy.parse(message.roi), SlicePrompt.from_json(message.prompt)
        result = predict_slice(self._encoder(message.volume), message.position, prompt, policy, crop)
        self._send(SliceDone.of(message.request, result, 1, 1))

    def _propagate(self, message: Propagate, cancel: CancelToken) -> None:
        with reading("The request"):
            prompts, extent, policy = prompts_from_json(message.prompts), Extent(*message.extent), RegionPolicy.parse(message.roi)
            proposals = {result.position: result for result in map(SliceResult.from_json, message.proposals)}
        results = propagate(
            self._encoder(message.volume),
            prompts,
            extent,
            policy,
            locked=message.locked,
            corrected=message.corrected,
            changed=message.changed,
            due=message.due,
            proposals=proposals,
            cancel=cancel,
            progress=self._note,
        )
        self._send_slices(message, results)

    def _note(self, progress: Progress) -> None:
        self._latest = progress

    def _send_slices(self, message: Message, results: Iterable[SliceResult]) -> None:
        """Send slices as they come, with how many of how many are done."""
        self._latest = Progress(0, None, "slices")
        for result in results:
            self._send(SliceDone.of(message.request, result, self._latest.done, self._latest.total or 0))

    def _send_all(self, replies: Iterable[Message]) -> None:
        for reply in replies:
            self._send(reply)

    def _use_adapter(self, message: UseAdapter) -> None:
        if self._engine is None:
            raise WorkerError("No model is loaded.")
        adapter = Adapter.from_bytes(unpack([message.data])[0]) if message.data else None
        self._engine = self._engine.with_adapter(adapter)
        self._encoders.clear()  # their slices stay in the store: image encoder and memory are as they were
        self._send(ModelLoaded(message.request, self._engine.describe()))

    def _prefetch(self, message: Prefetch, cancel: CancelToken) -> None:
        with reading("The request"):
            extent, crop = Extent(*message.extent), Box2D(*message.crop)
        for _ in self._encoder(message.volume).prefetch(message.center, extent, crop):
            if cancel.cancelled or self._is_waiting():
                return


class Answers(Protocol):
    """What answers requests: `Worker`, or who asks another machine."""

    def handle(self, message: Message, cancel: CancelToken) -> None:
        """Do one request; every way out sends one `Finished` or `Failed`."""


def serve(requests: BinaryIO, replies: BinaryIO, load: Callable[..., SegmentationEngine] = _load) -> None:
    """Serve until `Shutdown` or the end of `requests`, which means that the client is gone."""
    answer(requests, replies, lambda send, is_waiting: Worker(send, load, is_waiting))


def answer(requests: BinaryIO, replies: BinaryIO, make: Callable[[Callable[[Message], None], Callable[[], bool]], Answers]) -> None:
    """As `serve`, whoever answers.

    Args:
        make: makes who answers, from what sends a reply, and what tells whether another request waits.
    """
    waiting: queue.Queue[tuple[Message, CancelToken]] = queue.Queue()
    tokens: dict[int, CancelToken] = {}
    writing, ended, busy = threading.Lock(), threading.Event(), [0]

    def send(message: Message) -> None:
        try:
            with writing:
                replies.write(to_line(message))
                replies.flush()
        except (BrokenPipeError, ValueError):  # the client is gone: there is nobody left to tell
            ended.set()

    def read() -> None:
        for line in requests:
            try:
                message = from_line(line)
            except WorkerError as exc:
                send(Failed(0, "WorkerError", str(exc)))
                continue
            if isinstance(message, Cancel):
                if message.target in tokens:
                    tokens[message.target].cancel()
                continue
            if isinstance(message, Shutdown):
                break
            tokens[message.request] = CancelToken()
            waiting.put((message, tokens[message.request]))
        ended.set()
        for token in list(tokens.values()):
            token.cancel()

    def beat() -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            send(Heartbeat(busy[0]))

    worker = make(send, lambda: not waiting.empty())
    send(Ready(0, os.getpid()))
    for target in (read, beat):
        threading.Thread(target=target, daemon=True).start()
    while not ended.is_set():
        try:
            message, token = waiting.get(timeout=0.2)
        except queue.Empty:
            continue
        busy[0] = message.request
        worker.handle(message, token)
        tokens.pop(message.request, None)
        busy[0] = 0


def main() -> int:
    """Serve standard input and output."""
    wait_patiently()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not enter the protocol
    _log.info("Worker %d started", os.getpid())
    try:
        serve(sys.stdin.buffer, replies)
    except (KeyboardInterrupt, Cancelled):
        return 130
    _log.info("Worker %d ended", os.getpid())
    return 0
