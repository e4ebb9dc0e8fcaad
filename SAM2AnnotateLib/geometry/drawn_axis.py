"""Along which axis a person drew, told from the labels alone. Imports numpy and the rest of this room."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from .slicing import SliceStack

# So many single slices, each with empty ones on both sides, are no chance.
_FEWEST_SINGLE_SLICES = 3
_INDEX_AXES_KJI = "kji"


def require_drawn_along(held_kji: np.ndarray, stack: SliceStack, path: object) -> None:
    """Raise InputError if an object was drawn on single slices of another axis than the stack's.

    Cut across, such labels are thin lines: an object that nobody drew. An object that is drawn densely, or whose parts leave gaps of their
    own, is no such case.

    Args:
        held_kji: (k, j, i) bool, where the object is drawn.
        stack: how the volume is to be sliced.
        path: of the labels, for the message.
    """
    single = [axis for axis in range(3) if _on_single_slices(held_kji, axis)]
    if len(single) != 1 or _INDEX_AXES_KJI[single[0]] == stack.index_axis:
        return
    axis = _INDEX_AXES_KJI[single[0]]
    slices = np.flatnonzero(_occupied(held_kji, single[0])).tolist()
    shown = ", ".join(map(str, slices[:6])) + (", ..." if len(slices) > 6 else "")
    raise InputError(
        f"The object in '{path}' is drawn on single slices along axis {axis} ({shown}), not along {stack.index_axis}: cut the other way "
        f"it is thin lines. Add --axis {axis}."
    )


def _occupied(held_kji: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(held_kji.any(axis=tuple(other for other in range(3) if other != axis)))


def _on_single_slices(held_kji: np.ndarray, axis: int) -> bool:
    """Whether every slice that holds the object has empty ones beside it."""
    occupied = _occupied(held_kji, axis)
    return int(occupied.sum()) >= _FEWEST_SINGLE_SLICES and not bool((occupied[1:] & occupied[:-1]).any())
