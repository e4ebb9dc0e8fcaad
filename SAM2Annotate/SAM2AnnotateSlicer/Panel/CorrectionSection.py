"""CorrectionSection: the tools for one slice: Slicer's segment editor, worked from a few buttons. Imports slicer, vtk and RangeFill.

The editor widget itself is never shown: its pages of options are wider than the panel, and most of what they offer (sphere brush, other
segments, geometry) is nothing for one slice. It has an editor node of its own, which is not saved, so that the Segment Editor module's
settings stay as the user left them.
"""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk

from ..CheckedButton import setChecked
from ..Review.CorrectionEditor import SEGMENT_ID, CorrectionEditor
from ..Scene.NodeWatcher import NodeWatcher
from .RangeFill import RangeFill

EFFECTS = ("Paint", "Erase", "Draw")
THRESHOLD = "Threshold"  # is a tool of our own
_BRUSHES = ("Paint", "Erase")
_BRUSH_SIZE, _BRUSH_RELATIVE = "BrushRelativeDiameter", "BrushDiameterIsRelative"  # common parameters of the brushes


class CorrectionSection:
    """The tools; shown between `open` and `close`.

    Args:
        ui: the panel's widgets by name.
        scene: the MRML scene.
        drawing: holds the slice that is open.
        effectChanged: told when another tool may be active.
    """

    def __init__(self, ui, scene, drawing: CorrectionEditor, effectChanged: Callable[[], None]):
        self._ui, self._scene, self._effectChanged = ui, scene, effectChanged
        self._range = RangeFill(ui, scene, drawing)
        self._watcher = NodeWatcher()
        self._editorNode = None
        self._tool = ""
        self._buttons = {
            "Paint": ui.paintToolButton,
            "Erase": ui.eraseToolButton,
            "Draw": ui.drawToolButton,
            THRESHOLD: ui.thresholdToolButton,
        }
        self.editor = None  # made with the first correction: all its effects come with it
        self.node = None
        ui.brushSlider.connect("valueChanged(double)", self._onBrush)
        ui.correctionFrame.visible = False

    @property
    def isOpen(self) -> bool:
        """Whether a slice is being edited here."""
        return self.node is not None

    @property
    def effectName(self) -> str:
        """The active tool; "" if there is none."""
        if self._range.active:
            return THRESHOLD
        return "" if self._editorNode is None else self._editorNode.GetActiveEffectName() or ""

    def open(self, segmentationNode, volumeNode) -> None:
        """Show the tools for a node whose segment `SEGMENT_ID` is to be edited."""
        self.close()
        if self.editor is None:
            self.editor = self._makeEditor()
            self.editor.setMRMLScene(self._scene)
            self._editorNode = _makeEditorNode()
        self._scene.AddNode(self._editorNode)
        self.editor.setMRMLSegmentEditorNode(self._editorNode)
        events = (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLSegmentEditorNode.EffectParameterModified)
        self._watcher.watch("editor", self._editorNode, dict.fromkeys(events, self._onEditor))
        self.node = segmentationNode
        self.editor.setSegmentationNode(segmentationNode)
        self.editor.setSourceVolumeNode(volumeNode)
        self.editor.setCurrentSegmentID(SEGMENT_ID)
        self._ui.correctionFrame.visible = True
        self._tool = EFFECTS[0]
        self.resume()

    def close(self) -> None:
        """Hide the tools and let go of the slice. Does nothing if they are not shown."""
        if self.node is None:
            return
        self.suspend()
        self._watcher.release()
        self.editor.setSourceVolumeNode(None)
        self.editor.setSegmentationNode(None)
        self.node = None
        if self._editorNode.GetScene() is self._scene:  # the editor keeps it: without a node it complains in Slicer's log
            self._scene.RemoveNode(self._editorNode)
        self._ui.correctionFrame.visible = False
        self._effectChanged()

    def use(self, tool: str) -> None:
        """Take up a tool; the active one is put away."""
        if tool == self.effectName:
            self.putEffectAway()
        elif tool == THRESHOLD:
            self.editor.setActiveEffectByName("")
            self._range.start()
        else:
            self._range.stop()
            self.editor.setActiveEffectByName(tool)
        self._onEditor()

    def putEffectAway(self) -> bool:
        """End the active tool; returns whether there was one."""
        if not self.effectName:
            return False
        self._range.stop()
        self.editor.setActiveEffectByName("")
        self._onEditor()
        return True

    def fill(self) -> None:
        """Make the drawing what lies in the range of gray values, as one step of undo; then go on with Paint."""
        self._range.check()
        self.editor.saveStateForUndo()
        self._range.fill()
        self.use(EFFECTS[0])

    def suspend(self) -> None:
        """Let go of the views while the panel is not shown."""
        if self.node is not None:
            self._tool = self.effectName
            self.putEffectAway()
            self.editor.removeViewObservations()

    def resume(self) -> None:
        """Take the views again."""
        if self.node is not None:
            self.editor.setupViewObservations()
            if self._tool and self._tool != self.effectName:
                self.use(self._tool)
            self._onEditor()

    def undo(self) -> None:
        """Take back the last stroke."""
        self.editor.undo()

    def redo(self) -> None:
        """Do the stroke again that was taken back last."""
        self.editor.redo()

    def _onEditor(self, *_event) -> None:
        """Show which tool is active."""
        ui, tool = self._ui, self.effectName
        for name, button in self._buttons.items():
            setChecked(button, name == tool)
        ui.brushFrame.visible = tool in _BRUSHES
        ui.thresholdFrame.visible = tool == THRESHOLD
        size = self._editorNode.GetAttribute(_BRUSH_SIZE) if self._editorNode is not None else None
        if size:
            blocked = ui.brushSlider.blockSignals(True)
            ui.brushSlider.value = float(size)
            ui.brushSlider.blockSignals(blocked)
        self._effectChanged()

    def _onBrush(self, percent: float) -> None:
        brush = self.editor.effectByName(EFFECTS[0]) if self.isOpen else None
        if brush is not None:
            brush.setCommonParameter(_BRUSH_RELATIVE, 1)
            brush.setCommonParameter(_BRUSH_SIZE, percent)

    def _makeEditor(self):
        editor = slicer.qMRMLSegmentEditorWidget()
        editor.setObjectName("segmentEditorWidget")
        editor.setEffectNameOrder(EFFECTS)
        editor.unorderedEffectsVisible = False
        editor.autoShowSourceVolumeNode = False
        editor.setMaximumNumberOfUndoStates(20)
        for name in ("SegmentationNodeComboBox", "SourceVolumeNodeComboBox"):
            for selector in slicer.util.findChildren(editor, name=name):
                selector.noneEnabled = True  # or it chooses a node by itself while no slice is open
        self._ui.correctionPlace.layout().addWidget(editor)
        self._ui.correctionPlace.visible = False
        return editor


def _makeEditorNode():
    node = slicer.vtkMRMLSegmentEditorNode()
    node.SetName("SAM2Annotate correction")
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    return node
