"""A dot in an object as a person would click it: study A's rule. Imports prompts, geometry, errors and numpy."""

from __future__ import annotations

import numpy as np

from ..errors import PromptError
from ..geometry import Box2D
from ..prompts import Point

_SHIFT_MM, _SHARE = 2.0, 0.10


def jittered_dot(truth_frame: np.ndarray, spacing_rc_mm: tuple[float, float], rng: np.random.Generator) -> Point:
    """The object's centroid on a slice, missed by a little, and always on the object.

    Row and column are shifted independently by up to 2 mm, but at most 10 % of the object's largest width or height. The study does not
    say what that is where both differ: here it is the longer side, in mm, of the tight box on this slice. The dot is the object's pixel
    whose center is nearest in mm to the shifted centroid (the first in row-major order of equals): the pixel that it lies in, if that is
    the object's; else, as in a ring, the nearest that is.

    Args:
        truth_frame: (rows, cols) bool mask of the object on the slice.
        spacing_rc_mm: (row, column) spacing.
        rng: draws the shift of the row, then that of the column.

    Raises:
        PromptError: if the object is not on the slice.
    """
    pixels_rc = np.argwhere(truth_frame)
    if len(pixels_rc) == 0:
        raise PromptError("No dot can be placed in an empty mask. Choose a slice that the object is on.")
    spacing = np.asarray(spacing_rc_mm, dtype=np.float64)
    reach_mm = min(_SHIFT_MM, _SHARE * float(np.multiply(Box2D.around(truth_frame).shape_rc, spacing).max()))
    shifted_mm = pixels_rc.mean(axis=0) * spacing + reach_mm * np.array([rng.uniform(-1, 1), rng.uniform(-1, 1)])
    row, col = pixels_rc[np.argmin(((pixels_rc * spacing - shifted_mm) ** 2).sum(axis=1))]
    return Point(int(row), int(col))
