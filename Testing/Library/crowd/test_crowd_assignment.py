"""Who is asked what: k people a task, nobody twice, balanced, reservations that expire, known answers unseen, training first."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from crowd_cases import a_crowd_project

from SAM2AnnotateLib.crowd.assignment import Done, Reservation, feedback_on, next_task, remaining
from SAM2AnnotateLib.crowd.records import CrowdRecords
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Box2D

NOW = datetime(2027, 1, 1, 9, tzinfo=timezone.utc)
BOX = Box2D(2, 9, 3, 8)


def a_crowd(records: CrowdRecords, tmp_path, people: int, **entries):
    project = a_crowd_project(tmp_path / "balls", **entries)
    records.add_project(project)
    return project, [records.add_member("balls", f"Person {n}") for n in range(people)]


def work(records, project, person, rng, now=NOW, most=1000):
    """Answer until there is nothing left; the turns."""
    turns = []
    while len(turns) < most:
        given = next_task(records, project, person, now, rng)
        if isinstance(given, Done):
            return turns
        records.save_answer(person, given.id, "box", [BOX], 3.0, now=now)
        turns.append(given)
    return turns


def test_each_task_goes_to_k_people_and_nobody_gets_one_twice(records, tmp_path):
    project, people = a_crowd(records, tmp_path, 4, volumes=2, gold=0, people_per_slice=3)
    rng = np.random.default_rng(1)
    open_people, answered = list(people), Counter()
    while open_people:  # in turns, so that nobody is through before the others begin
        for person in list(open_people):
            turns = work(records, project, person, rng, most=1)
            answered.update((person.id, one.turn.task) for one in turns)
            if not turns:
                open_people.remove(person)
    per_task = Counter(task for _, task in answered)
    assert len(per_task) == 16 and set(per_task.values()) == {3}
    assert set(answered.values()) == {1}
    assert {one.task for one in records.answers("balls")} == set(project.tasks())
    assert records.progress("balls").answered == records.progress("balls").wanted == 48


def test_all_have_one_answer_before_any_has_two_and_volumes_go_forward_together(records, tmp_path):
    project, people = a_crowd(records, tmp_path, 2, volumes=3, gold=0, people_per_slice=2)
    rng = np.random.default_rng(2)
    first = work(records, project, people[0], rng, most=12)
    assert Counter(one.turn.task.volume for one in first) == {"p0": 4, "p1": 4, "p2": 4}
    work(records, project, people[1], rng, most=12)
    assert set(Counter(one.task for one in records.answers("balls")).values()) == {1}
    assert len({one.task for one in records.answers("balls")}) == 24


def test_the_same_task_is_given_again_until_it_is_answered(records, tmp_path):
    project, people = a_crowd(records, tmp_path, 1, volumes=1, gold=0)
    rng = np.random.default_rng(3)
    first = next_task(records, project, people[0], NOW, rng)
    assert next_task(records, project, people[0], NOW + timedelta(minutes=9), rng).id == first.id


def test_a_reservation_that_expired_is_given_to_the_next(records, tmp_path):
    project, people = a_crowd(records, tmp_path, 2, volumes=1, gold=0, people_per_slice=1, slices={"first": 3, "last": 3})
    rng = np.random.default_rng(4)
    first = next_task(records, project, people[0], NOW, rng)
    refused = next_task(records, project, people[1], NOW + timedelta(minutes=14), rng)
    assert isinstance(refused, Done) and "Others are at work" in refused.why
    later = next_task(records, project, people[1], NOW + timedelta(minutes=16), rng)
    assert isinstance(later, Reservation) and later.turn.task == first.turn.task and later.id != first.id


def test_what_somebody_held_who_signs_out_or_is_shut_out_is_given_to_the_next_at_once(records, tmp_path):
    project, people = a_crowd(records, tmp_path, 3, volumes=1, gold=0, people_per_slice=1, slices={"first": 3, "last": 3})
    rng = np.random.default_rng(7)
    first = next_task(records, project, people[0], NOW, rng)
    assert isinstance(next_task(records, project, people[1], NOW, rng), Done)
    records.end_session(records.open_session(people[0], now=NOW), now=NOW)
    second = next_task(records, project, people[1], NOW, rng)
    assert isinstance(second, Reservation) and second.turn.task == first.turn.task
    records.set_disabled("balls", "Person 1", True, now=NOW)
    assert isinstance(next_task(records, project, people[2], NOW, rng), Reservation)
    # What they drew is taken all the same: aside, as somebody else has the slice, and it counts once that one has given up.
    assert records.save_answer(people[0], first.id, "box", [BOX], now=NOW).counted is False


def test_what_was_held_at_sign_out_is_not_taken_for_given_back(records, tmp_path):
    project, (person,) = a_crowd(records, tmp_path, 1, volumes=1, gold=0)
    rng = np.random.default_rng(8)
    declined = next_task(records, project, person, NOW, rng)
    records.release(person, declined.id)
    held = next_task(records, project, person, NOW, rng)
    records.end_session(records.open_session(person, now=NOW), now=NOW)
    turns = [one.id for one in work(records, project, person, rng)]
    assert len(turns) == 8 and turns[-1] == declined.id and held.id in turns[:-1]


def test_a_late_answer_counts_if_it_is_needed_and_is_kept_aside_if_not(records, tmp_path):
    project, (late, other) = a_crowd(records, tmp_path, 2, volumes=1, gold=0, people_per_slice=1, slices={"first": 3, "last": 4})
    rng = np.random.default_rng(5)
    first = next_task(records, project, late, NOW, rng)
    saved = records.save_answer(late, first.id, "absent", now=NOW + timedelta(hours=5))
    assert saved is not None and saved.counted
    second = next_task(records, project, late, NOW + timedelta(hours=5), rng)
    hours_later = NOW + timedelta(hours=9)
    given = next_task(records, project, other, hours_later, rng)
    assert given.turn.task == second.turn.task
    aside = records.save_answer(late, second.id, "box", [BOX], now=hours_later)
    assert aside is not None and not aside.counted
    assert len(records.answers("balls")) == 1 and len(records.answers("balls", aside=True)) == 2
    # The other gives up: now the answer that was kept aside is needed, and nobody else is asked.
    day_later = NOW + timedelta(days=1)
    assert isinstance(next_task(records, project, records.add_member("balls", "Third"), day_later, rng), Done)
    assert {one.kind for one in records.answers("balls")} == {"absent", "box"}
    assert records.save_answer(other, given.id, "box", [BOX], now=day_later).counted is False


def test_what_was_given_back_comes_last(records, tmp_path):
    project, (person, _) = a_crowd(records, tmp_path, 2, volumes=1, gold=0)
    rng = np.random.default_rng(6)
    first = next_task(records, project, person, NOW, rng)
    assert records.release(person, first.id)
    turns = work(records, project, person, rng)
    assert len(turns) == 8 and turns[-1].turn.task == first.turn.task and turns[-1].id == first.id
    assert records.release(person, first.id) and records.answer_of(person, first.id) is not None  # what is answered stays


def test_training_comes_first_and_the_known_answers_are_mixed_in_at_their_rate(records, tmp_path):
    project, people = a_crowd(records, tmp_path, 1, volumes=4, gold=4, gold_share=0.3, training_count=4, people_per_slice=1)
    turns = work(records, project, people[0], np.random.default_rng(7))
    assert [one.training for one in turns] == [True] * 4 + [False] * (len(turns) - 4)
    kinds = [one.turn.kind for one in turns[4:]]
    assert kinds.count("real") == 32
    assert 0.1 < kinds.count("gold") / len(kinds) < 0.45
    known = records.gold_answers("balls")
    assert {one.turn.task for one in turns if one.turn.kind != "real"} <= set(known)
    # The training round asks for both: slices with the object and without.
    assert {known[one.turn.task].kind for one in turns[:4]} == {"box", "absent"}
    # Another person's known answers come at other places.
    other = work(records, project, records.add_member("balls", "Other"), np.random.default_rng(8))
    assert all(one.turn.kind != "real" for one in other) and not [one for one in other if one.turn.kind == "gold"]


def practice(records, project, person, rng, right):
    """Answer what comes as long as it is practice, right or wrong as `right` says for the n-th; the tasks, and what came after."""
    known, tasks = records.gold_answers("balls"), []
    while (given := next_task(records, project, person, NOW, rng)).training:
        answer = known[given.turn.task]
        kind, boxes = (answer.kind, answer.boxes_rc) if right(len(tasks)) else ("unsure", ())
        records.save_answer(person, given.id, kind, boxes, 3.0, now=NOW)
        tasks.append(given.turn.task)
        assert len(tasks) < 50
    return tasks, given


def test_with_a_pass_mark_what_was_wrong_in_practice_comes_again_until_enough_is_right(records, tmp_path):
    project, (anna, ben, carl) = a_crowd(records, tmp_path, 3, volumes=1, gold=1, training_count=4, training_pass=0.75)
    rng = np.random.default_rng(9)
    tasks, after = practice(records, project, anna, rng, lambda n: n != 1)  # 3 of 4 are enough
    assert len(tasks) == 4 and after.turn.kind == "real"
    tasks, after = practice(records, project, ben, rng, lambda n: n in (0, 2, 5, 6))
    assert len(set(tasks[:4])) == 4 and after.turn.kind == "real"
    assert set(tasks[4:]) <= {tasks[1], tasks[3]} and len(tasks) == 6  # wrong once more, then right: 3 of 4
    said = [one for one in records.answers("balls", every_round=True) if one.person == ben.pseudonym]
    assert len(said) == 6 and len([one for one in records.answers("balls") if one.person == ben.pseudonym]) == 4
    practice(records, project, carl, rng, lambda n: n >= 4)
    assert remaining(records, project, carl).training_left == 0


def test_during_practice_nothing_is_given_ahead_and_what_is_left_is_told(records, tmp_path):
    project, (anna,) = a_crowd(records, tmp_path, 1, volumes=1, gold=1, training_count=2, training_pass=1.0)
    rng = np.random.default_rng(10)
    first = next_task(records, project, anna, NOW, rng)
    second = next_task(records, project, anna, NOW, rng, have=[first.id])
    assert second.training and remaining(records, project, anna).training_left == 2
    ahead = next_task(records, project, anna, NOW, rng, have=[first.id, second.id])
    assert isinstance(ahead, Done) and "Practice comes first" in ahead.why
    for one in (first, second):
        records.save_answer(anna, one.id, "unsure", now=NOW)
    assert remaining(records, project, anna).training_left == 2
    known = records.gold_answers("balls")
    for one in (first, second):
        again = next_task(records, project, anna, NOW, rng)
        assert again.id == one.id and again.turn.answered and again.training  # until it is answered
        assert isinstance(next_task(records, project, anna, NOW, rng, have=[again.id]), Done)
        records.save_answer(anna, one.id, known[one.turn.task].kind, known[one.turn.task].boxes_rc, now=NOW)
    assert next_task(records, project, anna, NOW, rng).turn.kind == "real" and remaining(records, project, anna).training_left == 0


def test_without_a_pass_mark_who_has_practiced_is_through(records, tmp_path):
    project, (anna,) = a_crowd(records, tmp_path, 1, volumes=1, gold=1, training_count=4)
    tasks, after = practice(records, project, anna, np.random.default_rng(11), lambda _n: False)
    assert len(tasks) == 4 and after.turn.kind == "real"


def test_the_order_of_known_answers_differs_between_people(records, tmp_path):
    project, people = a_crowd(records, tmp_path, 2, volumes=2, gold=2, gold_share=0.3, people_per_slice=2)
    one, two = (
        [turn.turn.kind == "real" for turn in work(records, project, who, np.random.default_rng(n))] for n, who in enumerate(people)
    )
    assert one[:30] != two[:30]


def test_what_is_left_falls_by_one_whatever_was_answered(records, tmp_path):
    project, people = a_crowd(records, tmp_path, 1, volumes=6, gold=4, gold_share=0.3, people_per_slice=1)
    rng, told = np.random.default_rng(9), []
    for _ in range(19):
        given = next_task(records, project, people[0], NOW, rng)
        told.append((given.remaining.left, given.turn.kind))
        records.save_answer(people[0], given.id, "absent", now=NOW)
    assert {kind for _, kind in told} == {"real", "gold"}
    assert [left for left, _ in told] == list(range(told[0][0], told[0][0] - 19, -1))
    assert remaining(records, project, people[0]).done == 19


def test_two_at_once_never_exceed_k(records, tmp_path):
    project, people = a_crowd(records, tmp_path, 8, volumes=1, gold=0, people_per_slice=2)
    faults: list[Exception] = []

    def run(person, seed):
        try:
            work(records, project, person, np.random.default_rng(seed))
        except Exception as exc:  # noqa: BLE001 - told by the test
            faults.append(exc)

    threads = [threading.Thread(target=run, args=(person, n)) for n, person in enumerate(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    answers = records.answers("balls", aside=True)
    assert set(Counter(one.task for one in answers).values()) == {2} and len(answers) == 16
    assert len({(one.task, one.person) for one in answers}) == 16


def test_a_stranger_gets_nothing(records, tmp_path):
    project, _ = a_crowd(records, tmp_path, 1)
    other = a_crowd_project(tmp_path / "other")
    records.add_project(other)
    stranger = records.add_member("other", "Stranger")
    with pytest.raises(InputError, match="is not in the project 'balls'"):
        next_task(records, project, stranger, NOW, np.random.default_rng(0))


def test_tasks_that_are_no_longer_asked_are_not_given_and_their_answers_stay(records, tmp_path):
    project, people = a_crowd(records, tmp_path, 1, volumes=1, gold=0)
    rng = np.random.default_rng(10)
    work(records, project, people[0], rng, most=3)
    fewer = a_crowd_project(tmp_path / "balls", volumes=1, gold=0, slices={"first": 0, "last": 1}, people_per_slice=1)
    records.add_project(fewer)
    later = work(records, fewer, people[0], rng)
    assert {one.turn.task.position for one in later} <= {6, 7}
    assert len(records.answers("balls")) == 3 + len(later)


@pytest.mark.parametrize(
    ("kind", "boxes", "known", "right", "told"),
    [
        ("box", [(0, 10, 0, 10)], [(0, 10, 0, 10)], True, "overlap of 100%"),
        ("box", [(0, 10, 0, 5)], [(0, 10, 0, 10)], False, "overlap by 50%"),
        ("box", [(0, 10, 0, 10)], [], False, "not on this slice"),
        ("absent", [], [], True, "Right: it is not on this slice"),
        ("absent", [], [(0, 10, 0, 10)], False, "It is here"),
        ("unsure", [], [(0, 10, 0, 10)], False, "You were not sure. It is here"),
        ("box", [(0, 10, 0, 10)], [(0, 10, 0, 5), (0, 10, 5, 10)], True, "has 2 parts"),
    ],
)
def test_feedback(kind, boxes, known, right, told):
    found = feedback_on(kind, [Box2D(*one) for one in boxes], [Box2D(*one) for one in known], 0.6)
    assert found.right is right and told in found.text


def test_a_page_that_has_a_task_already_gets_another_one_ahead(records, tmp_path):
    project, [person] = a_crowd(records, tmp_path, 1, volumes=1, gold=0)
    rng = np.random.default_rng(3)
    first = next_task(records, project, person, NOW, rng)
    ahead = next_task(records, project, person, NOW, rng, [first.id])
    assert ahead.turn.task != first.turn.task
    assert next_task(records, project, person, NOW, rng, [first.id]).id == ahead.id
    assert next_task(records, project, person, NOW, rng, []).id == first.id  # a page that was loaded anew
    third = next_task(records, project, person, NOW, rng, [first.id, ahead.id])
    records.save_answer(person, first.id, "absent", [], 1.0, now=NOW)
    assert next_task(records, project, person, NOW, rng, [first.id]).id == ahead.id
    assert next_task(records, project, person, NOW, rng, [ahead.id, "no such id"]).id == third.id


@pytest.mark.parametrize("entries", [{"gold": 0}, {"gold": 1, "training_count": 6, "gold_share": 0}])
def test_nobody_holds_more_than_a_few_whatever_their_page_has(records, tmp_path, entries):
    project, [person] = a_crowd(records, tmp_path, 1, volumes=2, **entries)
    rng, have = np.random.default_rng(4), []
    while not isinstance(given := next_task(records, project, person, NOW, rng, have), Done):
        have.append(given.id)
    assert len(have) == len(set(have)) == 8
    assert given.remaining.left > 0
    assert "several slices open already" in given.why
    late = NOW + timedelta(days=1)  # what expired in the page's hands is not given to it again, but another one is
    again = next_task(records, project, person, late, rng, have)
    assert again.id not in have


def test_a_server_gives_nothing_that_only_a_newer_project_file_names(records, tmp_path):
    older, people = a_crowd(records, tmp_path / "older", 1, volumes=1, gold=0, people_per_slice=1)
    newer = a_crowd_project(tmp_path / "newer" / "balls", volumes=2, gold=0, people_per_slice=1)
    assert newer.key == older.key
    records.add_project(newer)
    given = work(records, older, people[0], np.random.default_rng(3))
    assert {one.turn.task for one in given} == set(older.tasks())
    rest = work(records, newer, people[0], np.random.default_rng(3))
    assert {one.turn.task for one in rest} == set(newer.tasks()) - set(older.tasks()) != set()
