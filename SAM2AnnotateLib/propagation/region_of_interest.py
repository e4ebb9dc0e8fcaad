"""Which part of a slice the model sees. Imports geometry and numpy.

A crop is a `Box2D` of whole voxels, square in mm as nearly as whole voxels allow, so the model's picture has one scale along both axes.
Because it starts and ends on voxel edges, masks come back onto the volume's own voxels by SAM 2's own up-sampling, without a second grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..geometry import Box2D

# Side of the automatic crop in sides of the object's box: the object fills half the picture, as in the bundled model's training.
_AUTO_FACTOR = 2.0
# An automatic crop comes in sizes of 2^(n/4) mm and starts at multiples of an eighth of its side, so that boxes that differ by little (one
# that is being dragged, a second prompt) mostly get the same crop, and with it the same embeddings.
_SIZES_AN_OCTAVE = 4
_STARTS_A_SIDE = 8
# Whatever the margin, the object must not touch the crop's border, or every slice would ask for a larger crop.
_LEAST_FACTOR = 1.3
# A crop holds at least this many voxels a side: of a smaller one the model would see blur, not context.
_SMALLEST_SIDE_VOXELS = 16
# A mask reaches the border when it comes closer to it than this share of the crop's side.
_BORDER_SHARE = 0.03


@dataclass(frozen=True)
class RegionPolicy:
    """How the crop follows from the object.

    Args:
        kind: ``auto`` (about twice the longer side of the object's box), ``full`` (the whole slice, squashed to a square as stock SAM 2
            does), or ``margin`` (the longer side plus `margin_mm` on both ends).
        margin_mm: for ``margin``.
    """

    kind: str = "auto"
    margin_mm: float = 0.0

    @classmethod
    def parse(cls, text: str) -> RegionPolicy:
        """Read ``auto``, ``full`` or a margin in mm. Raises InputError."""
        name = str(text).strip().lower()
        if name in ("auto", "full"):
            return cls(name)
        try:
            margin = float(name.removesuffix("mm"))
        except ValueError:
            margin = math.nan
        if not 0 <= margin < 10_000:
            raise InputError(f"Unknown region of interest {text!r}: expected auto, full, or a margin in mm such as 20.")
        return cls("margin", margin)

    def __str__(self) -> str:
        return f"{self.margin_mm:g} mm" if self.kind == "margin" else self.kind

    def crop_around(
        self, box: Box2D, frame_shape_rc: tuple[int, int], spacing_rc_mm: tuple[float, float], at_least_mm: float = 0.0
    ) -> Box2D:
        """The crop for an object whose box is `box`.

        The crop is centered on the box, then moved so that as little as possible of it lies outside the slice. It is never larger than
        the slice's longer side, but always holds the whole box.

        Args:
            box: of the object on one slice.
            frame_shape_rc: rows and columns of the slice.
            spacing_rc_mm: spacing of rows and columns.
            at_least_mm: smallest side, for a crop that may grow but not shrink.
        """
        if self.kind == "full":
            return Box2D(0, frame_shape_rc[0], 0, frame_shape_rc[1])
        spacing, sides = np.array(spacing_rc_mm), np.array(box.shape_rc)
        longest_mm = float((sides * spacing).max())
        least_mm = max(at_least_mm, _SMALLEST_SIDE_VOXELS * float(spacing.max()))
        if self.kind == "margin":
            side_mm = max(longest_mm + 2 * self.margin_mm, _LEAST_FACTOR * longest_mm, least_mm)
        else:
            side_mm = _nearest_size_mm(_AUTO_FACTOR * longest_mm, least_mm)
        side_mm = max(min(side_mm, float((np.array(frame_shape_rc) * spacing).max())), longest_mm)
        counts = np.maximum(np.rint(side_mm / spacing).astype(int), sides).tolist()
        ranges = []
        for low, high, count, size in (
            (box.row_start, box.row_stop, counts[0], frame_shape_rc[0]),
            (box.col_start, box.col_stop, counts[1], frame_shape_rc[1]),
        ):
            start = (low + high - count) // 2
            if self.kind == "auto":
                unit = max(1, count // _STARTS_A_SIDE)
                start = unit * round(start / unit)
            start = min(max(start, 0), size - count) if count <= size else (size - count) // 2
            start = min(max(start, high - count), low)
            ranges.append((start, start + count))
        return Box2D(*ranges[0], *ranges[1])

    def crop_around_click(
        self, row: int, col: int, size_mm: float, frame_shape_rc: tuple[int, int], spacing_rc_mm: tuple[float, float]
    ) -> Box2D:
        """The crop for an object whose longer side is known and that was clicked on somewhere, at (row, col)."""
        rows, cols = (max(1, round(size_mm / mm)) for mm in spacing_rc_mm)
        box = Box2D(row - rows // 2, row - rows // 2 + rows, col - cols // 2, col - cols // 2 + cols)
        return self.crop_around(box.clipped(frame_shape_rc), frame_shape_rc, spacing_rc_mm, at_least_mm=size_mm)

    def side_for(self, size_mm: float, spacing_rc_mm: tuple[float, float]) -> float:
        """The side in mm of a crop for an object of this size: the scale that a model has learned it at. 0 for ``full``."""
        if self.kind == "full":
            return 0.0
        if self.kind == "margin":
            return size_mm + 2 * self.margin_mm
        return _nearest_size_mm(_AUTO_FACTOR * size_mm, _SMALLEST_SIDE_VOXELS * max(spacing_rc_mm))

    def whole_slice(self, frame_shape_rc: tuple[int, int], spacing_rc_mm: tuple[float, float]) -> Box2D:
        """The largest crop: all of the slice, and for all kinds but ``full`` square in mm."""
        return self.crop_around(Box2D(0, frame_shape_rc[0], 0, frame_shape_rc[1]), frame_shape_rc, spacing_rc_mm)

    def grown(self, crop: Box2D, box: Box2D, frame_shape_rc: tuple[int, int], spacing_rc_mm: tuple[float, float]) -> Box2D:
        """`crop` itself if the object's box keeps clear of its border, else a crop around the box that is no smaller.

        A border outside of the slice, or on its edge, does not count: there is nothing beyond it.

        Args:
            crop: what the model saw.
            box: of the object on one slice.
            frame_shape_rc: rows and columns of the slice.
            spacing_rc_mm: spacing of rows and columns.
        """
        if self.kind == "full":
            return crop
        rows, cols = frame_shape_rc
        near_rows, near_cols = (max(1, math.ceil(_BORDER_SHARE * side)) for side in crop.shape_rc)
        reaches = (
            (crop.row_start > 0 and box.row_start - crop.row_start < near_rows)
            or (crop.row_stop < rows and crop.row_stop - box.row_stop < near_rows)
            or (crop.col_start > 0 and box.col_start - crop.col_start < near_cols)
            or (crop.col_stop < cols and crop.col_stop - box.col_stop < near_cols)
        )
        if not reaches:
            return crop
        side_mm = max(count * mm for count, mm in zip(crop.shape_rc, spacing_rc_mm, strict=True))
        return self.crop_around(box, frame_shape_rc, spacing_rc_mm, at_least_mm=side_mm)


def _nearest_size_mm(side_mm: float, least_mm: float) -> float:
    """The size of an automatic crop nearest to `side_mm`, not below `least_mm`."""
    step = round(_SIZES_AN_OCTAVE * math.log2(side_mm))
    least = math.ceil(_SIZES_AN_OCTAVE * math.log2(least_mm) - 1e-6)
    return 2.0 ** (max(step, least) / _SIZES_AN_OCTAVE)


def cut(frame: np.ndarray, crop: Box2D) -> np.ndarray:
    """The crop of a (rows, cols) frame; what lies outside the slice is 0."""
    inside = crop.clipped(frame.shape)
    if inside == crop:
        return frame[crop.slices_rc]
    picture = np.zeros(crop.shape_rc, dtype=frame.dtype)
    picture[inside.shifted(-crop.row_start, -crop.col_start).slices_rc] = frame[inside.slices_rc]
    return picture


def paste(picture: np.ndarray, crop: Box2D, frame_shape_rc: tuple[int, int]) -> np.ndarray:
    """The inverse of `cut` for a bool mask: (rows, cols) of the whole slice, False outside the crop."""
    frame = np.zeros(frame_shape_rc, dtype=bool)
    inside = crop.clipped(frame_shape_rc)
    frame[inside.slices_rc] = picture[inside.shifted(-crop.row_start, -crop.col_start).slices_rc]
    return frame
