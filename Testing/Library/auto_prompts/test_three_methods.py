"""What all three methods promise, on the scripted engine: proposals in order, doubts, absence, other volumes, cancelling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from auto_phantoms import Ball, fitted

from SAM2AnnotateLib.auto_prompts import DecoderOptions, LearnedDecoder, SapOptions, SapPrompter, ThresholdCarrying
from SAM2AnnotateLib.errors import Cancelled, InputError
from SAM2AnnotateLib.metrics import dice
from SAM2AnnotateLib.progress import CancelToken

pytest.importorskip("torch")

METHODS = {
    "threshold": ThresholdCarrying,
    "SAP-Net": lambda: SapPrompter(options=SapOptions(network={"steps": 40, "width": 8})),
    "learned decoder": lambda: LearnedDecoder(options=DecoderOptions(steps=3)),
}
pytestmark = pytest.mark.parametrize("name", METHODS)


def test_the_rest_of_a_volume_is_proposed_in_rising_order(name):
    ball = Ball()
    method = fitted(METHODS[name](), ball.annotated(1, 5, 9, 13))
    proposals = list(method.propose(ball.encoder))
    assert method.name == name
    assert [one.position for one in proposals] == [one.result.position for one in proposals] == [0, 2, 3, 4, 6, 7, 8, 10, 11, 12, 14]
    by_position = {one.position: one for one in proposals}
    for position in (4, 6, 7, 8, 10):
        assert dice(by_position[position].result.mask, ball.truth[position]) > 0.85, position
        assert by_position[position].found, by_position[position].doubt
    assert not any(by_position[position].found for position in (0, 2, 12, 14))
    assert by_position[7].doubt < 0.5


def test_positions_may_be_asked_for_annotated_ones_too(name):
    ball = Ball()
    method = fitted(METHODS[name](), ball.annotated(5, 9))
    assert [one.position for one in method.propose(ball.encoder, [9, 6])] == [6, 9]
    assert list(method.propose(ball.encoder, [])) == []
    with pytest.raises(InputError, match=r"the stack has 0\.\.14"):
        next(method.propose(ball.encoder, [15]))


def test_another_volume_is_searched_though_nobody_annotated_it(name):
    method = fitted(METHODS[name](), Ball().annotated(2, 5, 6, 7, 8, 9, 12))
    other = Ball(spacing_mm=0.8, center_mm=(33, 31), seed=5)
    found = {one.position: one for one in method.propose(other.encoder)}
    assert len(found) == 15
    assert dice(found[7].result.mask, other.truth[7]) > 0.8
    assert found[7].found or name == "threshold"  # which knows no object but by its gray


def test_a_volume_without_the_object_gives_nothing_to_believe(name):
    method = fitted(METHODS[name](), Ball().annotated(2, 5, 7, 9, 12))
    assert not any(one.found for one in method.propose(Ball(radius_mm=0, seed=4).encoder))


def test_an_absent_object_of_another_gray_is_not_found(name):
    method = fitted(METHODS[name](), Ball(decoy_gray=110).annotated(2, 5, 7, 9, 12))
    assert not any(one.found for one in method.propose(Ball(radius_mm=0, decoy_gray=110, seed=4).encoder))


def test_nothing_is_proposed_before_anything_was_learnt(name):
    with pytest.raises(InputError, match="fit the method with annotated slices first"):
        next(METHODS[name]().propose(Ball().encoder))


def test_slices_without_the_object_alone_teach_nothing(name):
    with pytest.raises(InputError, match="no annotated slice holds the object"):
        fitted(METHODS[name](), Ball().annotated(0, 14))


def test_cancelled_learning_leaves_the_method_as_it_was(name):
    ball, method = Ball(), METHODS[name]()
    fitted(method, ball.annotated(6, 8))
    before = [(one.result.mask.tobytes(), one.doubt) for one in method.propose(ball.encoder, [7])]
    cancel = CancelToken()
    learning = method.fit(Ball(radius_mm=4).annotated(6, 7, 8), cancel)
    next(learning)
    cancel.cancel()
    with pytest.raises(Cancelled):
        for _ in learning:
            pass
    assert [(one.result.mask.tobytes(), one.doubt) for one in method.propose(ball.encoder, [7])] == before


def test_proposing_stops_on_request(name):
    ball = Ball()
    method, cancel = fitted(METHODS[name](), ball.annotated(6, 8)), CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        list(method.propose(ball.encoder, None, cancel))


def test_the_same_seed_gives_the_same_proposals(name):
    ball = Ball()
    twice = [[one.result.mask for one in fitted(METHODS[name](), ball.annotated(5, 9)).propose(ball.encoder)] for _ in range(2)]
    assert np.array_equal(twice[0], twice[1])


def test_beyond_a_slice_that_a_person_emptied_nothing_is_proposed(name):
    ball = Ball(slices=25, radius_mm=20)  # holds slices 3 to 21, but a person says that the object ends at 15
    slices = [*ball.annotated(8, 12), replace(ball.annotated(16)[0], mask=np.zeros_like(ball.truth[16]))]
    found = {one.position: one.result.mask.any() for one in fitted(METHODS[name](), slices).propose(ball.encoder, [10, 14, 17, 19])}
    assert found == {10: True, 14: True, 17: False, 19: False}
