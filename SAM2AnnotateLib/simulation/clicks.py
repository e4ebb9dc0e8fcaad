"""Corrective clicks, one a round, each in the largest error: study D's rule. Imports simulation.objects, metrics, prompts, geometry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..geometry import Box2D
from ..metrics.overlap import require_masks
from ..optional_imports import import_for
from ..prompts import Point, SlicePrompt
from .objects import connected_parts

# Distances that are equal on paper may differ by rounding, and then not the first of equals would be taken.
_ROUNDING_MM = 1e-6


@dataclass(frozen=True, eq=False)
class ClickRound:
    """One round: what was prompted, and what came.

    Args:
        prompt: everything said so far.
        mask: (rows, cols) bool, the prediction for it.
    """

    prompt: SlicePrompt
    mask: np.ndarray


def next_click(mask: np.ndarray, truth_frame: np.ndarray, spacing_rc_mm: tuple[float, float]) -> Point | None:
    """The click that a person would make next: well inside the largest error.

    Errors are the connected parts (corners connect) of what is missing and of what is too much, each for itself. The largest is clicked,
    a missing one before one that is too much, then the first in row-major order of equals; at the pixel farthest in mm from its border,
    where beyond the slice is outside, again the first of equals.

    Args:
        mask: (rows, cols) bool prediction.
        truth_frame: (rows, cols) bool truth.
        spacing_rc_mm: (row, column) spacing.

    Returns:
        A positive point where something is missing, a negative one where something is too much; None if there is no error.

    Raises:
        InputError: if the masks are not bool or of different shapes.
        MissingPackageError: if scipy is not installed.
    """
    require_masks(mask, truth_frame)
    missing, surplus = connected_parts(truth_frame & ~mask)[:1], connected_parts(mask & ~truth_frame)[:1]
    if not missing and not surplus:
        return None
    box, region = max([*missing, *surplus], key=lambda part: int(np.count_nonzero(part[1])))
    row, col = _innermost(region, spacing_rc_mm)
    row, col = box[0].start + row, box[1].start + col
    return Point(row, col, positive=bool(truth_frame[row, col]))


def click_rounds(
    predict: Callable[[SlicePrompt], np.ndarray],
    truth_frame: np.ndarray,
    spacing_rc_mm: tuple[float, float],
    most: int,
    box: Box2D | None = None,
) -> list[ClickRound]:
    """Click, look, click again: each prompt holds all clicks so far.

    Without a box the last mask goes along as a sketch, as stock SAM 2 feeds its last logits back with a further click. With a box it does
    not: the box says as much, and the bundled model's masks are worse with both.

    Args:
        predict: gives the (rows, cols) bool mask for a prompt.
        truth_frame: (rows, cols) bool truth.
        spacing_rc_mm: (row, column) spacing.
        most: clicks at most.
        box: prompted first, without a click, and kept in every later prompt; None begins with a click on nothing predicted.

    Returns:
        One round a click, before them one for the box; fewer once there is no error left, and none for an empty truth without a box.
    """
    rounds = [] if box is None else [_asked(predict, SlicePrompt(box=box))]
    mask = rounds[0].mask if rounds else np.zeros_like(truth_frame)
    points: tuple[Point, ...] = ()
    for _ in range(most):
        point = next_click(mask, truth_frame, spacing_rc_mm)
        if point is None:
            break
        points = (*points, point)
        sketch = mask if box is None and mask.any() else None
        rounds.append(_asked(predict, SlicePrompt(box=box, points=points, mask=sketch)))
        mask = rounds[-1].mask
    return rounds


def _asked(predict: Callable[[SlicePrompt], np.ndarray], prompt: SlicePrompt) -> ClickRound:
    return ClickRound(prompt, predict(prompt))


def _innermost(region: np.ndarray, spacing_rc_mm: tuple[float, float]) -> tuple[int, int]:
    ndimage = import_for("Placing clicks", "scipy.ndimage", "pip install scipy")
    inward_mm = ndimage.distance_transform_edt(np.pad(region, 1), sampling=spacing_rc_mm)[1:-1, 1:-1]
    row, col = np.argwhere(inward_mm >= inward_mm.max() - _ROUNDING_MM)[0]
    return int(row), int(col)
