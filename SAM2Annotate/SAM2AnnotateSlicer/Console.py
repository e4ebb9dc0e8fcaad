"""Console: annotate and review from Slicer's Python console or a script, without a widget. Imports the library's worker, AnnotatedSegment.

The model runs in the same kind of process as for the panel and is loaded once. Every call returns when it is done. Slices are named by
their voxel index along the object's axis.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import slicer

from SAM2AnnotateLib.errors import PromptError
from SAM2AnnotateLib.geometry import Extent, SliceStack
from SAM2AnnotateLib.intensity import choose_mapping
from SAM2AnnotateLib.progress import Progress
from SAM2AnnotateLib.propagation import RegionPolicy
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.review.doubt import Doubt
from SAM2AnnotateLib.review.doubts import session_doubts
from SAM2AnnotateLib.worker.subprocess_worker import SubprocessWorker

from .AnnotatedSegment import AnnotatedSegment, boxAndExtent, stackOf
from .PythonCommand import pythonCommand
from .RoiBox import readRoi
from .SceneBridge import volumeFromNode, voxelsStamp
from .SegmentLabelmap import requireLabelmaps

LOG_NAME = "SAM2Annotate-console-worker.log"


class Console:
    """Keeps the model's process between calls; `close` ends it.

    Args:
        logFolder: folder of the process's log; by default the system's temporary folder.
    """

    def __init__(self, logFolder: str | Path | None = None):
        self._logFile = Path(logFolder if logFolder is not None else tempfile.gettempdir()) / LOG_NAME
        self._worker: SubprocessWorker | None = None
        self._loaded: tuple[str, str] | None = None
        self._open: set[str] = set()
        self.description: dict = {}

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
        model: str = "bundled",
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
            segmentId: an existing segment, whose drawn slices count as corrected; by default a new one, called `name`.
            centerSlice: the slice that the box lies on; by default the middle of the extent.
            axis: ``axial``, ``coronal``, ``sagittal``, or an index axis ``i``, ``j``, ``k``.
            model, device: see `load_engine`.
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
        review = ConsoleReview(self, annotated, model, device)
        review.propagate(progress)
        return review

    def review(self, segmentationNode, segmentId: str, model: str = "bundled", device: str = "auto") -> ConsoleReview:
        """Go on with a segment that was annotated before, here or in the panel.

        Raises:
            InputError: if the segment keeps no review, or one that cannot be used.
        """
        annotated = AnnotatedSegment.restore(segmentationNode, segmentId)
        if annotated is None:
            raise PromptError(f"The segment '{segmentId}' was not made with SAM2Annotate, so there is no review to go on with.")
        if annotated.noticeEdits():
            annotated.store()
        return ConsoleReview(self, annotated, model, device)

    def close(self) -> None:
        """End the model's process."""
        if self._worker is not None:
            self._worker.close()
        self._worker, self._loaded = None, None
        self._open.clear()

    def run(self, annotated: AnnotatedSegment, changed: int | None, model: str, device: str, progress) -> None:
        """Compute the slices that are due and show each as it comes."""
        worker = self._workerFor(model, device)
        volumeNode, mapping = annotated.volumeNode, annotated.about["mapping"]
        fileKey = f"{volumeNode.GetID()}@{voxelsStamp(volumeNode)}"
        key = f"{fileKey}|{annotated.axis}|{mapping['lower']}|{mapping['upper']}|{annotated.stack.flipped}{annotated.stack.array_axes}"
        if key not in self._open:
            gray = choose_mapping(volumeFromNode(volumeNode), f"{mapping['lower']},{mapping['upper']}")
            worker.wait(worker.client.open_volume(key, volumeFromNode(volumeNode), annotated.axis, gray, fileKey))
            self._open.add(key)
        work = annotated.session.due_work(changed)
        request = worker.client.propagate(key, work, RegionPolicy.parse(annotated.about.get("roi", "auto")))
        try:
            for message in worker.replies(request):
                annotated.addResult(message.result())
                if progress is not None:
                    progress(Progress(message.done, message.total, "slices"))
        finally:
            annotated.about["engine"] = self.description
            annotated.labelmap.updateSurface()
            annotated.store()

    def _workerFor(self, model: str, device: str) -> SubprocessWorker:
        if self._worker is not None and self._worker.process.poll() is not None:
            self.close()  # it died meanwhile
        if self._worker is None:
            self._worker = SubprocessWorker(pythonCommand(), log_file=self._logFile)
        if self._loaded != (model, device):
            self._loaded = None
            loaded = self._worker.wait(self._worker.client.load_model(model, device=device))
            self.description, self._loaded = loaded[-1].engine, (model, device)
            self._open.clear()
        return self._worker


