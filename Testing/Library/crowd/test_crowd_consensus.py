"""What several people's boxes mean together."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest
from crowd_people import SHAPE_RC, answers_of, gold_of, leaning_truth

from SAM2AnnotateLib.crowd.answers import Answer, Task
from SAM2AnnotateLib.crowd.consensus import consensus_of, consensus_of_all, edges_iou, edges_of, people_accuracy
from SAM2AnnotateLib.crowd.consensus.accuracy import union_iou
from SAM2AnnotateLib.crowd.simulated import Skill
from SAM2AnnotateLib.geometry import Box2D

TRUTH = leaning_truth()
ALL = range(36)
TASK = Task("case", "ball", 9)


@dataclass(frozen=True)
class Decided:
    kind: str
    boxes_rc: tuple[Box2D, ...] = ()


def box_answer(person: str, *boxes: tuple[int, int, int, int], task: Task = TASK) -> Answer:
    return Answer(task, person, "box" if boxes else "absent", tuple(Box2D(*box) for box in boxes))


def together(*answers: Answer):
    return consensus_of(answers, people_accuracy(answers))


def mean_iou(found, truth=TRUTH) -> float:
    scores = [union_iou([b.edges_rc_px for b in one.counted_boxes], map(edges_of, truth.at(t.position))) for t, one in found.items()]
    return float(np.mean(scores))


# -- accuracy ---------------------------------------------------------------------------------------------------------------------


def test_accuracy_on_known_slices_tells_bias_misses_and_speed_apart():
    people = {
        "wide": Skill(outward_share=0.2, seconds=9, seconds_spread=0.1),
        "blind": Skill(miss=0.5, seconds=2, seconds_spread=0.1),
        "beyond": Skill(beyond=1.0),
        "exact": Skill(edge_px=0.3),
    }
    found = people_accuracy(answers_of(people, TRUTH, ALL, "gold"), gold_of(TRUTH, ALL))
    assert found["wide"].bias_rc_px[0] < -2 < 2 < found["wide"].bias_rc_px[1]
    assert abs(found["exact"].bias_rc_px[0]) < 0.3
    assert found["blind"].sensitivity.high < 0.8 < found["exact"].sensitivity.low
    assert found["beyond"].specificity.value < found["exact"].specificity.value
    assert found["wide"].iou.high < found["exact"].iou.low
    assert found["wide"].seconds == pytest.approx(9, rel=0.1) and found["blind"].seconds == pytest.approx(2, rel=0.1)
    assert {one.by for one in found.values()} == {"gold"} and found["wide"].n == len(ALL)


def test_few_known_answers_are_pulled_towards_what_is_usual():
    gold = gold_of(TRUTH, [12])
    wrong = Answer(next(iter(gold)), "once", "absent")
    one = people_accuracy([wrong], gold)["once"]
    assert 0.5 < one.sensitivity.value < 0.9 and one.sensitivity.high - one.sensitivity.low > 0.3
    assert people_accuracy([Answer(TASK, "new", "absent")])["new"].by == "nothing"


def test_without_known_answers_people_are_weighed_by_their_agreement():
    people = {"a": Skill(edge_share=0.03), "b": Skill(edge_share=0.03), "c": Skill(edge_share=0.03), "wild": Skill(random_share=0.7)}
    found = people_accuracy(answers_of(people, TRUTH, ALL))
    assert {one.by for one in found.values()} == {"agreement"} and {one.n for one in found.values()} == {0}
    assert found["wild"].trust < min(found[name].trust for name in "abc") / 2
    assert found["wild"].place.high < min(found[name].place.low for name in "abc")


def test_training_counts_only_for_who_has_nothing_else():
    gold = gold_of(TRUTH, [8, 12, 16])
    first, *rest = gold
    learning = Answer(first, "p", "absent", training=True)
    right = [Answer(task, "p", "box", gold[task].boxes_rc) for task in rest]
    assert people_accuracy([learning, *right], gold)["p"].sensitivity.n == 2
    assert people_accuracy([learning], gold)["p"].sensitivity.n == 1


def test_not_sure_speaks_for_neither():
    gold = gold_of(TRUTH, ALL)
    unsure = [Answer(task, "p", "unsure") for task in gold]
    one = people_accuracy(unsure, gold)["p"]
    assert one.sensitivity.n == one.specificity.n == 0 and one.unsure == 1 and one.n == len(gold)
    answers = [box_answer("a", (10, 20, 10, 20)), Answer(TASK, "b", "unsure")]
    assert consensus_of(answers, people_accuracy(answers)).presence == consensus_of(answers[:1], people_accuracy(answers)).presence


# -- boxes ------------------------------------------------------------------------------------------------------------------------


def test_one_who_slips_moves_the_box_little():
    exact = [box_answer(name, (20, 40, 30, 60)) for name in "abcd"]
    found = together(*exact, box_answer("e", (20, 80, 30, 60)))
    assert found.boxes[0].box_in(SHAPE_RC).row_stop in (40, 41)
    assert found.boxes[0].people == ("a", "b", "c", "d", "e") and found.boxes[0].spread_px > 5


def test_several_parts_are_matched_whatever_the_order_of_boxes():
    left, right = (20, 40, 10, 30), (20, 40, 70, 90)
    found = together(box_answer("a", left, right), box_answer("b", right, left), box_answer("c", (22, 42, 70, 90)))
    assert [one.box_in(SHAPE_RC).col_start for one in found.boxes] == [10, 70]
    assert [one.people for one in found.boxes] == [("a", "b"), ("a", "b", "c")]


@pytest.mark.parametrize(("joined", "parts"), [(2, 1), (1, 2)])
def test_one_box_around_parts_that_others_draw_apart_goes_by_the_majority(joined, parts):
    answers = [box_answer(f"joined{n}", (20, 40, 10, 60)) for n in range(joined)]
    answers += [box_answer(f"apart{n}", (20, 40, 10, 32), (20, 40, 36, 60)) for n in range(3 - joined)]
    found = together(*answers)
    assert len(found.boxes) == parts
    assert min(one.box_in(SHAPE_RC).col_start for one in found.boxes) == 10
    assert max(one.box_in(SHAPE_RC).col_stop for one in found.boxes) == 60


def test_the_wrong_side_of_one_in_three_does_not_count_and_is_kept_as_drawn():
    found = together(box_answer("a", (20, 40, 10, 30)), box_answer("b", (21, 41, 11, 31)), box_answer("swaps", (20, 40, 90, 110)))
    assert len(found.boxes) == 1 and found.boxes[0].people == ("a", "b")
    assert [one.people for one in found.others] == [("swaps",)]
    assert found.agreement < 0.4


def test_bias_known_from_gold_is_taken_out():
    people = {"wide": Skill(edge_px=0.5, outward_share=0.2)}
    gold = gold_of(TRUTH, ALL)
    answers = answers_of(people, TRUTH, ALL, "gold") + answers_of(people, TRUTH, ALL)
    assert mean_iou(consensus_of_all(answers, gold)) > mean_iou(consensus_of_all([a for a in answers if a.task not in gold])) + 0.1


def test_the_more_people_the_better_and_better_than_any_one():
    people = {name: Skill(edge_px=1, edge_share=0.1, miss=0.1) for name in "abcdefg"}
    answers = answers_of(people, TRUTH, ALL)
    scores = [mean_iou(consensus_of_all([a for a in answers if a.person in "abcdefg"[:count]])) for count in (1, 3, 7)]
    assert scores == sorted(scores) and scores[2] > scores[0] + 0.08


def test_who_is_exact_on_known_slices_weighs_more():
    people = {"exact": Skill(edge_share=0.02), "rough": Skill(edge_share=0.2), "rough2": Skill(edge_share=0.2)}
    gold = gold_of(TRUTH, ALL)
    known, answers = answers_of(people, TRUTH, ALL, "gold"), answers_of(people, TRUTH, ALL)
    weighed = consensus_of_all(known + answers, gold)
    alone = consensus_of_all([a for a in answers if a.person != "exact"])
    assert mean_iou(weighed) > 0.88 > mean_iou(alone)


# -- presence ---------------------------------------------------------------------------------------------------------------------


def test_a_slice_passed_over_between_two_is_believed_to_show_the_object():
    answers = [a for a in answers_of({"p": Skill()}, TRUTH, ALL) if a.task.position not in (11, 12)]
    answers += [Answer(Task("case", "ball", position), "p", "absent") for position in (11, 12)]
    found = consensus_of_all(answers)
    assert found[Task("case", "ball", 11)].present and not found[Task("case", "ball", 11)].boxes
    assert not found[Task("case", "ball", 2)].present and not found[Task("case", "ball", 33)].present


def test_a_run_that_one_person_passed_over_is_no_gap_and_an_end_stays_an_end():
    answers = answers_of({"p": Skill()}, TRUTH, ALL)
    passed = [Answer(a.task, a.person, "absent") if a.task.position in range(12, 20) else a for a in answers]
    found = consensus_of_all(passed)
    assert all(found[Task("case", "ball", position)].present for position in range(5, 31))
    assert not any(found[Task("case", "ball", position)].present for position in (*range(5), *range(31, 36)))
    cut = [Answer(a.task, a.person, "absent") if a.task.position >= 20 else a for a in answers]
    assert not any(one.present for task, one in consensus_of_all(cut).items() if task.position >= 20)


def test_one_of_three_who_draws_a_run_that_two_passed_over_is_no_inventor():
    gap = range(10, 16)
    answers = answers_of({name: Skill() for name in "abc"}, TRUTH, ALL)
    answers = [Answer(a.task, a.person, "absent") if a.person in "ab" and a.task.position in gap else a for a in answers]
    assert people_accuracy(answers)["c"].specificity.value > 0.9
    found = consensus_of_all(answers)
    assert all(found[Task("case", "ball", position)].present for position in range(5, 31))


@pytest.mark.parametrize("count", [3, 5])
def test_more_forgetful_people_find_more_not_less(count):
    forgetful = Skill(edge_share=0.05, miss=0.02, forgets=0.3)
    answers = answers_of(dict.fromkeys("abcde"[:count], forgetful), TRUTH, ALL)
    assert min(one.specificity.value for one in people_accuracy(answers).values()) > 0.85
    found = consensus_of_all(answers)
    right = [one.present == bool(TRUTH.at(task.position)) for task, one in found.items()]
    assert np.mean(right) > 0.97


def test_several_who_say_no_are_believed_on_a_long_run():
    answers = answers_of({name: Skill() for name in "abc"}, TRUTH, ALL)
    gap = range(14, 19)
    answers = [Answer(a.task, a.person, "absent") if a.task.position in gap else a for a in answers]
    found = consensus_of_all(answers)
    assert not any(found[Task("case", "ball", position)].present for position in gap)
    assert found[Task("case", "ball", 13)].present and found[Task("case", "ball", 19)].present


def test_one_box_far_from_all_others_is_not_believed_where_the_neighbors_say_no():
    answers = [Answer(Task("case", "ball", position), "p", "absent") for position in range(20) if position != 9]
    assert not consensus_of_all([*answers, box_answer("p", (20, 40, 10, 30))])[TASK].present
    others = [box_answer(name, (20, 40, 10, 30)) for name in "abcd"]
    assert consensus_of_all([*answers, *others])[TASK].present


def test_a_reviewers_decision_is_final():
    answers = answers_of({name: Skill() for name in "abc"}, TRUTH, ALL)
    other = Box2D(1, 9, 1, 9)
    first, second = Task("case", "ball", 10), Task("case", "ball", 20)
    found = consensus_of_all(answers, decisions={first: Decided("box", (other,)), second: Decided("absent")})
    assert [one.box_in(SHAPE_RC) for one in found[first].boxes] == [other] and found[first].presence == 1
    assert found[second].presence == 0 and not found[second].boxes and found[second].final
    never_asked = Task("case", "ball", 50)
    assert never_asked in consensus_of_all(answers, decisions={never_asked: Decided("absent")})


def test_what_is_known_stands_beside_what_is_asked_and_is_no_consensus_elsewhere():
    answers = answers_of({"p": Skill(edge_px=3)}, TRUTH, ALL) + answers_of({"p": Skill(edge_px=3)}, TRUTH, ALL, "gold")
    gold = {**gold_of(TRUTH, [10], "case"), **gold_of(TRUTH, ALL)}
    found = consensus_of_all(answers, gold)
    assert {task.volume for task in found} == {"case"}
    assert found[Task("case", "ball", 10)].source == "known"
    assert edges_iou(found[Task("case", "ball", 10)].boxes[0].edges_rc_px, edges_of(TRUTH.at(10)[0])) == 1


def test_two_who_drew_different_places_are_decided_by_the_slices_beside():
    people = {name: Skill() for name in "ab"}
    answers = answers_of(people, TRUTH, ALL)
    box = TRUTH.at(15)[0]
    far = Box2D(box.row_start, box.row_stop, 120 - box.col_stop, 120 - box.col_start).shifted(-20, 0)
    task = Task("case", "ball", 15)
    answers = [Answer(task, "a", "box", (far,)) if (a.task, a.person) == (task, "a") else a for a in answers]
    found = consensus_of_all(answers)[task]
    assert [one.box_in(SHAPE_RC) for one in found.boxes] == [box] and found.boxes[0].expected_iou > 0.8
    assert [one.box_in(SHAPE_RC) for one in found.others] == [far]


# -- order ------------------------------------------------------------------------------------------------------------------------


def test_the_same_answers_in_any_order_give_the_same():
    people = {"a": Skill(edge_share=0.1), "b": Skill(edge_share=0.1, miss=0.3), "c": Skill(swaps=0.3), "d": Skill(random_share=0.3)}
    gold = gold_of(TRUTH, range(0, 36, 4))
    answers = answers_of(people, TRUTH, ALL) + answers_of(people, TRUTH, range(0, 36, 4), "gold")
    first = consensus_of_all(answers, gold)
    random.Random(3).shuffle(answers)
    assert consensus_of_all(answers, gold) == first
    assert people_accuracy(answers, gold) == people_accuracy(sorted(answers, key=lambda a: a.task), gold)


def test_nobody_and_nothing():
    assert consensus_of_all([]) == {} and people_accuracy([]) == {}
