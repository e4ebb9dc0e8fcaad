"""Prompts that a person might give, drawn from an object's mask. Imports numpy only."""

from __future__ import annotations

import numpy as np

_BOX_LABELS = (2, 3)
# The depth of a pixel in the mask is counted on at most this many cells a side.
_COARSE_SIDE = 96
_TIGHT, _LOOSE, _LOOSE_SHARE = 0.05, 0.15, 0.25


class LessonPrompts:
    """Draws boxes and clicks for one mask.

    Args:
        mask: (rows, cols) bool, not empty.
    """

    def __init__(self, mask: np.ndarray):
        self._mask = mask
        rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        self._corners_xy = np.array([[cols[0], rows[0]], [cols[-1] + 1, rows[-1] + 1]], dtype=float)
        self._pixels_rc = np.argwhere(mask)
        depths = _depths(mask)[mask]
        self._deep, self._shallow = np.flatnonzero(depths >= 0.75 * depths.max()), np.flatnonzero(depths <= max(1.0, 0.25 * depths.max()))

    def draw(self, rng: np.random.Generator, kind: str, more: int) -> tuple[np.ndarray, np.ndarray]:
        """(n, 2) coordinates as (x, y) in pixels of the frame, and (n,) labels: 2 and 3 a box's corners, 1 and 0 clicks.

        Args:
            rng: draws.
            kind: ``box``, ``point`` or ``both``.
            more: clicks after the first, which with a box may be none of the object either.
        """
        coords: list[np.ndarray] = []
        labels: list[int] = []
        if kind in ("box", "both"):
            coords += list(self._box(rng))
            labels += _BOX_LABELS
        if kind in ("point", "both"):
            for number in range(1 + more):
                positive = (number == 0 and kind == "point") or bool(rng.random() < 0.5)
                coords.append(self._click(rng, positive))
                labels.append(int(positive))
        return np.array(coords), np.array(labels)

    def _box(self, rng: np.random.Generator) -> np.ndarray:
        """A tight box whose sides change and that shifts by a few percent, or by more."""
        sides = self._corners_xy[1] - self._corners_xy[0]
        amount = _LOOSE if rng.random() < _LOOSE_SHARE else _TIGHT
        grow = sides * rng.uniform(-amount, amount, 2) / 2
        shift = sides * rng.uniform(-amount, amount, 2) / 2
        return self._corners_xy + shift + np.stack([-grow, grow])

    def _click(self, rng: np.random.Generator, positive: bool) -> np.ndarray:
        """On the object anywhere, deep inside or near its edge; or beside it, mostly in the box's surroundings."""
        if positive:
            among = (self._deep, self._shallow, np.arange(len(self._pixels_rc)))[int(rng.choice(3, p=(0.4, 0.2, 0.4)))]
            row, col = self._pixels_rc[among[rng.integers(len(among))]]
            return np.array([col + 0.5, row + 0.5])
        (left, top), (right, bottom) = self._corners_xy
        rows, cols = self._mask.shape
        for _ in range(20):
            x, y = (
                rng.uniform(1.4 * left - 0.4 * right, 1.4 * right - 0.4 * left),
                rng.uniform(1.4 * top - 0.4 * bottom, 1.4 * bottom - 0.4 * top),
            )
            col, row = min(max(int(x), 0), cols - 1), min(max(int(y), 0), rows - 1)
            if not self._mask[row, col]:
                return np.array([col + 0.5, row + 0.5])
        return np.array([0.5, 0.5])


def _depths(mask: np.ndarray) -> np.ndarray:
    """(rows, cols) how often a pixel's cell survives peeling the mask by a cell; 0 beside it."""
    step = max(1, -(-max(mask.shape) // _COARSE_SIDE))
    coarse = mask[::step, ::step]
    left, depths = coarse.copy(), np.zeros(coarse.shape)
    while left.any():
        depths += left
        framed = np.pad(left, 1)
        left = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:] & left
    return np.repeat(np.repeat(depths, step, axis=0), step, axis=1)[: mask.shape[0], : mask.shape[1]]
