"""The same patient gives the same upright slices, however a file stores him; and indices find their way there and back."""

from __future__ import annotations

import numpy as np
import pytest
from patients import SHAPE_KJI, SPACING_IJK_MM, Orientation, all_48_orientations, an_anisotropic_volume

from SAM2AnnotateLib.errors import InputError, PromptError
from SAM2AnnotateLib.geometry import Box2D, Extent, SliceStack, VolumeGrid

PLANES = ("axial", "coronal", "sagittal")
NK, NJ, NI = SHAPE_KJI

# What a patient in RAS+ order looks like upright: (slice, row, column), from the table in slicing.py by hand.
UPRIGHT = {
    "axial": lambda array: array[:, ::-1, ::-1],
    "coronal": lambda array: array.transpose(1, 0, 2)[:, ::-1, ::-1],
    "sagittal": lambda array: array.transpose(2, 0, 1)[:, ::-1, ::-1],
}
MM = dict(zip("ijk", SPACING_IJK_MM, strict=True))
SPACING_SRC = {"axial": (MM["k"], MM["j"], MM["i"]), "coronal": (MM["j"], MM["k"], MM["i"]), "sagittal": (MM["i"], MM["k"], MM["j"])}
SHAPE_SRC = {"axial": (NK, NJ, NI), "coronal": (NJ, NK, NI), "sagittal": (NI, NK, NJ)}

AS_STORED = VolumeGrid(SHAPE_KJI, np.diag([-1.0, -1, 1, 1]))  # LPS: an axial slice is shown just as it is stored


def voxels_of(mask_kji: np.ndarray, axis_name: str) -> tuple[int, int]:
    """First and one past the last index that a mask takes along i, j or k."""
    indices = np.flatnonzero(mask_kji.any(axis=tuple(a for a in range(3) if "kji"[a] != axis_name)))
    return int(indices[0]), int(indices[-1]) + 1


@pytest.mark.parametrize("plane", PLANES)
def test_the_upright_stack_is_the_same_however_the_file_stores_it(a_patient, orientation, plane):
    stored = orientation.volume(a_patient)
    stack = SliceStack.along(stored.grid, plane)
    assert np.array_equal(stack.view(stored.array_kji), UPRIGHT[plane](a_patient.array_kji))
    assert stack.shape_src == SHAPE_SRC[plane]
    assert stack.spacing_src_mm == pytest.approx(SPACING_SRC[plane])
    assert (stack.frame_shape_rc, stack.frame_spacing_rc_mm) == (stack.shape_src[1:], stack.spacing_src_mm[1:])
    assert stack.plane == plane


@pytest.mark.parametrize(
    "plane, slice_grows, row_grows, column_grows",
    [("axial", "S+", "A-", "R-"), ("coronal", "A+", "S-", "R-"), ("sagittal", "R+", "S-", "A-")],
)
def test_the_table_of_directions_holds(a_patient, orientation, plane, slice_grows, row_grows, column_grows):
    grid = orientation.volume(a_patient).grid
    k, j, i = np.indices(grid.shape_kji)
    positions_ras = grid.ras_from_ijk(np.stack([i, j, k], axis=-1))
    stack = SliceStack.along(grid, plane)
    shown_ras = np.stack([stack.view(positions_ras[..., world]) for world in range(3)], axis=-1)
    for axis, grows in enumerate((slice_grows, row_grows, column_grows)):
        step = np.diff(shown_ras, axis=axis)[0, 0, 0]
        assert np.argmax(np.abs(step)) == "RAS".index(grows[0])
        assert np.sign(step["RAS".index(grows[0])]) == (1 if grows[1] == "+" else -1)


def test_the_view_copies_nothing_and_writes_through():
    array = np.zeros(SHAPE_KJI, dtype=bool)
    stack = SliceStack.along(AS_STORED, "sagittal")
    stack.view(array)[0, 0, 0] = True  # slices grow to the right, i to the left; rows grow to inferior; columns to posterior
    assert np.argwhere(array).tolist() == [[NK - 1, 0, NI - 1]]
    assert np.shares_memory(stack.view(array), array)
    assert np.array_equal(stack.frame(array, 2), stack.view(array)[2])


@pytest.mark.parametrize("axis, plane", [("k", "axial"), ("j", "coronal"), ("i", "sagittal"), ("K", "axial"), ("Axial", "axial")])
def test_an_index_axis_means_the_plane_across_it(axis, plane):
    assert SliceStack.along(AS_STORED, axis) == SliceStack.along(AS_STORED, plane)


def test_the_index_axes_follow_the_file_and_the_planes_the_patient(a_patient, orientation):
    stored = orientation.volume(a_patient)
    for axis in "ijk":
        stack = SliceStack.along(stored.grid, axis)
        assert stack.index_axis == axis
        assert stack.in_plane_axes == tuple(other for other in "ijk" if other != axis)
        assert np.array_equal(stack.view(stored.array_kji), UPRIGHT[stack.plane](a_patient.array_kji))
    for plane, canonical_axis in zip(PLANES, "kji", strict=True):
        old_axis = "kji".index(canonical_axis)
        assert SliceStack.along(stored.grid, plane).index_axis == "kji"[orientation.axes.index(old_axis)]


def test_the_default_axis_is_k():
    assert SliceStack.along(AS_STORED) == SliceStack.along(AS_STORED, "k")


@pytest.mark.parametrize("axis", ["x", "", "transversal", None, 2])
def test_an_unknown_axis_is_refused_with_the_known_ones(axis):
    with pytest.raises(InputError, match="Unknown axis .*: expected one of i, j, k, sagittal, coronal, axial"):
        SliceStack.along(AS_STORED, axis)


# --- indices


