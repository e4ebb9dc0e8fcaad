"""SceneEvents: what happens to the scene and to the nodes of the work, brought to the logic. Imports slicer, vtk and the logic.

Background events, so nothing here opens a dialog: what goes wrong is handed to `attempt`, which shows it in the panel.
"""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk

from ..Coalescer import Coalescer
from ..Review.Logic import AnnotationLogic
from ..Scene.NodeWatcher import NodeWatcher, withNode, withText
from ..Views.PromptDrag import PromptDrag
from ..Views.ViewNavigator import sliceNodes

_EDIT_MILLISECONDS = 100
_VIEW_MILLISECONDS = 15


class SceneEvents:
    """Observes from `start` to `stop`.

    Args:
        logic: the steps.
        attempt: calls a step and shows what goes wrong.
        refresh: shows how things stand.
        refreshViews: shows which slice the views show, and what the mouse does.
        refreshWindow: shows the gray window.
        parametersChanged, closing, closed, importing, imported, saving, saved: told when the parameter node changes, and of the scene.
        addressed: told when the scene got another address, as it does for the moment in which it is written into an .mrb file.
        viewMoved: told at once when a slice view changes; it must be quick.
        segmentationCame, segmentationLeaves: told of a segmentation that is new in the scene, or about to leave it.
        nodeRemoved: told of a node that leaves.
        segmentRemoved: told of a segment that left, by its segmentation node and id.
    """

    def __init__(
        self,
        logic: AnnotationLogic,
        attempt: Callable,
        refresh: Callable[[], None],
        refreshViews: Callable[[], None],
        refreshWindow: Callable[[], None],
        *,
        parametersChanged: Callable[[], None],
        closing: Callable[[], None],
        closed: Callable[[], None],
        importing: Callable[[], None],
        imported: Callable[[], None],
        saving: Callable[[], None],
        saved: Callable[[], None],
        addressed: Callable[[], None],
        viewMoved: Callable[[], None],
        segmentationCame: Callable,
        segmentationLeaves: Callable,
        nodeRemoved: Callable,
        segmentRemoved: Callable,
    ):
        self._logic, self._attempt, self._refresh = logic, attempt, refresh
        self._parametersChanged, self._nodeRemoved, self._segmentRemoved = parametersChanged, nodeRemoved, segmentRemoved
        self._sceneSlots = {
            slicer.vtkMRMLScene.StartCloseEvent: closing,
            slicer.vtkMRMLScene.EndCloseEvent: closed,
            slicer.vtkMRMLScene.StartImportEvent: importing,
            slicer.vtkMRMLScene.EndImportEvent: imported,
            slicer.vtkMRMLScene.EndBatchProcessEvent: refresh,
            slicer.vtkMRMLScene.StartSaveEvent: saving,
            slicer.vtkMRMLScene.EndSaveEvent: saved,
            vtk.vtkCommand.ModifiedEvent: self._onSceneModified,
            slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent: withNode(self._onNodeRemoved),
            slicer.vtkMRMLScene.NodeAddedEvent: withNode(self._onNodeAdded),
            slicer.vtkMRMLScene.NodeRemovedEvent: withNode(self._onNodeCame),
        }
        self._addressed, self._url = addressed, logic.scene.GetURL()
        self._watcher = NodeWatcher()
        self._roi = PromptDrag(lambda continues: self._take(logic.syncFromRoi, continues))
        self._points = PromptDrag(lambda continues: self._take(logic.syncPoints, continues))
        self._edits = Coalescer(self._onEdits, _EDIT_MILLISECONDS)
        self._viewMoved, self._segmentationCame, self._segmentationLeaves = viewMoved, segmentationCame, segmentationLeaves
        self._views = Coalescer(refreshViews, _VIEW_MILLISECONDS)
        self._window = Coalescer(refreshWindow, _EDIT_MILLISECONDS)
        self._list = Coalescer(refresh, 0)
        self._removed: list[tuple] = []  # (segmentation node, segment id)
        self._segmentsGone = Coalescer(self._onSegmentsGone, 0)

    def start(self) -> None:
        """Begin to observe the scene; nodes follow with `follow`."""
        self._watcher.watch("scene", self._logic.scene, self._sceneSlots)

    def stop(self) -> None:
        """Observe nothing any more."""
        self._watcher.release()
        self._forgetWishes()

    def release(self) -> None:
        """Let go of every node; the scene itself stays observed."""
        self._watcher.releaseAllBut("scene")
        self._forgetWishes()

    def _forgetWishes(self) -> None:
        for one in (self._roi, self._points, self._edits, self._views, self._window, self._list, self._segmentsGone):
            one.stop()
        self._removed.clear()

    def follow(self) -> None:
        """Observe the nodes that the work is about now."""
        logic, watch = self._logic, self._watcher.watch
        if not logic.hasParameters:
            return
        parameters, annotated = logic.parameters, logic.current
        node = parameters.segmentation if annotated is None else annotated.segmentationNode
        volume = parameters.volume
        modified = vtk.vtkCommand.ModifiedEvent
        watch("parameters", parameters.parameterNode, {modified: self._onParameters})
        watch("roi", parameters.roi, _dragSlots(self._roi, (modified, slicer.vtkMRMLTransformableNode.TransformModifiedEvent)))
        for role in ("positivePoints", "negativePoints"):
            watch(role, getattr(parameters, role), _dragSlots(self._points, _POINT_EVENTS))
        watch("segmentation", None if node is None else node.GetSegmentation(), self._segmentationSlots())
        # A volume may be chosen as soon as its node is there, before its voxels are.
        watch("volume", volume, dict.fromkeys((modified, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent), self._list.ask))
        watch("masks", None if node is None else node.GetDisplayNode(), {modified: self._views.ask})
        watch("display", None if volume is None else volume.GetDisplayNode(), {modified: self._window.ask})
        interactionNode = slicer.app.applicationLogic().GetInteractionNode()
        watch("mouse", interactionNode, {slicer.vtkMRMLInteractionNode.InteractionModeChangedEvent: self._views.ask})
        for sliceNode in sliceNodes():
            watch(f"view {sliceNode.GetID()}", sliceNode, {modified: self._onViewChanged})
        layoutManager = slicer.app.layoutManager()
        layoutNode = None if layoutManager is None else layoutManager.layoutLogic().GetLayoutNode()
        watch("layout", layoutNode, {modified: self._views.ask})

    def _segmentationSlots(self) -> dict:
        segmentation = slicer.vtkSegmentation
        return {
            segmentation.SourceRepresentationModified: self._onSegmentDrawn,
            segmentation.SegmentRemoved: withText(self._onSegmentRemoved),
            segmentation.SegmentAdded: self._list.ask,
            segmentation.SegmentModified: self._onSegmentModified,
        }

    def _take(self, step: Callable[[bool], bool], continues: bool) -> bool:
        return self._logic.hasParameters and bool(self._attempt(step, continues))

    def _onViewChanged(self) -> None:
        self._viewMoved()
        self._views.ask()

    def _onParameters(self) -> None:
        if not self._logic.scene.IsBatchProcessing():
            self._parametersChanged()

    def _onSceneModified(self) -> None:
        scene = self._logic.scene
        before, self._url = self._url, scene.GetURL()
        if self._url != before and self._logic.hasParameters and not (scene.IsClosing() or scene.IsImporting()):
            self._addressed()

    def _onNodeRemoved(self, node) -> None:
        if not self._logic.scene.IsClosing():
            if node.IsA("vtkMRMLSegmentationNode"):
                self._segmentationLeaves(node)
            self._nodeRemoved(node)

    def _onNodeAdded(self, node) -> None:
        self._onNodeCame(node)
        if node is not None and node.IsA("vtkMRMLSegmentationNode") and not self._logic.scene.IsImporting():
            self._segmentationCame(node)

    def _onNodeCame(self, node) -> None:
        """A node came, or is gone: a volume to go on with, a view to follow, a segmentation that holds what a journal offers."""
        if node is not None and any(node.IsA(name) for name in _LISTED):
            self._list.ask()

    def _onSegmentModified(self) -> None:
        annotated = self._logic.current
        if annotated is None or not annotated.writing:  # else it only grew, for a slice that was computed
            self._list.ask()

    def _onSegmentDrawn(self) -> None:
        annotated = self._logic.current
        if annotated is not None and not annotated.writing:  # what we write ourselves is no edit
            self._edits.ask()

    def _onEdits(self) -> None:
        if self._logic.hasParameters:
            self._attempt(self._logic.noticeEdits)

    def _onSegmentRemoved(self, segmentId: str) -> None:
        if not self._logic.hasParameters or self._logic.scene.IsClosing():
            return
        parameters, annotated = self._logic.parameters, self._logic.current
        node = parameters.segmentation if annotated is None else annotated.segmentationNode
        if node is not None:  # its segments go first if the whole segmentation is deleted, so wait for what comes of it
            self._removed.append((node, segmentId))
            self._segmentsGone.ask()

    def _onSegmentsGone(self) -> None:
        removed, self._removed = self._removed, []
        for node, segmentId in removed:
            if self._logic.hasParameters and node.GetSegmentation().GetSegment(segmentId) is None:
                self._segmentRemoved(node, segmentId)


_LISTED = ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLSliceNode")
_POINT_EVENTS = (
    slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent,
    slicer.vtkMRMLMarkupsNode.PointModifiedEvent,
    slicer.vtkMRMLMarkupsNode.PointRemovedEvent,
)


def _dragSlots(drag: PromptDrag, events) -> dict:
    return {
        slicer.vtkMRMLMarkupsNode.PointStartInteractionEvent: drag.begin,
        slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent: drag.end,
        **dict.fromkeys(events, drag.changed),
    }
