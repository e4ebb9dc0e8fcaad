"""Scores of masks drawn small enough to be worked out by hand, and agreement with a slow plain version and with published code."""

from __future__ import annotations

import doctest
import json
import math
import subprocess
import sys
import tracemalloc
from itertools import product

import numpy as np
import pytest

from SAM2AnnotateLib.errors import InputError, MissingPackageError
from SAM2AnnotateLib.geometry import VolumeGrid
from SAM2AnnotateLib.metrics import (
    Scores,
    dice,
    hausdorff_95_mm,
    jaccard,
    normalized_surface_dice,
    overlap,
    score_masks,
    surface_distances,
)
from SAM2AnnotateLib.metrics.surface_elements import bounding_box, element_sizes, surface_corners

NAN = float("nan")


def drawn(*rows: str) -> np.ndarray:
    """A 2-D mask: # is inside."""
    return np.array([[character == "#" for character in row] for row in rows])


def voxels(shape: tuple[int, ...], *indices: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    for index in indices:
        mask[index] = True
    return mask


def ellipsoid(shape, center, radii) -> np.ndarray:
    return sum(((x - c) / r) ** 2 for x, c, r in zip(np.ogrid[tuple(map(slice, shape))], center, radii, strict=True)) < 1


def nsd_of(pred, truth, spacing_mm, tolerance_mm) -> float:
    return normalized_surface_dice(surface_distances(pred, truth, spacing_mm), tolerance_mm)


def hd95_of(pred, truth, spacing_mm) -> float:
    return hausdorff_95_mm(surface_distances(pred, truth, spacing_mm))


# -- overlap -------------------------------------------------------------------------------------------------------------------


def test_dice_and_jaccard_count_shared_pixels():
    pred = drawn("##..", "##..")
    truth = drawn(".##.", ".##.")
    assert dice(pred, truth) == 0.5  # 2 * 2 / (4 + 4)
    assert jaccard(pred, truth) == pytest.approx(1 / 3)  # 2 / 6


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 3), (2, 1, 2, 3)])
def test_overlap_takes_any_dimension(shape):
    full = np.ones(shape, dtype=bool)
    assert (dice(full, full), jaccard(full, full)) == (1, 1)


def test_docstring_example_runs():
    assert doctest.testmod(overlap) == (0, 1)


def test_dice_refuses_label_maps():
    with pytest.raises(InputError, match="Expected the prediction as a boolean array, got dtype uint8. Compare a label map first"):
        dice(np.ones((2, 2), dtype=np.uint8), np.ones((2, 2), dtype=bool))


def test_dice_refuses_lists():
    with pytest.raises(InputError, match="Expected the truth as a boolean array, got list"):
        dice(np.ones(2, dtype=bool), [True, False])


def test_dice_refuses_shapes_that_would_broadcast():
    with pytest.raises(InputError, match=r"one shape, got \(2, 2\) and \(1, 2\)"):
        dice(np.ones((2, 2), dtype=bool), np.ones((1, 2), dtype=bool))


# -- empty masks: one convention -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5)])
def test_both_masks_empty_leave_every_score_undefined(shape):
    empty = np.zeros(shape, dtype=bool)
    scores = Scores.of(empty, empty, (1.0,) * len(shape))
    assert all(math.isnan(value) for value in (scores.dsc, scores.jaccard, scores.nsd, scores.hd95_mm))
    assert (scores.voxels_pred, scores.voxels_truth) == (0, 0)


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5)])
def test_one_empty_mask_is_the_worst_score_in_either_order(shape):
    empty, object_ = np.zeros(shape, dtype=bool), voxels(shape, (1,) * len(shape))
    spacing = (2.0, 1.0, 0.5)[: len(shape)]
    assert Scores.of(empty, object_, spacing) == Scores(0.0, 0.0, 0.0, math.inf, 0, 1)
    assert Scores.of(object_, empty, spacing) == Scores(0.0, 0.0, 0.0, math.inf, 1, 0)


def test_no_tolerance_forgives_a_missed_object():
    assert Scores.of(voxels((3, 3)), voxels((3, 3), (1, 1)), (1.0, 1.0), tolerance_mm=1e9).nsd == 0


# -- surface distances, by hand -------------------------------------------------------------------------------------------------


def test_identical_masks_are_perfect_even_at_no_tolerance():
    mask = drawn(".##", "###")
    assert Scores.of(mask, mask, (2.0, 0.7), tolerance_mm=0.0) == Scores(1.0, 1.0, 1.0, 0.0, 5, 5)


