"""The state of one object under review: what is known, what is locked, and what is to be computed next."""

from __future__ import annotations

import numpy as np
import pytest
from patients import drawn

from SAM2AnnotateLib.errors import PromptError
from SAM2AnnotateLib.geometry import Box2D, Extent
from SAM2AnnotateLib.prompts import Point, SlicePrompt
from SAM2AnnotateLib.propagation.results import SliceResult
from SAM2AnnotateLib.review.session import ReviewSession

SHAPE = (3, 5)
BOX = SlicePrompt(box=Box2D(0, 2, 1, 4))
PROPOSED = drawn(".##..", ".##..", ".....")
BETTER = drawn(".###.", ".###.", ".....")
CROP = Box2D(0, 3, 0, 3)


def a_result(position: int, mask=PROPOSED, crop=CROP) -> SliceResult:
    return SliceResult(position, mask.copy(), 0.9, 1.0, 0.1, crop, prompted=position == 5)


@pytest.fixture
def a_session() -> ReviewSession:
    """A prompt on slice 5 of 3..8, nothing computed."""
    return ReviewSession({5: BOX}, Extent(3, 8), SHAPE)


@pytest.fixture
def a_proposal(a_session) -> ReviewSession:
    for position in a_session.extent.indices:
        assert a_session.add_result(a_result(position))
    return a_session


def statuses(session: ReviewSession) -> str:
    """One letter a slice: e(mpty), p(roposed), s(tale), a(ccepted), c(orrected)."""
    return "".join(session.status(position).value[0] for position in session.extent.indices)


# --- what happens to a slice


def test_at_first_nothing_is_known(a_session):
    assert statuses(a_session) == "eeeeee"
    assert a_session.mask(5) is None
    assert a_session.locked == frozenset() and a_session.results == {}


def test_results_become_proposals_and_later_ones_replace_them(a_proposal):
    assert statuses(a_proposal) == "pppppp"
    assert a_proposal.add_result(a_result(4, BETTER))
    assert np.array_equal(a_proposal.mask(4), BETTER)
    assert np.array_equal(a_proposal.mask(3), PROPOSED)
    assert sorted(a_proposal.results) == [3, 4, 5, 6, 7, 8]


def test_an_accepted_slice_is_locked_as_it_is(a_proposal):
    a_proposal.accept(6)
    assert statuses(a_proposal) == "pppapp"
    assert a_proposal.locked == {6}
    assert not a_proposal.add_result(a_result(6, BETTER))
    assert np.array_equal(a_proposal.mask(6), PROPOSED)
    assert statuses(a_proposal) == "pppapp"


def test_a_slice_without_a_mask_cannot_be_accepted(a_session):
    with pytest.raises(PromptError, match="Slice 6 has no mask yet"):
        a_session.accept(6)
    assert a_session.locked == frozenset()


def test_a_corrected_slice_has_the_mask_of_the_person(a_proposal):
    drawing = BETTER.copy()
    a_proposal.correct(4, drawing)
    drawing[:] = False  # the person draws on; the locked mask does not follow
    assert statuses(a_proposal) == "scpppp", "what lies beside it is out of date, up to the prompted slice"
    assert np.array_equal(a_proposal.mask(4), BETTER)
    assert not a_proposal.add_result(a_result(4))
    assert np.array_equal(a_proposal.mask(4), BETTER)
    with pytest.raises(ValueError, match="read-only"):
        a_proposal.mask(4)[0, 0] = True


def test_a_slice_can_be_corrected_before_anything_is_computed(a_session):
    a_session.correct(7, BETTER)
    assert statuses(a_session) == "eeeece"


def test_an_empty_correction_says_that_the_object_is_not_there(a_proposal):
    a_proposal.correct(8, np.zeros(SHAPE, dtype=bool))
    assert statuses(a_proposal) == "pppssc"
    assert not a_proposal.mask(8).any()


def test_accepting_again_changes_nothing_and_correcting_again_replaces(a_proposal):
    a_proposal.correct(4, BETTER)
    a_proposal.accept(4)
    assert statuses(a_proposal) == "scpppp"
    a_proposal.accept(6)
    a_proposal.correct(6, BETTER)
    assert statuses(a_proposal) == "scpcss"
    a_proposal.correct(6, PROPOSED)
    assert np.array_equal(a_proposal.mask(6), PROPOSED)


def test_an_unlocked_slice_is_a_proposal_that_results_may_change(a_proposal):
    a_proposal.accept(6)
    a_proposal.unlock(6)
    assert statuses(a_proposal) == "pppppp"
    assert np.array_equal(a_proposal.mask(6), PROPOSED)
    assert a_proposal.add_result(a_result(6, BETTER))
    assert np.array_equal(a_proposal.mask(6), BETTER)


