"""Console: annotate and review from Slicer's Python console or a script, without a widget. Imports ModelService, AnnotatedSegment.

The model runs in the panel's process, or in one of its own without a panel, and is loaded once. Every call returns when it is done;
meanwhile the window is drawn, and takes no clicks and keys. Slices are named by their voxel index along the object's axis. A segment that
the panel is at as well is one object to both: the panel shows at once what a script decides, and each can take back what the other did.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import qt
import slicer

from SAM2AnnotateLib.errors import PromptError, SAM2AnnotateError, WorkerError
from SAM2AnnotateLib.geometry import Extent, SliceStack
from SAM2AnnotateLib.intensity import choose_mapping
from SAM2AnnotateLib.progress import Progress
from SAM2AnnotateLib.propagation import RegionPolicy, SliceResult
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.review.doubt import Doubt
from SAM2AnnotateLib.review.doubts import session_doubts

from .ConsoleLearning import LearningByScript
from .Learning.Search import Search
from .Model import SharedService
from .Model.LearnedModels import LearnedModels
from .Model.ModelService import ModelChoice, OpenedVolume
from .Review.AnnotatedSegment import AnnotatedSegment, boxAndExtent, stackOf, tagOf
from .Scene.RoiBox import readRoi
from .Scene.SceneBridge import newSegmentation, volumeFromNode, voxelsKey
from .Scene.SegmentLabelmap import requireLabelmaps

_PAUSE_SECONDS = 0.005  # between two looks at what the model says


class Console:
    """Asks the model and waits for it.

    Args:
        logFolder: folder of the log of the model's process; by default the system's temporary folder. Counts if there is no process yet.
        service: gives the model; by default the application's one.
        learnedModels: what was learned of objects; by default the panel's, in the user's settings.
    """

    def __init__(self, logFolder: str | Path | None = None, service: Callable | None = None, learnedModels: LearnedModels | None = None):
        folder = Path(logFolder if logFolder is not None else tempfile.gettempdir())
        self._learnedModels = learnedModels
        self._service = service if service is not None else lambda: SharedService.theService(folder)

    def annotate(
        self,
        volumeNode,
        box,
        firstSlice: int | None = None,
        lastSlice: int | None = None,
        segmentationNode=None,
        segmentId: str | None = None,
        *,
        centerSlice: int | None = None,
        axis: str = "axial",
        model: str | None = None,
        device: str = "auto",
        window: str = "auto",
        name: str = "Object",
        progress: Callable[[Progress], None] | None = None,
    ) -> ConsoleReview:
        """Carry one box through the slices of an object.

        Args:
            volumeNode: the image.
            box: two corners in voxel indices, in the order of the two axes that are not sliced along (i before j before k), half-open; or
                a vtkMRMLMarkupsROINode, whose depth is the extent then.
            firstSlice, lastSlice: voxel indices along `axis`, both included; needed unless `box` is an ROI.
            segmentationNode: where the segment goes; by default a new node with the volume's geometry.
            segmentId: an existing segment without a review, whose drawn slices count as corrected; by default a new one, called `name`.
            centerSlice: the slice that the box lies on; by default the middle of the extent.
            axis: ``axial``, ``coronal``, ``sagittal``, or an index axis ``i``, ``j``, ``k``.
            model, device: see `load_engine`; by default the panel's, which is the bundled one at first.
            window: see `choose_mapping`.
            progress: told after each slice.

        Raises:
            SAM2AnnotateError: if something does not fit; what is done is kept.
        """
        if segmentationNode is not None:
            requireLabelmaps(segmentationNode)
        volume = volumeFromNode(volumeNode)
        indexAxis = SliceStack.along(volume.grid, axis).index_axis
        stack = stackOf(volumeNode, indexAxis)
        bounds = _bounds(volumeNode, stack, box, firstSlice, lastSlice)
        boxOnSlice, extent = boxAndExtent(stack, bounds)
        low, high = bounds["ijk".index(indexAxis)]
        center = stack.position_of((low + high - 1) // 2 if centerSlice is None else centerSlice)
        if center not in extent:
            raise PromptError(f"The center slice {centerSlice} lies outside of {low}..{high - 1}.")
        values = stack.frame(volume.array_kji, center)[boxOnSlice.slices_rc]
        mapping = choose_mapping(volume, window, values)
        node, newId = _segment(volumeNode, segmentationNode, segmentId, name)
        annotated = AnnotatedSegment.begin(node, newId, volumeNode, indexAxis, center, boxOnSlice, extent)
        annotated.about |= {"mapping": mapping.to_json(), "roi": "auto"}
        annotated.effort.note("box")
        annotated.store()
        review = ConsoleReview(self, annotated, model, device)
        review.propagate(progress)
        return review

    def review(self, segmentationNode, segmentId: str, model: str | None = None, device: str = "auto") -> ConsoleReview:
        """Go on with a segment that was annotated before, here or in the panel.

        Raises:
            PromptError: if the segment keeps no review.
            InputError: if it keeps one that cannot be used.
        """
        annotated = AnnotatedSegment.of(segmentationNode, segmentId)
        if annotated is None:
            raise PromptError(f"The segment '{segmentId}' was not made with SAM2Annotate, so there is no review to go on with.")
        if annotated.noticeEdits():
            keep(annotated)
        return ConsoleReview(self, annotated, model, device)

    def propose(
        self,
        volumeNode,
        prototype: str,
        library: str | Path | None = None,
        segmentationNode=None,
        *,
        model: str | None = None,
        device: str = "auto",
        progress: Callable[[Progress], None] | None = None,
    ) -> ConsoleReview | None:
        """Look for an object that was kept as a prototype, without any prompt; every slice is proposed, none is locked.

        Args:
            volumeNode: the image.
            prototype: name of the object.
            library: folder of the prototypes; by default the user's own.
            segmentationNode: where the segment goes; by default a new node with the volume's geometry.
            model, device: see `annotate`.
            progress: told how far the search is.

        Returns:
            The review of what was found; None if the object is not there.

        Raises:
            SAM2AnnotateError: if prototypes or volume cannot be used, or the model fails.
        """
        from SAM2AnnotateLib.prototypes import PrototypeLibrary  # here, as much of the library comes with it

        if segmentationNode is not None:
            requireLabelmaps(segmentationNode)
        search = Search.of(prototype, PrototypeLibrary(library))
        opened = search.opened(volumeFromNode(volumeNode), voxelsKey(volumeNode))
        told = {"choice": None if model is None else ModelChoice.of(model, device), **search.receivers}
        self.ask(
            lambda service, then: service.proposeObject(opened, search.files, search.adapter, RegionPolicy(), **told, **then), progress
        )
        if search.found is None:
            return None
        node, segmentId = _segment(volumeNode, segmentationNode, None, search.name)
        session, about = search.review(stackOf(volumeNode, search.axis))
        if search.adapter:
            about["learned"] = self.learnedModels.keep(search.adapter).toJson()
        annotated = AnnotatedSegment(node, segmentId, volumeNode, search.axis, session, about)
        annotated.show(session.extent.indices)
        keep(annotated)
        return ConsoleReview(self, annotated, model, device)

    @property
    def learnedModels(self) -> LearnedModels:
        """What was learned of objects."""
        if self._learnedModels is None:
            settings = Path(slicer.app.slicerUserSettingsFilePath).parent / "SAM2Annotate"
            self._learnedModels = LearnedModels(settings / "learned")
        return self._learnedModels

    def ask(self, request: Callable, progress: Callable[[Progress], None] | None) -> None:
        """Ask the model for something that is none of the slices that are due, and wait for it.

        Args:
            request: takes the service and what hears the model, asks, and returns the Request.
            progress: told how far it is.

        Raises:
            SAM2AnnotateError: that the model reports.
        """
        service = self._service()
        failures: list[Exception] = []
        ended: list[SAM2AnnotateError | None] = []

        def went(on: Progress) -> None:
            try:
                if progress is not None and not failures:
                    progress(on)
            except Exception as error:  # noqa: BLE001 - raised for the caller, when the model has stopped
                failures.append(error)

        then = {"ofScript": True, "onProgress": went, "onDone": lambda: ended.append(None), "onFailed": ended.append}
        self._wait(service, request(service, then), ended, failures)
        if failures or ended[0] is not None:
            raise (failures or ended)[0]

    def close(self) -> None:
        """End the model's process, unless the panel uses it."""
        SharedService.scriptDone()

    def run(self, annotated: AnnotatedSegment, changed: int | None, model: str | None, device: str, progress) -> None:
        """Compute the slices that are due and show each as it comes.

        Raises:
            PromptError: if the object was changed meanwhile, by what `progress` let happen; what is done is kept.
        """
        service = self._service()
        service.forgetVolumes(lambda volumeId: slicer.mrmlScene.GetNodeByID(volumeId) is not None)
        choice = None if model is None else ModelChoice.of(model, device)
        opened, learned = self.opened(annotated), self.learnedModels.find(annotated.learned)
        if changed is None and opened.mapping is not None:
            annotated.computeWith((choice or service.choice).checkpoint, opened.mapping)
        work, revision = annotated.session.due_work(changed), annotated.session.revision
        failures: list[Exception] = []
        ended: list[SAM2AnnotateError | None] = []

        def arrived(result: SliceResult, done: int, total: int) -> None:
            if failures:
                return
            try:
                if annotated.session.revision != revision:
                    raise PromptError(f"'{annotated.name}' was changed while its slices were computed. Call propagate again.")
                annotated.addResult(result)
                if progress is not None:
                    progress(Progress(done, total, "slices"))
            except Exception as error:  # noqa: BLE001 - raised for the caller, when the model has stopped
                failures.append(error)

        try:
            policy = RegionPolicy.parse(annotated.about.get("roi", "auto"))
            told = {"onSlice": arrived, "onDone": lambda: ended.append(None), "onFailed": ended.append, "choice": choice, "ofScript": True}
            self._tell(annotated, changed)
            if learned is None:
                request = service.propagate(opened, work, policy, **told)
            else:
                request = service.proposeSlices(opened, work, policy, learned=learned, **told)
            self._wait(service, request, ended, failures)
        finally:
            if service.description is not None:
                annotated.about["engine"] = service.description
            if annotated.exists:
                annotated.labelmap.updateSurface()
                keep(annotated)
        if failures or ended[0] is not None:
            raise (failures or ended)[0]

    def _wait(self, service, request, ended: list, failures: list) -> None:
        """Let Slicer work until the request has ended: it draws and hears the model, and leaves clicks and keys for afterwards."""
        try:
            while not ended:
                if failures:
                    service.cancel(request)
                if service.closed:
                    raise WorkerError("The model's process was ended, because the panel was closed. Finished slices are kept.")
                slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)
                time.sleep(_PAUSE_SECONDS)
        except BaseException:
            service.cancel(request)
            raise

    @staticmethod
    def _tell(annotated: AnnotatedSegment, changed: int | None) -> None:
        """Say what takes a while now, in the log and in the status bar."""
        beside = "" if changed is None else f" beside slice {annotated.stack.index_of(changed)}"
        text = f"SAM2Annotate: computing the slices of '{annotated.name}'{beside}; the window takes no input until it is done."
        logging.info(text)
        if slicer.util.mainWindow() is not None:
            slicer.util.showStatusMessage(text, 10000)

    @staticmethod
    def opened(annotated: AnnotatedSegment) -> OpenedVolume:
        """The object's volume as the model is to see it."""
        volumeNode, stored = annotated.volumeNode, annotated.about.get("mapping")  # a prediction brings no gray window
        window = f"{stored['lower']},{stored['upper']}" if stored else "auto"
        volume = volumeFromNode(volumeNode)
        mapping = choose_mapping(volume, window)
        annotated.about["mapping"] = stored or mapping.to_json()
        return OpenedVolume(annotated.imageKey(mapping), voxelsKey(volumeNode), volume, annotated.axis, mapping)


