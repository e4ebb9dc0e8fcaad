"""What was made is seen: after every load, as the user wants it drawn, and with its status in the color of its outline."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from orientations import volumeNode
from panel_bench import makeBench, settle
from worlds import ballArray, waitFor

from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Review.AnnotatedSegment import AnnotatedSegment
from SAM2AnnotateSlicer.Views.MaskDisplay import isOutlined, isShown
from SAM2AnnotateSlicer.Views.MaskOutlines import _borders
from SAM2AnnotateSlicer.Views.StatusColors import LOOKS
from slicer_host import pythonqt
from slicer_host.modules.scripted_module import leave_module, reload_module
from slicer_host.views.views_and_mouse import pixels


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


def display(annotated):
    return annotated.segmentationNode.GetDisplayNode()


# -- after a load -------------------------------------------------------------------------------------------------------------------


def twoObjects(bench):
    first = bench.propagated()
    bench.click("nextObject")
    second = bench.logic.markObject("k", 12, np.array([(5, 30), (5, 30), (8, 16)]))
    settle()
    return first, second


def test_masks_are_seen_after_close_scene_and_load_scene(bench, tmp_path):
    twoObjects(bench)
    file = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(file)
    slicer.mrmlScene.Clear(False)
    settle()
    slicer.util.loadScene(file)
    settle(700)
    node = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0]
    assert node.GetSegmentation().GetNumberOfSegments() == 2
    assert all(node.GetDisplayNode().GetSegmentVisibility(one) for one in node.GetSegmentation().GetSegmentIDs())
    assert node.GetDisplayNode().GetVisibility()


def test_slicers_own_selector_is_what_hides_them(bench, tmp_path):
    """The host does what Slicer does, or the test above would show nothing."""
    twoObjects(bench)
    file = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(file)
    from slicer_host.modules.scripted_module import unload_module

    unload_module("SAM2Annotate")
    slicer.mrmlScene.Clear(False)
    settle()
    slicer.util.loadScene(file)
    settle()
    node = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0]
    assert not any(node.GetDisplayNode().GetSegmentVisibility(one) for one in node.GetSegmentation().GetSegmentIDs())


def test_a_segmentation_that_was_loaded_from_its_file_is_seen(bench, tmp_path):
    first = bench.propagated()
    file = tmp_path / "one.seg.nrrd"
    bench.panel.saving.askFile = lambda _suggested: str(file)
    bench.click("save")
    slicer.mrmlScene.RemoveNode(first.segmentationNode)
    settle()
    node = slicer.util.loadSegmentation(str(file))
    settle(700)
    assert all(node.GetDisplayNode().GetSegmentVisibility(one) for one in node.GetSegmentation().GetSegmentIDs())


def test_when_one_segmentation_is_deleted_the_masks_of_another_stay(bench):
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    other.CreateDefaultDisplayNodes()
    other.GetSegmentation().AddEmptySegment("", "somebody's")
    settle()
    annotated = bench.propagated()
    slicer.mrmlScene.RemoveNode(other)
    settle(700)
    assert isShown(annotated)


def test_what_the_user_has_hidden_stays_hidden_when_another_segmentation_comes_or_goes(bench):
    annotated = bench.propagated()
    bench.key("G")
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    settle(600)
    slicer.mrmlScene.RemoveNode(other)
    settle(600)
    assert not isShown(annotated)


def test_masks_that_are_shown_again_are_drawn_once_and_not_segment_by_segment(bench):
    first, _second = twoObjects(bench)
    for segmentId in first.segmentationNode.GetSegmentation().GetSegmentIDs():
        display(first).SetSegmentVisibility(segmentId, False)
    settle()
    red = pythonqt.unwrap(slicer.app.layoutManager().sliceWidget("Red")).sliceView()
    heldBack = []
    display(first).AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_event: heldBack.append(red.isRenderPaused()))
    bench.panel.masks.reveal()
    assert len(heldBack) >= 2
    assert all(heldBack)
    settle()
    assert not red.isRenderPaused()


def test_masks_are_seen_after_reload_and_after_coming_back(bench):
    annotated = bench.propagated()
    display(annotated).SetSegmentVisibility(annotated.segmentId, False)
    leave_module("SAM2Annotate")
    bench.take(reload_module("SAM2Annotate"))
    assert display(annotated).GetSegmentVisibility(annotated.segmentId)


def test_a_segment_that_is_being_corrected_is_not_revealed(bench):
    annotated = bench.propagated()
    bench.click("correct")
    bench.panel.masks.reveal()
    settle()
    assert not display(annotated).GetSegmentVisibility(annotated.segmentId)
    bench.click("leave")
    assert isShown(annotated)


def test_the_panel_says_that_the_current_mask_is_hidden_and_by_which_key_it_is_seen_again(bench):
    annotated = bench.propagated()
    display(annotated).SetSegmentVisibility(annotated.segmentId, False)  # by whomever
    settle()
    assert "hidden in the views: G shows it" in bench.ui.sliceLabel.text
    bench.key("G")
    assert isShown(annotated) and "hidden" not in bench.ui.sliceLabel.text
    display(annotated).SetVisibility(False)
    settle()
    assert "hidden in the views: G shows it" in bench.ui.sliceLabel.text and not bench.ui.showMaskButton.checked


# -- as the user wants it -----------------------------------------------------------------------------------------------------------


def test_masks_are_hidden_outlined_and_filled_by_key(bench):
    annotated = bench.propagated()
    assert bench.ui.showMaskButton.checked and not bench.ui.outlineOnlyButton.checked
    bench.key("G")
    assert not isShown(annotated) and not bench.ui.showMaskButton.checked
    bench.key("G")
    assert isShown(annotated)
    bench.key("O")
    assert isOutlined(annotated) and display(annotated).GetVisibility2DOutline() and bench.ui.outlineOnlyButton.checked
    bench.key("O")
    assert not isOutlined(annotated)
    before = display(annotated).GetOpacity2DFill()
    bench.key(",")
    assert display(annotated).GetOpacity2DFill() == pytest.approx(before - 0.1) and "%" in bench.message
    for _ in range(12):
        bench.panel.trigger("stronger")
    assert display(annotated).GetOpacity2DFill() == 1
    for _ in range(12):
        bench.panel.trigger("fainter")
    assert display(annotated).GetOpacity2DFill() == 0
    bench.key("O")
    bench.key(".")
    assert not isOutlined(annotated) and display(annotated).GetOpacity2DFill() == pytest.approx(0.1)


def models():
    return slicer.util.getNodesByClass("vtkMRMLModelNode")


def shownModels():
    return [node for node in models() if "(3-D)" in node.GetName()]


def test_show_3d_is_off_and_shows_the_one_object_when_it_is_asked_for(bench):
    first, second = twoObjects(bench)
    assert not shownModels() and not bench.ui.show3DButton.checked
    bench.click("show3D")
    assert "no 3-D view" in bench.message  # as this layout has none
    (model,) = shownModels()
    assert model.GetName() == f"{second.name} (3-D)" and bench.ui.show3DButton.checked
    assert model.GetPolyData().GetNumberOfPoints() > 50 and not model.GetSaveWithScene()
    assert model.GetDisplayNode().GetColor() == pytest.approx(second.segment.GetColor())
    bench.logic.selectSegment(first.segmentationNode, first.segmentId)
    waitFor(lambda: shownModels() and shownModels()[0].GetName() == f"{first.name} (3-D)", 5)
    (model,) = shownModels()
    bounds = np.array(model.GetPolyData().GetBounds())
    slicesMm = 17 * first.volumeNode.GetSpacing()[2]  # of the ball
    assert bounds[5] - bounds[4] == pytest.approx(slicesMm, abs=2 * first.volumeNode.GetSpacing()[2])
    closed = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    assert not first.segmentationNode.GetSegmentation().ContainsRepresentation(closed)
    bench.click("show3D")
    assert not shownModels()


def test_the_surface_follows_the_slices_and_goes_with_the_panel(bench):
    annotated = bench.propagated()
    bench.click("show3D")
    before = shownModels()[0].GetPolyData().GetBounds()
    bench.show(annotated.session.extent.last)
    bench.key("X")
    waitFor(lambda: shownModels()[0].GetPolyData().GetBounds() != before, 5)
    slicer.mrmlScene.Clear(False)
    settle()
    assert not shownModels()
    bench.mark()
    assert bench.ui.show3DButton.checked
    waitFor(shownModels, 5)
    bench.take(reload_module("SAM2Annotate"))
    assert not shownModels()


# -- the status in the views --------------------------------------------------------------------------------------------------------


def colored(rgb, name="Red"):
    """(rows, columns) bool of the pixels of a view that have this color."""
    return (np.abs(pixels(name).astype(int) - rgb).max(axis=2) < 30)[10:-10, 10:-10]  # the frame has it too


def rgbOf(status):
    return np.array(LOOKS[status].rgb)


def outlined(only=None):
    """Wait until the outlines in the view have one status' color and none has another; without a status, until there is none."""
    looked_at = (SliceStatus.PROPOSED, SliceStatus.ACCEPTED)

    def holds():
        drawn = {status: int(colored(rgbOf(status)).sum()) for status in looked_at}
        return all(count > 300 if status is only else count == 0 for status, count in drawn.items())

    waitFor(holds, 20, f"for the outline of {only} alone")
    return True


