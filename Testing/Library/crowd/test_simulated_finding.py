"""Who answers at random is found over many crowds, and nobody is told of without a reason."""

from __future__ import annotations

from SAM2AnnotateLib.crowd.answers import GoldAnswer, Task
from SAM2AnnotateLib.crowd.simulated import PEOPLE, ObjectTruth
from SAM2AnnotateLib.crowd.simulated.finding import random_people_found
from SAM2AnnotateLib.geometry import Box2D

BALL = ObjectTruth((100, 120), {position: (Box2D(20 + position, 50 + position, 40, 80),) for position in range(4, 28)})
TRUTHS = {("scan", "ball"): BALL, ("known", "ball"): BALL}
ASKED = [Task("scan", "ball", position) for position in range(32)]
KNOWN = {Task("known", "ball", p): GoldAnswer(Task("known", "ball", p), BALL.at(p)) for p in range(0, 32, 2)}


def found(random_share: float, known=KNOWN, seed=3):
    skills = [PEOPLE["typical"]] * 3
    return random_people_found(
        TRUTHS, ASKED, known, skills, per_slice=3, random_share=random_share, crowds=6, answers=48, seed=seed
    )  # fmt: skip


def test_who_answers_half_at_random_is_told_of_and_the_others_are_not():
    for known in (KNOWN, {}):
        done = found(0.5, known)
        assert (done.bad, done.good) == (6, 12)
        assert done.found >= 5 and done.accused == 0


def test_where_nobody_answers_at_random_nobody_is_told_of():
    done = found(0.0)
    assert (done.found, done.accused) == (0, 0)


def test_known_slices_are_shared_out_and_the_count_can_be_repeated():
    done = found(0.2)
    assert done.answers == 48
    assert done == found(0.2)
    assert found(0.2, {}).answers == 32  # no more than there are slices
