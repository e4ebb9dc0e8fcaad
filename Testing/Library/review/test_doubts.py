"""Which slice to look at next."""

from __future__ import annotations

import numpy as np
import pytest

from SAM2AnnotateLib.annotator import Annotator
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import PromptError
from SAM2AnnotateLib.geometry import Box2D, Extent, SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.prompts import Point, SlicePrompt
from SAM2AnnotateLib.propagation import SliceResult
from SAM2AnnotateLib.review import ReviewSession, SliceStatus
from SAM2AnnotateLib.review.doubt import Doubt, slice_doubt
from SAM2AnnotateLib.review.doubts import expected_above, next_doubtful, session_doubts
from SAM2AnnotateLib.review.expected_dsc import Expectation, ExpectedDsc, expected_dsc
from SAM2AnnotateLib.review.signals import MaskShape, ShapeMemory, SliceSignals, session_signals

# Slices of 2 mm with pixels of 1 mm x 1 mm; the object may end on slices 1 to 10.
STACK = SliceStack.along(VolumeGrid((12, 20, 20), np.diag([-1.0, -1.0, 2.0, 1.0])), "k")


def _square(start, stop):
    mask = np.zeros((20, 20), dtype=bool)
    mask[start:stop, start:stop] = True
    return mask


def _session(prompted=(4,), last=8, first=1):
    return ReviewSession({p: SlicePrompt(box=Box2D(4, 14, 4, 14)) for p in prompted}, Extent(first, last), (20, 20))


def _result(position, mask, iou=0.95, disagreement=None):
    return SliceResult(position, mask, iou, 1.0, 0.01, Box2D(0, 20, 0, 20), False, disagreement)


def _filled(session, iou=0.95):
    for position in session.extent.indices:
        session.add_result(_result(position, _square(4, 14), iou))
    return session


def test_signals_tell_how_far_a_slice_is_from_what_is_known():
    seen = session_signals(_filled(_session()), STACK)
    assert seen[4].way == seen[4].distance_mm == 0.0
    assert (seen[6].distance_mm, seen[6].way, seen[8].way, seen[1].way) == (4.0, 0.5, 1.0, 1.0)
    assert seen[6].distance == pytest.approx(4 / 10) and seen[6].stretch == pytest.approx(8 / 10)  # mm, of an object of 10 mm
    assert not seen[6].between and seen[6].overlap == 1.0 and seen[6].area_change == 0.0


def test_between_two_known_slices_there_is_no_way_to_an_end():
    session = _filled(_session(prompted=(1, 8)))
    seen = session_signals(session, STACK)
    assert {seen[p].way for p in (2, 3, 6, 7)} == {0.0} and all(seen[p].between for p in (2, 3, 6, 7))
    assert seen[3].distance_mm == 4.0 and seen[3].stretch == pytest.approx(1.4)


def test_an_object_that_the_volume_cuts_off_does_not_taper_there():
    cut = session_signals(_filled(_session(first=0, last=11)), STACK)
    whole = session_signals(_filled(_session(first=1, last=10)), STACK)
    assert cut[0].way == cut[11].way == 0.0 and whole[1].way == whole[10].way == 1.0
    assert cut[11].distance_mm == 14.0


def test_a_jump_is_seen_from_the_side_of_the_known_slice():
    session = _filled(_session())
    session.add_result(_result(6, _square(4, 8)))
    seen = session_signals(session, STACK)
    assert seen[6].overlap == pytest.approx(2 * 16 / 116) and seen[6].area_change == pytest.approx(np.log(17 / 101))
    assert seen[7].overlap == pytest.approx(2 * 16 / 116) and seen[5].overlap == 1.0


def test_what_follows_from_a_poor_mask_is_poor():
    session = _filled(_session(), iou=0.9)
    session.add_result(_result(6, _square(4, 14), iou=0.3))
    seen = session_signals(session, STACK)
    assert [seen[p].worst_iou for p in (1, 4, 5, 6, 7, 8)] == [0.9, 0.9, 0.9, 0.3, 0.3, 0.3]
    session.accept(6)  # a person has vouched for it
    assert session_signals(session, STACK)[7].worst_iou == 0.9


