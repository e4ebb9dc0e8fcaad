"""Corrective clicks: in which error, where in it, and round by round."""

from __future__ import annotations

import numpy as np
import pytest
from patients import drawn

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Box2D
from SAM2AnnotateLib.prompts import Point, SlicePrompt
from SAM2AnnotateLib.simulation.clicks import click_rounds, next_click

SQUARE = (1.0, 1.0)
NOTHING = drawn(".......", ".......", ".......", ".......", ".......")


# --- one click


def test_the_first_click_stands_in_the_middle_of_the_object():
    truth = drawn(".......", ".#####.", ".#####.", ".#####.", ".......")
    # On row 2, columns 2 to 4 are 2 from the nearest pixel outside, all others 1. Column 2 is the first.
    assert next_click(NOTHING, truth, SQUARE) == Point(2, 2)


def test_with_uneven_spacing_the_middle_is_where_the_border_is_far_in_mm():
    # Columns of 2 mm, rows of 0.5 mm: row 2 is 1 mm from above and below, and even its outer columns are 2 mm from left or right.
    truth = drawn(".......", ".#####.", ".#####.", ".#####.", ".......")
    assert next_click(NOTHING, truth, (0.5, 2.0)) == Point(2, 1)
    # Rows of 2 mm, columns of 0.5 mm: the middle column alone is 1.5 mm from left and right, and even row 1 is 2 mm from above.
    assert next_click(NOTHING, truth, (2.0, 0.5)) == Point(1, 3)


def test_the_larger_error_is_clicked_whether_missing_or_too_much():
    truth = drawn(".......", "###....", "###....", ".......", ".......")
    mask = drawn("....###", "###.###", ".....##", ".......", ".......")
    # Missing: 3 pixels of row 2. Too much: 3 + 3 + 2 = 8 pixels.
    assert next_click(mask, truth, SQUARE) == Point(1, 5, positive=False)
    # 2 too much, 3 missing.
    mask = drawn("....#..", "###.#..", ".......", ".......", ".......")
    assert next_click(mask, truth, SQUARE) == Point(2, 0)


def test_missing_and_surplus_pixels_side_by_side_are_two_errors():
    truth = drawn(".......", "####...", ".......", ".......", ".......")
    mask = drawn(".......", "..#####", ".......", ".......", ".......")
    assert next_click(mask, truth, SQUARE) == Point(1, 4, positive=False)  # 3 too much against 2 missing


def test_of_equal_errors_the_missing_one_is_clicked_then_the_first():
    truth = drawn(".......", ".......", "....##.", ".......", ".......")
    mask = drawn("##.....", ".......", ".......", ".......", ".......")
    assert next_click(mask, truth, SQUARE) == Point(2, 4)
    truth = drawn("....#..", ".......", "#......", ".......", ".......")
    assert next_click(NOTHING, truth, SQUARE) == Point(0, 4)


def test_pixels_that_touch_at_a_corner_are_one_error():
    truth = drawn("#......", ".#.....", "..#..##", ".......", ".......")
    assert next_click(NOTHING, truth, SQUARE) == Point(0, 0)  # 3 on the diagonal against 2; every one is 1 from the border


def test_beyond_the_slice_is_outside():
    # The whole slice is missing: 5 rows, 7 columns; the border is 3 from row 2, as far in columns 2, 3 and 4.
    assert next_click(NOTHING, ~NOTHING, SQUARE) == Point(2, 2)


def test_a_ring_is_clicked_on_the_ring():
    truth = drawn("#######", "#.....#", "#.....#", "#.....#", "#######")
    # Column 0 is 2 mm wide; its row 2 is 3 rows of 0.5 mm, 1.5 mm, from beyond the slice, its other rows less; rows 0 and 4 are 0.5 mm.
    assert next_click(NOTHING, truth, (0.5, 2.0)) == Point(2, 0)


def test_without_an_error_there_is_no_click():
    truth = drawn(".......", "####...", ".......", ".......", ".......")
    assert next_click(truth, truth, SQUARE) is None
    assert next_click(NOTHING, NOTHING, SQUARE) is None


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(InputError, match="one shape"):
        next_click(NOTHING[:3], NOTHING, SQUARE)


# --- round by round


TRUTH = drawn("......", ".###..", ".###..", ".###..", "......")


class Painter:
    """Predicts 3 x 3 pixels around every positive point (or the box's pixels), without those of the negative points."""

    def __init__(self, reach: int = 1):
        self.prompts: list[SlicePrompt] = []
        self._reach = reach

    def __call__(self, prompt: SlicePrompt) -> np.ndarray:
        self.prompts.append(prompt)
        mask = np.zeros(TRUTH.shape, dtype=bool)
        if prompt.box is not None:
            mask[prompt.box.slices_rc] = True
        for point in prompt.points:
            if point.positive:
                reach = self._reach
                mask[max(point.row - reach, 0) : point.row + reach + 1, max(point.col - reach, 0) : point.col + reach + 1] = True
        for point in prompt.points:
            if not point.positive:
                mask[point.row, point.col] = False
        return mask


def test_a_click_that_makes_the_mask_right_is_the_last():
    painter = Painter()
    rounds = click_rounds(painter, TRUTH, SQUARE, most=5)
    assert [one.prompt for one in rounds] == [SlicePrompt(points=(Point(2, 2),))] == painter.prompts
    assert np.array_equal(rounds[0].mask, TRUTH)


def test_every_round_holds_all_clicks_so_far():
    rounds = click_rounds(Painter(reach=0), TRUTH, SQUARE, most=3)
    # After the middle a ring is missing, 1 pixel wide: its first pixel. Then the first of what is left.
    clicks = (Point(2, 2), Point(1, 1), Point(1, 2))
    assert [one.prompt.points for one in rounds] == [clicks[:1], clicks[:2], clicks]
    assert [int(one.mask.sum()) for one in rounds] == [1, 2, 3]


def test_with_a_box_the_first_round_is_the_box_alone_and_clicks_come_on_top():
    box = Box2D(1, 4, 1, 6)  # two columns too wide
    rounds = click_rounds(Painter(), TRUTH, SQUARE, most=2, box=box)
    assert [one.prompt for one in rounds] == [
        SlicePrompt(box=box),
        SlicePrompt(box=box, points=(Point(1, 4, positive=False),)),
        SlicePrompt(box=box, points=(Point(1, 4, positive=False), Point(1, 5, positive=False))),
    ]


def test_a_box_that_is_right_needs_no_click():
    assert len(click_rounds(Painter(), TRUTH, SQUARE, most=5, box=Box2D(1, 4, 1, 4))) == 1


def test_an_empty_truth_gets_no_click_without_a_box():
    assert click_rounds(Painter(), np.zeros_like(TRUTH), SQUARE, most=5) == []


def test_without_a_box_the_last_mask_goes_along_as_a_sketch_and_with_one_it_does_not():
    """As stock SAM 2 feeds its last logits back; an empty mask is no sketch."""
    truth = np.zeros((12, 12), dtype=bool)
    truth[2:10, 2:10] = True
    half = truth.copy()
    half[:, 6:] = False
    answers = iter([np.zeros_like(truth), half, half])
    free = click_rounds(lambda _: next(answers), truth, (1.0, 1.0), 3)
    assert [one.prompt.mask is None for one in free] == [True, True, False]
    np.testing.assert_array_equal(free[2].prompt.mask, half)
    boxed = click_rounds(lambda _: half, truth, (1.0, 1.0), 2, Box2D(2, 10, 2, 10))
    assert [one.prompt.mask for one in boxed] == [None, None, None]
