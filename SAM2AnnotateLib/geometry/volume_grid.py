"""VolumeGrid: the voxel grid of a volume, without voxels. Imports numpy and errors only."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from ..errors import GridMismatchError, VolumeError

# Matrix entries of one and the same image differ by this much (mm, or mm per voxel) after a round trip through a file
# format that stores 32-bit floats, as NIfTI does.
GRID_TOLERANCE_MM = 1e-3

# Nothing lies a thousand kilometers off; damaged files say so, and arithmetic overflows.
_LARGEST_MM = 1e9

_AXIS_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))


@dataclass(frozen=True, eq=False)
class VolumeGrid:
    """Shape and position of a voxel grid.

    Args:
        shape_kji: (3,) number of voxels along k, j, i.
        ijk_to_ras: (4, 4) affine, voxel index (i, j, k, 1) to RAS in mm; an integer index is a voxel center.

    Raises:
        VolumeError: if the shape is not three positive numbers or the matrix is not a finite invertible affine.
    """

    shape_kji: tuple[int, int, int]
    ijk_to_ras: np.ndarray

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape_kji)
        if len(shape) != 3 or min(shape) < 1:
            raise VolumeError(f"Expected a grid of three positive sizes (k, j, i), got {shape}.")
        matrix = np.array(self.ijk_to_ras, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.array_equal(matrix[3], [0, 0, 0, 1]):
            raise VolumeError(f"Expected a finite 4x4 affine matrix from IJK to RAS, got {np.array2string(matrix)}.")
        if np.abs(matrix).max() > _LARGEST_MM:
            raise VolumeError(f"Expected an affine matrix from IJK to RAS in mm, got {np.array2string(matrix)}.")
        with np.errstate(all="ignore"):  # of numbers near the smallest that there are
            volume = abs(np.linalg.det(matrix[:3, :3]))
        if volume < 1e-12:
            raise VolumeError("The IJK-to-RAS matrix is singular: two voxel axes point the same way or a spacing is zero.")
        matrix.setflags(write=False)
        object.__setattr__(self, "shape_kji", shape)
        object.__setattr__(self, "ijk_to_ras", matrix)

    @property
    def spacing_ijk_mm(self) -> np.ndarray:
        """(3,) distance in mm between neighboring voxel centers along i, j, k."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @property
    def spacing_kji_mm(self) -> tuple[float, float, float]:
        """Spacing in mm in array order (k, j, i)."""
        i, j, k = self.spacing_ijk_mm.tolist()
        return k, j, i

    @property
    def nearest_anatomical_axes(self) -> tuple[tuple[int, int], ...]:
        """For each of i, j, k: the world axis (0 R, 1 A, 2 S) it runs along most closely, and its sign (+1 or -1).

        Every world axis is used once; among the six assignments the one with the largest summed cosine is taken.
        """
        cosines = self.ijk_to_ras[:3, :3] / self.spacing_ijk_mm
        best = max(permutations(range(3)), key=lambda world: round(sum(abs(cosines[w, n]) for n, w in enumerate(world)), 9))
        return tuple((w, 1 if cosines[w, n] >= 0 else -1) for n, w in enumerate(best))

    @property
    def orientation(self) -> str:
        """Three letters: where i, j and k grow to, e.g. ``LPS`` for a usual axial DICOM series."""
        return "".join(_AXIS_LETTERS[world][sign > 0] for world, sign in self.nearest_anatomical_axes)

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in cubic mm."""
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3])))

    def ras_from_ijk(self, points_ijk: np.ndarray) -> np.ndarray:
        """Map (..., 3) voxel indices (i, j, k) to (..., 3) RAS coordinates in mm."""
        return np.asarray(points_ijk, dtype=np.float64) @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]

    def ijk_from_ras(self, points_ras: np.ndarray) -> np.ndarray:
        """Map (..., 3) RAS coordinates in mm to (..., 3) continuous voxel indices (i, j, k)."""
        inverse = np.linalg.inv(self.ijk_to_ras)
        return np.asarray(points_ras, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]

    def is_close(self, other: VolumeGrid) -> bool:
        """Whether both grids have one shape and place every voxel within `GRID_TOLERANCE_MM` of each other."""
        if self.shape_kji != other.shape_kji:
            return False
        return self._largest_corner_distance_mm(other) <= GRID_TOLERANCE_MM * max(1.0, float(max(self.shape_kji)) / 100.0)

    def require_same(self, other: VolumeGrid, this_name: str, other_name: str) -> None:
        """Raise GridMismatchError, naming the difference, unless `is_close`."""
        if self.shape_kji != other.shape_kji:
            raise GridMismatchError(
                f"{this_name} and {other_name} must lie on one grid, but their sizes (i, j, k) are {self.shape_kji[::-1]} and "
                f"{other.shape_kji[::-1]}. Resample one onto the other, nearest neighbor for masks."
            )
        if not self.is_close(other):
            raise GridMismatchError(
                f"{this_name} and {other_name} must lie on one grid, but they differ in space: orientation {self.orientation} and "
                f"{other.orientation}, corners up to {self._largest_corner_distance_mm(other):.3g} mm apart. "
                "Resample one onto the other, nearest neighbor for masks."
            )

    def _largest_corner_distance_mm(self, other: VolumeGrid) -> float:
        nk, nj, ni = self.shape_kji
        corners_ijk = np.array([[i, j, k] for i in (0, ni - 1) for j in (0, nj - 1) for k in (0, nk - 1)])
        return float(np.abs(self.ras_from_ijk(corners_ijk) - other.ras_from_ijk(corners_ijk)).max())

    def __repr__(self) -> str:
        ni, nj, nk = self.shape_kji[::-1]
        si, sj, sk = self.spacing_ijk_mm
        return f"VolumeGrid({ni} x {nj} x {nk} voxels (i, j, k) of {si:.4g} x {sj:.4g} x {sk:.4g} mm, {self.orientation})"
