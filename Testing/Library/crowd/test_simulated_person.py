"""Simulated people: each number of a skill does what it says, and the same person says the same thing again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SAM2AnnotateLib.crowd.answers import Task
from SAM2AnnotateLib.crowd.simulated import PEOPLE, ObjectTruth, Said, SimulatedPerson, Skill, boxes_of_parts
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Box2D

SHAPE = (200, 300)
BALL = ObjectTruth(SHAPE, {position: (Box2D(40, 80, 50, 110),) for position in range(100, 500)})


def said(skill: Skill, positions=range(100, 500), truth=BALL, seed=1) -> list[Said]:
    person = SimulatedPerson(skill, seed)
    return [person.answer(Task("scan", "ball", position), truth) for position in positions]


def edges(answers: list[Said]) -> np.ndarray:
    return np.array([[b.row_start, b.row_stop, b.col_start, b.col_stop] for a in answers for b in a.boxes_rc])


def share(answers: list[Said], kind: str) -> float:
    return sum(one.kind == kind for one in answers) / len(answers)


def test_a_faultless_person_draws_the_tight_box_and_nothing_beyond():
    assert {one.boxes_rc for one in said(Skill())} == {(Box2D(40, 80, 50, 110),)}
    assert {one.kind for one in said(Skill(), [0, 99, 500, 501])} == {"absent"}


def test_the_same_person_says_the_same_again_in_any_order_and_another_person_does_not():
    forward, backward = said(PEOPLE["typical"]), said(PEOPLE["typical"], range(499, 99, -1))
    assert forward == backward[::-1]
    assert forward != said(PEOPLE["typical"], seed=2)
    person = SimulatedPerson(PEOPLE["typical"], 1)
    assert person.answer(Task("scan", "ball", 300), BALL) != person.answer(Task("scan", "ball", 300), BALL, again=1)


def test_noise_of_the_edges_is_pixels_and_share_of_the_side_together():
    noise = edges(said(Skill(edge_px=3, edge_share=0.1))) - [40, 80, 50, 110]
    np.testing.assert_allclose(noise.std(axis=0), [5, 5, np.hypot(3, 6), np.hypot(3, 6)], rtol=0.15)
    assert np.abs(noise.mean(axis=0)).max() < 1


def test_biases_enlarge_and_shift():
    np.testing.assert_array_equal(edges(said(Skill(outward_share=0.1), [200])), [[36, 84, 44, 116]])
    np.testing.assert_array_equal(edges(said(Skill(outward_share=-0.1), [200])), [[44, 76, 56, 104]])
    np.testing.assert_array_equal(edges(said(Skill(shift_share_rc=(0.5, -0.1)), [200])), [[60, 100, 44, 104]])


def test_misses_are_as_frequent_as_told_and_more_so_where_the_object_is_small():
    assert share(said(Skill(miss=0.2)), "absent") == pytest.approx(0.2, abs=0.06)
    sizes = {position: (Box2D(0, 100, 0, 100 if position < 300 else 1),) for position in range(100, 500)}
    answers = said(Skill(miss=0.1, miss_small=0.9), truth=ObjectTruth(SHAPE, sizes))
    assert share(answers[:200], "absent") == pytest.approx(0.1, abs=0.07)
    assert share(answers[200:], "absent") == pytest.approx(0.9, abs=0.07)


def test_a_forgetful_person_leaves_out_one_run_of_slices():
    absent = [n for n, one in enumerate(said(Skill(forgets=0.3))) if one.kind == "absent"]
    assert absent == list(range(absent[0], absent[0] + 120))


def test_boxes_beyond_the_ends_halve_with_each_slice():
    truth = {(seed, away): SimulatedPerson(Skill(beyond=0.8), seed).answer(Task("scan", "ball", 499 + away), BALL).kind
             for seed in range(400) for away in (1, 2, 3, 9)}  # fmt: skip
    drawn = [sum(truth[seed, away] == "box" for seed in range(400)) / 400 for away in (1, 2, 3, 9)]
    assert drawn == pytest.approx([0.8, 0.4, 0.2, 0], abs=0.08)


def test_swapped_sides_mirror_the_box_at_the_middle_of_the_slice():
    assert {one.boxes_rc for one in said(Skill(swaps=1))} == {(Box2D(40, 80, 190, 250),)}


def test_parts_are_overlooked_or_drawn_as_one():
    truth = ObjectTruth(SHAPE, {position: (Box2D(10, 30, 10, 30), Box2D(50, 60, 50, 60)) for position in range(100, 500)})
    assert {len(one.boxes_rc) for one in said(Skill(), truth=truth)} == {2}
    assert {one.boxes_rc for one in said(Skill(merges=1), truth=truth)} == {(Box2D(10, 60, 10, 60),)}
    assert {one.boxes_rc for one in said(Skill(overlooks=1), truth=truth)} == {(Box2D(10, 30, 10, 30),)}


def test_random_answers_have_nothing_to_do_with_the_object():
    answers = said(Skill(random_share=1))
    assert share(answers, "absent") == pytest.approx(0.3, abs=0.07)
    boxes = edges(answers)
    assert boxes.min() >= 0 and boxes[:, 1].max() <= 200 and boxes[:, 3].max() <= 300
    assert boxes.std(axis=0).min() > 40


def test_one_more_fault_changes_only_the_answers_that_have_it():
    clean, faulty = said(PEOPLE["typical"]), said(replace(PEOPLE["typical"], random_share=0.1))
    changed = sum(a != b for a, b in zip(clean, faulty, strict=True))
    assert 20 <= changed <= 60


def test_times_have_the_median_told():
    assert np.median([one.seconds for one in said(Skill(seconds=3.3))]) == pytest.approx(3.3, rel=0.1)


def test_boxes_stay_whole_pixels_on_the_slice_however_wild_the_hand():
    tiny = ObjectTruth((5, 4), {position: (Box2D(4, 5, 3, 4),) for position in range(200)})
    for one in said(Skill(edge_px=20, miss=0), range(200), tiny):
        (box,) = one.boxes_rc
        assert Box2D(0, 5, 0, 4).contains(box)


def test_truth_has_a_box_for_each_part_but_specks():
    mask = np.zeros((20, 30), dtype=bool)
    mask[2:12, 3:13] = mask[15:18, 20:23] = True
    mask[0, 29] = True
    assert boxes_of_parts(mask) == (Box2D(2, 12, 3, 13), Box2D(15, 18, 20, 23))
    assert boxes_of_parts(np.zeros((4, 4), dtype=bool)) == ()
    truth = ObjectTruth.of_masks({7: mask, 8: np.zeros_like(mask)})
    assert truth.frame_shape_rc == (20, 30) and list(truth.boxes_rc) == [7] and truth.at(8) == ()


def test_impossible_skills_and_truths_are_refused():
    with pytest.raises(InputError, match="'miss' is between 0 and 1, got 1.5"):
        Skill(miss=1.5)
    with pytest.raises(InputError, match="leaves after 0"):
        Skill(leaves_after=-1)
    with pytest.raises(InputError, match="biases"):
        Skill(outward_share=-0.5)
    with pytest.raises(InputError, match="on none"):
        ObjectTruth((4, 4), {3: ()})
    assert Skill(miss=0.1).described == "miss 0.1" and Skill().described == "faultless"
