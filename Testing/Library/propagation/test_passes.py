"""Plans of passes: by hand on short extents, and what must hold for every plan on seeded random ones."""

from __future__ import annotations

import numpy as np
import pytest

from SAM2AnnotateLib.errors import PromptError
from SAM2AnnotateLib.geometry import Extent
from SAM2AnnotateLib.propagation.passes import Pass, plan_passes


def planned(first: int, last: int, prompted=(), locked=(), changed=None) -> set[tuple]:
    """A plan as a set of (start, positions, conditioning): the order of passes is free."""
    passes = plan_passes(Extent(first, last), prompted, locked, changed)
    plan = {(one.start, one.positions, one.conditioning) for one in passes}
    assert len(plan) == len(passes)
    return plan


# --- the first propagation


def test_one_prompt_runs_to_both_ends():
    assert planned(2, 8, prompted=[5]) == {(5, (4, 3, 2), (5,)), (5, (6, 7, 8), (5,))}


def test_a_prompt_at_an_end_runs_one_way():
    assert planned(2, 5, prompted=[2]) == {(2, (3, 4, 5), (2,))}
    assert planned(2, 5, prompted=[5]) == {(5, (4, 3, 2), (5,))}


def test_an_extent_of_prompted_slices_has_nothing_to_plan():
    assert planned(3, 3, prompted=[3]) == set()
    assert planned(3, 5, prompted=[3, 5], locked=[4]) == set()


def test_between_two_prompts_both_run_to_the_middle_informed_by_both():
    assert planned(0, 10, prompted=[2, 8]) == {
        (2, (1, 0), (2,)),
        (2, (3, 4, 5), (2, 8)),
        (8, (7, 6), (2, 8)),
        (8, (9, 10), (8,)),
    }


def test_one_slice_between_two_prompts_is_planned_once():
    assert planned(4, 6, prompted=[4, 6]) == {(4, (5,), (4, 6))}


def test_locked_slices_count_like_prompts_and_an_order_does_not_matter():
    expected = planned(0, 10, prompted=[2, 8])
    assert planned(0, 10, prompted=[8], locked=[2]) == expected
    assert planned(0, 10, locked=[8, 2]) == expected
    assert planned(0, 10, prompted=(8, 2), locked={2}) == expected


# --- corrections


def test_a_correction_without_other_locks_reaches_both_ends():
    assert planned(0, 6, prompted=[4], locked=[2], changed=2) == {(2, (1, 0), (2,)), (2, (3, 4, 5, 6), (2, 4))}


def test_a_correction_between_two_locks_reaches_them_from_both_sides():
    assert planned(0, 20, locked=[4, 10, 15], changed=10) == {
        (4, (5, 6, 7), (4, 10)),
        (10, (9, 8), (4, 10)),
        (10, (11, 12), (10, 15)),
        (15, (14, 13), (10, 15)),
    }


def test_a_correction_at_an_end_runs_to_the_next_lock_only():
    assert planned(0, 20, locked=[0, 4, 10], changed=0) == {(0, (1, 2), (0, 4)), (4, (3,), (0, 4))}
    assert planned(0, 20, locked=[10, 17, 20], changed=20) == {(17, (18,), (17, 20)), (20, (19,), (17, 20))}


def test_a_correction_between_neighboring_locks_changes_nothing():
    assert planned(0, 20, locked=[6, 7, 8], changed=7) == set()


def test_a_prompted_slice_inside_a_stretch_is_passed_and_informs_it():
    assert planned(0, 12, prompted=[6], locked=[2, 10], changed=2) == {
        (2, (1, 0), (2,)),
        (2, (3, 4, 5, 6), (2, 6, 10)),
        (10, (9, 8, 7), (2, 6, 10)),
    }


def test_a_prompt_beyond_the_next_lock_does_not_inform():
    plan = planned(0, 12, prompted=[11], locked=[4, 8], changed=4)
    assert plan == {(4, (3, 2, 1, 0), (4,)), (4, (5, 6), (4, 8)), (8, (7,), (4, 8))}


