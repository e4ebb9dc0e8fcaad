"""The outline of a mask as polygons along pixel edges. Imports numpy."""

from __future__ import annotations

import numpy as np

Polygon = tuple[tuple[float, float], ...]


def outline_of(mask: np.ndarray) -> tuple[Polygon, ...]:
    """Closed polygons around a mask's parts and its holes, corners alone, from the first pixel on.

    Args:
        mask: (rows, columns) bool.

    Returns:
        Corners (row, column) in pixels of the slice, where pixel (0, 0) covers 0..1; the last corner is joined to the first.
    """
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return ()
    top, left = int(rows[0]), int(cols[0])
    crop = np.pad(mask[top : rows[-1] + 1, left : cols[-1] + 1], 1)
    steps = _directed_edges(crop)
    polygons = []
    while steps:
        start = min(steps)
        at, polygon = start, []
        before = None
        while True:
            after = _next(steps, at, before)
            step = (after[0] - at[0], after[1] - at[1])
            if step != before:
                polygon.append((float(at[0] + top - 1), float(at[1] + left - 1)))
            at, before = after, step
            if at == start:
                break
        polygons.append(tuple(polygon))
    return tuple(polygons)


def _directed_edges(padded: np.ndarray) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """By corner, the corners that edges lead to, with the mask on their right."""
    steps: dict[tuple[int, int], list[tuple[int, int]]] = {}

    def add(where: np.ndarray, start: tuple[int, int], stop: tuple[int, int]) -> None:
        for row, col in np.argwhere(where).tolist():
            steps.setdefault((row + start[0], col + start[1]), []).append((row + stop[0], col + stop[1]))

    inside = padded[1:-1, 1:-1]
    add(inside & ~padded[:-2, 1:-1], (1, 1), (1, 2))  # above: to the right; corners count from the padded picture's
    add(inside & ~padded[1:-1, 2:], (1, 2), (2, 2))
    add(inside & ~padded[2:, 1:-1], (2, 2), (2, 1))
    add(inside & ~padded[1:-1, :-2], (2, 1), (1, 1))
    return steps


def _next(steps: dict[tuple[int, int], list[tuple[int, int]]], at: tuple[int, int], before: tuple[int, int] | None) -> tuple[int, int]:
    """Follow an edge and take it away; where two parts touch at a corner, turn right, so that they stay apart."""
    ways = steps[at]
    turned = None if before is None else (before[1], -before[0])
    found = next((one for one in ways if turned == (one[0] - at[0], one[1] - at[1])), ways[0])
    ways.remove(found)
    if not ways:
        del steps[at]
    return found
