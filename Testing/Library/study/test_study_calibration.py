"""Thresholds from sweeps, on curves drawn by hand."""

from __future__ import annotations

import json

import pytest

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.simulation.acceptance import Acceptance
from SAM2AnnotateLib.study.configuration.config import CalibrationConfig
from SAM2AnnotateLib.study.records.calibration import (
    Calibration,
    CurvePoint,
    JointPoint,
    Thresholds,
    acceptance_of,
    calibrate,
    calibrate_jointly,
    corrected_shares,
    joint_grid,
    threshold_at,
)
from SAM2AnnotateLib.study.records.plain_json import json_text

DSC, NSD = (0.5, 0.6, 0.7, 0.8), (0.2, 0.4, 0.6)
TARGETS = {"low": 0.2, "high": 0.6}


def _sweep(*objects):
    return {"objects": [{"slices": slices, "dsc": dsc, "nsd": nsd} for slices, dsc, nsd in objects], "encoded": 3}


# Together 100 slices: DSC corrects 10, 30, 50, 70 of them, NSD 0, 40, 80.
SWEEPS = [
    _sweep((60, [10, 20, 30, 30], [0, 20, 50]), (10, [0, 0, 0, 10], [0, 0, 0])),
    _sweep((30, [0, 10, 20, 30], [0, 20, 30])),
]


def _curve(*shares):
    return [CurvePoint(0.5 + 0.1 * n, share) for n, share in enumerate(shares)]


def test_shares_are_of_all_slices_and_not_a_mean_over_objects():
    assert corrected_shares(SWEEPS, "dsc", 4) == (pytest.approx((0.1, 0.3, 0.5, 0.7)), 100)
    assert corrected_shares(SWEEPS, "nsd", 3) == (pytest.approx((0.0, 0.4, 0.8)), 100)


def test_each_metric_is_calibrated_for_itself_as_published():
    found = calibrate(SWEEPS, CalibrationConfig(DSC, NSD, TARGETS))
    # DSC: 20 % lies halfway between 0.5 (10 %) and 0.6 (30 %), 60 % halfway between 0.7 and 0.8. NSD: 20 % halfway of 0.2..0.4.
    assert found.thresholds["low"] == Thresholds(0.2, pytest.approx(0.55), pytest.approx(0.3))
    assert found.thresholds["high"] == Thresholds(0.6, pytest.approx(0.75), pytest.approx(0.5))
    assert found.slices == 100 and found.joint == () and found.problems == ()
    assert found.dsc[1] == CurvePoint(0.6, 0.3)


def test_the_first_rise_through_a_target_counts():
    falling = _curve(0.1, 0.35, 0.25, 0.5)
    assert threshold_at(falling, 0.3, "dsc") == pytest.approx(0.58)
    assert threshold_at(_curve(0.2, 0.2, 0.4, 0.4), 0.4, "dsc") == pytest.approx(0.7)
    assert threshold_at(_curve(0.2, 0.3), 0.2, "dsc") == 0.5


def test_a_target_that_a_curve_passes_twice_is_a_problem_to_report():
    sweep = _sweep((100, [10, 35, 25, 70], [0, 40, 80]))
    found = calibrate([sweep], CalibrationConfig(DSC, NSD, {"some": 0.3}))
    assert found.thresholds["some"].dsc == pytest.approx(0.58)
    assert found.problems == ("The curve of DSC falls through 30 % again behind 0.6; its first rise was taken.",)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (0.75, r"75 % is not reached: thresholds of DSC 0.5..0.8 correct 10..70 % of slices. Widen calibration.dsc"),
        (0.05, r"5 % lies below the curve: thresholds of DSC 0.5..0.8 correct 10..70 % of slices. Widen calibration.dsc"),
    ],
)
def test_a_target_beyond_a_curve_is_refused(target, message):
    with pytest.raises(InputError, match=message):
        calibrate(SWEEPS, CalibrationConfig(DSC, NSD, {"it": target}))


def test_sweeps_without_slices_or_with_other_thresholds_are_refused():
    with pytest.raises(InputError, match="The sweeps hold no slice"):
        calibrate([_sweep()], CalibrationConfig(DSC, NSD))
    with pytest.raises(InputError, match="A sweep has 3 counts of 'dsc', expected 4"):
        calibrate([_sweep((10, [1, 2, 3], [1, 2, 3]))], CalibrationConfig(DSC, NSD))


