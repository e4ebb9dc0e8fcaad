"""Stand-in for qSlicerMarkupsPlaceWidget: switches the mouse to placing points. Imports PySide6, VTK and slicer-core."""

from __future__ import annotations

import slicer
import vtk
from PySide6.QtCore import Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QHBoxLayout, QToolButton

from ..registry import stand_in
from .scene_widgets import SceneObserver, SlicerWidget


@stand_in("qSlicerMarkupsPlaceWidget")
class MarkupsPlaceWidget(SlicerWidget):
    """Place mode goes through the real markups logic and interaction node, so clicks in the slice views place points."""

    activeMarkupsPlaceModeChanged = Signal(bool)
    activeMarkupsFiducialPlaceModeChanged = Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._node_id = ""
        self._multiple = 0
        self._persistent = False
        self._was_placing = False
        self._default_color = QColor(255, 127, 127)
        self._interaction_observer = SceneObserver(self)
        self._selection_observer = SceneObserver(self)
        self._place_button = QToolButton(text="Place", checkable=True, objectName="PlaceButton")
        self._place_button.clicked.connect(self.setPlaceModeEnabled)
        self._delete_button = QToolButton(text="Delete", objectName="DeleteButton")
        self._delete_button.clicked.connect(lambda: self.deleteLastPoint())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._place_button)
        layout.addWidget(self._delete_button)

    def setMRMLScene(self, scene):
        super().setMRMLScene(scene)
        node = self.interactionNode()
        self._interaction_observer.observe(node, {slicer.vtkMRMLInteractionNode.InteractionModeChangedEvent: self._update})
        self._selection_observer.observe(self.selectionNode(), {vtk.vtkCommand.ModifiedEvent: self._update})

    def interactionNode(self):
        return self._scene.GetNodeByID("vtkMRMLInteractionNodeSingleton") if self._scene is not None else None

    def selectionNode(self):
        return self._scene.GetNodeByID("vtkMRMLSelectionNodeSingleton") if self._scene is not None else None

    def currentNode(self):
        return self._scene.GetNodeByID(self._node_id) if self._scene is not None and self._node_id else None

    def currentMarkupsNode(self):
        return self.currentNode()

    def setCurrentNode(self, node):
        if self.placeModeEnabled():
            self.setPlaceModeEnabled(False)
        self._node_id = node.GetID() if node is not None else ""
        self._update()

    def currentNodeActive(self):
        return bool(self._node_id) and self.selectionNode().GetActivePlaceNodeID() == self._node_id

    def setCurrentNodeActive(self, active):
        if active and self.currentNode() is not None:
            slicer.modules.markups.logic().SetActiveList(self.currentNode())
        elif self.currentNodeActive():
            self.selectionNode().SetActivePlaceNodeID(None)

    def placeModeEnabled(self):
        node = self.interactionNode()
        return node is not None and self.currentNodeActive() and node.GetCurrentInteractionMode() == node.Place

    def setPlaceModeEnabled(self, enabled):
        if self.currentNode() is None:
            return
        if enabled:
            self.setCurrentNodeActive(True)
            slicer.modules.markups.logic().StartPlaceMode(self.placeModePersistency())
        elif self.placeModeEnabled():
            self.interactionNode().SwitchToViewTransformMode()
        self._update()

    def placeModePersistency(self):
        return self._persistent

    def setPlaceModePersistency(self, persistent):
        self._persistent = persistent
        if self.placeModeEnabled():
            self.interactionNode().SetPlaceModePersistence(int(persistent))

    def placeMultipleMarkups(self):
        return self._multiple

    def setPlaceMultipleMarkups(self, option):
        self._multiple = int(option)
        if self._multiple in (2, 3):  # ForcePlaceSingleMarkup, ForcePlaceMultipleMarkups
            self.setPlaceModePersistency(self._multiple == 3)

    def deleteLastPoint(self):
        node = self.currentNode()
        if node is not None and node.GetNumberOfControlPoints():
            node.RemoveNthControlPoint(node.GetNumberOfControlPoints() - 1)

    def deleteAllPoints(self):
        if self.currentNode() is not None:
            self.currentNode().RemoveAllControlPoints()

    def placeButton(self):
        return self._place_button

    def deleteButton(self):
        return self._delete_button

    def buttonsVisible(self):
        return not self._place_button.isHidden()

    def setButtonsVisible(self, visible):
        self._place_button.setVisible(visible)
        self._delete_button.setVisible(visible)

    def defaultNodeColor(self):
        return self._default_color

    def setDefaultNodeColor(self, color):
        self._default_color = color

    def nodeColor(self):
        node = self.currentNode()
        display = node.GetDisplayNode() if node is not None else None
        return QColor.fromRgbF(*display.GetSelectedColor()) if display is not None else self._default_color

    def setNodeColor(self, color):
        display = self.currentNode().GetDisplayNode() if self.currentNode() is not None else None
        if display is not None:
            display.SetSelectedColor(color.redF(), color.greenF(), color.blueF())

    def _update(self) -> None:
        placing = self.placeModeEnabled()
        self._place_button.setEnabled(self.currentNode() is not None)
        self._place_button.setChecked(placing)
        if placing != self._was_placing:
            self._was_placing = placing
            self.activeMarkupsPlaceModeChanged.emit(placing)
            self.activeMarkupsFiducialPlaceModeChanged.emit(placing)
