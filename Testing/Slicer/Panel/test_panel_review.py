"""What a reviewer must be able to rely on: no decision on a slice that was not seen, no key taken from an effect, nothing drawn is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from panel_bench import makeBench, settle
from worlds import aVolume

from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Scene.SegmentationFile import withSuffix
from slicer_host.modules import util_functions
from slicer_host.modules.scripted_module import leave_module, reload_module
from slicer_host.widgets.segment_editing import paint

FOLLOWED = "The views were following the propagation; look at this slice, then press again."


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


# -- keys of the effects ------------------------------------------------------------------------------------------------------------


def liveKeys():
    shortcuts = slicer.util.mainWindow().findChildren(qt.QShortcut)
    return {shortcut.key.toString() for shortcut in shortcuts if shortcut.enabled}


def correcting(bench):
    annotated = bench.propagated()
    bench.click("correct")
    return annotated, bench.panel.review.correction.editor


def draw(editor):
    paint(editor, np.ones((1, 40, 44), bool))


def test_while_a_slice_is_corrected_letters_belong_to_the_effect(bench):
    bench.propagated()
    before = liveKeys()
    bench.click("correct")
    assert liveKeys() == before - {"A", "Shift+A", "C", "X", "B", "E", "F", "L", "U", "N"}
    bench.click("leave")
    assert liveKeys() == before


def test_while_draw_is_active_enter_closes_its_contour_and_does_not_finish(bench):
    annotated, editor = correcting(bench)
    draw(editor)
    editor.setActiveEffectByName("Draw")
    for key in ("Return", "Enter", "A", "X"):
        bench.key(key)
    assert bench.logic.editor.active and not annotated.session.locked
    bench.key("Ctrl+Return")
    assert not bench.logic.editor.active and bench.status(annotated.center) is SliceStatus.CORRECTED
    assert {"Return", "Enter", "A"} <= liveKeys()


def test_enter_is_the_panels_again_when_another_effect_is_chosen(bench):
    _annotated, editor = correcting(bench)
    editor.setActiveEffectByName("Draw")
    assert "Return" not in liveKeys() and "Ctrl+Return" in liveKeys()
    editor.setActiveEffectByName("Paint")
    assert {"Return", "Enter"} <= liveKeys()


def test_the_keys_stay_left_to_the_effect_when_the_user_comes_back_to_the_module(bench):
    _annotated, editor = correcting(bench)
    editor.setActiveEffectByName("Draw")
    leave_module("SAM2Annotate")
    bench.enter()
    assert editor.activeEffect().name == "Draw" and not {"A", "Return"} & liveKeys()


def test_the_first_escape_puts_the_effect_away_and_the_second_leaves_the_correction(bench):
    annotated, editor = correcting(bench)
    draw(editor)
    bench.key("Escape")
    assert bench.logic.editor.active and editor.activeEffect() is None and bench.logic.editor.mask().all()
    bench.key("Escape")
    assert not bench.logic.editor.active and not annotated.session.locked


def test_how_draw_is_finished_is_told_in_hint_and_tooltip(bench):
    correcting(bench)
    bench.panel.messages.forget()
    bench.panel.refresh()
    assert "Ctrl+Enter" in bench.message and "Escape twice" in bench.message
    assert "Draw" in bench.ui.finishButton.toolTip and "(Enter, Ctrl+Enter)" in bench.ui.finishButton.toolTip


# -- a propagation that the views follow --------------------------------------------------------------------------------------------


def following(bench):
    """A propagation of which four slices have come; the views show the last of them."""
    annotated = bench.mark()
    bench.service.held = True
    bench.click("propagate")
    bench.letThrough(4)
    settle()
    assert bench.position() != annotated.center
    return annotated


@pytest.mark.parametrize("key", ["A", "Shift+A", "C", "X", "F", "L"])
def test_a_decision_while_the_views_follow_is_asked_for_once_more(bench, key):
    annotated = following(bench)
    shown, before = bench.position(), annotated.session.to_json()
    bench.key(key)
    assert bench.message == FOLLOWED and annotated.session.to_json() == before and not bench.logic.editor.active
    bench.letThrough(3)
    settle()
    assert bench.position() == shown
    bench.key(key)
    assert bench.message != FOLLOWED
    assert annotated.session.to_json() != before if key != "C" else bench.logic.editor.position == shown


def test_a_button_asks_once_more_as_its_key_does(bench):
    annotated = following(bench)
    bench.click("noObject")
    assert bench.message == FOLLOWED and not annotated.session.locked


def test_a_decision_before_the_views_moved_is_taken_at_once(bench):
    annotated = bench.mark()
    bench.service.held = True
    bench.click("propagate")
    bench.key("A")
    assert annotated.session.locked == {annotated.center}


def scroll(bench):
    red = slicer.app.layoutManager().sliceWidget("Red").sliceLogic()
    red.SetSliceOffset(red.GetSliceOffset() - 3 * bench.annotated.volumeNode.GetSpacing()[2])


LOOKS_ELSEWHERE = {
    "scroll": scroll,
    "strip": lambda bench: bench.panel.review.strip.clicked.emit(bench.annotated.center - 2),
    "strip, same slice": lambda bench: bench.panel.review.strip.clicked.emit(bench.position()),
    "up": lambda bench: bench.key("Up"),
    "center": lambda bench: bench.click("goToCenter"),
}


@pytest.mark.parametrize("how", LOOKS_ELSEWHERE)
def test_a_user_who_looks_elsewhere_stays_there_until_the_end_and_after_it(bench, how):
    following(bench)
    LOOKS_ELSEWHERE[how](bench)
    shown = bench.position()
    bench.letThrough(3)
    assert bench.position() == shown
    bench.letThrough(None)
    settle()
    assert bench.position() == shown
    bench.key("A")
    assert bench.annotated.session.locked == {shown} and bench.message != FOLLOWED


def test_the_next_propagation_is_followed_again(bench):
    following(bench)
    bench.key("Up")
    bench.click("cancel")
    bench.click("goToCenter")
    bench.click("propagate")
    bench.letThrough(3)
    assert bench.position() != bench.annotated.center


def test_panning_a_view_is_not_looking_elsewhere(bench):
    following(bench)
    shown = bench.position()
    slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().SetFieldOfView(30.0, 30.0, 1.0)
    bench.letThrough(3)
    assert bench.position() != shown


# -- views --------------------------------------------------------------------------------------------------------------------------


def test_a_view_that_the_layout_does_not_have_shows_no_slice(bench):
    annotated = bench.propagated()
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpYellowSliceView)
    settle()
    assert bench.position() is None and bench.ui.sliceLabel.text == "No view shows a slice of this object."
    for name in ("accept", "acceptUpTo", "correct", "noObject"):
        button = getattr(bench.ui, f"{name}Button")
        assert not button.enabled and "No view shows a slice of this volume" in button.toolTip, name
    bench.key("A")
    assert "No view shows" in bench.message and not annotated.session.locked
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    settle()
    assert bench.position() == annotated.center and bench.ui.acceptButton.enabled


def test_badges_do_not_come_back_while_another_module_is_shown(bench):
    def props():
        view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
        return view.renderWindow().GetRenderers().GetItemAsObject(0).GetViewProps().GetNumberOfItems()

    bench.mark()
    bench.service.held = True
    bench.click("propagate")
    shown = props()
    leave_module("SAM2Annotate")
    assert props() == shown - 3  # frame, word and the outline of the mask
    bench.letThrough(None)
    bench.panel.refresh()
    settle()
    assert props() == shown - 3  # frame, word and the outline of the mask
    bench.enter()
    settle()
    assert props() == shown


# -- saving -------------------------------------------------------------------------------------------------------------------------


def saveScene(path):
    """Save as Slicer's dialog does: the scene tells that it is being saved, and that it was."""
    slicer.mrmlScene.StartState(slicer.vtkMRMLScene.SaveState)
    saved = slicer.util.saveScene(str(path))
    slicer.mrmlScene.EndState(slicer.vtkMRMLScene.SaveState)
    return saved


