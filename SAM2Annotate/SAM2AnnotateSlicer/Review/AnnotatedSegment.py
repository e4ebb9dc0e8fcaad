"""AnnotatedSegment: one object in the scene, its review and its segment kept in step. Imports the library's review and SegmentLabelmap.

The review holds the truth about the slices of the extent; the segment shows it. Whatever else changes the segment there is a person's
edit, and `noticeEdits` takes it over as a correction. The whole review is kept in a tag of the segment, so it is saved with the scene, or
with the segmentation's own file. Panel and console get one and the same object of a segment by `of`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import vtk

from SAM2AnnotateLib.errors import InputError, PromptError
from SAM2AnnotateLib.geometry import Box2D, Extent, SliceStack, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.prompts import Point, SlicePrompt
from SAM2AnnotateLib.propagation import SliceResult
from SAM2AnnotateLib.review import ReviewSession, SliceStatus
from SAM2AnnotateLib.review.journal import JournaledObject
from SAM2AnnotateLib.review.lineage import Lineage
from SAM2AnnotateLib.review.session import Snapshot
from SAM2AnnotateLib.review.stored_object import TAG, pack_object, unpack_object

from ..Event import Event
from ..Scene.SceneBridge import ijkToLocal, ijkToLocalOf, voxelsKey
from ..Scene.SegmentLabelmap import SegmentLabelmap
from .Effort import Effort
from .SegmentHolders import SegmentHolders

_MOST_UNDO_STEPS = 200
_UNDONE = ("center", "learned", "computedWith")  # what of `about` belongs to the state that undo goes back to
_HOLDERS = SegmentHolders()


class AnnotatedSegment:
    """One object: a review and the segment that shows it.

    Args:
        segmentationNode: the segment's node.
        segmentId: its id.
        volumeNode: the image.
        axis: index axis (``i``, ``j``, ``k``) of the slices.
        session: the review, in positions of the upright stack along `axis`.
        about: what else is kept of the object, as plain JSON: model, gray window, times.

    Attributes:
        segment: the vtkSegment.
        changed: emitted by who changes the object beside the panel, which shows it then.
        lineage: tells the state that was kept last from earlier and later ones.
    """

    def __init__(self, segmentationNode, segmentId: str, volumeNode, axis: str, session: ReviewSession, about: dict | None = None):
        self.segmentationNode, self.segmentId, self.volumeNode, self.axis = segmentationNode, segmentId, volumeNode, axis
        self.session = session
        self.about = dict(about or {})
        self.effort = Effort.fromJson(self.about.pop("effort", {}))
        self.lineage = Lineage.from_json(self.about.pop("lineage", None))
        self._keptVersion = session.version if self.lineage.is_known else -1
        self.stack = stackOf(volumeNode, axis)
        self.labelmap = SegmentLabelmap(segmentationNode, segmentId, volumeNode, axis)
        self.segment = self.labelmap.segment
        self.changed = Event()
        self.writing = False  # whether a change of the segment is our own
        self._undo: list[tuple[str, Snapshot, dict]] = []  # with what of `about` goes with it
        self._redo: list[tuple[str, Snapshot, dict]] = []
        self._whole: dict[int, tuple[SliceResult, SliceResult]] = {}  # a slice's result as it is shown, and before it was cut
        self._adopted: dict[int, np.ndarray] = {}  # slices that were drawn before they came into the extent, as they were
        self._placed = ijkToLocalOf(volumeNode, segmentationNode)
        _HOLDERS.take(self)

    @classmethod
    def of(cls, segmentationNode, segmentId: str) -> AnnotatedSegment | None:
        """The object of a segment: the one that somebody works on, else the one that its tag keeps; None if there is none.

        Raises:
            InputError: as `restore`.
        """
        held = _HOLDERS.of(segmentationNode.GetSegmentation().GetSegment(segmentId))
        return held if held is not None and held.exists else cls.restore(segmentationNode, segmentId)

    @classmethod
    def begin(cls, segmentationNode, segmentId: str, volumeNode, axis: str, center: int, box: Box2D, extent: Extent) -> AnnotatedSegment:
        """Mark a new object by a box on one slice.

        Slices of the extent that the segment already has voxels on were drawn by a person: they count as corrected, and stay.

        Args:
            center: position of the slice with the box.
            extent: positions of the first and last slice.
        """
        frameShape = stackOf(volumeNode, axis).frame_shape_rc
        session = ReviewSession({center: SlicePrompt(box=box)}, extent, frameShape)
        made = cls(segmentationNode, segmentId, volumeNode, axis, session, {"center": center})
        made._adoptDrawnSlices(extent)
        return made

    # -- what is known ---------------------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The segment's name."""
        return self.labelmap.segment.GetName()

    @property
    def center(self) -> int:
        """Position of the slice that the box was drawn on."""
        return int(self.about["center"])

    @property
    def exists(self) -> bool:
        """Whether volume, segmentation and this very segment are still in the scene, and not another one with its id."""
        scene = self.segmentationNode.GetScene()
        return (
            scene is not None
            and self.volumeNode.GetScene() is scene
            and self.segmentationNode.GetSegmentation().GetSegment(self.segmentId) is self.segment
        )

    @property
    def inCharge(self) -> bool:
        """Whether no other object was made of the segment since."""
        return _HOLDERS.of(self.segment) is self

    @property
    def inPlace(self) -> bool:
        """Whether volume and segmentation still lie to each other as when a slice was written last."""
        return bool(np.allclose(ijkToLocalOf(self.volumeNode, self.segmentationNode), self._placed, rtol=0, atol=1e-3))

    def requireUsable(self) -> None:
        """Raise PromptError unless the object is in the scene, in its place, and nobody else's."""
        if not self.exists:
            raise PromptError("The object's volume or segment is no longer in the scene.")
        if not self.inCharge:
            raise PromptError(
                f"'{self.name}' was marked anew elsewhere, by the panel or a script, and what is known of it here is out of date. "
                "Choose its segment again (in a script: call review again). Nothing was changed."
            )
        if not self.inPlace:
            raise PromptError(
                "The volume and its segmentation were moved against each other, so masks would land in the wrong place. Put both under the "
                "same transform (Transforms module), or take that move back. Nothing was changed."
            )

    def imageKey(self, mapping: IntensityMapping) -> str:
        """Names voxels, axis and gray window as the model is to see them; the part before the first ``|`` is `voxelsKey`."""
        # The matrix tells upright from flipped, so a changed one is another volume for the model.
        return f"{voxelsKey(self.volumeNode)}|{self.axis}|{mapping.lower}|{mapping.upper}|{self.stack.flipped}{self.stack.array_axes}"

    def counts(self) -> dict[SliceStatus, int]:
        """Number of slices of the extent by status."""
        found = dict.fromkeys(SliceStatus, 0)
        for position in self.session.extent.indices:
            found[self.session.status(position)] += 1
        return found

    def isEmptied(self, position: int) -> bool:
        """Whether a person said that the object is not on a slice."""
        mask = self.session.mask(position)
        return self.session.status(position) is SliceStatus.CORRECTED and mask is not None and not mask.any()

    def pointLocal(self, position: int, point: Point) -> tuple[float, float, float]:
        """A prompt's point in the volume's local RAS."""
        start, _ = self.stack.box_to_indices(Box2D(point.row, point.row + 1, point.col, point.col + 1))
        byAxis = {**dict(zip(self.stack.in_plane_axes, start, strict=True)), self.axis: self.stack.index_of(position)}
        right, anterior, superior, _one = ijkToLocal(self.volumeNode) @ [*(byAxis[axis] for axis in "ijk"), 1.0]
        return float(right), float(anterior), float(superior)

    def boundsIjk(self) -> np.ndarray:
        """(3, 2) half-open voxel bounds of box and extent, for the ROI."""
        prompt = self.session.prompts.get(self.center)
        box = prompt.bounding_box() if prompt is not None else None
        if box is None:
            box = Box2D(0, self.stack.frame_shape_rc[0], 0, self.stack.frame_shape_rc[1])
        return boundsOf(self.stack, box, self.session.extent)

    @property
    def learned(self) -> dict | None:
        """What was learned of it and is used, as `LearnedModel.toJson` tells it; None for the model as it came."""
        stored = self.about.get("learned")
        return stored if isinstance(stored, dict) and isinstance(stored.get("sha256"), str) else None

    @property
    def proposedDoubts(self) -> dict[int, float]:
        """The doubt of who proposed the object about slices that were not computed since, by position; empty for what is no such thing."""
        stored = self.about.get("doubts")
        pairs = stored.items() if isinstance(stored, dict) else ()
        return {int(p): float(d) for p, d in pairs if p.isdecimal() and isinstance(d, (int, float)) and 0 <= d <= 1}

    def useLearned(self, learned: dict | None, label: str) -> None:
        """Let its open slices be proposed anew with what was learned, or with the model as it came; one step of undo.

        They stay as they are where neither this nor what was in use before goes into passes from slice to slice.

        Args:
            learned: as `LearnedModel.toJson` tells it; None for the model as it came.
            label: of the step.
        """
        self.remember(label)
        before = self.learned
        self.about.pop("learned", None)
        if learned is not None:
            self.about["learned"] = dict(learned)
        if any(one is not None and one.get("inPasses", True) for one in (before, learned)):
            self.session.outdate_all()

    def isOutOfDate(self, model: str, mapping: IntensityMapping) -> bool:
        """Whether the proposals are another model's, or were made with another gray window."""
        return self.about.get("computedWith") not in (None, _computedWith(model, mapping))

    def computeWith(self, model: str, mapping: IntensityMapping) -> None:
        """All that is not locked is about to be computed, with this model and window; proposals of another one are stale then."""
        if self.isOutOfDate(model, mapping):
            self.session.outdate_all()
        self.about["computedWith"] = _computedWith(model, mapping)

    # -- results and decisions, shown in the segment at once ---------------------------------------------------------------------------

    def addResult(self, result: SliceResult, blocked: np.ndarray | None = None, quiet: bool = False) -> bool:
        """Take and show a computed slice; False if the slice has been locked meanwhile.

        Args:
            blocked: (rows, cols) bool of pixels that other segments own and the object must keep off.
            quiet: whether more slices come in a moment: `tell` lets the scene know of them all.

        Raises:
            PromptError: as `requireUsable`.
        """
        self.requireUsable()
        if self.labelmap.sliceDiffers(self.stack.index_of(result.position), self._expected(result.position)):
            self.remember("edit of the segment")  # a stroke that nobody has noticed yet: it must not be painted over
            self.session.correct(result.position, self._drawn(result.position))
            return False
        whole = result
        if blocked is not None and (result.mask & blocked).any():
            result = replace(result, mask=result.mask & ~blocked)
        if not self.session.add_result(result):
            return False
        if isinstance(self.about.get("doubts"), dict):
            self.about["doubts"].pop(str(result.position), None)  # of who proposed it before
        self._whole[result.position] = (result, whole)
        self.show([result.position], quiet)
        return True

    def keepOff(self, othersOn: Callable[[int], np.ndarray], keeps: bool) -> tuple[int, int]:
        """Cut the open slices where other segments are, or give them their whole masks again; one step of undo.

        Args:
            othersOn: gives the (rows, cols) pixels of other segments on a slice.
            keeps: whether masks keep off them.

        Returns:
            How many slices were changed, and how many were marked out of date, because nobody knows any more whether they were cut.
        """
        self.requireUsable()
        amended, unknown = [], []
        for position, result in sorted(self.session.results.items()):
            if position in self.session.locked:
                continue
            others = othersOn(position)
            shown, whole = self._whole.get(position, (None, None))
            isKnown = shown is result
            wanted = whole if isKnown else result
            if keeps and (wanted.mask & others).any():
                wanted = replace(wanted, mask=wanted.mask & ~others)
            if not np.array_equal(wanted.mask, result.mask):
                amended.append((wanted, whole if isKnown else result))
            elif not keeps and not isKnown and _mayHaveBeenCut(result.mask, others):
                unknown.append(position)
        if amended or unknown:
            self.remember("keeping off other segments")
        for wanted, whole in amended:
            self._whole[wanted.position] = (wanted, whole)
            self.session.amend_result(wanted)
        self.session.outdate(unknown)
        self.show([wanted.position for wanted, _whole in amended])
        return len(amended), len(unknown)

    def tell(self) -> None:
        """Let the scene know of the slices that were shown quietly."""
        if self.exists:
            self.writing = True
            try:
                self.labelmap.tell()
            finally:
                self.writing = False

    def remember(self, label: str) -> None:
        """Begin a step that `undo` takes back whole; call it before the step."""
        self._rememberStep(self._stateAs(label))

    @property
    def stepCount(self) -> tuple[int, int]:
        """Number of steps that can be taken back, and done again: another one means that something was done."""
        return len(self._undo), len(self._redo)

    @property
    def undoLabel(self) -> str:
        """What `undo` would take back; empty if nothing."""
        return self._undo[-1][0] if self._undo else ""

    @property
    def redoLabel(self) -> str:
        """What `redo` would do again; empty if nothing."""
        return self._redo[-1][0] if self._redo else ""

    def undo(self) -> str:
        """Take back the last step; returns its label, empty if there is none."""
        return self._step(self._undo, self._redo)

    def redo(self) -> str:
        """Do the step again that was taken back last."""
        return self._step(self._redo, self._undo)

    def setExtent(self, extent: Extent, label: str = "") -> None:
        """Move the ends. Slices that leave lose their proposals in the segment too; drawn slices that come in count as corrected.

        Args:
            extent: positions of the first and last slice.
            label: of a step of undo that begins with this; without one it belongs to the step before.

        Raises:
            PromptError: if a prompted or locked slice would be left out; then there is no step either.
        """
        before, step = self.session.extent, self._stateAs(label)
        self.session.set_extent(extent)
        if label:
            self._rememberStep(step)
        self._leave(position for position in before.indices if position not in extent)
        self._adoptDrawnSlices(position for position in extent.indices if position not in before)

    def markAnew(self, center: int, box: Box2D, extent: Extent) -> None:
        """Begin the object anew with another box on the same axis, as one step of undo. Raises PromptError as `requireUsable`."""
        self.requireUsable()
        self.remember("box")
        self._leave(self.session.extent.indices)
        self.session.restore(Snapshot(extent, {center: SlicePrompt(box=box)}, {}, {}, {}))
        self.about["center"] = center
        self._adoptDrawnSlices(extent)

    def clear(self) -> None:
        """Take the object out of the segment: its slices are as they were before it. Raises PromptError as `requireUsable`."""
        self.requireUsable()
        self._leave(self.session.extent.indices)

    def show(self, positions: Iterable[int], quiet: bool = False) -> None:
        """Write slices of the review into the segment; slices of which nothing is known are emptied. `quiet` as in `addResult`."""
        self._write({self.stack.index_of(position): self._expected(position) for position in positions}, quiet)

    def noticeEdits(self) -> list[int]:
        """Take over what a person changed in the segment within the extent; returns the positions, which are corrected and locked now.

        Nothing is taken over while volume and segmentation are moved against each other: then every slice would seem edited.
        """
        if not self.inPlace:
            return []
        expected = {self.stack.index_of(position): self._expected(position) for position in self.session.extent.indices}
        edited = sorted(self.stack.position_of(index) for index in self.labelmap.differingSlices(expected))
        if edited:
            self.remember("edit of the segment")
            for position in edited:
                self.session.correct(position, self._drawn(position))
        return edited

    # -- keeping it ---------------------------------------------------------------------------------------------------------------------

    def journaled(self) -> JournaledObject:
        """What tag and journal keep; a state that was never kept so far gets its place in the lineage."""
        if self.session.version != self._keptVersion:
            self.lineage.advance()
            self._keptVersion = self.session.version
        kept = {**self.about, "effort": self.effort.toJson(), "segment": self.name, "grid": _gridOf(self.volumeNode)}
        kept["placed"] = np.round(self._placed, 6).tolist()
        kept["lineage"] = self.lineage.to_json()
        kept["terminology"], kept["color"] = self.segment.GetTerminology() or "", np.round(self.segment.GetColor(), 4).tolist()
        return JournaledObject(self.axis, self.session, kept)

    def store(self) -> None:
        """Keep the review in the segment's tag, and the volume as a reference of the segmentation's node."""
        packed = pack_object(self.journaled())
        role = _volumeRole(self.segmentId)
        if self.segmentationNode.GetNodeReferenceID(role) != self.volumeNode.GetID():  # each change has all views rendered
            self.segmentationNode.SetNodeReferenceID(role, self.volumeNode.GetID())
        if packed != tagOf(self.segmentationNode, self.segmentId):
            self.labelmap.segment.SetTag(TAG, packed)

    @classmethod
    def restore(cls, segmentationNode, segmentId: str, volumeNode=None) -> AnnotatedSegment | None:
        """The object that `store` kept in a segment; None if there is none.

        Args:
            segmentationNode: the segment's node.
            segmentId: its id.
            volumeNode: the image; by default the one that the segmentation refers to, else the only one on the stored grid.

        Raises:
            InputError: if the tag is damaged, or its volume is not in the scene.
        """
        packed = tagOf(segmentationNode, segmentId)
        if not packed:
            return None
        name = segmentationNode.GetSegmentation().GetSegment(segmentId).GetName()
        stored = unpack_object(packed, name)
        if "center" not in stored.about:
            raise InputError(f"The stored review of the segment '{name}' lacks its center slice. The segment itself is untouched.")
        volumeNode = volumeNode or segmentationNode.GetNodeReference(_volumeRole(segmentId))
        volumeNode = volumeNode or _volumeOnGrid(segmentationNode, stored.about.get("grid"))
        if volumeNode is None or volumeNode.GetImageData() is None:
            raise InputError(f"The segment '{name}' was annotated on a volume that is not in the scene. Load that volume.")
        restored = cls(segmentationNode, segmentId, volumeNode, stored.axis, stored.session, stored.about)
        session = stored.session
        if session.frame_shape_rc != restored.stack.frame_shape_rc or session.extent.last >= restored.stack.shape_src[0]:
            raise InputError(f"The review of '{name}' was made on a volume of another size than '{volumeNode.GetName()}'.")
        if "placed" in stored.about:  # not as it is now: they may have been moved against each other before they were saved, or since
            restored._placed = np.array(stored.about["placed"], dtype=float)
        return restored

    # -- within --------------------------------------------------------------------------------------------------------------------------

    def _expected(self, position: int) -> np.ndarray:
        """2-D bool of a slice in array order as the segment should show it."""
        mask = self.session.mask(position)
        return self.stack.slice_from_frame(np.zeros(self.stack.frame_shape_rc, dtype=bool) if mask is None else mask)

    def _drawn(self, position: int) -> np.ndarray:
        return self.stack.frame_from_slice(self.labelmap.readSlice(self.stack.index_of(position)))

    def _write(self, masks: dict[int, np.ndarray], quiet: bool = False) -> None:
        self.writing = True
        try:
            self.labelmap.writeSlices(masks, quiet)
            self._placed = ijkToLocalOf(self.volumeNode, self.segmentationNode)
        finally:
            self.writing = False

    def _adoptDrawnSlices(self, positions: Iterable[int] | Extent) -> None:
        wanted = set(positions.indices if isinstance(positions, Extent) else positions)
        for index in self.labelmap.occupiedSlices():
            position = self.stack.position_of(index)
            if position in wanted:
                self._adopted[position] = self._drawn(position).copy()
                self.session.correct(position, self._adopted[position])

    def _stateAs(self, label: str) -> tuple[str, Snapshot, dict]:
        """The state now, as a step of undo."""
        return label, self.session.snapshot(), {name: self.about.get(name) for name in _UNDONE}

    def _rememberStep(self, step: tuple[str, Snapshot, dict]) -> None:
        self._undo.append(step)
        del self._undo[:-_MOST_UNDO_STEPS]
        self._redo.clear()

    def _step(self, source: list, target: list) -> str:
        if not source:
            return ""
        label, snapshot, about = source.pop()
        target.append(self._stateAs(label))
        before = {position: self.session.mask(position) for position in self.session.extent.indices}
        self.session.restore(snapshot)
        for name, value in about.items():
            if value is None:
                self.about.pop(name, None)
            else:
                self.about[name] = value
        after = self.session.extent
        changed = [p for p in after.indices if p not in before or self.session.mask(p) is not before[p]]
        self._leave(position for position in before if position not in after)
        self.show(changed)
        return label

    def _leave(self, positions: Iterable[int]) -> None:
        """Slices go out of the extent: what was drawn there before comes back, our own masks go."""
        nothing = np.zeros(self.stack.frame_shape_rc, dtype=bool)
        masks = {position: self._adopted.get(position, nothing) for position in positions}
        self._write({self.stack.index_of(position): self.stack.slice_from_frame(mask) for position, mask in masks.items()})


