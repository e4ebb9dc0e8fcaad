"""What several ways say of a run of slices, made one mask a slice. Imports numpy alone.

All of it in logits of (slices, rows, cols): above 0 is the object.
"""

from __future__ import annotations

import numpy as np

# A part of a mask smaller than this share of the slice's largest part is left out; "only the largest" would halve a split object.
_LEAST_PART = 0.2
# A mask larger than this times the largest that a prototype shows is something else.
AREA_BOUND = 1.5
# Slices without the object between others with it: up to so many still belong to it.
_WIDEST_GAP = 1


def smoothed(logits: np.ndarray, sigma_slices: float) -> np.ndarray:
    """Logits made to agree with those of neighboring slices: a Gaussian of `sigma_slices` along them; the ends count for what is beyond."""
    if sigma_slices < 0.2 or len(logits) < 2:
        return logits
    reach = int(np.ceil(3 * sigma_slices))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_slices) ** 2)
    padded = np.pad(logits, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    total = sum(w * padded[i : i + len(logits)] for i, w in enumerate(weights))
    return total / weights.sum()


def large_parts(mask: np.ndarray) -> np.ndarray:
    """The connected parts (4 neighbors) of a (rows, cols) bool mask that have at least a fifth of the largest one's area."""
    labels = _labeled(mask)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    if not areas.any():
        return mask
    return (areas >= _LEAST_PART * areas.max())[labels] & mask


def _labeled(mask: np.ndarray) -> np.ndarray:
    """(rows, cols) int, 0 outside the mask, one number for each connected part; without scipy, which Slicer may lack.

    Every pixel takes the largest number beside it, run by run along rows and columns in turn, until nothing changes.
    """
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        before = labels
        for axis in (0, 1):
            labels = _spread_along(labels, axis)
        if np.array_equal(labels, before):
            break
    return np.unique(labels, return_inverse=True)[1].reshape(mask.shape) if (labels == 0).any() else np.ones(mask.shape, int)


def _spread_along(labels: np.ndarray, axis: int) -> np.ndarray:
    """Each run of non-zero labels along an axis takes its largest."""
    turned = np.moveaxis(labels, axis, 1)
    inside = np.pad(turned > 0, ((0, 0), (1, 1)))
    starts = (inside[:, 1:-1] & ~inside[:, :-2]).ravel()
    run = np.cumsum(starts)
    flat = turned.ravel()
    largest = np.zeros(run[-1] + 1 if len(run) else 1, dtype=flat.dtype)
    chosen = flat > 0
    np.maximum.at(largest, run[chosen], flat[chosen])
    return np.moveaxis(np.where(chosen, largest[run], 0).reshape(turned.shape), 1, axis)


def one_run(areas: np.ndarray) -> tuple[int, int] | None:
    """First and last index of the run of slices with the most area, across gaps of one slice; None if all are empty."""
    shown = np.flatnonzero(areas > 0)
    if not len(shown):
        return None
    runs = np.split(shown, np.flatnonzero(np.diff(shown) > _WIDEST_GAP + 1) + 1)
    best = max(runs, key=lambda run: float(areas[run].sum()))
    return int(best[0]), int(best[-1])
