"""Worklist: going from case to case of a folder, so that nothing is lost in between. Opens no dialog, knows no widget.

The order is what keeps the work: first the segmentation is written whole beside its volume, then the scene is closed, then the next case is
loaded. Whatever fails leaves the step before it as it was.
"""

from __future__ import annotations

from pathlib import Path

import slicer
import vtk

from SAM2AnnotateLib.errors import InputError, OutputError, PromptError
from SAM2AnnotateLib.nnunet.sources import read_image
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.review.doubts import session_doubts

from ..Dicom.SeriesFiles import FOLDER, INSTANCES, SHIFTED
from ..Event import Event
from ..Review.AnnotatedSegment import AnnotatedSegment
from ..Review.Logic import AnnotationLogic
from ..Scene.SceneBridge import segmentationName, volumeFromNode
from ..Scene.SegmentationFile import storedPath, writeSegmentation
from ..Told import told
from . import CaseProposals
from .WorklistFolder import WorklistCase, WorklistFolder

_ATTRIBUTE = "SAM2Annotate.WorklistCase"  # of a volume's node, and of its segmentation's: the path of the case


class Worklist:
    """Opens and saves cases.

    Args:
        logic: the steps of the work.

    Attributes:
        folder: the folder of volumes; None before one is chosen.
        untilt: whether slices of a tilted gantry are shifted back; such a series is refused otherwise.
        saved: (WorklistCase) told when a case was saved.
    """

    def __init__(self, logic: AnnotationLogic):
        self._logic = logic
        self.folder: WorklistFolder | None = None
        self.untilt = False
        self.saved = Event()

    def openFolder(self, path: str) -> None:
        """Work on another folder. Raises InputError."""
        self.folder = None
        self.folder = WorklistFolder(path)

    @property
    def current(self) -> WorklistCase | None:
        """The case that the chosen volume is; None if it is none of the folder."""
        if self.folder is None or not self._logic.hasParameters or self._logic.parameters.volume is None:
            return None
        return self._caseOf(self._logic.parameters.volume)

    def unsaved(self) -> list[str]:
        """Names of what would be lost with the scene, besides what `save` writes."""
        scene, logic = self._logic.scene, self._logic
        kept = {self._segmentationOf(logic.parameters.volume), logic.parameters.volume} if self.current is not None else set()
        kept |= {logic.parameters.roi, logic.parameters.positivePoints, logic.parameters.negativePoints}
        nodes = vtk.vtkCollection()
        scene.GetStorableNodesModifiedSinceRead(nodes)
        found = [nodes.GetItemAsObject(n) for n in range(nodes.GetNumberOfItems())]
        return [node.GetName() for node in found if node not in kept and node.GetSaveWithScene() and not node.GetHideFromEditors()]

    def save(self) -> Path | None:
        """Write the case's segmentation beside its volume, whole or not at all; returns its file, None if there is no segment yet.

        Raises:
            PromptError: if the volume is no case of the folder, its objects lie in several segmentations, or the case's file holds another
                segmentation than the scene's.
            OutputError: if it cannot be written; the last file stands.
        """
        case, logic = self.current, self._logic
        if case is None or self.folder is None:
            raise PromptError("The chosen volume is none of the worklist. Open a case first.")
        node = self._segmentationOf(logic.parameters.volume)
        if node is None or node.GetSegmentation().GetNumberOfSegments() == 0:
            return None
        self._requireOwnFile(node, case)
        logic.noticeEdits()
        for one in logic.keeper.on(logic.parameters.volume):
            logic.keeper.store(one)
        failure = writeSegmentation(node, str(case.segmentation))
        if failure:
            raise OutputError(failure)
        node.SetAttribute(_ATTRIBUTE, str(case.path))
        logic.keeper.noticeSaved()
        self.folder.noteBegun(case)
        CaseProposals.remove(case)  # it is the person's now
        self.saved.emit(case)
        return case.segmentation

    def goTo(self, case: WorklistCase) -> tuple[str, ...]:
        """Save the current case, close the scene, load another.

        Returns:
            What reading its DICOM series had to settle or assume, for the person.

        Raises:
            OutputError: if saving failed; the scene is as it was.
            InputError: if the other case cannot be loaded; the saved one is on the disk.
        """
        if self.folder is None:
            raise PromptError("Choose a folder first.")
        if not case.path.exists():
            raise InputError(f"'{case.path}' is gone. Press 'Refresh'.")
        if self.current is not None:
            self.save()
        elif self._logic.hasParameters:
            self._logic.leaveObject()
        drawn = self._firstDrawn()
        self._logic.scene.Clear(False)
        volumeNode, notes = _loadVolume(case, self.untilt)
        volumeNode.SetAttribute(_ATTRIBUTE, str(case.path))
        segmentationNode = self._loadSegmentation(case, volumeNode)
        logic = self._logic
        logic.chooseVolume(volumeNode)
        if segmentationNode is not None:
            logic.parameters.segmentation = segmentationNode
            logic.restoreObjects()
            self._selectMostDoubtful(segmentationNode)
        else:
            self._showProposal(case, volumeNode)
            if not logic.keeper.on(volumeNode):
                logic.parameters.newSegmentName, logic.parameters.newSegmentTerminology, logic.parameters.newSegmentColor = drawn
        self.folder.noteBegun(case)
        return notes

    def next(self) -> WorklistCase | None:
        """The case to go on with, see `CaseProposals.nextCase`; None if there is none."""
        current = self.current
        return None if self.folder is None else CaseProposals.nextCase(self.folder, None if current is None else current.name)

    def _firstDrawn(self) -> tuple[str, str, str]:
        """Name, terminology and color of the first object of the case that is left: most often the next case shows the same."""
        objects = self._logic.keeper.on(self._logic.parameters.volume) if self.current is not None else []
        if not objects:
            return "", "", ""
        segment = objects[0].segment
        return segment.GetName(), segment.GetTerminology() or "", ",".join(f"{part:g}" for part in segment.GetColor())

    def _showProposal(self, case: WorklistCase, volumeNode) -> None:
        """Show what was proposed for a case as objects to review, the first of them to begin with; what cannot be used is told."""
        logic = self._logic
        try:
            proposed = CaseProposals.load(case, volumeFromNode(volumeNode).grid)
        except InputError as error:
            logic.message.emit(told(error), True)
            return
        added = [logic.addObject(*one) for one in proposed]
        if added:
            logic.selectSegment(added[0].segmentationNode, added[0].segmentId)

    def noteExported(self, volumeNode, dataSet: str) -> None:
        """A volume was written to a data set: if it is a case, remember that. Raises OutputError."""
        case = self._caseOf(volumeNode)
        if case is not None and self.folder is not None:
            self.folder.noteExported(case, dataSet, [one.session for one in self._logic.keeper.on(volumeNode)])

    # -- within -----------------------------------------------------------------------------------------------------------------------

    def _caseOf(self, volumeNode) -> WorklistCase | None:
        if self.folder is None:
            return None
        path = volumeNode.GetAttribute(_ATTRIBUTE)
        return next((case for case in self.folder.cases() if str(case.path) == path), None)

    def _segmentationOf(self, volumeNode):
        """The one segmentation of the case. Raises PromptError if there are several."""
        nodes = {one.segmentationNode.GetID(): one.segmentationNode for one in self._logic.keeper.on(volumeNode)}
        chosen = self._logic.parameters.segmentation
        if chosen is not None:
            nodes[chosen.GetID()] = chosen
        if len(nodes) > 1:
            names = ", ".join(f"'{node.GetName()}'" for node in nodes.values())
            raise PromptError(
                f"The segments of this case lie in several segmentations ({names}), but a case has one file. Move them into one."
            )
        return next(iter(nodes.values()), None)

    @staticmethod
    def _requireOwnFile(node, case: WorklistCase) -> None:
        """Raise PromptError if saving would replace a file that the segmentation did not come from."""
        own = node.GetAttribute(_ATTRIBUTE) == str(case.path) or Path(storedPath(node) or ".") == case.segmentation
        if case.segmentation.is_file() and not own:
            raise PromptError(
                f"'{case.segmentation}' is there already and holds another segmentation than '{node.GetName()}', which would replace it. "
                "Choose the one that was loaded from that file, or move the file away; then save again."
            )

    def _loadSegmentation(self, case: WorklistCase, volumeNode):
        if not case.segmentation.is_file():
            return None
        try:
            node = slicer.util.loadSegmentation(str(case.segmentation))
        except RuntimeError as exc:
            raise InputError(f"The segmentation '{case.segmentation}' cannot be loaded. It may be damaged; its volume is open.") from exc
        node.SetName(segmentationName(volumeNode))  # Slicer would number it: the volume has the file's name already
        node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
        node.SetAttribute(_ATTRIBUTE, str(case.path))
        return node

    def _selectMostDoubtful(self, segmentationNode) -> None:
        """Go on with the object that has the most doubtful slice of those to look at, else with the first."""
        locked = (SliceStatus.ACCEPTED, SliceStatus.CORRECTED)
        objects = [one for one in self._logic.keeper.all() if one.segmentationNode is segmentationNode]
        undecided = [one for one in objects if any(one.session.status(p) not in locked for p in one.session.extent.indices)]
        if objects:
            self._logic.selectSegment(segmentationNode, max(undecided or objects[:1], key=_greatestDoubt).segmentId)


