"""Whether two models differ on the same cases: Wilcoxon signed-rank, Holm's correction. Imports numpy, errors and (inside) scipy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..optional_imports import import_for
from .summary import one_dimensional

# Differences are compared after rounding to this many decimals: 0.9 - 0.8 and 0.8 - 0.7 are one difference, not two ranks.
_DECIMALS = 12
# Up to this many differences without ties the exact distribution is used.
_LARGEST_EXACT = 50


@dataclass(frozen=True)
class PairedTest:
    """A two-tailed Wilcoxon signed-rank test.

    Args:
        pairs: pairs with two scores.
        zeros: how many of them do not differ; they are left out of the ranks.
        left_out: pairs with a NaN.
        statistic: the smaller of the sums of ranks of positive and of negative differences; NaN if nothing differs.
        p_value: of the null hypothesis that differences are symmetric about 0; 1 if nothing differs, NaN if there is no pair.
        exact: whether from the exact distribution, else from the normal approximation with the correction for ties.
    """

    pairs: int
    zeros: int
    left_out: int
    statistic: float
    p_value: float
    exact: bool


def paired_differences(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> np.ndarray:
    """(m,) first minus second of the pairs without NaN; 0 where both are infinite alike.

    Raises:
        InputError: if the two are not lists of one length: scores must be paired by case.
    """
    a, b = one_dimensional(first, "First scores"), one_dimensional(second, "Second scores")
    if a.shape != b.shape:
        raise InputError(f"Expected as many first scores as second ones, one pair a case; got {a.size} and {b.size}.")
    known = ~(np.isnan(a) | np.isnan(b))
    a, b = a[known], b[known]
    same = a == b  # of two infinite scores too, whose difference would be NaN
    return np.where(same, 0.0, np.subtract(a, b, where=~same, out=np.zeros_like(a)))


def wilcoxon_signed_rank(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> PairedTest:
    """Test whether paired scores differ.

    Pairs with a NaN are left out. Zero differences are left out of the ranks (Wilcoxon's own rule, also that of R's `wilcox.test`); tied
    differences share the mean of their ranks. The p-value is exact for up to 50 differences without ties; otherwise it comes from the
    normal approximation with the correction for ties and without one for continuity.

    Args:
        first: (n,) scores, one a case.
        second: (n,) scores of the same cases.

    Raises:
        InputError: if the two are not lists of one length.
        MissingPackageError: if scipy is not installed.
    """
    stats = import_for("Comparing models", "scipy.stats", "pip install scipy")
    differences = np.round(paired_differences(first, second), _DECIMALS)
    left_out = one_dimensional(first, "First scores").size - differences.size
    nonzero = differences[differences != 0]
    zeros = differences.size - nonzero.size
    if not nonzero.size:
        return PairedTest(differences.size, zeros, left_out, float("nan"), 1.0 if zeros else float("nan"), True)
    exact = nonzero.size <= _LARGEST_EXACT and np.unique(np.abs(nonzero)).size == nonzero.size
    # Only the order of sizes counts. With ranks in place of sizes, infinite differences stay out of scipy's arithmetic.
    ranked = np.sign(nonzero) * stats.rankdata(np.abs(nonzero))
    result = stats.wilcoxon(ranked, zero_method="wilcox", correction=False, alternative="two-sided", method="exact" if exact else "approx")
    return PairedTest(differences.size, zeros, left_out, float(result.statistic), float(result.pvalue), exact)


def holm_adjusted(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """(n,) p-values adjusted for being n comparisons, by Holm's step-down method, in the order given.

    scipy, which does the tests here, has no Holm; statsmodels has, at the price of pandas and patsy for these lines.

    The smallest is multiplied by n, the next by n - 1, and so on; none becomes smaller than one before it, none larger than 1. A NaN is no
    comparison: it stays NaN and does not count.

    Raises:
        InputError: if a p-value is not between 0 and 1.
    """
    given = one_dimensional(p_values, "P-values")
    known = np.flatnonzero(~np.isnan(given))
    if ((given[known] < 0) | (given[known] > 1)).any():
        raise InputError(f"Expected p-values between 0 and 1, got {given.tolist()}.")
    rising = known[np.argsort(given[known], kind="stable")]
    adjusted = np.full(given.shape, np.nan)
    factors = np.arange(rising.size, 0, -1)
    adjusted[rising] = np.minimum(1.0, np.maximum.accumulate(given[rising] * factors))
    return adjusted
