"""Volume: a grid and its read-only voxels. Imports numpy and errors only."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import VolumeError
from .volume_grid import VolumeGrid


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3-D scalar image or labelmap.

    Args:
        grid: where the voxels are.
        array_kji: (k, j, i) voxels of the grid's shape, any real dtype. Kept as a read-only view: the caller's voxels are neither
            copied nor changed.
        modality: DICOM modality ("CT", "MR") where the file says so, else None.
        notes: what reading had to settle or assume, a sentence each, for the user to know.

    Raises:
        VolumeError: if the array is not 3-D, not real, not of the grid's shape, or holds NaN or infinite values.
    """

    grid: VolumeGrid
    array_kji: np.ndarray
    modality: str | None = None
    notes: tuple[str, ...] = ()
    # Tells this volume from every other in caches; unlike `id`, it is never given to another volume as long as a cache holds it.
    token: object = field(init=False, repr=False)

    def __post_init__(self) -> None:
        array = np.asarray(self.array_kji)
        if array.ndim != 3:
            raise VolumeError(f"Expected a 3-D volume, got an array of {array.ndim} dimensions and shape {array.shape}.")
        if array.shape != self.grid.shape_kji:
            raise VolumeError(f"The array's shape {array.shape} (k, j, i) differs from the grid's {self.grid.shape_kji}.")
        if array.dtype.kind not in "buif":
            raise VolumeError(f"Expected real numbers as voxels, got dtype {array.dtype}.")
        if array.dtype.kind == "f":
            # Slice by slice, so that a large volume does not need a second one beside it.
            bad = sum(int(plane.size - np.isfinite(plane).sum()) for plane in array)
            if bad:
                raise VolumeError(f"The volume holds {bad} NaN or infinite voxels. Replace them (e.g. by air, -1024 HU) first.")
        view = array.view()
        view.setflags(write=False)
        object.__setattr__(self, "array_kji", view)
        object.__setattr__(self, "token", object())

    def __repr__(self) -> str:
        return f"Volume({self.grid!r}, {self.array_kji.dtype}, modality={self.modality})"
