"""Summaries and bootstrap intervals: known values, the coverage promised, undefined and infinite scores."""

from __future__ import annotations

import numpy as np
import pytest

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.statistics import bootstrap_interval, paired_bootstrap_interval, summarize

NAN, INF = float("nan"), float("inf")

# Efron and Tibshirani (1993), An Introduction to the Bootstrap, table 2.1: survival in days of mice, treated and not.
TREATED = (94, 197, 16, 38, 99, 141, 23)


def test_a_summary_has_the_quartiles_that_numpy_gives():
    values = np.random.default_rng(1).uniform(size=37)
    summary = summarize(values)
    assert (summary.lower_quartile, summary.median, summary.upper_quartile) == pytest.approx(np.percentile(values, [25, 50, 75]).tolist())
    assert summary.mean == pytest.approx(values.mean())


def test_a_summary_leaves_out_undefined_scores_and_says_how_many():
    summary = summarize([0.2, NAN, 0.4, 0.9])
    assert (summary.count, summary.left_out, summary.median) == (3, 1, 0.4)


def test_a_missed_object_counts_in_a_summary():
    summary = summarize([1.0, 2.0, INF, INF])
    assert (summary.count, summary.left_out, summary.median, summary.upper_quartile) == (4, 0, INF, INF)
    assert summary.lower_quartile == pytest.approx(1.75)


def test_a_summary_of_nothing_is_undefined():
    assert np.isnan(summarize([NAN]).median)


def test_the_spread_of_resampled_means_is_the_one_of_the_textbook():
    # The book gives 23.36 as the ideal bootstrap standard error of this mean; +-1 standard error is the middle 68.27 %.
    interval = bootstrap_interval(TREATED, "mean", level=0.6827, seed=0, resamples=20000)
    assert interval.estimate == pytest.approx(86.857, abs=1e-3)
    assert (interval.upper - interval.lower) / 2 == pytest.approx(23.36, abs=0.6)


@pytest.mark.parametrize(("statistic", "method"), [("mean", "percentile"), ("mean", "BCa"), ("median", "percentile")])
def test_intervals_hold_the_truth_about_as_often_as_they_say(statistic, method):
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(200):
        interval = bootstrap_interval(rng.normal(3.0, 1.0, 40), statistic, resamples=400, method=method, seed=trial)
        hits += interval.lower <= 3.0 <= interval.upper
    assert 0.90 <= hits / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval_and_another_another():
    assert bootstrap_interval(TREATED, "mean", seed=4) == bootstrap_interval(TREATED, "mean", seed=4)
    assert bootstrap_interval(TREATED, "mean", seed=4) != bootstrap_interval(TREATED, "mean", seed=5)


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_values_that_are_all_alike_have_an_interval_of_no_width(method):
    interval = bootstrap_interval([0.7] * 8, method=method)
    assert (interval.lower, interval.estimate, interval.upper) == (0.7, 0.7, 0.7)


def test_an_interval_needs_two_values():
    interval = bootstrap_interval([0.7, NAN])
    assert interval.count == 1
    assert np.isnan([interval.estimate, interval.lower, interval.upper]).all()


def test_a_median_among_infinite_values_has_an_interval_that_may_end_in_infinity():
    interval = bootstrap_interval([1.0, 1.5, 2.0, 2.5, 3.0, INF, INF])
    assert interval.estimate == 2.5
    assert interval.lower < 2.5
    assert interval.upper == INF
    with pytest.raises(InputError, match="Take the median"):
        bootstrap_interval([1.0, INF], "mean")


def test_a_paired_interval_is_that_of_the_differences():
    first, second = np.random.default_rng(2).uniform(size=(2, 15))
    second[3] = NAN
    kept = np.delete(first - second, 3)
    assert paired_bootstrap_interval(first, second, seed=9) == bootstrap_interval(kept, seed=9)


@pytest.mark.parametrize("option", [{"statistic": "mode"}, {"method": "basic"}, {"level": 1.0}, {"resamples": 0}])
def test_an_option_that_does_not_exist_is_refused(option):
    with pytest.raises(InputError):
        bootstrap_interval(TREATED, **option)
