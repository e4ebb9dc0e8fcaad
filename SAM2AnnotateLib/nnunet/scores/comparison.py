"""Compare models on the same cases: paired tests, corrected, with intervals. Imports statistics, nnunet.evaluation, errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import InputError
from ...statistics import Interval, PairedTest, holm_adjusted, paired_bootstrap_interval, wilcoxon_signed_rank
from .evaluation import METRICS, Evaluation

# How a p-value is shown above a box plot, by its upper bound.
_MARKS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


@dataclass(frozen=True)
class Comparison:
    """A model against the reference, for one label and metric.

    Args:
        model: name.
        reference: name.
        label: name.
        metric: one of `METRICS`.
        test: two-tailed Wilcoxon signed-rank.
        adjusted_p: its p-value after Holm's correction over all models that are compared with the reference for this label and metric.
        difference: median of model minus reference, with its bootstrap interval.
    """

    model: str
    reference: str
    label: str
    metric: str
    test: PairedTest
    adjusted_p: float
    difference: Interval

    @property
    def mark(self) -> str:
        """`significance_mark` of the adjusted p-value."""
        return significance_mark(self.adjusted_p)


def significance_mark(p_value: float) -> str:
    """``***`` below 0.001, ``**`` below 0.01, ``*`` below 0.05, ``ns`` otherwise."""
    return next((mark for bound, mark in _MARKS if p_value < bound), "ns")


def compare(evaluations: Sequence[Evaluation], reference: str, *, level: float = 0.95, seed: int = 0) -> list[Comparison]:
    """Compare every model with the reference, for each label and metric.

    Holm's correction is over the models: each label and metric is a question of its own, asked of all models at once, as the study did.

    Raises:
        InputError: if the reference is unknown, a name is used twice, or the models were not scored on the same cases in the same way.
        MissingPackageError: if scipy is not installed.
    """
    names = [evaluation.model for evaluation in evaluations]
    if len(set(names)) != len(names):
        raise InputError(f"Two models have one name among: {', '.join(names)}. Name them differently.")
    if reference not in names:
        raise InputError(f"There is no model '{reference}' to compare with: there are {', '.join(names)}.")
    base = evaluations[names.index(reference)]
    others = [evaluation for evaluation in evaluations if evaluation is not base]
    for other in others:
        if other.cases != base.cases or other.labels != base.labels:
            raise InputError(f"'{other.model}' and '{reference}' were scored on different cases or labels. Score both on the same.")
        if other.tolerance_mm != base.tolerance_mm:
            raise InputError(
                f"'{other.model}' was scored with an NSD tolerance of {other.tolerance_mm:g} mm, '{reference}' with "
                f"{base.tolerance_mm:g} mm. Score both with one."
            )
    found = []
    for metric in METRICS:
        for label in base.labels:
            pairs = [(other.values(metric, label), base.values(metric, label)) for other in others]
            tests = [wilcoxon_signed_rank(*pair) for pair in pairs]
            adjusted = holm_adjusted([test.p_value for test in tests])
            intervals = [paired_bootstrap_interval(*pair, level=level, seed=seed) for pair in pairs]
            found += [
                Comparison(other.model, reference, label, metric, test, float(p), interval)
                for other, test, p, interval in zip(others, tests, adjusted, intervals, strict=True)
            ]
    return found
