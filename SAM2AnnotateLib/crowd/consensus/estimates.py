"""Estimates from few observations: pulled towards what is usual, with an interval. Imports the standard library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_Z = 1.96  # of the normal distribution: 95 %


@dataclass(frozen=True)
class Estimate:
    """A number that was estimated.

    Args:
        value: the estimate, pulled towards what is usual the more, the fewer observations there are.
        low, high: ends of its 95 % interval.
        n: observations it rests on; with 0 the value is what is usual.
    """

    value: float
    low: float
    high: float
    n: float

    @property
    def text(self) -> str:
        """``0.83 (0.71 to 0.92)``."""
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def shrunk_rate(hits: float, n: float, usual: float, strength: float) -> Estimate:
    """A rate of which `hits` in `n` were seen.

    Args:
        hits, n: observations; they may be shares of one.
        usual: the rate that is expected before anything is seen, 0..1.
        strength: number of observations that this counts as.

    Returns:
        The mean of both, and Wilson's interval of their sum.
    """
    total = n + strength
    rate = (hits + strength * usual) / total
    middle = (rate + _Z**2 / (2 * total)) / (1 + _Z**2 / total)
    half = _Z / (1 + _Z**2 / total) * math.sqrt(rate * (1 - rate) / total + _Z**2 / (4 * total**2))
    return Estimate(rate, max(0.0, min(rate, middle - half)), min(1.0, max(rate, middle + half)), n)


def shrunk_mean(values: Sequence[float], weights: Sequence[float], usual: float, usual_spread: float, strength: float) -> Estimate:
    """A mean of observed values.

    Args:
        values: what was seen.
        weights: of each value, 1 for a full observation.
        usual: the mean that is expected before anything is seen.
        usual_spread: standard deviation of one observation that is expected.
        strength: number of observations that these two count as.

    Returns:
        The mean of both, and the normal interval of its standard error; not limited to any range.
    """
    n = float(sum(weights))
    total = n + strength
    mean = (sum(w * v for w, v in zip(weights, values, strict=True)) + strength * usual) / total
    squares = sum(w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True))
    half = _Z * math.sqrt((squares + strength * usual_spread**2) / total / total)
    return Estimate(mean, mean - half, mean + half, n)