# --- errors


def test_nothing_to_go_by_is_refused():
    with pytest.raises(PromptError, match="Propagation needs a prompt on at least one slice"):
        plan_passes(Extent(0, 5), [], [])


@pytest.mark.parametrize("prompted, locked, named", [([1], [4], 1), ([4], [9], 9), ([-1, 12], [], -1)])
def test_a_slice_outside_the_extent_is_refused_by_name(prompted, locked, named):
    with pytest.raises(PromptError, match=rf"Slice {named} carries a prompt but lies outside the extent 2\.\.8\. Widen the extent"):
        plan_passes(Extent(2, 8), prompted, locked)


# --- what holds for every plan


def random_cases(count: int):
    rng = np.random.default_rng(41)
    for _ in range(count):
        first, length = int(rng.integers(-3, 4)), int(rng.integers(1, 25))
        slices = np.arange(first, first + length)
        prompted = set(rng.choice(slices, int(rng.integers(0, min(5, length) + 1)), replace=False).tolist())
        locked = set(rng.choice(slices, int(rng.integers(0, min(6, length) + 1)), replace=False).tolist())
        if prompted or locked:
            changed = int(rng.choice(sorted(locked))) if locked and rng.random() < 0.5 else None
            yield Extent(first, first + length - 1), prompted, locked, changed


def slices_due(extent: Extent, prompted: set[int], locked: set[int], changed: int | None) -> set[int]:
    """By walking, slice by slice, from the corrected one until a locked slice or an end; a plain version of the promise."""
    if changed is None:
        return set(extent.indices) - prompted - locked
    due = set()
    for step in (-1, 1):
        position = changed + step
        while position in extent and position not in locked:
            due.add(position)
            position += step
    return due


def test_every_due_slice_is_planned_once_and_no_other():
    seen = 0
    for case in random_cases(2000):
        positions = [position for one in plan_passes(*case) for position in one.positions]
        assert sorted(positions) == sorted(slices_due(*case)), case
        seen += len(positions)
    assert seen > 5000


def test_no_locked_slice_is_planned_and_none_outside_the_extent():
    for extent, prompted, locked, changed in random_cases(1000):
        for one in plan_passes(extent, prompted, locked, changed):
            assert not locked.intersection(one.positions)
            assert all(position in extent for position in one.positions)


def test_a_pass_goes_on_from_neighbor_to_neighbor_away_from_its_start():
    for case in random_cases(1000):
        for one in plan_passes(*case):
            steps = np.diff((one.start, *one.positions))
            assert (steps == (-1 if one.reverse else 1)).all()


def test_a_pass_departs_from_a_slice_that_informs_it_and_knows_all_on_its_stretch():
    for extent, prompted, locked, changed in random_cases(1000):
        conditioning = prompted | locked
        barriers = conditioning if changed is None else locked
        for one in plan_passes(extent, prompted, locked, changed):
            assert one.start in one.conditioning and one.start in barriers
            far = one.positions[-1]
            beyond = [b for b in barriers if (b < far if one.reverse else b > far)]
            end = (max(beyond, default=extent.first)) if one.reverse else min(beyond, default=extent.last)
            low, high = sorted((one.start, end))
            assert one.conditioning == tuple(sorted(c for c in conditioning if low <= c <= high))


def test_a_slice_is_reached_from_the_nearest_side():
    for extent, prompted, locked, changed in random_cases(1000):
        barriers = prompted | locked if changed is None else locked
        for one in plan_passes(extent, prompted, locked, changed):
            for position in one.positions:
                assert abs(position - one.start) == min(abs(position - barrier) for barrier in barriers)


def test_a_pass_without_positions_is_not_reversed():
    assert not Pass((), 3, (3,)).reverse
    assert Pass((2, 1), 3, (3,)).reverse
