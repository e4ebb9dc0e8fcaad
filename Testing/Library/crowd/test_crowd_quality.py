"""Agreement, people who stand out, missing annotations, and doubts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from crowd_people import answers_of, gold_of, leaning_truth

from SAM2AnnotateLib.crowd.answers import Answer, Task
from SAM2AnnotateLib.crowd.consensus import consensus_of_all, people_accuracy
from SAM2AnnotateLib.crowd.quality import agreements, doubts, krippendorff_alpha, missing, people_report
from SAM2AnnotateLib.crowd.quality.people import binomial_tail
from SAM2AnnotateLib.crowd.simulated import PEOPLE, Skill
from SAM2AnnotateLib.geometry import Box2D

TRUTH = leaning_truth()
ALL = range(36)


def at(position: int) -> Task:
    return Task("case", "ball", position)


def reports_of(people: dict[str, Skill], gold_positions=ALL):
    gold = gold_of(TRUTH, gold_positions)
    answers = answers_of(people, TRUTH, ALL) + answers_of(people, TRUTH, gold_positions, "gold")
    return people_report(answers, consensus_of_all(answers, gold), people_accuracy(answers, gold), gold)


# -- agreement --------------------------------------------------------------------------------------------------------------------


def test_alpha_is_that_of_the_reference_package():
    krippendorff = pytest.importorskip("krippendorff")  # GPL: a reference for tests, no part of the product
    rng = np.random.default_rng(4)
    for kinds, people, units in ((2, 3, 40), (3, 5, 25), (2, 2, 200)):
        values = rng.integers(kinds, size=(people, units)).astype(float)
        values[1] = np.where(rng.random(units) < 0.7, values[0], values[1])
        values[rng.random((people, units)) < 0.25] = np.nan
        expected = krippendorff.alpha(reliability_data=values, level_of_measurement="nominal")
        found = krippendorff_alpha([[v for v in unit if np.isfinite(v)] for unit in values.T])
        assert found.value == pytest.approx(expected, abs=1e-12)
        assert found.low <= found.value <= found.high
        assert found.n == (np.isfinite(values).sum(axis=0) >= 2).sum()


def test_alpha_is_one_where_all_agree_and_unknown_where_chance_would_too():
    assert krippendorff_alpha([["box", "box"], ["absent", "absent"]]).value == 1
    assert np.isnan(krippendorff_alpha([["box", "box"], ["box"]]).value)
    assert np.isnan(krippendorff_alpha([]).value)
    assert krippendorff_alpha([["box", "absent"]] * 20).value < 0


def test_agreement_on_each_object_and_volume():
    people = {name: Skill(edge_share=0.05) for name in "abc"}
    answers = answers_of(people, TRUTH, ALL) + answers_of({"a": Skill(), "b": Skill(miss=0.5)}, TRUTH, ALL, "other")
    whole, case, other = agreements(answers)
    assert (whole.volume, case.volume, other.volume) == ("", "case", "other")
    assert case.alpha.value > 0.95 > other.alpha.value and 0.6 < case.box_iou < 0.98 and other.box_iou == 1
    assert case.box_iou < case.box_dice < 1 and other.box_dice == 1
    assert whole.pairs == case.pairs + other.pairs == 3 * 36 + 36
    unsure = [Answer(at(1), "a", "unsure"), Answer(at(1), "b", "absent")]
    assert agreements(unsure)[0].pairs == 0 and np.isnan(agreements(unsure)[0].box_iou)


# -- people -----------------------------------------------------------------------------------------------------------------------


def test_who_answers_at_random_is_found_and_nobody_else():
    people = {"one": PEOPLE["typical"], "two": PEOPLE["typical"], "three": PEOPLE["hasty"], "dice": PEOPLE["random"]}
    found = reports_of(people)
    assert [name for name, one in found.items() if one.is_random] == ["dice"]
    assert "where the object cannot be" in found["dice"].words[0]
    assert found["dice"].off[0] > 10 and found["one"].off[0] <= 1


def test_ten_in_a_hundred_at_random_are_found_with_enough_answers():
    truth = {f"case{n}": leaning_truth(first=4 + n, last=28 + n) for n in range(4)}
    people = {"a": PEOPLE["typical"], "b": PEOPLE["typical"], "c": PEOPLE["careful"], "tenth": PEOPLE["random_10"]}
    answers = [one for volume, shape in truth.items() for one in answers_of(people, shape, range(40), volume)]
    found = people_report(answers, consensus_of_all(answers), people_accuracy(answers))
    assert [name for name, one in found.items() if one.is_random] == ["tenth"]


def test_who_passes_over_slices_is_not_taken_for_random():
    found = reports_of({"a": PEOPLE["typical"], "b": PEOPLE["careful"], "passes": PEOPLE["forgetful"]})
    assert any("passes over" in word for word in found["passes"].words) and not found["passes"].is_random
    assert not any("passes over" in word for name in "ab" for word in found[name].words)


def test_bias_and_speed_are_told_with_their_intervals():
    people = {
        "wide": Skill(edge_px=1, outward_share=0.15, seconds=8), "right": Skill(edge_px=1, shift_share_rc=(0, 0.15), seconds=8),
        "quick": Skill(edge_px=1, seconds=1), "plain": Skill(edge_px=1, seconds=8),
    }  # fmt: skip
    found = reports_of(people)
    assert 0.08 < found["wide"].outward.low < found["wide"].outward.value < found["wide"].outward.high < 0.2
    assert any("too large" in word for word in found["wide"].words)
    assert any("too far right" in word for word in found["right"].words) and abs(found["right"].shift_rc[0].value) < 0.05
    assert any("within 1." in word or "within 0." in word for word in found["quick"].words)
    assert found["quick"].seconds.low <= found["quick"].seconds.value <= found["quick"].seconds.high
    assert found["plain"].words == ()


def test_without_known_slices_nothing_is_said_of_bias():
    answers = answers_of({"wide": Skill(outward_share=0.2), "b": Skill()}, TRUTH, ALL)
    found = people_report(answers, consensus_of_all(answers), people_accuracy(answers))
    assert found["wide"].outward.n == 0 and found["wide"].words == ()


def test_the_binomial_tail_is_exact():
    assert binomial_tail(0, 0, 0.02) == binomial_tail(0, 10, 0.02) == 1
    assert binomial_tail(10, 10, 0.5) == pytest.approx(2**-10)
    assert binomial_tail(1, 3, 0.25) == pytest.approx(1 - 0.75**3)


# -- missing and doubts -----------------------------------------------------------------------------------------------------------


def consensus_with(changed: dict[int, list[Answer]] | None = None, people: str = "ab"):
    answers = answers_of({name: Skill() for name in people}, TRUTH, ALL)
    answers = [one for one in answers if one.task.position not in (changed or {})]
    return consensus_of_all(answers + [one for some in (changed or {}).values() for one in some])


def kinds_at(found, position: int) -> set[str]:
    return {one.kind for one in found if one.task.position == position}


def test_exact_answers_leave_little_in_doubt():
    found = doubts(consensus_with(people="abc"))
    assert max(one.value for task, one in found.items() if 7 < task.position < 28) == 0
    assert set(found) == {at(position) for position in ALL}


def test_gaps_jumps_and_disagreement_are_found_with_their_reasons():
    box = TRUTH.at(20)[0]
    small = Box2D(box.row_start, box.row_start + 6, box.col_start, box.col_start + 6)
    far = Box2D(80, 95, 2, 20)
    changed = {
        12: [Answer(at(12), "a", "absent")],
        16: [Answer(at(16), "a", "box", TRUTH.at(16)), Answer(at(16), "b", "absent")],
        20: [Answer(at(20), "a", "box", (small,)), Answer(at(20), "b", "box", (small,))],
        24: [Answer(at(24), "a", "box", (far,)), Answer(at(24), "b", "box", (far,))],
        26: [Answer(at(26), "a", "unsure"), Answer(at(26), "b", "box", TRUTH.at(26))],
    }
    consensus = consensus_with(changed)
    found = missing(consensus)
    assert "gap" in kinds_at(found, 12) and "absence" in kinds_at(found, 16)
    assert "jump" in kinds_at(found, 20) and "jump" in kinds_at(found, 24) and "few" in kinds_at(found, 26)
    doubted = doubts(consensus)
    assert all(doubted[at(position)].value > 0.3 for position in changed)
    assert doubted[at(12)].reasons[0].startswith("nobody drew the object here")
    assert doubted[at(24)].reasons[0] == "the box lies elsewhere than those of the slices beside"


def test_an_end_at_full_size_is_in_doubt_on_both_sides():
    answers = answers_of({"a": Skill(), "b": Skill()}, TRUTH, ALL)
    answers = [Answer(one.task, one.person, "absent") if one.task.position >= 19 else one for one in answers]
    found = missing(consensus_of_all(answers))
    assert "end" in kinds_at(found, 18) and "end" in kinds_at(found, 19) and "end" not in kinds_at(found, 5)


@dataclass(frozen=True)
class Mask:
    mask: np.ndarray
    boxes_rc: tuple = ()
    agreement: float | None = None
    disagreement: float | None = None
    predicted_iou: float = 0.9
    object_score: float = 1.0
    words: str = ""


def test_what_propagation_expects_raises_a_doubt():
    full, empty = np.ones((4, 4), dtype=bool), np.zeros((4, 4), dtype=bool)
    consensus = consensus_with(people="abc")
    boxes = TRUTH.at(15)
    results = {
        at(14): Mask(full, boxes, 0.95, 0.02), at(15): Mask(full, boxes, 0.2, 0.02), at(16): Mask(full, (), None, 0.1),
        at(17): Mask(full, boxes, 0.9, 0.6), at(18): Mask(empty, boxes, None, None), at(19): Mask(full, boxes, 0.9, 0.0, 0.2),
        Task("case", "ball", 70): Mask(full, (), None, 0.1),
    }  # fmt: skip
    found = doubts(consensus, results=results)
    assert found[at(14)].value == 0
    assert all(found[at(position)].value > 0.3 for position in (15, 16, 17, 18, 19))
    assert "another mask (DSC 0.20)" in found[at(15)].reasons[0] and found[Task("case", "ball", 70)].value > 0.2


def test_what_a_reviewer_decided_is_in_no_doubt():
    @dataclass(frozen=True)
    class Decided:
        kind: str
        boxes_rc: tuple[Box2D, ...] = ()

    answers = [Answer(at(16), "a", "box", TRUTH.at(16)), Answer(at(16), "b", "absent")]
    consensus = consensus_of_all(answers, decisions={at(16): Decided("absent")})
    assert doubts(consensus, results={at(16): Mask(np.zeros((4, 4), dtype=bool))})[at(16)].value == 0


def test_answers_without_looking_put_their_slices_in_doubt():
    people = {"a": PEOPLE["careful"], "b": PEOPLE["careful"], "dice": PEOPLE["random"]}
    answers = answers_of(people, TRUTH, ALL)
    consensus = consensus_of_all(answers)
    reports = people_report(answers, consensus, people_accuracy(answers))
    with_people, without = doubts(consensus, answers, reports), doubts(consensus, answers)
    assert with_people[at(15)].value > without[at(15)].value
    assert any("without looking" in reason for reason in with_people[at(15)].reasons)
