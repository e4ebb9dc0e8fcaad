"""Bring a labelmap onto another grid. Imports geometry and numpy."""

from __future__ import annotations

import numpy as np

from ..geometry import Volume, VolumeGrid


def resample_nearest(labels: Volume, grid: VolumeGrid) -> Volume:
    """Each voxel of `grid` takes the label of the voxel of `labels` that holds its center; 0 outside.

    Args:
        labels: any grid; stored with other axis orders, flips or spacing.
        grid: to resample onto.
    """
    if labels.grid.is_close(grid):
        return Volume(grid, labels.array_kji, labels.modality)
    out = np.zeros(grid.shape_kji, dtype=labels.array_kji.dtype)
    to_source = np.linalg.inv(labels.grid.ijk_to_ras) @ grid.ijk_to_ras
    nk, nj, ni = grid.shape_kji
    size_ijk = np.array(labels.grid.shape_kji[::-1])
    plane_ijk = np.stack(np.meshgrid(np.arange(ni), np.arange(nj), indexing="xy"), axis=-1)  # (j, i, 2)
    in_plane = plane_ijk @ to_source[:3, :2].T + to_source[:3, 3]
    for k in range(nk):
        source = np.rint(in_plane + k * to_source[:3, 2]).astype(int)
        inside = ((source >= 0) & (source < size_ijk)).all(axis=-1)
        i, j, s = source[inside].T
        out[k][inside] = labels.array_kji[s, j, i]
    return Volume(grid, out, labels.modality)
