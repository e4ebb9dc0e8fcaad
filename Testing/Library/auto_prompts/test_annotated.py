"""What methods take from annotated slices: an even part of many, further looks, boxes by volume."""

from __future__ import annotations

import numpy as np
from auto_phantoms import Ball

from SAM2AnnotateLib.adaptation import AnnotatedSlice
from SAM2AnnotateLib.auto_prompts.annotated import annotated_boxes, further_look, possible_slices, spread
from SAM2AnnotateLib.auto_prompts.proposals import key_of
from SAM2AnnotateLib.geometry import Box2D, Extent


def test_of_many_slices_an_even_part_is_taken_with_and_without_the_object():
    ball = Ball(slices=41)
    every = ball.annotated(*range(41))
    holding = [one.position for one in every if one.mask.any()]
    assert spread(every, 41) == every
    taken = spread(every, 8)
    assert len(taken) == 8 and [one.position for one in taken] == sorted(one.position for one in taken)
    inside = [one.position for one in taken if one.mask.any()]
    assert len(inside) == 6 and {holding[0], holding[-1]} <= set(inside)
    assert max(np.diff(inside)) <= 2


def test_the_only_slice_with_the_object_is_never_left_out():
    ball = Ball(slices=41)
    rest = [position for position in range(41) if not ball.truth[position].any()]
    taken = spread(ball.annotated(20, *rest), 5)
    assert len(taken) == 5 and sum(one.mask.any() for one in taken) == 1


def test_a_further_look_shows_another_part_in_another_window_and_keeps_nothing():
    ball = Ball()
    one, crop, rng = ball.annotated(7)[0], Box2D(10, 50, 14, 54), np.random.default_rng(0)
    store = ball.encoder.store
    looks = [further_look(one, crop, rng) for _ in range(5)]
    assert len({seen for _, seen in looks}) == 5
    for embedding, seen in looks:
        assert embedding.arrays[0].shape == seen.shape_rc
        assert 0.7 < seen.shape_rc[0] / 40 < 1.3
    assert store.encoded == 0


def test_each_volume_has_the_box_around_all_that_is_annotated_in_it():
    one, other = Ball(), Ball(radius_mm=0, seed=1)
    boxes = annotated_boxes(one.annotated(5, 7, 14) + other.annotated(3))
    assert boxes[key_of(one.encoder)] == Box2D.around(one.truth[5] | one.truth[7])
    assert boxes[key_of(other.encoder)] == Box2D(0, 64, 0, 64)


def test_the_object_lies_within_what_a_person_emptied_or_marked():
    ball, other = Ball(), Ball(seed=1)
    assert possible_slices(ball.annotated(5, 9), ball.encoder) == range(15)
    assert possible_slices(ball.annotated(1, 2, 5, 9, 12, 14), ball.encoder) == range(3, 12)
    assert possible_slices(ball.annotated(1, 2, 5, 9, 12, 14), other.encoder) == range(15)
    assert possible_slices(ball.annotated(0, 14), ball.encoder) == range(15)
    marked = [AnnotatedSlice(ball.encoder, 7, ball.truth[7], Extent(3, 11))]
    assert possible_slices(marked, ball.encoder) == range(3, 12)
    assert possible_slices(marked + ball.annotated(4, 12), ball.encoder) == range(3, 12)
