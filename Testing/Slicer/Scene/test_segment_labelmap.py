"""Single slices of a segment: read and written exactly, in the right place, and nothing else touched."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from orientations import OBLIQUE, directions, linearTransform, volumeNode
from vtk.util.numpy_support import vtk_to_numpy

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateSlicer.Scene.SceneBridge import ijkToWorld, worldToIjk
from SAM2AnnotateSlicer.Scene.SegmentLabelmap import SegmentLabelmap, binaryLabelmapName

SHAPE_KJI = (9, 11, 13)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def aSegmentation(*segmentIds):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    for segmentId in segmentIds:
        node.GetSegmentation().AddEmptySegment(segmentId, segmentId)
    return node


def segmentPointsWorld(node, segmentId):
    """(n, 3) world RAS of the centers of a segment's voxels, by Slicer's own reckoning."""
    image = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segmentId, image)
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)

    scalars = image.GetPointData().GetScalars()
    if scalars is None:
        return np.zeros((0, 3))
    array = vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])
    indices = np.argwhere(array > 0)[:, ::-1] + np.array(image.GetExtent()[::2])
    local = np.column_stack([indices, np.ones(len(indices))]) @ slicer.util.arrayFromVTKMatrix(matrix).T
    toWorld = vtk.vtkMatrix4x4()
    if node.GetParentTransformNode() is not None:
        node.GetParentTransformNode().GetMatrixTransformToWorld(toWorld)
    return (local @ slicer.util.arrayFromVTKMatrix(toWorld).T)[:, :3]


def masksFor(rng, axis, indices):
    at = 2 - "ijk".index(axis)
    shape = [size for n, size in enumerate(SHAPE_KJI) if n != at]
    return {index: rng.random(shape) > 0.6 for index in indices}


def pointsOf(masks, axis, node):
    """(n, 3) world RAS of the voxels of masks, from the volume's own matrix."""
    at = 2 - "ijk".index(axis)
    whole = np.zeros(SHAPE_KJI, dtype=bool)
    for index, mask in masks.items():
        np.moveaxis(whole, at, 0)[index] = mask
    indices = np.argwhere(whole)[:, ::-1]
    return (np.column_stack([indices, np.ones(len(indices))]) @ ijkToWorld(node).T)[:, :3]


def sortedRows(points):
    return np.array(sorted(np.round(points, 3).tolist()))


@pytest.mark.parametrize("axis", "ijk")
@pytest.mark.parametrize("name", directions())
def test_slices_are_read_as_written_and_lie_where_the_volume_has_them(name, axis, rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), directions()[name])
    node = aSegmentation("a")
    labelmap = SegmentLabelmap(node, "a", volume, axis)
    masks = masksFor(rng, axis, (2, 3, 7))
    labelmap.writeSlices(masks)
    for index, mask in masks.items():
        assert np.array_equal(labelmap.readSlice(index), mask)
    assert labelmap.occupiedSlices() == [2, 3, 7] and not labelmap.readSlice(5).any()
    assert np.allclose(sortedRows(segmentPointsWorld(node, "a")), sortedRows(pointsOf(masks, axis, volume)), atol=2e-3)


@pytest.mark.parametrize("where", ["volume", "both", "segmentation"])
@pytest.mark.parametrize("name", ["LPS", "RAS", "SAR", "PIL", "oblique", "oblique flipped"])
def test_under_parent_transforms_masks_lie_on_the_volume_still(name, where, rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), directions()[name])
    node = aSegmentation("a")
    transform = linearTransform()
    for one, under in ((volume, where != "segmentation"), (node, where != "volume")):
        if under:
            one.SetAndObserveTransformNodeID(transform.GetID())
    labelmap = SegmentLabelmap(node, "a", volume, "k")
    masks = masksFor(rng, "k", (1, 4))
    labelmap.writeSlices(masks)
    assert all(np.array_equal(labelmap.readSlice(index), mask) for index, mask in masks.items())
    assert np.allclose(sortedRows(segmentPointsWorld(node, "a")), sortedRows(pointsOf(masks, "k", volume)), atol=2e-3)


@pytest.mark.parametrize("axis", "ijk")
def test_other_slices_and_other_segments_stay_as_they_are(axis, rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), OBLIQUE)
    node = aSegmentation("a", "b", "c")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    before = {one: rng.random(SHAPE_KJI) > 0.8 for one in "bc"}
    old = rng.random(SHAPE_KJI) > 0.7
    for one, array in {"a": old, **before}.items():
        slicer.util.updateSegmentBinaryLabelmapFromArray(array.astype(np.uint8), node, one, volume)
    masks = masksFor(rng, axis, (0, 4))
    SegmentLabelmap(node, "a", volume, axis).writeSlices(masks)
    for one, array in before.items():
        assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(node, one, volume) > 0, array)
    expected = old.copy()
    for index, mask in masks.items():
        np.moveaxis(expected, 2 - "ijk".index(axis), 0)[index] = mask
    assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(node, "a", volume) > 0, expected)


