"""The objects of a label map, one by one, and how a stack of slices sees them. Imports geometry, metrics, errors and (inside) scipy.

An object keeps only the box around it, so that a hundred of them cost no more than the label map that they come from.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import InputError, PromptError
from ..geometry import Box2D, Extent, SliceStack
from ..metrics.surface_elements import bounding_box
from ..optional_imports import import_for


@dataclass(frozen=True, eq=False)
class TruthObject:
    """One object of a label map.

    Args:
        label: its value in the label map.
        instance: its number among the objects of this value; 1 is the largest.
        start_kji: (3,) voxel at which the crop begins.
        mask_kji: (k, j, i) bool crop around the object; kept read-only.

    Raises:
        InputError: if the crop is not a 3-D bool array with a voxel of the object.
    """

    label: int
    instance: int
    start_kji: tuple[int, int, int]
    mask_kji: np.ndarray

    def __post_init__(self) -> None:
        mask = self.mask_kji.view()
        if mask.ndim != 3 or mask.dtype != np.dtype(bool) or not mask.any():
            raise InputError(f"Expected an object's mask as a 3-D bool array with a voxel inside, got {mask.dtype} {mask.shape}.")
        mask.setflags(write=False)
        object.__setattr__(self, "mask_kji", mask)

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.mask_kji))


def truth_objects(
    labels_kji: np.ndarray, values: Iterable[int], *, separate: bool = True, smallest_voxels: int = 1
) -> tuple[list[TruthObject], list[TruthObject]]:
    """The objects of a label map.

    Args:
        labels_kji: (k, j, i) label map.
        values: labels to take, in this order; one that does not occur gives no object.
        separate: whether every connected part (voxels that share a face, an edge or a corner) is an object of its own, the largest
            first, equals by their first voxel in array order; else all voxels of a value are one object.
        smallest_voxels: fewer make no object.

    Returns:
        The objects, and the specks that are too small; instances are counted on through both.

    Raises:
        InputError: if a value is below 1, or the label map is not 3-D.
        MissingPackageError: if scipy is not installed.
    """
    labels_kji = np.asarray(labels_kji)
    if labels_kji.ndim != 3:
        raise InputError(f"Expected a 3-D label map (k, j, i), got shape {labels_kji.shape}.")
    wanted = list(dict.fromkeys(operator.index(value) for value in values))
    if any(value < 1 for value in wanted):
        raise InputError(f"Labels of objects are whole numbers from 1 on (0 is the background), got {min(wanted)}.")
    found = []
    for value in wanted:
        mask_kji = labels_kji == value
        box = bounding_box(mask_kji)
        if box is None:
            continue
        crop = mask_kji[box].copy()
        parts = connected_parts(crop) if separate else [(tuple(slice(0, n) for n in crop.shape), crop)]
        for instance, (part_box, part) in enumerate(parts, start=1):
            k, j, i = (whole.start + inner.start for whole, inner in zip(box, part_box, strict=True))
            found.append(TruthObject(value, instance, (k, j, i), part))
    objects = [one for one in found if one.voxels >= smallest_voxels]
    return objects, [one for one in found if one.voxels < smallest_voxels]


def connected_parts(mask: np.ndarray) -> list[tuple[tuple[slice, ...], np.ndarray]]:
    """The connected parts of a bool mask of any dimension; neighbors at a corner are connected.

    Returns:
        For each part its tight box as a numpy index, and the bool crop of this part alone; the largest first, equals by their first
        element in array order.

    Raises:
        MissingPackageError: if scipy is not installed.
    """
    ndimage = import_for("Separating objects", "scipy.ndimage", "pip install scipy")
    numbered, _ = ndimage.label(mask, structure=np.ones((3,) * mask.ndim, dtype=bool))
    parts = [(box, numbered[box] == number) for number, box in enumerate(ndimage.find_objects(numbered), start=1)]

    def order(part: tuple[tuple[slice, ...], np.ndarray]) -> tuple[int, list[int]]:
        box, crop = part
        first = np.unravel_index(int(np.argmax(crop)), crop.shape)
        return -int(np.count_nonzero(crop)), [side.start + int(n) for side, n in zip(box, first, strict=True)]

    return sorted(parts, key=order)


@dataclass(frozen=True, eq=False)
class StackedTruth:
    """An object as a stack of upright slices sees it. Made by `of`.

    Args:
        extent: positions of the first and the last slice that hold a voxel.
        center: position of the slice of the center of mass; if that one is empty, of the nearest that is not.
        start_src: (3,) slice, row and column at which the crop begins.
        mask_src: (slice, row, column) bool crop.
        shape_src: (3,) numbers of slices, rows and columns of the stack.
    """

    extent: Extent
    center: int
    start_src: tuple[int, int, int]
    mask_src: np.ndarray
    shape_src: tuple[int, int, int]

    @classmethod
    def of(cls, truth: TruthObject, stack: SliceStack) -> StackedTruth:
        """See an object through a stack; no array of the volume's size is made.

        Raises:
            InputError: if the object reaches beyond the stack's volume.
        """
        mask_src = stack.view(truth.mask_kji)
        start = []
        for axis, flip, size in zip(stack.array_axes, stack.flipped, stack.shape_src, strict=True):
            low, high = truth.start_kji[axis], truth.start_kji[axis] + truth.mask_kji.shape[axis]
            if low < 0 or high > size:
                raise InputError(f"The object has {'kji'[axis]} {low}..{high}, beyond its volume, which has 0..{size} (half-open).")
            start.append(size - high if flip else low)
        counts = np.count_nonzero(mask_src, axis=(1, 2))
        inside = np.flatnonzero(counts)
        present = inside + start[0]
        center_of_mass = int(np.rint((counts[inside] * present).sum() / counts.sum()))
        center = int(present[np.argmin(np.abs(present - center_of_mass))])  # a hollow stack has nothing at its center of mass
        extent = Extent(int(present[0]), int(present[-1]))
        return cls(extent, center, (start[0], start[1], start[2]), mask_src, stack.shape_src)

    def frame(self, position: int) -> np.ndarray:
        """The object on a slice: (rows, cols) bool of the whole slice, empty where the object is not.

        Raises:
            PromptError: if the stack has no such slice.
        """
        slices, rows, cols = self.shape_src
        if not 0 <= position < slices:
            raise PromptError(f"Slice position {position} does not exist: the stack has 0..{slices - 1}.")
        frame = np.zeros((rows, cols), dtype=bool)
        if position in self.extent:
            crop = self.mask_src[position - self.start_src[0]]
            row, col = self.start_src[1:]
            frame[row : row + crop.shape[0], col : col + crop.shape[1]] = crop
        return frame

    def tight_box(self, position: int) -> Box2D:
        """The tight box of the object on a slice. Raises PromptError if the object is not on it."""
        if position not in self.extent:
            raise PromptError(f"The object is not on slice position {position}: it reaches from {self.extent.first} to {self.extent.last}.")
        return Box2D.around(self.mask_src[position - self.start_src[0]]).shifted(*self.start_src[1:])
