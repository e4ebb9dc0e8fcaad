"""The panel, driven by its buttons, its keys and the mouse in the views, with a model that answers at once by a rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
from orientations import directions
from panel_bench import makeBench, settle
from worlds import aVolume

from SAM2AnnotateLib.errors import EngineError
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Scene.RoiBox import readRoi, setRoi
from SAM2AnnotateSlicer.Scene.SceneBridge import ijkToWorld, sliceAxis
from slicer_host.modules import util_functions
from slicer_host.modules.scripted_module import leave_module
from slicer_host.views.views_and_mouse import click, drag, move_mouse
from slicer_host.widgets.segment_editing import paint

MARKUPS = slicer.vtkMRMLMarkupsNode


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


# -- the way through ---------------------------------------------------------------------------------------------------------------


def test_the_whole_way_by_buttons(bench, tmp_path):
    annotated = bench.mark()
    center = annotated.center
    assert bench.service.asked == ["preview", "prefetch"] and bench.position() == center
    assert bench.ui.estimateLabel.text == "About 4 s for 16 slices."
    bench.click("propagate")
    assert annotated.counts()[SliceStatus.PROPOSED] == 17
    bench.click("accept")
    bench.show(center + 3)
    bench.click("acceptUpTo")
    assert {position - center for position in annotated.session.locked} == {0, 1, 2, 3}
    bench.click("unlock")
    assert bench.status(center + 3) is SliceStatus.PROPOSED
    bench.show(annotated.session.extent.last)
    bench.click("noObject")
    assert annotated.isEmptied(annotated.session.extent.last)
    assert "3 accepted, 0 corrected, 1 emptied; 13 left to review" in bench.ui.countsLabel.text
    bench.click("undo")
    assert "Taken back: no object here." in bench.message and not annotated.isEmptied(annotated.session.extent.last)
    bench.click("redo")
    assert annotated.isEmptied(annotated.session.extent.last)
    bench.panel.saving.askFile = lambda suggested: str(tmp_path / suggested)
    bench.click("save")
    assert (tmp_path / "Ball segmentation.seg.nrrd").is_file() and "Saved" in bench.message
    assert "17 slices; 3 accepted" in bench.ui.summaryLabel.text
    bench.click("nextObjectAfterSave")
    assert bench.annotated is None and bench.ui.segmentComboBox.currentText == "New segment"
    assert not bench.logic.parameters.roi.GetDisplayVisibility()


def test_the_whole_way_by_keys_and_mouse(bench):
    volume = aVolume()
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    bench.ui.volumeSelector.setCurrentNode(volume)
    bench.logic.parameters.window = "0,255"
    matrix = ijkToWorld(volume)
    at = {name: tuple((matrix @ [*ijk, 1])[:3]) for name, ijk in {"a": (9, 8, 12), "b": (35, 32, 12)}.items()}
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *at["a"])
    bench.key("B")
    assert bench.ui.drawBoxButton.checked
    drag("Red", at["a"], at["b"])
    annotated = bench.annotated
    center = annotated.center
    assert annotated.axis == "k" and annotated.stack.index_of(center) == 12 and not bench.ui.drawBoxButton.checked
    for position, key in ((center - 4, "F"), (center + 5, "L")):
        bench.show(position)
        bench.key(key)
    assert (annotated.session.extent.first, annotated.session.extent.last) == (center - 4, center + 5)
    bench.key("Return")
    assert annotated.counts()[SliceStatus.PROPOSED] == 10
    bench.show(center)
    bench.key("A")
    assert bench.position() == center + 1
    bench.key("Up")
    assert bench.position() == center + 2
    bench.key("Shift+A")
    assert len(annotated.session.locked) == 3
    bench.key("U")
    assert len(annotated.session.locked) == 2
    bench.key("Z")
    assert len(annotated.session.locked) == 3
    bench.key("Y")
    assert len(annotated.session.locked) == 2
    bench.key("Down")
    assert bench.position() == center + 1
    doubtful = bench.logic.nextDoubtful(bench.position())
    bench.key("N")
    assert bench.position() == doubtful
    bench.show(center + 5)
    bench.key("X")
    assert annotated.isEmptied(center + 5)
    bench.show(center - 2)
    bench.key("C")
    assert bench.logic.editor.active and bench.ui.correctionFrame.visible
    for _once in ("puts the effect away", "leaves the correction"):
        bench.key("Escape")
    assert not bench.logic.editor.active and not bench.ui.correctionFrame.visible
    bench.key("C")
    paint(bench.panel.review.correction.editor, np.ones((1, 40, 44), bool))
    bench.key("Enter")
    assert annotated.session.mask(center - 2).all() and bench.status(center - 2) is SliceStatus.CORRECTED


def test_an_oblique_volume_is_turned_to_before_a_box_is_drawn(bench):
    volume = aVolume(directions()["oblique flipped"])
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    bench.ui.volumeSelector.setCurrentNode(volume)
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    assert not sliceAxis(red, volume)[1]
    bench.click("drawBox")
    assert sliceAxis(red, volume)[1] and "oblique" in bench.message and bench.panel.boxTool.active
    bench.key("Escape")
    assert not bench.panel.boxTool.active and not bench.ui.drawBoxButton.checked


def test_a_correction_is_painted_in_the_panel_and_undone_stroke_by_stroke(bench):
    annotated = bench.propagated()
    position = annotated.center + 2
    before = annotated.session.mask(position).copy()
    bench.show(position)
    bench.click("correct")
    editor = bench.panel.review.correction.editor
    assert editor.activeEffect().name == "Paint" and bench.ui.paintToolButton.checked
    assert not editor.mrmlSegmentEditorNode().GetSaveWithScene() and "Slice 14 is open" in bench.ui.correctionLabel.text
    paint(editor, np.ones((1, 40, 44), bool))
    assert bench.logic.editor.mask().all()
    bench.key("Z")
    assert np.array_equal(bench.logic.editor.mask(), before)
    bench.key("Y")
    bench.click("finish")
    assert annotated.session.mask(position).all() and bench.status(position) is SliceStatus.CORRECTED
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentEditorNode") and len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1


def test_the_views_are_turned_to_the_slice_that_is_corrected(bench):
    annotated = bench.mark(aVolume(directions()["oblique"]))
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    assert not sliceAxis(red, annotated.volumeNode)[1]
    bench.click("correct")
    assert sliceAxis(red, annotated.volumeNode) == ("k", True) and bench.position() == annotated.center


def test_leaving_the_module_lets_go_of_the_views_and_coming_back_takes_them_again(bench):
    annotated = bench.propagated()
    bench.click("correct")
    editor = bench.panel.review.correction.editor
    leave_module("SAM2Annotate")
    assert editor.activeEffect() is None and bench.logic.editor.active
    bench.enter()
    assert editor.activeEffect().name == "Paint"
    bench.click("leave")
    assert annotated.session.locked == frozenset()


# -- box, points, extent ------------------------------------------------------------------------------------------------------------


def test_a_drag_of_the_box_is_previewed_meanwhile_and_is_one_step_of_undo(bench):
    annotated = bench.mark()
    roi, before = bench.logic.parameters.roi, annotated.boundsIjk()
    bench.service.asked.clear()
    roi.InvokeEvent(MARKUPS.PointStartInteractionEvent)
    for step in (1, 2, 3):
        setRoi(roi, annotated.volumeNode, before + np.array([[step, 0], [0, 0], [0, 0]]))
        settle()
    roi.InvokeEvent(MARKUPS.PointEndInteractionEvent)
    assert bench.service.asked.count("preview") == 3 and annotated.boundsIjk()[0, 0] == before[0, 0] + 3
    bench.click("undo")
    assert np.array_equal(annotated.boundsIjk(), before) and np.array_equal(readRoi(roi, annotated.volumeNode), before)
    assert not annotated.undoLabel


def test_a_box_that_cannot_be_taken_is_told_without_a_dialog_and_put_back(bench):
    annotated = bench.propagated()
    bench.show(annotated.session.extent.last)
    bench.click("accept")
    before = annotated.boundsIjk()
    setRoi(bench.logic.parameters.roi, annotated.volumeNode, before - np.array([[0, 0], [0, 0], [0, 2]]))
    settle()
    assert "would leave out slice" in bench.message and np.array_equal(annotated.boundsIjk(), before)
    assert np.array_equal(readRoi(bench.logic.parameters.roi, annotated.volumeNode), before) and not util_functions.shown_messages


def test_points_are_placed_by_clicks_and_refine_the_mask(bench):
    annotated = bench.mark()
    center = ijkToWorld(annotated.volumeNode) @ [22, 20, 12, 1]
    bench.click("addNegative")
    assert bench.ui.addNegativeButton.checked and not bench.ui.addPositiveButton.checked
    click("Red", tuple(center[:3]))
    settle()
    points = annotated.session.prompts[annotated.center].points
    assert [(point.row, point.col, point.positive) for point in points] == [(20, 22, False)]
    assert not annotated.session.mask(annotated.center)[20, 22]
    bench.key("Escape")
    assert not bench.ui.addNegativeButton.checked and bench.panel.points.placing is None
    bench.click("addPositive")
    bench.click("addPositive")
    assert bench.panel.points.placing is None
    bench.click("undo")
    assert annotated.session.prompts[annotated.center].points == ()
    assert bench.logic.parameters.negativePoints.GetNumberOfControlPoints() == 0


def test_the_slider_sets_first_and_last_slice_in_voxel_indices(bench):
    annotated = bench.mark()
    assert (bench.ui.extentRange.minimumValue, bench.ui.extentRange.maximumValue) == (4, 20)
    bench.ui.extentRange.setValues(6, 18)
    assert [annotated.stack.index_of(p) for p in (annotated.session.extent.first, annotated.session.extent.last)] == [6, 18]
    bench.ui.extentRange.setValues(14, 18)
    assert "would leave out" in bench.message and bench.ui.extentRange.minimumValue == 6


# -- propagation --------------------------------------------------------------------------------------------------------------------


def test_progress_is_shown_slices_come_one_by_one_and_cancel_keeps_them(bench):
    annotated = bench.mark()
    bench.service.held = True
    bench.click("propagate")
    assert bench.ui.progressBar.visible and not bench.ui.propagateButton.enabled
    bench.letThrough(5)
    assert bench.ui.progressBar.value == 5 and "5 of 16 slices, about 3 s left" in bench.ui.estimateLabel.text
    bench.click("cancel")
    assert "5 of 16 slices are done and kept" in bench.message and not bench.ui.progressBar.visible
    assert annotated.counts()[SliceStatus.PROPOSED] == 6 and bench.ui.propagateButton.enabled


def test_what_is_up_to_date_is_not_computed_again_unless_with_another_model(bench):
    annotated = bench.propagated()
    assert bench.logic.dueSlices() == 0 and not bench.ui.propagateButton.enabled
    assert "up to date" in bench.ui.propagateButton.toolTip
    bench.logic.accept(annotated.center - 2)
    assert bench.logic.dueSlices() == 0, "an accepted slice says nothing new"
    bench.service.use(replace(bench.service.choice, checkpoint="sam2.1_hiera_tiny"))
    bench.logic.changed.emit()
    assert bench.logic.dueSlices() == len(annotated.session.extent) - 2 and bench.ui.propagateButton.enabled
    bench.click("propagate")
    assert bench.logic.dueSlices() == 0 and annotated.counts()[SliceStatus.PROPOSED] == len(annotated.session.extent) - 1


@pytest.mark.parametrize("follow", [True, False])
def test_the_views_follow_a_propagation_only_if_wanted_and_come_back(bench, follow):
    annotated = bench.mark()
    bench.ui.followCheckBox.checked = follow
    bench.service.held = True
    bench.click("propagate")
    bench.letThrough(4)
    assert (bench.position() != annotated.center) == follow
    bench.letThrough(None)
    assert bench.position() == annotated.center


def test_a_failing_model_releases_the_panel_with_a_message_and_no_dialog(bench):
    bench.mark()
    bench.service.fault = EngineError("Out of memory on the graphics card. Choose a smaller model, or the CPU.")
    bench.click("propagate")
    assert bench.message.startswith("Out of memory") and "c0392b" in bench.ui.messageLabel.styleSheet
    assert bench.ui.propagateButton.enabled and not util_functions.shown_messages
    bench.click("propagate")
    assert bench.annotated.counts()[SliceStatus.PROPOSED] == 17


def test_a_failure_of_what_the_user_clicked_is_shown_in_a_dialog_too(bench, tmp_path):
    bench.mark()
    (tmp_path / "file").write_text("no folder")
    bench.panel.saving.askFile = lambda _suggested: str(tmp_path / "file" / "x.seg.nrrd")
    bench.click("save")
    assert "was not written" in bench.message
    assert [shown.function for shown in util_functions.shown_messages] == ["errorDisplay"]


def test_failures_in_the_background_open_no_dialog(bench):
    def fail():
        raise EngineError("The model failed.")

    assert bench.panel.attempt(fail) is False and bench.message == "The model failed."
    assert not util_functions.shown_messages
    assert bench.panel.attempt(fail, clicked=True) is False
    assert [shown.text for shown in util_functions.shown_messages] == ["The model failed."]


def test_an_error_that_nobody_foresaw_is_shown_and_not_swallowed(bench):
    with pytest.raises(ZeroDivisionError):
        bench.panel.attempt(lambda: 1 // 0)
    assert bench.message.startswith("Unexpected error")


# -- views --------------------------------------------------------------------------------------------------------------------------


def test_strip_and_slice_line_follow_the_views_and_the_strip_moves_them(bench):
    annotated = bench.propagated()
    slicer.app.layoutManager().sliceWidget("Red").sliceLogic().SetSliceOffset(0.0)
    bench.show(annotated.center + 1)
    assert bench.ui.sliceLabel.text.startswith("slice 13: proposed")
    bench.panel.review.strip.clicked.emit(annotated.session.extent.first)
    settle()
    assert bench.position() == annotated.session.extent.first and "slice 4: proposed" in bench.ui.sliceLabel.text
    bench.key("Down")
    assert "outside the object's first and last slice" in bench.ui.sliceLabel.text
    bench.key("A")
    assert "outside the object's first and last slice" in bench.message and not annotated.session.locked


def test_every_view_along_the_object_moves_and_views_across_stay(bench):
    annotated = bench.mark()
    layout = slicer.app.layoutManager()
    layout.sliceWidget("Green").mrmlSliceNode().SetOrientation("Axial")
    yellow = layout.sliceWidget("Yellow").mrmlSliceNode()
    before = yellow.GetSliceToRAS().GetElement(0, 3)
    bench.show(annotated.center + 3)
    center = (ijkToWorld(annotated.volumeNode) @ [20, 20, 15, 1])[2]
    for name in ("Red", "Green"):
        assert layout.sliceWidget(name).mrmlSliceNode().GetSliceToRAS().GetElement(2, 3) == pytest.approx(center)
    assert yellow.GetSliceToRAS().GetElement(0, 3) == before


def test_the_view_that_the_mouse_is_in_says_which_slice_is_meant(bench):
    annotated = bench.mark()
    layout = slicer.app.layoutManager()
    layout.sliceWidget("Green").mrmlSliceNode().SetOrientation("Axial")
    matrix = ijkToWorld(annotated.volumeNode)
    layout.sliceWidget("Green").sliceLogic().SetSliceOffset((matrix @ [20, 20, 9, 1])[2])
    move_mouse("Green", tuple((matrix @ [20, 20, 9, 1])[:3]))
    assert annotated.stack.index_of(bench.position()) == 9
    move_mouse("Red", tuple((matrix @ [20, 20, 12, 1])[:3]))
    assert annotated.stack.index_of(bench.position()) == 12
    layout.sliceWidget("Yellow").sliceLogic().SetSliceOffset((matrix @ [20, 20, 12, 1])[0])
    move_mouse("Yellow", tuple((matrix @ [20, 20, 12, 1])[:3]))  # it cuts across the object's slices: the next view that does not counts
    assert annotated.stack.index_of(bench.position()) in (9, 12)
