"""Stand-in for qMRMLSegmentEditorWidget: the segment editor without its effects' mouse work. Imports PySide6, VTK and slicer-core.

Real: the editing (vtkSlicerSegmentEditorLogic of slicer-core, with masking by segments and intensity, overwrite mode, undo and redo) and
the editor node, which stays the only place of the settings. Stand-in: buttons, list of segments, and effect objects that hold parameters.
Effects do not follow the mouse; `segment_editing.paint` and its like do what their brush would have done.
"""

from __future__ import annotations

import slicer
import vtk
from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QApplication,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStyle,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from .. import errors
from ..registry import stand_in
from .node_widgets import NodeComboBox
from .scene_widgets import MRMLWidget, SceneObserver, add_flags
from .segment_editor_effects import EFFECT_NAMES, SegmentEditorEffect
from .segment_editor_options import options_of
from .segment_widgets import SegmentsTableView

# Keys that installKeyboardShortcuts() takes, as the shared facts list them.
SHORTCUT_KEYS = (
    *(str(digit) for digit in range(10)),
    *(f"Shift+{digit}" for digit in range(10)),
    *("Esc", "Space", "Z", "Y", "Ctrl+Z", "Ctrl+Y", "Q", "W", "/", "*", ",", ".", "<", ">", "I"),
)