@pytest.mark.parametrize(("axis", "step_mm"), [(0, 3.0), (1, 1.0), (2, 0.7)])
def test_single_voxels_two_apart_are_judged_in_mm_of_that_axis(axis, step_mm):
    # Along the axis one voxel has its corners at 0 and 1, the other at 2 and 3: half of each surface is 1 step away, half 2 steps.
    spacing = (3.0, 1.0, 0.7)
    near, far = [1, 1, 1], [1, 1, 1]
    near[axis], far[axis] = 0, 2
    one, other = voxels((3, 3, 3), tuple(near)), voxels((3, 3, 3), tuple(far))
    assert hd95_of(one, other, spacing) == pytest.approx(2 * step_mm)
    assert nsd_of(one, other, spacing, step_mm - 0.01) == 0
    assert nsd_of(one, other, spacing, step_mm) == pytest.approx(0.5)
    assert nsd_of(one, other, spacing, 2 * step_mm) == 1


def test_rectangles_one_row_apart_agree_along_their_shared_sides():
    # 2 x 3 pixels of 2 x 1 mm. Each outline: 4 cut corners of sqrt(5)/2, 2 x 2 elements of 1 mm above and below, 2 of 2 mm beside.
    pred = drawn("###", "###", "...")
    truth = drawn("...", "###", "###")
    outline = 8 + 2 * math.sqrt(5)
    shared = 4 + math.sqrt(5)  # both sides, and the two corners that lie on the other's sides
    spacing = (2.0, 1.0)
    assert nsd_of(pred, truth, spacing, 0.0) == pytest.approx(shared / outline)
    assert nsd_of(pred, truth, spacing, 1.0) == pytest.approx((shared + 2) / outline)  # and the inner row, 1 mm from the sides
    assert nsd_of(pred, truth, spacing, 2.0) == 1
    assert hd95_of(pred, truth, spacing) == 2.0


def test_blocks_one_voxel_apart_agree_where_the_surface_is_shared():
    # 2 x 2 x 2 voxels of 3 x 1 x 1 mm, one step along i: corners at i = 0, 1, 2 against i = 1, 2, 3.
    pred, truth = np.zeros((2, 2, 3), dtype=bool), np.zeros((2, 2, 3), dtype=bool)
    pred[:, :, :2] = True
    truth[:, :, 1:] = True
    sizes = element_sizes((3.0, 1.0, 1.0))
    corner, edge_k, edge_j, face_i = sizes[0b1], sizes[0b10001], sizes[0b101], sizes[0b01010101]
    edge_i, face_k, face_j = sizes[0b11], sizes[0b1111], sizes[0b110011]
    surface = 8 * corner + 4 * (edge_k + edge_j + edge_i) + 2 * (face_k + face_j + face_i)
    # Of i = 0 nothing is shared, of i = 1 all, of i = 2 all but the center of the face.
    shared = 4 * edge_i + 2 * (face_k + face_j) + 4 * corner + 2 * (edge_k + edge_j)
    assert nsd_of(pred, truth, (3.0, 1.0, 1.0), 0.5) == pytest.approx(shared / surface)
    assert nsd_of(pred, truth, (3.0, 1.0, 1.0), 1.0) == 1
    assert hd95_of(pred, truth, (3.0, 1.0, 1.0)) == 1.0


@pytest.mark.parametrize(("width", "hd95_mm"), [(3, 0.0), (4, 1.0)])
def test_hd95_ignores_a_bump_on_less_than_a_twentieth_of_the_outline(width, hd95_mm):
    # The bump's top is width - 1 + sqrt(2) / 2 * 2 mm of an outline of about 82 mm: 4.2 % and 5.4 %.
    bar = drawn("." * 40, "#" * 40)
    bumped = bar.copy()
    bumped[0, 10 : 10 + width] = True
    assert hd95_of(bumped, bar, (1.0, 1.0)) == hd95_mm
    assert hd95_of(bar, bumped, (1.0, 1.0)) == hd95_mm


def test_an_object_at_the_rim_has_a_surface_there():
    assert nsd_of(np.ones((2, 3), dtype=bool), np.ones((2, 3), dtype=bool), (1.0, 1.0), 0.0) == 1


def test_a_distance_equal_to_the_tolerance_but_for_a_files_rounding_is_within_it():
    one, other = voxels((1, 4), (0, 0)), voxels((1, 4), (0, 1))
    stored_mm = float(np.float32(0.7)) + 1e-7
    assert nsd_of(one, other, (1.0, stored_mm), 0.7) == 1


