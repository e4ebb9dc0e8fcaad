"""A script and the panel at work on one segment: nobody's decision is lost, and what cannot be shared is refused."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from fake_service import FakeService
from orientations import linearTransform
from panel_bench import makeBench, segmentArray, settle
from worlds import aVolume

from SAM2AnnotateLib.errors import PromptError
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer import Console
from SAM2AnnotateSlicer.Review.AnnotatedSegment import AnnotatedSegment, tagOf
from SAM2AnnotateSlicer.Scene.RoiBox import readRoi


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


@pytest.fixture
def console(service):
    return Console.Console(service=lambda: service)


@pytest.fixture
def service(tmp_path):
    """The console's model, apart from the panel's, so that a test can hold either."""
    return FakeService(tmp_path)


def stored(annotated):
    """The review as a scene that is saved now would have it."""
    return AnnotatedSegment.restore(annotated.segmentationNode, annotated.segmentId).session


def test_decisions_of_script_and_panel_on_one_segment_are_all_kept(bench, console):
    annotated = bench.propagated()
    first, last = annotated.session.extent.first, annotated.session.extent.last
    review = console.review(annotated.segmentationNode, annotated.segmentId)
    review.accept(annotated.stack.index_of(first))
    settle()
    assert bench.status(first) is SliceStatus.ACCEPTED and "1 accepted" in bench.ui.countsLabel.text
    bench.show(last)
    bench.click("accept")
    assert review.status(annotated.stack.index_of(last)) is SliceStatus.ACCEPTED
    painted = np.zeros(annotated.stack.frame_shape_rc, bool)
    painted[12:20, 14:22] = True
    middle = annotated.stack.index_of(annotated.center) + 2
    review.correct(middle, annotated.stack.slice_from_frame(painted))
    settle()
    assert np.array_equal(segmentArray(annotated)[middle], annotated.stack.slice_from_frame(painted))
    assert bench.annotated is annotated and len(annotated.session.locked) == 3
    bench.click("undo")
    assert review.status(middle) is SliceStatus.PROPOSED and len(annotated.session.locked) == 2
    assert stored(annotated).to_json() == annotated.session.to_json()


def test_the_box_follows_the_ends_that_a_script_moves(bench, console):
    annotated = bench.propagated()
    review = console.review(annotated.segmentationNode, annotated.segmentId)
    review.setExtent(review.slices[2], review.slices[-3])
    assert readRoi(bench.logic.parameters.roi, annotated.volumeNode)[2].tolist() == [review.slices[0], review.slices[-1] + 1]
    assert bench.logic.syncFromRoi() is False  # there is nothing to take back


def test_a_correction_by_a_script_stops_what_the_panel_computes_from_before_it(bench, console):
    annotated = bench.mark()
    bench.service.held = True
    bench.click("propagate")
    bench.letThrough(3)
    review = console.review(annotated.segmentationNode, annotated.segmentId)
    review.correct(review.slices[0], np.zeros(segmentArray(annotated).shape[1:], bool))
    assert not bench.logic.running and not bench.service.busy and "script changed the object" in bench.message


def test_an_object_that_the_panel_marked_anew_is_refused_to_the_script(bench, console):
    annotated = bench.mark()
    review = console.review(annotated.segmentationNode, annotated.segmentId)
    bounds = annotated.boundsIjk()
    anew = bench.logic.markObject("i", int(bounds[0].mean()), bounds)
    assert (anew.segmentId, anew.axis) == (annotated.segmentId, "i")
    kept = tagOf(anew.segmentationNode, anew.segmentId)
    for step in (review.accept, review.propagate, review.undo, lambda: review.setExtent(5, 19), lambda: review.unlock(12)):
        with pytest.raises(PromptError, match=r"marked anew elsewhere.*call review again.*Nothing was changed"):
            step()
    assert tagOf(anew.segmentationNode, anew.segmentId) == kept
    assert console.review(anew.segmentationNode, anew.segmentId).slices[0] == bounds[0, 0]


def test_a_panel_whose_object_was_marked_anew_elsewhere_neither_writes_it_nor_keeps_it(bench):
    annotated = bench.propagated()
    other = AnnotatedSegment.restore(annotated.segmentationNode, annotated.segmentId)
    other.session.accept(other.center)
    other.store()
    with pytest.raises(PromptError, match="marked anew elsewhere"):
        bench.logic.accept(annotated.session.extent.first)
    bench.logic.storeNow()
    assert stored(annotated).locked == {other.center}
    assert bench.logic.selectSegment(other.segmentationNode, other.segmentId) is not annotated
    assert bench.annotated.session.locked == {other.center}


def test_a_review_is_not_thrown_away_by_a_new_box_of_a_script(bench, console):
    annotated = bench.propagated()
    bench.logic.accept(annotated.center)
    with pytest.raises(PromptError, match="already has a review"):
        console.annotate(
            annotated.volumeNode, ((10, 10), (30, 30)), 5, 9, annotated.segmentationNode, annotated.segmentId, axis="k", window="0,255"
        )
    assert stored(annotated).locked == {annotated.center}


def test_what_is_decided_in_the_panel_while_a_script_computes_ends_its_run(bench, console):
    annotated = bench.mark()
    review = console.review(annotated.segmentationNode, annotated.segmentId)
    drawn = np.zeros(annotated.stack.frame_shape_rc, bool)
    drawn[3:6, 3:6] = True

    def decides(progress):
        if progress.done == 3:
            annotated.session.correct(annotated.session.extent.first, drawn)

    with pytest.raises(PromptError, match="changed while its slices were computed"):
        review.propagate(decides)
    assert np.array_equal(stored(annotated).mask(annotated.session.extent.first), drawn)


def test_a_script_writes_nothing_while_volume_and_segmentation_are_moved_against_each_other(console):
    volume = aVolume()
    review = console.annotate(volume, ((10, 9), (34, 31)), 5, 18, axis="k", window="0,255")
    node, before = review.segmentationNode, tagOf(review.segmentationNode, review.segmentId)
    volume.SetAndObserveTransformNodeID(linearTransform(0, (0.0, 0.0, 5.4)).GetID())
    shape = slicer.util.arrayFromVolume(volume).shape[1:]
    for step in (lambda: review.correct(8, np.ones(shape, bool)), review.propagate, review.accept, review.undo):
        with pytest.raises(PromptError, match="moved against each other"):
            step()
    assert tagOf(node, review.segmentId) == before


def test_voxels_of_volumes_that_are_gone_do_not_fill_the_disk_in_a_long_script(console, service):
    for _round in range(3):
        volume = aVolume()
        console.annotate(volume, ((10, 9), (34, 31)), 5, 18, axis="k", window="0,255")
        assert list(service.opened) == [volume.GetID()]
        slicer.mrmlScene.Clear(0)


def test_an_object_that_came_without_a_gray_window_gets_one(console, bench):
    annotated = bench.propagated()
    del annotated.about["mapping"]  # as a prediction comes
    review = console.review(annotated.segmentationNode, annotated.segmentId)
    review.propagate()
    assert annotated.about["mapping"]["lower"] < annotated.about["mapping"]["upper"]


def test_an_unlocked_slice_cannot_be_unlocked_by_a_script_and_leaves_no_step_of_undo(console, bench):
    annotated = bench.propagated()
    label = annotated.undoLabel
    review = console.review(annotated.segmentationNode, annotated.segmentId)
    with pytest.raises(PromptError, match="Slice 12 is neither accepted nor corrected"):
        review.unlock(12)
    assert annotated.undoLabel == label