def test_what_is_measured_is_kept_as_long_as_a_slice_keeps_its_mask():
    session, memory = _filled(_session()), ShapeMemory()
    before = session_signals(session, STACK, memory)
    session.add_result(_result(6, _square(4, 8)))
    after = session_signals(session, STACK, memory)
    assert after == session_signals(session, STACK) and after[6] != before[6] and after[2] == before[2]


def test_a_poor_score_and_a_long_way_lower_what_is_expected():
    numbers = expected_dsc()
    near, far, poor = SliceSignals(0.9, 1.0, 0.9), SliceSignals(0.9, 1.0, 0.9, 30.0, 1.0, 1.0, 1.0), SliceSignals(0.5, 1.0, 0.5)
    assert numbers.of(near).dsc > numbers.of(far).dsc and numbers.of(near).dsc > numbers.of(poor).dsc
    for seen in (near, far, poor):
        found = numbers.of(seen)
        assert 0 <= found.low <= found.dsc <= found.high <= 1


def test_the_numbers_are_few_and_read_back_as_they_were_written():
    numbers = expected_dsc()
    assert len(numbers.weights) == 3 and numbers.coverage == 0.8
    assert ExpectedDsc.from_json(numbers.to_json()) == numbers
    assert str(numbers.about["made_by"]).startswith("python -m SAM2AnnotateLib.training.doubt")


def test_slices_far_from_the_box_are_the_most_doubtful_and_locked_slices_are_in_no_doubt():
    session = _filled(_session())
    session.accept(2)
    doubts = session_doubts(session, STACK)
    assert 2 not in doubts and len(doubts) == 7
    assert next_doubtful(doubts, None) == 8 and doubts[8].value > doubts[6].value > doubts[4].value
    assert all(doubt.expected is not None and doubt.value == pytest.approx(1 - doubt.expected.dsc) for doubt in doubts.values())
    assert doubts[8].reason == "8 mm from the nearest slice that is known towards the object's end"


def test_an_accepted_slice_vouches_for_those_beside_it():
    session = _filled(_session())
    before = session_doubts(session, STACK)
    session.accept(7)
    after = session_doubts(session, STACK)
    assert after[6].value < before[6].value


def test_slices_that_are_expected_to_be_good_can_be_taken_together():
    doubts = session_doubts(_filled(_session()), STACK)
    limit = doubts[6].expected.dsc
    chosen = expected_above(doubts, limit)
    assert chosen == sorted(p for p, doubt in doubts.items() if doubt.expected.dsc >= limit)
    assert {4, 5, 6} <= set(chosen) and 8 not in chosen
    assert expected_above({1: Doubt(0.0, "")}, 0.1) == []  # of which nothing is expected


def test_of_masks_that_the_model_did_not_make_jumps_alone_tell():
    session = _filled(_session(), iou=1.0)  # another network's predictions
    session.add_result(_result(6, _square(4, 8), iou=1.0))
    doubts = session_doubts(session, STACK)
    assert all(doubt.expected is None for doubt in doubts.values())
    assert doubts[6].value == 1.0 and doubts[2] == Doubt(0.0, "") and next_doubtful(doubts, None) in (5, 6, 7)


def test_where_two_directions_disagree_that_is_the_reason():
    session = _filled(_session(prompted=(1, 8)), iou=0.9)
    session.add_result(_result(4, _square(4, 14), iou=0.9, disagreement=0.6))
    assert session_doubts(session, STACK)[4].reason == "the two directions that meet here disagree"


def test_a_stale_slice_is_doubtful_even_if_it_looks_sound():
    session = _filled(_session(), iou=0.98)
    session.correct(7, _square(4, 14))
    doubts = session_doubts(session, STACK)
    assert session.status(6) is SliceStatus.STALE and doubts[6] == Doubt(0.5, "computed before the last correction")