def journal(bench):
    return bench.logic.keeper.journals.pathFor(bench.logic.volumeNode)


def test_a_scene_saved_during_a_correction_has_the_segment_visible(bench, tmp_path):
    annotated, _editor = correcting(bench)
    display = annotated.segmentationNode.GetDisplayNode()
    assert not display.GetSegmentVisibility(annotated.segmentId)
    assert saveScene(tmp_path / "scene.mrb")
    assert not display.GetSegmentVisibility(annotated.segmentId) and bench.logic.editor.active
    segmentId = annotated.segmentId
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    settle()
    assert bench.annotated.segmentationNode.GetDisplayNode().GetSegmentVisibility(segmentId)


def test_what_was_saved_to_a_file_is_not_offered_from_the_journal(bench, tmp_path):
    bench.propagated()
    bench.click("accept")
    assert journal(bench).is_file()
    bench.panel.saving.askFile = lambda suggested: str(tmp_path / suggested)
    bench.click("save")
    assert not journal(bench).exists()
    slicer.mrmlScene.Clear(False)
    bench.ui.volumeSelector.setCurrentNode(aVolume())
    settle()
    assert not bench.ui.recoveryFrame.visible


def test_what_was_saved_with_the_scene_is_not_offered_from_the_journal(bench, tmp_path):
    bench.propagated()
    bench.click("accept")
    assert saveScene(tmp_path / "scene.mrb")
    assert not journal(bench).exists()


