"""Which state of an object holds which: older, equal, newer, apart, unknown."""

from __future__ import annotations

import pytest

from SAM2AnnotateLib.review.lineage import Lineage


def advanced(lineage: Lineage, times: int = 1) -> Lineage:
    for _ in range(times):
        lineage.advance()
    return lineage


def kept(lineage: Lineage) -> Lineage:
    """As a scene or a journal brings it back."""
    return Lineage.from_json(lineage.to_json())


def test_a_state_holds_itself_and_what_it_was_made_from():
    work = advanced(Lineage(), 3)
    old = kept(work)
    advanced(work)
    assert work.holds(kept(work)) and work.holds(old) and not old.holds(work)


def test_a_state_of_a_later_session_holds_those_of_the_earlier_ones():
    first = advanced(Lineage(), 5)
    second = advanced(kept(first), 2)
    third = advanced(kept(second))
    assert third.holds(first) and third.holds(second) and not first.holds(third) and not second.holds(third)


def test_two_states_that_were_made_from_one_hold_neither_the_other():
    start = advanced(Lineage(), 5)
    one, other = advanced(kept(start)), advanced(kept(start), 9)
    went_on = advanced(start)
    for a, b in ((one, other), (other, one), (one, went_on), (went_on, one)):
        assert not a.holds(b)


def test_two_objects_have_nothing_in_common_and_an_unknown_state_is_held_by_nobody():
    work, another = advanced(Lineage()), advanced(Lineage())
    assert not work.holds(another) and not work.holds(Lineage()) and not Lineage().holds(work) and not Lineage().is_known


@pytest.mark.parametrize("stored", [None, {}, "a", [["a"]], [["a", "1"]], [[1, 1]], [["a", True]], [None]])
def test_what_is_no_lineage_is_an_unknown_one(stored):
    assert not Lineage.of({"lineage": stored}).is_known


def test_the_list_of_branches_stays_short():
    work = Lineage()
    for _session in range(150):
        before = kept(work)
        work = advanced(kept(work))
    assert len(work.to_json()) == 100 and work.holds(before)
