"""Points carried from slice to slice while their gray fits."""

from __future__ import annotations

import numpy as np
from auto_phantoms import Ball, fitted

from SAM2AnnotateLib.auto_prompts import CarryingSettings, ThresholdCarrying


def test_a_walk_ends_where_the_object_does():
    ball = Ball()
    proposals = list(fitted(ThresholdCarrying(), ball.annotated(7)).propose(ball.encoder))
    held = [one.position for one in proposals if one.result.mask.any()]
    assert held == [position for position in held if ball.truth[position].any()]
    assert {4, 5, 6, 8, 9, 10} <= set(held)
    assert all(one.prompt is None for one in proposals if not one.result.mask.any())


def test_a_slice_known_to_be_without_the_object_ends_it():
    ball = Ball()
    emptied = ball.annotated(7, 12)
    slices = [emptied[0], type(emptied[0])(ball.encoder, 9, np.zeros_like(ball.truth[9]))]
    found = {one.position: one.result.mask.any() for one in fitted(ThresholdCarrying(), slices).propose(ball.encoder)}
    assert found[8] and not found[10]


def test_a_threshold_that_follows_keeps_an_object_that_darkens_slowly():
    ball = Ball(slices=25, radius_mm=22, fade=5)

    def reached(following: float) -> int:
        settings = CarryingSettings(following=following)
        proposals = fitted(ThresholdCarrying(settings=settings), ball.annotated(12)).propose(ball.encoder)
        return sum(bool(one.result.mask.any()) for one in proposals)

    assert reached(0.7) > reached(0.0)
