"""When a mask is taken as it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from patients import drawn

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.simulation.acceptance import Acceptance, SliceScore


def test_both_scores_must_exceed_their_thresholds():
    rule = Acceptance(dsc=0.8, nsd=0.5)
    assert rule.accepts(SliceScore(0.81, 0.51))
    assert not rule.accepts(SliceScore(0.81, 0.49))
    assert not rule.accepts(SliceScore(0.79, 0.51))


def test_a_score_that_equals_its_threshold_does_not_exceed_it():
    assert not Acceptance(dsc=0.8, nsd=0.5).accepts(SliceScore(0.8, 0.9))
    assert not Acceptance(dsc=0.8, nsd=0.5).accepts(SliceScore(0.9, 0.5))
    assert not Acceptance(dsc=1.0).accepts(SliceScore(1.0, 1.0))  # nothing exceeds 1


def test_a_threshold_of_0_asks_for_nothing():
    nothing_right = SliceScore(0.0, 0.0)
    assert Acceptance().accepts(nothing_right)
    assert Acceptance(nsd=0.5).accepts(SliceScore(0.0, 0.6)) and not Acceptance(nsd=0.5).accepts(nothing_right)
    assert Acceptance(dsc=0.5).accepts(SliceScore(0.6, 0.0)) and not Acceptance(dsc=0.5).accepts(nothing_right)


def test_where_neither_mask_nor_truth_has_a_pixel_the_mask_is_always_accepted():
    nothing = np.zeros((3, 4), dtype=bool)
    score = SliceScore.of(nothing, nothing, (0.5, 2.0), 1.0)
    assert math.isnan(score.dsc) and math.isnan(score.nsd)
    assert Acceptance(dsc=1.0, nsd=1.0).accepts(score)


def test_a_miss_and_a_false_alarm_score_0():
    something = drawn("....", ".##.", "....")
    assert SliceScore.of(something, np.zeros_like(something), (0.5, 2.0), 1.0) == SliceScore(0.0, 0.0)
    assert SliceScore.of(np.zeros_like(something), something, (0.5, 2.0), 1.0) == SliceScore(0.0, 0.0)


def test_scores_are_those_of_the_slice_in_mm():
    truth = drawn("........", ".####...", "........")
    mask = drawn("........", "..####..", "........")
    # 3 of 4 and 4 pixels: 6 / 8. The outlines are a column apart at both ends.
    assert SliceScore.of(mask, truth, (2.0, 0.5), 1.0) == SliceScore(0.75, 1.0)
    apart = SliceScore.of(mask, truth, (2.0, 1.5), 1.0)
    assert apart.dsc == 0.75 and 0 < apart.nsd < 1
    assert SliceScore.of(mask, truth, (2.0, 1.5), 1.5).nsd == 1.0


@pytest.mark.parametrize(("dsc", "nsd"), [(-0.1, 0.5), (0.5, 1.1), (math.nan, 0.5), (0.5, math.inf), (98.4, 0.0)])
def test_thresholds_lie_between_0_and_1(dsc, nsd):
    with pytest.raises(InputError, match=f"between 0 and 1, got {dsc} and {nsd}"):
        Acceptance(dsc, nsd)
