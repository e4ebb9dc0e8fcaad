"""A curve of calibration: the share of slices that is corrected at each threshold of a metric. Imports errors, the standard library.

It rises with the threshold, but for small falls: a correction prompts the model anew, so one slice more that is corrected can make others
right.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import InputError


@dataclass(frozen=True)
class CurvePoint:
    """Corrected share of slices, 0..1, at a threshold of one metric with the other at 0."""

    threshold: float
    share: float


def threshold_at(curve: Sequence[CurvePoint], target: float, metric: str) -> float:
    """The threshold at which a curve first reaches a share, by linear interpolation between neighbors.

    Args:
        curve: with rising thresholds.
        target: share, 0..1.
        metric: ``dsc`` or ``nsd``, for the message.

    Raises:
        InputError: if the share lies below the first point or above all.
    """
    found = first_rise([(point.threshold, point.share) for point in curve], target)
    if found is None:
        lies = "is not reached" if target > curve[0].share else "lies below the curve"
        raise InputError(f"{100 * target:g} % {lies}: {reach(metric.upper(), curve)}. Widen calibration.{metric}.")
    return found


def first_rise(points: Sequence[tuple[float, float]], target: float) -> float | None:
    """Where a line through (x, y) with rising x first reaches `target` from below; None if it begins above it or never does."""
    if points[0][1] >= target:
        return points[0][0] if points[0][1] == target else None
    for (x, y), (next_x, next_y) in itertools.pairwise(points):
        if next_y >= target:
            return x + (next_x - x) * (target - y) / (next_y - y)
    return None


def reach(metric: str, curve: Sequence[CurvePoint]) -> str:
    """What a curve covers, for messages."""
    shares = f"{percent(curve[0].share)}..{percent(max(point.share for point in curve))} %"
    return f"thresholds of {metric} {curve[0].threshold:g}..{curve[-1].threshold:g} correct {shares} of slices"


def percent(share: float) -> str:
    """A share as a number of percent, for messages."""
    return f"{100 * share:.3g}"
