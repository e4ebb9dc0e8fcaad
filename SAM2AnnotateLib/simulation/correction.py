"""A mask corrected as a person would: study A's rule. Imports simulation.objects, metrics, numpy and (inside functions) scipy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..metrics.overlap import require_masks
from ..metrics.surface import require_tolerance
from ..metrics.surface_elements import bounding_box
from ..optional_imports import import_for
from .objects import connected_parts

# A file may store 0.7 mm as 0.699999988; a distance that equals the tolerance but for such rounding is not beyond it.
_ROUNDING_MM = 1e-6


@dataclass(frozen=True, eq=False)
class HandCorrection:
    """What a person makes of a mask.

    Args:
        mask: (rows, cols) bool mask as it is afterwards.
        changed: (rows, cols) bool, the pixels that were changed.
    """

    mask: np.ndarray
    changed: np.ndarray


def correct_by_hand(
    mask: np.ndarray, truth_frame: np.ndarray, spacing_rc_mm: tuple[float, float], tolerance_mm: float = 1.0
) -> HandCorrection:
    """Repair the errors that a person would see, and leave the others.

    The pixels in which mask and truth differ fall into connected parts (corners connect). A part is taken from the truth if the center
    of at least one of its pixels lies more than the tolerance from the truth's boundary; a smaller error stays. So an object that is
    nowhere deeper than the tolerance is not drawn where the mask misses it; with an empty truth, everything is erased.

    Args:
        mask: (rows, cols) bool prediction.
        truth_frame: (rows, cols) bool truth.
        spacing_rc_mm: (row, column) spacing.
        tolerance_mm: largest distance that a person leaves.

    Raises:
        InputError: if the masks are not bool or of different shapes, or the tolerance is negative.
        MissingPackageError: if scipy is not installed.
    """
    require_masks(mask, truth_frame)
    require_tolerance(tolerance_mm)
    changed = np.zeros_like(mask)
    box = bounding_box(mask | truth_frame)
    if box is not None:
        distance_mm = boundary_distance_mm(truth_frame[box], spacing_rc_mm)
        to_change = changed[box]  # a view
        for part_box, part in connected_parts(mask[box] ^ truth_frame[box]):
            if distance_mm[part_box][part].max() > tolerance_mm + _ROUNDING_MM:
                to_change[part_box] |= part
    return HandCorrection(mask ^ changed, changed)


def boundary_distance_mm(truth_frame: np.ndarray, spacing_rc_mm: tuple[float, float]) -> np.ndarray:
    """How far the center of each pixel is from the boundary of a mask: the line between pixels inside and pixels outside.

    Beyond the array is outside. A pixel beside the line is half a spacing from it, on either side.

    The distances are exact. The boundary consists of sides of pixels, which run along rows and columns. Of such a side, the point nearest
    to a pixel's center is its middle, if the center lies straight across, else one of its ends. Middles, ends and centers all lie on the
    grid of half pixels, so a distance transform between the points of that grid misses nothing.

    Args:
        truth_frame: (rows, cols) bool mask.
        spacing_rc_mm: (row, column) spacing.

    Returns:
        (rows, cols) distances in mm, 0 or more; infinite for an empty mask.

    Raises:
        MissingPackageError: if scipy is not installed.
    """
    if not truth_frame.any():
        return np.full(truth_frame.shape, np.inf)
    ndimage = import_for("Measuring how far errors are from the outline", "scipy.ndimage", "pip install scipy")
    rows, cols = truth_frame.shape
    inside = np.pad(truth_frame, 1)
    across = inside[1:, 1:-1] != inside[:-1, 1:-1]  # (rows + 1, cols): whether the line above pixel (row, col) is boundary
    along = inside[1:-1, 1:] != inside[1:-1, :-1]  # (rows, cols + 1): the same for the line left of it
    boundary = np.zeros((2 * rows + 1, 2 * cols + 1), dtype=bool)  # pixel (row, col) has its center at (2 row + 1, 2 col + 1)
    boundary[::2, 1::2] = across
    boundary[1::2, ::2] = along
    boundary[::2, :-2:2] |= across  # An end is the nearest point only where the boundary turns, and there a side across ends too.
    boundary[::2, 2::2] |= across
    half_mm = tuple(mm / 2 for mm in spacing_rc_mm)
    return ndimage.distance_transform_edt(~boundary, sampling=half_mm)[1::2, 1::2]