def _greatestDoubt(annotated: AnnotatedSegment) -> float:
    """Of any of its open slices; 0 if none has a mask."""
    return max((doubt.value for doubt in session_doubts(annotated.session, annotated.stack).values()), default=0.0)


def _loadVolume(case: WorklistCase, untilt: bool):
    """The volume's node, and what reading it had to settle. Raises InputError."""
    if case.path.is_dir():
        return _loadSeries(case, untilt)
    try:
        node = slicer.util.loadVolume(str(case.path))
    except RuntimeError as exc:
        raise InputError(f"The volume '{case.path}' cannot be loaded. Is it damaged?") from exc
    node.SetName(case.name)
    return node, ()


def _loadSeries(case: WorklistCase, untilt: bool):
    """A folder with one DICOM series, read by the library, with what it says about patient and modality; and its notes."""
    image = read_image(case.path, untilt=untilt)
    scene = slicer.mrmlScene
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", case.name)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(image.volume.grid.ijk_to_ras))
    slicer.util.updateVolumeFromArray(node, image.volume.array_kji)
    node.CreateDefaultDisplayNodes()
    if image.slices:
        node.SetAttribute(FOLDER, str(case.path))
        node.SetAttribute(INSTANCES, " ".join(dict.fromkeys(one.sop_uid for one in image.slices)))
    else:
        node.SetAttribute(SHIFTED, "1")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    if image.volume.modality:
        hierarchy.SetItemAttribute(item, "DICOM.Modality", image.volume.modality)
    if image.patient_id:
        patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), image.patient_id)
        hierarchy.SetItemAttribute(patient, "DICOM.PatientID", image.patient_id)
        hierarchy.SetItemParent(item, patient)
    return node, image.volume.notes