def _mayHaveBeenCut(mask: np.ndarray, others: np.ndarray) -> bool:
    """Whether a mask may have lost pixels to other segments: it touches them, or is gone, and nowhere lies on them."""
    if not others.any() or (mask & others).any():
        return False
    rows, cols = (np.pad(others, pad) for pad in (((1, 1), (0, 0)), ((0, 0), (1, 1))))
    beside = rows[2:] | rows[:-2] | cols[:, 2:] | cols[:, :-2]
    return not mask.any() or bool((mask & beside).any())


def _computedWith(model: str, mapping: IntensityMapping) -> dict:
    return {"model": model, "window": [mapping.lower, mapping.upper]}


def stackOf(volumeNode, axis: str) -> SliceStack:
    """The upright stack of a volume's slices along an index axis."""
    return SliceStack.along(VolumeGrid(volumeNode.GetImageData().GetDimensions()[::-1], ijkToLocal(volumeNode)), axis)


def boundsOf(stack: SliceStack, box: Box2D, extent: Extent) -> np.ndarray:
    """(3, 2) half-open voxel bounds (i, j, k) of a box and an extent of the stack."""
    bounds = dict(zip(stack.in_plane_axes, zip(*stack.box_to_indices(box), strict=True), strict=True))
    ends = stack.extent_of(extent)
    bounds[stack.index_axis] = (min(ends.first, ends.last), max(ends.first, ends.last) + 1)
    return np.array([bounds[axis] for axis in "ijk"])


