"""Center, box and extent as a person would give them: by hand from drawn masks, and the bounds of the jitter."""

from __future__ import annotations

import numpy as np
import pytest
from patients import an_anisotropic_volume, drawn

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Box2D, Extent, SliceStack, VolumeGrid
from SAM2AnnotateLib.simulation.gestures import Gestures, gestures_from_truth, jittered_box

FAR = (10_000, 10_000)  # a slice whose edges no box reaches


def an_axial_stack(slices: int, rows: int, cols: int, spacing_kji_mm=(5.0, 1.0, 1.0)) -> SliceStack:
    """Shown as stored: i grows to the left, j to posterior, k to superior."""
    k, j, i = spacing_kji_mm
    return SliceStack.along(VolumeGrid((slices, rows, cols), np.diag([-i, -j, k, 1.0])), "k")


def slabs(*frames: np.ndarray) -> np.ndarray:
    return np.stack(frames)


EMPTY = drawn(".....", ".....", ".....", ".....")
SMALL = drawn(".....", "..#..", ".....", ".....")
LARGE = drawn(".....", ".###.", ".####", ".....")


# --- center, extent and tight box


def test_the_box_stands_on_the_slice_of_the_center_of_mass():
    truth = slabs(EMPTY, SMALL, SMALL, LARGE, EMPTY, EMPTY)  # (1 + 2 + 3 * 7) / 9 = 2.67
    stack = an_axial_stack(*truth.shape)
    assert gestures_from_truth(truth, stack, None) == Gestures(3, Box2D(1, 3, 1, 5), Extent(1, 3))


def test_where_the_center_of_mass_is_hollow_the_nearest_slice_is_taken():
    truth = slabs(LARGE, EMPTY, EMPTY, EMPTY, EMPTY, LARGE, SMALL)  # (0 + 35 + 6) / 15 = 2.7: 5 is nearer than 0
    assert gestures_from_truth(truth, an_axial_stack(*truth.shape), None).center == 5


def test_an_object_on_one_slice_has_an_extent_of_one():
    truth = slabs(EMPTY, EMPTY, SMALL)
    assert gestures_from_truth(truth, an_axial_stack(*truth.shape), None) == Gestures(2, Box2D(1, 2, 2, 3), Extent(2, 2))


def test_positions_rows_and_columns_are_those_of_the_upright_stack(orientation):
    """The same object in the patient gives the same gestures, however the file stores it."""
    patient = an_anisotropic_volume(oblique=True)
    truth = np.zeros(patient.array_kji.shape, dtype=bool)
    truth[1:3, 1:3, 2:5] = True
    truth[2, 3, 4] = True
    stored = orientation.volume(patient)
    given = gestures_from_truth(orientation.array(truth), SliceStack.along(stored.grid, "axial"), np.random.default_rng(71))
    expected = gestures_from_truth(truth, SliceStack.along(patient.grid, "axial"), np.random.default_rng(71))
    assert given == expected
    assert expected.extent == Extent(1, 2)


def test_where_the_center_of_mass_is_half_way_the_even_slice_is_taken_as_numpy_rounds():
    """Wherever the object begins: its crop must not move the center."""
    for first, expected in ((1, 2), (2, 2), (3, 4)):
        truth = slabs(*[EMPTY] * first, SMALL, SMALL, EMPTY)
        assert gestures_from_truth(truth, an_axial_stack(*truth.shape), None).center == expected


def test_an_empty_mask_is_refused():
    with pytest.raises(InputError, match="The object's mask is empty, so no box can be drawn"):
        gestures_from_truth(slabs(EMPTY, EMPTY), an_axial_stack(2, 4, 5), None)


# --- the jitter


def jitters(box: Box2D, spacing_rc_mm, frame_shape_rc=FAR, count: int = 2000, seed: int = 72) -> np.ndarray:
    """(count, 4) drawn boxes less the tight one: row_start, row_stop, col_start, col_stop."""
    rng = np.random.default_rng(seed)
    drawn_boxes = [jittered_box(box, spacing_rc_mm, frame_shape_rc, rng) for _ in range(count)]
    found = np.array([[one.row_start, one.row_stop, one.col_start, one.col_stop] for one in drawn_boxes])
    return found - [box.row_start, box.row_stop, box.col_start, box.col_stop]


