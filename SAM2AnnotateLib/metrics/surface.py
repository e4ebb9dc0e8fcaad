"""Distances between the surfaces of two masks: NSD and HD95. Empty masks as the package says. Imports numpy, errors, optional_imports.

Needs scipy: its k-d tree finds the nearest point of the other surface in a time that grows with the surfaces alone. A distance
transform gives the same distances and fills the whole box around both masks, so that one far speck would cost a volume.

The definition is that of google-deepmind/surface-distance (Nikolov et al. 2021), which studies of segmentation report: elements
weighed by their area (see `surface_elements`), distances between grid corners. The package itself is not used: its one release
(0.1, 2024) fails with numpy 2 on an empty mask and calls parts of scipy that scipy 2 removes. MedPy and Metrics Reloaded count
border voxels without weights, which is another number as soon as the spacing is uneven.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..optional_imports import import_for
from .overlap import require_masks
from .surface_elements import element_sizes, surface_corners

# A file may store 0.7 mm as 0.699999988; a distance that equals the tolerance but for such rounding is within it.
_ROUNDING_MM = 1e-6


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """How far each element of one surface is from the other surface. Made by `surface_distances`.

    Args:
        pred_mm: (n,) distance of each element of the prediction's surface to the truth's; infinite if the truth is empty.
        pred_sizes: (n,) lengths in mm (2-D) or areas in mm^2 (3-D) of these elements.
        truth_mm: (m,) distance of each element of the truth's surface to the prediction's; infinite if the prediction is empty.
        truth_sizes: (m,) their sizes.
    """

    pred_mm: np.ndarray
    pred_sizes: np.ndarray
    truth_mm: np.ndarray
    truth_sizes: np.ndarray


def surface_distances(pred: np.ndarray, truth: np.ndarray, spacing_mm: tuple[float, ...]) -> SurfaceDistances:
    """The distances between the surfaces of two masks, in both directions.

    A mask that reaches the rim of the array has a surface there: beyond the array is outside.

    Args:
        pred: 2-D or 3-D bool mask.
        truth: bool mask of the same shape.
        spacing_mm: spacing in mm in array order: (k, j, i) of a volume. The axes count as perpendicular.

    Raises:
        InputError: if a mask is not boolean, the shapes differ, or the spacing is not one positive number for each of 2 or 3 axes.
        MissingPackageError: if scipy is not installed.
    """
    require_masks(pred, truth)
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    if pred.ndim not in (2, 3):
        raise InputError(f"Expected 2-D or 3-D masks, got {pred.ndim} dimensions and shape {pred.shape}.")
    if spacing.shape != (pred.ndim,) or not (np.isfinite(spacing) & (spacing > 0)).all():
        raise InputError(f"Expected a spacing of {pred.ndim} positive numbers in mm, in array order, got {tuple(np.ravel(spacing_mm))}.")
    sizes = element_sizes(tuple(spacing))
    pred_corners, pred_codes = surface_corners(pred)
    truth_corners, truth_codes = surface_corners(truth)
    return SurfaceDistances(
        pred_mm=_nearest_mm(pred_corners * spacing, truth_corners * spacing),
        pred_sizes=sizes[pred_codes],
        truth_mm=_nearest_mm(truth_corners * spacing, pred_corners * spacing),
        truth_sizes=sizes[truth_codes],
    )


def normalized_surface_dice(distances: SurfaceDistances, tolerance_mm: float) -> float:
    """Share of both surfaces, by size, that lies within the tolerance of the other surface (NSD, surface Dice).

    Args:
        distances: from `surface_distances`.
        tolerance_mm: largest distance that counts as agreement, e.g. the spread between two readers.

    Returns:
        0..1; 0 if one mask is empty, NaN if both are.

    Raises:
        InputError: if the tolerance is negative or not finite.
    """
    require_tolerance(tolerance_mm)
    total = distances.pred_sizes.sum() + distances.truth_sizes.sum()
    if total == 0:
        return float("nan")
    limit = tolerance_mm + _ROUNDING_MM
    within = distances.pred_sizes[distances.pred_mm <= limit].sum() + distances.truth_sizes[distances.truth_mm <= limit].sum()
    return float(within / total)


def hausdorff_95_mm(distances: SurfaceDistances) -> float:
    """95th percentile of the distance between the surfaces, in mm: the larger of the two directions (HD95).

    The percentile of one direction is the smallest of its distances that at least 95 % of the surface, by size, does not exceed; there
    is no interpolation. (Some tools pool both directions, which gives a smaller number.)

    Args:
        distances: from `surface_distances`.

    Returns:
        0 or more; infinite if one mask is empty, NaN if both are.
    """
    if distances.pred_mm.size == 0 and distances.truth_mm.size == 0:
        return float("nan")
    # The surface of an empty mask has no percentile; the other direction is infinite and decides.
    directions = ((distances.pred_mm, distances.pred_sizes), (distances.truth_mm, distances.truth_sizes))
    return max(_percentile_95(mm, sizes) for mm, sizes in directions if mm.size)


def require_tolerance(tolerance_mm: float) -> None:
    """Raise InputError unless the tolerance is a finite number of at least 0 mm."""
    if not (np.isfinite(tolerance_mm) and tolerance_mm >= 0):
        raise InputError(f"Expected a tolerance of at least 0 mm, got {tolerance_mm}. The usual choice is 1 to 3 mm.")


def _nearest_mm(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(n,) distance of each of the (n, d) points to the nearest target; infinite if there is none."""
    if len(points) == 0 or len(targets) == 0:
        return np.full(len(points), np.inf)
    spatial = import_for("Measuring surface distances", "scipy.spatial", "pip install scipy")
    return spatial.cKDTree(targets).query(points)[0]


def _percentile_95(distances_mm: np.ndarray, sizes: np.ndarray) -> float:
    order = np.argsort(distances_mm)
    covered = np.cumsum(sizes[order])
    # 1e-12: exactly 95 % must count as 95 % whatever the order of summation.
    return float(distances_mm[order[np.searchsorted(covered, 0.95 * covered[-1] * (1 - 1e-12))]])