@stand_in("qMRMLSegmentEditorWidget")
class SegmentEditorWidget(MRMLWidget):
    """The segment editor."""

    currentSegmentIDChanged = Signal(str)
    sourceVolumeNodeChanged = Signal(object)
    masterVolumeNodeChanged = Signal(object)
    segmentationNodeChanged = Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._editor_node = None
        self._node_observer = SceneObserver(self)
        self._scene_observer = SceneObserver(self)
        self._seen = ("", "", "")
        self._view_observations = False
        self._shortcuts: list[QShortcut] = []
        self._flags = dict.fromkeys(_FLAG_PROPERTIES, True)
        self._flags["readOnly"] = False
        self._values = {"effectButtonStyle": Qt.ToolButtonStyle.ToolButtonTextUnderIcon, "effectColumnCount": 3}
        self._effects = {name: SegmentEditorEffect(name, self) for name in EFFECT_NAMES}
        self._effect_order: list[str] = []
        self._unordered_visible = True
        self._segmentation_selector = self._selector("SegmentationNodeComboBox", "vtkMRMLSegmentationNode", self.setSegmentationNode)
        self._segmentation_selector.setNoneEnabled(False)  # so it chooses a segmentation by itself
        self._volume_selector = self._selector("SourceVolumeNodeComboBox", "vtkMRMLScalarVolumeNode", self.setSourceVolumeNode)
        self._table = SegmentsTableView()
        self._table.setObjectName("SegmentsTableView")
        self._table.selectionChanged.connect(self._on_table_selection)
        self._effects_box = QWidget(objectName="EffectsGroupBox")
        self._effects_layout = QGridLayout(self._effects_box)
        self._effects_layout.setContentsMargins(0, 0, 0, 0)
        self._undo_button = QPushButton("Undo", clicked=self.undo)
        self._redo_button = QPushButton("Redo", clicked=self.redo)
        self._undo_box = QWidget(objectName="UndoRedoGroupBox")
        undo_layout = QHBoxLayout(self._undo_box)
        undo_layout.setContentsMargins(0, 0, 0, 0)
        undo_layout.addWidget(self._undo_button)
        undo_layout.addWidget(self._redo_button)
        self._options_box = QGroupBox(objectName="OptionsGroupBox")
        self._pages = {name: options_of(name) for name in EFFECT_NAMES}
        pages = QVBoxLayout(self._options_box)
        for page in self._pages.values():
            page.hide()
            pages.addWidget(page)
        self._masking_box = QGroupBox("Masking", objectName="MaskingGroupBox")
        self._masking_label = QLabel()
        QVBoxLayout(self._masking_box).addWidget(self._masking_label)
        layout = QVBoxLayout(self)
        layout.addWidget(self._segmentation_selector)
        layout.addWidget(self._volume_selector)
        columns, effects, pages = QHBoxLayout(), QVBoxLayout(), QVBoxLayout()  # as in qMRMLSegmentEditorWidget.ui: effects beside options
        for column, widgets in (
            (effects, (self._effects_box, self._undo_box)),
            (pages, (self._table, self._options_box, self._masking_box)),
        ):
            for widget in widgets:
                column.addWidget(widget)
            column.addStretch()
            columns.addLayout(column)
        layout.addLayout(columns)
        self._lay_out_effects()
        self._update()

    def _selector(self, object_name: str, node_type: str, slot) -> NodeComboBox:
        selector = NodeComboBox()
        selector.setObjectName(object_name)
        selector.setNodeTypes([node_type])
        selector.setNoneEnabled(True)
        selector.currentNodeChanged.connect(lambda node: self._on_selected(slot, node))
        return selector

    def _on_selected(self, slot, node) -> None:
        if self._editor_node is not None:
            slot(node)
        elif node is not None:
            errors.complain("[CRITICAL] qMRMLSegmentEditorWidget: Invalid segment editor parameter set node")

    # Nodes.

    def setMRMLScene(self, scene):
        super().setMRMLScene(scene)
        self._logic.SetMRMLScene(scene)
        self._scene_observer.observe(scene, {slicer.vtkMRMLScene.EndCloseEvent: self._update})
        for selector in (self._segmentation_selector, self._volume_selector):
            with QSignalBlocker(selector):  # as Slicer does, so that the first node that it finds is not taken
                selector.setMRMLScene(scene)
        self._update()

    def logic(self):
        """Host only: slicer-core's editor."""
        return self._logic

    def required_node(self):
        """Host only: the editor node; RuntimeError if there is none."""
        if self._editor_node is None:
            raise RuntimeError("the segment editor widget has no editor node: call setMRMLSegmentEditorNode first")
        return self._editor_node

    def mrmlSegmentEditorNode(self):
        return self._editor_node

    def setMRMLSegmentEditorNode(self, node):
        if node is self._editor_node:
            return
        if node is None and self._scene is not None:  # a real one said so once a correction, at some moment after it was taken away
            errors.complain("[CRITICAL] qMRMLSegmentEditorWidget: Invalid segment editor parameter set node")
        self._editor_node = node
        self._logic.SetSegmentEditorNode(node)
        self._node_observer.observe(node, {vtk.vtkCommand.ModifiedEvent: self._update})
        self._update()

    def segmentationNode(self):
        return self._editor_node.GetSegmentationNode() if self._editor_node is not None else None

    def segmentationNodeID(self):
        node = self.segmentationNode()
        return "" if node is None else node.GetID()

    def setSegmentationNode(self, node):
        if node is not self.segmentationNode():
            editor_node = self.required_node()
            was_modifying = editor_node.StartModify()
            editor_node.SetAndObserveSegmentationNode(node)
            segmentation = node.GetSegmentation() if node is not None else None
            first = segmentation.GetNthSegmentID(0) if segmentation is not None and segmentation.GetNumberOfSegments() else ""
            editor_node.SetSelectedSegmentID(first)
            editor_node.EndModify(was_modifying)
            self._logic.ClearUndoState()

    def setSegmentationNodeID(self, node_id):
        self.setSegmentationNode(self._scene.GetNodeByID(node_id) if node_id else None)

    def sourceVolumeNode(self):
        return self._editor_node.GetSourceVolumeNode() if self._editor_node is not None else None

    def sourceVolumeNodeID(self):
        node = self.sourceVolumeNode()
        return "" if node is None else node.GetID()

    def setSourceVolumeNode(self, node):
        if node is not self.sourceVolumeNode():
            self.required_node().SetAndObserveSourceVolumeNode(node)
            segmentation_node = self.segmentationNode()
            if node is not None and segmentation_node is not None and not segmentation_node.GetSegmentation().GetNumberOfSegments():
                segmentation_node.SetReferenceImageGeometryParameterFromVolumeNode(node)

    def setSourceVolumeNodeID(self, node_id):
        self.setSourceVolumeNode(self._scene.GetNodeByID(node_id) if node_id else None)

    def currentSegmentID(self):
        return (self._editor_node.GetSelectedSegmentID() or "") if self._editor_node is not None else ""

    def setCurrentSegmentID(self, segment_id):
        if segment_id != self.currentSegmentID():
            self.required_node().SetSelectedSegmentID(segment_id)

    def updateWidgetFromMRML(self):
        self._update()

    def _update(self) -> None:
        """Show the editor node as it is, and tell what changed."""
        segmentation_node, volume = self.segmentationNode(), self.sourceVolumeNode()
        if self._editor_node is not None and self._scene is not None:
            self._segmentation_selector.setCurrentNode(segmentation_node)
            self._volume_selector.setCurrentNode(volume)
        self._table.setSegmentationNode(segmentation_node)
        self._table.setSelectedSegmentIDs([self.currentSegmentID()] if self.currentSegmentID() else [])
        name = self._editor_node.GetActiveEffectName() if self._editor_node is not None else None
        for effect_name, button in self._buttons.items():
            button.setChecked(effect_name == name)
            button.setEnabled(bool(self.currentSegmentID()) and volume is not None and not self._flags["readOnly"])
        self._options_box.setTitle(name or "")
        self._options_box.setVisible(bool(name))
        for effect_name, page in self._pages.items():
            page.setVisible(effect_name == name)
        self._masking_label.setText(self._masking_text())
        self._undo_button.setEnabled(bool(self._logic.CanUndo()))
        self._redo_button.setEnabled(bool(self._logic.CanRedo()))
        seen = (self.segmentationNodeID(), self.sourceVolumeNodeID(), self.currentSegmentID())
        before, self._seen = self._seen, seen
        if before[0] != seen[0]:
            self.segmentationNodeChanged.emit(segmentation_node)
        if before[1] != seen[1]:
            self.sourceVolumeNodeChanged.emit(volume)
        if before[2] != seen[2]:
            self.currentSegmentIDChanged.emit(seen[2])

    def _masking_text(self) -> str:
        if self._editor_node is None:
            return ""
        node = self._editor_node
        mode = slicer.vtkMRMLSegmentationNode.ConvertMaskModeToString(node.GetMaskMode())
        overwrite = slicer.vtkMRMLSegmentEditorNode.ConvertOverwriteModeToString(node.GetOverwriteMode())
        return f"Editable area: {mode}\nModify other segments: {overwrite}"

    def _on_table_selection(self, *_ignored) -> None:
        selected = self._table.selectedSegmentIDs()
        if selected and self._editor_node is not None:
            self.setCurrentSegmentID(selected[0])

    # Effects.

    def effectByName(self, name):
        return self._effects.get(name)

    def effectByIndex(self, index):
        return list(self._effects.values())[index]

    def effectCount(self):
        return len(self._effects)

    def availableEffectNames(self):
        return list(self._effects)

    def activeEffect(self):
        name = self._editor_node.GetActiveEffectName() if self._editor_node is not None else None
        return self._effects.get(name) if name else None

    def setActiveEffect(self, effect):
        self.setActiveEffectByName(effect.name() if effect is not None else "")

    def setActiveEffectByName(self, name):
        if name and name not in self._effects:
            raise ValueError(f"the segment editor has no effect {name!r}; there are {', '.join(self._effects)}")
        if self._editor_node is not None:
            if name and (not self.currentSegmentID() or self.sourceVolumeNode() is None):
                return  # Slicer's buttons are disabled then
            self._editor_node.SetActiveEffectName(name)
        elif name:
            self.required_node()

    def effectNameOrder(self):
        return self._effect_order

    def setEffectNameOrder(self, names):
        self._effect_order = list(names)
        self._lay_out_effects()

    def unorderedEffectsVisible(self):
        return self._unordered_visible

    def setUnorderedEffectsVisible(self, visible):
        self._unordered_visible = visible
        self._lay_out_effects()

    def updateEffectList(self):
        self._lay_out_effects()

    def _lay_out_effects(self) -> None:
        while self._effects_layout.count():
            self._effects_layout.takeAt(0).widget().deleteLater()
        ordered = [name for name in self._effect_order if name in self._effects]
        names = ordered + ([name for name in self._effects if name not in ordered] if self._unordered_visible else [])
        self._buttons = {}
        columns = max(self._values["effectColumnCount"], 1) if self._values["effectColumnCount"] else max(len(names), 1)
        for index, name in enumerate(["None", *names]):
            button = QToolButton(text=name, toolTip=name)
            button.setCheckable(True)
            button.setToolButtonStyle(self._values["effectButtonStyle"])
            button.setIcon(self.style().standardIcon(QStyle.StandardPixmap.SP_FileIcon))
            button.clicked.connect(lambda _=False, n=name: self.setActiveEffectByName("" if n == "None" else n))
            self._effects_layout.addWidget(button, index // columns, index % columns)
            self._buttons["" if name == "None" else name] = button

    # Undo.

    def saveStateForUndo(self):
        if self._flags["undoEnabled"]:
            self._logic.SaveStateForUndo()
            self._update()

    def undo(self):
        self._logic.Undo()
        self._update()

    def redo(self):
        self._logic.Redo()
        self._update()

    def maximumNumberOfUndoStates(self):
        return self._logic.GetMaximumNumberOfUndoStates()

    def setMaximumNumberOfUndoStates(self, number):
        self._logic.SetMaximumNumberOfUndoStates(number)

    # Views and keys.

    def setupViewObservations(self):
        self._view_observations = True

    def removeViewObservations(self):
        self._view_observations = False

    def has_view_observations(self) -> bool:
        """Host only: whether it listens to the views."""
        return self._view_observations

    def installKeyboardShortcuts(self, parent=None):
        self.uninstallKeyboardShortcuts()
        owner = parent or next((w for w in QApplication.topLevelWidgets() if w.objectName() == "qSlicerMainWindow"), self.window())
        for key in SHORTCUT_KEYS:
            shortcut = QShortcut(QKeySequence(key), owner)
            if key in ("Z", "Ctrl+Z"):
                shortcut.activated.connect(self.undo)
            elif key in ("Y", "Ctrl+Y"):
                shortcut.activated.connect(self.redo)
            self._shortcuts.append(shortcut)

    def uninstallKeyboardShortcuts(self):
        for shortcut in self._shortcuts:
            if isValid(shortcut):
                shortcut.setParent(None)
                shortcut.deleteLater()
        self._shortcuts = []

    # Settings.

    def effectButtonStyle(self):
        return self._values["effectButtonStyle"]

    def setEffectButtonStyle(self, style):
        self._values["effectButtonStyle"] = style
        self._lay_out_effects()

    def effectColumnCount(self):
        return self._values["effectColumnCount"]

    def setEffectColumnCount(self, count):
        self._values["effectColumnCount"] = count
        self._lay_out_effects()

    def _apply_flag(self, name: str) -> None:
        shown = {
            "segmentationNodeSelectorVisible": self._segmentation_selector,
            "sourceVolumeNodeSelectorVisible": self._volume_selector,
            "maskingSectionVisible": self._masking_box,
            "undoEnabled": self._undo_box,
        }
        if name in shown:
            shown[name].setVisible(self._flags[name])
        self._update()


_FLAG_PROPERTIES = (
    "segmentationNodeSelectorVisible",
    "sourceVolumeNodeSelectorVisible",
    "maskingSectionVisible",
    "specifyGeometryButtonVisible",
    "show3DButtonVisible",
    "addRemoveSegmentButtonsVisible",
    "autoShowSourceVolumeNode",
    "switchToSegmentationsButtonVisible",
    "undoEnabled",
    "readOnly",
    "jumpToSelectedSegmentEnabled",
)


add_flags(SegmentEditorWidget, {name: name for name in _FLAG_PROPERTIES})
