"""CorrectionEditor: one slice in the Segment Editor, and nothing else within reach. Imports slicer, vtk and SceneBridge.

The slice's mask is copied into a segmentation of its own whose geometry is that one slice, so that Paint, Erase, Draw and Threshold cannot
reach further, whatever their brush. The object's segment is hidden meanwhile and is not touched before the drawing is made the correction.
"""

from __future__ import annotations

import numpy as np
import slicer

from SAM2AnnotateLib.errors import PromptError

from ..Scene.SceneBridge import ijkToLocal
from ..Scene.SegmentLabelmap import SegmentLabelmap
from .AnnotatedSegment import AnnotatedSegment

SEGMENT_ID = "ThisSlice"


class CorrectionEditor:
    """Edits one slice at a time.

    Args:
        scene: where the node to edit in is made; it is removed again, and never saved.
    """

    def __init__(self, scene):
        self._scene = scene
        self.node = None
        self.annotated: AnnotatedSegment | None = None
        self.position: int | None = None
        self._wasVisible = True

    @property
    def active(self) -> bool:
        """Whether a slice is being edited."""
        return self.annotated is not None

    def begin(self, annotated: AnnotatedSegment, position: int):
        """Open a slice for editing; returns the segmentation node to edit in, whose only segment is `SEGMENT_ID`.

        Raises:
            PromptError: if the slice lies outside the object's extent.
        """
        if self.active:
            raise PromptError("Another slice is being corrected. Finish it (Enter) or leave it (Escape) first.")
        annotated.session.status(position)  # raises outside the extent
        index = annotated.stack.index_of(position)
        volumeNode = annotated.volumeNode
        node = self._scene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"Correction of slice {index}")
        node.SetSaveWithScene(False)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetSaveWithScene(False)
        node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        limitToSlice(node, volumeNode, annotated.axis, index)
        segment = slicer.vtkSegment()
        segment.SetName(annotated.name)
        segment.SetColor(*annotated.labelmap.segment.GetColor())
        node.GetSegmentation().AddSegment(segment, SEGMENT_ID)
        mask = annotated.session.mask(position)
        if mask is None:
            mask = np.zeros(annotated.stack.frame_shape_rc, dtype=bool)
        SegmentLabelmap(node, SEGMENT_ID, volumeNode, annotated.axis).fillSlab(index, annotated.stack.slice_from_frame(mask))
        displayNode = annotated.segmentationNode.GetDisplayNode()
        if displayNode is not None:
            self._wasVisible = displayNode.GetSegmentVisibility(annotated.segmentId)
            displayNode.SetSegmentVisibility(annotated.segmentId, False)
        self.node, self.annotated, self.position = node, annotated, position
        return node

    def mask(self) -> np.ndarray:
        """(rows, cols) bool mask of the slice as it is drawn now."""
        annotated = self._require()
        scratch = SegmentLabelmap(self.node, SEGMENT_ID, annotated.volumeNode, annotated.axis)
        return annotated.stack.frame_from_slice(scratch.readSlice(annotated.stack.index_of(self.position)))

    def draw(self, mask: np.ndarray) -> None:
        """Make a (rows, cols) bool mask the drawing."""
        annotated = self._require()
        index = annotated.stack.index_of(self.position)
        scratch = SegmentLabelmap(self.node, SEGMENT_ID, annotated.volumeNode, annotated.axis)
        scratch.fillSlab(index, annotated.stack.slice_from_frame(mask))

    def changed(self) -> bool:
        """Whether the drawing differs from the slice's mask; False if no slice is open."""
        if self.annotated is None or not self.annotated.exists:
            return False
        before = self.annotated.session.mask(self.position)
        mask = self.mask()
        return bool(mask.any()) if before is None else not np.array_equal(mask, before)

    def unhide(self) -> None:
        """Show the object's segment as before, e.g. while the scene is saved. Does nothing if no slice is open."""
        if self.annotated is not None and self.annotated.exists and self.annotated.segmentationNode.GetDisplayNode() is not None:
            self.annotated.segmentationNode.GetDisplayNode().SetSegmentVisibility(self.annotated.segmentId, self._wasVisible)

    def hideAgain(self) -> None:
        """Hide it again. Does nothing if no slice is open."""
        if self.annotated is not None and self.annotated.exists and self.annotated.segmentationNode.GetDisplayNode() is not None:
            self.annotated.segmentationNode.GetDisplayNode().SetSegmentVisibility(self.annotated.segmentId, False)

    def leave(self) -> None:
        """Close the slice and forget what was drawn. Does nothing if none is open."""
        self.unhide()
        node = self.node
        self.node = self.annotated = self.position = None
        if node is not None and node.GetScene() is self._scene:
            self._scene.RemoveNode(node)

    def _require(self) -> AnnotatedSegment:
        if self.annotated is None:
            raise PromptError("No slice is being corrected.")
        return self.annotated


def limitToSlice(node, volumeNode, axis: str, index: int) -> None:
    """Give a segmentation node the geometry of one slice of a volume, so that no effect can reach further."""
    extent = [n for size in volumeNode.GetImageData().GetDimensions() for n in (0, size - 1)]
    at = "ijk".index(axis)
    extent[2 * at : 2 * at + 2] = [index, index]
    matrix = slicer.util.vtkMatrixFromArray(ijkToLocal(volumeNode))
    geometry = slicer.vtkSegmentationConverter.SerializeImageGeometry(matrix, extent)
    parameter = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    node.GetSegmentation().SetConversionParameter(parameter, geometry)
