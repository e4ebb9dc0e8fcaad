"""Masks mixed by their shape: signed distances to the outline, weighted. Imports numpy alone, as the model's process needs no scipy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# A weight below this says nothing.
_NOTHING = 1e-6


def mixed(parts: Sequence[tuple[float, np.ndarray]], spacing_rc_mm: tuple[float, float]) -> np.ndarray:
    """The mask whose signed distance is the weighted mean of those of several masks.

    An empty mask votes with minus the greatest depth of the others, so that the object shrinks evenly towards it.

    Args:
        parts: (weight, (rows, cols) bool mask); weights need not sum to 1, those of nearly 0 do not count.
        spacing_rc_mm: spacing of rows and columns.

    Returns:
        (rows, cols) bool. Of one mask, or of equal ones, that mask.
    """
    counted = [(weight, mask) for weight, mask in parts if weight > _NOTHING]
    if not counted:
        raise ValueError("No mask has a weight.")
    first = counted[0][1]
    if all(np.array_equal(mask, first) for _, mask in counted[1:]):
        return first.copy()
    everywhere = np.logical_or.reduce([mask for _, mask in counted])
    rows, cols = np.flatnonzero(everywhere.any(axis=1)), np.flatnonzero(everywhere.any(axis=0))
    box = (slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1))
    depths = [(weight, depth_mm(mask[box], spacing_rc_mm)) for weight, mask in counted if mask.any()]
    total = sum(weight * depth for weight, depth in depths)
    empty = sum(weight for weight, mask in counted if not mask.any())
    deepest = sum(weight * float(depth.max()) for weight, depth in depths) / sum(weight for weight, _ in depths)
    result = np.zeros_like(first)
    result[box] = total - empty * deepest >= 0
    return result


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """DSC of two bool masks; 1 if both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 1.0 if total == 0 else 2.0 * int((one & other).sum()) / total


def depth_mm(mask: np.ndarray, spacing_rc_mm: tuple[float, float]) -> np.ndarray:
    """Signed distance of pixel centers to the outline between pixels inside and outside, positive inside.

    Args:
        mask: (rows, cols) bool with a pixel inside; what lies beyond the array counts as outside.
        spacing_rc_mm: spacing of rows and columns.

    Returns:
        (rows, cols) float. The outline lies half a (smaller) pixel from the nearest pixel's center.
    """
    ringed = np.pad(mask, 1)
    half = min(spacing_rc_mm) / 2
    inside, outside = _distance_mm(~ringed, spacing_rc_mm), _distance_mm(ringed, spacing_rc_mm)
    return np.where(ringed, inside - half, half - outside)[1:-1, 1:-1]


def _distance_mm(targets: np.ndarray, spacing_rc_mm: tuple[float, float]) -> np.ndarray:
    """Euclidean distance of every pixel to the nearest one of `targets` (rows, cols), of which there is at least one; exact.

    First along the rows' axis, then the least over all columns of the sum of squares (Felzenszwalb and Huttenlocher's decomposition,
    without their envelope: columns farther away than the nearest target found so far are not looked at).
    """
    count = len(targets)
    index = np.arange(count)[:, None]
    far = 4 * sum(targets.shape)
    above = np.maximum.accumulate(np.where(targets, index, -far), axis=0)
    below = np.minimum.accumulate(np.where(targets, index, far)[::-1], axis=0)[::-1]
    squared = (np.minimum(index - above, below - index) * spacing_rc_mm[0]).astype(np.float32) ** 2
    best = squared.copy()
    for shift in range(1, targets.shape[1]):
        apart = np.float32((shift * spacing_rc_mm[1]) ** 2)
        if apart >= best.max():
            break
        np.minimum(best[:, shift:], squared[:, :-shift] + apart, out=best[:, shift:])
        np.minimum(best[:, :-shift], squared[:, shift:] + apart, out=best[:, :-shift])
    return np.sqrt(best)
