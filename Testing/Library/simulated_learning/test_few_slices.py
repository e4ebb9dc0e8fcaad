"""Study B's prompts after learning from a few slices: which slices are asked about, and that the best round counts."""

from __future__ import annotations

import numpy as np
import pytest
from learning_cases import FIRST, LAST, a_case

from SAM2AnnotateLib.adaptation import LearningOptions
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.simulated_learning.few_slices import learned_from_few, prompt_gains, spread_slices
from SAM2AnnotateLib.simulation.objects import StackedTruth, truth_objects


def test_no_slice_is_both_learned_from_and_asked_about():
    taught, asked = spread_slices(a_case(), (2, 5))
    shown = set(range(FIRST, LAST + 1))
    assert len(taught[2]) == 2
    assert len(taught[5]) == 2  # of nine slices, so that most are left
    assert set(asked) == shown - set(taught[2]) - set(taught[5])
    taught, asked = spread_slices(a_case(), (4,))
    assert len(taught[4]) == 4
    assert len(asked) == 5
    assert taught[4] == sorted(taught[4])
    assert max(np.diff(taught[4])) <= 3


def test_an_object_on_three_slices_is_refused():
    case = a_case()
    truth = np.zeros(case.bench.volume.grid.shape_kji, dtype=np.uint8)
    truth[5:8, 15:25, 16:26] = 1
    (one,), _ = truth_objects(truth, [1])
    case.memory.truth = StackedTruth.of(one, case.bench.stack)
    with pytest.raises(InputError, match="case_0.*3 slices.*4"):
        spread_slices(case, (2,))


def test_learning_makes_prompts_worth_more():
    case = a_case()
    taught, asked = spread_slices(case, (4,))
    before = prompt_gains(case, None, asked, "auto", clicks=3)
    outcome = learned_from_few(case, taught[4], "auto", LearningOptions(steps=6))
    assert outcome.adapter is not None
    after = prompt_gains(case, outcome, asked, "auto", clicks=3)
    assert before.slices == after.slices == len(asked)
    assert len(after.points) == 3
    assert after.box > before.box + 0.3
    assert list(after.points) == sorted(after.points)  # the best round counts
    assert after.both >= after.box
    assert before.both >= before.box


def test_the_same_question_gives_the_same_answer():
    _, asked = spread_slices(a_case(), (2,))
    assert prompt_gains(a_case(), None, asked, "auto", 2) == prompt_gains(a_case(), None, asked, "auto", 2)
