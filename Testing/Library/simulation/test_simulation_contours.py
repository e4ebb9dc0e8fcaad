"""The prompt around all contours: each point worked out on drawn masks."""

from __future__ import annotations

import numpy as np
import pytest
from patients import drawn

from SAM2AnnotateLib.errors import PromptError
from SAM2AnnotateLib.geometry import Box2D
from SAM2AnnotateLib.prompts import Point, SlicePrompt
from SAM2AnnotateLib.simulation.contours import contours_prompt


def test_one_box_holds_all_contours_each_has_a_point_the_largest_first():
    truth = drawn("........", ".#......", "....###.", "....###.", "....###.", "........")
    # The box is rows 1..4, columns 1..6. Of its background, (4, 1) is 3 rows from the speck at (1, 1) and 3 columns from the square.
    expected = SlicePrompt(box=Box2D(1, 5, 1, 7), points=(Point(3, 5), Point(1, 1), Point(4, 1, positive=False)))
    assert contours_prompt(truth, (1.0, 1.0)) == expected


def test_the_negative_point_is_the_farthest_in_mm():
    truth = drawn("#....", "#....", "#....", "#....", "####.")
    # Box columns 0..3. At (0, 3) the left bar is 3 columns away, the foot 4 rows.
    assert contours_prompt(truth, (1.0, 1.0)).points[-1] == Point(0, 3, positive=False)
    # Rows of 0.5 mm, columns of 2 mm: every pixel above the foot is nearer to it (4 rows are 2 mm) than or as near as to the bar; row 0
    # is the farthest with 2 mm in each of its columns, the first of which is column 1.
    assert contours_prompt(truth, (0.5, 2.0)).points[-1] == Point(0, 1, positive=False)


def test_the_point_of_a_crescent_moves_from_its_hollow_to_the_middle_of_the_longest_runs():
    crescent = drawn("........", ".######.", ".##.....", ".##.....", ".##.....", ".######.", "........")
    # The centroid's row is 3. Its run there is columns 1 and 2, the lower middle 1; column 1 runs through rows 1 to 5, the middle is 3.
    assert contours_prompt(crescent, (1.0, 1.0)).points[0] == Point(3, 1)


def test_the_point_of_a_ring_lies_on_the_ring():
    ring = drawn("#######", "#....##", "#....##", "#....##", "#######")
    # Rows 1 to 3 weigh alike, so the centroid's row is 2; the longest run there is columns 5 and 6, the lower middle 5; column 5 runs
    # through rows 0 to 4.
    assert contours_prompt(ring, (0.5, 2.0)).points[0] == Point(2, 5)


def test_a_long_run_counts_more_than_a_short_one_in_which_the_centroid_lies():
    truth = drawn("#########", "##..#...#", "##..#...#", "##..#...#", "#########")
    # The columns of rows 0 and 4 sum to 36 each, those of the three between to 13: 111 / 30 = 3.7. So the centroid (2, 4) is on the bar
    # of one column. The longest run on row 2 is columns 0 and 1, the lower middle 0; column 0 runs through rows 0 to 4.
    assert contours_prompt(truth, (1.0, 1.0)).points[0] == Point(2, 0)


@pytest.mark.parametrize("seed", range(30))
def test_every_positive_point_lies_in_a_contour_of_its_own_and_the_negative_beside_them(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random((12, 15)) < 0.25
    *positive, negative = contours_prompt(truth, (0.5, 2.0)).points
    assert all(truth[point.row, point.col] and point.positive for point in positive)
    assert len(set(positive)) == len(positive) >= 2
    assert not truth[negative.row, negative.col] and not negative.positive


def test_a_full_box_has_its_negative_point_beside_the_middle_of_the_nearest_side():
    truth = np.zeros((9, 9), dtype=bool)
    truth[2:5, 3:8] = True
    assert contours_prompt(truth, (0.5, 2.0)).points == (Point(3, 5), Point(1, 5, positive=False))  # above: 0.5 mm
    assert contours_prompt(truth, (2.0, 0.5)).points[1] == Point(3, 2, positive=False)  # left: 0.5 mm
    assert contours_prompt(truth, (1.0, 1.0)).points[1] == Point(1, 5, positive=False)  # of equals the first in row-major order


def test_a_full_box_at_the_border_of_the_slice_looks_for_another_side():
    truth = np.zeros((3, 5), dtype=bool)
    truth[:, :3] = True
    assert contours_prompt(truth, (0.5, 2.0)).points == (Point(1, 1), Point(1, 3, positive=False))


def test_an_object_that_fills_the_slice_has_no_negative_point():
    assert contours_prompt(np.ones((3, 4), dtype=bool), (1.0, 1.0)) == SlicePrompt(box=Box2D(0, 3, 0, 4), points=(Point(1, 1),))


def test_an_empty_slice_has_no_contours():
    with pytest.raises(PromptError, match="empty mask"):
        contours_prompt(np.zeros((3, 4), dtype=bool), (1.0, 1.0))
