"""Grids, volumes and boxes, with grids that are turned, mirrored and uneven."""

from __future__ import annotations

import numpy as np
import pytest
from patients import all_48_orientations, an_anisotropic_volume, an_oblique_rotation, drawn

from SAM2AnnotateLib.errors import GridMismatchError, PromptError, VolumeError
from SAM2AnnotateLib.geometry import Box2D, Box3D, Extent, Volume, VolumeGrid
from SAM2AnnotateLib.geometry.conventions import flip_lps_ras


def a_grid(*columns_and_origin: tuple[float, float, float], shape_kji=(4, 5, 6)) -> VolumeGrid:
    """A grid whose i, j and k run along the given RAS vectors in mm, and its origin."""
    matrix = np.eye(4)
    for column, vector in enumerate(columns_and_origin):
        matrix[:3, column] = vector
    return VolumeGrid(shape_kji, matrix)


def a_turned_grid(degrees: float, spacing_mm: float = 1.0) -> VolumeGrid:
    """i and j turned about S."""
    c, s = spacing_mm * np.cos(np.radians(degrees)), spacing_mm * np.sin(np.radians(degrees))
    return a_grid((c, s, 0), (-s, c, 0), (0, 0, 5), (7, -8, 9), shape_kji=(40, 50, 60))


# --- conventions


def test_the_change_between_lps_and_ras_negates_the_first_two_rows_and_undoes_itself():
    matrix = np.arange(16, dtype=float).reshape(4, 4)
    assert flip_lps_ras(matrix).tolist() == [[0, -1, -2, -3], [-4, -5, -6, -7], [8, 9, 10, 11], [12, 13, 14, 15]]
    assert np.array_equal(flip_lps_ras(flip_lps_ras(matrix)), matrix)


# --- VolumeGrid


def test_a_usual_axial_ct_is_lps_with_its_spacing_and_voxel_volume():
    grid = a_grid((-0.5, 0, 0), (0, -0.75, 0), (0, 0, 4))
    assert grid.orientation == "LPS"
    assert grid.nearest_anatomical_axes == ((0, -1), (1, -1), (2, 1))
    assert grid.spacing_ijk_mm.tolist() == [0.5, 0.75, 4.0]
    assert grid.spacing_kji_mm == (4.0, 0.75, 0.5)
    assert grid.voxel_volume_mm3 == pytest.approx(1.5)
    assert repr(grid) == "VolumeGrid(6 x 5 x 4 voxels (i, j, k) of 0.5 x 0.75 x 4 mm, LPS)"


def test_a_sagittal_series_runs_posterior_inferior_left():
    grid = a_grid((0, -1, 0), (0, 0, -1), (-3, 0, 0))
    assert grid.orientation == "PIL"
    assert grid.nearest_anatomical_axes == ((1, -1), (2, -1), (0, -1))


def test_the_orientation_names_the_axis_order_and_flips_of_all_48(a_patient):
    letters = {(0, False): "S", (0, True): "I", (1, False): "A", (1, True): "P", (2, False): "R", (2, True): "L"}
    seen = set()
    for orientation in all_48_orientations():
        grid = orientation.volume(a_patient).grid
        expected = "".join(letters[one] for one in zip(orientation.axes[::-1], orientation.flips[::-1], strict=True))
        assert grid.orientation == expected, orientation
        assert grid.spacing_ijk_mm == pytest.approx([a_patient.grid.spacing_kji_mm[axis] for axis in orientation.axes[::-1]])
        seen.add(grid.orientation)
    assert len(seen) == 48


@pytest.mark.parametrize("degrees, orientation", [(0, "RAS"), (44, "RAS"), (46, "ALS"), (90, "ALS"), (136, "LPS"), (-46, "PRS")])
def test_a_turned_grid_is_named_by_the_nearest_axes(degrees, orientation):
    # At 46 degrees i points (0.69, 0.72), more anterior than right, and j (-0.72, 0.69), more left than anterior.
    assert a_turned_grid(degrees).orientation == orientation


def test_two_axes_near_to_one_world_axis_still_get_two_names():
    # i and j are both nearest to R; the sum of cosines is largest with j, which is nearer to it, as R.
    grid = a_grid((0.8, 0.6, 0), (0.9, -0.436, 0), (0, 0, 1))
    assert sorted(world for world, _ in grid.nearest_anatomical_axes) == [0, 1, 2]
    assert grid.orientation == "ARS"


