"""Krippendorff's alpha for values without order: agreement beyond chance, for any number of people and missing answers. Imports numpy.

Krippendorff, Content Analysis, chapter on reliability: the coincidences of the values that pairs of people gave to the same unit.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from ..consensus import Estimate

_RESAMPLES, _SEED = 1000, 20261129


def krippendorff_alpha(units: Iterable[Sequence[Hashable]]) -> Estimate:
    """Agreement of several people on many units: 1 for perfect, 0 for chance, below 0 for worse.

    Args:
        units: for each unit the values that people gave to it; who gave which does not matter. Units with fewer than two say nothing.

    Returns:
        With a 95 % interval by resampling units (the same each time), and the number of units that count. NaN where fewer than two
        different values occur: then chance alone agrees perfectly.
    """
    counted = [list(values) for values in units if len(values) >= 2]
    kinds = sorted({value for values in counted for value in values}, key=repr)
    if len(kinds) < 2:
        return Estimate(float("nan"), float("nan"), float("nan"), len(counted))
    counts = np.array([[values.count(kind) for kind in kinds] for values in counted], dtype=np.float64)
    alphas = _alpha(counts[None])
    drawn = np.random.default_rng(_SEED).integers(len(counts), size=(_RESAMPLES, len(counts)))
    resampled = _alpha(counts[drawn])
    resampled = resampled[np.isfinite(resampled)]
    low, high = np.percentile(resampled, [2.5, 97.5]) if len(resampled) else (alphas[0], alphas[0])
    return Estimate(float(alphas[0]), float(min(low, alphas[0])), float(max(high, alphas[0])), len(counted))


def _alpha(counts: np.ndarray) -> np.ndarray:
    """(S,) alphas of S samples of (units, values) counts, each unit with two values at least."""
    each = counts.sum(axis=2)
    # Pairs of different values in a unit, as shares of its other values; and of all values, whatever the unit.
    observed = (((each[..., None] - counts) * counts).sum(axis=2) / (each - 1)).sum(axis=1)
    totals, all_values = counts.sum(axis=1), each.sum(axis=1)
    expected = ((all_values[:, None] - totals) * totals).sum(axis=1) / (all_values - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - observed / expected
