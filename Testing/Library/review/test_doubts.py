"""Which slice to look at next."""

from __future__ import annotations

import numpy as np
import pytest

from SAM2AnnotateLib.errors import PromptError
from SAM2AnnotateLib.geometry import Box2D, Extent
from SAM2AnnotateLib.prompts import Point, SlicePrompt
from SAM2AnnotateLib.propagation import SliceResult
from SAM2AnnotateLib.review import ReviewSession, SliceStatus
from SAM2AnnotateLib.review.doubt import Doubt
from SAM2AnnotateLib.review.doubts import next_doubtful, session_doubts


def _square(start, stop):
    mask = np.zeros((20, 20), dtype=bool)
    mask[start:stop, start:stop] = True
    return mask


def _session(prompted=(4,), last=8):
    return ReviewSession({p: SlicePrompt(box=Box2D(4, 14, 4, 14)) for p in prompted}, Extent(0, last), (20, 20))


def _result(position, mask, iou=0.95):
    return SliceResult(position, mask, iou, 1.0, 0.01, Box2D(0, 20, 0, 20), False)


def test_a_slice_that_jumps_is_the_most_doubtful_and_locked_slices_are_in_no_doubt():
    session = _session()
    for position in range(9):
        session.add_result(_result(position, _square(4, 14) if position != 6 else _square(4, 8)))
    session.accept(2)
    doubts = session_doubts(session, (1.0, 1.0))
    assert 2 not in doubts and len(doubts) == 8
    assert next_doubtful(doubts, None) in (5, 6, 7) and doubts[6].value == 1.0 and doubts[0].value == pytest.approx(0.05)


def test_where_two_directions_meet_their_disagreement_counts():
    session = _session(prompted=(0, 8))
    for position in range(9):
        grown = _square(4, 12) if position <= 4 else _square(5, 13)  # the same area, shifted by an eighth of the size
        session.add_result(_result(position, grown, iou=1.0))
    doubts = session_doubts(session, (1.0, 1.0))
    apart = 1 - 2 * 49 / 128
    assert doubts[4].value == doubts[5].value >= (apart - 0.1) / 0.9 - 1e-9
    assert doubts[2].value == 0.0


def test_a_stale_slice_is_doubtful_even_if_it_looks_sound():
    session = _session()
    for position in range(9):
        session.add_result(_result(position, _square(4, 14), iou=1.0))
    session.correct(7, _square(4, 14))
    doubts = session_doubts(session, (1.0, 1.0))
    assert session.status(6) is SliceStatus.STALE and doubts[6] == Doubt(0.5, "computed before the last correction")


def test_the_next_one_is_not_the_one_shown_and_nothing_is_left_at_the_end():
    doubts = {3: Doubt(0.9, "a"), 5: Doubt(0.9, "b"), 7: Doubt(0.2, "c")}
    assert next_doubtful(doubts, 5) == 3 and next_doubtful(doubts, 6) == 5 and next_doubtful(doubts, None) == 3
    assert next_doubtful({7: Doubt(0.2, "")}, 7) == 7 and next_doubtful({}, 7) is None


def test_a_prompt_can_be_taken_away_but_not_the_last():
    session = _session(prompted=(2, 6))
    for position in range(9):
        session.add_result(_result(position, _square(4, 14)))
    session.remove_prompt(6)
    assert set(session.prompts) == {2} and session.status(6) is SliceStatus.STALE
    with pytest.raises(PromptError, match="only one"):
        session.remove_prompt(2)
    session.set_prompt(3, SlicePrompt(points=(Point(5, 5),)))
    session.remove_prompt(2)
    assert set(session.prompts) == {3}
