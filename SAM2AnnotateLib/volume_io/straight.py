"""Voxel axes that are nearly at right angles: made so where that moves nothing that counts. Imports geometry and numpy.

Files state affines with rounded numbers, so that axes miss a right angle by a thousandth of a degree. ITK's NIfTI knows right angles
only. Straightening about the center of the volume moves its corners by micrometers; where it would move them farther, the grid is left
as stated.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from ..geometry import VolumeGrid

# Cosine between axes below which they are at right angles for every file format (32-bit floats are off by about 1e-7).
RIGHT_ANGLE = 1e-6
# No voxel may move farther than both.
LARGEST_SHIFT_MM = 0.1
LARGEST_SHIFT_VOXELS = 0.1
_TOLD_MM = 1e-3


def shear_of(grid: VolumeGrid) -> float:
    """The largest cosine between two voxel axes; 0 at right angles."""
    axes = grid.ijk_to_ras[:3, :3] / grid.spacing_ijk_mm
    return float(np.abs(axes.T @ axes - np.eye(3)).max())


def straightened(grid: VolumeGrid) -> tuple[VolumeGrid, str]:
    """The nearest grid at right angles with the same spacing and center, if no voxel moves by more than `LARGEST_SHIFT_MM`.

    Returns:
        The grid, or the very one that was given, and a note if a voxel moved by a micrometer or more (else empty).
    """
    if shear_of(grid) <= RIGHT_ANGLE:
        return grid, ""
    spacing = grid.spacing_ijk_mm
    left, _, right = np.linalg.svd(grid.ijk_to_ras[:3, :3] / spacing)
    matrix = np.eye(4)
    matrix[:3, :3] = (left @ right) * spacing
    center_ijk = (np.array(grid.shape_kji[::-1]) - 1) / 2
    matrix[:3, 3] = grid.ras_from_ijk(center_ijk) - matrix[:3, :3] @ center_ijk
    straight = VolumeGrid(grid.shape_kji, matrix)
    corners_ijk = np.array(list(product(*((0, size - 1) for size in grid.shape_kji[::-1]))))
    shift_mm = float(np.linalg.norm(straight.ras_from_ijk(corners_ijk) - grid.ras_from_ijk(corners_ijk), axis=1).max())
    if shift_mm > min(LARGEST_SHIFT_MM, LARGEST_SHIFT_VOXELS * float(spacing.min())):
        return grid, ""
    note = f"its voxel axes miss right angles by rounding; they were straightened, which moves no voxel by more than {shift_mm:.2g} mm"
    return straight, note if shift_mm > _TOLD_MM else ""
