"""What must not happen to a person's work, whatever the person, the scene or the model does; each was found by a review."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from orientations import linearTransform, volumeNode
from worlds import Heard, aVolume, ballArray, makeLogic, markBall, waitFor

from SAM2AnnotateLib.errors import InputError, OutputError, PromptError, VolumeError
from SAM2AnnotateLib.geometry import Extent
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.review.stored_object import unpack_object
from SAM2AnnotateSlicer.Review import JournalKeeper
from SAM2AnnotateSlicer.Review.AnnotatedSegment import AnnotatedSegment, tagOf
from SAM2AnnotateSlicer.Scene.RoiBox import readRoi, setRoi


@pytest.fixture
def world(tmp_path):
    made = []

    def make(volume=None, delaySeconds=0.0):
        made.append(makeLogic(tmp_path, volume, delaySeconds))
        return made[-1], Heard(made[-1])

    yield make
    for logic in made:
        logic.service.close()


def marked(logic, propagated=True):
    annotated = markBall(logic)
    waitFor(lambda: not logic.service.busy)
    if propagated:
        logic.propagate()
        waitFor(lambda: not logic.running)
    return annotated


def array(annotated):
    return slicer.util.arrayFromSegmentBinaryLabelmap(annotated.segmentationNode, annotated.segmentId, annotated.volumeNode) > 0


def draw(annotated, index, where, value=1):
    voxels = array(annotated).astype(np.uint8)
    voxels[index][where] = value
    slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, annotated.segmentationNode, annotated.segmentId, annotated.volumeNode)


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 200])
def test_a_box_on_a_volume_that_is_turned_within_the_slice_holds_the_whole_rectangle(world, degrees):
    turn = np.radians(degrees)
    direction = np.array([[-np.cos(turn), np.sin(turn), 0], [-np.sin(turn), -np.cos(turn), 0], [0, 0, 1]])
    volume = volumeNode(ballArray((20, 120, 130)), direction, origin=(0, 0, 0))
    logic, _ = world(volume)
    sliceNode = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    center = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())[:3, 3]
    annotated = logic.drawBox(sliceNode, (center - np.array([20, 20, 0]), center + np.array([20, 20, 0])))
    sidesMm = np.diff(annotated.boundsIjk(), axis=1)[:2, 0] * (0.9, 1.3)
    expected = 40 * (abs(np.cos(turn)) + abs(np.sin(turn)))
    assert np.all(np.abs(sidesMm - expected) < 3)


def test_a_segmentation_of_surfaces_is_refused_because_masks_would_not_be_saved(world):
    logic, _ = world(aVolume())
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Surfaces")
    node.SetSourceRepresentationToClosedSurface()
    node.AddSegmentFromClosedSurfaceRepresentation(_sphere(), "ball", (1, 0, 0))
    logic.parameters.segmentation = node
    with pytest.raises(InputError, match="Closed surface.*would not be saved"):
        markBall(logic)


def _sphere():
    source = vtk.vtkSphereSource()
    source.Update()
    return source.GetOutput()


def test_undo_of_a_longer_extent_gives_back_what_was_drawn_there_before(world):
    volume = aVolume()
    logic, _ = world(volume)
    annotated = marked(logic)
    last = annotated.session.extent.last
    for index in range(last + 1, last + 4):
        draw(annotated, index, np.s_[5:9, 5:9])
    before = array(annotated).copy()
    logic.setExtent(Extent(annotated.session.extent.first, last + 2))
    assert annotated.session.status(last + 1) is SliceStatus.CORRECTED
    assert logic.undo() == "first and last slice"
    assert np.array_equal(array(annotated), before)


def test_after_its_volume_was_removed_no_other_object_goes_into_the_segment(world):
    volume, other = aVolume(name="One"), aVolume(name="Two")
    logic, _ = world(volume)
    first = marked(logic)
    tag = first.labelmap.segment
    logic.nodeRemoved(volume)
    slicer.mrmlScene.RemoveNode(volume)
    logic.parameters.volume = other
    second = markBall(logic)
    assert second.segmentId != first.segmentId and tag is not second.labelmap.segment


def test_a_segment_that_holds_another_object_is_not_written_into(world):
    logic, _ = world(aVolume())
    first = marked(logic)
    logic.nextObject()
    logic.parameters.segmentId = first.segmentId  # a script, or a panel that lags behind
    assert markBall(logic).segmentId != first.segmentId


def test_a_volume_that_was_moved_alone_makes_no_corrections_and_says_what_to_do(world):
    volume = aVolume()
    logic, _ = world(volume)
    annotated = marked(logic)
    logic.accept(annotated.center)
    before = annotated.session.to_json()
    transform = linearTransform(0, (6.0, 5.4, 0.0))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert logic.noticeEdits() == [] and annotated.session.to_json() == before
    with pytest.raises(PromptError, match="moved against each other"):
        logic.propagate()
    annotated.segmentationNode.SetAndObserveTransformNodeID(transform.GetID())
    logic.propagate()
    waitFor(lambda: not logic.running)
    assert logic.noticeEdits() == []


def test_a_volume_that_moves_while_it_runs_ends_the_run_with_a_word(world):
    volume = aVolume()
    logic, heard = world(volume, delaySeconds=0.03)
    marked(logic, propagated=False)
    logic.propagate()
    waitFor(lambda: logic.progress[0] >= 3)
    volume.SetAndObserveTransformNodeID(linearTransform(0, (30.0, 0.0, 0.0)).GetID())
    waitFor(lambda: not logic.running, 20)
    assert "moved against each other" in heard.errors[-1]
    waitFor(lambda: not logic.service.busy, 20)


def test_a_stroke_on_a_slice_whose_result_is_on_its_way_is_kept(world):
    logic, _ = world(aVolume(), delaySeconds=0.03)
    annotated = marked(logic, propagated=False)
    logic.propagate()
    waitFor(lambda: logic.progress[0] >= 2)
    position = annotated.session.extent.first
    draw(annotated, annotated.stack.index_of(position), np.s_[2:5, 2:5])
    waitFor(lambda: not logic.running)
    assert annotated.session.status(position) is SliceStatus.CORRECTED
    assert array(annotated)[annotated.stack.index_of(position), 2:5, 2:5].all()


def test_box_and_points_are_put_back_while_a_slice_is_corrected(world):
    volume = aVolume()
    logic, _ = world(volume)
    annotated = marked(logic)
    bounds = readRoi(logic.parameters.roi, volume)
    logic.beginCorrection(annotated.session.extent.last)
    setRoi(logic.parameters.roi, volume, bounds - np.array([[0, 0], [0, 0], [0, 3]]))
    with pytest.raises(PromptError, match="being corrected"):
        logic.syncFromRoi()
    assert np.array_equal(readRoi(logic.parameters.roi, volume), bounds) and logic.editor.active


def test_a_correction_that_is_refused_stays_open_with_its_drawing(world):
    volume = aVolume()
    logic, _ = world(volume)
    annotated = marked(logic)
    logic.beginCorrection(annotated.center)
    volume.SetAndObserveTransformNodeID(linearTransform(0, (6.0, 0.0, 0.0)).GetID())
    with pytest.raises(PromptError, match="moved against each other"):
        logic.finishCorrection()
    assert logic.editor.active
    volume.SetAndObserveTransformNodeID(None)
    logic.finishCorrection()
    assert not logic.editor.active and annotated.session.status(annotated.center) is SliceStatus.CORRECTED


def test_a_box_drawn_again_while_the_model_loads_gets_its_preview(world):
    logic, heard = world(aVolume())
    annotated = markBall(logic)
    again = logic.markObject("k", annotated.stack.index_of(annotated.center), annotated.boundsIjk() + np.array([[2, 0], [0, 0], [0, 0]]))
    waitFor(lambda: not logic.service.busy)
    assert heard.slices == [again.center] and heard.errors == []


def test_a_volume_that_cannot_be_used_leaves_nothing_running(world):
    volume = volumeNode(ballArray().astype(np.float32), np.diag([-1, -1, 1]))
    logic, _ = world(volume)
    marked(logic, propagated=False)
    slicer.util.arrayFromVolume(volume)[0, 0, 0] = np.nan
    slicer.util.arrayFromVolumeModified(volume)
    with pytest.raises(VolumeError, match="NaN"):
        logic.propagate()
    assert not logic.running


def test_the_gray_window_of_an_object_is_kept_over_saving_and_loading(world):
    voxels = np.where(ballArray() > 100, -800, -1000).astype(np.int16)
    voxels[0, 0, 0] = 1000
    logic, _ = world(volumeNode(voxels, np.diag([-1, -1, 1])))
    logic.parameters.window = "auto"
    volume = logic.volumeNode
    annotated = logic.markObject("k", 12, [[11, 34], [10, 31], [4, 21]])
    waitFor(lambda: not logic.service.busy)
    assert logic.mapping().name == "lung"
    again, _ = world(volume)
    again.parameters.window = "auto"
    again.parameters.segmentation, again.parameters.segmentId = annotated.segmentationNode, annotated.segmentId
    again.restoreObjects()
    assert again.mapping().name == "lung"
    slicer.util.arrayFromVolume(volume)[1, 1, 1] = 7
    slicer.util.arrayFromVolumeModified(volume)
    assert again.mapping().name == "lung"


def test_a_scene_folder_that_is_only_read_does_not_cry_at_every_decision(world, tmp_path, monkeypatch, caplog):
    logic, heard = world(aVolume())
    (tmp_path / "scenes").mkdir()
    slicer.mrmlScene.SetURL(str(tmp_path / "scenes" / "work.mrml"))
    real = JournalKeeper.write_journal

    def onlyRead(path, *rest):
        if path.parent.name == "scenes":
            raise OutputError("read-only")
        real(path, *rest)

    monkeypatch.setattr(JournalKeeper, "write_journal", onlyRead)
    with caplog.at_level(logging.WARNING):
        annotated = marked(logic)
        logic.accept(annotated.center)
    assert heard.errors == [] and caplog.text.count("beside the scene") == 1
    assert logic.keeper.journals.pathFor(logic.volumeNode).is_file()


def test_voxels_of_volumes_that_are_gone_do_not_fill_the_disk(world):
    volume = aVolume()
    logic, _ = world(volume)
    marked(logic, propagated=False)
    folder = logic.service._process.client._folder.name
    assert len(list(Path(folder).glob("*.npy"))) == 1
    slicer.util.arrayFromVolume(volume)[0, 0, 0] = 5
    slicer.util.arrayFromVolumeModified(volume)
    logic.preview()
    waitFor(lambda: not logic.service.busy)
    assert len(list(Path(folder).glob("*.npy"))) == 1  # as it is now, not as it was
    logic.nodeRemoved(volume)
    assert list(Path(folder).glob("*.npy")) == []


def test_a_journal_of_work_that_was_saved_is_no_offer(world):
    logic, _ = world(aVolume())
    annotated = marked(logic)
    logic.accept(annotated.center)
    logic.keeper.saved(logic.volumeNode)
    logic.sceneClosing()
    slicer.mrmlScene.Clear(0)
    again, _ = world(aVolume())
    assert again.recoverable() is None


def test_a_preview_that_comes_after_the_volume_was_moved_is_not_written(world):
    volume = aVolume()
    logic, heard = world(volume)
    annotated = markBall(logic)
    transform = linearTransform(0, (6.0, 5.4, 8.1))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    waitFor(lambda: not logic.service.busy)
    assert "moved against each other" in heard.errors[-1] and annotated.labelmap.occupiedSlices() == []
    volume.SetAndObserveTransformNodeID(None)
    logic.preview()
    waitFor(lambda: not logic.service.busy)
    assert annotated.labelmap.occupiedSlices() == [annotated.stack.index_of(annotated.center)]


@pytest.mark.parametrize("axis", ["k", "i"])
def test_a_box_drawn_again_on_a_volume_that_was_moved_alone_wipes_nothing(world, axis):
    volume = aVolume()
    logic, _ = world(volume)
    annotated = marked(logic, propagated=False)
    before = array(annotated)
    volume.SetAndObserveTransformNodeID(linearTransform(0, (6.0, 5.4, 8.1)).GetID())
    with pytest.raises(PromptError, match="moved against each other"):
        markBall(logic, axis)
    volume.SetAndObserveTransformNodeID(None)
    assert np.array_equal(array(annotated), before) and annotated.undoLabel == ""


def test_a_volume_that_was_moved_alone_makes_no_corrections_after_loading_either(world):
    volume = aVolume()
    logic, _ = world(volume)
    annotated = marked(logic)
    logic.accept(annotated.center)
    before = array(annotated)
    volume.SetAndObserveTransformNodeID(linearTransform(0, (6.0, 5.4, 0.0)).GetID())
    node, segmentId = annotated.segmentationNode, annotated.segmentId
    logic.storeNow()
    tag = annotated.segment
    back = AnnotatedSegment.restore(node, segmentId)  # as a scene or a segmentation's file that is loaded later
    assert back.noticeEdits() == [] and back.session.locked == {annotated.center} and back.segment is tag
    with pytest.raises(PromptError, match="moved against each other"):
        back.requireUsable()
    volume.SetAndObserveTransformNodeID(None)
    back.requireUsable()
    assert np.array_equal(array(back), before) and back.noticeEdits() == []


def test_a_new_segment_with_the_id_of_one_that_was_removed_is_no_object(world):
    logic, _ = world(aVolume())
    annotated = marked(logic)
    node, segmentId = annotated.segmentationNode, annotated.segmentId
    logic.nextObject()
    node.GetSegmentation().RemoveSegment(segmentId)  # in another module, with another segmentation chosen here
    node.GetSegmentation().AddEmptySegment(segmentId, "New")
    assert logic.selectSegment(node, segmentId) is None and logic.keeper.all() == []


def test_undo_in_the_segment_editor_takes_no_decision_out_of_what_is_saved(world):
    logic, _ = world(aVolume())
    annotated = marked(logic)
    node, segmentId = annotated.segmentationNode, annotated.segmentId
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(node.GetSegmentation())
    history.SaveState()
    logic.accept(annotated.center)
    draw(annotated, annotated.stack.index_of(annotated.session.extent.first), np.s_[2:5, 2:5])
    logic.noticeEdits()
    waitFor(lambda: not logic.running)
    logic.nextObject()
    history.SaveState()
    decided = tagOf(node, segmentId)
    history.RestorePreviousState()
    assert annotated.exists and tagOf(node, segmentId) != decided  # Slicer takes the tag back with the voxels
    logic.storeNow()
    assert unpack_object(tagOf(node, segmentId), "Ball").session.locked == {annotated.center, annotated.session.extent.first}