def test_pairs_are_tried_only_at_shares_that_both_curves_reach():
    calibration = Calibration(100, tuple(_curve(0.1, 0.3, 0.5, 0.7)), (CurvePoint(0.2, 0.0), CurvePoint(0.4, 0.4), CurvePoint(0.6, 0.6)))
    grid = joint_grid(calibration, (0.05, 0.1, 0.4, 0.65))
    assert grid == [(0.1, 0.5, pytest.approx(0.25)), (0.4, pytest.approx(0.65), pytest.approx(0.4))]


def test_the_pair_is_found_that_together_corrects_the_target():
    config = CalibrationConfig(DSC, NSD, {"low": 0.25, "high": 0.5}, "to_target", (0.05, 0.1, 0.3, 0.5))
    begun = calibrate(SWEEPS, config)
    assert [point.share for point in begun.joint] == [0.1, 0.3, 0.5] and begun.thresholds == {}
    # The three pairs together correct 10, 20 and 30 of 50 slices.
    joint = [{"objects": [{"slices": 30, "corrected": [4, 10, 20]}, {"slices": 20, "corrected": [6, 10, 10]}]}]
    done = calibrate_jointly(begun, joint, config.targets)
    assert [point.corrected for point in done.joint] == pytest.approx([0.2, 0.4, 0.6])
    # 25 % lies a quarter of the way from p = 0.1 to 0.3: p = 0.15. DSC 0.5 + 0.1 * 0.05 / 0.2, NSD 0.2 + 0.2 * 0.15 / 0.4.
    assert done.thresholds["low"] == Thresholds(0.25, pytest.approx(0.525), pytest.approx(0.275))
    # 50 %: p = 0.4. DSC halfway between 0.6 and 0.7, NSD at 0.4.
    assert done.thresholds["high"] == Thresholds(0.5, pytest.approx(0.65), pytest.approx(0.4))


def test_a_target_that_the_pairs_pass_twice_is_a_problem_to_report():
    config = CalibrationConfig(DSC, NSD, {"some": 0.35}, "to_target", (0.1, 0.2, 0.3, 0.5))
    joint = [{"objects": [{"slices": 10, "corrected": [2, 4, 3, 6]}]}]
    done = calibrate_jointly(calibrate(SWEEPS, config), joint, config.targets)
    assert done.thresholds["some"].dsc == pytest.approx(0.5375), "three quarters of the way from p = 0.1 to 0.2"
    assert done.problems == ("The curve of both metrics together falls through 35 % again behind 0.2; its first rise was taken.",)


def test_a_target_beyond_all_pairs_is_refused():
    config = CalibrationConfig(DSC, NSD, {"much": 0.7}, "to_target", (0.1, 0.3))
    joint = [{"objects": [{"slices": 10, "corrected": [2, 5]}]}]
    with pytest.raises(InputError, match=r"70 % for the scenario 'much' lies beyond .* together: 20..50 %. Widen calibration.dsc"):
        calibrate_jointly(calibrate(SWEEPS, config), joint, config.targets)


def test_curves_that_no_two_joint_shares_lie_on_are_refused():
    with pytest.raises(InputError, match=r"Fewer than two of the joint shares lie on both curves: thresholds of DSC .* 10..70 %"):
        calibrate(SWEEPS, CalibrationConfig(DSC, NSD, TARGETS, "to_target", (0.02, 0.05, 0.5)))


def test_a_calibration_comes_back_from_its_file():
    calibration = Calibration(
        7,
        (CurvePoint(0.5, 0.1), CurvePoint(0.6, 0.4)),
        (CurvePoint(0.1, 0.2),),
        (JointPoint(0.1, 0.5, 0.4), JointPoint(0.2, 0.6, 0.5, 0.25)),
        {"low": Thresholds(0.2, 0.55, 0.45)},
        ("A sentence.",),
        "abc",
    )
    stored = json.loads(json_text(calibration.to_json()))
    assert stored["dsc"][0] == {"threshold": 0.5, "share": 0.1} and stored["thresholds"]["low"]["target"] == 0.2
    assert Calibration.from_json(stored) == calibration
    with pytest.raises(InputError, match="The calibration cannot be read: KeyError 'joint'"):
        Calibration.from_json({"slices": 1, "dsc": [], "nsd": []})


def test_a_scenario_accepts_by_its_thresholds_and_the_one_without_edits_accepts_all():
    calibration = Calibration(1, (), (), thresholds={"low": Thresholds(0.2, 0.9, 0.7)})
    assert acceptance_of("none", None) == Acceptance(0, 0)
    assert acceptance_of("low", calibration) == Acceptance(0.9, 0.7)
    for missing in (None, Calibration(1, (), ())):
        with pytest.raises(InputError, match="The scenario 'low' is not calibrated yet"):
            acceptance_of("low", missing)
