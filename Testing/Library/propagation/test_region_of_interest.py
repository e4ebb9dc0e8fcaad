"""Crops: the object inside, the same scale along both axes, no larger than needed, growing to an end; cutting out and pasting back."""

from __future__ import annotations

import numpy as np
import pytest
from patients import drawn

from SAM2AnnotateLib.errors import InputError, PromptError
from SAM2AnnotateLib.geometry import Box2D
from SAM2AnnotateLib.propagation.region_of_interest import RegionPolicy, cut, paste

AUTO, FULL, TIGHT = RegionPolicy("auto"), RegionPolicy("full"), RegionPolicy("margin", 0.0)
SMALLEST_SIDE = 16


def random_cases(count: int, seed: int = 51):
    """(policy, box, frame shape, spacing): slices and boxes of all proportions, spacing up to 10 times as large along one axis."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        shape = tuple(rng.integers(1, 200, 2).tolist())
        spacing = tuple(rng.uniform(0.3, 3, 2).tolist()) if rng.random() < 0.7 else (1.0, 1.0)
        starts = [int(rng.integers(0, size)) for size in shape]
        stops = [int(rng.integers(start + 1, size + 1)) for start, size in zip(starts, shape, strict=True)]
        policy = AUTO if rng.random() < 0.5 else RegionPolicy("margin", float(rng.choice([0, 2, 15, 60])))
        yield policy, Box2D(starts[0], stops[0], starts[1], stops[1]), shape, spacing


# --- reading the choice


@pytest.mark.parametrize(
    "text, policy, shown",
    [
        ("auto", AUTO, "auto"), (" FULL ", FULL, "full"), ("20", RegionPolicy("margin", 20.0), "20 mm"),
        ("7.5mm", RegionPolicy("margin", 7.5), "7.5 mm"), ("20 mm", RegionPolicy("margin", 20.0), "20 mm"), ("0", TIGHT, "0 mm"),
    ],
)  # fmt: skip
def test_a_choice_is_read_and_shown(text, policy, shown):
    assert RegionPolicy.parse(text) == policy
    assert str(policy) == shown
    assert RegionPolicy.parse(str(policy)) == policy


@pytest.mark.parametrize("text", ["", "square", "-5", "nan", "inf", "10000", "5 cm"])
def test_another_choice_is_refused(text):
    with pytest.raises(InputError, match=f"Unknown region of interest '{text}': expected auto, full, or a margin in mm"):
        RegionPolicy.parse(text)


# --- crops by hand


def test_auto_is_twice_the_longer_side_in_mm_around_the_box():
    # The box is 20 x 10 voxels of 1 x 3 mm: 20 x 30 mm. Twice that is 60 mm, the nearest size 64 mm: 64 rows, 21 columns. They begin at
    # multiples of an eighth (8 rows, 2 columns) near 18 and 14.
    crop = AUTO.crop_around(Box2D(40, 60, 20, 30), (200, 100), (1.0, 3.0))
    assert crop == Box2D(16, 80, 14, 35)


def test_boxes_that_differ_by_a_voxel_mostly_get_the_same_crop():
    rng, same = np.random.default_rng(0), 0
    for _ in range(1000):
        row, col, height, width = rng.integers(100, 300), rng.integers(100, 300), rng.integers(30, 100), rng.integers(30, 100)
        one, other = (Box2D(row, row + height + d, col + d, col + width) for d in (0, 1))
        same += AUTO.crop_around(one, (512, 512), (0.8, 0.8)) == AUTO.crop_around(other, (512, 512), (0.8, 0.8))
    assert same > 700


def test_a_margin_is_added_on_both_ends_of_the_longer_side():
    assert RegionPolicy("margin", 5.0).crop_around(Box2D(40, 60, 40, 50), (200, 200), (1.0, 1.0)) == Box2D(35, 65, 30, 60)


def test_no_margin_still_keeps_the_object_off_the_border():
    crop = TIGHT.crop_around(Box2D(50, 150, 50, 150), (300, 300), (1.0, 1.0))
    assert crop == Box2D(35, 165, 35, 165)  # 130 voxels


def test_a_small_object_gets_the_smallest_crop():
    crop = AUTO.crop_around(Box2D(50, 52, 60, 62), (300, 300), (0.5, 2.0))
    assert crop.shape_rc == (4 * SMALLEST_SIDE, SMALLEST_SIDE)  # 32 x 32 mm


def test_the_whole_slice_is_the_whole_slice():
    assert FULL.crop_around(Box2D(3, 5, 3, 5), (40, 70), (1.0, 2.0)) == Box2D(0, 40, 0, 70)
    assert FULL.grown(Box2D(0, 40, 0, 70), Box2D(0, 40, 0, 70), (40, 70), (1.0, 2.0)) == Box2D(0, 40, 0, 70)


def test_a_crop_at_the_edge_is_moved_into_the_slice():
    assert AUTO.crop_around(Box2D(0, 20, 85, 100), (100, 100), (1.0, 1.0)) == Box2D(0, 38, 62, 100)  # the size next to 40 mm is 38.05


def test_a_crop_that_is_wider_than_the_slice_reaches_beyond_on_both_sides():
    # 30 columns are 30 mm; the object of 40 mm wants 80, gets 76 (76.1): the slice is in the middle of it. Rows begin at 9, an eighth.
    assert AUTO.crop_around(Box2D(30, 70, 10, 20), (100, 30), (1.0, 1.0)) == Box2D(9, 85, -23, 53)


def test_a_crop_is_no_larger_than_the_slices_longer_side():
    assert AUTO.crop_around(Box2D(10, 90, 10, 20), (100, 30), (1.0, 1.0)) == Box2D(0, 100, -35, 65)


def test_a_box_that_reaches_beyond_the_slice_is_held_too():
    assert AUTO.crop_around(Box2D(-5, 15, 90, 110), (100, 100), (1.0, 1.0)) == Box2D(-5, 33, 72, 110)


# --- crops of all kinds


def test_a_crop_holds_the_whole_box():
    for policy, box, shape, spacing in random_cases(3000):
        assert policy.crop_around(box, shape, spacing).contains(box)


def test_a_crop_is_square_in_mm_within_one_voxel():
    for policy, box, shape, spacing in random_cases(3000):
        rows, cols = policy.crop_around(box, shape, spacing).shape_rc
        assert abs(rows * spacing[0] - cols * spacing[1]) <= max(spacing) * (1 + 1e-9)


def test_a_crop_is_never_larger_than_asked_for():
    for policy, box, shape, spacing in random_cases(3000):
        rows, cols = policy.crop_around(box, shape, spacing).shape_rc
        longest_mm = max(side * mm for side, mm in zip(box.shape_rc, spacing, strict=True))
        least_mm = SMALLEST_SIDE * max(spacing)
        if policy == AUTO:  # half a size up from twice the object, a whole one from the least
            wanted_mm = max(2 * longest_mm * 2 ** (1 / 8), least_mm * 2 ** (1 / 4))
        else:
            wanted_mm = max(longest_mm + 2 * policy.margin_mm, 1.3 * longest_mm, least_mm)
        slice_mm = max(size * mm for size, mm in zip(shape, spacing, strict=True))
        assert max(rows * spacing[0] - spacing[0] / 2, cols * spacing[1] - spacing[1] / 2) <= min(wanted_mm, slice_mm) + 1e-9


def test_a_crop_lies_in_the_slice_where_it_fits_and_covers_it_where_not():
    for policy, box, shape, spacing in random_cases(3000):
        crop = policy.crop_around(box, shape, spacing)
        for start, stop, size in ((crop.row_start, crop.row_stop, shape[0]), (crop.col_start, crop.col_stop, shape[1])):
            assert (start >= 0 and stop <= size) if stop - start <= size else (start <= 0 and stop >= size)


# --- growing


def test_a_crop_stays_while_the_object_keeps_clear_of_its_border():
    crop = Box2D(20, 120, 20, 120)  # 100 voxels: 3 of them are too near
    assert AUTO.grown(crop, Box2D(23, 117, 23, 117), (300, 300), (1.0, 1.0)) is crop
    for reaching in (Box2D(22, 60, 40, 60), Box2D(40, 118, 40, 60), Box2D(40, 60, 22, 60), Box2D(40, 60, 40, 118)):
        grown = AUTO.grown(crop, reaching, (300, 300), (1.0, 1.0))
        assert grown != crop and grown.contains(reaching)


def test_the_border_of_the_slice_itself_is_no_reason_to_grow():
    crop = Box2D(0, 100, -35, 65)
    assert AUTO.grown(crop, Box2D(0, 100, 0, 30), (100, 30), (1.0, 1.0)) is crop


def test_a_crop_around_an_object_does_not_ask_to_grow_for_it():
    for policy, box, shape, spacing in random_cases(3000):
        crop = policy.crop_around(box, shape, spacing)
        assert policy.grown(crop, box, shape, spacing) == crop, (policy, box, shape, spacing)


def test_growing_never_shrinks_and_serves_at_once():
    grown_cases = 0
    for (policy, box, shape, spacing), (_, other, _, _) in zip(random_cases(3000), random_cases(3000, seed=52), strict=True):
        try:
            reached = other.clipped(shape)
        except PromptError:
            continue
        crop = policy.crop_around(box, shape, spacing)
        grown = policy.grown(crop, reached, shape, spacing)
        assert grown.shape_rc[0] >= crop.shape_rc[0] and grown.shape_rc[1] >= crop.shape_rc[1]
        if grown != crop:
            grown_cases += 1
            assert grown.contains(reached)
            assert policy.grown(grown, reached, shape, spacing) == grown
    assert grown_cases > 500


def test_a_mask_that_leaks_to_every_border_makes_the_crop_grow_to_an_end():
    for policy, box, shape, spacing in random_cases(1000):
        crop = policy.crop_around(box, shape, spacing)
        for _ in range(60):  # 200 voxels at 1.15 times the side each
            grown = policy.grown(crop, crop.clipped(shape), shape, spacing)
            if grown == crop:
                break
            crop = grown
        else:
            pytest.fail(f"{policy} {box} {shape} {spacing} grows without end")
        assert crop.contains(Box2D(0, shape[0], 0, shape[1]))


# --- cut and paste

FRAME = np.arange(1, 31, dtype=np.uint8).reshape(5, 6)


def test_a_crop_inside_is_that_part_of_the_frame():
    assert cut(FRAME, Box2D(1, 3, 2, 5)).tolist() == [[9, 10, 11], [15, 16, 17]]


def test_what_lies_beyond_the_slice_is_zero():
    assert cut(FRAME, Box2D(-1, 2, 4, 8)).tolist() == [[0, 0, 0, 0], [5, 6, 0, 0], [11, 12, 0, 0]]
    assert cut(FRAME, Box2D(3, 7, -2, 1)).tolist() == [[0, 0, 19], [0, 0, 25], [0, 0, 0], [0, 0, 0]]
    assert cut(FRAME, Box2D(-1, 2, 4, 8)).dtype == np.uint8


def test_a_mask_is_pasted_where_it_was_cut():
    picture = drawn(
        "####",
        "#..#",
        "####",
    )  # fmt: skip
    assert np.array_equal(
        paste(picture, Box2D(-1, 2, 4, 8), (5, 6)),
        drawn(
            "....#.",
            "....##",
            "......",
            "......",
            "......",
        ),
    )
    assert paste(picture, Box2D(1, 4, 1, 5), (5, 6)).sum() == picture.sum()


def test_cut_and_paste_undo_each_other():
    rng = np.random.default_rng(53)
    for policy, box, shape, spacing in random_cases(500, seed=54):
        crop = policy.crop_around(box, shape, spacing)
        frame = rng.random(shape) < 0.5
        kept = np.zeros(shape, dtype=bool)
        kept[crop.clipped(shape).slices_rc] = frame[crop.clipped(shape).slices_rc]
        assert cut(frame, crop).shape == crop.shape_rc
        assert np.array_equal(paste(cut(frame, crop), crop, shape), kept)


def test_a_crop_beside_the_slice_is_refused():
    with pytest.raises(PromptError, match="lies outside the slice"):
        cut(FRAME, Box2D(5, 8, 0, 3))
    with pytest.raises(PromptError, match="lies outside the slice"):
        paste(np.ones((3, 3), dtype=bool), Box2D(5, 8, 0, 3), (5, 6))


def test_cutting_leaves_the_frame_as_it_is():
    before = FRAME.copy()
    cut(FRAME, Box2D(-1, 2, 4, 8))[:] = 99
    assert np.array_equal(FRAME, before)
