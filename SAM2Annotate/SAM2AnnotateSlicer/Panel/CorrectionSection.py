"""CorrectionSection: Slicer's segment editor inside the panel, for one slice at a time. Imports slicer and vtk.

It has an editor node of its own, which is not saved, so that the Segment Editor module's settings stay as the user left them.
"""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk
from slicer.i18n import tr as _

from ..Review.CorrectionEditor import SEGMENT_ID
from ..Scene.NodeWatcher import NodeWatcher

EFFECTS = ("Paint", "Erase", "Draw", "Threshold")


class CorrectionSection:
    """The editor; shown between `open` and `close`.

    Args:
        frame: widget that is shown meanwhile.
        place: layout in it that takes the editor.
        scene: the MRML scene.
        effectChanged: told when another effect may be active.
    """

    def __init__(self, frame, place, scene, effectChanged: Callable[[], None]):
        self._frame, self._place, self._scene, self._effectChanged = frame, place, scene, effectChanged
        self._watcher = NodeWatcher()
        self._editorNode = None
        self._effect = ""
        self.editor = None  # made with the first correction: all its effects come with it
        self.node = None
        frame.visible = False

    @property
    def isOpen(self) -> bool:
        """Whether a slice is being edited here."""
        return self.node is not None

    @property
    def effectName(self) -> str:
        """The active effect; "" if there is none."""
        return "" if self._editorNode is None else self._editorNode.GetActiveEffectName() or ""

    def open(self, segmentationNode, volumeNode) -> None:
        """Show the editor on a node whose segment `SEGMENT_ID` is to be edited."""
        self.close()
        if self.editor is None:
            self.editor = self._makeEditor()
        self._editorNode = slicer.vtkMRMLSegmentEditorNode()
        self._editorNode.SetName("SAM2Annotate correction")
        self._editorNode.SetHideFromEditors(True)
        self._editorNode.SetSaveWithScene(False)
        self._scene.AddNode(self._editorNode)
        self._watcher.watch("editor", self._editorNode, {vtk.vtkCommand.ModifiedEvent: self._effectChanged})
        self.node = segmentationNode
        self.editor.setMRMLScene(self._scene)
        self.editor.setMRMLSegmentEditorNode(self._editorNode)
        self.editor.setSegmentationNode(segmentationNode)
        self.editor.setSourceVolumeNode(volumeNode)
        self.editor.setCurrentSegmentID(SEGMENT_ID)
        self._frame.visible = True
        self._effect = EFFECTS[0]
        self.resume()

    def close(self) -> None:
        """Hide the editor and let go of its nodes. Does nothing if it is not open."""
        if self.node is None:
            return
        self.suspend()
        self._watcher.release()
        self.editor.setSegmentationNode(None)
        self.editor.setSourceVolumeNode(None)
        self.editor.setMRMLSegmentEditorNode(None)
        editorNode, self._editorNode, self.node = self._editorNode, None, None
        if editorNode.GetScene() is self._scene:
            self._scene.RemoveNode(editorNode)
        self._frame.visible = False
        self._effectChanged()

    def putEffectAway(self) -> bool:
        """End the active effect; returns whether there was one."""
        if not self.effectName:
            return False
        self.editor.setActiveEffectByName("")
        return True

    def suspend(self) -> None:
        """Let go of the views while the panel is not shown."""
        if self.node is not None:
            self._effect = self.effectName
            self.editor.setActiveEffectByName("")
            self.editor.removeViewObservations()

    def resume(self) -> None:
        """Take the views again."""
        if self.node is not None:
            self.editor.setupViewObservations()
            self.editor.setActiveEffectByName(self._effect)

    def undo(self) -> None:
        """Take back the last stroke."""
        self.editor.undo()

    def redo(self) -> None:
        """Do the stroke again that was taken back last."""
        self.editor.redo()

    def _makeEditor(self):
        editor = slicer.qMRMLSegmentEditorWidget()
        editor.setObjectName("segmentEditorWidget")
        editor.toolTip = _("Edit the mask of this slice; nothing outside of it can be changed.")
        editor.setEffectNameOrder(EFFECTS)
        editor.unorderedEffectsVisible = False
        editor.effectColumnCount = len(EFFECTS) + 1
        editor.segmentationNodeSelectorVisible = False
        editor.sourceVolumeNodeSelectorVisible = False
        editor.maskingSectionVisible = False
        editor.specifyGeometryButtonVisible = False
        editor.show3DButtonVisible = False
        editor.addRemoveSegmentButtonsVisible = False
        editor.switchToSegmentationsButtonVisible = False
        editor.autoShowSourceVolumeNode = False
        editor.setMaximumNumberOfUndoStates(20)
        self._place.addWidget(editor)
        return editor
