"""One object in the scene: review and segment in step, locked slices final, edits noticed, all of it kept."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from orientations import OBLIQUE, directions, linearTransform, volumeNode

from SAM2AnnotateLib.errors import InputError, PromptError
from SAM2AnnotateLib.geometry import Box2D, Extent
from SAM2AnnotateLib.propagation import SliceResult
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Review.AnnotatedSegment import TAG, AnnotatedSegment, boundsOf, boxAndExtent, stackOf

SHAPE_KJI = (12, 10, 11)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def aSegmentation(volume, *segmentIds, reference=None):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference if reference is not None else volume)
    for segmentId in segmentIds:
        node.GetSegmentation().AddEmptySegment(segmentId, segmentId)
    return node


def begin(volume, node, axis="k", extent=None, center=None):
    stack = stackOf(volume, axis)
    count, rows, cols = stack.shape_src
    extent = extent or Extent(2, count - 3)
    center = (extent.first + extent.last) // 2 if center is None else center
    return AnnotatedSegment.begin(node, "a", volume, axis, center, Box2D(2, rows - 2, 2, cols - 2), extent)


def result(annotated, position, rng):
    rows, cols = annotated.stack.frame_shape_rc
    return SliceResult(position, rng.random((rows, cols)) > 0.5, 0.9, 0.9, 0.01, Box2D(0, rows, 0, cols), False)


def proposeAll(annotated, rng):
    for position in annotated.session.extent.indices:
        annotated.addResult(result(annotated, position, rng))


def lockedBytes(annotated):
    """The segment's voxels on each locked slice."""
    return {one: annotated.labelmap.readSlice(annotated.stack.index_of(one)).tobytes() for one in annotated.session.locked}


def whole(node, segmentId, volume):
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentId, volume) > 0


@pytest.mark.parametrize("axis", "ijk")
@pytest.mark.parametrize("name", directions())
def test_locked_slices_stay_and_nothing_else_changes_whatever_is_computed_anew(name, axis, rng):
    volume = volumeNode(rng.integers(0, 99, SHAPE_KJI).astype(np.int16), directions()[name])
    image = slicer.util.arrayFromVolume(volume).copy()
    node = aSegmentation(volume, "a", "other")
    other = rng.random(SHAPE_KJI) > 0.7
    slicer.util.updateSegmentBinaryLabelmapFromArray(other.astype(np.uint8), node, "other", volume)
    annotated = begin(volume, node, axis)
    proposeAll(annotated, rng)
    low, high = annotated.session.extent.first, annotated.session.extent.last
    painted = rng.random(annotated.stack.frame_shape_rc) > 0.5
    annotated.session.accept(low + 1)
    annotated.session.correct(high - 1, painted)
    annotated.show([high - 1])
    locked = lockedBytes(annotated)
    for _ in range(3):
        proposeAll(annotated, rng)
        now = lockedBytes(annotated)
        assert now == locked
    found = annotated.stack.view(whole(node, "a", volume))
    assert np.array_equal(found[high - 1], painted)
    assert not found[:low].any() and not found[high + 1 :].any()
    assert np.array_equal(whole(node, "other", volume), other)
    assert np.array_equal(slicer.util.arrayFromVolume(volume), image)


@pytest.mark.parametrize("name", ["LPS", "RIA", "oblique"])
def test_that_holds_under_a_transform_and_on_another_reference_geometry(name, rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), directions()[name])
    other = volumeNode(np.zeros((7, 31, 29), np.int16), OBLIQUE, "Other", origin=(3.0, 3.0, 3.0))
    node = aSegmentation(volume, "a", reference=other)
    volume.SetAndObserveTransformNodeID(linearTransform().GetID())
    annotated = begin(volume, node)
    proposeAll(annotated, rng)
    annotated.session.accept(4)
    kept = annotated.labelmap.readSlice(annotated.stack.index_of(4)).copy()
    assert np.array_equal(annotated.stack.frame_from_slice(kept), annotated.session.mask(4))
    proposeAll(annotated, rng)
    assert annotated.labelmap.readSlice(annotated.stack.index_of(4)).tobytes() == kept.tobytes()
    assert annotated.noticeEdits() == []


def test_bounds_and_box_are_each_other_s_inverse_in_every_orientation(rng):
    for direction in directions().values():
        volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), direction)
        for axis in "ijk":
            stack = stackOf(volume, axis)
            box, extent = Box2D(1, 6, 3, 8), Extent(2, 7)
            assert boxAndExtent(stack, boundsOf(stack, box, extent)) == (box, extent)


def test_drawn_slices_of_a_segment_count_as_corrected_and_those_outside_stay(rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), directions()["LPS"])
    node = aSegmentation(volume, "a")
    drawn = np.zeros(SHAPE_KJI, bool)
    drawn[1, 3:5, 3:6] = drawn[4, 2:7, 2:8] = drawn[11, 5, 5] = True
    slicer.util.updateSegmentBinaryLabelmapFromArray(drawn.astype(np.uint8), node, "a", volume)
    annotated = begin(volume, node)
    assert {p for p in annotated.session.extent.indices if annotated.session.status(p) is SliceStatus.CORRECTED} == {4}
    proposeAll(annotated, rng)
    found = whole(node, "a", volume)
    assert all(np.array_equal(found[k], drawn[k]) for k in (0, 1, 4, 10, 11))
    annotated.setExtent(Extent(1, 9))
    assert annotated.session.status(1) is SliceStatus.CORRECTED


