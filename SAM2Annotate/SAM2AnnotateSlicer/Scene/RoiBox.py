"""The ROI that a person drags, as voxel bounds: box and extent in one. Imports slicer, vtk, numpy, SceneBridge.

Bounds are ``boundsIjk``: (3, 2) whole voxel indices (low, high) of i, j and k, half-open. The ROI's faces lie on the outer faces of these
voxels, so that an ROI read back gives the bounds that it was made from.
"""

from __future__ import annotations

import itertools

import numpy as np
import slicer

from SAM2AnnotateLib.errors import PromptError

from .SceneBridge import ijkToLocal, localToWorld, worldToIjk

DESCRIPTION = "Box and extent of the object that SAM2Annotate is at: the sides in the slice are the box, the depth is the extent."


def createRoi(volumeNode, boundsIjk, name: str):
    """A new ROI node in the volume's scene, aligned with the volume's axes and under its transform."""
    roiNode = volumeNode.GetScene().AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
    roiNode.SetDescription(DESCRIPTION)
    roiNode.CreateDefaultDisplayNodes()
    displayNode = roiNode.GetDisplayNode()
    displayNode.SetFillVisibility(False)  # the picture inside is what the person looks at
    displayNode.SetPropertiesLabelVisibility(False)
    displayNode.SetHandlesInteractive(True)
    displayNode.SetRotationHandleVisibility(False)  # a box of voxels has no use for it
    displayNode.SetInteractionHandleScale(1.5)  # smaller than usual, so that they do not cover a small object
    displayNode.SetSelectedColor(1.0, 0.85, 0.1)
    displayNode.SetColor(1.0, 0.85, 0.1)
    setRoi(roiNode, volumeNode, boundsIjk)
    return roiNode


def setRoi(roiNode, volumeNode, boundsIjk) -> None:
    """Put an ROI around voxels. Nothing is set, and nobody hears of it, if it is there already."""
    low, high = np.asarray(boundsIjk, dtype=float).T
    matrix = ijkToLocal(volumeNode)
    center = (matrix @ [*((low + high - 1) / 2), 1.0])[:3]
    axes = matrix[:3, :3]
    spacingMm = np.linalg.norm(axes, axis=0)
    objectToNode = np.eye(4)
    objectToNode[:3, :3] = axes / spacingMm
    if np.linalg.det(objectToNode[:3, :3]) < 0:  # a box is its own mirror image; a left-handed frame confuses the handles
        objectToNode[:3, 0] *= -1
    objectToNode[:3, 3] = center
    sizeMm = (high - low) * spacingMm
    inPlace = np.allclose(slicer.util.arrayFromVTKMatrix(roiNode.GetObjectToNodeMatrix()), objectToNode, rtol=1e-7, atol=1e-5)
    sameTransform = roiNode.GetTransformNodeID() == volumeNode.GetTransformNodeID()
    if inPlace and sameTransform and np.allclose(roiNode.GetSize(), sizeMm, rtol=1e-7, atol=1e-5):
        return
    wasModifying = roiNode.StartModify()
    try:
        if not sameTransform:
            roiNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        roiNode.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(objectToNode))
        roiNode.SetCenter(center)
        roiNode.SetSize(*sizeMm)
    finally:
        roiNode.EndModify(wasModifying)


def readRoi(roiNode, volumeNode) -> np.ndarray:
    """(3, 2) bounds of the voxels inside an ROI, clipped to the volume; at least one voxel each way.

    A rotated ROI gives the bounds of its eight corners.

    Raises:
        PromptError: if it lies outside the volume.
    """
    matrix = slicer.util.arrayFromVTKMatrix(roiNode.GetObjectToNodeMatrix())
    halves = np.array(roiNode.GetSize()) / 2
    corners = np.array([[*(np.array(signs) * halves), 1.0] for signs in itertools.product((-1, 1), repeat=3)])
    cornersWorld = (localToWorld(roiNode) @ matrix @ corners.T).T[:, :3]
    edges = worldToIjk(volumeNode, cornersWorld) + 0.5  # faces between voxels lie at whole numbers now
    low, high = np.floor(edges.min(axis=0) + 0.5).astype(int), np.floor(edges.max(axis=0) + 0.5).astype(int)
    shapeIjk = np.array(volumeNode.GetImageData().GetDimensions())
    if np.any(high <= 0) or np.any(low >= shapeIjk):
        raise PromptError(
            f"The box lies outside the volume '{volumeNode.GetName()}'. Drag it back onto the object, or press 'Draw box' to begin anew."
        )
    low = np.clip(low, 0, shapeIjk - 1)
    return np.column_stack([low, np.clip(np.maximum(high, low + 1), 1, shapeIjk)])
