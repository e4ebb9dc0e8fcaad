"""What a person says about a slice: which combinations are allowed, where they must lie, and that JSON gives them back."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from patients import drawn

from SAM2AnnotateLib.errors import PromptError
from SAM2AnnotateLib.geometry import Box2D
from SAM2AnnotateLib.prompts import Point, SlicePrompt
from SAM2AnnotateLib.prompts.mask_runs import mask_from_runs, mask_to_runs

BOX = Box2D(1, 4, 2, 6)
ON, BESIDE = Point(2, 3), Point(0, 7, positive=False)
MASK = drawn(
    "........",
    "..##....",
    "..###...",
    "........",
    "......#.",
)  # fmt: skip


def as_parts(prompt: SlicePrompt) -> tuple:
    return prompt.box, prompt.points, None if prompt.mask is None else prompt.mask.tolist()


def through_json(prompt: SlicePrompt) -> SlicePrompt:
    return SlicePrompt.from_json(json.loads(json.dumps(prompt.to_json())))


# --- what makes a prompt


@pytest.mark.parametrize("box, points, mask", list(product([None, BOX], [(), (ON,), (BESIDE,), (ON, BESIDE)], [None, MASK])))
def test_any_combination_with_something_on_the_object_is_a_prompt_and_survives_json(box, points, mask):
    if box is None and mask is None and ON not in points:
        with pytest.raises(PromptError, match="needs a box, a mask or at least one positive point"):
            SlicePrompt(box, points, mask)
        return
    prompt = SlicePrompt(box, points, mask)
    assert as_parts(through_json(prompt)) == as_parts(prompt) == (box, points, None if mask is None else MASK.tolist())
    assert prompt.final_mask is (prompt.mask if box is None and not points else None)
    prompt.require_inside((5, 8))


def test_a_list_of_points_becomes_a_tuple():
    assert SlicePrompt(points=[ON, BESIDE]).points == (ON, BESIDE)


def test_a_mask_is_copied_and_kept_read_only_as_bool():
    sketch = np.array([[0, 2], [0, 0]])
    prompt = SlicePrompt(mask=sketch)
    sketch[:] = 1
    assert prompt.mask.tolist() == [[False, True], [False, False]]
    with pytest.raises(ValueError, match="read-only"):
        prompt.mask[0, 0] = True


@pytest.mark.parametrize("shape", [(8,), (5, 8, 1)])
def test_a_mask_of_other_than_two_dimensions_is_refused(shape):
    with pytest.raises(PromptError, match="A mask prompt has two dimensions"):
        SlicePrompt(mask=np.zeros(shape, dtype=bool))


def test_an_empty_mask_says_that_the_object_is_not_there():
    prompt = SlicePrompt(mask=np.zeros((5, 8), dtype=bool))
    assert prompt.final_mask is prompt.mask
    assert prompt.bounding_box() is None
    assert not through_json(prompt).mask.any() and through_json(prompt).mask.shape == (5, 8)


# --- where it lies


def test_the_bounding_box_holds_all_that_is_on_the_object_and_nothing_beside_it():
    assert SlicePrompt(points=(ON, BESIDE)).bounding_box() == Box2D(2, 3, 3, 4)
    assert SlicePrompt(mask=MASK).bounding_box() == Box2D(1, 5, 2, 7)
    assert SlicePrompt(box=BOX, points=(Point(0, 0), BESIDE)).bounding_box() == Box2D(0, 4, 0, 6)
    assert SlicePrompt(box=BOX, mask=MASK).bounding_box() == Box2D(1, 5, 2, 7)
    assert SlicePrompt(box=BOX, mask=np.zeros((5, 8))).bounding_box() == BOX


@pytest.mark.parametrize("point", [(-1, 3), (5, 3), (2, -1), (2, 8)])
@pytest.mark.parametrize("positive", [True, False])
def test_a_point_outside_the_slice_is_refused(point, positive):
    prompt = SlicePrompt(box=BOX, points=(Point(*point, positive),))
    with pytest.raises(PromptError, match=f"The point at row {point[0]}, column {point[1]} lies outside the slice of 5 x 8"):
        prompt.require_inside((5, 8))


def test_a_box_must_meet_the_slice_and_may_reach_beyond():
    SlicePrompt(box=Box2D(-3, 2, 6, 99)).require_inside((5, 8))
    with pytest.raises(PromptError, match="lies outside the slice"):
        SlicePrompt(box=Box2D(5, 9, 0, 3)).require_inside((5, 8))


def test_a_mask_must_have_the_shape_of_the_slice():
    with pytest.raises(PromptError, match=r"The mask has \(5, 8\) rows and columns, the slice \(8, 5\)"):
        SlicePrompt(mask=MASK).require_inside((8, 5))


# --- runs


@pytest.mark.parametrize(
    "mask, runs",
    [
        (drawn("....", "...."), [8]),
        (drawn("####", "####"), [0, 8, 0]),
        (drawn(".##.", "...#"), [1, 2, 4, 1, 0]),
        (drawn("#..#", "#..."), [0, 1, 2, 2, 3]),
    ],
)
def test_runs_alternate_background_and_foreground(mask, runs):
    stored = mask_to_runs(mask)
    assert stored["shape"] == [2, 4]
    # A last run of 0 says nothing and may be left out.
    assert stored["runs"] in (runs, runs[:-1] if runs[-1] == 0 else runs)
    assert np.array_equal(mask_from_runs(stored), mask)


def test_random_masks_come_back_from_their_runs():
    rng = np.random.default_rng(31)
    for _ in range(200):
        mask = rng.random(tuple(rng.integers(1, 12, 2))) < rng.choice([0, 0.1, 0.5, 0.9, 1])
        back = mask_from_runs(json.loads(json.dumps(mask_to_runs(mask))))
        assert back.dtype == bool and np.array_equal(back, mask)


@pytest.mark.parametrize("stored", [{"shape": [2, 4], "runs": [7]}, {"shape": [2, 4], "runs": [9]}, {"shape": [2, 4], "runs": [-1, 9]},
                                    {"shape": [8], "runs": [8]}, {"shape": [2, 2, 2], "runs": [8]}])  # fmt: skip
def test_runs_that_do_not_fill_the_shape_are_refused(stored):
    with pytest.raises(PromptError, match="The stored mask is damaged: its runs cover"):
        mask_from_runs(stored)


@pytest.mark.parametrize(
    "stored",
    [
        None, [], "box", 3, {"box": [1, 2, 3]}, {"box": [1, 2, 3, 4, 5]}, {"box": ["a", 2, 3, 4]}, {"box": None},
        {"box": [1, 2, 3, float("inf")]}, {"points": [[1, 2]]}, {"points": 3}, {"points": [[1, None, True]]}, {"mask": {}}, {"mask": []},
        {"mask": {"shape": [2, 4]}}, {"mask": {"shape": [2, 4], "runs": None}}, {"mask": {"shape": [2, 4], "runs": [10**30]}},
        {"mask": {"shape": [-2, -4], "runs": [8]}}, {"mask": {"shape": ["x", 4], "runs": [8]}},
    ],
)  # fmt: skip
def test_a_damaged_prompt_is_refused(stored):
    with pytest.raises(PromptError, match="The stored (prompt|mask) is damaged"):
        SlicePrompt.from_json(stored)


def test_a_stored_prompt_that_says_nothing_is_refused():
    with pytest.raises(PromptError, match="needs a box, a mask or at least one positive point"):
        SlicePrompt.from_json({})
    with pytest.raises(PromptError, match="The box is empty"):
        SlicePrompt.from_json({"box": [1, 1, 2, 3]})


def test_prompts_are_equal_if_all_they_say_is():
    mask = np.zeros((6, 7), dtype=bool)
    mask[2, 3] = True
    one = SlicePrompt(box=Box2D(1, 4, 2, 5), points=(Point(2, 3),), mask=mask)
    assert one == SlicePrompt(box=Box2D(1, 4, 2, 5), points=(Point(2, 3),), mask=mask.copy())
    assert one != SlicePrompt(box=Box2D(1, 4, 2, 5), points=(Point(2, 3, False),), mask=mask)
    assert one != SlicePrompt(box=Box2D(1, 4, 2, 5), points=(Point(2, 3),), mask=~mask)
    assert one != SlicePrompt(box=Box2D(1, 4, 2, 5), points=(Point(2, 3),)) and one != "a prompt"


@pytest.mark.parametrize("box", [Box2D(1, 5, 2, 1 << 31), Box2D(-(1 << 20), 3, 2, 4), Box2D(0, 3, 0, 4098)])
def test_a_box_much_larger_than_the_slice_is_refused_before_a_picture_of_it_is_made(box):
    with pytest.raises(PromptError, match="much larger than the slice, which has 5 rows and 8 columns"):
        SlicePrompt(box=box).require_inside((5, 8))
    SlicePrompt(box=Box2D(0, 3, 0, 4096)).require_inside((5, 8))
