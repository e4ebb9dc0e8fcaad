"""Median, quartiles and count of scores. Imports numpy and errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError


@dataclass(frozen=True)
class Summary:
    """A set of scores in a few numbers; all NaN but the counts if no score is left.

    Args:
        count: scores that count.
        left_out: NaN scores, which do not.
        median: the middle score.
        lower_quartile: 25th percentile, linear between neighbors.
        upper_quartile: 75th percentile; the two are the IQR.
        mean: the average; infinite if a score is.
    """

    count: int
    left_out: int
    median: float
    lower_quartile: float
    upper_quartile: float
    mean: float


def summarize(values: Sequence[float] | np.ndarray) -> Summary:
    """Summarize (n,) scores; NaN is left out, infinite scores count.

    Raises:
        InputError: if `values` is not one-dimensional.
    """
    given = one_dimensional(values, "Scores")
    kept = given[~np.isnan(given)]
    left_out = given.size - kept.size
    if not kept.size:
        return Summary(0, left_out, *[float("nan")] * 4)
    lower, median, upper = (_percentile(kept, share) for share in (0.25, 0.5, 0.75))
    return Summary(kept.size, left_out, median, lower, upper, float(kept.mean()))


def one_dimensional(values: Sequence[float] | np.ndarray, what: str) -> np.ndarray:
    """(n,) float64. Raises InputError, naming `what`, for anything else."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise InputError(f"{what}: expected one list of numbers, got an array of shape {array.shape}.")
    return array


def _percentile(values: np.ndarray, share: float) -> float:
    """Linear between neighbors, as numpy does it, but infinite neighbors do not give NaN."""
    ordered = np.sort(values)
    position = share * (ordered.size - 1)
    below, above = ordered[int(np.floor(position))], ordered[int(np.ceil(position))]
    if below == above:
        return float(below)
    return float(below + (above - below) * (position % 1))