def test_points_go_to_ras_and_back():
    grid = an_anisotropic_volume(oblique=True).grid
    rng = np.random.default_rng(3)
    points_ijk = rng.uniform(-5, 10, (4, 7, 3))
    expected = [grid.ijk_to_ras @ [*point, 1] for point in points_ijk.reshape(-1, 3)]
    assert grid.ras_from_ijk(points_ijk).reshape(-1, 3) == pytest.approx(np.array(expected)[:, :3])
    assert grid.ijk_from_ras(grid.ras_from_ijk(points_ijk)) == pytest.approx(points_ijk)
    assert grid.ras_from_ijk([0, 0, 0]) == pytest.approx([10, -20, 30])


def test_a_grid_is_frozen_with_its_matrix_and_leaves_the_callers_alone():
    matrix = np.diag([1.0, 2, 3, 1])
    grid = VolumeGrid([4, 5, 6], matrix)
    matrix[0, 0] = 9
    assert grid.spacing_ijk_mm.tolist() == [1, 2, 3]
    assert grid.shape_kji == (4, 5, 6)
    with pytest.raises(ValueError, match="read-only"):
        grid.ijk_to_ras[0, 0] = 9


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 6, 7), (4, 0, 6), (4, 5, -1)])
def test_a_grid_needs_three_positive_sizes(shape):
    with pytest.raises(VolumeError, match="three positive sizes"):
        VolumeGrid(shape, np.eye(4))


@pytest.mark.parametrize("matrix", [np.eye(3), np.diag([1, 1, np.nan, 1]), np.diag([1, 1, np.inf, 1]), np.diag([1.0, 1, 1, 2])])
def test_a_grid_needs_a_finite_affine_matrix(matrix):
    with pytest.raises(VolumeError, match="finite 4x4 affine matrix"):
        VolumeGrid((4, 5, 6), matrix)


def test_a_grid_needs_three_different_directions():
    with pytest.raises(VolumeError, match="singular"):
        a_grid((1, 0, 0), (1, 0, 0), (0, 0, 1))
    with pytest.raises(VolumeError, match="singular"):
        VolumeGrid((4, 5, 6), np.diag([1.0, 0, 1, 1]))


def test_grids_that_differ_by_the_rounding_of_a_file_are_the_same():
    grid = an_anisotropic_volume(oblique=True).grid
    rounded = VolumeGrid(grid.shape_kji, grid.ijk_to_ras.astype(np.float32))
    assert not np.array_equal(grid.ijk_to_ras, rounded.ijk_to_ras)
    assert grid.is_close(rounded)
    grid.require_same(rounded, "the image", "the mask")


def test_grids_of_other_sizes_are_refused_with_both_sizes():
    with pytest.raises(GridMismatchError, match=r"The image and the mask must lie on one grid, .*\(6, 5, 4\) and \(6, 5, 3\).*Resample"):
        VolumeGrid((4, 5, 6), np.eye(4)).require_same(VolumeGrid((3, 5, 6), np.eye(4)), "The image", "the mask")


def test_mirrored_grids_are_refused_with_both_orientations_and_the_distance():
    grid, mirrored = VolumeGrid((4, 5, 6), np.eye(4)), a_grid((-1, 0, 0), (0, 1, 0), (0, 0, 1))
    assert not grid.is_close(mirrored)
    with pytest.raises(GridMismatchError, match="orientation RAS and LAS, corners up to 10 mm apart"):
        grid.require_same(mirrored, "The image", "the mask")


def test_a_small_error_of_spacing_counts_by_what_it_does_at_the_far_corner():
    grid = VolumeGrid((4, 5, 101), np.eye(4))
    assert not grid.is_close(VolumeGrid((4, 5, 101), np.diag([1.0001, 1, 1, 1])))  # 100 voxels on: 0.01 mm
    assert grid.is_close(VolumeGrid((4, 5, 101), np.diag([1.000001, 1, 1, 1])))


# --- Volume


