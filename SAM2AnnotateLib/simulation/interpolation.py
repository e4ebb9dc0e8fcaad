"""Masks between slices drawn by hand, by their shape: a baseline. Imports simulation.correction, geometry, metrics, errors and numpy.

Shape-based interpolation (Raya and Udupa 1990): each drawn mask becomes its signed distance to the outline, positive inside; between two
drawn slices these are mixed linearly, and what is not negative is inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from ..errors import InputError
from ..geometry import Extent
from ..metrics.surface_elements import bounding_box
from .correction import boundary_distance_mm

# A pixel's center on the interpolated line counts as inside, however the sum was rounded.
_ROUNDING_MM = 1e-9


def interpolate_slices(drawn: Mapping[int, np.ndarray], extent: Extent, spacing_rc_mm: tuple[float, float]) -> dict[int, np.ndarray]:
    """The masks of all slices of an extent.

    Towards a drawn slice that is empty, the object shrinks evenly: of the other drawn slice those pixels remain that are at least as deep
    as that share of its greatest depth by which the empty slice is near. Between two empty ones all is empty.

    Args:
        drawn: (rows, cols) bool masks by position; the first and the last slice of the extent must be among them.
        extent: positions of the object.
        spacing_rc_mm: (row, column) spacing.

    Returns:
        (rows, cols) bool masks by position, in rising order; the drawn ones as they were given.

    Raises:
        InputError: if an end of the extent is not drawn, a slice beyond it is, or the masks have different shapes.
        MissingPackageError: if scipy is not installed.
    """
    positions = sorted(drawn)
    if not positions or (positions[0], positions[-1]) != (extent.first, extent.last):
        raise InputError(f"To interpolate slices {extent.first}..{extent.last}, draw the first and the last; drawn are {positions}.")
    shapes = {drawn[position].shape for position in positions}
    if len(shapes) != 1:
        raise InputError(f"The drawn masks must have one shape, got {sorted(shapes)}.")
    masks = {positions[0]: drawn[positions[0]]}
    for low, high in pairwise(positions):
        masks.update(_between(drawn, low, high, spacing_rc_mm))
        masks[high] = drawn[high]
    return masks


def _between(drawn: Mapping[int, np.ndarray], low: int, high: int, spacing_rc_mm: tuple[float, float]) -> dict[int, np.ndarray]:
    masks = {position: np.zeros(drawn[low].shape, dtype=bool) for position in range(low + 1, high)}
    box = bounding_box(drawn[low] | drawn[high])
    if box is None or not masks:
        return masks
    depth_low, depth_high = (_depth_mm(drawn[end][box], spacing_rc_mm) for end in (low, high))
    if not drawn[low].any():
        depth_low = depth_high - depth_high.max()
    elif not drawn[high].any():
        depth_high = depth_low - depth_low.max()
    for position, mask in masks.items():
        share = (position - low) / (high - low)
        mask[box] = (1 - share) * depth_low + share * depth_high >= -_ROUNDING_MM
    return masks


def _depth_mm(mask: np.ndarray, spacing_rc_mm: tuple[float, float]) -> np.ndarray:
    """Signed distance of pixel centers to the mask's boundary, positive inside; minus infinity for an empty mask."""
    distance_mm = boundary_distance_mm(mask, spacing_rc_mm)
    return np.where(mask, distance_mm, -distance_mm)