def test_a_large_box_is_scaled_by_up_to_2_mm_and_shifted_by_up_to_1_mm():
    # 400 rows of 0.1 mm are 40 mm, 5 % of that would be 2 mm: both bounds meet. 1000 columns of 0.2 mm: the mm decide.
    rows_start, rows_stop, cols_start, cols_stop = jitters(Box2D(3000, 3400, 3000, 4000), (0.1, 0.2)).T
    for start, stop, mm in ((rows_start, rows_stop, 0.1), (cols_start, cols_stop, 0.2)):
        scale_voxels, shift_voxels = stop - start, (start + stop) / 2
        assert np.abs(scale_voxels).max() <= 2 / mm + 1  # rounding of both borders
        assert np.abs(shift_voxels).max() <= 1 / mm + 0.5
        # Bounds that were half as wide would not be noticed above.
        assert np.abs(scale_voxels).max() > 1.9 / mm and np.abs(shift_voxels).max() > 0.95 / mm
        assert abs(scale_voxels.mean()) < 0.1 / mm and abs(shift_voxels.mean()) < 0.05 / mm


def test_a_small_box_is_scaled_and_shifted_by_at_most_5_percent_of_each_side():
    # 200 rows of 0.05 mm are 10 mm: 5 % are 10 voxels, less than 2 mm (40) and 1 mm (20). 60 columns: 3 voxels.
    found = jitters(Box2D(3000, 3200, 3000, 3060), (0.05, 0.05))
    for (start, stop), side in ((found[:, :2].T, 200), (found[:, 2:].T, 60)):
        assert np.abs(stop - start).max() <= 0.05 * side + 1
        assert np.abs((start + stop) / 2).max() <= 0.05 * side + 0.5
        assert np.abs(stop - start).max() > 0.04 * side and np.abs((start + stop) / 2).max() > 0.04 * side


def test_with_uneven_spacing_each_axis_has_its_own_bound():
    # Rows of 0.5 mm: the borders move by up to 1 mm + 1 mm, 4 voxels. Columns of 4.5 mm: by up to 0.44 voxels, which rounds to none.
    found = jitters(Box2D(3000, 3100, 3000, 3100), (0.5, 4.5))
    assert np.abs(found[:, :2]).max() == 4
    assert not found[:, 2:].any()


def test_height_and_width_are_drawn_independently():
    found = jitters(Box2D(3000, 3400, 3000, 3400), (0.1, 0.1))
    heights, widths = found[:, 1] - found[:, 0], found[:, 3] - found[:, 2]
    ups, sides = found[:, 0] + found[:, 1], found[:, 2] + found[:, 3]
    for one, other in ((heights, widths), (ups, sides), (heights, ups), (widths, sides)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.1


def test_a_tiny_box_keeps_at_least_one_voxel():
    assert not jitters(Box2D(50, 51, 60, 61), (1.0, 1.0)).any()


def test_a_drawn_box_stays_on_the_slice():
    rng = np.random.default_rng(73)
    clipped = 0
    for _ in range(500):
        box = jittered_box(Box2D(0, 200, 300, 500), (0.2, 0.2), (200, 500), rng)
        assert Box2D(0, 200, 0, 500).contains(box)
        clipped += box.row_start == 0
    assert clipped > 100


def test_the_same_seed_draws_the_same_box_and_another_one_another():
    box = Box2D(100, 180, 100, 160)
    boxes = [jittered_box(box, (0.4, 0.3), FAR, np.random.default_rng(seed)) for seed in (1, 1, 2, 3, 4)]
    assert boxes[0] == boxes[1]
    assert len(set(boxes)) > 2


def test_no_generator_means_the_tight_box_and_one_means_another():
    truth = np.zeros((3, 200, 200), dtype=bool)
    truth[1, 40:160, 50:140] = True
    stack = an_axial_stack(3, 200, 200, (5.0, 0.3, 0.3))
    assert gestures_from_truth(truth, stack, None).box == Box2D(40, 160, 50, 140)
    drawn_boxes = {gestures_from_truth(truth, stack, np.random.default_rng(seed)).box for seed in range(5)}
    assert len(drawn_boxes) > 1
