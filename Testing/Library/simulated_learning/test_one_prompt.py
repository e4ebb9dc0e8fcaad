"""One prompt for the data set against a prompt on every volume, on volumes whose answers are known."""

from __future__ import annotations

import pytest
from learning_cases import FIRST, LAST, a_case

from SAM2AnnotateLib.adaptation import LearningOptions
from SAM2AnnotateLib.simulated_learning.one_prompt import learned_from_volumes, prompted, proposed, prototypes_of
from SAM2AnnotateLib.simulation.workflow import Workflow


def test_a_prompt_on_the_volume_costs_its_box_and_both_ends():
    one = prompted(a_case(), Workflow("ours", prompt="mask"))
    assert one.found
    # The bar's middle, of another gray, is missing on all nine slices but the one that was drawn.
    both, missing = 12 * 14 + 8 * (12 * 14 - 16), 8 * 16
    assert one.dsc == pytest.approx(2 * both / (2 * both + missing))
    assert one.jaccard == pytest.approx(both / (both + missing))
    assert one.prompts == 2
    box = prompted(a_case(), Workflow("ours"))
    assert box.prompts == 3
    assert box.jaccard == pytest.approx(box.dsc / (2 - box.dsc))
    assert box.first_error is None


def test_a_prototype_holds_the_annotated_object():
    (one,) = prototypes_of([a_case()], "bar", "axial", "0,255")
    assert one.name == "bar"
    assert (one.extent.first, one.extent.last) == (FIRST, LAST)
    assert max(int(part.mask.sum()) for part in one.slices) == 12 * 14


def test_what_was_learned_goes_with_the_prototypes():
    cases = [a_case(0), a_case(1)]
    adapter = learned_from_volumes(cases, "bar", "auto", LearningOptions(steps=6))
    assert adapter is not None
    assert all(one.adapter is adapter for one in prototypes_of(cases, "bar", "axial", "0,255", adapter))


def test_a_proposal_takes_no_prompt_and_says_where_it_ends():
    cases = [a_case(0), a_case(1)]
    outcome = proposed(a_case(3), prototypes_of(cases, "bar", "axial", "0,255"), "auto")
    assert outcome.prompts == 0
    assert 0 <= outcome.jaccard <= outcome.dsc <= 1
    if outcome.found:
        assert outcome.first_error is not None and outcome.last_error is not None
