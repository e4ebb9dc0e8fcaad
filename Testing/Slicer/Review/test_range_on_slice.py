"""Threshold in a correction: what lies in a range of gray values, near the box only, shown as it will be filled and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from orientations import directions, volumeNode
from panel_bench import makeBench, settle
from worlds import ballArray

from slicer_host.widgets.segment_editing import paint

KIDNEY = np.s_[:, 1:4, 1:5]  # as bright as the ball, and far from it


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


def correcting(bench, direction=None):
    """A slice below the center is open; the volume holds the ball and, as bright, a 'kidney'."""
    array = ballArray()
    array[KIDNEY] = 180
    volume = volumeNode(array, np.diag([-1, -1, 1]) if direction is None else direction, "Belly")
    array[KIDNEY] = 10
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    bench.ui.volumeSelector.setCurrentNode(volume)
    bench.logic.parameters.window = "0,255"
    bounds = [[10, 34], [9, 31], [3, 21]]
    annotated = bench.logic.markObject("k", 12, bounds)
    bench.click("propagate")
    bench.show(annotated.center + 3)
    bench.click("correct")
    inside = annotated.stack.frame(array, bench.logic.editor.position) > 100
    return annotated, inside


def previews():
    return [node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if node.GetName() == "Gray values in range"]


def shown(annotated):
    """What the preview marks, of the whole volume."""
    node = previews()[0]
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, node.GetSegmentation().GetNthSegmentID(0), annotated.volumeNode) > 0


@pytest.mark.parametrize("orientation", ["LPS", "oblique flipped"])
def test_only_what_is_near_the_box_is_shown_and_filled(bench, orientation):
    annotated, inside = correcting(bench, None if orientation == "LPS" else directions()[orientation])
    bench.click("thresholdTool")
    bench.ui.grayRange.setValues(100, 255)
    settle()
    preview = shown(annotated)
    assert preview.sum() == inside.sum() and not preview[KIDNEY].any()
    bench.click("fill")
    assert np.array_equal(bench.logic.editor.mask(), inside) and not previews()
    position = bench.logic.editor.position
    bench.click("finish")
    assert np.array_equal(annotated.session.mask(position), inside)


def test_the_step_fits_the_slice_after_one_of_another_kind(bench):
    """CTK refuses a step wider than the range it has: after values from 0 to 0.5 the arrows of whole numbers were dead."""
    correcting(bench)
    slider = bench.ui.grayRange
    slider.decimals, slider.singleStep = 3, 0.001
    slider.setRange(0, 0.5)
    bench.click("thresholdTool")
    assert (slider.decimals, slider.singleStep, slider.maximum) == (0, 1, 180)


def test_the_whole_slice_is_the_users_own_choice(bench):
    annotated, inside = correcting(bench)
    bench.click("thresholdTool")
    assert bench.ui.nearBoxCheckBox.checked
    bench.ui.nearBoxCheckBox.checked = False
    bench.ui.grayRange.setValues(100, 255)
    settle()
    assert shown(annotated)[KIDNEY].any() and shown(annotated).any(axis=(1, 2)).sum() == 1
    bench.click("fill")
    assert bench.logic.editor.mask().sum() == inside.sum() + 12


def test_the_range_begins_with_what_is_marked(bench):
    correcting(bench)
    bench.click("thresholdTool")
    assert bench.ui.grayRange.minimumValue == bench.ui.grayRange.maximumValue == 180
    assert (bench.ui.grayRange.minimum, bench.ui.grayRange.maximum) == (10, 180)


def test_a_fill_is_one_step_of_undo_and_goes_on_with_paint(bench):
    _annotated, inside = correcting(bench)
    before = bench.logic.editor.mask()
    paint(bench.panel.review.correction.editor, np.ones((1, 40, 44), bool))
    bench.click("thresholdTool")
    bench.ui.grayRange.setValues(100, 255)
    bench.click("fill")
    assert bench.ui.paintToolButton.checked and np.array_equal(bench.logic.editor.mask(), inside)
    bench.key("Z")
    assert bench.logic.editor.mask().all()
    bench.key("Z")
    assert np.array_equal(bench.logic.editor.mask(), before)


def test_an_empty_range_is_refused_and_nothing_is_lost(bench):
    correcting(bench)
    before = bench.logic.editor.mask()
    bench.click("thresholdTool")
    bench.ui.grayRange.setValues(50, 60)
    bench.click("fill")
    assert "No pixel near the box of this slice lies between 50 and 60" in bench.message
    assert np.array_equal(bench.logic.editor.mask(), before) and bench.ui.thresholdToolButton.checked


@pytest.mark.parametrize("end", ["Escape", "Paint", "leave", "finish", "module", "close"])
def test_the_preview_goes_with_the_tool(bench, end):
    from slicer_host.modules.scripted_module import leave_module

    correcting(bench)
    bench.click("thresholdTool")
    assert len(previews()) == 1 and not previews()[0].GetSaveWithScene()
    {
        "Escape": lambda: bench.key("Escape"),
        "Paint": lambda: bench.click("paintTool"),
        "leave": lambda: bench.click("leave"),
        "finish": lambda: bench.click("finish"),
        "module": lambda: leave_module("SAM2Annotate"),
        "close": lambda: slicer.mrmlScene.Clear(False),
    }[end]()
    assert not previews()
    if end == "module":
        bench.enter()
        assert bench.ui.thresholdToolButton.checked and len(previews()) == 1
        bench.click("leave")
    if end == "Escape":
        assert bench.logic.editor.active and not bench.ui.thresholdToolButton.checked


def test_the_brush_is_set_in_the_panel_and_follows_the_mouse_wheel(bench):
    correcting(bench)
    editor = bench.panel.review.correction.editor
    bench.ui.brushSlider.value = 7.5
    node = editor.mrmlSegmentEditorNode()
    assert float(node.GetAttribute("BrushRelativeDiameter")) == 7.5 and node.GetAttribute("BrushDiameterIsRelative") == "1"
    editor.effectByName("Paint").setCommonParameter("BrushRelativeDiameter", 4.0)  # as Shift and the wheel do
    assert bench.ui.brushSlider.value == 4.0
    bench.click("drawTool")
    assert not bench.ui.brushFrame.visible and editor.activeEffect().name == "Draw"
    bench.click("drawTool")
    assert editor.activeEffect() is None and bench.logic.editor.active