def test_the_worse_direction_decides_hd95():
    truth = drawn("#.........", "#.........")
    pred = drawn("#........#", "#........#")
    assert hd95_of(pred, truth, (1.0, 1.0)) == 9.0
    assert hd95_of(truth, pred, (1.0, 1.0)) == 9.0


# -- surface elements -----------------------------------------------------------------------------------------------------------


def test_flat_elements_have_the_size_of_a_voxel_face():
    sizes = element_sizes((3.0, 1.0, 0.7))
    assert sizes[0b00001111] == pytest.approx(1.0 * 0.7)  # the four voxels of one k inside
    assert sizes[0b00110011] == pytest.approx(3.0 * 0.7)
    assert sizes[0b01010101] == pytest.approx(3.0 * 1.0)


def test_a_lone_corner_has_the_size_of_its_triangle():
    a, b, c = np.diag([3.0, 1.0, 0.7]) / 2
    assert element_sizes((3.0, 1.0, 0.7))[0b1] == pytest.approx(np.linalg.norm(np.cross(b - a, c - a)) / 2)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_sizes_do_not_depend_on_which_side_is_inside(dimensions):
    sizes = element_sizes((3.0, 1.0, 0.7)[:dimensions])
    np.testing.assert_allclose(sizes, sizes[::-1])
    assert sizes[0] == sizes[-1] == 0
    assert (sizes[1:-1] > 0).all()


def test_sizes_match_the_published_table():
    # Sums over the table of google-deepmind/surface-distance 0.1 (bits reversed: it numbers them from the other end).
    sizes = element_sizes((3.0, 1.0, 0.7))
    codes = np.arange(256)
    assert sizes.sum() == pytest.approx(507.11781405454417, rel=1e-12)
    assert (sizes * codes).sum() == pytest.approx(64657.521291954385, rel=1e-12)
    assert (sizes**2 * codes).sum() == pytest.approx(153929.67157430347, rel=1e-12)


def test_the_surface_of_a_large_ball_approaches_the_true_area():
    # Marching cubes on 0/1 voxels overestimates a slanted surface a little (about 9 % for a ball), a count of faces by half.
    _, codes = surface_corners(ellipsoid((44, 44, 44), (21.5, 21.5, 21.5), (20, 20, 20)))
    assert element_sizes((1.0, 1.0, 1.0))[codes].sum() == pytest.approx(4 * math.pi * 20**2, rel=0.1)


@pytest.mark.parametrize(
    ("shape", "pred", "truth", "spacing_mm", "tolerance_mm", "nsd", "hd95_mm"),
    [
        ((12, 20, 24), ((6, 9, 11), (4.2, 6.7, 8.1)), ((6.5, 10.2, 12.3), (4.9, 6.1, 7.4)), (3.0, 1.0, 0.7), 1.0,
         0.7509718125069809, 2.4413111231467406),
        ((12, 20, 24), ((1, 3, 3), (4.2, 6.7, 8.1)), ((9.5, 15.2, 20.3), (3.9, 6.1, 7.4)), (2.5, 0.8, 0.9), 2.0,
         0.0, 22.56546033210934),
        ((20, 24), ((9, 11), (6.7, 8.1)), ((10.2, 12.3), (6.1, 7.4)), (1.0, 0.7), 1.0,
         0.6592007256263995, 2.0),
    ],
)  # fmt: skip
def test_scores_match_the_published_implementation(shape, pred, truth, spacing_mm, tolerance_mm, nsd, hd95_mm):
    # The numbers on the right were computed by google-deepmind/surface-distance 0.1.
    scores = Scores.of(ellipsoid(shape, *pred), ellipsoid(shape, *truth), spacing_mm, tolerance_mm)
    assert (scores.nsd, scores.hd95_mm) == pytest.approx((nsd, hd95_mm), rel=1e-12)


def test_ragged_masks_with_every_kind_of_corner_match_the_published_implementation():
    k, j, i = np.ogrid[:7, :9, :8]
    pred = (3 * k * k + 5 * j * j + i * i) % 7 < 3
    truth = (2 * k * k + j * j + 4 * i * i) % 7 < 3
    scores = Scores.of(pred, truth, (3.0, 1.0, 0.7), 0.5)
    assert (scores.nsd, scores.hd95_mm) == pytest.approx((0.8749141350595304, 0.7), rel=1e-12)
    assert (scores.voxels_pred, scores.voxels_truth) == (196, 192)


