"""SegmentLabelmap: read and write single slices of one segment, and nothing but these. Imports slicer, vtk, numpy, SceneBridge.

The segment gets a labelmap layer of its own, so that no other segment can be touched, cut to the object, so that costs grow with it and not
with the volume. An empty segment gets the volume's lattice, whatever the segmentation's reference geometry: masks are kept to the voxel
then. A segment that already has voxels on another lattice keeps that lattice, because resampling would change what lies outside the
object's extent: there, each voxel belongs to the one slice of the volume that it lies nearest to, and takes the nearest pixel of its mask.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from SAM2AnnotateLib.errors import InputError

from .SceneBridge import ijkToLocalOf

_GROWTH_VOXELS = 8  # slices arrive one by one; growing in steps spares most of the copies
_SAME_DIRECTION = 1e-5  # difference of matrix entries: a two-hundredth voxel over 500
_SAME_PLACE = 1e-2  # voxels


def binaryLabelmapName() -> str:
    """Slicer's name of the representation."""
    return slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()


def requireLabelmaps(segmentationNode) -> None:
    """Raise InputError if a segmentation keeps its segments as something else than labelmaps, which is all that would be saved then."""
    segmentation = segmentationNode.GetSegmentation()
    source = segmentation.GetSourceRepresentationName()
    if segmentation.GetNumberOfSegments() and source != binaryLabelmapName():
        raise InputError(
            f"The segmentation '{segmentationNode.GetName()}' keeps its segments as '{source}', so masks would not be saved with it. "
            "Choose or make another segmentation, or make Binary labelmap its source representation (Segmentations module)."
        )


