"""PointTool: clicks in slice views become + and - points of the object. Imports slicer; the points are Slicer's own markups."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from ..Review.Logic import AnnotationLogic

_GREEN, _RED = (0.1, 0.85, 0.2), (0.95, 0.2, 0.15)


class PointTool:
    """Starts and ends Slicer's place mode on the nodes of the parameter node, and makes them when they are needed first."""

    def __init__(self, logic: AnnotationLogic):
        self._logic = logic

    @property
    def interactionNode(self):
        """Slicer's node for what the mouse does."""
        return slicer.app.applicationLogic().GetInteractionNode()

    @property
    def placing(self) -> bool | None:
        """True while + points are placed, False while - points are, None otherwise."""
        interactionNode, selectionNode = self.interactionNode, slicer.app.applicationLogic().GetSelectionNode()
        if interactionNode is None or interactionNode.GetCurrentInteractionMode() != interactionNode.Place:
            return None
        active = selectionNode.GetActivePlaceNodeID()
        for positive, node in ((True, self._logic.parameters.positivePoints), (False, self._logic.parameters.negativePoints)):
            if node is not None and node.GetID() == active:
                return positive
        return None

    def start(self, positive: bool) -> None:
        """Let each click place a point, until `stop`."""
        markups = slicer.modules.markups.logic()
        markups.SetActiveList(self._node(positive))
        markups.StartPlaceMode(True)

    def stop(self) -> None:
        """End placing; does nothing if none of these points is being placed."""
        if self.placing is not None:
            self.interactionNode.SwitchToViewTransformMode()

    def toggle(self, positive: bool) -> None:
        """Start placing, or end it if it is these points that are being placed."""
        if self.placing is positive:
            self.stop()
        else:
            self.start(positive)

    def _node(self, positive: bool):
        parameters = self._logic.parameters
        node = parameters.positivePoints if positive else parameters.negativePoints
        if node is not None:
            return node
        name = _("SAM2Annotate + points") if positive else _("SAM2Annotate - points")
        node = self._logic.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
        node.CreateDefaultDisplayNodes()
        displayNode = node.GetDisplayNode()
        color = _GREEN if positive else _RED
        displayNode.SetSelectedColor(*color)
        displayNode.SetColor(*color)
        displayNode.SetPointLabelsVisibility(False)
        node.SetAndObserveTransformNodeID(self._logic.volumeNode.GetTransformNodeID())
        if positive:
            parameters.positivePoints = node
        else:
            parameters.negativePoints = node
        return node
