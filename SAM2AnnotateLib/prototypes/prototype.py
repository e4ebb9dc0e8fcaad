"""A prototype: windowed pictures of slices of one annotated object, and its outline on them. Imports engine, intensity, geometry, numpy.

Pixels, not memory tensors: it outlives a change of model, and a person can look at it. It holds no path, no name of a patient, no header;
the pictures themselves are a patient's all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..engine import Adapter
from ..errors import InputError
from ..file_names import require_plain_name
from ..geometry import Extent, SliceStack, Volume, VolumeGrid
from ..geometry.slicing import PLANES
from ..intensity import IntensityMapping

MODALITIES = ("CT", "MR")
_LARGEST_SIDE, _MOST_SLICES, _MOST_VOXELS = 1 << 14, 1 << 16, 1 << 31


@dataclass(frozen=True, eq=False)
class PrototypeSlice:
    """One annotated slice.

    Args:
        position: of the slice in the stack that it was taken from.
        picture: (rows, cols) uint8 of the whole upright slice, as the model is shown it; read-only.
        mask: (rows, cols) bool, the object on it; all False says that the object is not there; read-only.
    """

    position: int
    picture: np.ndarray
    mask: np.ndarray

    def __post_init__(self) -> None:
        if self.picture.dtype != np.uint8 or self.picture.ndim != 2 or not self.picture.size:
            raise InputError(f"A prototype's picture is uint8 (row, column), got {self.picture.dtype} of shape {self.picture.shape}.")
        if self.mask.dtype != bool or self.mask.shape != self.picture.shape:
            raise InputError(
                f"A prototype's mask is bool of its picture's shape {self.picture.shape}, got {self.mask.dtype}, {self.mask.shape}."
            )
        self.picture.setflags(write=False)
        self.mask.setflags(write=False)


@dataclass(frozen=True, eq=False)
class Prototype:
    """One object of one volume.

    Args:
        name: of the object; a plain name, as it names a folder.
        slices: by rising position; at least one shows the object.
        extent: positions of the object's first and last slice, where they are known or lie at the end of the volume.
        slice_count: of the stack that the slices were taken from.
        spacing_src_mm: (3,) spacing in mm of slices, rows and columns.
        plane: ``axial``, ``coronal`` or ``sagittal``.
        mapping: how voxel values became the pictures' gray.
        modality: ``CT`` or ``MR``, as the volume was taken for.
        terminology: code of what the object is, as the panel has it; or empty.

    Raises:
        InputError: if any of it contradicts the rest.
    """

    name: str
    slices: tuple[PrototypeSlice, ...]
    extent: Extent
    slice_count: int
    spacing_src_mm: tuple[float, float, float]
    plane: str
    mapping: IntensityMapping
    modality: str
    terminology: str = ""
    # The adapter that was learned on all prototypes of this name, see `engine.adapter`; kept once for all of them by the library.
    adapter: Adapter | None = field(default=None)

    def __post_init__(self) -> None:
        require_plain_name(self.name, "the prototype")
        object.__setattr__(self, "slices", tuple(self.slices))
        positions = [one.position for one in self.slices]
        if not positions or positions != sorted(set(positions)):
            raise InputError("A prototype's slices come by rising position, at least one of them.")
        if not any(one.mask.any() for one in self.slices):
            raise InputError(f"The prototype '{self.name}' shows its object on none of its slices: there is nothing to find again.")
        if len({one.picture.shape for one in self.slices}) != 1 or max(self.frame_shape_rc) > _LARGEST_SIDE:
            raise InputError("A prototype's slices are pictures of one shape.")
        if not 0 <= positions[0] <= positions[-1] < self.slice_count <= _MOST_SLICES or self.extent.last >= self.slice_count:
            raise InputError(f"A prototype's slices and extent lie in its stack of {self.slice_count} slices.")
        if any(one.mask.any() and one.position not in self.extent for one in self.slices):
            raise InputError("A prototype's object lies outside of its extent.")
        if self.slice_count * self.frame_shape_rc[0] * self.frame_shape_rc[1] > _MOST_VOXELS:
            raise InputError(f"A prototype's stack of {self.slice_count} slices of {self.frame_shape_rc} pixels is larger than any volume.")
        if self.plane not in PLANES or self.modality not in MODALITIES:
            said = f"{self.plane!r}, {self.modality!r}"
            raise InputError(f"A prototype has a plane ({', '.join(PLANES)}) and a modality (CT, MR); got {said}.")
        if not all(1e-3 <= mm <= 1e3 for mm in self.spacing_src_mm):
            raise InputError(f"A prototype's spacing lies between 0.001 and 1000 mm, got {self.spacing_src_mm}.")

    @property
    def frame_shape_rc(self) -> tuple[int, int]:
        """(rows, columns) of every slice."""
        rows, cols = self.slices[0].picture.shape
        return rows, cols

    @property
    def frame_spacing_rc_mm(self) -> tuple[float, float]:
        """Spacing in mm of rows and columns."""
        return self.spacing_src_mm[1:]

    @property
    def with_object(self) -> tuple[PrototypeSlice, ...]:
        """The slices that show the object."""
        return tuple(one for one in self.slices if one.mask.any())

    @property
    def object_size_mm(self) -> float:
        """The longer side of the object's box over all slices, in mm."""
        anywhere = np.logical_or.reduce([one.mask for one in self.slices])
        rows, cols = np.flatnonzero(anywhere.any(axis=1)), np.flatnonzero(anywhere.any(axis=0))
        sides = (rows[-1] - rows[0] + 1) * self.spacing_src_mm[1], (cols[-1] - cols[0] + 1) * self.spacing_src_mm[2]
        return float(max(sides))

    @property
    def extent_mm(self) -> float:
        """Thickness of the object across the slices, in mm."""
        return len(self.extent) * self.spacing_src_mm[0]

    @property
    def largest_area_mm2(self) -> float:
        """The object's area on the slice where it is largest."""
        return max(int(one.mask.sum()) for one in self.slices) * self.spacing_src_mm[1] * self.spacing_src_mm[2]

    @property
    def volume_mm3(self) -> float:
        """The object's volume: its mean area on the slices that were kept, times its thickness."""
        areas = [int(one.mask.sum()) for one in self.with_object]
        return sum(areas) / len(areas) * self.spacing_src_mm[1] * self.spacing_src_mm[2] * self.extent_mm

    def place(self, position: int) -> float | None:
        """Where in the extent a slice lies, 0 on the first slice, 1 on the last; None beyond it."""
        if position not in self.extent:
            return None
        return (position - self.extent.first) / max(1, len(self.extent) - 1)

    def volume(self) -> Volume:
        """The pictures as a volume with axes to right, anterior and superior, slices where they were; those that were not kept are black.

        Its voxels are gray already: `IntensityMapping(0, 255)` leaves them as they are. Memory of black slices is not touched.
        """
        stack_array = np.zeros((self.slice_count, *self.frame_shape_rc), dtype=np.uint8)
        for one in self.slices:
            stack_array[one.position] = one.picture
        return _upright_volume(stack_array, self.spacing_src_mm, self.plane, self.modality)


def _upright_volume(array_src: np.ndarray, spacing_src_mm: tuple[float, float, float], plane: str, modality: str) -> Volume:
    """A volume whose `SliceStack` along `plane` is `array_src`, without copying it."""
    probe = SliceStack.along(VolumeGrid((2, 2, 2), np.eye(4)), plane)
    array_kji = np.transpose(array_src, np.argsort(probe.array_axes))  # axis of (slice, row, col) that each of (k, j, i) is
    flips = dict(zip(probe.array_axes, probe.flipped, strict=True))
    array_kji = array_kji[tuple(slice(None, None, -1) if flips[axis] else slice(None) for axis in range(3))]
    spacing = dict(zip(probe.array_axes, spacing_src_mm, strict=True))
    matrix = np.diag([spacing[2], spacing[1], spacing[0], 1.0])
    return Volume(VolumeGrid(array_kji.shape, matrix), array_kji, modality=modality)
