"""'Keep off other segments' switched after a propagation: all open slices follow, or say that they are out of date."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from panel_bench import makeBench, segmentArray, settle
from worlds import aVolume, ballArray, markBall

from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Scene.ParameterNode import Overlap

BLOCK = np.s_[9:15, 14:24, 15:25]  # of another segment, within the ball
BLOCKED = range(9, 15)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    made = makeBench(tmp_path, monkeypatch)
    volume = aVolume()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Both")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.CreateDefaultDisplayNodes()
    other = node.GetSegmentation().AddEmptySegment("other", "Other")
    voxels = np.zeros(ballArray().shape, np.uint8)
    voxels[BLOCK] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, node, other, volume)
    made.ui.volumeSelector.setCurrentNode(volume)
    made.logic.parameters.window, made.logic.parameters.segmentation = "0,255", node
    return made


def propagated(bench):
    slicer.util.setSliceViewerLayers(background=bench.logic.volumeNode, fit=True)
    annotated = markBall(bench.logic)
    bench.click("goToCenter")
    bench.click("propagate")
    return annotated


def switch(bench):
    bench.ui.keepOffCheckBox.click()
    settle()


def otherIsWhole(bench):
    node = bench.logic.parameters.segmentation
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, "other", bench.logic.volumeNode) > 0
    return array[BLOCK].all() and array.sum() == array[BLOCK].sum()


def test_all_open_slices_are_cut_and_made_whole_again_with_a_word(bench):
    annotated = propagated(bench)
    bench.show(annotated.stack.position_of(10))
    bench.logic.accept(annotated.stack.position_of(10))
    before, statuses = segmentArray(annotated), annotated.counts()
    assert before[BLOCK].any(axis=(1, 2)).all()
    switch(bench)
    expected = before.copy()
    expected[BLOCK] = False
    expected[10] = before[10]  # what was accepted stays
    assert np.array_equal(segmentArray(annotated), expected) and annotated.counts() == statuses
    assert bench.message == "Open slices cut where other segments are: 5."
    switch(bench)
    assert np.array_equal(segmentArray(annotated), before) and bench.message == "Open slices made whole again: 5."
    assert otherIsWhole(bench) and annotated.counts() == statuses and len(annotated.session.locked) == 1


def test_what_was_computed_while_keeping_off_is_made_whole_too(bench):
    switch(bench)
    annotated = propagated(bench)
    cut = segmentArray(annotated)
    assert not cut[BLOCK].any() and bench.logic.parameters.overlap is Overlap.KEEP_OFF
    switch(bench)
    whole = segmentArray(annotated)
    assert (whole & ~cut)[BLOCK].any(axis=(1, 2)).all() and not (cut & ~whole).any()
    assert "made whole again: 6" in bench.message and bench.logic.dueSlices() == 0
    switch(bench)
    assert np.array_equal(segmentArray(annotated), cut)


def test_it_is_one_step_of_undo(bench):
    annotated = propagated(bench)
    before = segmentArray(annotated)
    switch(bench)
    bench.key("Z")
    assert np.array_equal(segmentArray(annotated), before) and "keeping off other segments" in bench.message


def test_nothing_is_asked_of_the_model(bench):
    propagated(bench)
    bench.service.asked.clear()
    switch(bench)
    switch(bench)
    assert bench.service.asked == []


def test_slices_of_an_earlier_session_that_may_have_been_cut_are_out_of_date_and_said_to_be(bench, tmp_path):
    switch(bench)
    cut = segmentArray(propagated(bench))
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    settle()
    annotated = bench.annotated
    switch(bench)
    stale = [
        index for index in range(24) if index in range(4, 21) and bench.status(annotated.stack.position_of(index)) is SliceStatus.STALE
    ]
    assert stale == list(BLOCKED) and "6 may have been cut in an earlier session" in bench.message and "Propagate" in bench.message
    assert np.array_equal(segmentArray(annotated), cut)
    bench.click("propagate")
    assert segmentArray(annotated)[BLOCK].any(axis=(1, 2)).all() and annotated.counts()[SliceStatus.STALE] == 0


def test_a_switch_by_a_script_and_one_without_an_object_are_followed_too(bench):
    annotated = propagated(bench)
    bench.logic.parameters.overlap = Overlap.KEEP_OFF
    settle()
    assert not segmentArray(annotated)[BLOCK].any()
    bench.click("nextObject")
    switch(bench)
    assert not segmentArray(annotated)[BLOCK].any()
    bench.logic.selectSegment(annotated.segmentationNode, annotated.segmentId)
    settle()
    assert segmentArray(annotated)[BLOCK].any() and "made whole again" in bench.message


def test_a_switch_in_the_middle_of_a_run_reaches_what_came_before_and_after(bench):
    slicer.util.setSliceViewerLayers(background=bench.logic.volumeNode, fit=True)
    annotated = markBall(bench.logic)
    bench.service.held = True
    bench.click("propagate")
    bench.service.letThrough(4)
    switch(bench)
    assert bench.logic.running
    bench.service.letThrough(None)
    settle()
    assert not segmentArray(annotated)[BLOCK].any() and annotated.counts()[SliceStatus.PROPOSED] == 17


def test_without_an_overlap_it_says_that_nothing_changes(bench):
    node = bench.logic.parameters.segmentation
    node.GetSegmentation().RemoveSegment("other")
    propagated(bench)
    switch(bench)
    assert "No open slice lies on another segment" in bench.message
    switch(bench)
    assert "No open slice had been cut" in bench.message
