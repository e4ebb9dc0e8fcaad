"""ObjectKeeper: the objects of the scene under review, kept in tags and journal, brought back from either. Imports AnnotatedSegment."""

from __future__ import annotations

import time
from collections.abc import Callable

from SAM2AnnotateLib.errors import SAM2AnnotateError
from SAM2AnnotateLib.review import ReviewSession
from SAM2AnnotateLib.review.journal import JournaledObject

from .AnnotatedSegment import AnnotatedSegment, tagOf
from .JournalKeeper import PREVIOUS, JournalKeeper

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
        for n in range(self._scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")):
            node = self._scene.GetNthNodeByClass(n, "vtkMRMLSegmentationNode")
            for segmentId in node.GetSegmentation().GetSegmentIDs():
                if tagOf(node, segmentId):
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
        self.journals.write(annotated.volumeNode, self.on(annotated.volumeNode))

    def noticeSaved(self) -> None:
        """Segmentations were saved to files: a journal that holds nothing beyond them is no offer any more."""
        for volumeNode in dict.fromkeys(one.volumeNode for one in self.all()):
            if not any(one.segmentationNode.GetModifiedSinceRead() for one in self.on(volumeNode)):
                self.saved(volumeNode)

    def saved(self, volumeNode) -> None:
        """All that the journal of a volume holds was saved to files: it has nothing to offer any more."""
        objects = self.on(volumeNode)
        for path in self.journals.candidates(volumeNode):
            if not path.name.startswith(PREVIOUS) and not self.journals.holdsMoreThan(path, volumeNode, objects):
                path.unlink(missing_ok=True)

    def recoverable(self, volumeNode):
        """The newest journal of a volume that holds more than the scene does; None if there is none."""
        objects = self.on(volumeNode)
        return next((path for path in self.journals.candidates(volumeNode) if self.journals.holdsMoreThan(path, volumeNode, objects)), None)

    def recover(self, path, volumeNode, makeSegment: Callable[[str], tuple]) -> list[AnnotatedSegment]:
        """Bring the objects of a journal into the scene, each in a new segment, but for those that the scene has just so.

        Args:
            path: the journal.
            volumeNode: its volume.
            makeSegment: makes a segment of a given name; returns its segmentation node and id.

        Raises:
            InputError: if the journal is damaged or belongs to another volume; the scene is as it was.
        """
        known = {one.segmentId: one for one in self.on(volumeNode)}
        recovered = []
        for segmentId, stored in self.journals.read(path, volumeNode).items():
            existing = known.get(segmentId)
            if existing is not None and existing.session.to_json() == stored.session.to_json():
                recovered.append(existing)
            else:
                recovered.append(self._recoverOne(stored, volumeNode, makeSegment))
        self.journals.recovered(path)
        return recovered

    def _recoverOne(self, stored: JournaledObject, volumeNode, makeSegment: Callable[[str], tuple]) -> AnnotatedSegment:
        node, segmentId = makeSegment(f"{stored.about.get('segment', 'Object')} (recovered)")
        session = ReviewSession.from_json(stored.session.to_json())
        recovered = AnnotatedSegment(node, segmentId, volumeNode, stored.axis, session, stored.about)
        recovered.show(session.extent.indices)
        recovered.store()
        self.add(recovered)
        return recovered
