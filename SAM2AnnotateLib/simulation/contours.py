"""One prompt for all contours of a slice: study E's rule. Imports simulation.objects, prompts, geometry, numpy and (inside) scipy."""

from __future__ import annotations

import numpy as np

from ..geometry import Box2D
from ..optional_imports import import_for
from ..prompts import Point, SlicePrompt
from .objects import connected_parts

# Distances that are equal on paper may differ by rounding, and then not the first of equals would be taken.
_ROUNDING_MM = 1e-6


def contours_prompt(truth_frame: np.ndarray, spacing_rc_mm: tuple[float, float]) -> SlicePrompt:
    """A box around all contours, a positive point well inside each, and a negative one beside them.

    - A contour is a connected part (corners connect); the largest comes first.
    - Its positive point starts at the centroid, rounded to a pixel. On that row it moves to the middle of the longest run of the
      contour's pixels, then, on the column reached, to the middle of the longest run there; the first of equal runs, the lower of two
      middles. A row through the centroid always meets its contour, so the point is inside it.
    - The negative point is the pixel of the box that is farthest in mm from all contours. If they fill the box, it is the pixel beside
      the middle of a side of the box, the nearest in mm that the slice has. There is none if the box fills the slice. Of equals the
      first in row-major order counts.

    Args:
        truth_frame: (rows, cols) bool mask of the object on the slice.
        spacing_rc_mm: (row, column) spacing.

    Raises:
        PromptError: if the mask is empty.
        MissingPackageError: if scipy is not installed.
    """
    box = Box2D.around(truth_frame)
    points = [_well_inside(part_box, part) for part_box, part in connected_parts(truth_frame)]
    negative = _beside(truth_frame, box, spacing_rc_mm)
    return SlicePrompt(box=box, points=(*points, negative) if negative else tuple(points))


def _well_inside(box: tuple[slice, ...], contour: np.ndarray) -> Point:
    row = int(np.rint(np.argwhere(contour)[:, 0].mean()))
    col = _middle_of_longest_run(contour[row])
    row = _middle_of_longest_run(contour[:, col])
    return Point(box[0].start + row, box[1].start + col)


def _middle_of_longest_run(line: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(np.int8), [0]])))
    starts, stops = edges[::2], edges[1::2]
    longest = int(np.argmax(stops - starts))
    return int(starts[longest] + stops[longest] - 1) // 2


def _beside(truth_frame: np.ndarray, box: Box2D, spacing_rc_mm: tuple[float, float]) -> Point | None:
    crop = truth_frame[box.slices_rc]
    if not crop.all():
        ndimage = import_for("Placing points", "scipy.ndimage", "pip install scipy")
        away_mm = ndimage.distance_transform_edt(~crop, sampling=spacing_rc_mm)
        row, col = np.argwhere(away_mm >= away_mm.max() - _ROUNDING_MM)[0]
        return Point(box.row_start + int(row), box.col_start + int(col), positive=False)
    row_mm, col_mm = spacing_rc_mm
    row, col = (box.row_start + box.row_stop - 1) // 2, (box.col_start + box.col_stop - 1) // 2
    candidates = [
        (row_mm, box.row_start - 1, col),
        (col_mm, row, box.col_start - 1),
        (col_mm, row, box.col_stop),
        (row_mm, box.row_stop, col),
    ]
    rows, cols = truth_frame.shape
    inside = [(mm, r, c) for mm, r, c in candidates if 0 <= r < rows and 0 <= c < cols]
    return Point(*min(inside)[1:], positive=False) if inside else None
