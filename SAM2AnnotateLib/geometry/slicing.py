"""SliceStack: a volume seen as a stack of upright slices. Imports numpy and errors only.

A model that has learnt from upright pictures gives another mask for a mirrored one, and a file may store its voxels in any of 48
axis orders and flips. So everything behind this file sees the same stack for the same patient, however the file stores it:
``(slice, row, column)``, shown as radiologists look at it.

========  ======================  ===========  ==============
plane     slice index grows to    row grows    column grows
========  ======================  ===========  ==============
axial     superior                posterior    left
coronal   anterior                inferior     left
sagittal  right                   inferior     posterior
========  ======================  ===========  ==============

A `SliceStack` is the one place that turns a person's voxel indices into stack coordinates and masks back onto the volume's grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError, PromptError
from .boxes import Box2D, Extent, whole_number
from .volume_grid import VolumeGrid

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}
INDEX_AXES = {"i": 0, "j": 1, "k": 2}
AXIS_NAMES = (*INDEX_AXES, *PLANES)

# World axis (0 R, 1 A, 2 S) and sign of slice, row and column, by the world axis of the slice normal.
_UPRIGHT = {
    2: ((2, 1), (1, -1), (0, -1)),
    1: ((1, 1), (2, -1), (0, -1)),
    0: ((0, 1), (2, -1), (1, -1)),
}


@dataclass(frozen=True)
class SliceStack:
    """How a (k, j, i) array turns into a stack (slice, row, column) of upright slices. Made by `along`.

    Args:
        array_axes: (3,) array axis (0 k, 1 j, 2 i) of slice, row and column.
        flipped: (3,) whether slice, row and column run against the array's index.
        shape_src: (3,) numbers of slices, rows and columns.
        spacing_src_mm: (3,) spacing in mm of slices, rows and columns.
        plane: ``axial``, ``coronal`` or ``sagittal``: the plane that the slices come closest to.
    """

    array_axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    shape_src: tuple[int, int, int]
    spacing_src_mm: tuple[float, float, float]
    plane: str

    @classmethod
    def along(cls, grid: VolumeGrid, axis: str = "k") -> SliceStack:
        """The stack of slices across `axis`.

        Args:
            grid: the volume's grid, oblique or permuted as it may be.
            axis: an index axis (``i``, ``j``, ``k``) to step along, or a plane (``axial``, ``coronal``, ``sagittal``), which means
                the index axis closest to that plane's normal.

        Raises:
            InputError: if the axis has another name.
        """
        name = str(axis).lower()
        world_and_sign = grid.nearest_anatomical_axes
        world_axes = [world for world, _ in world_and_sign]
        if name in INDEX_AXES:
            normal = world_axes[INDEX_AXES[name]]
        elif name in PLANES:
            normal = PLANES[name]
        else:
            raise InputError(f"Unknown axis {axis!r}: expected one of {', '.join(AXIS_NAMES)}.")
        s, r, c = (world_axes.index(world) for world, _ in _UPRIGHT[normal])
        wanted_s, wanted_r, wanted_c = (sign for _, sign in _UPRIGHT[normal])
        shape_ijk, spacing_ijk_mm = grid.shape_kji[::-1], grid.spacing_ijk_mm.tolist()
        return cls(
            array_axes=(2 - s, 2 - r, 2 - c),
            flipped=(world_and_sign[s][1] != wanted_s, world_and_sign[r][1] != wanted_r, world_and_sign[c][1] != wanted_c),
            shape_src=(shape_ijk[s], shape_ijk[r], shape_ijk[c]),
            spacing_src_mm=(spacing_ijk_mm[s], spacing_ijk_mm[r], spacing_ijk_mm[c]),
            plane=next(plane for plane, world in PLANES.items() if world == normal),
        )

    @property
    def index_axis(self) -> str:
        """The voxel index that a slice is numbered by: ``i``, ``j`` or ``k``."""
        return "kji"[self.array_axes[0]]

    @property
    def in_plane_axes(self) -> tuple[str, str]:
        """The two other index axes in the order i, j, k: the order of a box's and a point's numbers."""
        first, second = (name for name in "ijk" if name != self.index_axis)
        return first, second

    @property
    def frame_shape_rc(self) -> tuple[int, int]:
        """(rows, columns) of every slice."""
        return self.shape_src[1:]

    @property
    def frame_spacing_rc_mm(self) -> tuple[float, float]:
        """(row, column) spacing in mm."""
        return self.spacing_src_mm[1:]

    # -- arrays -------------------------------------------------------------------------------------------------------------

    def view(self, array_kji: np.ndarray) -> np.ndarray:
        """The (slice, row, column) view of a (k, j, i) array; no voxel is copied."""
        turned = np.transpose(array_kji, self.array_axes)
        return turned[tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flipped)]

    def frame(self, array_kji: np.ndarray, position: int) -> np.ndarray:
        """Slice `position` of the stack as a (row, column) view of a (k, j, i) array."""
        return self.view(array_kji)[position]

    def frame_from_slice(self, slice_array: np.ndarray) -> np.ndarray:
        """Turn a 2-D array of one slice, its two axes in the array order k, j, i, upright. The inverse is `slice_from_frame`.

        Raises:
            PromptError: if it has not the shape of a slice.
        """
        slice_array = np.asarray(slice_array)
        expected = tuple(self._shape_kji[axis] for axis in self._kept_axes)
        if slice_array.shape != expected:
            raise PromptError(f"A slice across {self.index_axis} has shape {expected} (array order), the mask has {slice_array.shape}.")
        turned = np.transpose(slice_array, tuple(self._kept_axes.index(axis) for axis in self.array_axes[1:]))
        return turned[:: -1 if self.flipped[1] else 1, :: -1 if self.flipped[2] else 1]

    def slice_from_frame(self, frame: np.ndarray) -> np.ndarray:
        """Turn an upright (rows, cols) array into the volume's array order, a view."""
        upright = frame[:: -1 if self.flipped[1] else 1, :: -1 if self.flipped[2] else 1]
        return np.transpose(upright, (0, 1) if self._kept_axes[0] == self.array_axes[1] else (1, 0))

    # -- a person's voxel indices to stack coordinates, and back ---------------------------------------------------------------

    def position_of(self, slice_index: int) -> int:
        """Position in the stack of the slice with this voxel index. Its own inverse, see `index_of`.

        Raises:
            PromptError: if the volume has no such slice.
        """
        count, slice_index = self.shape_src[0], whole_number(slice_index)
        if not 0 <= slice_index < count:
            raise PromptError(f"Slice {slice_index} does not exist: the volume has slices 0..{count - 1} along {self.index_axis}.")
        return count - 1 - slice_index if self.flipped[0] else slice_index

    def index_of(self, position: int) -> int:
        """Voxel index of the slice at a position in the stack."""
        return self.position_of(position)

    def extent_of(self, extent: Extent) -> Extent:
        """Turn an extent of voxel indices into one of positions, or back.

        Raises:
            PromptError: if it reaches beyond the volume.
        """
        return Extent(self.position_of(extent.first), self.position_of(extent.last))

    def box_of(self, start: Sequence[int], stop: Sequence[int]) -> Box2D:
        """Turn a box of voxel indices into one of rows and columns, clipped to the slice.

        Args:
            start: first corner, in the order of `in_plane_axes`.
            stop: second corner, one past the last voxel on both axes (half-open); swapped corners are sorted.

        Raises:
            PromptError: if the box is empty or lies outside the slice.
        """
        corners = zip((whole_number(a) for a in start), (whole_number(b) for b in stop), strict=True)
        by_axis = dict(zip(self.in_plane_axes, corners, strict=True))
        shape = dict(zip("kji", self._shape_kji, strict=True))
        for name, (a, b) in by_axis.items():
            low, high = min(a, b), max(a, b)
            if low == high:
                raise PromptError(f"The box is empty along {name} ({a}..{b}). A box is half-open: its end lies one voxel past the object.")
            if high <= 0 or low >= shape[name]:
                raise PromptError(f"The box lies outside the slice: {name} is {low}..{high}, the volume has {name} 0..{shape[name]}.")
        (r0, r1), (c0, c1) = (self._flip_range(*by_axis["kji"[self.array_axes[n]]], self.shape_src[n], self.flipped[n]) for n in (1, 2))
        return Box2D(r0, r1, c0, c1).clipped(self.frame_shape_rc)

    def box_to_indices(self, box: Box2D) -> tuple[tuple[int, int], tuple[int, int]]:
        """The inverse of `box_of`: (start, stop) corners in the order of `in_plane_axes`."""
        ranges = {
            "kji"[self.array_axes[1]]: self._flip_range(box.row_start, box.row_stop, self.shape_src[1], self.flipped[1]),
            "kji"[self.array_axes[2]]: self._flip_range(box.col_start, box.col_stop, self.shape_src[2], self.flipped[2]),
        }
        first, second = (ranges[name] for name in self.in_plane_axes)
        return (first[0], second[0]), (first[1], second[1])

    def point_of(self, point: Sequence[int]) -> tuple[int, int]:
        """Turn a voxel on a slice, in the order of `in_plane_axes`, into (row, column).

        Raises:
            PromptError: if it lies outside the slice.
        """
        by_axis = dict(zip(self.in_plane_axes, (whole_number(index) for index in point), strict=True))
        shape = dict(zip("kji", self._shape_kji, strict=True))
        for name, value in by_axis.items():
            if not 0 <= value < shape[name]:
                raise PromptError(f"The point lies outside the slice: {name} is {value}, the volume has {name} 0..{shape[name] - 1}.")
        row, col = (
            self.shape_src[n] - 1 - by_axis["kji"[self.array_axes[n]]] if self.flipped[n] else by_axis["kji"[self.array_axes[n]]]
            for n in (1, 2)
        )
        return row, col

    @property
    def _kept_axes(self) -> list[int]:
        return [axis for axis in range(3) if axis != self.array_axes[0]]

    @property
    def _shape_kji(self) -> tuple[int, ...]:
        return tuple(self.shape_src[self.array_axes.index(axis)] for axis in range(3))

    @staticmethod
    def _flip_range(start: int, stop: int, count: int, flip: bool) -> tuple[int, int]:
        low, high = sorted((int(start), int(stop)))
        return (count - high, count - low) if flip else (low, high)
