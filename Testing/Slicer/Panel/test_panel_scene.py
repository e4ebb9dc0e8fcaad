"""The panel and the scene: what is chosen, what is removed, what was lost, and the life of the module."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from fake_service import FakeService
from orientations import linearTransform
from panel_bench import MODULE, makeBench, segmentArray, settle
from worlds import aVolume, markBall

from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Review.CorrectionEditor import SEGMENT_ID
from SAM2AnnotateSlicer.Scene.ParameterNode import SAM2AnnotateParameterNode
from SAM2AnnotateSlicer.Scene.SegmentLabelmap import SegmentLabelmap
from slicer_host.modules import util_functions
from slicer_host.modules.scripted_module import leave_module, reload_module, unload_module, without_main_window


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


# -- image, segment, window, model ----------------------------------------------------------------------------------------------------


def chooseRow(box, data):
    row = box.findData(data)
    assert row >= 0
    box.setCurrentIndex(row)
    box.activated(row)


def test_a_volume_that_is_chosen_before_its_voxels_are_there_is_noticed_when_they_come(bench):
    loaded = aVolume()
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Coming")
    bench.ui.volumeSelector.setCurrentNode(volume)
    settle()
    assert not bench.ui.drawBoxButton.enabled
    volume.SetAndObserveImageData(loaded.GetImageData())
    settle()
    assert bench.ui.drawBoxButton.enabled


def test_the_gray_window_goes_to_the_views_and_a_preview_follows(bench):
    annotated = bench.mark()
    bench.service.asked.clear()
    chooseRow(bench.ui.windowComboBox, "liver")
    display = annotated.volumeNode.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (210, 50) and "preview" in bench.service.asked
    assert "-55 to 155" in bench.ui.windowLabel.text and not bench.ui.showFedButton.visible
    display.SetWindowLevel(400, 40)
    settle(150)
    assert bench.ui.showFedButton.visible
    bench.click("showFed")
    assert (display.GetWindow(), display.GetLevel()) == (210, 50)
    settle(150)
    assert not bench.ui.showFedButton.visible


def test_a_window_set_from_a_script_is_shown(bench):
    bench.mark()
    assert bench.ui.windowComboBox.currentText == "0 to 255"


def test_another_model_is_asked_for_and_previewed_with(bench):
    bench.mark()
    bench.service.asked.clear()
    chooseRow(bench.ui.modelComboBox, "medsam2")
    assert bench.service.choice.checkpoint == "medsam2" and "preview" in bench.service.asked
    assert "not downloaded" in bench.ui.modelComboBox.currentText


def test_masks_keep_off_other_segments_if_asked_to(bench):
    from SAM2AnnotateSlicer.Scene.ParameterNode import Overlap

    bench.ui.keepOffCheckBox.click()
    assert bench.logic.parameters.overlap is Overlap.KEEP_OFF
    bench.ui.keepOffCheckBox.click()
    assert bench.logic.parameters.overlap is Overlap.ALLOW


def test_a_name_and_a_terminology_are_given_to_the_next_new_segment(bench):
    bench.panel.object.askTerminology = lambda _parent, _text: ("entry text", "Liver", (0.5, 0.2, 0.1))
    bench.click("terminology")
    assert bench.ui.segmentNameEdit.text == "Liver"
    annotated = bench.mark()
    assert annotated.name == "Liver" and annotated.labelmap.segment.GetTerminology() == "entry text"
    assert bench.ui.segmentComboBox.currentText == "Liver (annotated)" and not bench.ui.segmentNameEdit.visible


def test_segments_are_chosen_and_gone_on_with(bench):
    first = bench.propagated()
    bench.click("accept")
    bench.click("nextObject")
    second = markBall(bench.logic)
    assert second.segmentId != first.segmentId and second.segmentationNode is first.segmentationNode
    chooseRow(bench.ui.segmentComboBox, first.segmentId)
    assert bench.annotated is first and bench.ui.summaryLabel.text.startswith("Object 1: 17 slices; 1 accepted")
    chooseRow(bench.ui.segmentComboBox, "")
    assert bench.annotated is None
    bench.ui.segmentationSelector.setCurrentNode(None)
    bench.ui.segmentationSelector.nodeActivated(None)
    assert bench.logic.parameters.segmentation is None


def test_another_volume_ends_the_work_on_the_first_and_gets_a_segmentation_of_its_own(bench):
    first = bench.propagated()
    bench.click("accept")
    other = aVolume(name="Other")
    bench.click("nextVolume")
    assert bench.annotated is None and bench.logic.parameters.volume is other and bench.logic.parameters.segmentation is None
    composite = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == other.GetID()
    second = markBall(bench.logic)
    assert second.segmentationNode is not first.segmentationNode
    bench.ui.volumeSelector.setCurrentNode(first.volumeNode)
    bench.ui.volumeSelector.nodeActivated(first.volumeNode)
    assert bench.logic.parameters.segmentation is first.segmentationNode and first.session.locked


def test_the_set_up_is_opened_once(bench):
    bench.click("setUp")
    page = bench.panel.setUp.page
    assert bench.panel.setUp.dialog.visible
    bench.click("setUp")
    assert bench.panel.setUp.page is page


def test_the_sample_is_loaded_marked_and_propagated(bench):
    bench.click("trySample")
    annotated = bench.annotated
    assert annotated.name == "Sarcoma" and annotated.counts()[SliceStatus.PROPOSED] == len(annotated.session.extent) > 10
    volume = annotated.volumeNode
    bench.click("trySample")
    assert bench.annotated.volumeNode is volume and len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 1
    assert not bench.ui.recoveryFrame.visible


# -- the scene --------------------------------------------------------------------------------------------------------------------


def test_edits_in_the_segment_editor_are_noticed(bench):
    annotated = bench.propagated()
    array = slicer.util.arrayFromSegmentBinaryLabelmap(annotated.segmentationNode, annotated.segmentId, annotated.volumeNode)
    array[14, :5, :5] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, annotated.segmentationNode, annotated.segmentId, annotated.volumeNode)
    settle(300)
    position = annotated.stack.position_of(14)
    assert bench.status(position) is SliceStatus.CORRECTED and "slice 14" in bench.message
    assert annotated.session.mask(position)[:5, :5].all()


def test_what_the_panel_writes_itself_is_no_edit_and_is_not_looked_at(bench, monkeypatch):
    annotated, looked = bench.mark(), []
    monkeypatch.setattr(bench.logic, "noticeEdits", lambda: looked.append(True))
    bench.click("propagate")
    settle(300)
    assert not looked and not annotated.session.locked and not annotated.undoLabel


def test_closing_the_scene_leaves_an_empty_panel_that_works(bench):
    bench.propagated()
    bench.click("correct")
    slicer.mrmlScene.Clear(False)
    settle()
    assert bench.annotated is None and not bench.ui.acceptButton.enabled and not bench.ui.correctionFrame.visible
    assert bench.logic.hasParameters
    bench.mark(aVolume(np.diag([1, -1, 1])))
    bench.click("propagate")
    assert bench.annotated.counts()[SliceStatus.PROPOSED] == 17


def test_a_drawing_that_was_open_when_the_scene_was_closed_is_in_the_journal(bench):
    annotated = bench.propagated()
    bench.click("correct")
    index, shape = annotated.stack.index_of(annotated.center), segmentArray(annotated).shape[1:]
    drawn = np.zeros(shape, bool)
    drawn[4:9, 5:11] = True
    SegmentLabelmap(bench.logic.editor.node, SEGMENT_ID, annotated.volumeNode, "k").writeSlices({index: drawn})
    slicer.mrmlScene.Clear(False)
    bench.ui.volumeSelector.setCurrentNode(aVolume())
    settle()
    bench.click("recover")
    assert np.array_equal(segmentArray(bench.annotated)[index], drawn) and len(bench.annotated.session.locked) == 1


def test_a_drawing_that_is_refused_can_be_drawn_on(bench):
    annotated = bench.propagated()
    bench.click("correct")
    annotated.volumeNode.SetAndObserveTransformNodeID(linearTransform(0, (6.0, 0.0, 0.0)).GetID())
    bench.click("finish")
    assert "moved against each other" in bench.message and bench.logic.editor.active
    assert bench.panel.review.correction.isOpen and bench.ui.correctionFrame.visible
    annotated.volumeNode.SetAndObserveTransformNodeID(None)
    bench.click("finish")
    assert not bench.logic.editor.active and not bench.panel.review.correction.isOpen
    assert bench.status(annotated.center) is SliceStatus.CORRECTED


def test_closing_the_scene_while_slices_are_computed(bench):
    bench.mark()
    bench.service.held = True
    bench.click("propagate")
    bench.letThrough(3)
    slicer.mrmlScene.Clear(False)
    settle()
    assert not bench.service.busy and bench.annotated is None and not bench.ui.progressBar.visible


def test_a_scene_that_is_saved_and_loaded_brings_object_and_statuses_back(bench, tmp_path):
    annotated = bench.propagated()
    bench.click("accept")
    state = annotated.session.to_json()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    settle()
    assert bench.annotated is not None and bench.annotated.session.to_json() == state
    assert bench.ui.countsLabel.text.startswith("1 accepted") and not bench.ui.recoveryFrame.visible
    bench.show(bench.annotated.center + 1)
    bench.key("A")
    assert len(bench.annotated.session.locked) == 2


@pytest.mark.parametrize("what", ["volume", "segmentation", "segment", "roi"])
def test_what_is_removed_from_the_scene_is_let_go_of_with_a_message(bench, what):
    annotated = bench.propagated()
    node = {"volume": annotated.volumeNode, "roi": bench.logic.parameters.roi}.get(what, annotated.segmentationNode)
    if what == "segment":
        node.GetSegmentation().RemoveSegment(annotated.segmentId)
    else:
        slicer.mrmlScene.RemoveNode(node)
    settle()
    assert "removed" in bench.message and not util_functions.shown_messages
    assert (bench.annotated is annotated) == (what == "roi")
    assert bench.ui.recoveryFrame.visible == (what in ("segmentation", "segment"))


def test_the_slice_being_corrected_may_be_removed(bench):
    annotated = bench.propagated()
    bench.click("correct")
    slicer.mrmlScene.RemoveNode(bench.logic.editor.node)
    settle()
    assert not bench.logic.editor.active and not bench.ui.correctionFrame.visible and "removed" in bench.message
    assert bench.annotated is annotated and segmentArray(annotated).any()


def lostWork(bench):
    """A scene closed without saving, and its volume loaded again."""
    annotated = bench.propagated()
    bench.click("accept")
    array = segmentArray(annotated)
    slicer.mrmlScene.Clear(False)
    volume = aVolume()
    bench.ui.volumeSelector.setCurrentNode(volume)
    settle()
    assert bench.ui.recoveryFrame.visible and "journal" in bench.ui.recoveryLabel.text
    return array


def test_work_that_was_lost_is_offered_and_recovered(bench):
    array = lostWork(bench)
    assert not bench.ui.drawBoxButton.enabled and "Recover" in bench.ui.drawBoxButton.toolTip
    bench.click("recover")
    assert np.array_equal(segmentArray(bench.annotated), array) and len(bench.annotated.session.locked) == 1
    assert not bench.ui.recoveryFrame.visible and "Recovered: Object 1" in bench.message


def test_work_that_was_lost_is_discarded_only_if_the_user_is_sure(bench):
    lostWork(bench)
    bench.click("discard")
    assert bench.ui.recoveryFrame.visible
    util_functions.answer("confirmOkCancelDisplay", True)
    bench.click("discard")
    assert not bench.ui.recoveryFrame.visible and bench.ui.drawBoxButton.enabled
    assert not bench.logic.keeper.journals.pathFor(bench.logic.volumeNode).exists()


# -- life ---------------------------------------------------------------------------------------------------------------------------


def test_reloading_the_module_brings_a_panel_that_goes_on(bench):
    annotated = bench.propagated()
    bench.click("accept")
    state, old = annotated.session.to_json(), bench.service
    bench.take(reload_module("SAM2Annotate"))
    assert old.closed and bench.service is not old and bench.annotated.session.to_json() == state
    bench.show(bench.annotated.center + 1)
    bench.key("A")
    assert len(bench.annotated.session.locked) == 2


def test_after_a_reload_and_another_scene_the_panel_is_alive(bench):
    """As 'Reload and Test' does it; Slicer does not call `enter` after a reload."""
    bench.take(reload_module("SAM2Annotate"))
    slicer.mrmlScene.Clear(False)
    settle()
    assert bench.logic.hasParameters and bench.ui.trySampleButton.enabled
    bench.propagated()
    bench.key("A")
    assert len(bench.annotated.session.locked) == 1


def test_a_module_that_is_reloaded_out_of_sight_takes_no_keys(bench):
    leave_module("SAM2Annotate")
    bench.take(reload_module("SAM2Annotate"))
    assert not bench.panel.shortcuts.installed
    bench.enter()
    assert bench.panel.shortcuts.installed


def test_a_panel_whose_setup_failed_is_not_entered(bench, monkeypatch):
    from SAM2AnnotateSlicer.Panel import Widget as widgetFile

    def fails(*_arguments):
        raise RuntimeError("no panel today")

    monkeypatch.setattr(widgetFile, "Widget", fails)
    with pytest.raises(RuntimeError, match="no panel today"):
        reload_module("SAM2Annotate")
    widget = slicer.modules.SAM2AnnotateWidget
    widget.enter()
    widget.exit()
    assert widget.panel is None
    settle()
    shown = [label.text for label in slicer.util.findChildren(widget.parent, className="QLabel") if label.visible]
    assert any("could not be set up: no panel today" in text for text in shown)


def test_half_a_panel_does_not_hear_of_the_scene(bench, monkeypatch):
    from SAM2AnnotateSlicer.Panel.Widget import Widget

    heard = []
    monkeypatch.setattr(Widget, "takeParameters", lambda _self: [][1])
    with pytest.raises(IndexError):
        reload_module("SAM2Annotate")
    monkeypatch.setattr(Widget, "refresh", lambda _self: heard.append(1))
    slicer.mrmlScene.Clear(False)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    settle()
    assert heard == []


def test_a_scene_that_is_loaded_while_another_module_is_shown_brings_no_error(bench, tmp_path, monkeypatch):
    """Slicer's widgets speak while they are bound to the new parameter node: who listens must find it in the logic by then."""
    bench.propagated()
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    leave_module("SAM2Annotate")
    slicer.mrmlScene.Clear(False)
    connectGui, known = SAM2AnnotateParameterNode.connectGui, []

    def listenAndConnect(parameters, gui):
        gui.volumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", lambda: known.append(bench.logic.hasParameters))
        return connectGui(parameters, gui)

    monkeypatch.setattr(SAM2AnnotateParameterNode, "connectGui", listenAndConnect)
    slicer.util.loadScene(path)
    settle(200)
    assert known and all(known)
    assert "closed" not in bench.message and bench.ui.messageLabel.styleSheet == ""
    bench.enter()
    assert bench.annotated is not None and "closed" not in bench.message