# -- against a slow plain version -----------------------------------------------------------------------------------------------


def plain_elements(mask: np.ndarray, spacing_mm) -> list[tuple[np.ndarray, float]]:
    """(position in mm, size) of every surface element, one grid corner at a time."""
    elements = []
    for corner in product(*(range(n + 1) for n in mask.shape)):
        around = [tuple(np.subtract(corner, 1) + offset) for offset in product((0, 1), repeat=mask.ndim)]
        inside = [all(0 <= x < n for x, n in zip(v, mask.shape, strict=True)) and bool(mask[v]) for v in around]
        if len(set(inside)) == 1:
            continue
        if mask.ndim == 3:
            size = element_sizes(spacing_mm)[sum(1 << bit for bit, filled in enumerate(inside) if filled)]
        elif sum(inside) != 2:
            size = math.dist((0, 0), spacing_mm) / 2
        elif inside[0] == inside[3]:
            size = math.dist((0, 0), spacing_mm)
        else:
            size = spacing_mm[1] if inside[0] == inside[1] else spacing_mm[0]
        elements.append((np.multiply(corner, spacing_mm), size))
    return elements


def plain_scores(pred, truth, spacing_mm, tolerance_mm) -> tuple[float, float]:
    """(NSD, HD95) by comparing every element with every other."""
    surfaces = [plain_elements(mask, spacing_mm) for mask in (pred, truth)]
    within = total = 0.0
    percentiles = []
    for own, other in (surfaces, surfaces[::-1]):
        measured = sorted((min(math.dist(point, q) for q, _ in other), size) for point, size in own)
        area = sum(size for _, size in measured)
        within += sum(size for mm, size in measured if mm <= tolerance_mm)
        total += area
        covered = 0.0
        for mm, size in measured:
            covered += size
            if covered >= 0.95 * area - 1e-9:
                percentiles.append(mm)
                break
    return within / total, max(percentiles)


@pytest.mark.parametrize("seed", range(12))
def test_random_masks_score_as_the_plain_version_says(seed):
    rng = np.random.default_rng(seed)
    dimensions = 2 + seed % 2
    shape = tuple(rng.integers(2, 6, dimensions))
    spacing = tuple(rng.uniform(0.4, 3.0, dimensions))
    pred, truth = (rng.random(shape) < rng.uniform(0.1, 0.7) for _ in range(2))
    pred[(0,) * dimensions] = truth[(-1,) * dimensions] = True
    tolerance_mm = rng.uniform(0.3, 3.0)
    scores = Scores.of(pred, truth, spacing, tolerance_mm)
    assert (scores.nsd, scores.hd95_mm) == pytest.approx(plain_scores(pred, truth, spacing, tolerance_mm), rel=1e-9)
    both, either = sum(pred[pred == truth].ravel()), int((pred | truth).sum())
    assert (scores.dsc, scores.jaccard) == pytest.approx((2 * both / (pred.sum() + truth.sum()), both / either))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_scores_do_not_depend_on_axis_order_or_direction_or_on_who_is_called_truth(order):
    rng = np.random.default_rng(5)
    pred, truth = rng.random((2, 4, 5, 6)) < 0.4
    spacing = (3.0, 1.0, 0.7)
    turned = [np.flip(mask.transpose(order), axis=0) for mask in (truth, pred)]
    there, back = Scores.of(pred, truth, spacing), Scores.of(*turned, tuple(spacing[n] for n in order))
    assert (back.dsc, back.jaccard, back.nsd, back.hd95_mm) == pytest.approx((there.dsc, there.jaccard, there.nsd, there.hd95_mm))


# -- cropping -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("margins", [((0, 30), (0, 30), (0, 30)), ((25, 0), (3, 0), (40, 0)), ((7, 9), (11, 2), (0, 5))])
def test_empty_space_around_the_objects_changes_nothing(margins):
    rng = np.random.default_rng(2)
    pred, truth = rng.random((2, 3, 4, 5)) < 0.5
    spacing = (3.0, 1.0, 0.7)
    # The distances are the same but for the rounding of larger coordinates.
    tight, padded = Scores.of(pred, truth, spacing), Scores.of(np.pad(pred, margins), np.pad(truth, margins), spacing)
    assert padded.hd95_mm == pytest.approx(tight.hd95_mm)
    assert (padded.dsc, padded.jaccard, padded.nsd) == pytest.approx((tight.dsc, tight.jaccard, tight.nsd))