@pytest.mark.parametrize("plane", PLANES)
def test_a_box_and_a_slice_land_on_the_same_tissue_however_stored(a_patient, orientation, plane):
    """An object is drawn in the patient; its voxel indices are read off the stored array by numpy alone."""
    mask = np.zeros(SHAPE_KJI, dtype=bool)
    mask[1:3, 0:3, 2:4] = True
    upright = UPRIGHT[plane](mask)
    expected_box = Box2D.around(upright.any(axis=0))
    expected_positions = np.flatnonzero(upright.any(axis=(1, 2)))

    stored = orientation.array(mask)
    stack = SliceStack.along(orientation.volume(a_patient).grid, plane)
    (a0, a1), (b0, b1) = (voxels_of(stored, name) for name in stack.in_plane_axes)
    assert stack.box_of((a0, b0), (a1, b1)) == expected_box
    assert stack.box_of((a1, b0), (a0, b1)) == expected_box  # swapped
    assert stack.box_to_indices(expected_box) == ((a0, b0), (a1, b1))

    first, stop = voxels_of(stored, stack.index_axis)
    assert stack.extent_of(Extent(first, stop - 1)) == Extent(expected_positions[0], expected_positions[-1])
    assert stack.extent_of(stack.extent_of(Extent(first, stop - 1))) == Extent(first, stop - 1)


@pytest.mark.parametrize("plane", PLANES)
def test_a_point_lands_on_the_same_voxel_however_stored(a_patient, orientation, plane):
    mask = np.zeros(SHAPE_KJI, dtype=bool)
    mask[1, 3, 4] = True
    position, row, col = np.argwhere(UPRIGHT[plane](mask))[0]
    stored = orientation.array(mask)
    stack = SliceStack.along(orientation.volume(a_patient).grid, plane)
    index = dict(zip("kji", np.argwhere(stored)[0].tolist(), strict=True))
    assert stack.point_of(tuple(index[name] for name in stack.in_plane_axes)) == (row, col)
    assert stack.position_of(index[stack.index_axis]) == position
    assert stack.index_of(position) == index[stack.index_axis]


def test_a_box_of_one_voxel_agrees_with_the_point_on_it():
    for orientation in all_48_orientations():
        stack = SliceStack.along(orientation.volume(an_anisotropic_volume()).grid, "coronal")
        row, col = stack.point_of((1, 2))
        assert stack.box_of((1, 2), (2, 3)) == Box2D(row, row + 1, col, col + 1)


def test_every_box_comes_back_from_its_indices():
    rng = np.random.default_rng(5)
    for _ in range(300):
        orientation = Orientation(tuple(rng.permutation(3).tolist()), tuple(bool(flip) for flip in rng.integers(0, 2, 3)))
        stack = SliceStack.along(orientation.volume(an_anisotropic_volume(oblique=True)).grid, str(rng.choice(["i", "j", "k", *PLANES])))
        rows, cols = stack.frame_shape_rc
        box = Box2D(*rng.choice(rows + 1, 2, replace=False), *rng.choice(cols + 1, 2, replace=False))
        assert stack.box_of(*stack.box_to_indices(box)) == box


def test_by_hand_in_an_lps_volume():
    axial = SliceStack.along(AS_STORED, "k")  # shown as stored: rows are j, columns are i
    assert axial.in_plane_axes == ("i", "j")
    assert axial.box_of((2, 1), (5, 3)) == Box2D(1, 3, 2, 5)
    assert axial.point_of((2, 1)) == (1, 2)
    assert axial.position_of(3) == 3
    coronal = SliceStack.along(AS_STORED, "j")  # slices run against j (5 of them), rows against k (4), columns along i
    assert coronal.in_plane_axes == ("i", "k")
    assert coronal.position_of(0) == 4
    assert coronal.extent_of(Extent(0, 1)) == Extent(3, 4)
    assert coronal.box_of((2, 0), (5, 1)) == Box2D(3, 4, 2, 5)
    assert coronal.point_of((2, 0)) == (3, 2)


def test_a_box_that_reaches_beyond_the_slice_is_clipped():
    assert SliceStack.along(AS_STORED, "k").box_of((-4, 3), (99, 99)) == Box2D(3, NJ, 0, NI)
    flipped = SliceStack.along(VolumeGrid(SHAPE_KJI, np.eye(4)), "k")
    assert flipped.box_of((-4, 3), (99, 99)) == Box2D(0, NJ - 3, 0, NI)


def test_prompts_outside_the_volume_are_refused_by_name_and_range():
    stack = SliceStack.along(AS_STORED, "k")
    with pytest.raises(PromptError, match=r"The box is empty along i \(2\.\.2\)\. A box is half-open"):
        stack.box_of((2, 1), (2, 3))
    with pytest.raises(PromptError, match=r"The box lies outside the slice: j is 5\.\.9, the volume has j 0\.\.5"):
        stack.box_of((2, 5), (4, 9))
    with pytest.raises(PromptError, match=r"The box lies outside the slice: i is -3\.\.0"):
        stack.box_of((-3, 1), (0, 2))
    for index in (-1, NK):
        with pytest.raises(PromptError, match=rf"Slice {index} does not exist: the volume has slices 0\.\.3 along k"):
            stack.position_of(index)
    with pytest.raises(PromptError, match="Slice 9 does not exist"):
        stack.extent_of(Extent(1, 9))
    for point in ((NI, 0), (-1, 0)):
        with pytest.raises(PromptError, match=rf"The point lies outside the slice: i is {point[0]}, the volume has i 0\.\.5"):
            stack.point_of(point)
    with pytest.raises(PromptError, match=r"j is 5, the volume has j 0\.\.4"):
        stack.point_of((0, NJ))
