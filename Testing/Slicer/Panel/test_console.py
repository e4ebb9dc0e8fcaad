"""Annotating and reviewing from Slicer's Python console, with the bundled model in its real process."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from orientations import directions
from worlds import aVolume, dsc

from SAM2AnnotateLib.errors import InputError, PromptError
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Console import Console
from SAM2AnnotateSlicer.Scene.RoiBox import createRoi


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    pytest.importorskip("sam2")
    console = Console(tmp_path_factory.mktemp("log"))
    yield console
    console.close()


def boundsOf(volume):
    array = slicer.util.arrayFromVolume(volume) > 100
    return np.array([[np.argwhere(array)[:, at].min(), np.argwhere(array)[:, at].max() + 1] for at in (2, 1, 0)])


def segmentArray(review, volume):
    return slicer.util.arrayFromSegmentBinaryLabelmap(review.segmentationNode, review.segmentId, volume) > 0


@pytest.mark.parametrize("name", ["LPS", "SAR", "oblique flipped"])
def test_a_box_becomes_a_segment_that_is_reviewed_and_gone_on_with(console, name):
    volume = aVolume(directions()[name])
    (i0, i1), (j0, j1), (k0, k1) = boundsOf(volume).tolist()
    told = []
    review = console.annotate(volume, ((i0, j0), (i1, j1)), k0, k1 - 1, axis="k", progress=told.append)
    truth = slicer.util.arrayFromVolume(volume) > 100
    assert dsc(segmentArray(review, volume), truth) > 0.75 and review.slices == list(range(k0, k1))
    assert told[-1].done == told[-1].total == k1 - k0
    middle = (k0 + k1) // 2
    review.accept(middle)
    painted = np.zeros(truth.shape[1:], bool)
    painted[12:20, 14:22] = True
    review.correct(middle + 2, painted)
    assert np.array_equal(segmentArray(review, volume)[middle + 2], painted)
    assert review.status(middle) is SliceStatus.ACCEPTED and review.status(middle + 2) is SliceStatus.CORRECTED
    again = console.review(review.segmentationNode, review.segmentId)
    assert np.array_equal(again.mask(middle + 2), painted)
    again.accept()
    assert {again.status(index) for index in again.slices} == {SliceStatus.ACCEPTED, SliceStatus.CORRECTED}
    assert again.undo().startswith("accept") and again.status(middle + 4) is SliceStatus.PROPOSED


def test_an_roi_gives_box_and_extent(console):
    volume = aVolume()
    roi = createRoi(volume, boundsOf(volume), "ROI")
    review = console.annotate(volume, roi)
    assert dsc(segmentArray(review, volume), slicer.util.arrayFromVolume(volume) > 100) > 0.75


def test_what_does_not_fit_is_told(console):
    volume = aVolume()
    with pytest.raises(PromptError, match="firstSlice and lastSlice"):
        console.annotate(volume, ((10, 10), (30, 30)))
    with pytest.raises(PromptError, match="center slice 20 lies outside"):
        console.annotate(volume, ((10, 10), (30, 30)), 5, 9, centerSlice=20)
    with pytest.raises(PromptError, match="no segment 'x'"):
        console.annotate(volume, ((10, 10), (30, 30)), 5, 9, slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode"), "x")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentId = node.GetSegmentation().AddEmptySegment("", "Foreign")
    with pytest.raises(PromptError, match="not made with SAM2Annotate"):
        console.review(node, segmentId)
    with pytest.raises(InputError, match="sam3"):
        console.annotate(volume, ((10, 10), (30, 30)), 5, 9, model="sam3")
