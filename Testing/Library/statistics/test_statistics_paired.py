"""Paired tests against published worked examples: Wilcoxon's signed ranks and Holm's correction."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.statistics import holm_adjusted, paired_differences, wilcoxon_signed_rank

NAN, INF = float("nan"), float("inf")

# Hollander and Wolfe (1973), depression scale of nine patients before and after a tranquilizer; R's own example of wilcox.test gives
# V = 40 and, one-sided, p = 0.01953.
BEFORE = (1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30)
AFTER = (0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29)
# Darwin's fifteen pairs of maize plants, differences in eighths of an inch (Fisher, The Design of Experiments); scipy's documentation gives
# a statistic of 24 and p = 0.041259765625.
MAIZE = (6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75)


def exact_by_enumeration(differences: list[float]) -> float:
    """The two-tailed p-value by counting all assignments of signs: the definition, for few differences without ties."""
    sizes = np.abs(differences)
    ranks = np.argsort(np.argsort(sizes)) + 1
    sums = [sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign) for signs in itertools.product((0, 1), repeat=len(ranks))]
    observed = min(ranks[np.array(differences) > 0].sum(), ranks[np.array(differences) < 0].sum())
    return min(1.0, 2 * float(np.mean(np.array(sums) <= observed)))


def test_the_depression_scale_of_hollander_and_wolfe_gives_the_published_result():
    result = wilcoxon_signed_rank(BEFORE, AFTER)
    assert result.statistic == 45 - 40  # the smaller of the two sums; V is the other
    assert result.p_value == pytest.approx(2 * 0.01953125)
    assert (result.pairs, result.zeros, result.left_out, result.exact) == (9, 0, 0, True)


def test_darwins_maize_gives_the_published_result():
    result = wilcoxon_signed_rank(MAIZE, np.zeros(15))
    assert result.statistic == 24
    assert result.p_value == pytest.approx(0.041259765625, abs=0)


@pytest.mark.parametrize("seed", range(5))
def test_small_samples_agree_with_counting_all_signs(seed):
    differences = np.random.default_rng(seed).normal(0.3, 1.0, 9).tolist()
    assert wilcoxon_signed_rank(differences, np.zeros(9)).p_value == pytest.approx(exact_by_enumeration(differences))


def test_swapping_the_models_changes_nothing():
    assert wilcoxon_signed_rank(BEFORE, AFTER) == wilcoxon_signed_rank(AFTER, BEFORE)


def test_equal_scores_are_left_out_of_the_ranks_and_counted():
    result = wilcoxon_signed_rank((*BEFORE, 1.0, 2.0), (*AFTER, 1.0, 2.0))
    assert (result.pairs, result.zeros) == (11, 2)
    assert result.p_value == wilcoxon_signed_rank(BEFORE, AFTER).p_value


def test_ties_share_their_ranks_and_the_normal_approximation_allows_for_them():
    # By hand: sizes 1 1 2 2 2 3 4 5, ranks 1.5 1.5 4 4 4 6 7 8; negative are one of 1 and one of 2, so W = 5.5. Mean 18; variance
    # 8*9*17/24 - (6 + 24)/48 = 50.375; z = -12.5 / 7.09754 = -1.76117; two-tailed p = 0.078210.
    result = wilcoxon_signed_rank([1, -1, 2, -2, 2, 3, 4, 5], [0] * 8)
    assert result.statistic == 5.5
    assert not result.exact
    assert result.p_value == pytest.approx(0.078210, abs=2e-6)


def test_differences_that_are_equal_but_for_rounding_are_ties():
    assert 0.9 - 0.8 != 0.8 - 0.7
    assert not wilcoxon_signed_rank([0.9, 0.8, 0.5], [0.8, 0.7, 0.1]).exact


def test_a_pair_with_an_undefined_score_is_left_out_with_its_partner():
    result = wilcoxon_signed_rank((*BEFORE, NAN, 3.0), (*AFTER, 1.0, NAN))
    assert (result.pairs, result.left_out) == (9, 2)
    assert result.p_value == wilcoxon_signed_rank(BEFORE, AFTER).p_value


def test_a_missed_object_takes_the_highest_rank():
    distances, better = [3.0, 4.0, 5.5, 7.0, INF, INF], [2.0, 2.0, 2.0, 2.5, 3.0, INF]
    assert paired_differences(distances, better).tolist() == [1.0, 2.0, 3.5, 4.5, INF, 0.0]
    result = wilcoxon_signed_rank(distances, better)
    assert (result.pairs, result.zeros) == (6, 1)
    assert result.p_value == pytest.approx(2 / 2**5)


def test_models_that_never_differ_have_a_p_value_of_one_and_no_cases_have_none():
    assert wilcoxon_signed_rank([0.5, 0.6], [0.5, 0.6]).p_value == 1.0
    assert np.isnan(wilcoxon_signed_rank([NAN], [0.5]).p_value)


def test_scores_that_are_not_paired_are_refused():
    with pytest.raises(InputError, match="one pair a case; got 2 and 3"):
        wilcoxon_signed_rank([1, 2], [1, 2, 3])


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        # Wikipedia, "Holm-Bonferroni method", its worked example: H1 and H4 are rejected at 0.05, H2 and H3 are not.
        ((0.01, 0.04, 0.03, 0.005), (0.03, 0.06, 0.06, 0.02)),
        # Wright (1992), Adjusted p-values for simultaneous inference, as in R's documentation of p.adjust: step-down never decreases.
        ((0.01, 0.02, 0.03, 0.04, 0.05), (0.05, 0.08, 0.09, 0.09, 0.09)),
        ((0.6, 0.9), (1.0, 1.0)),
        ((0.2,), (0.2,)),
        ((), ()),
    ],
)
def test_holms_adjustment_gives_the_worked_examples(p_values, expected):
    assert holm_adjusted(p_values) == pytest.approx(np.array(expected))


def test_an_undefined_p_value_is_no_comparison():
    adjusted = holm_adjusted([0.01, NAN, 0.04])
    assert np.isnan(adjusted[1])
    assert adjusted[[0, 2]] == pytest.approx([0.02, 0.04])


def test_holm_keeps_the_chance_of_any_false_alarm_below_the_level():
    p_values = np.random.default_rng(7).uniform(size=(4000, 6))
    false_alarms = np.mean([(holm_adjusted(row) < 0.05).any() for row in p_values])
    assert false_alarms == pytest.approx(1 - (1 - 0.05 / 6) ** 6, abs=0.01)


def test_holm_agrees_with_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels, another implementation, is not installed")
    for p_values in np.random.default_rng(3).uniform(size=(50, 7)) ** 3:
        assert holm_adjusted(p_values) == pytest.approx(multitest.multipletests(p_values, method="holm")[1])


def test_a_p_value_out_of_range_is_refused():
    with pytest.raises(InputError, match="between 0 and 1"):
        holm_adjusted([0.1, 1.2])