def test_memory_grows_with_the_objects_and_not_with_the_volume():
    pred, truth = np.zeros((2, 256, 512, 512), dtype=bool)
    pred[100:110, 200:220, 300:320] = True
    truth[101:111, 200:220, 300:320] = True
    grid = VolumeGrid(pred.shape, np.eye(4))
    score_masks(pred[:120], truth[:120], VolumeGrid((120, 512, 512), np.eye(4)))  # imports and tables
    tracemalloc.start()
    try:
        score_masks(pred, truth, grid)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20  # the volume has 64 MiB
    finally:
        tracemalloc.stop()


def test_one_far_voxel_does_not_cost_a_volume_of_distances():
    pred, truth = np.zeros((2, 128, 256, 256), dtype=bool)
    pred[2, 3, 4] = True
    truth[120, 250, 250] = True
    tracemalloc.start()
    try:
        assert Scores.of(pred, truth, (2.0, 1.0, 1.0)).nsd == 0
        assert tracemalloc.get_traced_memory()[1] < 16 << 20  # a map of distances in float64 would have 60 MiB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", [(5,), (5, 6), (5, 6, 7)])
def test_bounding_box_is_tight_and_none_for_an_empty_mask(shape):
    mask = voxels(shape, (1,) * len(shape), (3,) * len(shape))
    assert bounding_box(mask) == (slice(1, 4),) * len(shape)
    assert bounding_box(np.zeros(shape, dtype=bool)) is None


# -- refusals -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing_mm", [(1.0,), (1.0, 1.0, 1.0), (1.0, 0.0), (1.0, -1.0), (1.0, NAN), (1.0, math.inf)])
def test_a_spacing_that_does_not_fit_is_named(spacing_mm):
    with pytest.raises(InputError, match=r"Expected a spacing of 2 positive numbers in mm, in array order, got \("):
        surface_distances(np.ones((2, 2), dtype=bool), np.ones((2, 2), dtype=bool), spacing_mm)


@pytest.mark.parametrize("shape", [(4,), (2, 2, 2, 2)])
def test_surfaces_need_two_or_three_dimensions(shape):
    with pytest.raises(InputError, match=f"Expected 2-D or 3-D masks, got {len(shape)} dimensions"):
        surface_distances(np.ones(shape, dtype=bool), np.ones(shape, dtype=bool), (1.0,) * len(shape))


@pytest.mark.parametrize("tolerance_mm", [-0.1, NAN, math.inf])
def test_a_tolerance_that_means_nothing_is_refused(tolerance_mm):
    mask = np.ones((2, 2, 2), dtype=bool)
    with pytest.raises(InputError, match="Expected a tolerance of at least 0 mm, got"):
        Scores.of(mask, mask, (1.0, 1.0, 1.0), tolerance_mm)
    with pytest.raises(InputError, match="Expected a tolerance of at least 0 mm, got"):
        score_masks(mask, mask, VolumeGrid((2, 2, 2), np.eye(4)), tolerance_mm=tolerance_mm)


def test_masks_off_the_grid_are_refused():
    mask = np.ones((2, 2, 2), dtype=bool)
    with pytest.raises(InputError, match=r"shape \(2, 2, 2\) \(k, j, i\) differs from the grid's \(2, 2, 3\)"):
        score_masks(mask, mask, VolumeGrid((2, 2, 3), np.eye(4)))


def test_an_unknown_axis_is_refused():
    mask = np.ones((2, 2, 2), dtype=bool)
    with pytest.raises(InputError, match="Unknown axis 'z'"):
        score_masks(mask, mask, VolumeGrid((2, 2, 2), np.eye(4)), axis="z")


def test_without_scipy_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.spatial", None)
    mask = np.ones((2, 2), dtype=bool)
    with pytest.raises(MissingPackageError, match="Measuring surface distances needs the package 'scipy'.*pip install scipy"):
        surface_distances(mask, mask, (1.0, 1.0))


def test_importing_the_metrics_does_not_import_scipy():
    code = "import sys, SAM2AnnotateLib.metrics; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- reports --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def an_uneven_grid() -> VolumeGrid:
    """4 x 3 x 5 voxels (k, j, i) of 3 x 2 x 1 mm; i runs to the left and k to inferior, so two stacks of slices are flipped."""
    return VolumeGrid((4, 3, 5), np.diag([-1.0, 2.0, -3.0, 1.0]))


