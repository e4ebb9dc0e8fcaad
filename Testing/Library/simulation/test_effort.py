"""What an annotation costs: gestures and seconds, summed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from patients import drawn

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.simulation.effort import Effort, EffortCount, GestureSeconds, new_outline_mm, outline_mm

COSTS = GestureSeconds(find=20, box=4, point=2, look=1, accept=0.5, begin_correction=8, outline_mm_per_s=5)
PIXEL = drawn("...", ".#.", "...")
BLOCK = drawn(".....", ".###.", ".###.", ".....")
CUT = math.hypot(0.5, 2.0) / 2  # the outline cuts a corner from the middle of a side of 0.5 mm to that of one of 2 mm

# --- the outline


def test_the_outline_of_a_pixel_is_a_rhombus_through_the_middles_to_its_neighbors():
    assert outline_mm(PIXEL, (0.5, 2.0)) == pytest.approx(4 * CUT)


def test_the_outline_of_a_block_has_its_sides_and_four_cut_corners():
    # Between pixel centers: 2 columns above and below, 1 row left and right.
    assert outline_mm(BLOCK, (0.5, 2.0)) == pytest.approx(4 * 2.0 + 2 * 0.5 + 4 * CUT)


def test_the_outline_of_a_hole_counts():
    ring = drawn("###", "#.#", "###")  # it reaches the border of the slice
    assert outline_mm(ring, (0.5, 2.0)) == pytest.approx(4 * 2.0 + 4 * 0.5 + 4 * CUT + 4 * CUT)


def test_two_parts_have_two_outlines_and_an_empty_mask_none():
    assert outline_mm(drawn("#..#"), (0.5, 2.0)) == pytest.approx(8 * CUT)
    assert outline_mm(np.zeros((3, 4), dtype=bool), (0.5, 2.0)) == 0.0


# --- gestures


def test_an_object_annotated_with_one_correction_adds_up():
    count = EffortCount(COSTS)
    count.find_object()  # 20 s
    count.box()  # 4 s
    count.point()  # 2 s
    count.point()
    for _ in range(3):
        count.look()  # 1 s
    count.accept()  # 0.5 s
    count.accept()
    count.correct(np.zeros_like(BLOCK), BLOCK, (0.5, 2.0))
    mm = 9 + 4 * CUT
    assert (count.total.boxes, count.total.points, count.total.outlines, count.total.corrections) == (1, 2, 0, 1)
    assert (count.total.corrected_pixels, count.total.slices_viewed, count.total.accepted) == (6, 3, 2)
    assert count.total.outline_mm == pytest.approx(mm)
    assert count.total.seconds == pytest.approx(20 + 4 + 2 * 2 + 3 + 2 * 0.5 + 8 + mm / 5)


def test_a_slice_drawn_from_nothing_is_an_outline_and_no_correction():
    count = EffortCount(COSTS)
    count.outline(PIXEL, (0.5, 2.0))
    assert (count.total.outlines, count.total.corrections, count.total.corrected_pixels) == (1, 0, 1)
    assert count.total.outline_mm == pytest.approx(4 * CUT) and count.total.seconds == pytest.approx(8 + 4 * CUT / 5)


def test_a_correction_that_changes_nothing_still_takes_up_the_tool():
    count = EffortCount(COSTS)
    count.correct(PIXEL, PIXEL, (0.5, 2.0))
    assert count.total == Effort(corrections=1, seconds=8)


def test_a_correction_draws_only_what_is_new_of_the_outline():
    """Two columns are added to a block of 2 x 2 pixels: the old side inside goes, the sides above and below grow by two columns each, and
    the two cut corners move along with the old side, a row long, to the new end."""
    before, after = drawn("......", ".##...", ".##...", "......"), drawn("......", ".####.", ".####.", "......")
    assert new_outline_mm(before, after, (0.5, 2.0)) == pytest.approx(2 * 2 * 2.0 + 0.5 + 2 * CUT)
    assert new_outline_mm(np.zeros_like(after), after, (0.5, 2.0)) == pytest.approx(outline_mm(after, (0.5, 2.0)))


def test_erasing_a_part_of_its_own_draws_nothing():
    assert new_outline_mm(drawn("....", "#..#", "...."), drawn("....", "#...", "...."), (0.5, 2.0)) == 0.0


def test_efforts_add_up_field_by_field():
    one = Effort(1, 2, 3, 4, 5, 6.5, 7, 8, 9.25)
    other = Effort(10, 20, 30, 40, 50, 60.25, 70, 80, 90.5)
    assert one + other == Effort(11, 22, 33, 44, 55, 66.75, 77, 88, 99.75)
    assert one + Effort() == one and Effort() + Effort() == Effort()


def test_a_count_begins_with_nothing_and_keeps_apart_from_another():
    first, second = EffortCount(COSTS), EffortCount(COSTS)
    first.box()
    assert first.total == Effort(boxes=1, seconds=4) and second.total == Effort()


def test_a_box_costs_what_the_study_measured():
    assert GestureSeconds().box == 3.3


@pytest.mark.parametrize(("name", "value"), [("find", -1.0), ("look", math.nan), ("accept", math.inf), ("outline_mm_per_s", 0.0)])
def test_seconds_that_are_no_numbers_or_negative_and_a_hand_that_stands_still_are_refused(name, value):
    with pytest.raises(InputError, match=f"Seconds of gestures: '{name}' must be a number of 0 or more .the speed above 0., got {value}"):
        GestureSeconds(**{name: value})


def test_a_gesture_may_cost_nothing():
    assert GestureSeconds(find=0).find == 0
