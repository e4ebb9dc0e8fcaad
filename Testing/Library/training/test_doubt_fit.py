"""The fit of the expected DSC: it finds what made the samples, leaves patients out, and its intervals hold as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")
from SAM2AnnotateLib.review.expected_dsc import TERMS
from SAM2AnnotateLib.review.signals import SliceSignals
from SAM2AnnotateLib.training.doubt_cases import FITTED_CASES, HELD_OUT_CASES
from SAM2AnnotateLib.training.doubt_fit import (
    COVERAGE,
    auroc,
    covered,
    fit,
    leave_out,
    object_weights,
    terms_of,
    values_of,
    worst_fifth_found,
)
from SAM2AnnotateLib.training.doubt_samples import SliceSample


def made_up(patients=12, slices=40, seed=0) -> list[SliceSample]:
    """DSC falls with the way and rises with the score; noise of 0.5 in its logit, which no signal tells."""
    rng = np.random.default_rng(seed)
    samples = []
    for patient in range(patients):
        for position in range(slices):
            way, iou = position / (slices - 1), float(rng.uniform(0.4, 0.95))
            logit = 1.0 + 0.8 * np.log(iou / (1 - iou)) - 3.0 * way**4 + rng.normal(0, 0.5)
            seen = SliceSignals(iou, 1.0, iou, 3.0 * position, 0.1 * position, way, 4.0)
            name = f"p{patient}"
            samples.append(SliceSample(name, name, "made up", 1, "box", 0, position, float(1 / (1 + np.exp(-logit))), None, 0.0, seen))
    return samples


def test_the_fit_finds_what_made_the_samples():
    samples = made_up()
    terms = terms_of(TERMS)
    found = fit(samples, values_of(samples, terms))
    weights = dict(zip(terms, found.weights, strict=True))
    assert 0.6 < weights["predicted_iou"] < 0.9
    at_the_end = sum(weight * value for weight, value in zip(found.weights, values_of(samples, terms)[39], strict=True))
    at_the_start = sum(weight * value for weight, value in zip(found.weights, values_of(samples, terms)[0], strict=True))
    assert at_the_end - at_the_start < -1.0


def test_intervals_of_patients_that_were_left_out_hold_as_often_as_they_say():
    samples = made_up()
    found = leave_out(samples, values_of(samples, terms_of(TERMS)), [sample.patient for sample in samples])
    assert covered(samples, found) == pytest.approx(COVERAGE, abs=0.05)
    dsc = np.array([sample.dsc for sample in samples])
    assert np.abs(found.expected - dsc).mean() < 0.1 and auroc(-found.scores, dsc < 0.8) > 0.85


def test_a_patient_that_is_left_out_does_not_enter_its_own_fit():
    samples = made_up(patients=3)
    values = values_of(samples, terms_of(TERMS))
    patients = [sample.patient for sample in samples]
    before = leave_out(samples, values, patients).scores[:40]
    other = [SliceSample(**{**vars(sample), "dsc": 0.0}) if sample.patient == "p0" else sample for sample in samples]
    assert np.allclose(leave_out(other, values, patients).scores[:40], before)


def test_of_equally_bad_slices_any_counts_as_found():
    samples = made_up(patients=1, slices=10)
    flat = [SliceSample(**{**vars(sample), "dsc": 0.0 if at >= 6 else 0.9}) for at, sample in enumerate(samples)]
    assert worst_fifth_found(flat, np.arange(10.0)) == 1.0 and worst_fifth_found(flat, -np.arange(10.0)) == 0.0
    assert worst_fifth_found(flat, np.array([0, 0, 0, 0, 0, 9, 8, 0, 0, 0.0])) == 0.5


def test_each_object_counts_alike_and_a_family_by_the_square_root_of_its_objects():
    samples = made_up(patients=4, slices=6)
    samples += [SliceSample(**{**vars(one), "family": "one"}) for one in made_up(patients=1, slices=30, seed=1)]
    samples = [SliceSample(**{**vars(one), "case": f"{one.case}/{one.family}"}) for one in samples]
    weights = object_weights(samples)
    assert weights.sum() == pytest.approx(1) and weights[:24].sum() == pytest.approx(2 * weights[24:].sum())


def test_auroc_is_the_chance_that_the_bad_one_is_more_in_doubt():
    assert auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])) == 0.75
    assert np.isnan(auroc(np.array([0.1, 0.2]), np.array([True, True])))


def test_no_patient_is_both_fitted_on_and_held_out():
    fitted, held_out = ({case.patient.removeprefix("mr_hippo_") for case in cases} for cases in (FITTED_CASES, HELD_OUT_CASES))
    assert not fitted & held_out and len(held_out) == len(HELD_OUT_CASES)
