"""Volumes with a bright ellipsoid in noise, for tests of prototypes: what the scripted engine finds on them can be worked out by hand."""

from __future__ import annotations

import numpy as np

from SAM2AnnotateLib.geometry import Volume, VolumeGrid

# Rows and columns of 1 mm, slices of 3 mm; axes to right, anterior, superior.
SPACING_KJI_MM = (3.0, 1.0, 1.0)
WINDOW = "0,150"


def a_ball(center_kji=(8, 40, 30), count=20, seed=0, rows=96, cols=80):
    """A volume with a ball of 10 mm radius in the slices, nine of them, and its mask (k, j, i)."""
    k, j, i = np.ogrid[:count, :rows, :cols]
    mask = ((k - center_kji[0]) / 5) ** 2 + ((j - center_kji[1]) / 10) ** 2 + ((i - center_kji[2]) / 10) ** 2 < 1
    voxels = np.random.default_rng(seed).normal(20, 2, mask.shape)
    voxels[mask] += 100
    return Volume(VolumeGrid(mask.shape, np.diag([*SPACING_KJI_MM[::-1], 1.0])), voxels), mask
