"""The parts of a search, each on figures that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from prototype_balls import a_ball

from SAM2AnnotateLib.benchmark.extents import fitted
from SAM2AnnotateLib.benchmark.prototypes import parts_without
from SAM2AnnotateLib.geometry import Box2D
from SAM2AnnotateLib.prototypes.joining import large_parts, one_run, smoothed
from SAM2AnnotateLib.prototypes.likeness import Likeness, covered
from SAM2AnnotateLib.prototypes.looks import Look
from SAM2AnnotateLib.prototypes.place import likely_extent, squares
from SAM2AnnotateLib.prototypes.presence import WaySignals, end_of


def test_parts_of_a_fifth_of_the_largest_stay_and_a_split_object_is_not_halved():
    mask = np.zeros((20, 20), dtype=bool)
    mask[1:11, 1:11] = True
    mask[12:17, 12:16] = True  # 20 of 100 pixels
    mask[18, 1:4] = True
    mask[11, 11] = True  # touches by a corner only
    kept = large_parts(mask)
    assert kept[1:11, 1:11].all() and kept[12:17, 12:16].all() and int(kept.sum()) == 120
    assert not large_parts(np.zeros((3, 3), bool)).any() and large_parts(np.ones((3, 3), bool)).all()


def test_a_spiral_is_one_part():
    mask = np.zeros((9, 9), dtype=bool)
    mask[0, :] = mask[:, 8] = mask[8, :] = mask[2:, 0] = mask[2, :7] = mask[2:7, 6] = mask[6, 2:7] = True
    assert np.array_equal(large_parts(mask), mask)


def test_slices_are_made_to_agree_along_the_stack_and_a_constant_stays():
    logits = np.zeros((9, 1, 1))
    logits[4] = 1
    spread = smoothed(logits, 1.0)[:, 0, 0]
    assert spread.argmax() == 4 and spread[3] == pytest.approx(spread[5]) and spread.sum() == pytest.approx(1)
    assert np.allclose(smoothed(np.full((5, 2, 2), 3.0), 2.0), 3.0) and smoothed(logits, 0.1) is logits


@pytest.mark.parametrize(
    ("areas", "run"),
    [([0, 0, 0], None), ([0, 5, 0, 5, 0], (1, 3)), ([9, 0, 0, 4, 4], (0, 0)), ([3, 0, 0, 4, 4], (3, 4)), ([1, 1, 1], (0, 2))],
)
def test_the_run_with_the_most_area_is_the_object(areas, run):
    assert one_run(np.array(areas, dtype=float)) == run


@pytest.mark.parametrize(("first", "last"), [(3, 8), (-2, 3), (9, 14)])
def test_the_extent_is_where_the_slices_look_like_it_from_end_to_end(first, last):
    places, count = np.linspace(0, 1, 11), 12
    at = (np.arange(count) - first) / (last - first)
    present = 0.8 - np.abs(at[:, None] - places[None])
    absent = np.where((at < 0) | (at > 1), 0.7, 0.2)
    assert likely_extent(present, places, absent, (4, 9)) == (first, last)


def test_where_no_slice_looks_like_a_part_of_it_the_extent_lies_beyond_the_volume():
    first, last = likely_extent(np.full((12, 11), 0.1), np.linspace(0, 1, 11), np.full(12, 0.3), (4, 9))
    assert first >= 12 and last > first


def test_squares_cover_a_large_slice_and_one_is_enough_for_a_small_one():
    around = squares(40.0, (100, 80), (1.0, 0.5))  # 100 x 40 mm
    seen = np.zeros((100, 80), dtype=bool)
    for square in around:
        assert square.shape_rc == (40, 80)
        seen[square.clipped(seen.shape).slices_rc] = True
    assert seen.all() and len(around) == 4
    assert squares(40.0, (50, 50), (1.0, 1.0)) == [Box2D(5, 45, 5, 45)]


def test_how_much_of_a_cell_a_mask_covers():
    mask = np.zeros((6, 4), dtype=bool)
    mask[:3, :3] = True
    assert np.allclose(covered(mask, (2, 2)), [[1.0, 0.5], [0.0, 0.0]])
    assert np.allclose(covered(mask, (4, 1)), [[0.75], [0.75], [0.0], [0.0]])  # fractions of pixels


def test_cells_like_the_object_score_above_cells_like_its_surroundings():
    rng = np.random.default_rng(0)
    own, rival = rng.normal(size=(2, 8))
    mask = np.zeros((8, 8), dtype=bool)
    mask[2:6, 2:6] = True
    features = [np.where(mask, own[:, None, None], rival[:, None, None]) + 0.1 * rng.normal(size=(8, 8, 8)) for _ in range(4)]
    likeness = Likeness(features, [mask] * 4)
    moved = np.roll(features[0], 2, axis=2)
    here = likeness.here(moved)
    assert here[np.roll(mask, 2, axis=1)].min() > here[~np.roll(mask, 2, axis=1)].max()
    assert likeness.with_each(features[1]).argmax() == 1 and likeness.expected([1, 1, 2, 2]) > 0.8
    assert likeness.expected([1, 1, 1, 1]) is None


def test_a_look_scales_and_moves_the_crop_and_turns_the_gray():
    assert Look(0.5).crop(Box2D(10, 30, 0, 40)) == Box2D(15, 25, 10, 30)
    assert Look(shift_rc=(0.1, -0.1)).crop(Box2D(0, 20, 0, 40)) == Box2D(2, 22, -4, 36)
    gray = np.array([[0, 64, 255]], dtype=np.uint8)
    assert Look().gray(gray) is gray and Look(gamma=2.0).gray(gray).tolist() == [[0, 16, 255]] and Look(gain=0.5).gray(gray)[0, 2] == 128


def test_the_end_is_where_presence_before_and_absence_after_fit_best():
    assert end_of([]) == (0, 1.0)
    count, sure = end_of([0.9, 0.9, 0.8, 0.2, 0.1])
    assert count == 3 and 0.6 < sure < 0.7
    assert end_of([0.9, 0.4, 0.9, 0.1])[0] == 3 and end_of([0.6, 0.4])[1] < 0.6


def test_presence_falls_as_the_mask_fades_and_the_way_gets_long():
    signals = WaySignals(known_area=1000, size_mm=30.0, spacing_mm=3.0)
    found = [signals.presence(area, 0.6, 0.95, 0.9) for area in (950, 900, 700, 400, 150, 40, 20)]
    assert found[0] > 0.9 and found[-1] < 0.5 and found == sorted(found, reverse=True)


def test_the_fit_finds_what_made_the_answers():
    rng = np.random.default_rng(0)
    terms = np.column_stack([np.ones(4000), rng.normal(size=4000), rng.normal(3, 2, size=4000)])
    true = np.array([-1.0, 1.5, 0.5])
    there = (rng.random(4000) < 1 / (1 + np.exp(-terms @ true))).astype(float)
    ways = [(terms[i : i + 20], there[i : i + 20]) for i in range(0, 4000, 20)]
    assert np.allclose(fitted(ways), true, atol=0.2)


def test_parts_of_a_volume_that_the_object_is_not_in():
    volume, truth = a_ball((8, 40, 30))
    parts = dict(parts_without("ball", volume, truth))
    assert set(parts) == {f"ball, {word}" for word in ("below", "above", "rows before", "rows behind", "columns before", "columns behind")}
    assert parts["ball, below"].grid.shape_kji == (4, 96, 80) and max(part.array_kji.max() for part in parts.values()) < 60
