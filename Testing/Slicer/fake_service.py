"""FakeService: the public interface of ModelService, answered at once and in this process by the scripted model. Imports the library."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.engine.adapter import Adapter
from SAM2AnnotateLib.errors import Cancelled, SAM2AnnotateError
from SAM2AnnotateLib.geometry import SliceStack
from SAM2AnnotateLib.progress import CancelToken, Progress
from SAM2AnnotateLib.prompts.mask_runs import mask_to_runs
from SAM2AnnotateLib.propagation import SliceEncoder, propagate
from SAM2AnnotateLib.propagation.propagate import predict_slice
from SAM2AnnotateLib.worker.learning import found_extent, found_object, learned
from SAM2AnnotateLib.worker.messages import Learn, Progressed, ProposeExtent, ProposeObject, SliceDone, pack
from SAM2AnnotateSlicer.Event import Event
from SAM2AnnotateSlicer.Model.ModelService import ModelChoice, Request


class FakeService:
    """A model that answers before the call returns.

    Attributes:
        held: if True, propagations wait: `letThrough` gives their slices one by one, so that a test can look at the panel meanwhile.
        slowToStop: if True, what is cancelled goes on until `stop`, as a model in the midst of a slice does.
        fault: if not None, the next request fails with it.
        asked: the kinds of all requests.
        findsEnds: whether first and last slice are looked for.
        lessons: (position, mask) that were learned from last.
        drawn: positions of those that a person drew, or marked as beyond the object.
        learnedFrom: keys of the volumes that were learned from last, in their order.
        starts: what each learning went on from, None for nothing.
        learnedAskedFor: what slices were to be proposed with, in the order of asking.
        opened: volumes of propagations by the ID of their node, as long as nobody let go of them.
    """

    def __init__(self, logFolder: Path, secondsPerSlice: float | None = None):
        self.stateChanged, self.modelLoaded, self.noticed = Event(), Event(), Event()
        self.choice = ModelChoice()
        self.description: dict | None = None
        self.secondsPerSlice = secondsPerSlice
        self.logFile = Path(logFolder) / "worker.log"
        self.processId = None
        self.held, self.closed, self.slowToStop = False, False, False
        self.fault: SAM2AnnotateError | None = None
        self.asked: list[str] = []
        self.opened: dict[str, object] = {}
        self.findsEnds = False
        self.lessons: list[tuple] = []
        self.drawn: set[int] = set()
        self.learnedFrom: list[str] = []
        self.starts: list = []
        self.learnedAskedFor: list = []
        self._engine = ScriptedEngine()
        self._running: tuple[Request, Iterator] | None = None

    @property
    def busy(self) -> bool:
        """Whether a propagation is held."""
        return self._running is not None

    def use(self, choice: ModelChoice) -> None:
        """Remember the choice."""
        self.choice = choice

    def warmUp(self) -> None:
        """Load."""
        self._load()

    def preview(self, opened, position, prompt, policy, crop=None, **then) -> Request:
        """One slice, at once."""
        request = Request("preview", opened, lambda: 0, **then)
        if self._begin(request):
            result = predict_slice(self._encoder(opened, request), position, prompt, policy, crop)
            request.onSlice(result, 1, 1)
            request.onDone()
        return request

    def propagate(self, opened, work, policy, **then) -> Request:
        """All slices that are due: at once, or one by one with `letThrough`."""
        self.opened[opened.fileKey.split("@")[0]] = opened
        request = Request("propagate", opened, lambda: 0, **then)
        if self._begin(request):
            progress = []
            results = propagate(
                self._encoder(opened, request),
                work.prompts,
                work.extent,
                policy,
                locked=work.locked,
                corrected=work.corrected,
                changed=work.changed,
                due=work.due,
                proposals=work.proposals,
                progress=progress.append,
            )
            self._running = (request, ((result, progress[-1]) for result in results))
            self.stateChanged.emit("Propagating", True)
            if not self.held:
                self.letThrough(None)
        return request

    def proposeSlices(self, opened, work, policy, **then) -> Request:
        """As `propagate`, with what was learned."""
        self.learnedAskedFor.append(then["learned"])
        return self.propagate(opened, work, policy, **then)

    def learn(self, lessons, policy, objectName, options, start=None, **then) -> Request:
        """Learn by the scripted rule; waits if held."""
        self.lessons = [(position, mask.copy()) for _opened, position, mask, *_rest in lessons]
        self.learnedFrom = list(dict.fromkeys(opened.key for opened, *_rest in lessons))
        self.starts.append(start)
        self.drawn = {position for _opened, position, _mask, _extent, drawn in lessons if drawn}
        told = [
            {"volume": opened.key, "position": position, "mask": mask_to_runs(mask), "extent": [extent.first, extent.last], "drawn": drawn}
            for opened, position, mask, extent, drawn in lessons
        ]
        byKey = {opened.key: opened for opened, *_rest in lessons}
        encoders: dict = {}

        def encoderOf(key):
            return encoders.setdefault(key, self._encoder(byKey[key]))

        steps = {name: value for name, value in options.items() if name != "seconds"}
        begun = b"" if start is None else start.data()
        message = Learn(0, told, objectName, roi=str(policy), start=pack([begun])[0], **({"terminology": "", "steps": 12} | steps))
        return self._answer(Request("learn", None, lambda: 0, **then), lambda cancel: learned(message, encoderOf, cancel))

    def proposeObject(self, opened, prototypes, adapter, policy, **then) -> Request:
        """Look for the object by the scripted rule; waits if held."""
        message = ProposeObject(0, opened.key, pack(prototypes), str(policy), pack([adapter])[0])
        request = Request("object", opened, lambda: 0, **then)
        return self._answer(request, lambda cancel: found_object(message, self._encoder(opened), cancel))

    def proposeExtent(self, opened, position, prompt, policy, **then) -> Request:
        """Look for the ends by the scripted rule; waits if held."""
        message = ProposeExtent(0, opened.key, position, prompt.to_json(), str(policy))
        request = Request("extent", opened, lambda: 0, **then)
        if not self.findsEnds:
            self.asked.append("extent")
            request.onFailed(Cancelled("Nobody looks for ends in this test."))
            return request
        return self._answer(request, lambda cancel: found_extent(message, self._encoder(opened, request), cancel))

    def closeFile(self, opened) -> None:
        """Nothing is kept of a file."""

    def _answer(self, request: Request, replies) -> Request:
        """Give the replies of a request, at once or, if held, with `letThrough`."""
        if self._begin(request):
            self._running = (request, ((reply, None) for reply in replies(CancelToken())))
            self.stateChanged.emit(request.kind, True)
            if not self.held:
                self.letThrough(None)
        return request

    def prefetch(self, opened, center, extent, crop) -> None:
        """Nothing to be done ahead."""
        self.asked.append("prefetch")

    def cancel(self, request: Request) -> None:
        """Stop the propagation that is held."""
        if self._running is not None and self._running[0] is request:
            request.cancelled = True
            if not self.slowToStop:
                self.stop()

    def stop(self) -> None:
        """End what was cancelled."""
        request, self._running = self._running[0], None
        request.onFailed(Cancelled("Stopped."))
        self.stateChanged.emit("Ready", False)

    def cancelAll(self) -> None:
        """Stop everything of the panel's."""
        if self._running is not None and not self._running[0].ofBackground:
            self.cancel(self._running[0])

    def forgetVolume(self, volumeId: str, but: str = "") -> None:
        """Nothing is kept of a volume."""

    def forgetVolumes(self, isThere=lambda _volumeId: False) -> None:
        """Nothing is kept of any volume but which it was."""
        self.opened = {volumeId: opened for volumeId, opened in self.opened.items() if isThere(volumeId)}

    def close(self) -> None:
        """Answer nothing any more."""
        self._running, self.closed = None, True

    def letThrough(self, count: int | None) -> None:
        """Give that many slices of the propagation that is held; None: all."""
        request, results = self._running
        answers = itertools.islice(results, count)
        while True:
            try:
                result, progress = next(answers)
            except StopIteration:
                break
            except SAM2AnnotateError as error:
                self._running = None
                request.onFailed(error)
                return
            if isinstance(result, Progressed):
                request.onProgress(Progress(result.done, result.total, result.what))
            elif isinstance(result, SliceDone):
                request.onSlice(result.result(), result.done, result.total)
            elif progress is None:
                request.onReply(result)
            else:
                request.onSlice(result, progress.done, progress.total)
            if request.cancelled or self._running is None or self._running[0] is not request:
                return
        if count is None:
            self._running = None
            request.onDone()
            self.stateChanged.emit("Ready", False)

    def _begin(self, request: Request) -> bool:
        self.asked.append(request.kind)
        error, self.fault = self.fault, None
        if error is not None:
            request.onFailed(error)
            return False
        self._load()
        return True

    def _load(self) -> None:
        if self.description is None:
            self.description = self._engine.describe()
            self.modelLoaded.emit(self.description)
            self.stateChanged.emit("Ready", False)

    def _encoder(self, opened, request: Request | None = None) -> SliceEncoder:
        learnt = request.learned if request is not None else None
        engine = self._engine if learnt is None else self._engine.with_adapter(Adapter.from_bytes(learnt.data()))
        self.description = engine.describe()
        return SliceEncoder(engine, opened.volume, SliceStack.along(opened.volume.grid, opened.axis), opened.mapping)
