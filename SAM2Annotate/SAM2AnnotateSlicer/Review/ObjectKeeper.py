"""ObjectKeeper: the objects of the scene under review, kept in tags and journal, brought back from either. Imports AnnotatedSegment.

What a journal offers is told by lineage: only a state that no segment of the scene holds, or that was made from the one it holds. The
latter goes into the segment that is there; the former, and one that went apart from the scene's, into a new one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import lru_cache

from SAM2AnnotateLib.errors import InputError, SAM2AnnotateError
from SAM2AnnotateLib.review.journal import JournaledObject
from SAM2AnnotateLib.review.lineage import Lineage
from SAM2AnnotateLib.review.stored_object import unpack_object

from .AnnotatedSegment import AnnotatedSegment, tagOf
from .JournalKeeper import Holds, JournalKeeper

_STORE_SECONDS = 10.0  # how often, at most, tag and journal are written while slices arrive


class ObjectKeeper:
    """Knows every object by its segment.

    Args:
        scene: the MRML scene.
        journals: where journals lie.
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, scene, journals: JournalKeeper, clock: Callable[[], float] = time.monotonic):
        self._scene, self.journals, self._clock = scene, journals, clock
        self._objects: dict[tuple[str, str], AnnotatedSegment] = {}
        self._lastStored = float("-inf")

    def add(self, annotated: AnnotatedSegment) -> None:
        """Know an object from now on, in place of an earlier one of the same segment."""
        self._objects[annotated.segmentationNode.GetID(), annotated.segmentId] = annotated

    def find(self, segmentationNode, segmentId: str) -> AnnotatedSegment | None:
        """The object of a segment, as it is known here or to a script, or as the segment's tag has it; None if it has none.

        Raises:
            InputError: if what the tag keeps cannot be used.
        """
        found = AnnotatedSegment.of(segmentationNode, segmentId)
        if found is not None:
            self.add(found)
        return found

    def on(self, volumeNode) -> list[AnnotatedSegment]:
        """All objects of a volume that are still in the scene."""
        return [one for one in self._objects.values() if one.volumeNode is volumeNode and one.exists]

    def all(self) -> list[AnnotatedSegment]:
        """All objects that are still in the scene."""
        return [one for one in self._objects.values() if one.exists]

    def forgetNode(self, node) -> None:
        """A volume or segmentation leaves the scene."""
        self._objects = {key: one for key, one in self._objects.items() if node is not one.volumeNode and node is not one.segmentationNode}

    def forgetSegment(self, segmentationNode, segmentId: str) -> None:
        """A segment leaves its segmentation."""
        self._objects.pop((segmentationNode.GetID(), segmentId), None)

    def forgetAll(self) -> None:
        """The scene is closed."""
        self._objects.clear()
        self.journals.sceneClosed(self._scene)

    def readScene(self) -> list[SAM2AnnotateError]:
        """Know what the scene's tags keep, after it was loaded; returns what could not be used."""
        self._objects.clear()
        self.journals.sceneLoaded()
        problems: list[SAM2AnnotateError] = []
        for node, segmentId in list(taggedSegments(self._scene)):
            try:
                self.find(node, segmentId)
            except SAM2AnnotateError as error:
                problems.append(error)
        return problems

    def store(self, annotated: AnnotatedSegment, force: bool = True) -> None:
        """Keep an object in its tag, and all objects of its volume in the journal.

        Args:
            force: False while slices arrive one by one; then it is done every ten seconds at most.

        Raises:
            OutputError: if the journal cannot be written; the tag is.
        """
        now = self._clock()
        if not annotated.exists or not annotated.inCharge or (not force and now - self._lastStored < _STORE_SECONDS):
            return
        self._lastStored = now
        annotated.store()
        self.journals.write(annotated.volumeNode, self.on(annotated.volumeNode), self._heldInScene(annotated.volumeNode))

    def storeTags(self) -> None:
        """Bring the tags of all objects up to date; undo in the Segment Editor takes them back too."""
        for annotated in self.all():
            if annotated.inCharge:
                annotated.store()

    def noticeSaved(self) -> None:
        """Segmentations were saved to files: a journal that holds nothing beyond them is no offer any more."""
        for volumeNode in dict.fromkeys(one.volumeNode for one in self.all()):
            if not any(one.segmentationNode.GetModifiedSinceRead() for one in self.on(volumeNode)):
                self.saved(volumeNode)

    def saved(self, volumeNode) -> None:
        """All that the journal of a volume holds was saved to files: it has nothing to offer any more."""
        self.journals.removeHeld(volumeNode, _heldBy([one.lineage for one in self.on(volumeNode)], self.on(volumeNode)))

    def recoverable(self, volumeNode):
        """The newest journal of a volume that holds what the scene lacks, or holds older; None if there is none."""
        holds = self._heldInScene(volumeNode)
        return next((path for path in self.journals.candidates(volumeNode) if self.journals.holdsMoreThan(path, volumeNode, holds)), None)

    def recover(self, path, volumeNode, makeSegment: Callable[[JournaledObject], tuple]) -> list[AnnotatedSegment]:
        """Bring the objects of a journal into the scene, but for those that the scene holds as they are there, or newer.

        Args:
            path: the journal.
            volumeNode: its volume.
            makeSegment: makes a segment for an object that the scene lacks; returns its segmentation node and id.

        Returns:
            The objects that came, or were brought up to date.

        Raises:
            InputError: if the journal is damaged or belongs to another volume; the scene is as it was.
        """
        stored = self.journals.read(path, volumeNode)
        holds = self._heldInScene(volumeNode)
        return [self._recoverOne(one, volumeNode, makeSegment) for one in stored.values() if not holds(one)]

    def _recoverOne(self, stored: JournaledObject, volumeNode, makeSegment: Callable[[JournaledObject], tuple]) -> AnnotatedSegment:
        older = self._olderState(stored, volumeNode)
        if older is not None:
            older.clear()
            node, segmentId = older.segmentationNode, older.segmentId
        else:
            node, segmentId = makeSegment(stored)
        recovered = AnnotatedSegment(node, segmentId, volumeNode, stored.axis, stored.session, stored.about)
        recovered.show(stored.session.extent.indices)
        recovered.store()
        self.add(recovered)
        return recovered

    def _olderState(self, stored: JournaledObject, volumeNode) -> AnnotatedSegment | None:
        """The object of the scene that a stored one was made from, unless its segment was edited since; None if there is none."""
        lineage = Lineage.of(stored.about)
        for node, segmentId, known in self._segments():
            if not lineage.holds(known):
                continue
            try:
                annotated = self.find(node, segmentId)
            except InputError:  # its volume is unclear, but the journal knows it
                annotated = AnnotatedSegment.restore(node, segmentId, volumeNode)
            if annotated is not None and annotated.volumeNode is volumeNode:
                annotated.requireUsable()
                if not annotated.noticeEdits():
                    return annotated
                annotated.store()  # it went apart
        return None

    # -- what the scene holds -------------------------------------------------------------------------------------------------------

    def _heldInScene(self, volumeNode) -> Holds:
        """Whether a segment of the scene holds an object of a journal, be it known here or not, or named otherwise by now."""
        return _heldBy([lineage for _node, _segmentId, lineage in self._segments()], self.on(volumeNode))

    def _segments(self) -> Iterator[tuple]:
        """(segmentation node, segment id, lineage) of every segment of the scene that was annotated."""
        for node, segmentId in taggedSegments(self._scene):
            known = self._objects.get((node.GetID(), segmentId))
            if known is not None and known.exists and known.inCharge:
                yield node, segmentId, known.lineage
            else:
                yield node, segmentId, _lineageIn(tagOf(node, segmentId))


def taggedSegments(scene) -> Iterator[tuple]:
    """(segmentation node, segment id) of every segment whose tag keeps a review."""
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")):
        node = scene.GetNthNodeByClass(n, "vtkMRMLSegmentationNode")
        for segmentId in node.GetSegmentation().GetSegmentIDs():
            if tagOf(node, segmentId):
                yield node, segmentId


def _heldBy(lineages: list[Lineage], objects: list[AnnotatedSegment]) -> Holds:
    """Whether one of the lineages holds a stored object, or one of the objects is the same to the last voxel."""

    def holds(stored: JournaledObject) -> bool:
        lineage = Lineage.of(stored.about)
        if any(one.holds(lineage) for one in lineages):
            return True
        state = stored.session.to_json()
        return any(one.axis == stored.axis and one.session.to_json() == state for one in objects)

    return holds


@lru_cache(maxsize=64)
def _lineageIn(packed: str) -> Lineage:
    """The lineage that a segment's tag keeps; an unknown one if it cannot be read."""
    try:
        return Lineage.of(unpack_object(packed, "").about)
    except InputError:
        return Lineage()