class ConsoleReview:
    """The review of one object. Made by `Console.annotate` and `Console.review`.

    Masks are 2-D bool arrays of a slice as `slicer.util.arrayFromVolume` has it: the two other axes in the order k, j, i.
    """

    def __init__(self, console: Console, annotated: AnnotatedSegment, model: str, device: str):
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
        found = session_doubts(annotated.session, annotated.stack.frame_spacing_rc_mm)
        ordered = sorted(found.items(), key=lambda one: -one[1].value)
        return {annotated.stack.index_of(position): doubt for position, doubt in ordered}

    def propagate(self, progress: Callable[[Progress], None] | None = None) -> None:
        """Compute every slice that is not locked."""
        self._console.run(self._annotated, None, self._model, self._device, progress)

    def accept(self, *sliceIndices: int) -> None:
        """Lock slices as they are; without arguments all that are proposed."""
        session = self._annotated.session
        proposed = [p for p in session.extent.indices if session.status(p) is SliceStatus.PROPOSED]
        positions = [self._position(index) for index in sliceIndices] if sliceIndices else proposed
        self._annotated.remember(f"accept {len(positions)} slices")
        for position in positions:
            session.accept(position)
        self._annotated.effort.note("accept", len(positions))
        self._annotated.store()

    def correct(self, sliceIndex: int, mask: np.ndarray, progress: Callable[[Progress], None] | None = None) -> None:
        """Lock a slice with a person's mask, and compute its neighbors anew up to the next locked slice; all False: not there."""
        annotated, position = self._annotated, self._position(sliceIndex)
        frame = annotated.stack.frame_from_slice(np.asarray(mask, dtype=bool))
        annotated.remember("correct")
        annotated.session.correct(position, frame)
        annotated.show([position])
        annotated.effort.note("correct")
        annotated.store()
        self._console.run(annotated, position, self._model, self._device, progress)

    def unlock(self, sliceIndex: int) -> None:
        """Make a locked slice a proposal again."""
        position = self._position(sliceIndex)
        self._annotated.remember("unlock")
        self._annotated.session.unlock(position)
        self._annotated.show([position])
        self._annotated.store()

    def setExtent(self, firstSlice: int, lastSlice: int) -> None:
        """Move the object's ends; call `propagate` to compute slices that are new."""
        self._annotated.remember("first and last slice")
        self._annotated.setExtent(self._annotated.stack.extent_of(Extent(min(firstSlice, lastSlice), max(firstSlice, lastSlice))))
        self._annotated.store()

    def undo(self) -> str:
        """Take back the last step; returns what it was, empty if there is none."""
        label = self._annotated.undo()
        self._annotated.store()
        return label

    def _position(self, sliceIndex: int) -> int:
        return self._annotated.stack.position_of(sliceIndex)


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
        segmentationNode = volumeNode.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", f"{volumeNode.GetName()} segmentation")
        segmentationNode.CreateDefaultDisplayNodes()
        segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
        segmentationNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    if segmentId is None:
        return segmentationNode, segmentationNode.GetSegmentation().AddEmptySegment("", name)
    if segmentationNode.GetSegmentation().GetSegment(segmentId) is None:
        raise PromptError(f"'{segmentationNode.GetName()}' has no segment '{segmentId}'.")
    return segmentationNode, segmentId