def theConsole() -> Console:
    """The console of the application."""
    return _THE_CONSOLE


class ConsoleReview(LearningByScript):
    """The review of one object. Made by `Console.annotate` and `Console.review`.

    Masks are 2-D bool arrays of a slice as `slicer.util.arrayFromVolume` has it: the two other axes in the order k, j, i.
    """

    def __init__(self, console: Console, annotated: AnnotatedSegment, model: str | None, device: str):
        self._console, self._annotated = console, annotated
        self._model, self._device = model, device

    @property
    def segmentationNode(self):
        """The segment's node."""
        return self._annotated.segmentationNode

    @property
    def segmentId(self) -> str:
        """The segment's id."""
        return self._annotated.segmentId

    @property
    def slices(self) -> list[int]:
        """Voxel indices of the extent, ascending."""
        return sorted(self._annotated.stack.index_of(position) for position in self._annotated.session.extent.indices)

    def status(self, sliceIndex: int) -> SliceStatus:
        """What is known about a slice."""
        return self._annotated.session.status(self._position(sliceIndex))

    def mask(self, sliceIndex: int) -> np.ndarray | None:
        """The mask of a slice; None before anything is known."""
        mask = self._annotated.session.mask(self._position(sliceIndex))
        return None if mask is None else self._annotated.stack.slice_from_frame(mask)

    def doubts(self) -> dict[int, Doubt]:
        """The doubt about each slice that is not locked, by voxel index, the most doubtful first."""
        annotated = self._annotated
        found = session_doubts(annotated.session, annotated.stack)
        ordered = sorted(found.items(), key=lambda one: -one[1].value)
        return {annotated.stack.index_of(position): doubt for position, doubt in ordered}

    def propagate(self, progress: Callable[[Progress], None] | None = None) -> None:
        """Compute every slice that is not locked and not up to date; with another model than before, all that are not locked."""
        self._console.run(self._usable(), None, self._model, self._device, progress)

    def accept(self, *sliceIndices: int) -> None:
        """Lock slices as they are; without arguments all that are proposed."""
        session = self._usable().session
        proposed = [p for p in session.extent.indices if session.status(p) is SliceStatus.PROPOSED]
        positions = [self._position(index) for index in sliceIndices] if sliceIndices else proposed
        self._annotated.remember(f"accept {len(positions)} slices")
        for position in positions:
            session.accept(position)
        self._annotated.effort.note("accept", len(positions))
        keep(self._annotated)

    def correct(self, sliceIndex: int, mask: np.ndarray, progress: Callable[[Progress], None] | None = None) -> None:
        """Lock a slice with a person's mask, and compute its neighbors anew up to the next known slices; all False: not there."""
        annotated, position = self._usable(), self._position(sliceIndex)
        frame = annotated.stack.frame_from_slice(np.asarray(mask, dtype=bool))
        annotated.session.status(position)  # raises outside the extent
        annotated.remember("correct")
        annotated.session.correct(position, frame)
        annotated.show([position])
        annotated.effort.note("correct")
        keep(annotated)
        self._console.run(annotated, position, self._model, self._device, progress)

    def unlock(self, sliceIndex: int) -> None:
        """Make a locked slice a proposal again."""
        annotated, position = self._usable(), self._position(sliceIndex)
        if position not in annotated.session.locked:
            raise PromptError(f"Slice {sliceIndex} is neither accepted nor corrected.")
        annotated.remember("unlock")
        annotated.session.unlock(position)
        annotated.show([position])
        keep(annotated)

    def setExtent(self, firstSlice: int, lastSlice: int) -> None:
        """Move the object's ends; call `propagate` to compute slices that are new."""
        annotated = self._usable()
        extent = annotated.stack.extent_of(Extent(min(firstSlice, lastSlice), max(firstSlice, lastSlice)))
        annotated.setExtent(extent, "first and last slice")
        keep(annotated)

    def undo(self) -> str:
        """Take back the last step; returns what it was, empty if there is none."""
        label = self._usable().undo()
        keep(self._annotated)
        return label

    def _usable(self) -> AnnotatedSegment:
        self._annotated.requireUsable()
        return self._annotated

    def _position(self, sliceIndex: int) -> int:
        return self._annotated.stack.position_of(sliceIndex)