def test_a_scene_file_without_the_segmentation_leaves_the_journal(bench, tmp_path):
    bench.propagated()
    bench.click("accept")
    assert bench.annotated.segmentationNode.GetModifiedSinceRead()
    assert saveScene(tmp_path / "scene.mrml")
    assert bench.annotated.segmentationNode.GetModifiedSinceRead() and journal(bench).is_file()


def test_the_journal_is_written_again_with_the_next_decision(bench, tmp_path):
    annotated = bench.propagated()
    bench.panel.saving.askFile = lambda suggested: str(tmp_path / suggested)
    bench.click("save")
    bench.show(annotated.center + 1)
    bench.click("accept")
    assert journal(bench).is_file()


def stored(bench, path):
    """An object whose segmentation has a file already."""
    annotated = bench.propagated()
    annotated.segmentationNode.AddDefaultStorageNode()
    annotated.segmentationNode.GetStorageNode().SetFileName(str(path))
    return annotated


@pytest.mark.parametrize("name", ["gone/old.seg.nrrd", "old.nrrd"])
def test_another_file_is_asked_for_if_the_stored_one_will_not_do(bench, tmp_path, name):
    stored(bench, tmp_path / name)
    proposed = []

    def ask(suggested):
        proposed.append(suggested)
        assert str(tmp_path / name) in bench.message and "Choose another file" in bench.message
        return str(tmp_path / "new")

    bench.panel.saving.askFile = ask
    bench.click("save")
    assert proposed == [str(tmp_path / name.replace("old.nrrd", "old.seg.nrrd"))]
    assert (tmp_path / "new.seg.nrrd").is_file() and bench.message.endswith("new.seg.nrrd.")
    bench.click("save")
    assert len(proposed) == 1 and not util_functions.shown_messages


def test_a_failed_write_asks_again_and_names_path_and_reason(bench, tmp_path, monkeypatch):
    path = tmp_path / "old.seg.nrrd"
    stored(bench, path)
    monkeypatch.setattr(slicer.util, "saveNode", lambda _node, _path: False)
    bench.panel.saving.askFile = lambda _suggested: ""
    bench.click("save")
    assert str(path) in bench.message and "is there room on the disk" in bench.message
    bench.panel.saving.askFile = lambda _suggested: str(tmp_path / "no folder" / "x")
    bench.click("save")
    assert "no folder" in bench.message and "does not exist" in bench.message
    assert bench.annotated.segmentationNode.GetStorageNode().GetFileName() == str(path)