def test_a_volume_is_a_read_only_view_of_the_callers_voxels():
    voxels = np.zeros((4, 5, 6), dtype=np.int16)
    volume = Volume(VolumeGrid((4, 5, 6), np.eye(4)), voxels, "MR")
    with pytest.raises(ValueError, match="read-only"):
        volume.array_kji[0, 0, 0] = 1
    assert np.shares_memory(volume.array_kji, voxels)
    voxels[0, 0, 0] = 1  # the caller's own array stays writable
    assert repr(volume) == "Volume(VolumeGrid(6 x 5 x 4 voxels (i, j, k) of 1 x 1 x 1 mm, RAS), int16, modality=MR)"


@pytest.mark.parametrize("shape", [(5, 6), (4, 5, 6, 1), (120,)])
def test_a_volume_of_other_than_three_dimensions_is_refused(shape):
    with pytest.raises(VolumeError, match=f"Expected a 3-D volume, got an array of {len(shape)} dimensions"):
        Volume(VolumeGrid((4, 5, 6), np.eye(4)), np.zeros(shape))


def test_a_volume_of_another_shape_than_its_grid_is_refused():
    with pytest.raises(VolumeError, match=r"\(6, 5, 4\) \(k, j, i\) differs from the grid's \(4, 5, 6\)"):
        Volume(VolumeGrid((4, 5, 6), np.eye(4)), np.zeros((6, 5, 4)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_refused_and_counted(dtype, bad):
    voxels = np.zeros((4, 5, 6), dtype=dtype)
    voxels[0, 0, 0] = voxels[3, 4, 5] = bad
    with pytest.raises(VolumeError, match="holds 2 NaN or infinite voxels"):
        Volume(VolumeGrid((4, 5, 6), np.eye(4)), voxels)


@pytest.mark.parametrize("dtype", [complex, object, "U3"])
def test_voxels_that_are_not_real_are_refused(dtype):
    with pytest.raises(VolumeError, match="Expected real numbers as voxels"):
        Volume(VolumeGrid((4, 5, 6), np.eye(4)), np.zeros((4, 5, 6), dtype=dtype))


# --- Box2D


def test_swapped_corners_of_a_box_are_sorted():
    assert Box2D(8, 3, 5, 9) == Box2D(3, 8, 5, 9)
    assert Box2D(8, 3, 9, 5).shape_rc == (5, 4)
    assert Box2D(3, 8, 5, 9).short == "rows 3..8, columns 5..9"


@pytest.mark.parametrize("sides, name", [((3, 3, 5, 9), "row_start equals row_stop"), ((3, 8, 5, 5), "col_start equals col_stop")])
def test_an_empty_box_is_refused_with_the_side_that_is_empty(sides, name):
    with pytest.raises(PromptError, match=f"The box is empty: {name}"):
        Box2D(*sides)


def test_the_box_around_a_mask_is_tight_and_half_open():
    mask = drawn(
        "........",
        "...#....",
        "..##.#..",
        "........",
    )  # fmt: skip
    assert Box2D.around(mask) == Box2D(1, 3, 2, 6)
    assert mask[Box2D.around(mask).slices_rc].sum() == mask.sum()
    with pytest.raises(PromptError, match="empty mask has no bounding box"):
        Box2D.around(np.zeros((4, 8), dtype=bool))


def test_a_box_is_clipped_to_the_slice_or_refused_outside():
    assert Box2D(-5, 3, 6, 20).clipped((10, 8)) == Box2D(0, 3, 6, 8)
    assert Box2D(2, 3, 6, 7).clipped((10, 8)) == Box2D(2, 3, 6, 7)
    for outside in (Box2D(10, 12, 0, 3), Box2D(-3, 0, 0, 3), Box2D(0, 3, 8, 9), Box2D(0, 3, -9, 0)):
        with pytest.raises(PromptError, match="lies outside the slice, which has 10 rows and 8 columns"):
            outside.clipped((10, 8))


def test_boxes_are_moved_joined_and_compared():
    box = Box2D(2, 5, 3, 9)
    assert box.shifted(-4, 10) == Box2D(-2, 1, 13, 19)
    assert box.union(Box2D(4, 7, 0, 4)) == Box2D(2, 7, 0, 9)
    assert box.contains(box) and box.contains(Box2D(3, 5, 3, 4))
    for beyond in (Box2D(1, 5, 3, 9), Box2D(2, 6, 3, 9), Box2D(2, 5, 2, 9), Box2D(2, 5, 3, 10)):
        assert not box.contains(beyond)


# --- Box3D


def test_the_corners_of_a_box_are_voxel_edges_half_a_voxel_beyond_the_centers():
    grid = a_grid((-0.5, 0, 0), (0, -1, 0), (0, 0, 4), (100, 50, 0))
    corners = Box3D((1, 2, 4), (3, 5, 6)).corners_ras(grid)
    # i 4..6 is x from 100 - 0.5 * 3.5 down to 100 - 0.5 * 5.5; j 2..5 is y from 50 - 1.5 to 50 - 4.5; k 1..3 is z from 2 to 10.
    assert corners.shape == (8, 3)
    assert corners.min(axis=0).tolist() == [97.25, 45.5, 2.0]
    assert corners.max(axis=0).tolist() == [98.25, 48.5, 10.0]
    assert len({tuple(corner) for corner in corners}) == 8


def test_a_cube_turned_by_45_degrees_is_covered_by_all_eight_corners():
    upright, turned = a_turned_grid(0), a_turned_grid(45)
    cube = Box3D((10, 20, 30), (12, 30, 40))  # 10 x 10 mm in the plane: 14.1 mm across its diagonal
    corners = cube.corners_ras(turned)
    assert np.ptp(corners, axis=0) == pytest.approx([200**0.5, 200**0.5, 10])
    covering = Box3D.from_ras(corners, upright)
    depth, height, width = (b - a for a, b in zip(covering.start_kji, covering.stop_kji, strict=True))
    assert depth == 2
    assert height in (15, 16) and width in (15, 16)  # by where the voxel edges fall


def test_a_box_on_any_grid_comes_back_from_its_corners(a_patient, orientation):
    grid = orientation.volume(a_patient).grid
    box = Box3D((0, 1, 2), tuple(grid.shape_kji))
    assert Box3D.from_ras(box.corners_ras(grid), grid) == box


def test_boxes_of_many_turned_grids_come_back():
    rng = np.random.default_rng(11)
    for _ in range(300):
        matrix = np.eye(4)
        matrix[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] * rng.uniform(0.2, 5, 3)
        matrix[:3, 3] = rng.uniform(-500, 500, 3)
        grid = VolumeGrid((100, 100, 100), matrix)
        start = rng.integers(-20, 80, 3)
        box = Box3D(tuple(start), tuple(start + rng.integers(1, 30, 3)))
        assert Box3D.from_ras(box.corners_ras(grid), grid) == box


def test_a_point_gives_the_voxel_that_holds_it():
    grid = VolumeGrid((10, 10, 10), np.eye(4))
    assert Box3D.from_ras([3.4, 4.6, 5.0], grid) == Box3D((5, 5, 3), (6, 6, 4))
    assert Box3D.from_ras([[3.5, 4.5, 5.5]], grid) == Box3D((6, 5, 4), (7, 6, 5))  # an edge belongs to the voxel above


def test_an_empty_or_flat_box_of_voxels_is_refused_and_swapped_corners_sorted():
    assert Box3D((5, 1, 9), (2, 4, 3)) == Box3D((2, 1, 3), (5, 4, 9))
    with pytest.raises(PromptError, match=r"from \(1, 2, 3\) to \(4, 2, 5\) \(k, j, i\) is empty"):
        Box3D((1, 2, 3), (4, 2, 5))


# --- Extent


def test_an_extent_holds_both_ends_and_sorts_them():
    extent = Extent(7, 4)
    assert (extent.first, extent.last, len(extent)) == (4, 7, 4)
    assert list(extent.indices) == [4, 5, 6, 7]
    assert 4 in extent and np.int64(7) in extent
    assert 3 not in extent and 8 not in extent and 5.0 not in extent and "5" not in extent
    assert len(Extent(3, 3)) == 1


def test_the_test_rotation_is_one():
    turn = an_oblique_rotation()
    assert turn @ turn.T == pytest.approx(np.eye(3))
    assert np.linalg.det(turn) == pytest.approx(1)
    assert (np.abs(turn) > 0.05).all()  # no entry is zero: nothing lies upright by accident
