"""Smaller and worse crowds from one crowd's answers: the same answers, fewer of them."""

from __future__ import annotations

import pytest

from SAM2AnnotateLib.crowd.answers import Answer, Task
from SAM2AnnotateLib.crowd.simulated.thinning import box_count, every_nth, of_people, with_missing_boxes
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Box2D

BOX = (Box2D(1, 5, 2, 6),)
ANSWERS = [
    Answer(Task(volume, "ball", position), person, "box" if 2 <= position < 22 else "absent", BOX if 2 <= position < 22 else (), gold=gold)
    for person in ("ann", "bob")
    for volume, gold in (("scan", False), ("known", True))
    for position in range(24)
]


def lost(answers: list[Answer], person: str) -> list[int]:
    """Positions on which the ball is, and on which this person says that it is not."""
    said = [one for one in answers if not one.gold and one.person == person and one.kind == "absent"]
    return [one.task.position for one in said if 2 <= one.task.position < 22]


def test_fewer_people_and_fewer_slices_keep_what_is_left_as_it_was():
    assert of_people(ANSWERS, {"bob"}) == ANSWERS[48:]
    kept = every_nth(of_people(ANSWERS, {"ann"}), 4, first=2)
    assert [one.task.position for one in kept if not one.gold] == [2, 6, 10, 14, 18, 22]
    assert sum(one.gold for one in kept) == 24
    assert box_count(ANSWERS) == 40


def test_scattered_boxes_go_missing_for_each_person_elsewhere():
    thinned = with_missing_boxes(ANSWERS, 0.3, "scattered", seed=1)
    assert len(lost(thinned, "ann")) == len(lost(thinned, "bob")) == 6
    assert lost(thinned, "ann") != lost(thinned, "bob")
    assert thinned == with_missing_boxes(ANSWERS, 0.3, "scattered", seed=1) != with_missing_boxes(ANSWERS, 0.3, "scattered", seed=2)
    known = [one for one in thinned if one.gold and one.person == "ann" and 2 <= one.task.position < 22]
    assert sum(one.kind == "absent" for one in known) == 6  # who forgets, forgets there, too
    assert [one.task for one in thinned] == [one.task for one in ANSWERS]


def test_a_run_of_boxes_goes_missing():
    for person in ("ann", "bob"):
        positions = lost(with_missing_boxes(ANSWERS, 0.3, "run", seed=5), person)
        assert positions == list(range(positions[0], positions[0] + 6))


def test_all_and_none_may_be_missing_and_no_other_way_is():
    assert with_missing_boxes(ANSWERS, 0, "run", 0) == ANSWERS
    assert box_count(with_missing_boxes(ANSWERS, 1, "run", 0)) == 0
    with pytest.raises(InputError, match="one of scattered, run"):
        with_missing_boxes(ANSWERS, 0.3, "everywhere", 0)
