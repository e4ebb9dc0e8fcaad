"""SlicePrompt: box, points and mask on one slice, in any combination. Imports geometry and errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import PromptError
from ..geometry import Box2D
from .mask_runs import mask_from_runs, mask_to_runs

# A box may reach beyond the slice, but not so far that the picture around it takes all memory: so many longer sides of it, or voxels.
_LARGEST_BOX_SLICES, _LARGEST_BOX_VOXELS = 2, 4096


@dataclass(frozen=True)
class Point:
    """A click on the voxel at (row, col) of the slice: on the object if `positive`, else beside it."""

    row: int
    col: int
    positive: bool = True


@dataclass(frozen=True, eq=False)
class SlicePrompt:
    """What a person says about one slice.

    Args:
        box: around the object, half-open, rows and columns of the upright slice (see `SliceStack`).
        points: clicks.
        mask: (rows, cols) bool, the object's outline on this slice; copied, kept read-only. Alone it is final: the model takes it as
            it is. With points or a box it is a sketch that the model refines. An empty mask says that the object is not on the slice.

    Raises:
        PromptError: if nothing is given, or only negative points.
    """

    box: Box2D | None = None
    points: tuple[Point, ...] = ()
    mask: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", tuple(self.points))
        if self.box is None and self.mask is None and not any(point.positive for point in self.points):
            raise PromptError("A prompt needs a box, a mask or at least one positive point.")
        if self.mask is not None:
            mask = np.array(self.mask, dtype=bool)
            if mask.ndim != 2:
                raise PromptError(f"A mask prompt has two dimensions (row, column), got shape {mask.shape}.")
            mask.setflags(write=False)
            object.__setattr__(self, "mask", mask)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SlicePrompt):
            return NotImplemented
        if (self.box, self.points) != (other.box, other.points) or (self.mask is None) != (other.mask is None):
            return False
        return self.mask is None or other.mask is None or np.array_equal(self.mask, other.mask)

    __hash__ = None  # type: ignore[assignment]  # a mask is too large a key

    @property
    def final_mask(self) -> np.ndarray | None:
        """The mask, if it stands alone, as on a corrected or accepted slice; else None."""
        return self.mask if self.box is None and not self.points else None

    def require_inside(self, frame_shape_rc: tuple[int, int]) -> None:
        """Raise PromptError unless everything lies on a slice of this many (rows, columns)."""
        rows, cols = frame_shape_rc
        if self.box is not None:
            self.box.clipped(frame_shape_rc)
            if max(self.box.shape_rc) > max(_LARGEST_BOX_SLICES * max(rows, cols), _LARGEST_BOX_VOXELS):
                raise PromptError(f"The box {self.box.short} is much larger than the slice, which has {rows} rows and {cols} columns.")
        for point in self.points:
            if not (0 <= point.row < rows and 0 <= point.col < cols):
                raise PromptError(f"The point at row {point.row}, column {point.col} lies outside the slice of {rows} x {cols}.")
        if self.mask is not None and self.mask.shape != tuple(frame_shape_rc):
            raise PromptError(f"The mask has {self.mask.shape} rows and columns, the slice {tuple(frame_shape_rc)}.")

    def bounding_box(self) -> Box2D | None:
        """The box around everything that is on the object; None for an empty mask."""
        boxes = [self.box] if self.box is not None else []
        boxes += [Box2D(p.row, p.row + 1, p.col, p.col + 1) for p in self.points if p.positive]
        if self.mask is not None and self.mask.any():
            boxes.append(Box2D.around(self.mask))
        if not boxes:
            return None
        whole = boxes[0]
        for box in boxes[1:]:
            whole = whole.union(box)
        return whole

    def to_json(self) -> dict:
        """A plain dict that `from_json` reads back."""
        stored: dict = {}
        if self.box is not None:
            stored["box"] = [self.box.row_start, self.box.row_stop, self.box.col_start, self.box.col_stop]
        if self.points:
            stored["points"] = [[p.row, p.col, p.positive] for p in self.points]
        if self.mask is not None:
            stored["mask"] = mask_to_runs(self.mask)
        return stored

    @classmethod
    def from_json(cls, stored: dict) -> SlicePrompt:
        """Read back what `to_json` wrote. Raises PromptError if it is damaged."""
        try:
            return cls(
                box=Box2D(*stored["box"]) if "box" in stored else None,
                points=tuple(Point(int(row), int(col), bool(positive)) for row, col, positive in stored.get("points", ())),
                mask=mask_from_runs(stored["mask"]) if "mask" in stored else None,
            )
        except (AttributeError, KeyError, OverflowError, PromptError, TypeError, ValueError) as exc:
            raise PromptError(f"The stored prompt is damaged: {exc!r}.") from exc