def boxAndExtent(stack: SliceStack, boundsIjk: np.ndarray) -> tuple[Box2D, Extent]:
    """The inverse of `boundsOf`."""
    byAxis = dict(zip("ijk", np.asarray(boundsIjk).tolist(), strict=True))
    start, stop = zip(*(byAxis[axis] for axis in stack.in_plane_axes), strict=True)
    low, high = byAxis[stack.index_axis]
    return stack.box_of(start, stop), stack.extent_of(Extent(low, high - 1))


def tagOf(segmentationNode, segmentId: str) -> str:
    """The segment's stored review; empty if there is none."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    value = vtk.mutable("")
    return str(value) if segment is not None and segment.GetTag(TAG, value) else ""


def _volumeRole(segmentId: str) -> str:
    # Roles stand in XML with separators of their own, and a segment's id may be any text.
    return "SAM2Annotate.volume." + hashlib.sha256(segmentId.encode()).hexdigest()[:12]


def _gridOf(volumeNode) -> dict:
    """Shape and place of a volume's voxels as plain JSON."""
    return {"shapeIjk": list(volumeNode.GetImageData().GetDimensions()), "ijkToLocal": np.round(ijkToLocal(volumeNode), 4).tolist()}


def _volumeOnGrid(segmentationNode, grid: dict | None):
    """The one volume of the scene that lies on a stored grid, for a segmentation that was loaded from its own file; None if unclear."""
    scene = segmentationNode.GetScene()
    nodes = [scene.GetNthNodeByClass(n, "vtkMRMLScalarVolumeNode") for n in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"))]
    fitting = [node for node in nodes if node.GetImageData() is not None and _gridOf(node) == grid]
    return fitting[0] if len(fitting) == 1 else None