class SegmentLabelmap:
    """One segment, addressed by slices of a volume.

    Args:
        segmentationNode: the segment's node.
        segmentId: its id.
        volumeNode: the volume whose slices are meant; its transform may differ from the segmentation's, both must be linear.
        axis: index axis (``i``, ``j``, ``k``) that slices are numbered along.
    """

    def __init__(self, segmentationNode, segmentId: str, volumeNode, axis: str):
        self.segmentationNode, self.segmentId, self.volumeNode = segmentationNode, segmentId, volumeNode
        self._axis = "ijk".index(axis)
        self._written = None  # the image that the last write left: known to be in a layer of its own
        self._untold = False  # whether it was written to since without a word

    @property
    def segment(self):
        """The vtkSegment. Raises InputError if it is gone."""
        segment = self.segmentationNode.GetSegmentation().GetSegment(self.segmentId)
        if segment is None:
            raise InputError(f"The segment '{self.segmentId}' is no longer in '{self.segmentationNode.GetName()}'.")
        return segment

    # -- reading -------------------------------------------------------------------------------------------------------------------

    def occupiedSlices(self) -> list[int]:
        """Indices of the slices on which the segment has voxels."""
        found = self._occupied()
        if found is None:
            return []
        array, imageToIjk, low = found
        if _offset(imageToIjk) is not None:
            along = array.any(axis=tuple(a for a in range(3) if a != 2 - self._axis))
            start = low[self._axis] + _offset(imageToIjk)[self._axis]
            indices = (np.flatnonzero(along) + start).tolist()
        else:
            points = np.argwhere(array)[:, ::-1] + low
            indices = np.unique(_nearest(imageToIjk, points)[:, self._axis]).tolist()
        count = self._shapeIjk()[self._axis]
        return [index for index in indices if 0 <= index < count]

    def readSlice(self, index: int) -> np.ndarray:
        """2-D bool mask of a slice, the volume's other two axes in array order; False where the segment has no voxels.

        On another lattice than the volume's, the nearest voxel of the segment says what a pixel is.
        """
        return self._sliceOf(self._occupied(), index)

    def _sliceOf(self, found, index: int) -> np.ndarray:
        sizes = self._shapeIjk()[::-1]
        mask = np.zeros([size for axis, size in enumerate(sizes) if axis != 2 - self._axis], dtype=bool)
        if found is None:
            return mask
        array, imageToIjk, low = found
        offset = _offset(imageToIjk)
        if offset is not None:
            _paste(mask, self._plane(array, index - low[self._axis] - offset[self._axis]), self._inPlane(low + offset))
            return mask
        region = self._touchedPixels(array.shape, imageToIjk, low)
        if region is None:
            return mask
        pixels = np.zeros((*[hi - lo for lo, hi in region], 3))
        grids = np.meshgrid(*[np.arange(lo, hi) for lo, hi in region], indexing="ij")
        for column, axis in enumerate(a for a in (2, 1, 0) if a != self._axis):
            pixels[..., axis] = grids[column]
        pixels[..., self._axis] = index
        voxels = _nearest(np.linalg.inv(imageToIjk), pixels.reshape(-1, 3)) - low
        inside = np.all((voxels >= 0) & (voxels < array.shape[::-1]), axis=1)
        values = np.zeros(len(voxels), dtype=bool)
        values[inside] = array[tuple(voxels[inside][:, ::-1].T)]
        mask[tuple(slice(lo, hi) for lo, hi in region)] = values.reshape(grids[0].shape)
        return mask

    def plane(self, index: int) -> np.ndarray:
        """As `readSlice`, but on the volume's lattice without a look at any other slice, for a question that is asked for each slice."""
        image = self.segment.GetRepresentation(binaryLabelmapName())
        if image is None or image.IsEmpty() or image.GetPointData().GetScalars() is None:
            return self._sliceOf(None, index)
        offset = _offset(self._imageToIjk(image))
        if offset is None:
            return self.readSlice(index)
        low = np.array(image.GetExtent()[::2])
        plane = self._plane(_arrayOf(image), index - low[self._axis] - offset[self._axis])
        mask = self._sliceOf(None, index)
        _paste(mask, None if plane is None else plane == self.segment.GetLabelValue(), self._inPlane(low + offset))
        return mask

    def sliceDiffers(self, index: int, expected: np.ndarray) -> bool:
        """Whether a slice holds something else than this mask, which `writeSlices` would write; on another lattice it takes longer."""
        image = self.segment.GetRepresentation(binaryLabelmapName())
        if image is not None and not image.IsEmpty() and _offset(self._imageToIjk(image)) is None:
            return bool(self.differingSlices({index: expected}))
        return not np.array_equal(self.plane(index), expected)

    def differingSlices(self, expected: Mapping[int, np.ndarray]) -> list[int]:
        """Which of these slices hold something else than these masks, which `writeSlices` would write."""
        found = self._occupied()
        if found is None:
            return [index for index, mask in expected.items() if mask.any()]
        array, imageToIjk, low = found
        if _offset(imageToIjk) is not None:
            return [index for index, mask in expected.items() if not np.array_equal(self._sliceOf(found, index), mask)]
        bounds = self._boundsFor(expected, imageToIjk, low, array.shape)
        actual = _cut(array, low, bounds)
        target = actual.copy()
        owner = self._writeOther(target, bounds, imageToIjk, expected)
        return sorted({int(index) for index in owner[target != actual]})

    # -- writing -------------------------------------------------------------------------------------------------------------------

    def writeSlices(self, masks: Mapping[int, np.ndarray], quiet: bool = False) -> None:
        """Replace these slices of the segment; every other voxel of it, and every other segment, stays as it is.

        Args:
            masks: by slice index, 2-D bool, the volume's other two axes in array order.
            quiet: whether to leave it to `tell` that the segment changed, because more will be written in a moment.
        """
        if not masks:
            return
        image = self._ownImage()
        array = _arrayOf(image)
        low, imageToIjk = np.array(image.GetExtent()[::2]), self._imageToIjk(image)
        value = self.segment.GetLabelValue()
        offset = _offset(imageToIjk)
        bounds = self._boundsFor(masks, imageToIjk, low, array.shape)
        grown = _cut(array, low, bounds) if _exceeds(bounds, low, array.shape) else None
        target = array if grown is None else grown
        start = low if grown is None else bounds[:, 0]
        if offset is not None:
            for index, mask in masks.items():
                plane = self._plane(target, index - start[self._axis] - offset[self._axis])
                if plane is not None:
                    plane[...] = 0
                    _paste(plane, mask, [-at for at in self._inPlane(start + offset)], value)
        else:
            boolean = target == value
            extent = np.column_stack([start, start + np.array(target.shape[::-1])])
            self._writeOther(boolean, extent, imageToIjk, masks)
            target[...] = np.where(boolean, value, 0)
        if grown is not None:
            self._replaceImage(_newImage(grown, bounds, image))
        elif quiet:
            self._untold = True
        else:
            self._sayModified(image)

    def tell(self) -> None:
        """Let the scene know of what was written quietly; views draw it then."""
        if self._untold:
            self._sayModified(self._written)

    def _sayModified(self, image) -> None:
        self._untold = False
        image.GetPointData().GetScalars().Modified()
        image.Modified()

    def fillSlab(self, index: int, mask: np.ndarray) -> None:
        """Give the segment, an empty one, a labelmap that is one whole slice and nothing more: the editor's reach, too, is that slice.

        Args:
            index: of the slice.
            mask: 2-D bool, the volume's other two axes in array order.
        """
        lattice = slicer.vtkOrientedImageData()
        lattice.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijkToLocalOf(self.volumeNode, self.segmentationNode)))
        bounds = np.column_stack([np.zeros(3, int), self._shapeIjk()])
        bounds[self._axis] = index, index + 1
        self.segment.SetLabelValue(1)
        self._replaceImage(_newImage(np.expand_dims(mask, 2 - self._axis).astype(np.uint8), bounds, lattice))

    def updateSurface(self) -> None:
        """Bring a 3-D surface, where the segmentation has one, up to date with what was written."""
        segmentation = self.segmentationNode.GetSegmentation()
        surface = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
        if segmentation.ContainsRepresentation(surface):
            segmentation.CreateRepresentation(surface, True)

    # -- the image -------------------------------------------------------------------------------------------------------------------

    def _ownImage(self):
        """The segment's image, in a layer of its own; made on the volume's lattice if there is none."""
        segmentation, segment = self.segmentationNode.GetSegmentation(), self.segment
        image = segment.GetRepresentation(binaryLabelmapName())
        if image is not None and image is self._written and not segmentation.IsSharedBinaryLabelmap(self.segmentId):
            return image
        if segmentation.IsSharedBinaryLabelmap(self.segmentId):
            segmentation.SeparateSegmentLabelmap(self.segmentId)
            image = segment.GetRepresentation(binaryLabelmapName())
        if image is None or self._occupied() is None:
            image = slicer.vtkOrientedImageData()
            image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijkToLocalOf(self.volumeNode, self.segmentationNode)))
            low, high = np.zeros(3, int), np.array(self._shapeIjk())
            middle = (low + high) // 2
            bounds = np.column_stack([middle, middle + 1])
            segment.SetLabelValue(1)
            image = _newImage(np.zeros((1, 1, 1), dtype=np.uint8), bounds, image)
            self._replaceImage(image)
        self._written = image
        return image

    def _replaceImage(self, image) -> None:
        self.segment.AddRepresentation(binaryLabelmapName(), image)
        self._written, self._untold = image, False
        image.Modified()

    def _occupied(self):
        """(bool array (k, j, i) of the image's occupied part, (4, 4) image index to volume index, its lowest index (i, j, k)), or None."""
        image = self.segment.GetRepresentation(binaryLabelmapName())
        if image is None or image.IsEmpty() or image.GetPointData().GetScalars() is None:
            return None
        array = _arrayOf(image) == self.segment.GetLabelValue()
        occupied = [np.flatnonzero(array.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
        if not occupied[0].size:
            return None
        cut = array[tuple(slice(one[0], one[-1] + 1) for one in occupied)]
        low = np.array(image.GetExtent()[::2]) + [one[0] for one in reversed(occupied)]
        return cut, self._imageToIjk(image), low

    def _imageToIjk(self, image) -> np.ndarray:
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        toLocal = ijkToLocalOf(self.volumeNode, self.segmentationNode)
        return np.linalg.inv(toLocal) @ slicer.util.arrayFromVTKMatrix(matrix)

    def _shapeIjk(self) -> tuple[int, int, int]:
        return self.volumeNode.GetImageData().GetDimensions()

    def _plane(self, array: np.ndarray, at: int):
        axis = 2 - self._axis
        return np.moveaxis(array, axis, 0)[at] if 0 <= at < array.shape[axis] else None

    def _inPlane(self, ijk: np.ndarray) -> list[int]:
        """The other two components in array order."""
        return [int(ijk[axis]) for axis in (2, 1, 0) if axis != self._axis]

    def _boundsFor(self, masks: Mapping[int, np.ndarray], imageToIjk, low, shapeKji) -> np.ndarray:
        """(3, 2) image bounds that hold what is there and these masks."""
        held = np.column_stack([low, low + np.array(shapeKji[::-1])])
        corners = []
        for index, mask in masks.items():
            spans = [np.flatnonzero(mask.any(axis=other)) for other in (1, 0)]
            if spans[0].size:
                ends = {a: (s[0], s[-1]) for a, s in zip((a for a in (2, 1, 0) if a != self._axis), spans, strict=True)}
                ends[self._axis] = (index, index)
                corners += list(itertools.product(*(ends[axis] for axis in range(3))))
        if not corners:
            return held
        offset = _offset(imageToIjk)
        if offset is not None:
            points = np.array(corners) - offset
            needed = np.column_stack([points.min(axis=0), points.max(axis=0) + 1])
        else:
            # Half a voxel of the volume beyond the outermost centers, and one of the image for rounding.
            spread = np.array([np.array(c) + h for c in corners for h in itertools.product((-0.5, 0.5), repeat=3)])
            points = _transform(np.linalg.inv(imageToIjk), spread)
            needed = np.column_stack([np.floor(points.min(axis=0)) - 1, np.ceil(points.max(axis=0)) + 2]).astype(int)
        if np.all(needed[:, 0] >= held[:, 0]) and np.all(needed[:, 1] <= held[:, 1]):
            return held
        if offset is not None:  # with room to grow, but not beyond the volume
            roomy = needed + np.array([-_GROWTH_VOXELS, _GROWTH_VOXELS])
            limits = np.column_stack([-offset, np.array(self._shapeIjk()) - offset])
            needed = np.column_stack([np.maximum(roomy[:, 0], limits[:, 0]), np.minimum(roomy[:, 1], limits[:, 1])])
        return np.column_stack([np.minimum(held[:, 0], needed[:, 0]), np.maximum(held[:, 1], needed[:, 1])])

    def _touchedPixels(self, shapeKji, imageToIjk, low):
        """In-plane ranges of the volume's pixels, array order, that an image may cover; None if it covers none."""
        ends = [(lo - 0.5, lo + size - 0.5) for lo, size in zip(low, shapeKji[::-1], strict=True)]
        points = _transform(imageToIjk, np.array(list(itertools.product(*ends))))
        lows, highs = np.floor(points.min(axis=0)).astype(int), np.ceil(points.max(axis=0)).astype(int) + 1
        sizes = self._shapeIjk()
        region = [(max(0, lows[a]), min(sizes[a], highs[a])) for a in (2, 1, 0) if a != self._axis]
        return region if all(lo < hi for lo, hi in region) else None

    def _writeOther(self, array: np.ndarray, bounds: np.ndarray, imageToIjk: np.ndarray, masks: Mapping[int, np.ndarray]) -> np.ndarray:
        """Write masks into a bool array on another lattice, in place; returns the slice index that each voxel belongs to, -1 for none."""
        axes = [np.arange(lo, hi) for lo, hi in bounds]
        owner = np.full(array.shape, -1)
        sizes = np.array(self._shapeIjk())
        inPlane = [axis for axis in (2, 1, 0) if axis != self._axis]
        for k, layer, owners in zip(axes[2], array, owner, strict=True):  # layer by layer, so that memory stays small
            j, i = np.meshgrid(axes[1], axes[0], indexing="ij")
            points = np.column_stack([i.ravel(), j.ravel(), np.full(i.size, k)])
            ijk = _nearest(imageToIjk, points)
            inside = np.all((ijk >= 0) & (ijk < sizes), axis=1)
            for index, mask in masks.items():
                mine = inside & (ijk[:, self._axis] == index)
                if mine.any():
                    flat = layer.reshape(-1)
                    flat[mine] = mask[tuple(ijk[mine][:, axis] for axis in inPlane)]
                    layer[...] = flat.reshape(layer.shape)
                    owners.reshape(-1)[mine] = index
        return owner


def _arrayOf(image) -> np.ndarray:
    """(k, j, i) view of an image's voxels."""
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def _newImage(array: np.ndarray, bounds: np.ndarray, like):
    """An oriented image with these voxels at these (3, 2) bounds, on the lattice of another."""
    image = slicer.vtkOrientedImageData()
    image.SetExtent(*(int(n) for lo, hi in bounds for n in (lo, hi - 1)))
    image.AllocateScalars(get_vtk_array_type(array.dtype), 1)
    matrix = vtk.vtkMatrix4x4()
    like.GetImageToWorldMatrix(matrix)
    image.SetImageToWorldMatrix(matrix)
    _arrayOf(image)[...] = array
    return image


def _cut(array: np.ndarray, low: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """A copy of an array that begins at index `low` (i, j, k), on other bounds that hold it; zeros where there was nothing."""
    wide = np.zeros((bounds[:, 1] - bounds[:, 0])[::-1], dtype=array.dtype)
    start = (low - bounds[:, 0])[::-1]
    wide[tuple(slice(s, s + n) for s, n in zip(start, array.shape, strict=True))] = array
    return wide


def _exceeds(bounds: np.ndarray, low: np.ndarray, shapeKji) -> bool:
    return bool(np.any(bounds[:, 0] < low) or np.any(bounds[:, 1] > low + np.array(shapeKji[::-1])))


def _offset(imageToIjk: np.ndarray) -> np.ndarray | None:
    """Image index + offset = volume index, if the two lattices are one; else None."""
    shift = np.round(imageToIjk[:3, 3])
    turned = np.abs(imageToIjk[:3, :3] - np.eye(3)).max() > _SAME_DIRECTION
    return None if turned or np.abs(imageToIjk[:3, 3] - shift).max() > _SAME_PLACE else shift.astype(int)


def _transform(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _nearest(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The whole indices nearest to transformed points; halves go up, so that each point has exactly one."""
    return np.floor(_transform(matrix, points) + 0.5 + 1e-9).astype(int)


def _paste(onto: np.ndarray, patch: np.ndarray | None, at: list[int], value=True) -> None:
    """Write the part of `patch`, whose corner lies at `at` of `onto`, that falls onto it."""
    if patch is None:
        return
    targets, sources = [], []
    for size, length, start in zip(onto.shape, patch.shape, at, strict=True):
        low, high = max(0, start), min(size, start + length)
        if low >= high:
            return
        targets.append(slice(low, high))
        sources.append(slice(low - start, high - start))
    part = patch[tuple(sources)]
    onto[tuple(targets)] = part if value is True else np.where(part, value, 0)
