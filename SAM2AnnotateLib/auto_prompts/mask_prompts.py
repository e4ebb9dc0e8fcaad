"""From a coarse mask to what a person would have given: a box, clicks on the object and beside it. Imports propagation, prompts, numpy."""

from __future__ import annotations

import numpy as np

from ..geometry import Box2D
from ..prompts import Point, SlicePrompt
from ..propagation.signed_distance import depth_mm
from .looks import connected_pieces

# Clicks beside the object keep this far from the coarse outline, in shares of the box's longer side.
_BESIDE = 0.15


def best_parts(mask: np.ndarray, count: int | None) -> np.ndarray:
    """The `count` largest pieces of a (rows, cols) bool mask; all of it for None."""
    if count is None or not mask.any():
        return mask.copy()
    return np.logical_or.reduce(connected_pieces(mask)[:count])


def prompt_from_mask(
    mask: np.ndarray,
    spacing_rc_mm: tuple[float, float],
    *,
    box: bool = True,
    positive: int = 1,
    negative: int = 1,
    rejected: np.ndarray | None = None,
) -> SlicePrompt:
    """Box and clicks for a coarse mask.

    Args:
        mask: (rows, cols) bool with a pixel inside.
        spacing_rc_mm: spacing of rows and columns.
        box: whether the box around it is given.
        positive: clicks inside, each as deep as possible, one a piece, the largest piece first.
        negative: clicks outside: first in the middle of what was rejected, then where the box's corner is farthest from the object.
        rejected: (rows, cols) bool of pieces that looked alike and were left out.
    """
    around = Box2D.around(mask)
    points = [Point(*deepest(piece, spacing_rc_mm)) for piece in connected_pieces(mask)[:positive]]
    beside: list[Point] = []
    if negative and rejected is not None and rejected.any():
        beside += [Point(*deepest(piece, spacing_rc_mm), positive=False) for piece in connected_pieces(rejected)[:negative]]
    if len(beside) < negative:
        inside = np.zeros_like(mask)
        inside[around.slices_rc] = True
        depth = depth_mm(mask, spacing_rc_mm)
        clear_mm = _BESIDE * max(count * mm for count, mm in zip(around.shape_rc, spacing_rc_mm, strict=True))
        free = inside & (depth < -clear_mm)
        for _ in range(negative - len(beside)):
            if not free.any():
                break
            row, col = np.unravel_index(int(np.argmin(np.where(free, depth, np.inf))), mask.shape)
            beside.append(Point(int(row), int(col), positive=False))
            rows, cols = np.ogrid[: mask.shape[0], : mask.shape[1]]
            free &= np.hypot((rows - row) * spacing_rc_mm[0], (cols - col) * spacing_rc_mm[1]) > 2 * clear_mm
    return SlicePrompt(box=around if box else None, points=(*points, *beside))


def deepest(mask: np.ndarray, spacing_rc_mm: tuple[float, float]) -> tuple[int, int]:
    """(row, col) of the pixel farthest from the outline of a mask that has one."""
    row, col = np.unravel_index(int(np.argmax(np.where(mask, depth_mm(mask, spacing_rc_mm), -np.inf))), mask.shape)
    return int(row), int(col)
