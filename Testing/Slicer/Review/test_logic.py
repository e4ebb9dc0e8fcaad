"""The steps of the work on a scene, with a worker process that answers by a rule, and what becomes of them when something fails."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
import pytest
import slicer
from orientations import directions, linearTransform
from worlds import Heard, aVolume, dsc, makeLogic, markBall, waitFor

from SAM2AnnotateLib.errors import GridMismatchError, PromptError
from SAM2AnnotateLib.geometry import Extent
from SAM2AnnotateLib.prompts import Point
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Review.AnnotatedSegment import tagOf
from SAM2AnnotateSlicer.Review.Logic import _toldFromGrays
from SAM2AnnotateSlicer.Scene.ParameterNode import Overlap
from SAM2AnnotateSlicer.Scene.RoiBox import readRoi, setRoi

posix = pytest.mark.skipif(sys.platform == "win32", reason="kills and stops processes by POSIX signals")


@pytest.fixture
def world(tmp_path):
    """makeLogic for this test; every service is closed at the end."""
    made = []

    def make(volume=None, delaySeconds=0.0):
        logic = makeLogic(tmp_path, volume, delaySeconds)
        made.append(logic)
        return logic, Heard(logic)

    yield make
    for logic in made:
        logic.service.close()


def segmentArray(logic, annotated=None):
    annotated = annotated or logic.current
    return slicer.util.arrayFromSegmentBinaryLabelmap(annotated.segmentationNode, annotated.segmentId, annotated.volumeNode) > 0


def propagateBall(logic, axis="k"):
    annotated = markBall(logic, axis)
    waitFor(lambda: not logic.service.busy)
    logic.propagate()
    waitFor(lambda: not logic.running)
    return annotated


def faultAt(tmp_path, fault, at):
    (tmp_path / "fault").write_text(f"{fault} {at}")


# -- the way through --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["LPS", "RAS", "SPL", "AIR", "oblique flipped"])
def test_box_preview_propagation_and_acceptance_give_the_object_in_its_place(world, name):
    volume = aVolume(directions()[name])
    logic, heard = world(volume)
    annotated = markBall(logic)
    waitFor(lambda: not logic.service.busy)
    assert heard.slices == [annotated.center] and annotated.session.status(annotated.center) is SliceStatus.PROPOSED
    truth = slicer.util.arrayFromVolume(volume) > 100
    middle = annotated.stack.index_of(annotated.center)
    assert dsc(segmentArray(logic)[middle], truth[middle]) > 0.99 and not np.delete(segmentArray(logic), middle, 0).any()
    logic.propagate()
    assert logic.running
    waitFor(lambda: not logic.running)
    assert dsc(segmentArray(logic), truth) > 0.95 and heard.errors == []
    logic.acceptUpTo(annotated.session.extent.first)
    logic.acceptUpTo(annotated.session.extent.last)
    assert annotated.counts()[SliceStatus.ACCEPTED] == len(annotated.session.extent) and "finished" in annotated.about
    assert logic.summary().startswith("Object 1: 17 slices; 17 accepted, 0 corrected, 0 emptied, 0 not reviewed; ")


def test_a_correction_is_final_and_only_reaches_to_the_next_locked_slice(world):
    logic, heard = world(aVolume())
    annotated = propagateBall(logic)
    first, last = annotated.session.extent.first, annotated.session.extent.last
    logic.accept(first + 4)
    painted = np.zeros(annotated.stack.frame_shape_rc, bool)
    painted[15:22, 18:30] = True
    heard.slices.clear()
    logic.correct(first + 1, painted)
    waitFor(lambda: not logic.running)
    assert set(heard.slices) == {first, first + 2, first + 3}
    assert annotated.session.mask(first + 1).tobytes() == painted.tobytes()
    assert logic.undo() == "correct" and annotated.session.status(first + 1) is SliceStatus.PROPOSED
    assert logic.redo() == "correct" and annotated.session.mask(first + 1).tobytes() == painted.tobytes()
    logic.noObjectHere(last)
    waitFor(lambda: not logic.running)
    assert annotated.isEmptied(last) and not segmentArray(logic)[annotated.stack.index_of(last)].any()


def test_dragging_the_roi_changes_box_and_extent_and_the_preview_follows(world):
    volume = aVolume()
    logic, heard = world(volume)
    annotated = markBall(logic)
    waitFor(lambda: not logic.service.busy)
    bounds = readRoi(logic.parameters.roi, volume)
    assert np.array_equal(bounds, annotated.boundsIjk())
    narrower = bounds + np.array([[4, 0], [0, 0], [2, -1]])
    setRoi(logic.parameters.roi, volume, narrower)
    heard.slices.clear()
    logic.syncFromRoi()
    waitFor(lambda: not logic.service.busy)
    assert np.array_equal(annotated.boundsIjk(), narrower) and heard.slices == [annotated.center]
    assert len(annotated.session.extent) == narrower[2, 1] - narrower[2, 0]
    assert logic.undo() == "box" and np.array_equal(readRoi(logic.parameters.roi, volume), bounds)


def test_a_preview_survives_that_the_ends_are_marked_meanwhile(world):
    logic, heard = world(aVolume())
    annotated = markBall(logic)
    logic.setExtentEnd(annotated.center + 2, last=True)
    waitFor(lambda: not logic.service.busy)
    assert list(annotated.session.results) == [annotated.center] and heard.slices == [annotated.center]


def test_an_roi_that_would_leave_out_a_locked_slice_is_put_back(world):
    volume = aVolume()
    logic, _ = world(volume)
    annotated = propagateBall(logic)
    logic.accept(annotated.session.extent.first)
    before = readRoi(logic.parameters.roi, volume)
    setRoi(logic.parameters.roi, volume, before + np.array([[0, 0], [0, 0], [2, -2]]))
    with pytest.raises(PromptError, match="accepted or corrected"):
        logic.syncFromRoi()
    assert np.array_equal(readRoi(logic.parameters.roi, volume), before)
    assert annotated.undoLabel == "accept"  # nothing was done that could be taken back


def test_a_box_whose_slice_is_locked_is_put_back_whole(world):
    volume = aVolume()
    logic, _ = world(volume)
    annotated = propagateBall(logic)
    logic.accept(annotated.center)
    before, effort = readRoi(logic.parameters.roi, volume), annotated.effort.actions
    setRoi(logic.parameters.roi, volume, before + np.array([[2, 0], [0, 0], [1, 0]]))  # another box, and another end
    with pytest.raises(PromptError, match="Unlock it"):
        logic.syncFromRoi()
    assert np.array_equal(readRoi(logic.parameters.roi, volume), before) and np.array_equal(annotated.boundsIjk(), before)
    assert (annotated.undoLabel, annotated.effort.actions) == ("accept", effort)


def test_points_refine_their_slice_and_points_outside_are_told(world):
    volume = aVolume()
    logic, heard = world(volume)
    annotated = markBall(logic)
    waitFor(lambda: not logic.service.busy)
    logic.parameters.positivePoints = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "+")
    logic.parameters.negativePoints = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "-")
    inside = annotated.center + 2
    logic.parameters.positivePoints.AddControlPoint(annotated.pointLocal(inside, Point(20, 22)))
    logic.parameters.negativePoints.AddControlPoint(annotated.pointLocal(annotated.center, Point(3, 4)))
    logic.parameters.positivePoints.AddControlPoint(annotated.pointLocal(0, Point(3, 4)))
    logic.syncPoints()
    assert annotated.session.prompts[inside].points == (Point(20, 22),)
    assert annotated.session.prompts[annotated.center].points == (Point(3, 4, False),) and annotated.session.prompts[annotated.center].box
    assert any("1 points lie outside" in text for text, _ in heard.messages)
    logic.parameters.negativePoints.AddControlPoint(annotated.pointLocal(annotated.center - 1, Point(3, 4)))
    logic.syncPoints()
    assert annotated.center - 1 not in annotated.session.prompts and "before there is a + point" in heard.messages[-1][0]
    logic.undo()
    assert inside not in annotated.session.prompts and logic.parameters.negativePoints.GetNumberOfControlPoints() == 0


def test_the_next_object_gets_a_segment_of_its_own_and_both_can_be_gone_back_to(world):
    logic, _ = world(aVolume())
    first = propagateBall(logic)
    logic.accept(first.center)
    with pytest.raises(PromptError, match="Next object"):
        markBall(logic)
    logic.nextObject()
    assert logic.current is None and not logic.parameters.roi.GetDisplayVisibility()
    second = propagateBall(logic)
    assert second.segmentationNode is first.segmentationNode and second.segmentId != first.segmentId
    assert logic.selectSegment(first.segmentationNode, first.segmentId) is first
    assert logic.parameters.roi.GetDisplayVisibility() and logic.current is first


def test_a_new_segment_gets_name_code_and_color_of_its_terminology_and_the_next_one_not(world):
    logic, _ = world(aVolume())
    logic.parameters.newSegmentTerminology, logic.parameters.newSegmentName = "some~entry", "Tissue"
    logic.parameters.newSegmentColor = "0.1000,0.5000,0.9000"
    segment = markBall(logic).labelmap.segment
    assert (segment.GetTerminology(), segment.GetName()) == ("some~entry", "Tissue") and np.allclose(
        segment.GetColor(), (0.1, 0.5, 0.9), atol=1e-3
    )
    waitFor(lambda: not logic.service.busy)
    logic.nextObject()
    other = markBall(logic).labelmap.segment
    assert (
        other.GetName() == "Object 1"
        and other.GetTerminology() != "some~entry"
        and not np.allclose(other.GetColor(), (0.1, 0.5, 0.9), atol=1e-3)
    )


@pytest.mark.parametrize("drawn", [(0.5, 0.55, 0.6), (0.1, 0.1, 0.1), (0.9, 0.9, 0.9), (0.8, 0.1, 0.2)])
def test_a_new_segment_is_told_from_the_images_grays(drawn):
    red, green, blue = _toldFromGrays(drawn)
    assert max(red, green, blue) - min(red, green, blue) >= 0.44
    if max(drawn) - min(drawn) > 0.5:
        assert (red, green, blue) == pytest.approx(drawn)


def test_a_box_drawn_anew_is_one_step_of_undo(world):
    volume = aVolume()
    logic, _ = world(volume)
    annotated = propagateBall(logic)
    before, array = annotated.session.to_json(), segmentArray(logic).copy()
    center = annotated.center
    assert logic.markObject("k", 14, [[15, 25], [12, 22], [13, 16]]) is annotated
    waitFor(lambda: not logic.service.busy)
    assert annotated.center == 14 and list(np.flatnonzero(segmentArray(logic).any(axis=(1, 2)))) == [14]
    assert logic.undo() == "box" and annotated.center == center
    assert annotated.session.to_json() == before and np.array_equal(segmentArray(logic), array)


def test_a_box_along_another_direction_replaces_a_preview_but_no_propagation(world):
    logic, _ = world(aVolume())
    first = markBall(logic)
    waitFor(lambda: not logic.service.busy)
    again = markBall(logic, "j")
    waitFor(lambda: not logic.service.busy)
    assert again.segmentId == first.segmentId and again.axis == "j"
    assert list(np.flatnonzero(segmentArray(logic).any(axis=(0, 2)))) == [again.stack.index_of(again.center)]
    logic.propagate()
    waitFor(lambda: not logic.running)
    with pytest.raises(PromptError, match="along another direction"):
        markBall(logic, "k")


def test_masks_keep_off_other_segments_if_asked(world):
    volume = aVolume()
    logic, _ = world(volume)
    first = propagateBall(logic)
    one = segmentArray(logic).copy()
    logic.nextObject()
    logic.parameters.overlap = Overlap.KEEP_OFF
    propagateBall(logic)
    assert not (segmentArray(logic) & one).any()
    assert np.array_equal(segmentArray(logic, first), one)


def test_correcting_in_the_editor_cannot_reach_another_slice(world):
    volume = aVolume()
    logic, _ = world(volume)
    annotated = propagateBall(logic)
    position = annotated.center + 3
    before = {p: annotated.session.mask(p).tobytes() for p in annotated.session.extent.indices if p != position}
    node = logic.beginCorrection(position)
    assert not annotated.segmentationNode.GetDisplayNode().GetSegmentVisibility(annotated.segmentId)
    drawn = slicer.util.arrayFromSegmentBinaryLabelmap(node, "ThisSlice", volume)
    assert np.array_equal(
        drawn > 0, np.where(np.arange(24)[:, None, None] == annotated.stack.index_of(position), segmentArray(logic), False)
    )
    drawn[annotated.stack.index_of(position), 5:9, 5:9] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(drawn, node, "ThisSlice", volume)
    expected = annotated.stack.frame_from_slice(drawn[annotated.stack.index_of(position)] > 0)
    logic.accept(position - 1)
    logic.accept(position + 1)
    logic.finishCorrection()
    waitFor(lambda: not logic.running)
    assert annotated.session.mask(position).tobytes() == expected.tobytes()
    assert {p: annotated.session.mask(p).tobytes() for p in before} == before
    assert node.GetScene() is None and annotated.segmentationNode.GetDisplayNode().GetSegmentVisibility(annotated.segmentId)


def test_leaving_a_correction_changes_nothing(world):
    logic, _ = world(aVolume())
    annotated = propagateBall(logic)
    before = annotated.session.to_json()
    node = logic.beginCorrection(annotated.center)
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.ones((24, 40, 44), np.uint8), node, "ThisSlice", annotated.volumeNode)
    logic.leaveCorrection()
    assert annotated.session.to_json() == before and node.GetScene() is None


def test_edits_in_the_segment_editor_elsewhere_count_and_are_carried_on(world):
    volume = aVolume()
    logic, heard = world(volume)
    annotated = propagateBall(logic)
    array = segmentArray(logic).astype(np.uint8)
    index = annotated.stack.index_of(annotated.center + 4)
    array[index] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, annotated.segmentationNode, annotated.segmentId, volume)
    assert logic.noticeEdits() == [annotated.center + 4]
    waitFor(lambda: not logic.running)
    assert annotated.isEmptied(annotated.center + 4) and any("Edited by hand" in text for text, _ in heard.messages)


@pytest.mark.parametrize("transformed", ["both", "volume"])
def test_under_a_parent_transform_the_object_is_found_all_the_same(world, transformed):
    volume = aVolume(directions()["oblique"])
    logic, _ = world(volume)
    volume.SetAndObserveTransformNodeID(linearTransform().GetID())
    if transformed == "volume":  # a segmentation that does not move with it
        logic.parameters.segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    annotated = propagateBall(logic)
    truth = slicer.util.arrayFromVolume(volume) > 100
    found = np.stack([annotated.labelmap.readSlice(index) for index in range(truth.shape[0])])
    assert dsc(found, truth) > 0.95


def test_the_time_is_estimated_before_and_shown_while_it_runs(world):
    logic, _ = world(aVolume(), delaySeconds=0.02)
    annotated = markBall(logic)
    assert logic.estimateSeconds() is None
    waitFor(lambda: not logic.service.busy)
    assert 0 < logic.estimateSeconds() < 30 and logic.dueSlices() == len(annotated.session.extent) - 1
    logic.propagate()
    waitFor(lambda: logic.progress[0] >= 5)
    assert logic.progress[1] == len(annotated.session.extent) - 1, "the prompted slice is there already"
    waitFor(lambda: not logic.running)
    assert logic.progress == (0, 0)


def test_what_is_asked_at_the_wrong_moment_says_what_to_do(world):
    logic, _ = world(None)
    with pytest.raises(PromptError, match="No volume is chosen"):
        logic.markObject("k", 3, [[0, 3], [0, 3], [3, 4]])
    logic.parameters.volume = aVolume()
    for step in (logic.propagate, lambda: logic.accept(3), lambda: logic.noObjectHere(3), lambda: logic.beginCorrection(3), logic.summary):
        with pytest.raises(PromptError, match="Draw box"):
            step()


# -- faults -----------------------------------------------------------------------------------------------------------------------


@posix
def test_a_worker_killed_midway_loses_nothing_and_the_session_goes_on(world, tmp_path):
    logic, heard = world(aVolume(), delaySeconds=0.01)
    annotated = markBall(logic)
    waitFor(lambda: not logic.service.busy)
    logic.propagate()
    waitFor(lambda: logic.progress[0] >= 4)
    logic.accept(heard.slices[-1])
    locked = annotated.session.mask(heard.slices[-1]).tobytes()
    os.kill(logic.service.processId, signal.SIGKILL)
    waitFor(lambda: not logic.running, 20)
    kept = len(annotated.session.results)
    assert 4 <= kept < len(annotated.session.extent)
    assert "ended unexpectedly" in heard.errors[-1] and "Press 'Propagate' to go on" in heard.errors[-1]
    logic.propagate()
    waitFor(lambda: not logic.running)
    assert len(annotated.session.results) == len(annotated.session.extent)
    assert annotated.session.mask(next(iter(annotated.session.locked))).tobytes() == locked


@posix
def test_a_worker_that_hangs_can_be_cancelled_within_two_seconds(world, tmp_path):
    logic, heard = world(aVolume())
    annotated = markBall(logic)
    waitFor(lambda: not logic.service.busy)
    faultAt(tmp_path, "hang", 4)
    logic.propagate()
    waitFor(lambda: not (tmp_path / "fault").exists())
    begun = time.monotonic()
    logic.cancel()
    waitFor(lambda: not logic.running, 10)
    assert time.monotonic() - begun < 2.0
    assert annotated.session.results and "did not answer" in heard.messages[-1][0]
    logic.propagate()
    waitFor(lambda: not logic.running)
    assert len(annotated.session.results) == len(annotated.session.extent)


def test_cancelling_keeps_what_is_done(world):
    logic, heard = world(aVolume(), delaySeconds=0.02)
    annotated = markBall(logic)
    waitFor(lambda: not logic.service.busy)
    logic.propagate()
    waitFor(lambda: logic.progress[0] >= 5)
    logic.cancel()
    waitFor(lambda: not logic.running, 5)
    done = len(annotated.session.results)
    assert 5 <= done < len(annotated.session.extent) and "are done and kept" in heard.messages[-1][0]
    assert segmentArray(logic).any(axis=(1, 2)).sum() == done


def test_a_model_that_is_missing_is_told_and_another_can_be_taken(world):
    logic, heard = world(aVolume())
    logic.parameters.model = "missing"
    logic.setParameters(logic.parameters)
    annotated = markBall(logic)
    waitFor(lambda: bool(heard.errors) and not logic.service.busy)
    assert "Press 'Set-up'" in heard.errors[0] and annotated.session.results == {}
    logic.parameters.model = "bundled"
    logic.setParameters(logic.parameters)
    logic.propagate()
    waitFor(lambda: not logic.running)
    assert len(annotated.session.results) == len(annotated.session.extent)


def test_out_of_memory_releases_the_panel_and_says_what_to_do(world, tmp_path):
    logic, heard = world(aVolume())
    annotated = markBall(logic)
    waitFor(lambda: not logic.service.busy)
    faultAt(tmp_path, "memory", 5)
    logic.propagate()
    waitFor(lambda: not logic.running)
    assert "Choose a smaller model" in heard.errors[-1] and annotated.session.results
    logic.propagate()
    waitFor(lambda: not logic.running)
    assert len(annotated.session.results) == len(annotated.session.extent)


def test_an_interpreter_that_cannot_be_started_is_told(tmp_path):
    logic = makeLogic(tmp_path, aVolume())
    logic.service.close()
    from SAM2AnnotateSlicer.Model.ModelService import ModelService

    logic.service = ModelService(tmp_path, [str(tmp_path / "no-such-python")])
    heard = Heard(logic)
    markBall(logic)
    waitFor(lambda: bool(heard.errors), 10)
    assert "cannot be started" in heard.errors[0] and not logic.service.busy
    logic.service.close()


def test_closing_the_scene_while_it_runs_stops_and_lets_go(world):
    logic, _ = world(aVolume(), delaySeconds=0.02)
    markBall(logic)
    waitFor(lambda: not logic.service.busy)
    logic.propagate()
    waitFor(lambda: logic.progress[0] >= 3)
    logic.sceneClosing()
    slicer.mrmlScene.Clear(0)
    waitFor(lambda: not logic.service.busy, 5)
    assert logic.current is None and not logic.running
    with pytest.raises(PromptError, match="being closed"):
        markBall(logic)


@pytest.mark.parametrize("what", ["volume", "segmentation", "segment", "roi"])
def test_what_is_deleted_while_it_runs_ends_or_outlives_the_review_with_a_word(world, what):
    volume = aVolume()
    logic, heard = world(volume, delaySeconds=0.02)
    annotated = markBall(logic)
    waitFor(lambda: not logic.service.busy)
    logic.propagate()
    waitFor(lambda: logic.progress[0] >= 3)
    node = annotated.segmentationNode
    if what == "segment":
        node.GetSegmentation().RemoveSegment(annotated.segmentId)
        logic.segmentRemoved(node, annotated.segmentId)
    else:
        removed = {"volume": volume, "segmentation": node, "roi": logic.parameters.roi}[what]
        logic.nodeRemoved(removed)
        slicer.mrmlScene.RemoveNode(removed)
    assert "removed" in heard.errors[-1]
    if what == "roi":
        waitFor(lambda: not logic.running)
        assert len(annotated.session.results) == len(annotated.session.extent)
    else:
        waitFor(lambda: not logic.service.busy, 5)
        assert logic.current is None and not logic.running
    if what == "volume":
        assert annotated.segmentationNode.GetSegmentation().GetSegment(annotated.segmentId) is not None


def test_two_volumes_are_kept_apart(world):
    one, other = aVolume(name="One"), aVolume(directions()["RAS"], name="Other")
    logic, _ = world(one)
    first = propagateBall(logic)
    logic.nextObject()
    logic.parameters.volume = other
    logic.parameters.segmentation = None
    second = propagateBall(logic)
    assert first.volumeNode is one and second.volumeNode is other and first.segmentationNode is not second.segmentationNode
    assert logic.keeper.journals.pathFor(one) != logic.keeper.journals.pathFor(other)
    assert [stored.session.extent for stored in logic.keeper.journals.read(logic.keeper.journals.pathFor(one), one).values()] == [
        first.session.extent
    ]
    logic.selectSegment(first.segmentationNode, first.segmentId)
    assert logic.parameters.volume is one


# -- kept and recovered -----------------------------------------------------------------------------------------------------------


def test_after_a_crash_the_journal_is_offered_and_brings_everything_back(world):
    volume = aVolume()
    logic, _ = world(volume)
    annotated = propagateBall(logic)
    logic.accept(annotated.center)
    painted = np.zeros(annotated.stack.frame_shape_rc, bool)
    painted[10:20, 10:20] = True
    logic.correct(annotated.center + 2, painted)
    waitFor(lambda: not logic.running)
    assert logic.recoverable() is None  # the scene has it all
    state, array = annotated.session.to_json(), segmentArray(logic).copy()
    logic.sceneClosing()
    slicer.mrmlScene.Clear(0)
    volume = aVolume()
    again, _ = world(volume)
    path = again.recoverable()
    assert path is not None
    (recovered,) = again.recover(path)
    assert recovered.session.to_json() == state and recovered.name == "Object 1"
    assert np.array_equal(segmentArray(again, recovered), array) and again.current is recovered
    assert again.recoverable() is None


def test_the_journal_lies_beside_the_scene_too_once_that_has_a_file(world, tmp_path):
    logic, _ = world(aVolume())
    (tmp_path / "scenes").mkdir()
    slicer.mrmlScene.SetURL(str(tmp_path / "scenes" / "work.mrml"))
    propagateBall(logic)
    (beside,) = (tmp_path / "scenes").glob("*.sam2annotate.json")
    assert beside.read_bytes() == logic.keeper.journals.pathFor(logic.volumeNode).read_bytes()
    logic.sceneClosing()
    slicer.mrmlScene.Clear(0)
    before = beside.read_bytes()
    again, _ = world(aVolume())
    again.keeper.journals.sceneClosed(slicer.mrmlScene)
    propagateBall(again)
    assert beside.read_bytes() == before  # the closed scene's file is another's now


def test_a_journal_that_nobody_decided_on_is_not_written_over_and_still_offered(world):
    logic, _ = world(aVolume())
    annotated = propagateBall(logic)
    logic.accept(annotated.center)
    state = annotated.session.to_json()
    logic.sceneClosing()
    slicer.mrmlScene.Clear(0)
    again, _ = world(aVolume())
    other = markBall(again)  # a script does not ask the panel
    waitFor(lambda: not again.service.busy)
    path = again.recoverable()
    assert path is not None and path != again.keeper.journals.pathFor(again.volumeNode)
    (recovered,) = again.recover(path)
    assert recovered.session.to_json() == state and other.exists
    assert (other.name, recovered.name) == ("Object 1", "Object 1 (recovered)")
    assert again.recoverable() is None and not path.exists()


def test_the_journal_of_another_volume_is_refused(world):
    logic, _ = world(aVolume())
    propagateBall(logic)
    path = logic.keeper.journals.pathFor(logic.volumeNode)
    logic.nextObject()
    logic.parameters.volume = aVolume(directions()["RAS"])
    logic.parameters.segmentation = None
    with pytest.raises(GridMismatchError, match="belongs to another volume"):
        logic.recover(path)
    assert logic.recoverable() is None


def test_a_full_disk_keeps_the_last_journal_and_the_work_in_the_scene(world, monkeypatch):
    logic, heard = world(aVolume())
    annotated = propagateBall(logic)
    path = logic.keeper.journals.pathFor(logic.volumeNode)
    before = path.read_bytes()

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("SAM2AnnotateLib.review.journal.os.fsync", full)
    logic.accept(annotated.center)
    assert "No space left" in heard.errors[-1] and "not affected" in heard.errors[-1]
    assert path.read_bytes() == before and annotated.session.status(annotated.center) is SliceStatus.ACCEPTED
    monkeypatch.undo()
    logic.accept(annotated.center + 1)
    stored = logic.keeper.journals.read(path, logic.volumeNode)[annotated.segmentId]
    assert stored.session.locked == {annotated.center, annotated.center + 1}


def test_tag_and_journal_are_written_after_every_decision(world):
    logic, _ = world(aVolume())
    annotated = propagateBall(logic)
    for decide in (logic.accept, logic.unlock):
        before = (tagOf(annotated.segmentationNode, annotated.segmentId), logic.keeper.journals.pathFor(logic.volumeNode).read_bytes())
        decide(annotated.center)
        after = (tagOf(annotated.segmentationNode, annotated.segmentId), logic.keeper.journals.pathFor(logic.volumeNode).read_bytes())
        assert before[0] != after[0] and before[1] != after[1]


def test_a_slice_becomes_the_end_on_its_own_side_of_the_center(world):
    logic, _ = world(aVolume())
    annotated = propagateBall(logic)
    first, last = annotated.session.extent.first, annotated.session.extent.last
    logic.setExtentEnd(first + 2, last=True)
    logic.setExtentEnd(last - 1, last=True)
    assert annotated.session.extent == Extent(first + 2, last - 1)
    assert not segmentArray(logic)[annotated.stack.index_of(first + 1)].any()
    logic.setExtentEnd(annotated.center, last=False)
    assert annotated.session.extent == Extent(annotated.center, last - 1)


def test_a_correction_before_the_first_propagation_starts_none(world):
    logic, _ = world(aVolume())
    annotated = markBall(logic)
    waitFor(lambda: not logic.service.busy)
    logic.correct(annotated.center, annotated.session.mask(annotated.center))
    assert not logic.running


def test_leaving_an_object_while_it_runs_says_nothing_later_and_the_next_run_is_undisturbed(world):
    logic, heard = world(aVolume(), delaySeconds=0.02)
    first = markBall(logic)
    waitFor(lambda: not logic.service.busy)
    logic.propagate()
    waitFor(lambda: logic.progress[0] >= 3)
    logic.nextObject()
    said = len(heard.messages)
    done = len(first.session.results)
    second = markBall(logic)
    logic.propagate()
    waitFor(lambda: not logic.running)
    assert len(heard.messages) == said and len(first.session.results) == done
    assert len(second.session.results) == len(second.session.extent)


def test_everything_is_there_again_after_the_scene_was_saved_and_loaded(world, tmp_path):
    volume = aVolume(directions()["oblique"])
    logic, _ = world(volume)
    annotated = propagateBall(logic)
    logic.accept(annotated.center)
    painted = np.zeros(annotated.stack.frame_shape_rc, bool)
    painted[8:20, 10:30] = True
    logic.correct(annotated.center + 3, painted)
    waitFor(lambda: not logic.running)
    state, effort, array = annotated.session.to_json(), annotated.effort.toJson(), segmentArray(logic).copy()
    bounds = readRoi(logic.parameters.roi, volume)
    nodeId, segmentId = annotated.segmentationNode.GetID(), annotated.segmentId
    logic.storeNow()
    assert slicer.util.saveScene(str(tmp_path / "work.mrb"))
    logic.sceneClosing()
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "work.mrb"))
    from SAM2AnnotateSlicer.Scene.ParameterNode import SAM2AnnotateParameterNode

    wrapped = [node for node in slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode") if node.GetNodeReference("roi")]
    logic.setParameters(SAM2AnnotateParameterNode(wrapped[0]))
    (back,) = logic.restoreObjects()
    assert back is logic.current and (back.segmentationNode.GetID(), back.segmentId) == (nodeId, segmentId)
    assert back.session.to_json() == state and back.effort.toJson() == effort
    assert np.array_equal(segmentArray(logic), array) and back.noticeEdits() == []
    assert np.array_equal(readRoi(logic.parameters.roi, back.volumeNode), bounds)
    assert segmentArray(logic)[back.stack.index_of(back.center + 3)].sum() == painted.sum()
    logic.propagate()
    waitFor(lambda: not logic.running)
    assert back.session.mask(back.center + 3).tobytes() == painted.tobytes()