def test_the_outline_of_the_mask_has_the_color_of_its_status(bench):
    annotated = bench.propagated()
    bench.show(annotated.center)
    assert outlined(SliceStatus.PROPOSED)
    bench.click("accept")
    bench.show(annotated.center)  # accepting went on to the next slice
    assert outlined(SliceStatus.ACCEPTED)
    bench.key("G")
    assert outlined(None)
    bench.key("G")
    assert outlined(SliceStatus.ACCEPTED)
    bench.click("unlock")
    bench.click("correct")
    assert outlined(None)  # the editor shows what is drawn
    bench.click("leave")
    leave_module("SAM2Annotate")
    assert outlined(None)


def test_the_outline_moves_with_the_view_and_never_lies_on_another_slice(bench):
    annotated = bench.propagated()
    bench.show(annotated.center)
    node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    before = np.argwhere(colored(rgbOf(SliceStatus.PROPOSED))).mean(axis=0)
    node.SetFieldOfView(*[2 * size for size in node.GetFieldOfView()[:2]], node.GetFieldOfView()[2])
    small = np.argwhere(colored(rgbOf(SliceStatus.PROPOSED)))  # no event has been processed since
    assert len(small) > 50 and np.ptp(small, axis=0).max() < 130
    assert small.mean(axis=0) == pytest.approx(before, abs=12)
    bench.panel.views.goTo(annotated, annotated.session.extent.last)
    assert not colored(rgbOf(SliceStatus.PROPOSED)).any()
    settle()
    assert colored(rgbOf(SliceStatus.PROPOSED)).any()