def test_a_file_is_not_replaced_unasked_when_the_suffix_was_added(bench, tmp_path):
    bench.propagated()
    (tmp_path / "mine.seg.nrrd").write_text("somebody's")
    bench.panel.saving.askFile = lambda _suggested: str(tmp_path / "mine")
    bench.click("save")
    assert (tmp_path / "mine.seg.nrrd").read_text() == "somebody's"
    util_functions.answer("confirmOkCancelDisplay", True)
    bench.click("save")
    assert (tmp_path / "mine.seg.nrrd").stat().st_size > 100


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("liver", "liver"), ("liver.nrrd", "liver"), ("liver.nii.gz", "liver"), ("LIVER.SEG.NRRD", None), ("no.1", "no.1"), ("a.seg", "a")],
)
def test_a_typed_name_gets_the_suffix(typed, expected):
    assert withSuffix(typed) == (typed if expected is None else f"{expected}.seg.nrrd")


# -- nothing drawn is lost ----------------------------------------------------------------------------------------------------------


def importScene(bench, tmp_path):
    other = Path(tmp_path / "other.mrml")
    other.write_text('<MRML version="Slicer5" userTags=""></MRML>\n')
    slicer.mrmlScene.SetURL(str(other))
    assert slicer.mrmlScene.Import()
    settle()


def reload(bench, _tmp_path):
    bench.take(reload_module("SAM2Annotate"))


@pytest.mark.parametrize("end", [importScene, reload])
def test_a_drawing_becomes_the_correction_when_its_editor_must_go(bench, tmp_path, monkeypatch, end):
    annotated, editor = correcting(bench)
    draw(editor)
    said = []
    monkeypatch.setattr(slicer.util, "showStatusMessage", lambda text, _milliseconds: said.append(text))
    end(bench, tmp_path)
    assert "The drawing on slice 12 was taken as its correction." in said
    assert not bench.logic.editor.active and bench.annotated is not None
    assert bench.status(annotated.center) is SliceStatus.CORRECTED and bench.annotated.session.mask(annotated.center).all()


@pytest.mark.parametrize("end", [importScene, reload])
def test_a_slice_that_was_opened_and_not_drawn_on_is_left_as_it_was(bench, tmp_path, end):
    annotated, _editor = correcting(bench)
    end(bench, tmp_path)
    assert not bench.logic.editor.active and bench.status(annotated.center) is SliceStatus.PROPOSED
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentEditorNode")


# -- slices that are expected to be good --------------------------------------------------------------------------------------------


def withScores(annotated, iou):
    """As if the model had been that sure of each of its masks."""
    for result in annotated.session.results.values():
        annotated.session.add_result(replace(result, predicted_iou=iou))


def test_slices_expected_to_be_good_are_offered_and_accepted_together_in_one_step(bench):
    annotated = bench.propagated()
    withScores(annotated, 0.5)
    bench.panel.refresh()
    assert not bench.ui.acceptTogetherButton.visible
    withScores(annotated, 0.985)
    bench.panel.refresh()
    good = bench.logic.expectedGood()
    assert len(good) >= 2 and all(bench.logic.doubts()[position].expected.dsc >= 0.9 for position in good)
    assert bench.ui.acceptTogetherButton.visible
    assert bench.ui.acceptTogetherButton.text == f"{len(good)} slices expected above 0.9: accept together"
    bench.click("acceptTogether")
    assert annotated.session.locked == set(good) and bench.logic.expectedGood() == []
    bench.click("undo")
    assert annotated.session.locked == set()


def test_the_line_of_a_slice_tells_the_expected_dsc_and_why(bench):
    annotated = bench.propagated()
    withScores(annotated, 0.6)
    bench.panel.refresh()
    doubt = bench.logic.doubts()[bench.position()]
    assert f"; expected DSC {doubt.expected.text}: {doubt.reason}" in bench.ui.sliceLabel.text