def test_an_unlocked_slice_that_was_never_computed_is_empty_again(a_session):
    a_session.correct(7, BETTER)
    a_session.unlock(7)
    assert statuses(a_session) == "eeeeee"
    assert a_session.mask(7) is None


def test_unlocking_what_is_not_locked_changes_nothing(a_proposal):
    a_proposal.unlock(6)
    assert statuses(a_proposal) == "pppppp"


def test_what_is_given_out_is_a_copy_of_the_record(a_proposal):
    a_proposal.results.clear()
    assert len(a_proposal.results) == 6


def test_a_correction_makes_stale_only_what_lies_up_to_the_next_locked_slice(a_proposal):
    a_proposal.accept(6)
    a_proposal.correct(4, BETTER)
    assert statuses(a_proposal) == "scpapp"
    assert a_proposal.add_result(a_result(3))
    assert statuses(a_proposal) == "pcpapp"


def test_the_revision_rises_with_what_outdates_a_running_computation_and_with_nothing_else(a_proposal):
    before = a_proposal.revision
    a_proposal.accept(6)
    a_proposal.add_result(a_result(7))
    a_proposal.unlock(8)
    assert a_proposal.revision == before
    snapshot = a_proposal.snapshot()
    for change in (
        lambda: a_proposal.correct(4, BETTER),
        lambda: a_proposal.unlock(4),
        lambda: a_proposal.restore(snapshot),
        lambda: a_proposal.set_extent(Extent(3, 7)),
        lambda: a_proposal.set_prompt(7, BOX),
    ):
        seen = a_proposal.revision
        change()
        assert a_proposal.revision > seen


def test_the_ends_move_but_never_past_a_prompted_or_locked_slice(a_proposal):
    a_proposal.accept(7)
    a_proposal.set_extent(Extent(2, 7))
    assert statuses(a_proposal) == "eppppa" and sorted(a_proposal.results) == [3, 4, 5, 6, 7]
    for first, last, kept in ((6, 7, 5), (2, 6, 7)):
        with pytest.raises(PromptError, match=f"would leave out slice {kept}"):
            a_proposal.set_extent(Extent(first, last))
    assert a_proposal.extent == Extent(2, 7)


def test_another_slice_can_be_prompted_unless_it_is_locked(a_proposal):
    a_proposal.set_prompt(7, BOX)
    assert sorted(a_proposal.due_work().prompts) == [5, 7]
    assert statuses(a_proposal) == "pppsss", "what followed from the other prompt alone is out of date, but for what lies behind that"
    a_proposal.accept(6)
    with pytest.raises(PromptError, match="Unlock it before"):
        a_proposal.set_prompt(6, BOX)


# --- what is refused


def test_a_session_needs_prompts_within_extent_and_slice():
    with pytest.raises(PromptError, match="needs a prompt on at least one slice"):
        ReviewSession({}, Extent(3, 8), SHAPE)
    with pytest.raises(PromptError, match=r"Slice 9 carries a prompt but lies outside the extent 3\.\.8"):
        ReviewSession({5: BOX, 9: BOX}, Extent(3, 8), SHAPE)
    with pytest.raises(PromptError, match="The point at row 3, column 0 lies outside the slice of 3 x 5"):
        ReviewSession({5: SlicePrompt(points=(Point(3, 0),))}, Extent(3, 8), SHAPE)


def test_a_mask_of_another_shape_is_refused_and_nothing_locked(a_proposal):
    with pytest.raises(PromptError, match=r"The mask has \(5, 3\) rows and columns, the slice \(3, 5\)"):
        a_proposal.correct(4, BETTER.T)
    assert statuses(a_proposal) == "pppppp"


@pytest.mark.parametrize("position", [2, 9, -1])
def test_a_slice_outside_the_extent_is_refused_everywhere(a_session, position):
    for call in (
        lambda: a_session.status(position),
        lambda: a_session.mask(position),
        lambda: a_session.accept(position),
        lambda: a_session.unlock(position),
        lambda: a_session.correct(position, BETTER),
        lambda: a_session.add_result(a_result(position)),
    ):
        with pytest.raises(PromptError, match=rf"Slice {position} lies outside the object's extent 3\.\.8"):
            call()


# --- what is due


def test_at_first_all_is_due_from_the_prompts(a_session):
    due = a_session.due_work()
    assert due.prompts == {5: BOX}
    assert (due.extent, due.locked, due.corrected, due.changed, due.proposals) == (Extent(3, 8), frozenset(), frozenset(), None, {})
    assert due.due == {3, 4, 5, 6, 7, 8}


