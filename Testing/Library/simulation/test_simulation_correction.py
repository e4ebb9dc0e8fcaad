"""Corrections by hand: which errors are repaired, and how far from the outline a pixel is."""

from __future__ import annotations

import numpy as np
import pytest
from patients import drawn

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.simulation.correction import boundary_distance_mm, correct_by_hand

# --- the distance to the boundary


def test_a_pixel_beside_the_boundary_is_half_a_spacing_away_on_both_sides():
    found = boundary_distance_mm(drawn(".....", "..#..", "....."), (0.5, 2.0))
    diagonal = np.hypot(0.25, 1.0)  # from the pixel's corner
    far = np.hypot(0.25, 3.0)
    expected = [[far, diagonal, 0.25, diagonal, far], [3.0, 1.0, 0.25, 1.0, 3.0], [far, diagonal, 0.25, diagonal, far]]
    assert found == pytest.approx(np.array(expected), abs=1e-12)


def test_beyond_the_slice_is_outside():
    found = boundary_distance_mm(np.ones((3, 4), dtype=bool), (2.0, 1.0))
    assert found.tolist() == [[0.5, 1.0, 1.0, 0.5], [0.5, 1.5, 1.5, 0.5], [0.5, 1.0, 1.0, 0.5]]


def test_a_hole_has_a_boundary_too():
    ring = drawn("#######", "#######", "#.....#", "#######", "#######")
    # (1, 3) is half a row from the hole, (2, 3) half a row from the ring, (0, 3) half a row from beyond the slice.
    assert boundary_distance_mm(ring, (1.0, 1.0))[:, 3].tolist() == [0.5, 0.5, 0.5, 0.5, 0.5]
    assert boundary_distance_mm(ring, (4.0, 1.0))[2].tolist() == [0.5, 0.5, 1.5, 2.0, 1.5, 0.5, 0.5]


def test_an_empty_mask_has_no_boundary_near():
    assert np.isposinf(boundary_distance_mm(np.zeros((2, 3), dtype=bool), (1.0, 1.0))).all()


@pytest.mark.parametrize("seed", range(8))
def test_the_distance_is_that_to_the_nearest_point_of_any_pixel_side_between_inside_and_outside(seed):
    rng = np.random.default_rng(seed)
    spacing = np.array([0.7, 1.9])
    truth = rng.random((6, 7)) < rng.uniform(0.03, 0.9)
    truth[2, 3] = True
    padded = np.pad(truth, 1)
    sides_mm = []  # (low corner, high corner) of each side
    for row in range(7):
        for col in range(8):
            if col < 7 and padded[row, col + 1] != padded[row + 1, col + 1]:
                sides_mm.append((spacing * (row, col), spacing * (row, col + 1)))
            if row < 6 and padded[row + 1, col] != padded[row + 1, col + 1]:
                sides_mm.append((spacing * (row, col), spacing * (row + 1, col)))
    expected = np.empty(truth.shape)
    for row, col in np.ndindex(truth.shape):
        center_mm = spacing * (row + 0.5, col + 0.5)
        expected[row, col] = min(np.linalg.norm(np.clip(center_mm, low, high) - center_mm) for low, high in sides_mm)
    assert boundary_distance_mm(truth, tuple(spacing)) == pytest.approx(expected, abs=1e-9)


# --- what is corrected

TRUTH = drawn(
    "............",
    "..######....",
    "..######....",
    "..######....",
    "..######....",
    "............",
)


def changed(mask: np.ndarray, truth: np.ndarray, spacing_rc_mm: tuple[float, float], tolerance_mm: float = 1.0) -> np.ndarray:
    """Pixels that the hand changes; that they make the new mask is checked on the way."""
    before = mask.copy()
    found = correct_by_hand(mask, truth, spacing_rc_mm, tolerance_mm)
    assert np.array_equal(mask, before)
    assert np.array_equal(found.mask, mask ^ found.changed)
    assert np.array_equal(found.mask[found.changed], truth[found.changed])
    return found.changed


def test_a_rim_within_the_tolerance_stays_and_a_wider_one_is_taken_away_whole():
    two_columns = TRUTH | drawn(*["............"] * 2, "........##..", *["............"] * 3)
    three_columns = TRUTH | drawn(*["............"] * 2, "........###.", *["............"] * 3)
    # Columns of 0.5 mm: the centers of the added ones are 0.25, 0.75 and 1.25 mm from the boundary.
    assert not changed(two_columns, TRUTH, (0.5, 0.5)).any()
    assert np.array_equal(changed(three_columns, TRUTH, (0.5, 0.5)), three_columns ^ TRUTH)


def test_missing_pixels_count_like_those_that_are_too_much():
    mask = TRUTH & ~drawn("............", "..###.......", "..###.......", "..###.......", *["............"] * 2)
    # Of what is missing, the center of (2, 4) or (3, 4) is 1.5 rows from the boundary.
    assert not changed(mask, TRUTH, (0.6, 0.6)).any()  # 0.9 mm
    assert np.array_equal(changed(mask, TRUTH, (0.7, 0.7)), TRUTH & ~mask)  # 1.05 mm


