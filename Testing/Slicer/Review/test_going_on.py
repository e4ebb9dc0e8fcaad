"""Accepting slice after slice: one key a slice, the way that the person goes, until none is left; and the estimate of what is left."""

from __future__ import annotations

import pytest
import slicer
from panel_bench import makeBench, settle
from worlds import aVolume, markBall, waitFor

from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Review.Effort import Effort
from SAM2AnnotateSlicer.Scene.ParameterNode import AfterAccept
from slicer_host.modules.scripted_module import leave_module


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


def acceptingAll(bench) -> list[int]:
    """The positions that one key after the other was pressed on, until nothing changes any more."""
    seen = []
    while len(bench.annotated.session.locked) < len(bench.annotated.session.extent):
        seen.append(bench.position())
        bench.key("A")
        assert bench.status(seen[-1]) is SliceStatus.ACCEPTED, (seen, bench.message)
    return seen


def test_one_key_a_slice_accepts_them_all_up_from_the_center_and_then_down(bench):
    annotated = bench.propagated()
    first, last = annotated.session.extent.first, annotated.session.extent.last
    expected = [*range(annotated.center, last + 1), *range(annotated.center - 1, first - 1, -1)]
    assert acceptingAll(bench) == expected
    assert "all are reviewed" in bench.message and "Next object" in bench.message


def test_the_direction_is_the_one_that_the_person_scrolled_in(bench):
    annotated = bench.propagated()
    bench.key("Down")
    bench.key("A")
    assert bench.position() == annotated.center - 2
    sliceNode = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    world = sliceNode.GetSliceToRAS()
    spacing = annotated.volumeNode.GetSpacing()[2]
    sliceNode.JumpSliceByOffsetting(world.GetElement(0, 3), world.GetElement(1, 3), world.GetElement(2, 3) + 4 * spacing)  # by the wheel
    settle()
    at = bench.position()
    assert at != annotated.center - 2
    way = 1 if at > annotated.center - 2 else -1
    bench.key("A")
    assert bench.position() == at + way


def test_slices_that_are_locked_already_are_passed_over(bench):
    annotated = bench.propagated()
    for by in (1, 2, 4):
        bench.logic.accept(annotated.center + by)
    bench.key("A")
    assert bench.position() == annotated.center + 3
    bench.key("A")
    assert bench.position() == annotated.center + 5


def test_jumps_of_the_panel_are_no_direction(bench):
    annotated = bench.propagated()
    bench.show(annotated.session.extent.last)
    bench.click("goToCenter")
    bench.key("A")
    assert bench.position() == annotated.center + 1


def test_a_propagation_that_the_views_followed_is_no_direction(bench):
    annotated = bench.mark()
    bench.service.held = True
    bench.click("propagate")
    for _slice in range(5):
        bench.service.letThrough(2)
        settle()
    bench.service.letThrough(None)
    waitFor(lambda: bench.position() == annotated.center, 20, "for the views to return")
    settle()
    bench.key("A")
    assert bench.position() == annotated.center + 1


def test_the_most_doubtful_slice_may_be_next_and_the_choice_is_kept_with_the_scene(bench, tmp_path):
    annotated = bench.propagated()
    box = bench.ui.afterAcceptComboBox
    row = box.findData(AfterAccept.MOST_DOUBTFUL.value)
    box.setCurrentIndex(row)
    box.activated(row)
    assert bench.logic.parameters.afterAccept is AfterAccept.MOST_DOUBTFUL
    for _slice in range(len(annotated.session.extent)):
        bench.key("A")
        if bench.logic.openSlices():
            assert bench.logic.doubts()[bench.position()].value == pytest.approx(
                max(d.value for d in bench.logic.doubts().values()), abs=1e-3
            )
    assert len(annotated.session.locked) == 17 and "No slice is left" in bench.message
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    bench.logic.parameters.afterAccept = AfterAccept.STAY
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    settle()
    assert bench.logic.parameters.afterAccept is AfterAccept.MOST_DOUBTFUL and box.currentIndex == row


def test_it_may_stay(bench):
    annotated = bench.propagated()
    bench.logic.parameters.afterAccept = AfterAccept.STAY
    settle()
    assert bench.ui.afterAcceptComboBox.currentText.endswith("stay")
    bench.key("A")
    assert bench.position() == annotated.center and bench.status(annotated.center) is SliceStatus.ACCEPTED


def test_slices_that_were_not_computed_are_told_of_when_the_others_are_accepted(bench):
    annotated = bench.mark()
    bench.key("A")
    assert bench.position() == annotated.center and "compute the 16" in bench.message


def test_taking_back_shows_the_slice_that_was_taken_back(bench):
    annotated = bench.propagated()
    bench.key("A")
    bench.key("A")
    bench.key("Z")
    assert bench.position() == annotated.center + 1 and bench.status(annotated.center + 1) is SliceStatus.PROPOSED
    bench.key("Y")
    assert bench.position() == annotated.center + 1 and len(annotated.session.locked) == 2


def test_accept_up_to_here_stays_where_it_is(bench):
    annotated = bench.propagated()
    bench.show(annotated.center + 3)
    bench.key("Shift+A")
    assert bench.position() == annotated.center + 3 and len(annotated.session.locked) == 4


def test_another_object_begins_anew(bench):
    first = bench.propagated()
    bench.key("Down")
    bench.logic.nextObject()
    bench.logic.parameters.volume = aVolume(name="Other")
    second = markBall(bench.logic)
    bench.click("goToCenter")
    bench.logic.propagate()
    settle()
    leave_module("SAM2Annotate")
    bench.enter()
    bench.key("A")
    assert second is not first and bench.position() == second.center + 1


# -- how long the rest takes -----------------------------------------------------------------------------------------------------------


def decide(effort, clock, seconds, slices=1):
    clock[0] += seconds
    effort.note("accept", slices=slices)


def test_the_pace_is_known_from_five_decisions_on_and_one_long_one_does_not_move_it():
    clock = [0.0]
    effort = Effort(clock=lambda: clock[0])
    effort.note("propagate")
    clock[0] += 50  # the model computes
    for n, seconds in enumerate((30, 3, 3, 3, 3)):
        assert effort.secondsPerSlice is None, n
        decide(effort, clock, seconds)
    assert effort.secondsPerSlice == 3
    decide(effort, clock, 55)
    clock[0] += 3600  # lunch
    decide(effort, clock, 3)
    assert effort.secondsPerSlice == 3
    again = Effort.fromJson(effort.toJson())
    assert again.secondsPerSlice == 3 and again.actions == effort.actions


def test_many_slices_at_once_are_one_decision_and_edits_that_were_found_are_none():
    clock = [0.0]
    effort = Effort(clock=lambda: clock[0])
    effort.note("propagate")
    for _decision in range(4):
        decide(effort, clock, 4)
    clock[0] += 2
    effort.note("correct", 20)  # noticed when the scene was loaded
    assert effort.secondsPerSlice is None
    decide(effort, clock, 38, slices=10)
    assert effort.secondsPerSlice == 4 and effort.counts["correct"] == 20


def test_the_panel_says_nothing_of_the_time_before_five_decisions(bench):
    annotated, clock = bench.propagated(), [0.0]
    annotated.effort = Effort(clock=lambda: clock[0])
    annotated.effort.note("propagate")
    for seconds in (58, 5, 4, 6):
        clock[0] += seconds
        bench.key("A")
        assert "left to review." in bench.ui.countsLabel.text
    clock[0] += 5
    bench.key("A")
    assert "12 left to review, about 60 s." in bench.ui.countsLabel.text
