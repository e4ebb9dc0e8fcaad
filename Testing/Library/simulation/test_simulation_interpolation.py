"""Slices between drawn ones, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from patients import drawn

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Extent
from SAM2AnnotateLib.simulation.interpolation import interpolate_slices

TALL = (1.0, 100.0)  # one column of 100 mm: only the rows above and below count


def rows(first: int, last: int, count: int = 12) -> np.ndarray:
    """One column of 12 pixels, these rows of it inside."""
    mask = np.zeros((count, 1), dtype=bool)
    mask[first : last + 1] = True
    return mask


def inside(mask: np.ndarray) -> list[int]:
    return np.flatnonzero(mask[:, 0]).tolist()


def test_the_outline_moves_evenly_from_one_drawn_slice_to_the_next():
    # Row 3 is 0.5 outside of the small one and 3.5 inside the large; row 2: 1.5 and 2.5; row 1: 2.5 and 1.5; row 0: 3.5 and 0.5.
    # A quarter of the way: row 3 is (3 * -0.5 + 3.5) / 4 > 0, row 2 is (3 * -1.5 + 2.5) / 4 < 0; and so on.
    masks = interpolate_slices({10: rows(4, 7), 14: rows(0, 11)}, Extent(10, 14), TALL)
    assert list(masks) == [10, 11, 12, 13, 14]
    assert [inside(masks[position]) for position in (11, 12, 13)] == [list(range(3, 9)), list(range(2, 10)), list(range(1, 11))]


def test_a_pixel_whose_center_lies_on_the_outline_is_inside():
    masks = interpolate_slices({0: rows(4, 7), 2: rows(3, 8)}, Extent(0, 2), (0.1, 100.0))
    assert inside(masks[1]) == list(range(3, 9))


def test_distances_are_those_in_mm():
    small = drawn(".......", ".......", "..###..", "..###..", "..###..", ".......", ".......")
    large = drawn(".......", ".#####.", ".#####.", ".#####.", ".#####.", ".#####.", ".......")
    # Rows of 0.5 mm, columns of 2 mm. (1, 3) is 0.25 mm outside of the small one, 0.25 mm inside the large: on the line. (3, 1): 1 mm and
    # 1 mm, on the line. (2, 1): 1 mm outside, only 0.75 mm inside. Corners are farther out.
    middle = interpolate_slices({0: small, 2: large}, Extent(0, 2), (0.5, 2.0))[1]
    assert np.array_equal(middle, drawn(".......", "..###..", "..###..", ".#####.", "..###..", "..###..", "......."))
    # Square pixels: all but the corners, 0.71 mm outside and 0.5 mm inside.
    middle = interpolate_slices({0: small, 2: large}, Extent(0, 2), (1.0, 1.0))[1]
    assert np.array_equal(middle, drawn(".......", "..###..", ".#####.", ".#####.", ".#####.", "..###..", "......."))


def test_only_the_two_nearest_drawn_slices_count():
    masks = interpolate_slices({0: rows(0, 11), 2: rows(4, 7), 6: rows(4, 7), 7: rows(0, 0)}, Extent(0, 7), TALL)
    assert [inside(masks[position]) for position in (3, 4, 5)] == [[4, 5, 6, 7]] * 3
    assert inside(masks[1]) == list(range(2, 10))


def test_drawn_slices_come_back_as_they_are_and_are_not_changed():
    given = {0: rows(4, 7), 1: rows(2, 3), 4: rows(0, 11)}
    copies = {position: mask.copy() for position, mask in given.items()}
    masks = interpolate_slices(given, Extent(0, 4), TALL)
    assert all(masks[position] is given[position] for position in given)
    assert all(np.array_equal(given[position], copies[position]) for position in given)


@pytest.mark.parametrize("reverse", [False, True])
def test_towards_an_empty_slice_the_object_shrinks_evenly(reverse):
    # Rows 2 to 9 are 0.5, 1.5, 2.5, 3.5, 3.5, ... deep. A quarter of the way what is 0.875 deep remains, then 1.75, then 2.625.
    full, empty = rows(2, 9), np.zeros((12, 1), dtype=bool)
    masks = interpolate_slices({0: empty, 4: full} if reverse else {0: full, 4: empty}, Extent(0, 4), TALL)
    remaining = [inside(masks[position]) for position in (1, 2, 3)]
    assert (remaining[::-1] if reverse else remaining) == [list(range(3, 9)), list(range(4, 8)), [5, 6]]


def test_between_two_empty_slices_all_is_empty():
    masks = interpolate_slices({0: rows(2, 1), 3: rows(2, 1)}, Extent(0, 3), TALL)
    assert not any(mask.any() for mask in masks.values()) and masks[1].shape == (12, 1)


@pytest.mark.parametrize("seed", range(4))
def test_between_two_equal_slices_nothing_changes_hollow_or_at_the_border_as_it_may_be(seed):
    mask = np.random.default_rng(seed).random((9, 8)) < 0.5
    masks = interpolate_slices({0: mask, 3: mask.copy()}, Extent(0, 3), (0.5, 2.0))
    assert np.array_equal(masks[1], mask) and np.array_equal(masks[2], mask)


def test_an_extent_of_one_drawn_slice_is_that_slice():
    assert list(interpolate_slices({5: rows(1, 2)}, Extent(5, 5), TALL)) == [5]


@pytest.mark.parametrize("positions", [[], [0, 3], [1, 4], [0, 4, 5], [-1, 0, 4]])
def test_the_first_and_the_last_slice_must_be_drawn_and_none_beyond(positions):
    with pytest.raises(InputError, match=r"To interpolate slices 0\.\.4, draw the first and the last; drawn are \["):
        interpolate_slices({position: rows(1, 2) for position in positions}, Extent(0, 4), TALL)


def test_masks_of_two_shapes_are_refused():
    with pytest.raises(InputError, match=r"one shape, got \[\(11, 1\), \(12, 1\)\]"):
        interpolate_slices({0: rows(1, 2), 1: rows(1, 2, count=11)}, Extent(0, 1), TALL)