def test_with_uneven_spacing_a_column_may_be_an_error_where_a_row_is_none():
    below = TRUTH | drawn(*["............"] * 5, "..######....")
    beside = TRUTH | drawn("............", *["........#..."] * 4, "............")
    assert not changed(below, TRUTH, (0.5, 2.5)).any()  # 0.25 mm
    assert np.array_equal(changed(beside, TRUTH, (0.5, 2.5)), beside ^ TRUTH)  # 1.25 mm


@pytest.mark.parametrize(
    ("column_mm", "corrected"), [(2.0, False), (2.0000001, False), (float(np.float32(2.0000002)), False), (2.01, True)]
)
def test_exactly_at_the_tolerance_is_not_beyond_it_but_for_rounding(column_mm, corrected):
    beside = TRUTH | drawn("............", *["........#..."] * 4, "............")  # half a column from the boundary
    assert changed(beside, TRUTH, (0.5, column_mm)).any() == corrected


def test_every_error_is_judged_for_itself():
    small = drawn("............", "........#...", *["............"] * 4)
    large = drawn(*["............"] * 4, "........####", "............")
    assert np.array_equal(changed(TRUTH | small | large, TRUTH, (1.0, 1.0)), large)


def test_what_hangs_together_at_a_corner_is_one_error():
    small = drawn("............", "........#...", *["............"] * 4)
    hanging = drawn("............", "............", ".........###", *["............"] * 3)
    assert np.array_equal(changed(TRUTH | small | hanging, TRUTH, (0.5, 0.5)), small | hanging)


def test_missing_and_surplus_pixels_that_touch_are_one_error():
    missing = drawn("............", ".......#....", *["............"] * 4)
    surplus = drawn("............", "........####", *["............"] * 4)
    assert np.array_equal(changed((TRUTH | surplus) & ~missing, TRUTH, (1.0, 1.0)), missing | surplus)


def test_the_tolerance_can_be_another():
    beside = TRUTH | drawn("............", *["........#..."] * 4, "............")
    assert changed(beside, TRUTH, (1.0, 1.0), tolerance_mm=0.4).any()
    assert not changed(beside, TRUTH, (1.0, 1.0), tolerance_mm=0.5).any()
    with pytest.raises(InputError, match="tolerance of at least 0 mm, got -1"):
        correct_by_hand(beside, TRUTH, (1.0, 1.0), -1)


def test_a_hole_is_filled_if_it_is_deep_in_the_object():
    hole = drawn("............", "............", "....##......", "....##......", *["............"] * 2)
    assert np.array_equal(changed(TRUTH & ~hole, TRUTH, (1.0, 1.0)), hole)  # 1.5 mm from above or below
    assert not changed(TRUTH & ~hole, TRUTH, (0.5, 0.5)).any()


def test_in_a_hollow_object_what_fills_the_hollow_is_removed():
    ring = drawn("#######", "#.....#", "#.....#", "#.....#", "#######")
    assert np.array_equal(changed(np.ones_like(ring), ring, (1.0, 1.0)), ~ring)  # its middle is 1.5 mm from the ring
    assert not changed(np.ones_like(ring), ring, (0.5, 2.0)).any()  # 0.75 mm


def test_a_missed_object_is_drawn_whole_unless_it_is_nowhere_deeper_than_the_tolerance():
    nothing = np.zeros_like(TRUTH)
    assert np.array_equal(changed(nothing, TRUTH, (1.0, 1.0)), TRUTH)
    assert not changed(nothing, TRUTH, (0.5, 2.0)).any()  # 4 rows of 0.5 mm: at most 0.75 mm deep


def test_with_an_empty_truth_everything_is_erased_and_with_two_empty_masks_nothing_happens():
    nothing = np.zeros_like(TRUTH)
    speck = drawn("#...........", *["............"] * 5)
    assert np.array_equal(changed(speck, nothing, (0.1, 0.1)), speck)
    assert not changed(nothing, nothing, (1.0, 1.0)).any()


def test_a_mask_that_is_right_stays():
    assert not changed(TRUTH, TRUTH, (3.0, 3.0)).any()


@pytest.mark.parametrize("seed", range(5))
def test_the_border_of_the_slice_is_like_any_other_place_outside(seed):
    truth = np.zeros((9, 11), dtype=bool)
    truth[:7, :8] = True  # in a corner of the slice
    mask = truth ^ (np.random.default_rng(seed).random(truth.shape) < 0.15)
    found = changed(mask, truth, (0.8, 1.4))
    assert found.any() and (mask ^ truth ^ found).any()  # some errors are repaired, some stay
    padded = changed(np.pad(mask, 5), np.pad(truth, 5), (0.8, 1.4))
    assert np.array_equal(padded, np.pad(found, 5))


def test_masks_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="one shape"):
        correct_by_hand(TRUTH[:3], TRUTH, (1.0, 1.0))
    with pytest.raises(InputError, match="prediction as a boolean array, got dtype uint8"):
        correct_by_hand(TRUTH.astype(np.uint8), TRUTH, (1.0, 1.0))
