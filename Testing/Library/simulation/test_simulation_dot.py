"""The dot of study A: how far it misses the centroid, and that it never misses the object."""

from __future__ import annotations

import numpy as np
import pytest
from patients import drawn

from SAM2AnnotateLib.errors import PromptError
from SAM2AnnotateLib.prompts import Point
from SAM2AnnotateLib.simulation.dot import jittered_dot


def a_rectangle(rows: int, cols: int, margin: int = 10) -> np.ndarray:
    return np.pad(np.ones((rows, cols), dtype=bool), margin)


def misses(mask: np.ndarray, spacing_rc_mm: tuple[float, float], centroid_rc: tuple[float, float], count: int = 2000) -> np.ndarray:
    """(count, 2) pixels between the dots of one generator and the centroid."""
    rng = np.random.default_rng(81)
    dots = [jittered_dot(mask, spacing_rc_mm, rng) for _ in range(count)]
    return np.array([[dot.row, dot.col] for dot in dots]) - centroid_rc


def test_in_a_large_object_the_dot_misses_the_centroid_by_up_to_2_mm_on_each_axis():
    # 61 rows of 0.1 mm and 101 columns of 0.25 mm: 6 and 25 mm, 10 % of the longer are 2.5 mm, so 2 mm decide: 20 rows, 8 columns.
    found = misses(a_rectangle(61, 101), (0.1, 0.25), (40, 60))
    assert np.abs(found).max(axis=0).tolist() == [20, 8]
    assert np.abs(found.mean(axis=0)).max() < 1 and abs(np.corrcoef(found.T)[0, 1]) < 0.1


def test_in_a_small_object_it_misses_by_up_to_10_percent_of_the_longer_side_in_mm():
    # 101 rows of 0.1 mm are 10.1 mm, 31 columns of 0.2 mm only 6.2 mm: up to 1.01 mm both ways, 10 rows or 5 columns.
    found = misses(a_rectangle(101, 31), (0.1, 0.2), (60, 25))
    assert np.abs(found).max(axis=0).tolist() == [10, 5]


def test_with_coarse_pixels_the_dot_rounds_to_the_pixel_that_it_lies_in():
    # 2 mm are 4 rows of 0.5 mm, but less than half a column of 4.5 mm.
    found = misses(a_rectangle(101, 21), (0.5, 4.5), (60, 20))
    assert np.abs(found[:, 0]).max() == 4 and not found[:, 1].any()


def test_in_a_ring_the_dot_is_the_nearest_pixel_in_mm():
    # The centroid (2, 2) is 2 rows of 0.5 mm from the ring above and below, 2 columns of 2 mm from it left and right, and misses by at
    # most 10 % of 10 mm: half a column. So it lies above or below, in the middle column.
    ring = drawn("#####", "#...#", "#...#", "#...#", "#####")
    dots = {jittered_dot(ring, (0.5, 2.0), np.random.default_rng(seed)) for seed in range(50)}
    assert dots == {Point(0, 2), Point(4, 2)}


def test_a_crescent_never_gets_a_dot_in_its_hollow():
    crescent = drawn("######", "##....", "##....", "##....", "######")
    for seed in range(200):
        dot = jittered_dot(crescent, (1.0, 1.0), np.random.default_rng(seed))
        assert crescent[dot.row, dot.col] and dot.positive


def test_an_object_of_one_pixel_at_the_border_of_the_slice_gets_its_dot_there():
    assert jittered_dot(drawn("....", "...#"), (0.5, 2.0), np.random.default_rng(0)) == Point(1, 3)


def test_the_same_seed_draws_the_same_dot_and_another_one_another():
    mask = a_rectangle(60, 60)
    dots = [jittered_dot(mask, (0.4, 0.3), np.random.default_rng(seed)) for seed in (1, 1, 2, 3, 4)]
    assert dots[0] == dots[1] and len(set(dots)) > 2


def test_an_empty_slice_gets_no_dot():
    with pytest.raises(PromptError, match="No dot can be placed in an empty mask"):
        jittered_dot(np.zeros((4, 4), dtype=bool), (1.0, 1.0), np.random.default_rng(0))
