"""AnnotationLogic: all steps of the work on MRML nodes, for panel and tests alike. Opens no dialog, knows no widget.

Whatever raises here carries a message for the user. Which object is worked on, and what becomes of objects when the scene changes, stands
in this file; prompting, computing and reviewing in the files that it is made of.
"""

from __future__ import annotations

from colorsys import hsv_to_rgb, rgb_to_hsv
from pathlib import Path

import numpy as np

from SAM2AnnotateLib.errors import PromptError
from SAM2AnnotateLib.review import ReviewSession
from SAM2AnnotateLib.review.journal import JournaledObject

from ..Scene import GrayWindow
from ..Scene.SceneBridge import newSegmentation, screenCorners, sliceAxis, sliceIndex, volumeFromNode, worldToIjk
from ..Scene.SegmentLabelmap import requireLabelmaps
from ..Told import told
from .AnnotatedSegment import AnnotatedSegment, boxAndExtent, stackOf, tagOf
from .PromptSteps import PromptSteps
from .ReviewSteps import ReviewSteps
from .Workspace import now

# Of the color of a new segment: a mask that is filled faintly is still told from the image below it.
_LEAST_SATURATION, _LEAST_VALUE = 0.6, 0.75


class AnnotationLogic(PromptSteps, ReviewSteps):
    """Annotates objects on the volume of the parameter node; see `Workspace` for its arguments and events."""

    # -- objects ----------------------------------------------------------------------------------------------------------------------

    def drawBox(self, sliceNode, cornersWorld) -> AnnotatedSegment:
        """Mark a new object, or the current one anew, by two opposite corners of a box in a slice view.

        Args:
            sliceNode: the view that it was drawn in.
            cornersWorld: two points in world RAS.

        Raises:
            PromptError: if the box lies outside the volume, or the current object's center slice is locked.
        """
        volumeNode = self.volumeNode
        axis, _parallel = sliceAxis(sliceNode, volumeNode)
        index = sliceIndex(sliceNode, volumeNode, axis)
        corners = worldToIjk(volumeNode, screenCorners(sliceNode, cornersWorld))
        edges = np.floor(np.column_stack([corners.min(axis=0), corners.max(axis=0)]) + 0.5).astype(int)
        bounds = np.column_stack([edges[:, 0], edges[:, 1] + 1])
        at = "ijk".index(axis)
        bounds[at] = index, index + 1
        sizes = np.array(volumeNode.GetImageData().GetDimensions())
        if np.any(bounds[:, 1] <= 0) or np.any(bounds[:, 0] >= sizes):
            raise PromptError("The box lies outside the volume. Draw it on the picture.")
        bounds = np.column_stack([np.maximum(bounds[:, 0], 0), np.minimum(bounds[:, 1], sizes)])
        return self.markObject(axis, index, bounds)

    def markObject(self, axis: str, centerIndex: int, boundsIjk) -> AnnotatedSegment:
        """Mark an object by voxel bounds: its box on the slice `centerIndex` along `axis`, its extent the bounds along it.

        The current object is marked anew as long as nothing of it is accepted or corrected; otherwise press 'Next object' first.

        Args:
            axis: index axis of the slices.
            centerIndex: voxel index of the slice with the box.
            boundsIjk: (3, 2) half-open voxel bounds of i, j, k.

        Raises:
            PromptError: if the current object has locked slices, or the center slice lies outside the bounds.
        """
        volumeNode = self.volumeNode
        stack = stackOf(volumeNode, axis)
        box, extent = boxAndExtent(stack, np.asarray(boundsIjk))
        center = stack.position_of(centerIndex)
        current = self.current
        if current is not None and current.session.locked:
            raise PromptError(
                f"'{current.name}' already has accepted or corrected slices, which a new box would throw away. "
                "Drag the sides of its box to change it, or press 'Next object'."
            )
        values = stack.frame(volumeFromNode(volumeNode).array_kji, center)[box.slices_rc]
        mapping = self.mapping(values)
        if current is not None:
            self._abandonRun()
            self.cancel()
            if current.axis == axis and current.volumeNode is volumeNode:
                current.markAnew(center, box, extent)
                current.effort.note("box")
                self._setCurrent(current)
                self._store()
                self.preview()
                return current
            if len(current.session.results) > 1:
                raise PromptError(
                    f"'{current.name}' has masks along another direction. Press 'Next object' to mark one along this direction."
                )
            current.clear()
        segmentationNode, segmentId = self._segmentForObject()
        annotated = AnnotatedSegment.begin(segmentationNode, segmentId, volumeNode, axis, center, box, extent)
        annotated.about |= {"started": now(), "mapping": mapping.to_json(), "roi": str(self.policy)}
        if current is not None:
            annotated.effort, annotated.lineage = current.effort, current.lineage.continued()
        annotated.effort.note("box")
        begun, isChosen = self.nextLearned, self.nextLearned is not None or self.nextAsItCame or current is not None
        if not isChosen:
            begun = self.learnedFor(annotated)
        self.nextLearned, self.nextAsItCame = None, False
        if begun is not None:
            annotated.about["learned"] = begun.toJson()
        self.showWindow()
        self._setCurrent(annotated)
        self._store()
        self.preview()
        if begun is not None and not isChosen:
            self._say(
                f"'{annotated.name}' begins with what the worklist learned of it ({begun.sha256[:8]}). 'Forget', under 'Review', goes back."
            )
        return annotated

    def addObject(self, name: str, axis: str, session: ReviewSession, about: dict) -> AnnotatedSegment:
        """Show an object that was proposed elsewhere, in a new segment of the chosen volume.

        Args:
            name: of the segment.
            axis: index axis of the slices.
            session: its review, on the volume's slices.
            about: what else is kept of it; with its ``center``, a position.
        """
        segmentationNode, segmentId = self._newSegment(name)
        annotated = AnnotatedSegment(segmentationNode, segmentId, self.volumeNode, axis, session, about)
        annotated.show(session.extent.indices)
        self.keeper.add(annotated)
        annotated.store()
        return annotated

    def chooseVolume(self, volumeNode) -> None:
        """Go on with another volume. Its objects get a segmentation of their own, unless the chosen one is empty or theirs already."""
        if self.current is not None and self.current.volumeNode is not volumeNode:
            self.leaveObject()
        parameters = self.parameters
        if parameters.volume is not volumeNode:
            parameters.volume = volumeNode
        volumes = [one.volumeNode for one in self.keeper.all() if one.segmentationNode is parameters.segmentation]
        if volumes and volumeNode not in volumes:
            own = self.keeper.on(volumeNode)
            parameters.segmentation = own[-1].segmentationNode if own else None
            parameters.segmentId = ""

    def nextObject(self) -> None:
        """Keep the current object and make ready for a box around another, which gets a segment of its own."""
        self.leaveObject()
        self.parameters.segmentId = ""
        self.parameters.newSegmentName = ""
        self.parameters.newSegmentTerminology = self.parameters.newSegmentColor = ""

    def leaveObject(self) -> None:
        """Keep the current object and let go of it."""
        self._abandonRun()
        self.cancel()
        self.editor.leave()
        self._store()
        self._setCurrent(None)

    def selectSegment(self, segmentationNode, segmentId: str) -> AnnotatedSegment | None:
        """Go on with a segment of the scene; returns its object, None if it has not been annotated here yet.

        Raises:
            InputError: if what is kept of it cannot be used.
        """
        current = self.current
        if current is not None and current.inCharge and (current.segmentationNode, current.segmentId) == (segmentationNode, segmentId):
            return current
        self.leaveObject()
        self.parameters.segmentation, self.parameters.segmentId = segmentationNode, segmentId or ""
        if segmentationNode is None or not segmentId:
            return None
        annotated = self.keeper.find(segmentationNode, segmentId)
        if annotated is not None:
            self.parameters.volume = annotated.volumeNode
            self._setCurrent(annotated)
            self.noticeEdits()
            self.followOverlap()
        return annotated

    def restoreObjects(self) -> list[AnnotatedSegment]:
        """Read every object that the scene keeps, after it was loaded; makes the parameter node's segment the current one."""
        for error in self.keeper.readScene():
            self._say(told(error), error=True)
        parameters, annotated = self.parameters, None
        if parameters.segmentation is not None and parameters.segmentId:
            key = (parameters.segmentation, parameters.segmentId)
            annotated = next((one for one in self.keeper.all() if (one.segmentationNode, one.segmentId) == key), None)
        self._setCurrent(annotated)
        if annotated is not None:
            displayNode = annotated.segmentationNode.GetDisplayNode()
            if displayNode is not None:  # it is hidden if the scene was saved while one of its slices was open in the editor
                displayNode.SetSegmentVisibility(annotated.segmentId, True)
            self._noticeEditsQuietly()
        return self.keeper.all()

    # -- keeping, recovering ----------------------------------------------------------------------------------------------------------

    def storeNow(self) -> None:
        """Bring the tags of all objects, and the journal, up to date, e.g. before the scene is saved."""
        self.keeper.storeTags()
        self._store()

    def recoverable(self) -> Path | None:
        """The journal of the chosen volume that holds what the scene lacks, or holds older; None if there is none."""
        volumeNode = self._parameters.volume if self._parameters is not None else None
        return None if volumeNode is None or volumeNode.GetImageData() is None else self.keeper.recoverable(volumeNode)

    def recover(self, path: str | Path) -> list[AnnotatedSegment]:
        """Bring the objects of a journal into the scene, and go on as before the crash: gray window, model, box.

        An object that the scene holds older is brought up to date in its segment; the others get new segments.

        Raises:
            InputError: if the journal is damaged or belongs to another volume; the scene is as it was.
        """
        volumeNode = self.volumeNode
        self.keeper.journals.read(path, volumeNode)  # a journal that cannot be used changes nothing
        self.leaveObject()
        recovered = self.keeper.recover(path, volumeNode, self._segmentFor)
        if recovered:
            self._resume(recovered[-1])
            self._store()  # the journal of this session has them from now on
        self.keeper.journals.recovered(path, volumeNode)
        return recovered

    def _resume(self, annotated: AnnotatedSegment) -> None:
        """Make an object the current one as it was worked on: with the gray window and the model that it was computed with."""
        parameters, mapping = self.parameters, annotated.about.get("mapping")
        if mapping:
            shown = mapping["name"] == GrayWindow.AS_SHOWN  # by the views of then
            parameters.window = f"{mapping['lower']},{mapping['upper']}" if shown else GrayWindow.AUTO
            self._grays.settle(annotated.volumeNode, mapping, anew=True)
        if annotated.about.get("model"):
            parameters.model = annotated.about["model"]
            self.setParameters(parameters)
        self.selectSegment(annotated.segmentationNode, annotated.segmentId)
        if mapping:
            self.showWindow()

    def _segmentFor(self, stored: JournaledObject):
        """A new segment for an object that the scene lacks, as it was called and coded; another name only where that is taken."""
        about = stored.about
        wanted = str(about.get("segment") or "Object")
        node = self.parameters.segmentation
        taken = set() if node is None else _segmentNames(node.GetSegmentation())
        names = [wanted, f"{wanted} (recovered)", *(f"{wanted} (recovered {n})" for n in range(2, len(taken) + 2))]
        node, segmentId = self._newSegment(next(name for name in names if name not in taken))
        segment = node.GetSegmentation().GetSegment(segmentId)
        if about.get("terminology"):
            segment.SetTerminology(about["terminology"])
        if about.get("color"):
            segment.SetColor(*about["color"])
        return node, segmentId

    # -- the scene --------------------------------------------------------------------------------------------------------------------

    def sceneClosing(self) -> None:
        """The scene is about to be closed: stop, and let go of every node. The journal stays."""
        self._abandonRun()
        self.cancel()
        self.editor.leave()
        self._attend(None)
        self.keeper.forgetAll()
        self.service.forgetVolumes()
        self._grays.forget()
        self.setParameters(None)
        self.objectChanged.emit()

    def nodeRemoved(self, node) -> None:
        """A node is leaving the scene: let go of what needs it, and say what that means."""
        if self.editor.active and node is self.editor.node:
            self.editor.leave()
            self._say("The slice that was being corrected was removed from the scene; its segment is as before.", error=True)
        annotated = self.current
        if annotated is not None and (node is annotated.volumeNode or node is annotated.segmentationNode):
            self._abandonRun()
            self.cancel()
            self.editor.leave()
            what = "volume" if node is annotated.volumeNode else "segmentation"
            self._setCurrent(None)
            self.parameters.segmentId = ""  # the next box must not go into this object's segment
            kept = "Its segment stays as it is." if what == "volume" else "The journal still holds it: choose the volume to recover it."
            self._say(f"The {what} '{node.GetName()}' was removed from the scene, so the review of its object ended. {kept}", error=True)
        elif self._parameters is not None and node is self._parameters.roi and annotated is not None:
            self._say("The box was removed from the scene; the object stays. Press 'Draw box' to mark it anew.", error=True)
        self.keeper.forgetNode(node)
        if node.IsA("vtkMRMLVolumeNode"):
            self.service.forgetVolume(node.GetID())
        self.changed.emit()

    def segmentRemoved(self, segmentationNode, segmentId: str) -> None:
        """A segment was removed from its segmentation."""
        self.keeper.forgetSegment(segmentationNode, segmentId)
        annotated = self.current
        if annotated is not None and (annotated.segmentationNode, annotated.segmentId) == (segmentationNode, segmentId):
            self._abandonRun()
            self.cancel()
            self.editor.leave()
            self._setCurrent(None)
            self.parameters.segmentId = ""
            self._say("The segment was removed, so the review of its object ended. The journal still holds it.", error=True)
        self.changed.emit()

    # -- within -----------------------------------------------------------------------------------------------------------------------

    def _segmentForObject(self):
        """The chosen segment, or a new one; and a new segmentation if none is chosen."""
        node, segmentId = self.parameters.segmentation, self.parameters.segmentId
        if node is not None:
            requireLabelmaps(node)
        there = node is not None and segmentId and node.GetSegmentation().GetSegment(segmentId) is not None
        mine = self.current is not None and (self.current.segmentationNode, self.current.segmentId) == (node, segmentId)
        if there and (mine or not tagOf(node, segmentId)):  # another object's segment is not written into
            return node, segmentId
        return self._newSegment(self.parameters.newSegmentName.strip(), self.parameters.newSegmentTerminology)

    def _newSegment(self, name: str = "", terminology: str = ""):
        """A new segment in the chosen segmentation, or in a new one; becomes the chosen one."""
        parameters = self.parameters
        node = parameters.segmentation
        if node is not None:
            requireLabelmaps(node)
        else:
            node = parameters.segmentation = newSegmentation(self.volumeNode)
        segmentation = node.GetSegmentation()
        segmentId = segmentation.AddEmptySegment("", name or _freeName(segmentation))
        segment = segmentation.GetSegment(segmentId)
        if terminology:
            segment.SetTerminology(terminology)
        if terminology and self.parameters.newSegmentColor:
            segment.SetColor(*(float(part) for part in self.parameters.newSegmentColor.split(",")))
        else:
            segment.SetColor(*_toldFromGrays(segment.GetColor()))
        parameters.segmentId = segmentId
        return node, segmentId


def _toldFromGrays(rgb: tuple[float, float, float]) -> tuple[float, float, float]:
    """A color that Slicer drew lots for, 0..1 each, in the same hue if it could be taken for a gray of the image."""
    hue, saturation, value = rgb_to_hsv(*rgb)
    return hsv_to_rgb(hue, max(saturation, _LEAST_SATURATION), max(value, _LEAST_VALUE))


def _segmentNames(segmentation) -> set[str]:
    return {segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())}


def _freeName(segmentation) -> str:
    taken = _segmentNames(segmentation)
    return next(name for name in (f"Object {n}" for n in range(1, len(taken) + 2)) if name not in taken)
