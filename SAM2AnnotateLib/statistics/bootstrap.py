"""Confidence intervals by resampling cases. Imports numpy, errors and (inside functions) scipy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..optional_imports import import_for
from .paired import paired_differences
from .summary import one_dimensional

_STATISTICS: dict[str, Callable[..., Any]] = {"median": np.median, "mean": np.mean}
_INFINITY = 1e100  # its cube, which BCa forms, is still a number
METHODS = ("percentile", "BCa")


@dataclass(frozen=True)
class Interval:
    """A bootstrap confidence interval; all NaN if there are fewer than two values.

    Args:
        estimate: the statistic of the values themselves.
        lower: lower bound.
        upper: upper bound.
        level: share of such intervals that hold the true value, 0..1.
        count: values that it is made from.
    """

    estimate: float
    lower: float
    upper: float
    level: float
    count: int


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    statistic: str = "median",
    *,
    level: float = 0.95,
    resamples: int = 9999,
    method: str = "percentile",
    seed: int = 0,
) -> Interval:
    """The interval for the median or mean of (n,) values; NaN is left out. The same seed gives the same interval.

    Args:
        values: one a case; cases are drawn with replacement.
        statistic: ``median`` or ``mean``.
        level: between 0 and 1.
        resamples: how many samples are drawn.
        method: ``percentile``, sound for medians, whose resampled values are few; or ``BCa``, which corrects bias and skew of means.
        seed: of the draws.

    Raises:
        InputError: if an option is none of these, or a mean of infinite values is asked for.
        MissingPackageError: if scipy is not installed.
    """
    if statistic not in _STATISTICS or method not in METHODS:
        raise InputError(
            f"Unknown bootstrap '{method}' of '{statistic}': expected one of {', '.join(METHODS)}, of {', '.join(_STATISTICS)}."
        )
    if not 0 < level < 1 or resamples < 1:
        raise InputError(f"Expected a level between 0 and 1 and at least one resample, got {level!r} and {resamples!r}.")
    stats = import_for("A bootstrap interval", "scipy.stats", "pip install scipy")
    given = one_dimensional(values, "Values")
    kept = given[~np.isnan(given)]
    if kept.size < 2:
        return Interval(float("nan"), float("nan"), float("nan"), level, kept.size)
    if statistic == "mean" and np.isinf(kept).any():
        raise InputError("The mean of infinite values has no interval. Take the median.")
    # A number that stands for infinity lets a median be computed halfway between it and another; the way back is below.
    finite = np.nan_to_num(kept, posinf=_INFINITY, neginf=-_INFINITY)
    estimate = float(_STATISTICS[statistic](finite))
    if (finite == finite[0]).all():  # BCa would have no spread to correct by
        lower = upper = estimate
    else:
        found = stats.bootstrap(
            (finite,),
            _STATISTICS[statistic],
            confidence_level=level,
            n_resamples=resamples,
            method=method,
            rng=np.random.default_rng(seed),
            vectorized=True,
        ).confidence_interval
        lower, upper = float(found.low), float(found.high)
    return Interval(_with_infinity(estimate), _with_infinity(lower), _with_infinity(upper), level, kept.size)


def paired_bootstrap_interval(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    statistic: str = "median",
    *,
    level: float = 0.95,
    resamples: int = 9999,
    method: str = "percentile",
    seed: int = 0,
) -> Interval:
    """The interval for the median or mean of first minus second, case by case; pairs with a NaN are left out.

    Args:
        first: (n,) scores, one a case.
        second: (n,) scores of the same cases.

    Raises:
        InputError: as `bootstrap_interval`, or if the two are not of one length.
        MissingPackageError: if scipy is not installed.
    """
    differences = paired_differences(first, second)
    return bootstrap_interval(differences, statistic, level=level, resamples=resamples, method=method, seed=seed)


def _with_infinity(value: float) -> float:
    """What came out of the number for infinity is infinite."""
    return float(np.copysign(np.inf, value)) if abs(value) > _INFINITY / 1e10 else value
