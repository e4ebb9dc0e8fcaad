"""What a coarse mask becomes: a box, clicks inside and outside."""

from __future__ import annotations

import numpy as np

from SAM2AnnotateLib.auto_prompts.mask_prompts import best_parts, deepest, prompt_from_mask
from SAM2AnnotateLib.geometry import Box2D
from SAM2AnnotateLib.prompts import Point


def two_parts():
    mask = np.zeros((40, 50), dtype=bool)
    mask[5:20, 5:25] = True
    mask[28:34, 30:40] = True
    return mask


def test_box_and_clicks_inside_lie_on_the_object_the_largest_part_first():
    prompt = prompt_from_mask(two_parts(), (1.0, 1.0), positive=3, negative=0)
    assert prompt.box == Box2D(5, 34, 5, 40)
    assert [(point.row, point.positive) for point in prompt.points] == [(12, True), (30, True)]
    assert all(two_parts()[point.row, point.col] for point in prompt.points)


def test_a_click_beside_lies_in_the_box_far_from_the_object():
    prompt = prompt_from_mask(two_parts(), (1.0, 1.0), negative=1)
    beside = prompt.points[-1]
    assert not beside.positive and not two_parts()[beside.row, beside.col]
    assert min(abs(beside.row - row) + abs(beside.col - col) for row, col in np.argwhere(two_parts())) > 5


def test_what_was_rejected_is_clicked_at_first():
    mask = two_parts()
    kept = best_parts(mask, 1)
    prompt = prompt_from_mask(kept, (1.0, 1.0), rejected=mask & ~kept)
    row, col = deepest(mask & ~kept, (1.0, 1.0))
    assert prompt.points[-1] == Point(row, col, positive=False)


def test_an_object_that_fills_its_box_has_no_click_beside():
    mask = np.ones((6, 6), dtype=bool)
    assert all(point.positive for point in prompt_from_mask(mask, (1.0, 1.0), negative=2).points)


def test_depth_counts_in_mm():
    mask = np.zeros((40, 60), dtype=bool)
    mask[5:10, 5:50] = True  # 25 x 22.5 mm
    mask[20:36, 5:15] = True  # 80 x 5 mm, though it has the wider run of pixels in a row
    row, col = deepest(mask, (5.0, 0.5))
    assert 5 <= row < 10 and 20 < col < 35
    assert not best_parts(np.zeros((3, 3), dtype=bool), 2).any()
