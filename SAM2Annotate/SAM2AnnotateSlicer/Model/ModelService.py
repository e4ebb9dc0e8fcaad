"""ModelService: one model, loaded once, asked for slices without ever blocking. Imports qt and the library's worker.

Requests are answered one at a time, in order; a preview that is asked for again replaces the one that waits. What a request needs (a
process, the model, what was learned, its volumes) is seen to first. When the process dies, the request that it was at fails, and the next
one starts another. Requests of the background come last, and give way: one that runs when something else is asked for is stopped, and begun
again when there is nothing else to do; encoded slices are kept meanwhile, so it soon is where it was.
"""

from __future__ import annotations

import logging
import statistics
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import qt

from SAM2AnnotateLib.errors import Cancelled, OutputError, SAM2AnnotateError, WorkerError
from SAM2AnnotateLib.geometry import Box2D, Extent
from SAM2AnnotateLib.progress import Progress
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.propagation import RegionPolicy, SliceResult
from SAM2AnnotateLib.review.session import DueWork
from SAM2AnnotateLib.worker.messages import Connection, Failed, Finished, Message, ModelLoaded, Progressed, Ready, SliceDone

from ..Event import Event
from ..Words import sentence
from .LearnedModels import LearnedModel
from .Patience import Patience
from .Requests import ModelChoice, OpenedVolume, Request
from .ServerSettings import Server
from .WorkerProcess import WorkerProcess

# A worker that does not stop within this time of being asked to is ended; time in which Slicer itself was busy does not count.
_CANCEL_MILLISECONDS = 1500
_CANCEL_LOOKS = 5
_REMEMBERED_TIMES = 60
_TEXTS = {
    "preview": "Previewing",
    "propagate": "Propagating",
    "open": "Opening the volume",
    "learned": "Taking over what was learned",
    "learn": "Learning",
    "object": "Looking for the object",
    "extent": "Looking for first and last slice",
}
_STEPS = ("load", "open", "learned")  # towards what was asked for