def test_a_correction_makes_only_its_stretches_due(a_proposal):
    a_proposal.accept(7)
    a_proposal.correct(4, BETTER)
    due = a_proposal.due_work(changed=4)
    assert (due.locked, due.changed) == (frozenset({4, 7}), 4)
    assert sorted(due.prompts) == [4, 5, 7]
    assert due.prompts[5] is BOX
    assert np.array_equal(due.prompts[4].final_mask, BETTER)
    assert np.array_equal(due.prompts[7].final_mask, PROPOSED)
    assert (due.corrected, due.due) == ({4}, {3}), "behind the correction; the prompt on 5 bounds it on the other side"
    assert sorted(due.proposals) == [3, 4], "of the old proposals, what bears upon it"


def test_what_a_correction_left_stale_elsewhere_is_due_for_a_propagation_but_not_for_another_correction(a_proposal):
    a_proposal.correct(3, BETTER)
    a_proposal.correct(7, BETTER)
    assert statuses(a_proposal) == "cspscs"
    assert a_proposal.due_work(changed=7).due == {6, 8}
    assert a_proposal.due_work().due == {4, 6, 8}


def test_an_accepted_slice_says_nothing_new_so_nothing_is_due_and_it_can_be_unlocked_as_if_nothing_had_been(a_proposal):
    a_proposal.accept(6)
    assert a_proposal.due_work().due == frozenset() and a_proposal.due_work().corrected == frozenset()
    a_proposal.unlock(6)
    assert statuses(a_proposal) == "pppppp"


def test_what_an_accepted_slice_kept_apart_from_a_correction_is_stale_without_it(a_proposal):
    a_proposal.correct(8, BETTER)
    a_proposal.add_result(a_result(7, BETTER))
    a_proposal.accept(7)
    a_proposal.unlock(7)
    assert statuses(a_proposal) == "pppssc"


# --- old proposals


def test_what_was_proposed_before_a_correction_is_kept_as_long_as_it_stands(a_proposal):
    before = a_proposal.results
    a_proposal.correct(4, BETTER)
    a_proposal.add_result(a_result(3, BETTER))
    assert a_proposal.due_work(4).proposals == {}, "nothing is due"
    a_proposal.unlock(4)
    assert statuses(a_proposal) == "sspppp"
    assert a_proposal.due_work().proposals == {position: before[position] for position in (3, 4, 5)}


def test_another_prompt_makes_new_proposals_of_what_followed_from_the_old_ones(a_proposal):
    a_proposal.set_prompt(7, BOX)
    assert sorted(a_proposal.due_work().proposals) == [5]
    a_proposal.remove_prompt(7)
    assert sorted(a_proposal.due_work().proposals) == [5]


def test_another_model_makes_everything_anew_but_what_is_locked(a_proposal):
    a_proposal.accept(6)
    revision = a_proposal.revision
    a_proposal.outdate_all()
    assert statuses(a_proposal) == "sssass" and a_proposal.due_work().proposals == {}
    assert a_proposal.revision > revision


def test_old_proposals_are_stored_once_and_come_back_with_undo_and_from_a_journal(a_proposal):
    snapshot = a_proposal.snapshot()
    a_proposal.correct(8, BETTER)
    a_proposal.add_result(a_result(7, BETTER))
    stored = a_proposal.to_json()
    assert (stored["old"], sorted(stored["proposals"])) == ([3, 4, 5, 6, 8], ["7"])
    back = ReviewSession.from_json(stored)
    back.unlock(8)
    assert np.array_equal(back.due_work().proposals[7].mask, PROPOSED)
    a_proposal.restore(snapshot)
    a_proposal.correct(8, BETTER)
    assert np.array_equal(a_proposal.due_work().proposals[7].mask, PROPOSED)


def test_a_review_that_was_stored_before_old_proposals_were_kept_is_read_with_its_results_for_them(a_proposal):
    stored = {key: value for key, value in a_proposal.to_json().items() if key not in ("old", "proposals")}
    back = ReviewSession.from_json(stored)
    back.correct(3, BETTER)
    assert sorted(back.due_work().proposals) == [3, 4, 5]


def test_a_locked_slice_speaks_by_its_mask_instead_of_its_prompt(a_proposal):
    a_proposal.accept(5)
    assert np.array_equal(a_proposal.due_work().prompts[5].final_mask, PROPOSED)
    a_proposal.unlock(5)
    assert a_proposal.due_work().prompts[5] is BOX


def test_nothing_follows_from_a_slice_that_is_not_locked(a_proposal):
    with pytest.raises(PromptError, match="Slice 4 is neither accepted nor corrected"):
        a_proposal.due_work(changed=4)


def test_what_is_due_is_fixed_when_asked(a_proposal):
    due = a_proposal.due_work()
    a_proposal.accept(6)
    assert due.locked == frozenset() and sorted(due.prompts) == [5]
