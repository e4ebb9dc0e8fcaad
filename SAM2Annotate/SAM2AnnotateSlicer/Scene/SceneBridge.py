"""From MRML nodes to the library's volumes and indices, and back. Parent transforms end here. Imports slicer, vtk, numpy and geometry.

Everything that the module computes lies on the volume's own voxel lattice, IJK. A node's *local* frame is that of its own matrix, before
its parent transform; *world* is RAS after it.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from SAM2AnnotateLib.errors import InputError, VolumeError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid

_AXES = "ijk"
_PARALLEL_COSINE = 0.9998  # about a degree


def localToWorld(node) -> np.ndarray:
    """(4, 4) matrix from a node's local frame to world RAS.

    Raises:
        InputError: if a parent transform is not linear.
    """
    transformNode = node.GetParentTransformNode()
    if transformNode is None:
        return np.eye(4)
    if not transformNode.IsTransformToWorldLinear():
        raise InputError(
            f"'{node.GetName()}' lies under the non-linear transform '{transformNode.GetName()}', and voxels stay on their lattice only "
            "under linear ones. Harden the transform (Transforms module) or take the node out of it."
        )
    matrix = vtk.vtkMatrix4x4()
    transformNode.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def ijkToLocal(volumeNode) -> np.ndarray:
    """(4, 4) matrix from a volume's voxel index (i, j, k) to its local RAS."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def ijkToWorld(volumeNode) -> np.ndarray:
    """(4, 4) matrix from a volume's voxel index (i, j, k) to world RAS. Raises InputError under a non-linear transform."""
    return localToWorld(volumeNode) @ ijkToLocal(volumeNode)


def ijkToLocalOf(volumeNode, otherNode) -> np.ndarray:
    """(4, 4) matrix from a volume's voxel index to the local frame of another node, e.g. a segmentation with a transform of its own."""
    return np.linalg.inv(localToWorld(otherNode)) @ ijkToWorld(volumeNode)


def volumeFromNode(volumeNode) -> Volume:
    """The volume on its local grid; the voxels are not copied.

    Raises:
        VolumeError: if it has no voxels, more than one component, or voxels that are not finite.
    """
    imageData = volumeNode.GetImageData() if volumeNode is not None else None
    if imageData is None or imageData.GetPointData().GetScalars() is None:
        name = "None" if volumeNode is None else f"'{volumeNode.GetName()}'"
        raise VolumeError(f"The volume {name} has no voxels. Choose a volume that is loaded.")
    if imageData.GetNumberOfScalarComponents() != 1:
        raise VolumeError(
            f"The volume '{volumeNode.GetName()}' has {imageData.GetNumberOfScalarComponents()} values a voxel, expected one. "
            "Convert a color picture to a scalar volume first."
        )
    grid = VolumeGrid(imageData.GetDimensions()[::-1], ijkToLocal(volumeNode))
    return Volume(grid, slicer.util.arrayFromVolume(volumeNode), modality=_modality(volumeNode))


def voxelsStamp(volumeNode) -> int:
    """A number that changes whenever the volume's voxels do."""
    imageData = volumeNode.GetImageData()
    return 0 if imageData is None else max(imageData.GetMTime(), imageData.GetPointData().GetScalars().GetMTime())


def voxelsKey(volumeNode) -> str:
    """Names the volume's voxels as they are now; begins with the node's ID and an ``@``."""
    return f"{volumeNode.GetID()}@{voxelsStamp(volumeNode)}"


def newSegmentation(volumeNode):
    """A new segmentation node in a volume's scene, with its geometry, under its transform."""
    node = volumeNode.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", segmentationName(volumeNode))
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    return node


def segmentationName(volumeNode) -> str:
    """What the segmentation of a volume is called."""
    return f"{volumeNode.GetName()} segmentation"


def _modality(volumeNode) -> str | None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volumeNode.GetScene())
    item = hierarchy.GetItemByDataNode(volumeNode) if hierarchy is not None else 0
    modality = hierarchy.GetItemAttribute(item, "DICOM.Modality") if item else ""
    return modality or None


# -- slice views ------------------------------------------------------------------------------------------------------------------


def sliceAxis(sliceNode, volumeNode) -> tuple[str, bool]:
    """The index axis (``i``, ``j``, ``k``) that a slice view steps along most closely, and whether it shows voxel slices as they are."""
    axes = ijkToWorld(volumeNode)[:3, :3]
    cosines = np.abs((axes / np.linalg.norm(axes, axis=0)).T @ _normal(sliceNode))
    nearest = int(np.argmax(cosines))
    # The view cuts along voxel slices if its normal is the normal of the two other axes, which a sheared lattice does not step along.
    across = np.cross(axes[:, (nearest + 1) % 3], axes[:, (nearest + 2) % 3])
    parallel = abs(across @ _normal(sliceNode)) / np.linalg.norm(across) > _PARALLEL_COSINE
    return _AXES[nearest], bool(parallel)


def showsVoxelRows(sliceNode, volumeNode) -> bool:
    """Whether a view shows the volume's voxel rows level or upright, not turned within the slice."""
    axes = ijkToWorld(volumeNode)[:3, :3]
    level = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())[:3, 0]
    return bool(np.abs((axes / np.linalg.norm(axes, axis=0)).T @ (level / np.linalg.norm(level))).max() > _PARALLEL_COSINE)


def screenCorners(sliceNode, cornersWorld) -> np.ndarray:
    """(4, 3) world RAS of all corners of a rectangle that is upright in a view, from two opposite ones."""
    sliceToRas = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
    (x0, y0, z0), (x1, y1, _z1) = ((np.linalg.inv(sliceToRas) @ [*corner, 1.0])[:3] for corner in cornersWorld)
    return np.array([(sliceToRas @ [x, y, z0, 1.0])[:3] for x in (x0, x1) for y in (y0, y1)])


def sliceIndex(sliceNode, volumeNode, axis: str) -> int:
    """Index along `axis` of the voxel slice that a view shows at its middle; it may lie outside the volume."""
    return int(np.floor(_viewCenterIjk(sliceNode, volumeNode)[_AXES.index(axis)] + 0.5))


def jumpToSlice(sliceNode, volumeNode, axis: str, index: int) -> None:
    """Move a view to the voxel slice `index` along `axis`; what it shows within the slice stays where it is."""
    centerIjk = _viewCenterIjk(sliceNode, volumeNode)
    centerIjk[_AXES.index(axis)] = index
    world = ijkToWorld(volumeNode) @ [*centerIjk, 1.0]
    sliceNode.JumpSliceByOffsetting(*world[:3])


def worldToIjk(volumeNode, pointsWorld) -> np.ndarray:
    """(n, 3) continuous voxel indices (i, j, k) of (n, 3) points in world RAS; an integer index is a voxel's center."""
    points = np.atleast_2d(np.asarray(pointsWorld, dtype=float))
    homogeneous = np.column_stack([points, np.ones(len(points))])
    return (np.linalg.inv(ijkToWorld(volumeNode)) @ homogeneous.T).T[:, :3]


def _viewCenterIjk(sliceNode, volumeNode) -> np.ndarray:
    return worldToIjk(volumeNode, [slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())[:3, 3]])[0]


def _normal(sliceNode) -> np.ndarray:
    normal = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())[:3, 2]
    return normal / np.linalg.norm(normal)
