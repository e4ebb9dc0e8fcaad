"""The grid of a SimpleITK image. Imports geometry and numpy."""

from __future__ import annotations

import numpy as np

from ..geometry import VolumeGrid
from ..geometry.conventions import flip_lps_ras


def grid_of_image(image) -> VolumeGrid:
    """The grid of a 3-D SimpleITK image, whose own matrix goes to LPS."""
    index_to_lps = np.eye(4)
    index_to_lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    index_to_lps[:3, 3] = image.GetOrigin()
    return VolumeGrid(image.GetSize()[::-1], flip_lps_ras(index_to_lps))
