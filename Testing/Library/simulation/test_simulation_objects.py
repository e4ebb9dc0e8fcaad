"""The objects of a label map: what is one object, in which order they come, and where a stack sees them."""

from __future__ import annotations

import numpy as np
import pytest
from patients import SHAPE_KJI, an_anisotropic_volume, drawn

from SAM2AnnotateLib.errors import InputError, PromptError
from SAM2AnnotateLib.geometry import Box2D, Extent, SliceStack, VolumeGrid
from SAM2AnnotateLib.simulation.objects import StackedTruth, TruthObject, connected_parts, truth_objects


def a_label_map() -> np.ndarray:
    """Label 2: five voxels in a corner of slice 0, two joined at a corner across slices 2 and 3, one alone. Label 1: one voxel."""
    labels_kji = np.zeros((5, 6, 7), dtype=np.uint8)
    labels_kji[0, 0, :5] = 2
    labels_kji[2, 3, 3] = labels_kji[3, 4, 4] = 2
    labels_kji[4, 0, 6] = 2
    labels_kji[4, 5, 0] = 1
    return labels_kji


def places(objects: list[TruthObject]) -> list[tuple]:
    return [(one.label, one.instance, one.start_kji, one.voxels) for one in objects]


# --- what is an object


def test_every_connected_part_is_an_object_the_largest_first_and_a_corner_connects():
    objects, specks = truth_objects(a_label_map(), [2])
    assert places(objects) == [(2, 1, (0, 0, 0), 5), (2, 2, (2, 3, 3), 2), (2, 3, (4, 0, 6), 1)]
    assert [one.mask_kji.shape for one in objects] == [(1, 1, 5), (2, 2, 2), (1, 1, 1)]
    assert specks == []


def test_parts_that_are_not_separated_are_one_object():
    objects, _ = truth_objects(a_label_map(), [1, 2], separate=False)
    assert places(objects) == [(1, 1, (4, 5, 0), 1), (2, 1, (0, 0, 0), 8)]
    assert np.array_equal(objects[1].mask_kji, a_label_map()[:, :5] == 2)  # its box ends in row 4


def test_what_is_too_small_is_handed_back_as_specks():
    objects, specks = truth_objects(a_label_map(), [2, 1], smallest_voxels=2)
    assert places(objects) == [(2, 1, (0, 0, 0), 5), (2, 2, (2, 3, 3), 2)]
    assert places(specks) == [(2, 3, (4, 0, 6), 1), (1, 1, (4, 5, 0), 1)]


def test_objects_of_equal_size_come_in_array_order():
    labels_kji = np.zeros((3, 4, 9), dtype=np.int16)
    for k, j, i in ((2, 0, 0), (0, 2, 8), (0, 2, 4), (0, 0, 8)):
        labels_kji[k, j, i] = 7
    objects, _ = truth_objects(labels_kji, [7])
    assert [one.start_kji for one in objects] == [(0, 0, 8), (0, 2, 4), (0, 2, 8), (2, 0, 0)]


def test_values_come_in_the_order_asked_for_each_once_and_one_that_does_not_occur_gives_none():
    objects, specks = truth_objects(a_label_map(), (9, 1, 2, 1), smallest_voxels=1)
    assert [one.label for one in objects] == [1, 2, 2, 2] and specks == []


def test_the_crop_of_an_object_leaves_out_what_else_is_in_its_box_and_cannot_be_changed():
    frame = drawn("####", "#...", "#.#.", "#...")
    objects, _ = truth_objects(frame[np.newaxis].astype(np.uint8), [1])
    assert np.array_equal(objects[0].mask_kji[0], drawn("####", "#...", "#...", "#..."))
    with pytest.raises(ValueError, match="read-only"):
        objects[0].mask_kji[0, 0, 0] = False


def test_a_crop_does_not_keep_the_label_map_alive():
    labels_kji = np.zeros((9, 9, 9), dtype=np.uint8)
    labels_kji[2:4, 2:4, 2:4] = labels_kji[3, 3, 5] = 1
    for separate, sizes in ((False, [16]), (True, [8, 1])):
        objects, _ = truth_objects(labels_kji, [1], separate=separate)
        assert [one.mask_kji.base.size for one in objects] == sizes


@pytest.mark.parametrize("values", [[0], [2, -1]])
def test_the_background_is_no_object(values):
    with pytest.raises(InputError, match=f"whole numbers from 1 on .0 is the background., got {min(values)}"):
        truth_objects(a_label_map(), values)