def test_a_volume_that_is_activated_while_no_scene_is_held_is_no_error(bench):
    volume = aVolume()
    bench.panel.sceneClosing()
    bench.ui.volumeSelector.nodeActivated.emit(volume)
    assert "closed" not in bench.message and bench.ui.messageLabel.styleSheet == ""
    bench.panel.takeParameters()


def test_a_panel_that_was_reloaded_is_cleaned_up_once_more_at_the_end(bench):
    widget = slicer.modules.SAM2AnnotateWidget
    reload_module("SAM2Annotate")
    service = bench.service
    widget.cleanup()
    widget.exit()
    assert not service.closed


def test_reloading_while_a_slice_is_corrected_leaves_no_nodes_behind(bench):
    bench.propagated()
    bench.click("correct")
    bench.take(reload_module("SAM2Annotate"))
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentEditorNode") and not bench.logic.editor.active
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1


def test_a_panel_without_main_window_and_views_survives(bench, tmp_path):
    """As Slicer's generic test asks for it: set up with `--no-main-window`, never entered, and all steps still work."""
    from SAM2AnnotateSlicer.Panel.Widget import Widget
    from SAM2AnnotateSlicer.Review.JournalKeeper import JournalKeeper
    from SAM2AnnotateSlicer.Review.Logic import AnnotationLogic

    unload_module("SAM2Annotate")
    with without_main_window():
        parent = slicer.qMRMLWidget()
        layout = qt.QVBoxLayout(parent)
        logic = AnnotationLogic(slicer.mrmlScene, FakeService(tmp_path), JournalKeeper(tmp_path / "other journals"))
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
        panel = Widget(layout, logic, lambda: SAM2AnnotateParameterNode(node), dialogs=False)
        panel.enter()
        logic.parameters.volume, logic.parameters.window = aVolume(), "0,255"
        markBall(logic)
        panel.trigger("propagate")
        assert logic.current.counts()[SliceStatus.PROPOSED] == 17 and not panel.shortcuts.installed
        panel.trigger("drawBox")
        assert "no slice view" in panel.ui.messageLabel.text
        panel.exit()
        panel.cleanup()


def test_importing_the_module_imports_no_heavy_package():
    import subprocess
    import sys

    code = (
        f"import sys; sys.path[:0] = [{str(Path(__file__).parents[1])!r}]; import slicer_host; slicer_host.start()\n"
        f"import slicer_host.modules.scripted_module as loader; loader.load_module({str(MODULE)!r})\n"
        "print([name for name in ('torch', 'sam2', 'SimpleITK', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr
