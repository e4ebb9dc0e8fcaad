"""The coordinate conventions, named once.

IJK
    Voxel indices. ``i`` grows along columns, ``j`` along rows, ``k`` along slices, all zero-based; an integer index is
    the center of a voxel, so voxel ``i`` covers ``[i - 0.5, i + 0.5)``.
KJI
    The order of numpy array axes: ``array[k, j, i]``.
RAS
    World coordinates in mm, growing to the patient's Right, Anterior, Superior. Slicer and NIfTI use it.
LPS
    World coordinates in mm, growing to Left, Posterior, Superior. ITK and DICOM use it.

The sign change between LPS and RAS stands here and nowhere else. Imports: numpy only.
"""

from __future__ import annotations

import numpy as np

_LPS_RAS_SIGNS = np.array([[-1.0], [-1.0], [1.0], [1.0]])


def flip_lps_ras(index_to_world: np.ndarray) -> np.ndarray:
    """Turn an index-to-LPS matrix into index-to-RAS, or back (the change is its own inverse).

    Args:
        index_to_world: (4, 4) affine matrix from voxel indices to world mm.
    """
    return _LPS_RAS_SIGNS * np.asarray(index_to_world, dtype=np.float64)
