"""Boxes and extents. Imports numpy and errors only.

A box is half-open, ``[start, stop)``, in voxel indices: it covers the voxels ``start .. stop - 1`` whole. An `Extent` is the pair of
slices that a person marks, first and last, **both included**.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np

from ..errors import PromptError
from .volume_grid import VolumeGrid


def whole_number(index: object) -> int:
    """`index` as an int. Raises PromptError if it is none: cutting off a fraction would move a box by a voxel, or not, by orientation."""
    try:
        return operator.index(index)  # type: ignore[arg-type]
    except TypeError:
        raise PromptError(f"Voxel indices are whole numbers, got {index!r}. Round it first.") from None


@dataclass(frozen=True)
class Box2D:
    """A box on one slice: rows ``[row_start, row_stop)``, columns ``[col_start, col_stop)``.

    Swapped corners are sorted. A box may reach beyond the slice (a region of interest does); `clipped` cuts it.

    Raises:
        PromptError: if a side is empty.
    """

    row_start: int
    row_stop: int
    col_start: int
    col_stop: int

    def __post_init__(self) -> None:
        for low, high in (("row_start", "row_stop"), ("col_start", "col_stop")):
            a, b = sorted((whole_number(getattr(self, low)), whole_number(getattr(self, high))))
            if a == b:
                raise PromptError(
                    f"The box is empty: {low} equals {high} ({a}). A box is half-open, so its second corner lies one voxel past the object."
                )
            object.__setattr__(self, low, a)
            object.__setattr__(self, high, b)

    @classmethod
    def around(cls, mask_rc: np.ndarray) -> Box2D:
        """The tight box of a 2-D mask (row, column). Raises PromptError if the mask is empty."""
        rows = np.flatnonzero(mask_rc.any(axis=1))
        if rows.size == 0:
            raise PromptError("An empty mask has no bounding box.")
        cols = np.flatnonzero(mask_rc.any(axis=0))
        return cls(int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1)

    @property
    def shape_rc(self) -> tuple[int, int]:
        """Number of (rows, columns)."""
        return self.row_stop - self.row_start, self.col_stop - self.col_start

    @property
    def slices_rc(self) -> tuple[slice, slice]:
        """The box as a numpy index (row slice, column slice). Only for boxes inside the slice."""
        return slice(self.row_start, self.row_stop), slice(self.col_start, self.col_stop)

    def shifted(self, rows: int, cols: int) -> Box2D:
        """The box moved by whole voxels."""
        return Box2D(self.row_start + rows, self.row_stop + rows, self.col_start + cols, self.col_stop + cols)

    def clipped(self, shape_rc: tuple[int, int]) -> Box2D:
        """The part inside a slice of `shape_rc` (rows, columns). Raises PromptError if none is."""
        rows, cols = shape_rc
        if self.row_start >= rows or self.col_start >= cols or self.row_stop <= 0 or self.col_stop <= 0:
            raise PromptError(f"The box {self.short} lies outside the slice, which has {rows} rows and {cols} columns.")
        return Box2D(max(self.row_start, 0), min(self.row_stop, rows), max(self.col_start, 0), min(self.col_stop, cols))

    def contains(self, other: Box2D) -> bool:
        """Whether `other` lies in this box."""
        return (
            self.row_start <= other.row_start and other.row_stop <= self.row_stop
            and self.col_start <= other.col_start and other.col_stop <= self.col_stop
        )  # fmt: skip

    def union(self, other: Box2D) -> Box2D:
        """The smallest box that holds both."""
        return Box2D(
            min(self.row_start, other.row_start), max(self.row_stop, other.row_stop),
            min(self.col_start, other.col_start), max(self.col_stop, other.col_stop),
        )  # fmt: skip

    @property
    def short(self) -> str:
        """For messages: ``rows 10..20, columns 5..9`` (half-open)."""
        return f"rows {self.row_start}..{self.row_stop}, columns {self.col_start}..{self.col_stop}"


@dataclass(frozen=True)
class Box3D:
    """A half-open box of voxels, ``start_kji <= index < stop_kji``. Swapped corners are sorted.

    Raises:
        PromptError: if a side is empty.
    """

    start_kji: tuple[int, int, int]
    stop_kji: tuple[int, int, int]

    def __post_init__(self) -> None:
        pairs = [sorted((whole_number(a), whole_number(b))) for a, b in zip(self.start_kji, self.stop_kji, strict=True)]
        if len(pairs) != 3 or any(a == b for a, b in pairs):
            raise PromptError(f"The box from {tuple(self.start_kji)} to {tuple(self.stop_kji)} (k, j, i) is empty; a box is half-open.")
        object.__setattr__(self, "start_kji", tuple(a for a, _ in pairs))
        object.__setattr__(self, "stop_kji", tuple(b for _, b in pairs))

    def corners_ras(self, grid: VolumeGrid) -> np.ndarray:
        """(8, 3) RAS coordinates in mm of the outer corners (voxel edges, half a voxel beyond the centers)."""
        edges_kji = [(a - 0.5, b - 0.5) for a, b in zip(self.start_kji, self.stop_kji, strict=True)]
        return grid.ras_from_ijk(np.array([[i, j, k] for i in edges_kji[2] for j in edges_kji[1] for k in edges_kji[0]]))

    @classmethod
    def from_ras(cls, corners_ras: np.ndarray, grid: VolumeGrid) -> Box3D:
        """The smallest box of voxels on `grid` that covers all (n, 3) RAS points; give all eight corners of a turned box."""
        ijk = grid.ijk_from_ras(np.asarray(corners_ras, dtype=np.float64).reshape(-1, 3))
        # 1e-6 voxel: the rounding of a matrix inversion must not add a voxel to a box that ends on a voxel's edge.
        low = np.floor(ijk.min(axis=0) + 0.5 + 1e-6).astype(int)
        high = np.maximum(np.ceil(ijk.max(axis=0) + 0.5 - 1e-6).astype(int), low + 1)
        return cls(tuple(low[::-1]), tuple(high[::-1]))


@dataclass(frozen=True)
class Extent:
    """First and last slice of an object, both included; swapped ends are sorted."""

    first: int
    last: int

    def __post_init__(self) -> None:
        first, last = sorted((whole_number(self.first), whole_number(self.last)))
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "last", last)

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __contains__(self, index: object) -> bool:
        return isinstance(index, (int, np.integer)) and bool(self.first <= index <= self.last)

    @property
    def indices(self) -> range:
        """The slice indices in rising order."""
        return range(self.first, self.last + 1)