def _jump(mask, seen, neighbors, spacing=(1.0, 1.0)):
    return slice_doubt(MaskShape.of(mask), seen, {name: MaskShape.of(one) for name, one in neighbors.items()}, spacing, None)


def _block(rows, cols):
    mask = np.zeros((6, 8), dtype=bool)
    mask[slice(*rows), slice(*cols)] = True
    return mask


def test_doubt_is_nothing_for_a_sure_slice_like_its_neighbors():
    mask = _block((1, 4), (2, 6))
    assert _jump(mask, SliceSignals(1.0, 1.0, 1.0), {"the slice before": mask}, (1.0, 2.0)) == Doubt(0.0, "")


def test_doubt_names_its_strongest_reason():
    mask, double = _block((1, 4), (2, 4)), _block((1, 4), (1, 5))
    grown = _jump(double, SliceSignals(0.9, 0.9, 0.9), {"the slice before": mask})
    assert grown == Doubt(1.0, "area differs by 100 % from the slice before")
    gone = _jump(np.zeros((6, 8), dtype=bool), SliceSignals(0.2, 0.1, 0.2), {"the slice after": mask})
    assert gone == Doubt(1.0, "the slice after has a mask")
    poor = _jump(mask, SliceSignals(0.4, 0.9, 0.4), {})
    assert poor.value == pytest.approx(0.6) and poor.reason == "the model expects a poor outline"
    # Two columns of 3 mm on an object of 6 voxels of 3 mm2: 6 mm of sqrt(18) mm, more than half of it.
    moved = _jump(mask, SliceSignals(1.0, 1.0, 1.0), {"the slice before": _block((1, 4), (4, 6))}, (1.0, 3.0))
    assert moved == Doubt(1.0, "moved by 6 mm from the slice before")
    foreseen = slice_doubt(MaskShape.of(mask), SliceSignals(0.4, 0.9, 0.4), {}, (1.0, 1.0), Expectation(0.7, 0.5, 0.8))
    assert foreseen.value == pytest.approx(0.3) and foreseen.reason == "the model expects a poor outline"


def test_the_next_one_is_not_the_one_shown_and_nothing_is_left_at_the_end():
    doubts = {3: Doubt(0.9, "a"), 5: Doubt(0.9, "b"), 7: Doubt(0.2, "c")}
    assert next_doubtful(doubts, 5) == 3 and next_doubtful(doubts, 6) == 5 and next_doubtful(doubts, None) == 3
    assert next_doubtful({7: Doubt(0.2, "")}, 7) == 7 and next_doubtful({}, 7) is None


def test_a_prompt_can_be_taken_away_but_not_the_last():
    session = _filled(_session(prompted=(2, 6)))
    session.remove_prompt(6)
    assert set(session.prompts) == {2} and session.status(6) is SliceStatus.STALE
    with pytest.raises(PromptError, match="only one"):
        session.remove_prompt(2)
    session.set_prompt(3, SlicePrompt(points=(Point(5, 5),)))
    session.remove_prompt(2)
    assert set(session.prompts) == {3}


def test_an_object_tells_its_doubts_by_voxel_index_the_most_doubtful_first():
    voxels = np.zeros((9, 32, 32))
    voxels[1:8, 10:20, 8:18] = 100
    volume = Volume(VolumeGrid(voxels.shape, np.diag([-1.0, -1.0, -2.0, 1.0])), voxels)  # slices are stacked against their indices
    item = Annotator(volume, ScriptedEngine(), window="0,100").new_object(slice_index=5, box=((8, 10), (18, 20)), extent=(1, 7))
    for _ in item.propagate():
        pass
    item.accept(6)
    doubts = item.doubts()
    assert sorted(doubts) == [1, 2, 3, 4, 5, 7] and next(iter(doubts)) == 1  # the end that lies farther from what is known
    values = [doubt.value for doubt in doubts.values()]
    assert values == sorted(values, reverse=True) and doubts[1].expected is not None
    assert doubts[1].reason == "8 mm from the nearest slice that is known towards the object's end"
