"""When the host's slice views render, and what hides segments there, is what a real Slicer does."""

from __future__ import annotations

import time

import numpy as np
import pytest
import slicer
from panel_bench import settle
from worlds import aVolume

from slicer_host import pythonqt
from slicer_host.views import view_costs

VIEWS = ("Red", "Green", "Yellow")


@pytest.fixture
def view():
    slicer.util.setSliceViewerLayers(background=aVolume(), fit=True)
    settle()
    view_costs.counted()
    return pythonqt.unwrap(slicer.app.layoutManager().sliceWidget("Red")).sliceView()


@pytest.fixture
def segmentation():
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    node.GetSegmentation().AddEmptySegment("one")
    settle()
    view_costs.counted()
    return node


def renderings():
    return view_costs.counted().renderings


def test_a_view_renders_soon_after_the_first_wish_once_for_all_of_a_frame(view):
    for _ in range(3):
        view.scheduleRender()
    assert not renderings()
    settle()
    assert renderings() == {"Red": 1}


def test_a_wish_that_comes_later_than_a_frame_after_the_first_is_rendered_in_its_midst(view):
    view.scheduleRender()
    time.sleep(0.03)  # a step that is still at work
    view.scheduleRender()
    assert renderings() == {"Red": 1}
    settle()
    assert not renderings()


def test_while_rendering_is_paused_nothing_is_rendered_and_then_once(view):
    slicer.app.pauseRender()
    slicer.app.pauseRender()
    for _ in range(3):
        view.scheduleRender()
        time.sleep(0.02)
    settle(30)
    slicer.app.resumeRender()
    assert not renderings()
    slicer.app.resumeRender()
    settle()
    assert renderings() == {"Red": 1}


def test_who_resumes_more_than_was_paused_is_told(view):
    with pytest.raises(RuntimeError, match="pause render count is already 0"):
        view.resumeRender()


@pytest.mark.parametrize(
    "change",
    [
        lambda node: node.GetSegmentation().AddEmptySegment(),
        lambda node: node.GetSegmentation().GetSegment("one").SetTag("a", "b"),
        lambda node: node.GetDisplayNode().SetSegmentVisibility("one", False),
        lambda node: node.SetNodeReferenceID("role", node.GetDisplayNodeID()),
    ],
    ids=["segment", "tag", "visibility", "reference"],
)
def test_each_of_these_calls_has_all_views_rendered(view, segmentation, change):
    assert view is not None
    change(segmentation)
    settle()
    assert renderings() == dict.fromkeys(VIEWS, 1)


def test_voxels_that_are_written_in_place_have_no_view_rendered(view, segmentation):
    """So whoever writes them has to ask for it."""
    volume = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[0]
    array = (slicer.util.arrayFromVolume(volume) > 100).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, segmentation, "one", volume)
    settle()
    view_costs.counted()
    segmentation.GetSegmentation().GetSegment("one").GetRepresentation("Binary labelmap").Modified()
    settle()
    assert view is not None and not renderings()


def test_a_jump_is_counted_and_costs_what_it_costs(view):
    node = view.mrmlSliceNode()
    view_costs.switch(view_costs.Costs(jump=0.02, rendering=0.01))
    try:
        before = view_costs.paid()
        node.JumpSliceByOffsetting(0.0, 0.0, 7.0)
        node.JumpSliceByOffsetting(0.0, 0.0, 7.0)  # is there already
        settle()
        counts = view_costs.counted()
        assert counts.jumps == {"Red": 1} and counts.renderings == dict.fromkeys(VIEWS, 1)
        assert view_costs.paid() - before == pytest.approx(0.02 + 3 * 0.01)
    finally:
        view_costs.switch(view_costs.Costs())


def test_the_views_selector_hides_the_segments_of_a_segmentation_that_it_goes_over_to(view, segmentation):
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    other.CreateDefaultDisplayNodes()
    other.GetSegmentation().AddEmptySegment("two")
    settle()
    assert view is not None and other.GetDisplayNode().GetSegmentVisibility("two")
    slicer.mrmlScene.RemoveNode(segmentation)
    settle()
    assert not other.GetDisplayNode().GetSegmentVisibility("two")
