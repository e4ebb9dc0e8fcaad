"""Overlap of two boolean masks. Empty masks as the package says. Imports numpy and errors only."""

from __future__ import annotations

import numpy as np

from ..errors import InputError


def dice(pred: np.ndarray, truth: np.ndarray) -> float:
    """Dice similarity coefficient of two masks.

    Args:
        pred: bool mask of any dimension.
        truth: bool mask of the same shape.

    Returns:
        0..1; 0 if one mask is empty, NaN if both are.

    Raises:
        InputError: if a mask is not boolean or the shapes differ.

    >>> dice(np.array([True, True, False]), np.array([False, True, True]))
    0.5
    """
    both, in_pred, in_truth = _counts(pred, truth)
    return 2 * both / (in_pred + in_truth) if in_pred + in_truth else float("nan")


def jaccard(pred: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks; arguments, range, empty masks and errors as in `dice`."""
    both, in_pred, in_truth = _counts(pred, truth)
    return both / (in_pred + in_truth - both) if in_pred + in_truth else float("nan")


def require_masks(pred: np.ndarray, truth: np.ndarray) -> None:
    """Raise InputError unless both are boolean arrays of one shape."""
    for name, mask in (("prediction", pred), ("truth", truth)):
        dtype = getattr(mask, "dtype", None)
        if dtype != np.dtype(bool):
            came = type(mask).__name__ if dtype is None else f"dtype {dtype}"
            raise InputError(f"Expected the {name} as a boolean array, got {came}. Compare a label map first: labels == 2, or labels != 0.")
    if pred.shape != truth.shape:
        raise InputError(f"Expected prediction and truth of one shape, got {pred.shape} and {truth.shape}. Resample one onto the other.")


def _counts(pred: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    require_masks(pred, truth)
    return int(np.count_nonzero(pred & truth)), int(np.count_nonzero(pred)), int(np.count_nonzero(truth))