def test_a_slice_is_scored_in_its_plane_with_the_spacing_there(an_uneven_grid):
    pred, truth = voxels((4, 3, 5), (1, 0, 0)), voxels((4, 3, 5), (1, 2, 0))
    report = score_masks(pred, truth, an_uneven_grid, "k", tolerance_mm=2.0)
    # Along j, 2 mm: half of each outline is 1 step (2 mm) off, half 2 steps.
    assert report.per_slice == ((1, Scores(0.0, 0.0, 0.5, 4.0, 1, 1)),)
    assert (report.axis, report.tolerance_mm, report.spacing_kji_mm) == ("k", 2.0, (3.0, 2.0, 1.0))


def test_slices_are_numbered_by_voxel_index_and_only_listed_where_a_mask_is(an_uneven_grid):
    pred = voxels((4, 3, 5), (0, 1, 1), (1, 1, 1))
    truth = voxels((4, 3, 5), (1, 1, 1), (3, 1, 1))
    report = score_masks(pred, truth, an_uneven_grid)
    assert [index for index, _ in report.per_slice] == [0, 1, 3]
    false_alarm, hit, miss = (scores for _, scores in report.per_slice)
    assert (false_alarm.dsc, false_alarm.hd95_mm, false_alarm.voxels_truth) == (0, math.inf, 0)
    assert hit == Scores(1.0, 1.0, 1.0, 0.0, 1, 1)
    assert (miss.dsc, miss.hd95_mm, miss.voxels_pred) == (0, math.inf, 0)
    assert report.volume.dsc == 0.5


@pytest.mark.parametrize(
    ("axis", "index_axis", "slices"),
    [("k", "k", [2]), ("j", "j", [1]), ("i", "i", [3, 4]), ("axial", "k", [2]), ("coronal", "j", [1]), ("sagittal", "i", [3, 4])],
)
def test_planes_and_index_axes_name_the_stack(an_uneven_grid, axis, index_axis, slices):
    mask = voxels((4, 3, 5), (2, 1, 3), (2, 1, 4))
    report = score_masks(mask, mask, an_uneven_grid, axis)
    assert report.axis == index_axis
    assert [index for index, _ in report.per_slice] == slices


def test_a_plane_is_found_on_an_oblique_permuted_grid():
    # k runs to the right, i to superior, tilted by 20 degrees: axial slices are those of i.
    cos, sin = math.cos(math.radians(20)), math.sin(math.radians(20))
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[0, 0, 1], [-sin, cos, 0], [cos, sin, 0]]) * (5.0, 1.0, 1.0)
    pred, truth = voxels((3, 4, 6), (0, 1, 5)), voxels((3, 4, 6), (0, 2, 5))
    report = score_masks(pred, truth, VolumeGrid((3, 4, 6), matrix), "axial", tolerance_mm=0.0)
    assert (report.axis, report.spacing_kji_mm) == ("i", pytest.approx((1.0, 1.0, 5.0)))
    ((index, scores),) = report.per_slice
    assert index == 5
    assert (scores.nsd, scores.hd95_mm) == pytest.approx((0.5, 1.0))


def test_empty_masks_have_no_slices(an_uneven_grid):
    empty = voxels((4, 3, 5))
    report = score_masks(empty, empty, an_uneven_grid)
    assert report.per_slice == ()
    assert math.isnan(report.volume.dsc)


def test_a_report_is_valid_json_even_with_nothing_to_compare(an_uneven_grid):
    report = score_masks(voxels((4, 3, 5)), voxels((4, 3, 5), (2, 1, 1)), an_uneven_grid)
    content = json.loads(json.dumps(report.as_json_object(), allow_nan=False))
    assert content["volume"] == {"dsc": 0.0, "jaccard": 0.0, "nsd": 0.0, "hd95_mm": None, "voxels_pred": 0, "voxels_truth": 1}
    assert content["per_slice"] == [{"slice": 2, **content["volume"]}]
    assert (content["slice_axis"], content["tolerance_mm"], content["spacing_kji_mm"]) == ("k", 1.0, [3.0, 2.0, 1.0])
    assert Scores(NAN, NAN, NAN, NAN, 0, 0).as_json_object()["dsc"] is None


def test_scoring_does_not_change_the_masks(an_uneven_grid):
    pred, truth = voxels((4, 3, 5), (1, 1, 1)), voxels((4, 3, 5), (1, 1, 2))
    pred.setflags(write=False)
    truth.setflags(write=False)
    assert score_masks(pred, truth, an_uneven_grid).volume.voxels_pred == 1
