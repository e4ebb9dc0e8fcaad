"""All ways that a volume can lie: 48 axis orders and flips, and oblique ones, as nodes of the scene. For tests of geometry."""

from __future__ import annotations

import itertools

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

SPACING_MM = (0.9, 1.3, 2.7)
OBLIQUE = np.array([[0.8, -0.48, 0.36], [0.6, 0.64, -0.48], [0.0, 0.6, 0.8]])  # a rotation by whole hundredths


def directions() -> dict[str, np.ndarray]:
    """(3, 3) direction matrices, their columns i, j, k in RAS, by a name for the test's id."""
    found = {}
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            matrix = np.zeros((3, 3))
            for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
                matrix[world, axis] = sign
            name = "".join(("LR", "PA", "IS")[world][sign > 0] for world, sign in zip(order, signs, strict=True))
            found[name] = matrix
    return found | {"oblique": OBLIQUE, "oblique flipped": OBLIQUE @ np.diag([1, -1, 1])}


def volumeNode(array_kji: np.ndarray, direction: np.ndarray, name: str = "Volume", origin=(11.0, -7.0, 23.0)):
    """A volume node with these voxels, uneven spacing, and these directions."""
    image = vtk.vtkImageData()
    image.SetDimensions(*array_kji.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(array_kji).ravel(), deep=True))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetAndObserveImageData(image)
    matrix = np.eye(4)
    matrix[:3, :3] = direction * SPACING_MM
    matrix[:3, 3] = origin
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    node.CreateDefaultDisplayNodes()
    return node


def linearTransform(angle_degrees: float = 20.0, shift=(5.0, -3.0, 8.0)):
    """A transform node that turns about an oblique axis and shifts."""
    transform = vtk.vtkTransform()
    transform.Translate(*shift)
    transform.RotateWXYZ(angle_degrees, 0.3, -0.5, 0.8)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Turned")
    node.SetMatrixTransformToParent(transform.GetMatrix())
    return node
