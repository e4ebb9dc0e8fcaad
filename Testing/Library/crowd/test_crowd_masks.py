"""From boxes of several people to masks, on a ball of one gray, with the scripted engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SAM2AnnotateLib.crowd.answers import Answer, Task
from SAM2AnnotateLib.crowd.consensus import ConsensusSlice, consensus_of_all
from SAM2AnnotateLib.crowd.masks import joined_mask, majority_mask, masks_by_people, masks_by_slice, masks_through_memory, pairwise_dice
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import Cancelled, InputError
from SAM2AnnotateLib.geometry import Box2D, SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.propagation import RegionPolicy, SliceEncoder
from SAM2AnnotateLib.propagation.signed_distance import overlap

POLICY = RegionPolicy()
FIRST, LAST, COUNT = 4, 15, 20


def ball() -> tuple[SliceEncoder, np.ndarray]:
    """A bright ellipsoid in the dark, its slices wider than high, on a grid whose rows and slices run backwards; and its upright masks."""
    z, y, x = np.indices((COUNT, 48, 64))
    inside = ((z - 9.5) / 6.2) ** 2 + ((y - 22) / 12) ** 2 + ((x - 30) / 17) ** 2 <= 1
    grid = VolumeGrid(inside.shape, np.diag([-0.8, -0.8, -2.5, 1.0]))
    stack = SliceStack.along(grid, "k")
    volume = Volume(grid, np.where(inside, 200, 20).astype(np.int16))
    return SliceEncoder(ScriptedEngine(reach=3), volume, stack, IntensityMapping(0, 255, "given", "test")), stack.view(inside)


def run_of(masks: np.ndarray, missing: tuple[int, ...] = (), wrong: dict[int, Box2D] | None = None, people: str = "ab", every: int = 1):
    """The consensus of people who draw exact boxes, but for some slices."""
    answers = []
    for position in range(0, len(masks), every):
        for person in people:
            task = Task("case", "ball", position)
            if masks[position].any() and position not in missing:
                box = (wrong or {}).get(position, Box2D.around(masks[position]))
                answers.append(Answer(task, person, "box", (box,)))
            else:
                answers.append(Answer(task, person, "absent"))
    return {task.position: one for task, one in consensus_of_all(answers).items()}


def dsc(found, masks: np.ndarray) -> float:
    by_position = {one.position: one.mask for one in found}
    whole = np.stack([by_position.get(n, np.zeros_like(masks[n])) for n in range(len(masks))])
    return overlap(whole, masks)


def test_exact_boxes_give_the_object_by_both_ways():
    encoder, masks = ball()
    run = run_of(masks)
    assert dsc(masks_by_slice(encoder, POLICY, run), masks) == 1
    found = list(masks_through_memory(encoder, POLICY, run))
    assert [one.position for one in found] == list(range(COUNT))
    assert dsc(found, masks) > 0.97
    assert all(one.boxes_rc for one in found if masks[one.position].any())


def test_missing_boxes_are_bridged_and_told_from_absence():
    encoder, masks = ball()
    run = run_of(masks, missing=(7, 8, 12), people="a")
    found = {one.position: one for one in masks_through_memory(encoder, POLICY, run)}
    assert overlap(found[8].mask, masks[8]) > 0.9 and not found[8].boxes_rc and found[8].box_share == 0
    assert not found[1].mask.any() and not found[18].mask.any()
    assert dsc(found.values(), masks) > 0.95 > 0.85 > dsc(masks_by_slice(encoder, POLICY, run), masks)


@pytest.mark.parametrize("every", [2, 4])
def test_slices_between_the_asked_ones_are_filled(every):
    encoder, masks = ball()
    assert dsc(masks_through_memory(encoder, POLICY, run_of(masks, every=every)), masks) > 0.9


def test_a_box_at_the_wrong_place_is_recognized_and_memory_leads():
    encoder, masks = ball()
    run = run_of(masks, wrong={9: Box2D(2, 8, 50, 60)})
    found = {one.position: one for one in masks_through_memory(encoder, POLICY, run)}
    assert overlap(found[9].mask, masks[9]) > 0.95 and not found[9].boxes_rc
    assert found[9].agreement == 0 and found[10].boxes_rc
    assert dsc(found.values(), masks) > 0.97


def test_what_a_reviewer_drew_stands_wherever_it_is():
    encoder, masks = ball()
    run = run_of(masks)
    far = replace(run[9].boxes[0], edges_rc_px=(2.0, 8.0, 50.0, 60.0))
    run[9] = ConsensusSlice(Task("case", "ball", 9), 1.0, (far,), None, 2, source="decision")
    found = {one.position: one for one in masks_through_memory(encoder, POLICY, run)}
    assert found[9].boxes_rc == (Box2D(2, 8, 50, 60),)


def test_an_object_that_nobody_saw_is_empty_everywhere():
    encoder, masks = ball()
    run = run_of(masks, missing=tuple(range(COUNT)))
    assert dsc(masks_through_memory(encoder, POLICY, run), np.zeros_like(masks)) == 1
    assert list(masks_through_memory(encoder, POLICY, {})) == []


def test_a_single_box_alone_gives_its_own_mask():
    encoder, masks = ball()
    answers = [Answer(Task("case", "ball", 9), "a", "box", (Box2D.around(masks[9]),))]
    run = {task.position: one for task, one in consensus_of_all(answers).items()}
    (found,) = masks_through_memory(encoder, POLICY, run)
    assert np.array_equal(found.mask, masks[9]) and found.agreement is None


def test_of_several_peoples_boxes_the_one_that_the_model_expects_most_of_counts():
    encoder, masks = ball()
    task = Task("case", "ball", 9)
    empty = Box2D(0, 3, 0, 3)  # of the background: the scripted engine expects as much of it, so the first counts
    answers = [Answer(task, "b", "box", (empty,)), Answer(task, "a", "box", (Box2D.around(masks[9]),)), Answer(task, "c", "absent")]
    (found,) = masks_by_slice(encoder, POLICY, {9: answers})
    assert np.array_equal(found.mask, masks[9]) and found.presence == pytest.approx(2 / 3)
    (nothing,) = masks_by_slice(encoder, POLICY, {9: [Answer(task, "a", "unsure"), Answer(task, "c", "absent")]})
    assert not nothing.mask.any()


def test_peoples_own_masks_are_joined_by_majority_or_staple():
    pytest.importorskip("SimpleITK")
    encoder, masks = ball()
    task, right = Task("case", "ball", 9), Box2D.around(masks[9])
    half = Box2D(right.row_start, right.row_stop, right.col_start, (right.col_start + right.col_stop) // 2)
    answers = [Answer(task, "a", "box", (right,)), Answer(task, "b", "box", (right,)), Answer(task, "c", "absent")]
    answers.append(Answer(task, "d", "unsure"))
    for join in ("majority", "staple"):
        (found,) = masks_by_people(encoder, POLICY, {9: answers}, join)
        assert np.array_equal(found.mask, masks[9]) and found.presence == pytest.approx(2 / 3) and not found.words
    two = [Answer(task, "a", "box", (right,)), Answer(task, "b", "box", (half,))]
    (heavy,) = masks_by_people(encoder, POLICY, {9: two}, weights={"a": 2.0, "b": 1.0})
    assert np.array_equal(heavy.mask, masks[9]) and 0.5 < heavy.people_dice < 1
    (nothing,) = masks_by_people(encoder, POLICY, {9: [Answer(task, "d", "unsure")]})
    assert not nothing.mask.any() and nothing.presence == 0 and nothing.people_dice is None


def test_progress_comes_to_its_end_and_cancel_stops():
    encoder, masks = ball()
    told = []
    list(masks_through_memory(encoder, POLICY, run_of(masks, missing=(7,), people="a"), progress=told.append))
    assert told[-1].done == told[-1].total == len(told) and [one.done for one in told] == sorted(one.done for one in told)
    token = CancelToken()

    def stop(progress):
        if progress.done == 5:
            token.cancel()

    with pytest.raises(Cancelled):
        list(masks_through_memory(encoder, POLICY, run_of(masks), cancel=token, progress=stop))


# -- several people's masks -------------------------------------------------------------------------------------------------------


def squares(*starts: int) -> dict[str, np.ndarray]:
    masks = {}
    for name, start in zip("abcde", starts, strict=False):
        masks[name] = np.zeros((60, 60), dtype=bool)
        masks[name][20:40, start : start + 20] = True
    return masks


def test_majority_and_staple_agree_where_people_do():
    joined = joined_mask(squares(20, 20, 21))
    assert joined.agrees and joined.dsc > 0.95
    assert joined.majority.sum() == 400 and np.array_equal(joined.majority, squares(20)["a"])


def test_staple_does_not_depend_on_how_large_the_picture_is():
    pytest.importorskip("SimpleITK")
    masks = squares(20, 22, 26)
    large = {name: np.pad(mask, 200) for name, mask in masks.items()}
    small, wide = joined_mask(masks), joined_mask(large)
    assert np.array_equal(np.pad(small.staple, 200), wide.staple)
    assert small.sensitivities == pytest.approx(wide.sensitivities)


def test_it_is_said_where_both_ways_differ_and_the_majority_stands():
    pytest.importorskip("SimpleITK")
    masks = squares(20, 20)
    for name, start in zip("cde", (22, 26, 30), strict=True):  # the majority saw a speck each, STAPLE believes the two who agree
        masks[name] = np.zeros_like(masks["a"])
        masks[name][30:33, start : start + 3] = True
    joined = joined_mask(masks)
    assert joined.dsc < 0.9 and not joined.agrees and "DSC 0." in joined.words
    assert joined.majority.sum() == 27 and joined.staple.sum() == 400
    for name in "cde":
        masks[name][:] = False
        masks[name][50:55, 50:55] = True
    assert "background" in joined_mask(masks).words


def test_an_even_half_goes_by_weight_and_two_have_no_staple():
    masks = squares(10, 30)
    assert not joined_mask(masks).majority.any()
    joined = joined_mask(masks, {"a": 2.0, "b": 1.0})
    assert np.array_equal(joined.majority, masks["a"]) and joined.staple is None and joined.agrees
    empty = np.zeros((5, 5), dtype=bool)
    assert not joined_mask({"a": empty, "b": empty, "c": empty}).majority.any()
    with pytest.raises(InputError, match="one shape"):
        joined_mask({"a": empty, "b": masks["a"]})
    with pytest.raises(InputError, match="weight"):
        majority_mask([empty], [0.0])


def test_pairwise_dice_of_masks():
    one = np.zeros((4, 4), dtype=bool)
    one[:2] = True
    half = np.zeros_like(one)
    half[0] = True
    assert pairwise_dice({"a": one, "b": one}) == 1
    assert pairwise_dice({"a": one, "b": half, "c": one}) == pytest.approx((1 + 2 * 2 / 3) / 3)
    assert pairwise_dice({"a": ~one & one, "b": ~one & one}) == 1 and np.isnan(pairwise_dice({"a": one}))
