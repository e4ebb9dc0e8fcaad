"""ObjectSurface: the current object in the 3-D views, and no other. Imports slicer and Coalescer.

Off until it is asked for. The surface is a model of its own, that is not saved and is made of this one segment: a segmentation that keeps
surfaces makes all of them, and again with each change, which takes seconds with many segments.
"""

from __future__ import annotations

import slicer
import vtk

from ..Coalescer import Coalescer
from ..Review.AnnotatedSegment import AnnotatedSegment

_MILLISECONDS = 400  # after the last change


class ObjectSurface:
    """Shows an object from `show` to `hide`.

    Args:
        scene: where the model is made.
    """

    def __init__(self, scene):
        self._scene = scene
        self._node = None
        self._annotated: AnnotatedSegment | None = None
        self._made: tuple | None = None  # what the surface was made of
        self._later = Coalescer(self._make, _MILLISECONDS)
        self.wanted = False

    def show(self, annotated: AnnotatedSegment | None) -> None:
        """Show this object from now on; None shows none for the moment."""
        self.wanted, self._annotated = True, annotated
        self._make()
        layoutManager = slicer.app.layoutManager()
        if self._node is not None and layoutManager is not None:
            for n in range(layoutManager.threeDViewCount):
                layoutManager.threeDWidget(n).threeDView().resetFocalPoint()

    def hide(self) -> None:
        """Show none."""
        self.wanted, self._annotated = False, None
        self._remove()

    def follow(self, annotated: AnnotatedSegment | None, busy: bool) -> None:
        """The object, or which one it is, may have changed; while `busy` that is not drawn."""
        if not self.wanted:
            return
        if annotated is not self._annotated:
            self._annotated = annotated
            self._remove()
        if annotated is not None and not busy and self._made != _stateOf(annotated):
            self._later.ask()

    def release(self) -> None:
        """Let go of the node: the scene is being closed."""
        self._later.stop()
        self._node = self._annotated = self._made = None

    def _make(self) -> None:
        annotated = self._annotated
        if annotated is None or not annotated.exists:
            self._remove()
            return
        surface = vtk.vtkPolyData()
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        logic.GetSegmentClosedSurfaceRepresentation(annotated.segmentationNode, annotated.segmentId, surface, False)
        self._made = _stateOf(annotated)
        if self._node is None or self._node.GetScene() is None:
            self._node = self._newNode()
        self._node.SetName(f"{annotated.name} (3-D)")
        self._node.SetAndObserveTransformNodeID(annotated.segmentationNode.GetTransformNodeID())
        self._node.GetDisplayNode().SetColor(*annotated.segment.GetColor())
        self._node.SetAndObservePolyData(surface)

    def _newNode(self):
        node = self._scene.AddNewNodeByClass("vtkMRMLModelNode")
        node.CreateDefaultDisplayNodes()
        for one in (node, node.GetDisplayNode()):
            one.SetSaveWithScene(False)
            one.SetHideFromEditors(True)
        node.GetDisplayNode().SetVisibility2D(False)
        return node

    def _remove(self) -> None:
        self._later.stop()
        node, self._node, self._made = self._node, None, None
        if node is not None and node.GetScene() is not None:
            self._scene.RemoveNode(node)


def _stateOf(annotated: AnnotatedSegment) -> tuple:
    return annotated.session.version, annotated.segment.GetColor(), annotated.name