class ModelService:
    """The model, from the panel's side.

    Args:
        logFolder: folder of the worker's log file.
        command: see `WorkerProcess`; for tests.
    """

    def __init__(self, logFolder: str | Path, command=None):
        self.stateChanged = Event()  # (text for the user, busy)
        self.modelLoaded = Event()  # (what `SegmentationEngine.describe` says)
        self.noticed = Event()  # (text for the user) something befell the work that it goes on from by itself
        self._process = WorkerProcess(self._onMessage, self._onEnd, Path(logFolder) / "SAM2Annotate-worker.log", command)
        self._choice = ModelChoice()
        self._server: Server | None = None  # that the process speaks to
        self._connection: Connection | None = None  # how it stands with it, while there is something to say
        self._loaded: ModelChoice | None = None
        self._description: dict | None = None
        self._ready = False
        self._waiting: deque[Request] = deque()
        self._current: Request | None = None
        self._prefetching: Request | None = None
        self._learned: str | None = ""  # hash of what the model answers with; None if nobody knows
        self._open: set[str] = set()
        self._laying: tuple[OpenedVolume, Iterator[Progress]] | None = None
        self._laid: dict[str, None] = {}
        self._times: deque[float] = deque(maxlen=_REMEMBERED_TIMES)
        self._layTimer = self._timer(self._layNext, 0)
        self._cancelPatience = Patience(_CANCEL_MILLISECONDS, _CANCEL_LOOKS, self._cancelTooLate)
        self._closed = False

    # -- what it is ---------------------------------------------------------------------------------------------------------------

    @property
    def choice(self) -> ModelChoice:
        """The model that requests are answered by."""
        return self._choice

    @property
    def description(self) -> dict | None:
        """What the loaded model says of itself; None before it is loaded."""
        return self._description

    @property
    def closed(self) -> bool:
        """Whether nothing is answered any more."""
        return self._closed

    @property
    def busy(self) -> bool:
        """Whether a request runs or waits; prefetching does not count, nor does the background."""
        return any(not one.ofBackground for one in (*self._waiting, *([self._current] if self._current is not None else [])))

    @property
    def secondsPerSlice(self) -> float | None:
        """Median of the latest slices; None before the first."""
        return statistics.median(self._times) if self._times else None

    @property
    def logFile(self) -> Path:
        """The worker's log."""
        return self._process.logFile

    @property
    def processId(self) -> int | None:
        """Of the worker, for tests that kill it; None if there is none."""
        return self._processId if self._process.running and self._ready else None

    def use(self, choice: ModelChoice) -> None:
        """Answer requests with another model from now on; it is loaded with the next request."""
        if choice != self._choice:
            self._choice = choice
            self._times.clear()

    # -- requests --------------------------------------------------------------------------------------------------------------------

    def warmUp(self) -> None:
        """Start the process and load the model now, so that the first preview does not wait for it."""
        self._submit(Request("load", None, lambda: 0))

    def preview(self, opened: OpenedVolume, position: int, prompt: SlicePrompt, policy: RegionPolicy, crop: Box2D | None = None, **then):
        """Ask for one slice from its prompt alone; a preview of the same volume that still waits is dropped."""
        client = self._process.client
        for waiting in [one for one in self._waiting if one.kind == "preview"]:
            self._waiting.remove(waiting)
            waiting.onFailed(Cancelled("A newer preview was asked for."))
        ask = lambda: client.predict_slice(opened.key, position, prompt, policy, crop)  # noqa: E731 - asked when its turn comes
        return self._submit(Request("preview", opened, ask, **then))

    def propagate(self, opened: OpenedVolume, work: DueWork, policy: RegionPolicy, **then) -> Request:
        """Ask for the slices that are due."""
        return self._submit(Request("propagate", opened, lambda: self._process.client.propagate(opened.key, work, policy), **then))

    def proposeSlices(self, opened: OpenedVolume, work: DueWork, policy: RegionPolicy, **then) -> Request:
        """Ask for the slices that are due, as what was learned (`learned`) proposes them best."""
        return self._submit(Request("propagate", opened, lambda: self._process.client.propose_slices(opened.key, work, policy), **then))

    def learn(
        self,
        lessons: Sequence[tuple[OpenedVolume, int, np.ndarray, Extent, bool]],
        policy: RegionPolicy,
        objectName: str,
        options: dict,
        start: LearnedModel | None = None,
        **then,
    ) -> Request:
        """Learn an object; `onReply` hears what it brought.

        Args:
            lessons: (volume, position, mask of the slice, the object's extent, whether a person drew it); an empty mask teaches absence.
            options: ``terminology``, ``seconds``, ``steps``, ``seed`` of `WorkerClient.learn`.
            start: what was learned of the earlier volumes; the lessons of the newest one come last then.
        """
        told = [(opened.key, *rest) for opened, *rest in lessons]

        def ask() -> int:
            begun = b"" if start is None else start.data()  # may refuse
            return self._process.client.learn(told, policy, object_name=objectName, start=begun, **options)

        volumes = tuple(dict.fromkeys(opened for opened, *_rest in lessons))
        return self._submit(Request("learn", None, ask, beside=volumes, **then))

    def proposeObject(self, opened: OpenedVolume, prototypes: Sequence[bytes], adapter: bytes, policy: RegionPolicy, **then) -> Request:
        """Look for an object in a volume; arguments as `WorkerClient.propose_object`; `onReply` hears what was found."""
        ask = lambda: self._process.client.propose_object(opened.key, prototypes, adapter, policy)  # noqa: E731 - asked when its turn comes
        return self._submit(Request("object", opened, ask, **then))

    def proposeExtent(self, opened: OpenedVolume, position: int, prompt: SlicePrompt, policy: RegionPolicy, **then) -> Request:
        """Look for first and last slice of what is prompted on one slice; `onReply` hears of them."""
        ask = lambda: self._process.client.propose_extent(opened.key, position, prompt, policy)  # noqa: E731 - asked when its turn comes
        return self._submit(Request("extent", opened, ask, **then))

    def prefetch(self, opened: OpenedVolume, center: int, extent: Extent, crop: Box2D) -> None:
        """Let the model encode slices while nothing else is asked for."""
        if self._current is None and not self._waiting:  # the background has better use of the time
            self._submit(Request("prefetch", opened, lambda: self._process.client.prefetch(opened.key, center, extent, crop)))

    def cancel(self, request: Request) -> None:
        """Stop a request; it fails with `Cancelled` within two seconds, or its process is ended and it fails all the same."""
        if request.cancelled:
            return
        request.cancelled = True
        if request in self._waiting:
            self._waiting.remove(request)
            request.onFailed(Cancelled("Stopped before it began."))
            self._tell()
        elif request is self._current:
            if request.number and self._process.running:
                self._process.client.cancel(request.number)
            self._cancelPatience.begin()
            self._tell()

    def cancelAll(self) -> None:
        """Stop everything of the panel's that runs or waits. A model that is being loaded goes on loading: the next request wants it."""
        for request in [*self._waiting, *([self._current] if self._current is not None else [])]:
            if request.kind not in _STEPS and not request.ofScript and not request.ofBackground:
                self.cancel(request)

    def forgetVolume(self, volumeId: str, but: str = "") -> None:
        """Let go of a volume's voxels, here and in the worker.

        Args:
            volumeId: what file keys of the volume begin with, before an ``@``.
            but: a file key to keep.
        """
        if self._laying is not None and self._laying[0].fileKey.startswith(volumeId + "@") and self._laying[0].fileKey != but:
            self._laying = None
        for fileKey in [key for key in self._laid if key.startswith(volumeId + "@") and key != but]:
            for key in [key for key in self._open if key.startswith(fileKey + "|")]:
                self._open.discard(key)
                if self._process.running and self._ready:
                    self._process.client.close_volume(key)
            del self._laid[fileKey]
            self._process.client.forget_voxels(fileKey)

    def forgetVolumes(self, isThere: Callable[[str], bool] = lambda _volumeId: False) -> None:
        """Let go of the voxels of all volumes, but for those that are still there."""
        for volumeId in {key.split("@")[0] for key in self._laid}:
            if not isThere(volumeId):
                self.forgetVolume(volumeId)

    def close(self) -> None:
        """End the process; nothing is answered any more."""
        self._closed = True
        self._layTimer.stop()
        self._cancelPatience.stop()
        self._waiting.clear()
        self._current = self._laying = None
        self._process.close()

    # -- one step after the other ------------------------------------------------------------------------------------------------------

    def _submit(self, request: Request) -> Request:
        self._enqueue(request)
        current = self._current
        if current is not None and request.wait < current.wait and not current.cancelled and not current.givesWay:
            current.givesWay = True
            self._process.client.cancel(current.number)
            self._cancelPatience.begin()
        self._advance()
        return request

    def _enqueue(self, request: Request) -> None:
        """Let a request wait for its turn, behind those that are as urgent."""
        self._waiting.insert(sum(one.wait <= request.wait for one in self._waiting), request)

    def _goesOnLater(self, request: Request) -> None:
        """A request gave way, and is the next of those that are as urgent."""
        request.givesWay, request.number = False, 0
        self._waiting.insert(sum(one.wait < request.wait for one in self._waiting), request)

    def _advance(self) -> None:
        """Do the next step towards the first request that waits."""
        if self._closed or self._current is not None or not self._waiting or self._laying is not None:
            self._tell()
            return
        request = self._waiting[0]
        server = (request.choice or self._choice).server
        if self._process.running and server != self._server:
            self._process.end()
            self._forgetProcess()
        try:
            self._process.start(server)
        except WorkerError as error:
            self._failAll(error, request.choice or self._choice)
            self._advance()  # what another model is to answer need not wait for this one
            return
        self._server = server
        if not self._ready:
            pass  # the process says when it is
        elif self._loaded != (request.choice or self._choice):
            choice = request.choice or self._choice
            self._run(Request("load", None, lambda: self._askToLoad(choice), onFailed=lambda error: self._failAll(error, choice)))
        elif request.kind == "load":
            self._waiting.popleft()
            request.onDone()
            self._advance()
            return
        elif (volume := self._toLayDown(request)) is not None:
            self.forgetVolume(volume.fileKey.split("@")[0], but=volume.fileKey)  # as it was before its voxels changed
            self._laying = (volume, self._process.client.lay_down(volume.fileKey, volume.volume))
            self._layTimer.start()
        elif (opened := next((one for one in request.volumes if one.key not in self._open), None)) is not None:
            onDone = lambda: self._open.add(opened.key)  # noqa: E731 - the one that is opened now
            self._run(Request("open", None, lambda: self._askToOpen(opened), onDone=onDone, onFailed=self._failAll))
        elif request.kind != "learn" and self._learned != (request.learned.sha256 if request.learned is not None else ""):
            self._useLearned(request)
        else:
            self._run(self._waiting.popleft())
        self._tell()

    def _run(self, request: Request) -> None:
        try:
            request.number = request.ask()
        except SAM2AnnotateError as error:
            request.onFailed(error)
            self._advance()  # the others must not wait for an answer that does not come
            return
        if request.kind == "prefetch":
            self._prefetching = request  # any later request ends it
        else:
            self._current = request

    def _toLayDown(self, request: Request) -> OpenedVolume | None:
        """A volume of a request whose voxels lie nowhere yet; None if there is none."""
        return next((one for one in request.volumes if not one.arrayFile and one.fileKey not in self._laid), None)

    def _askToOpen(self, opened: OpenedVolume) -> int:
        client = self._process.client
        if opened.arrayFile:
            return client.open_file(opened.key, opened.arrayFile, opened.volume.grid.ijk_to_ras, opened.axis, opened.mapping)
        return client.open_volume(opened.key, opened.volume, opened.axis, opened.mapping, opened.fileKey)

    def closeFile(self, opened: OpenedVolume) -> None:
        """Let go of a volume whose voxels lie in the caller's file."""
        if opened.key in self._open:
            self._open.discard(opened.key)
            if self._process.running and self._ready:
                self._process.client.close_volume(opened.key)

    def _useLearned(self, request: Request) -> None:
        """Let the model answer with what a request wants; if it cannot, that request fails, and the others go on."""
        learned = request.learned
        self._learned = None

        def done() -> None:
            self._learned = "" if learned is None else learned.sha256

        def failed(error: SAM2AnnotateError) -> None:
            if request in self._waiting:
                self._waiting.remove(request)
                request.onFailed(error)

        ask = lambda: self._process.client.use_adapter(None if learned is None else learned.data())  # noqa: E731 - may refuse
        self._run(Request("learned", None, ask, onDone=done, onFailed=failed))

    def _askToLoad(self, choice: ModelChoice) -> int:
        self._loaded, self._description, self._loading = None, None, choice
        self._learned = ""
        return self._process.client.load_model(choice.name, device=choice.device, precision=choice.precision)

    def _layNext(self) -> None:
        if self._laying is None:
            return
        opened, writing = self._laying
        try:
            next(writing)
        except StopIteration:
            self._laying = None
            self._laid[opened.fileKey] = None
            self._advance()
        except OutputError as error:
            self._laying = None
            self._failAll(error)
        else:
            self._layTimer.start()

    # -- what comes back ----------------------------------------------------------------------------------------------------------------

    def _onMessage(self, message: Message) -> None:
        if isinstance(message, Ready):
            self._ready, self._processId = True, message.process_id
            self._advance()
            return
        if self._prefetching is not None and message.request == self._prefetching.number and isinstance(message, (Finished, Failed)):
            self._prefetching = None
        if isinstance(message, Connection):
            self._onConnection(message)
            return
        current = self._current
        if current is None or message.request != current.number:
            return
        if isinstance(message, SliceDone):
            if not current.cancelled:
                result = message.result()
                if self._loaded == self._choice and (not result.prompted or message.total == 1):
                    self._times.append(result.seconds)
                self._show(current, result, message)
        elif isinstance(message, ModelLoaded):
            self._loaded, self._description = self._loading, message.engine
            self.modelLoaded.emit(message.engine)
        elif isinstance(message, Progressed):
            if not current.cancelled:
                current.onProgress(Progress(message.done, message.total, message.what))
        elif isinstance(message, (Finished, Failed)):
            self._current = self._connection = None
            self._cancelPatience.stop()
            if isinstance(message, Failed) and current.givesWay and not current.cancelled and isinstance(message.error(), Cancelled):
                self._goesOnLater(current)
            elif isinstance(message, Failed):
                current.onFailed(message.error())
            elif current.cancelled:
                current.onFailed(Cancelled("Stopped."))
            else:
                current.onDone()
            self._advance()
        elif not current.cancelled:
            current.onReply(message)

    def _onConnection(self, message: Connection) -> None:
        self._connection = message if message.state != "ready" else None
        if message.state == "lost":
            self.noticed.emit(f"{message.text}.")
        self._tell()

    def _show(self, request: Request, result: SliceResult, message: SliceDone) -> None:
        """Hand a slice over; if it cannot be shown, the request ends with that error instead of leaving everybody waiting."""
        try:
            request.onSlice(result, message.done, message.total)
        except Exception as error:
            if not isinstance(error, SAM2AnnotateError):
                logging.exception("SAM2Annotate: a slice could not be shown")
            known = isinstance(error, SAM2AnnotateError)
            told = error if known else WorkerError(f"A slice could not be shown: {sentence(str(error))} Slicer's log says more.")
            ended, request.onFailed = request.onFailed, lambda _: None
            self.cancel(request)
            ended(told)

    def _onEnd(self, error: WorkerError) -> None:
        wasReady, current = self._ready, self._current
        self._forgetProcess()
        if current is not None:
            current.onFailed(error)
        if not wasReady or current is None or current.kind in ("load", "open"):  # it would only die again
            self._failAll(error)
        self._advance()

    def _cancelTooLate(self) -> None:
        current = self._current
        self._process.readAll()
        if current is None or self._current is not current:  # its answer had only not been read yet
            return
        self._process.kill()
        self._forgetProcess()
        if current.givesWay and not current.cancelled:
            self._goesOnLater(current)
            self._advance()
            return
        current.onFailed(Cancelled("Stopped. The model did not answer, so its process was ended; the next request starts it again."))
        self._advance()

    def _forgetProcess(self) -> None:
        self._ready, self._loaded, self._description = False, None, None
        self._learned = ""
        self._current = self._prefetching = self._connection = None
        self._open.clear()
        self._cancelPatience.stop()

    def _failAll(self, error: SAM2AnnotateError, choice: ModelChoice | None = None) -> None:
        """Fail what waits; with a choice only what that model was to answer."""
        waiting = [one for one in self._waiting if choice is None or (one.choice or self._choice) == choice]
        self._waiting = deque(one for one in self._waiting if one not in waiting)
        for request in waiting:
            request.onFailed(error)
        self._tell()

    def _tell(self) -> None:
        if self._laying is not None:
            text = "Handing the volume to the model"
        elif self._waiting and not self._ready:
            text = "Starting the model's process"
        elif self._connection is not None and self._current is not None and not self._current.cancelled:
            text = self._connection.text
        elif self._current is not None and self._current.kind == "load":
            text = f"Loading the model '{self._loading.name}'"
        elif self._current is not None and self._current.cancelled:
            text = "Stopping"
        elif self._current is not None:
            text = _TEXTS.get(self._current.kind, "Working")
        else:
            text = "Ready" if self._loaded is not None else "Not started"
        self.stateChanged.emit(text, self.busy)

    @staticmethod
    def _timer(slot: Callable[[], None], milliseconds: int):
        timer = qt.QTimer()
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.connect("timeout()", slot)
        return timer