def test_a_layer_shared_with_another_segment_leaves_no_ghost(rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), np.eye(3))
    node = aSegmentation("a", "b")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    first, second = np.zeros(SHAPE_KJI, np.uint8), np.zeros(SHAPE_KJI, np.uint8)
    first[2:4], second[6:8] = 1, 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(first, node, "a", volume)
    slicer.util.updateSegmentBinaryLabelmapFromArray(second, node, "b", volume)
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    SegmentLabelmap(node, "a", volume, "k").writeSlices({2: np.zeros(SHAPE_KJI[1:], bool), 3: np.zeros(SHAPE_KJI[1:], bool)})
    node.GetSegmentation().AddEmptySegment("c", "c")
    assert slicer.util.arrayFromSegmentBinaryLabelmap(node, "c", volume).sum() == 0
    assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(node, "b", volume), second)


def onAnotherLattice(volume, rng):
    """A segmentation whose segment lies on a finer, turned lattice over the volume's middle, and its voxels' world points."""
    other = volumeNode(np.zeros((22, 24, 26), np.int16), OBLIQUE, "Other", origin=(8.0, -4.0, 20.0))
    node = aSegmentation("a")
    node.SetReferenceImageGeometryParameterFromVolumeNode(other)
    blob = np.zeros((22, 24, 26), np.uint8)
    blob[3:18, 4:20, 5:21] = rng.random((15, 16, 16)) > 0.3
    slicer.util.updateSegmentBinaryLabelmapFromArray(blob, node, "a", other)
    return node


@pytest.mark.parametrize("axis", "ijk")
@pytest.mark.parametrize("name", ["LPS", "SRA", "oblique flipped"])
def test_a_segment_on_another_lattice_keeps_every_voxel_outside_the_written_slices(name, axis, rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), directions()[name])
    node = onAnotherLattice(volume, rng)
    before = segmentPointsWorld(node, "a")
    labelmap = SegmentLabelmap(node, "a", volume, axis)
    written = masksFor(rng, axis, (3, 4))
    labelmap.writeSlices(written)
    after = segmentPointsWorld(node, "a")
    at = "ijk".index(axis)

    others = [n for n in (2, 1, 0) if n != at]

    def owned(points):
        """Volume indices of points, and which of them belong to a written slice; beyond the volume's pixels nothing is written."""
        ijk = np.floor(worldToIjk(volume, points) + 0.5 + 1e-9).astype(int)
        within = np.all((ijk >= 0) & (ijk < SHAPE_KJI[::-1]), axis=1)
        return ijk, within & np.isin(ijk[:, at], list(written))

    (_, mineBefore), (ijk, mine) = owned(before), owned(after)
    assert mine.any() and (~mine).any()
    assert np.array_equal(sortedRows(before[~mineBefore]), sortedRows(after[~mine]))
    assert all(written[row[at]][row[others[0]], row[others[1]]] for row in ijk[mine])
    assert labelmap.differingSlices(written) == []


def test_on_another_lattice_the_same_masks_give_the_same_voxels(rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), directions()["LPS"])
    node = onAnotherLattice(volume, rng)
    labelmap = SegmentLabelmap(node, "a", volume, "k")
    masks = masksFor(rng, "k", (3, 4, 5))
    labelmap.writeSlices(masks)
    once = segmentPointsWorld(node, "a")
    labelmap.writeSlices({4: ~masks[4]})
    assert labelmap.differingSlices(masks) == [4]
    labelmap.writeSlices(masks)
    assert np.array_equal(sortedRows(once), sortedRows(segmentPointsWorld(node, "a")))


def test_what_is_kept_grows_with_the_object_and_not_with_the_volume():
    volume = volumeNode(np.zeros((60, 200, 210), np.int16), np.eye(3))
    node = aSegmentation("a")
    mask = np.zeros((200, 210), bool)
    mask[90:110, 95:112] = True
    SegmentLabelmap(node, "a", volume, "k").writeSlices(dict.fromkeys(range(20, 31), mask))
    size = node.GetSegmentation().GetSegment("a").GetRepresentation(binaryLabelmapName()).GetDimensions()
    assert np.prod(size) < 60_000 < 0.05 * 60 * 200 * 210


def test_differing_slices_are_those_that_somebody_else_drew_on(rng):
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), OBLIQUE)
    node = aSegmentation("a")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    labelmap = SegmentLabelmap(node, "a", volume, "k")
    masks = masksFor(rng, "k", range(1, 8))
    labelmap.writeSlices(masks)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, "a", volume)
    array[5, 3, 4] = 1 - array[5, 3, 4]
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, "a", volume)
    assert labelmap.differingSlices(masks) == [5]


def test_a_non_linear_transform_is_refused_with_a_way_out():
    volume = volumeNode(np.zeros(SHAPE_KJI, np.int16), np.eye(3))
    grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "Warp")
    volume.SetAndObserveTransformNodeID(grid.GetID())
    node = aSegmentation("a")
    with pytest.raises(InputError, match="Harden the transform"):
        SegmentLabelmap(node, "a", volume, "k").writeSlices({1: np.ones(SHAPE_KJI[1:], bool)})


def test_a_segment_that_is_gone_is_told():
    volume, node = volumeNode(np.zeros(SHAPE_KJI, np.int16), np.eye(3)), aSegmentation("a")
    labelmap = SegmentLabelmap(node, "a", volume, "k")
    node.GetSegmentation().RemoveSegment("a")
    with pytest.raises(InputError, match="no longer"):
        labelmap.readSlice(0)
