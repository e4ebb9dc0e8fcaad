"""ViewNavigator: which slice of the object the views show, and showing another one. Imports slicer, SceneBridge.

Every view whose slices are those of the object moves along; views that cut across stay where they are. What a view shows counts only
while the current layout has it: nobody sees the others.
"""

from __future__ import annotations

from collections.abc import Callable

import slicer

from SAM2AnnotateLib.errors import SAM2AnnotateError

from ..Review.AnnotatedSegment import AnnotatedSegment
from ..Scene.SceneBridge import jumpToSlice, sliceAxis, sliceIndex


class ViewNavigator:
    """Finds and moves slice views.

    Args:
        currentSliceNode: gives the slice node of the view that the user is at; None if there are no views.
    """

    def __init__(self, currentSliceNode: Callable):
        self._currentSliceNode = currentSliceNode

    def position(self, annotated: AnnotatedSegment | None) -> int | None:
        """Position, in the object's stack, of the slice shown; None without an object, a view of its slices, or outside the volume."""
        if annotated is None or not annotated.exists:
            return None
        try:
            views = [node for node in self._parallelViews(annotated) if _isSeen(node)]
            return annotated.stack.position_of(sliceIndex(views[0], annotated.volumeNode, annotated.axis)) if views else None
        except SAM2AnnotateError:  # outside the volume, or under a transform that the panel tells of elsewhere
            return None

    def shownSlices(self, annotated: AnnotatedSegment | None) -> dict[str, int]:
        """Positions of the object's slices that the views show as they are, by the view's layout name."""
        if annotated is None or not annotated.exists:
            return {}
        try:
            return self._shownSlices(annotated)
        except SAM2AnnotateError:  # under a transform that the panel tells of elsewhere
            return {}

    def _shownSlices(self, annotated: AnnotatedSegment) -> dict[str, int]:
        shown = {}
        for node in self._parallelViews(annotated):
            if _isSeen(node) and sliceAxis(node, annotated.volumeNode)[1]:
                index = sliceIndex(node, annotated.volumeNode, annotated.axis)
                if 0 <= index < annotated.stack.shape_src[0]:
                    shown[node.GetLayoutName()] = annotated.stack.position_of(index)
        return shown

    def goTo(self, annotated: AnnotatedSegment, position: int) -> None:
        """Show a slice of the object.

        Raises:
            PromptError: if the volume has no such slice.
        """
        index = annotated.stack.index_of(position)
        for sliceNode in self._parallelViews(annotated):
            jumpToSlice(sliceNode, annotated.volumeNode, annotated.axis, index)

    def step(self, annotated: AnnotatedSegment, by: int) -> None:
        """Show the slice that many positions on; at the end of the volume nothing happens."""
        position = self.position(annotated)
        if position is None:
            self.goTo(annotated, annotated.center)
        elif 0 <= position + by < annotated.stack.shape_src[0]:
            self.goTo(annotated, position + by)

    def render(self) -> None:
        """Have the slice views drawn: they do not notice by themselves that voxels of a segment changed."""
        layoutManager = slicer.app.layoutManager()
        if layoutManager is not None:
            for name in layoutManager.sliceViewNames():
                layoutManager.sliceWidget(name).sliceView().scheduleRender()

    def showVolume(self, volumeNode) -> None:
        """Show a volume in all slice views, whole."""
        if slicer.app.layoutManager() is not None:
            slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)

    def turnToVoxels(self, volumeNode) -> bool:
        """Turn the views that cut obliquely through the volume's voxels onto its slices; returns whether there were any."""
        turned = False
        for sliceNode in sliceNodes():
            if not sliceAxis(sliceNode, volumeNode)[1]:
                sliceNode.RotateToVolumePlane(volumeNode)
                turned = True
        return turned

    def _parallelViews(self, annotated: AnnotatedSegment) -> list:
        """Slice nodes that step along the object's axis, the one that the user is at first."""
        current = self._currentSliceNode()
        ordered = ([current] if current is not None else []) + [node for node in sliceNodes() if node is not current]
        return [node for node in ordered if sliceAxis(node, annotated.volumeNode)[0] == annotated.axis]


def sliceNodes() -> list:
    """All slice nodes of the scene."""
    return slicer.util.getNodesByClass("vtkMRMLSliceNode")


def _isSeen(sliceNode) -> bool:
    """Whether the current layout has the view of a slice node."""
    layoutManager = slicer.app.layoutManager()
    sliceWidget = layoutManager.sliceWidget(sliceNode.GetLayoutName()) if layoutManager is not None else None
    return sliceWidget is not None and bool(sliceWidget.visible)
