"""What the scene is told and tells: removed segments and segmentations, names, and what a saved scene keeps of a correction."""

from __future__ import annotations

import re
import zipfile

import numpy as np
import pytest
import slicer
import vtk
from panel_bench import makeBench, settle
from worlds import aVolume, markBall

from SAM2AnnotateLib.geometry import Extent
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Review.AnnotatedSegment import AnnotatedSegment
from SAM2AnnotateSlicer.Scene.RoiBox import readRoi
from slicer_host.application.scene_files import delete_as_the_user_does


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


# -- what was removed ---------------------------------------------------------------------------------------------------------------


def test_a_segmentation_that_is_deleted_is_called_a_segmentation(bench):
    annotated = bench.propagated()
    delete_as_the_user_does(annotated.segmentationNode)
    settle()
    assert bench.annotated is None and "The segmentation 'Ball segmentation' was removed" in bench.message
    assert bench.ui.recoveryFrame.visible
    bench.click("recover")
    assert bench.annotated.counts()[SliceStatus.PROPOSED] == 17


def test_a_segment_that_is_deleted_is_called_a_segment(bench):
    annotated = bench.propagated()
    annotated.segmentationNode.GetSegmentation().RemoveSegment(annotated.segmentId)
    settle()
    assert bench.annotated is None and "The segment was removed" in bench.message and bench.ui.recoveryFrame.visible


@pytest.mark.parametrize("whole", [True, False])
def test_it_may_be_deleted_while_it_is_computed_or_corrected(bench, whole):
    annotated = bench.propagated()
    bench.click("correct")
    if whole:
        delete_as_the_user_does(annotated.segmentationNode)
    else:
        annotated.segmentationNode.GetSegmentation().RemoveSegment(annotated.segmentId)
    settle()
    assert not bench.logic.editor.active and bench.annotated is None
    assert ("The segmentation" in bench.message) == whole
    bench.click("recover")
    bench.click("nextObject")
    markBall(bench.logic)
    bench.service.held = True
    bench.click("propagate")
    bench.service.letThrough(2)
    delete_as_the_user_does(bench.annotated.segmentationNode)
    settle()
    assert not bench.service.busy and "The segmentation" in bench.message


def test_a_segment_that_is_removed_and_added_again_is_no_loss(bench):
    annotated = bench.propagated()
    segmentation = annotated.segmentationNode.GetSegmentation()
    segment = annotated.segment
    segmentation.RemoveSegment(annotated.segmentId)  # as when it is moved in the list
    segmentation.AddSegment(segment, annotated.segmentId)
    settle()
    assert bench.annotated is annotated and annotated.exists and not bench.ui.recoveryFrame.visible


# -- what a saved scene keeps of a correction ---------------------------------------------------------------------------------------


def sceneText(path) -> str:
    """The scene's description as it was written."""
    if path.suffix == ".mrml":
        return path.read_text()
    with zipfile.ZipFile(path) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith(".mrml"))).decode()


@pytest.mark.parametrize("name", ["scene.mrb", "scene.mrml"])
@pytest.mark.parametrize("told", [True, False])
def test_a_scene_that_is_saved_in_a_correction_keeps_nothing_of_it(bench, tmp_path, name, told):
    annotated = bench.propagated()
    display = annotated.segmentationNode.GetDisplayNode()
    bench.click("correct")
    assert not display.GetSegmentVisibility(annotated.segmentId)
    path = tmp_path / name
    if told:  # by Slicer's dialog
        slicer.mrmlScene.StartState(slicer.vtkMRMLScene.SaveState)
    assert slicer.util.saveScene(str(path))
    if told:
        slicer.mrmlScene.EndState(slicer.vtkMRMLScene.SaveState)
    text = sceneText(path)
    assert "ThisSlice" not in text and "Correction of slice" not in text
    # Nothing tells that a script writes an .mrml file; its segments are shown again when it is loaded.
    assert (name == "scene.mrml" and not told) or not re.search(r"[^a-zA-Z]Visible:false", text)
    settle()
    assert bench.logic.editor.active and not display.GetSegmentVisibility(annotated.segmentId)


def test_a_scene_that_a_script_saves_while_slices_arrive_knows_them_as_the_models(bench, tmp_path):
    bench.mark()
    bench.service.held = True
    bench.click("propagate")
    bench.service.letThrough(5)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    settle()
    assert not bench.annotated.session.locked and bench.annotated.counts()[SliceStatus.PROPOSED] >= 5


# -- what a segmentation is called ----------------------------------------------------------------------------------------------------


def test_an_object_of_a_file_that_was_opened_keeps_its_names(bench, tmp_path):
    bench.propagated()
    node = bench.annotated.segmentationNode
    name = node.GetName()
    bench.panel.saving.askFile = lambda _suggested: str(tmp_path / "Ball.seg.nrrd")
    bench.click("save")
    assert node.GetName() == name
    stored = AnnotatedSegment.restore(node, bench.annotated.segmentId)
    assert stored.name == "Object 1" and name == "Ball segmentation"


def test_two_segmentations_of_one_volume_may_have_one_name(bench):
    bench.propagated()
    bench.logic.nextObject()
    bench.logic.parameters.segmentation = None
    markBall(bench.logic)
    names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")]
    assert names[0] == "Ball segmentation" and len(names) == 2
    assert aVolume().GetName() == "Ball"


# -- the console ----------------------------------------------------------------------------------------------------------------------


def test_corrections_leave_no_complaint_in_slicers_log(bench):
    """Fault 26: the host fails the test for each; the editor keeps its node, which is in the scene only while a slice is open."""
    bench.propagated()
    for _correction in range(2):
        bench.click("correct")
        editor = bench.panel.review.correction.editor
        node = editor.mrmlSegmentEditorNode()
        assert node.GetScene() is slicer.mrmlScene and editor.segmentationNode() is bench.logic.editor.node
        bench.click("leave")
        assert editor.mrmlSegmentEditorNode() is node and node.GetScene() is None
        assert editor.segmentationNode() is None and editor.sourceVolumeNode() is None
    bench.click("correct")
    slicer.mrmlScene.Clear(False)
    settle()
    bench.mark(aVolume(np.diag([1, -1, 1])))
    bench.click("correct")
    assert bench.panel.review.correction.editor.segmentationNode() is bench.logic.editor.node
    another = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Another")
    bench.click("leave")
    assert bench.panel.review.correction.editor.segmentationNode() is None and another.GetScene() is not None


def test_a_decision_does_not_touch_the_box_that_is_where_it_was(bench):
    """A real Slicer said "Observation ... already exists" for the ROI; what did not change is not set again."""
    annotated = bench.propagated()
    roi, parameters = bench.logic.parameters.roi, bench.logic.parameters
    heard = []
    tags = [(node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, _event: heard.append(caller))) for node in (roi,)]
    bench.logic.accept(annotated.center)
    bench.logic.undo()
    bench.logic.accept(annotated.session.extent.first)
    bench.logic.undo()
    assert heard == [] and parameters.roi is roi
    bench.logic.setExtent(Extent(annotated.session.extent.first + 1, annotated.session.extent.last))
    assert heard and readRoi(roi, annotated.volumeNode).tolist() == annotated.boundsIjk().tolist()
    for node, tag in tags:
        node.RemoveObserver(tag)