def test_a_label_map_has_three_dimensions_and_an_object_a_voxel():
    with pytest.raises(InputError, match=r"Expected a 3-D label map \(k, j, i\), got shape \(6, 7\)"):
        truth_objects(a_label_map()[0], [2])
    with pytest.raises(InputError, match=r"3-D bool array with a voxel inside, got bool \(1, 2, 3\)"):
        TruthObject(1, 1, (0, 0, 0), np.zeros((1, 2, 3), dtype=bool))
    with pytest.raises(InputError, match=r"3-D bool array with a voxel inside, got uint8 \(1, 2, 3\)"):
        TruthObject(1, 1, (0, 0, 0), np.ones((1, 2, 3), dtype=np.uint8))


def test_the_parts_of_a_slice_come_with_their_tight_boxes():
    parts = connected_parts(drawn("#..##", ".....", "#....", ".#...", "#...."))
    assert [box for box, _ in parts] == [(slice(2, 5), slice(0, 2)), (slice(0, 1), slice(3, 5)), (slice(0, 1), slice(0, 1))]
    assert np.array_equal(parts[0][1], drawn("#.", ".#", "#."))
    assert connected_parts(np.zeros((3, 4), dtype=bool)) == []


# --- as a stack sees it


def an_axial_stack(shape_kji: tuple[int, int, int]) -> SliceStack:
    """Shown as stored: i grows to the left, j to posterior, k to superior."""
    return SliceStack.along(VolumeGrid(shape_kji, np.diag([-0.5, -2.0, 3.0, 1.0])), "k")


def a_hollow_object() -> TruthObject:
    """Slices 3 and 8..9 of a volume, nothing between: the center of mass is (3 * 6 + 8 * 1 + 9 * 2) / 9 = 4.9, the nearest slice is 3."""
    mask_kji = np.zeros((7, 3, 4), dtype=bool)
    mask_kji[0, :2, :3] = True
    mask_kji[5, 2, 3] = True
    mask_kji[6, 1, :2] = True
    return TruthObject(1, 1, (3, 2, 1), mask_kji)


def test_extent_center_and_boxes_are_positions_in_the_whole_stack():
    truth = StackedTruth.of(a_hollow_object(), an_axial_stack((12, 6, 6)))
    assert (truth.extent, truth.center) == (Extent(3, 9), 3)
    assert truth.tight_box(3) == Box2D(2, 4, 1, 4)
    assert truth.tight_box(8) == Box2D(4, 5, 4, 5)
    assert np.array_equal(truth.frame(9), drawn("......", "......", "......", ".##...", "......", "......"))
    assert not truth.frame(2).any() and not truth.frame(5).any() and truth.frame(11).shape == (6, 6)


def test_a_slice_without_the_object_has_no_box_and_one_beyond_the_stack_no_frame():
    truth = StackedTruth.of(a_hollow_object(), an_axial_stack((12, 6, 6)))
    with pytest.raises(PromptError, match="not on slice position 10: it reaches from 3 to 9"):
        truth.tight_box(10)
    with pytest.raises(PromptError, match="empty mask"):
        truth.tight_box(5)
    for position in (-1, 12):
        with pytest.raises(PromptError, match=f"Slice position {position} does not exist: the stack has 0..11"):
            truth.frame(position)


def test_an_object_beyond_its_volume_is_refused():
    with pytest.raises(InputError, match=r"The object has i 1\.\.5, beyond its volume, which has 0\.\.4"):
        StackedTruth.of(a_hollow_object(), an_axial_stack((12, 6, 4)))


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_in_every_order_of_axes_the_crop_shows_what_the_whole_volume_shows(orientation, axis):
    labels_kji = np.zeros(SHAPE_KJI, dtype=np.uint8)
    labels_kji[1:3, 1:3, 2:5] = 4
    labels_kji[2, 3, 4] = 4
    labels_kji[3, 0, 0] = 4
    stored = orientation.volume(an_anisotropic_volume(oblique=True))
    labels_kji = np.ascontiguousarray(orientation.array(labels_kji))
    stack = SliceStack.along(stored.grid, axis)
    objects, _ = truth_objects(labels_kji, [4], separate=False)
    truth, whole = StackedTruth.of(objects[0], stack), stack.view(labels_kji == 4)
    frames = [truth.frame(position) for position in range(stack.shape_src[0])]
    assert np.array_equal(np.stack(frames), whole)
    present = np.flatnonzero(whole.any(axis=(1, 2)))
    assert truth.extent == Extent(int(present[0]), int(present[-1])) and truth.center in present
    assert all(truth.tight_box(position) == Box2D.around(whole[position]) for position in present)