def keep(annotated: AnnotatedSegment) -> None:
    """Keep what a script did in the segment's tag, and let the panel show it, if the object is the one that it is at."""
    annotated.store()
    annotated.changed.emit()


def _bounds(volumeNode, stack: SliceStack, box, firstSlice: int | None, lastSlice: int | None) -> np.ndarray:
    """(3, 2) half-open voxel bounds from what the caller gave."""
    if isinstance(box, slicer.vtkMRMLMarkupsROINode):
        bounds = readRoi(box, volumeNode)
    elif firstSlice is None or lastSlice is None:
        raise PromptError("firstSlice and lastSlice are needed, unless the box is an ROI node, whose depth is the extent.")
    else:
        (a, b), (c, d) = box
        spans = {stack.in_plane_axes[0]: sorted((a, c)), stack.in_plane_axes[1]: sorted((b, d)), stack.index_axis: [0, 1]}
        bounds = np.array([spans[one] for one in "ijk"])
    if firstSlice is not None and lastSlice is not None:
        low, high = sorted((firstSlice, lastSlice))
        bounds["ijk".index(stack.index_axis)] = low, high + 1
    return bounds


def _segment(volumeNode, segmentationNode, segmentId: str | None, name: str):
    if segmentationNode is None:
        segmentationNode = newSegmentation(volumeNode)
    if segmentId is None:
        return segmentationNode, segmentationNode.GetSegmentation().AddEmptySegment("", name)
    if segmentationNode.GetSegmentation().GetSegment(segmentId) is None:
        raise PromptError(f"'{segmentationNode.GetName()}' has no segment '{segmentId}'.")
    if tagOf(segmentationNode, segmentId):
        raise PromptError(f"The segment '{segmentId}' already has a review, which a new box would throw away. Go on with it by review().")
    return segmentationNode, segmentId


_THE_CONSOLE = Console(slicer.app.temporaryPath)
