"""Slices that were looked at alone come to agree: neighbors, anchors, memory."""

from __future__ import annotations

import numpy as np
import pytest
from auto_phantoms import Ball

from SAM2AnnotateLib.auto_prompts.agreement import anchors_of, carried, smoothed
from SAM2AnnotateLib.auto_prompts.looks import whole_look
from SAM2AnnotateLib.metrics import dice
from SAM2AnnotateLib.propagation import RegionPolicy


def test_a_slice_hears_its_neighbors_but_none_that_is_not_there():
    maps = {position: np.full((2, 2), float(position == 5), dtype=np.float32) for position in (3, 4, 5, 6, 9)}
    heard = smoothed(maps, 1.0)
    assert heard[5][0, 0] > heard[4][0, 0] > heard[3][0, 0] > 0 == heard[9][0, 0]
    assert heard[5][0, 0] == pytest.approx(1 / (1 + 2 * np.exp(-0.5) + np.exp(-2)))
    assert smoothed(maps, 0.0)[5] is maps[5]


def test_anchors_are_sure_and_spread():
    sureness = {position: 0.9 - 0.01 * abs(position - 10) for position in range(21)} | {2: 0.99}
    assert anchors_of(sureness, 3, least=0.0) == [2, 10, 14]
    assert anchors_of({1: 0.2, 2: 0.9}, 3, least=0.5) == [2]
    assert anchors_of({}, 3, least=0.5) == []


def test_memory_carries_between_beyond_and_not_onto_what_is_remembered():
    ball = Ball()
    encoder, crop = ball.encoder, whole_look(ball.encoder, RegionPolicy())
    remembered = {5: ball.truth[5], 9: ball.truth[9]}
    said = dict(carried(encoder, encoder.engine, crop, remembered, range(15)))
    assert sorted(said) == [position for position in range(15) if position not in remembered]
    for position in (4, 6, 7, 8, 10):
        assert dice(said[position] > 0.5, ball.truth[position]) > 0.97
