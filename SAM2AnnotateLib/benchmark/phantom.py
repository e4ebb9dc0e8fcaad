"""A phantom volume with one ellipsoid, as large as wanted. Imports geometry and numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry import Box2D, Extent, Volume, VolumeGrid


@dataclass(frozen=True)
class Phantom:
    """A volume, its object's truth, and the gestures that mark it.

    Args:
        volume: int16, values 0..255; index axes LPS, so that its slices along k are upright as they are stored.
        center: slice with the largest cut.
        box: around the object there.
        extent: slices that hold the object.
    """

    volume: Volume
    center: int
    box: Box2D
    extent: Extent

    def mask(self, position: int) -> np.ndarray:
        """(rows, cols) bool truth of a slice."""
        rows, cols = self.volume.grid.shape_kji[1:]
        return _ellipse(rows, cols, self._shrink(position))

    def _shrink(self, position: int) -> float:
        half = len(self.extent) / 2
        return float(np.sqrt(max(1 - ((position - self.center) / (half + 0.5)) ** 2, 0.0)))


def make_phantom(side: int, slices: int, object_slices: int, seed: int = 0) -> Phantom:
    """A phantom of `slices` slices of `side` x `side` voxels whose object spans `object_slices` of them, about the middle."""
    rng = np.random.default_rng(seed)
    first = (slices - object_slices) // 2
    extent = Extent(first, first + object_slices - 1)
    center = (extent.first + extent.last) // 2
    voxels = np.empty((slices, side, side), dtype=np.int16)
    noise = rng.normal(0, 8, (side, side))
    for k in range(slices):
        voxels[k] = np.clip(70 + np.roll(noise, 7 * k, axis=1), 0, 255)
    grid = VolumeGrid(voxels.shape, np.diag([-1.0, -1.0, 1.0, 1.0]))
    half_rows, half_cols = round(side * 0.17), round(side * 0.22)
    box = Box2D(side // 2 - half_rows, side // 2 + half_rows, side // 2 - half_cols, side // 2 + half_cols)
    phantom = Phantom(Volume(grid, voxels), center, box, extent)
    for k in extent.indices:
        voxels[k][phantom.mask(k)] += 90
    return phantom


def _ellipse(rows: int, cols: int, shrink: float) -> np.ndarray:
    if shrink <= 0:
        return np.zeros((rows, cols), dtype=bool)
    y, x = np.ogrid[:rows, :cols]
    return ((y - rows / 2 + 0.5) / (0.17 * rows * shrink)) ** 2 + ((x - cols / 2 + 0.5) / (0.22 * cols * shrink)) ** 2 <= 1
