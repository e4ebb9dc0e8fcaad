"""Slices without a prompt: each method is given some, asked about others, and about some on which the object is not."""

from __future__ import annotations

import pytest
from learning_cases import a_case

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.simulated_learning.few_slices import spread_slices
from SAM2AnnotateLib.simulated_learning.unprompted import prompter_of, unprompted_scores
from SAM2AnnotateLib.study.configuration.config_learning import AUTO_METHODS, LADDER


@pytest.mark.parametrize("method", [*AUTO_METHODS, *LADDER])
def test_every_method_of_the_configuration_is_one(method):
    assert prompter_of(method, "auto").name


def test_a_method_that_nobody_knows_is_refused():
    with pytest.raises(InputError, match=r"'guessing'.*threshold, learned"):
        prompter_of("guessing", "auto")


@pytest.mark.parametrize("method", ["threshold", "learned"])
def test_the_slices_between_annotated_ones_are_found(method):
    case = a_case()
    taught, asked = spread_slices(case, (4,))
    scores = unprompted_scores(case, prompter_of(method, "auto"), taught[4], asked, "auto")
    assert scores.slices == len(asked)
    assert scores.dsc > 0.7
    assert scores.absent == 2  # of 17 slices the first and the last lie clear of the ends
    assert scores.absent_told is not None