def test_edits_with_other_tools_are_corrections(rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), OBLIQUE)
    node = aSegmentation(volume, "a")
    annotated = begin(volume, node)
    proposeAll(annotated, rng)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, "a", volume)
    array[5] = 0
    array[7, 3, 3] = 1 - array[7, 3, 3]
    array[0, 0, 0] = 1  # outside the extent: none of our business
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, "a", volume)
    positions = sorted(annotated.stack.position_of(index) for index in (5, 7))
    assert annotated.noticeEdits() == positions and annotated.session.locked == set(positions)
    assert annotated.isEmptied(annotated.stack.position_of(5)) and not annotated.isEmptied(annotated.stack.position_of(7))
    assert annotated.noticeEdits() == []
    annotated.undo()
    assert annotated.session.locked == set() and whole(node, "a", volume)[0, 0, 0]


def test_one_undo_takes_back_one_step_in_review_and_segment(rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), directions()["PIR"])
    node = aSegmentation(volume, "a")
    annotated = begin(volume, node)
    proposeAll(annotated, rng)
    states = [whole(node, "a", volume).copy()]
    annotated.remember("correct")
    annotated.session.correct(4, np.zeros(annotated.stack.frame_shape_rc, bool))
    annotated.show([4])
    states.append(whole(node, "a", volume).copy())
    annotated.remember("extent")
    annotated.setExtent(Extent(3, annotated.session.extent.last))
    states.append(whole(node, "a", volume).copy())
    assert annotated.undo() == "extent" and np.array_equal(whole(node, "a", volume), states[1])
    assert annotated.undo() == "correct" and np.array_equal(whole(node, "a", volume), states[0])
    assert annotated.undo() == "" and annotated.redoLabel == "correct"
    assert annotated.redo() == "correct" and annotated.redo() == "extent" and np.array_equal(whole(node, "a", volume), states[2])


def test_a_review_is_kept_in_the_segment_and_comes_back_whole(rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), directions()["LPS"])
    node = aSegmentation(volume, "a")
    annotated = begin(volume, node)
    proposeAll(annotated, rng)
    annotated.session.accept(3)
    annotated.effort.note("accept")
    annotated.store()
    back = AnnotatedSegment.restore(node, "a")
    assert back.session.to_json() == annotated.session.to_json() and back.center == annotated.center
    assert back.effort.counts == annotated.effort.counts and back.volumeNode is volume and back.noticeEdits() == []
    assert AnnotatedSegment.restore(aSegmentation(volume, "b"), "b") is None


def test_a_segmentation_loaded_from_its_own_file_finds_the_volume_it_was_made_on(rng, tmp_path):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), OBLIQUE)
    node = aSegmentation(volume, "a")
    annotated = begin(volume, node)
    proposeAll(annotated, rng)
    annotated.session.accept(4)
    annotated.store()
    assert slicer.util.saveNode(node, str(tmp_path / "one.seg.nrrd"))
    slicer.mrmlScene.RemoveNode(node)
    back = slicer.util.loadSegmentation(str(tmp_path / "one.seg.nrrd"))
    segmentId = back.GetSegmentation().GetNthSegmentID(0)
    restored = AnnotatedSegment.restore(back, segmentId)
    assert restored.volumeNode is volume and restored.session.to_json() == annotated.session.to_json() and restored.noticeEdits() == []
    volumeNode(np.ones(SHAPE_KJI, np.int16), OBLIQUE, "Twin")  # which of the two is meant is unclear now
    with pytest.raises(InputError, match="not in the scene"):
        AnnotatedSegment.restore(back, segmentId)


def test_a_kept_review_that_cannot_be_used_says_why_and_touches_nothing(rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), directions()["LPS"])
    node = aSegmentation(volume, "a")
    annotated = begin(volume, node)
    proposeAll(annotated, rng)
    annotated.store()
    voxels = whole(node, "a", volume)
    segment = node.GetSegmentation().GetSegment("a")
    good = annotated.labelmap.segment
    for damaged in ("nonsense", "aGVsbG8="):
        good.SetTag(TAG, damaged)
        with pytest.raises(InputError, match="damaged"):
            AnnotatedSegment.restore(node, "a")
    segment.RemoveTag(TAG)
    annotated.store()
    slicer.mrmlScene.RemoveNode(volume)
    with pytest.raises(InputError, match="not in the scene"):
        AnnotatedSegment.restore(node, "a")
    other = volumeNode(np.zeros(SHAPE_KJI, np.int16), directions()["LPS"])
    assert np.array_equal(whole(node, "a", other), voxels)


def test_a_locked_slice_cannot_be_left_out(rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), np.eye(3))
    annotated = begin(volume, aSegmentation(volume, "a"))
    proposeAll(annotated, rng)
    annotated.session.accept(2)
    before = annotated.session.to_json()
    with pytest.raises(PromptError, match="accepted or corrected"):
        annotated.setExtent(Extent(3, 9))
    assert annotated.session.to_json() == before


def test_a_result_that_comes_too_late_for_a_locked_slice_is_dropped(rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), np.eye(3))
    annotated = begin(volume, aSegmentation(volume, "a"))
    proposeAll(annotated, rng)
    annotated.session.accept(4)
    kept = annotated.session.mask(4)
    assert annotated.addResult(result(annotated, 4, rng)) is False and annotated.session.mask(4) is kept


def test_masks_can_keep_off_other_segments(rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), np.eye(3))
    annotated = begin(volume, aSegmentation(volume, "a"))
    blocked = np.zeros(annotated.stack.frame_shape_rc, bool)
    blocked[:, 4:] = True
    one = result(annotated, 5, rng)
    annotated.addResult(one, blocked)
    assert np.array_equal(annotated.session.mask(5), one.mask & ~blocked)
