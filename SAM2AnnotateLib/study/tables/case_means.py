"""Means of each case: cases differ by chance, the objects of one case have scan and patient in common. Imports statistics, study.results.

Every test of a study is over cases, one number each, never over objects or slices: those are not independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ...statistics import Interval, paired_bootstrap_interval, wilcoxon_signed_rank
from ..records.results import ObjectKey


@dataclass(frozen=True)
class PairedCases:
    """Two values of each case, compared.

    Args:
        cases: that have both values.
        more, fewer: of them, in how many the first value is larger, and smaller.
        difference: mean or median of first minus second, with its 95 % bootstrap interval.
        p_value: two-tailed Wilcoxon signed-rank; NaN without a case.
    """

    cases: int
    more: int
    fewer: int
    difference: Interval
    p_value: float


def case_means(values: Iterable[tuple[ObjectKey, float]]) -> dict[str, float]:
    """Mean over the objects of each case, by case; NaN is left out, and is the mean of a case that has nothing else."""
    by_case: dict[str, list[float]] = {}
    for key, value in values:
        known = by_case.setdefault(key.case, [])
        if not math.isnan(value):
            known.append(value)
    return {case: float(np.mean(known)) if known else float("nan") for case, known in sorted(by_case.items())}


def mean_of(by_case: Mapping[str, float]) -> float:
    """Mean over cases, each of which counts alike; NaN is left out, and is the mean of no case."""
    known = [value for value in by_case.values() if not math.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def paired_cases(first: Mapping[str, float], second: Mapping[str, float], statistic: str = "mean") -> PairedCases:
    """Compare two values of each case, of the cases that both have.

    Args:
        first: values by case.
        second: likewise.
        statistic: ``mean`` or ``median``, of the differences.
    """
    both = [case for case in sorted(first.keys() & second.keys()) if not math.isnan(first[case] + second[case])]
    own, its = [first[case] for case in both], [second[case] for case in both]
    gaps = np.round(np.subtract(own, its), 12)  # 0.3 - 0.2 and 0.2 - 0.1 are the same, as the test has it
    interval = paired_bootstrap_interval(own, its, statistic)
    return PairedCases(len(both), int((gaps > 0).sum()), int((gaps < 0).sum()), interval, wilcoxon_signed_rank(own, its).p_value)