@pytest.mark.parametrize("axis", ["i", "j", "k"])
@pytest.mark.parametrize("direction", [np.diag([-1, -1, 1]), np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]])])
def test_the_outlines_lines_are_the_borders_of_the_segments_voxels(bench, axis, direction):
    volume = volumeNode(ballArray(), direction)
    annotated = AnnotatedSegment.begin(*newSegment(volume), volume, axis, 20, *boxAround(volume, axis))
    rng = np.random.default_rng(3)
    mask = rng.random(annotated.stack.frame_shape_rc) > 0.7
    annotated.session.correct(20, mask)
    annotated.show([20])
    index = annotated.stack.index_of(20)
    ends = _borders(annotated, index, mask).reshape(-1, 2, 3)
    voxels = slicer.util.arrayFromSegmentBinaryLabelmap(annotated.segmentationNode, annotated.segmentId, volume) > 0
    padded = np.pad(voxels, 1)
    along = "ijk".index(axis)
    for one in ends[:: max(1, len(ends) // 200)]:
        middle = one.mean(axis=0)
        across = next(at for at in range(3) if at != along and one[0, at] == one[1, at])
        sides = []
        for step in (-0.5, 0.5):
            ijk = middle.copy()
            ijk[across] += step
            sides.append(bool(padded[tuple(np.round(ijk[::-1]).astype(int) + 1)]))
        assert sides[0] != sides[1]
    inside = np.moveaxis(voxels, 2 - along, 0)[index]
    expected = sum(int((np.diff(one, axis=0, prepend=False, append=False)).sum()) for one in (inside, inside.T))
    assert len(ends) == expected


def newSegment(volume):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node, node.GetSegmentation().AddEmptySegment()


def boxAround(_volume, _axis):
    from SAM2AnnotateLib.geometry import Box2D, Extent

    return Box2D(2, 10, 2, 10), Extent(18, 22)
