"""Likeness: how much what was found looks like what was annotated. Imports engine and numpy.

A model that has learnt one object finds something on most pictures. What was found is therefore compared with the annotated objects by the
frozen features under the mask and around it: the mean over the object, less the mean over a rim around it, and the mean over the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .features import GRID, resampled

# The lowest likeness among annotated slices of different volumes or regions is where the doubt reaches this.
_DOUBT_AT_LOWEST = 0.4
# Fewer annotated slices tell too little about how unlike one another they may be: at least this spread of a cosine is taken for normal.
_LEAST_SPREAD = 0.1


# Annotated slices that what is found is compared with, at most.
MOST_COMPARED = 64


class Likeness:
    """Compares found objects with annotated ones.

    Args:
        maps: (channels, grid, grid) features of each annotated slice that holds the object.
        masks: (grid, grid) share of each cell that the object covers.
        groups: which volume each is of; a slice is measured against those of other volumes, or if there is one, against all others.
    """

    def __init__(self, maps: Sequence[np.ndarray], masks: Sequence[np.ndarray], groups: Sequence[object]):
        cells = np.stack(maps).astype(np.float32)
        self._mean = cells.mean(axis=(0, 2, 3))
        self._stretch = 1 / np.maximum(cells.std(axis=(0, 2, 3)), 1e-3)
        self._known = np.stack([self._described(one, mask) for one, mask in zip(maps, masks, strict=True)])
        among = self._known @ self._known.T
        several = len(set(groups)) > 1
        best = []
        for number, group in enumerate(groups):
            others = [n for n, other in enumerate(groups) if (other != group if several else n != number)]
            if others:
                best.append(float(among[number, others].max()))
        self._normal = float(np.median(best)) if best else 0.9
        self._lowest = min(float(np.quantile(best, 0.05)) if best else 1.0, self._normal - _LEAST_SPREAD)

    def of(self, maps: np.ndarray, share: np.ndarray) -> float:
        """-1 to 1: cosine to the annotated object that is most alike; -1 where nothing was found."""
        if not share.any():
            return -1.0
        return float((self._known @ self._described(maps, share)).max())

    def doubt(self, likeness: float) -> float:
        """0 for what is as alike as annotated slices are to one another, rising with distance, to 1."""
        return float(np.clip((self._normal - likeness) / (self._normal - self._lowest) * _DOUBT_AT_LOWEST, 0, 1))

    def _described(self, maps: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Unit vector: object less rim, object, whole picture."""
        cells = np.clip((maps - self._mean[:, None, None]) * self._stretch[:, None, None], -5, 5)
        weight = share / max(1e-6, float(share.sum()))
        rim = _widened(share > 0.25) & (share < 0.25)
        rim_weight = rim / max(1, int(rim.sum()))
        inside = np.einsum("chw,hw->c", cells, weight)
        described = [_unit(inside - np.einsum("chw,hw->c", cells, rim_weight)), _unit(inside), _unit(cells.mean(axis=(1, 2)))]
        return np.concatenate(described) / np.sqrt(len(described))


def share_on_grid(mask: np.ndarray, grid: int = GRID) -> np.ndarray:
    """(grid, grid) float32: how much of each cell a (rows, cols) bool mask of the picture covers."""
    return resampled(mask[None].astype(np.float32), (grid, grid))[0]


def _widened(mask: np.ndarray, by: int = 4) -> np.ndarray:
    """The mask grown by a square of `by` cells."""
    grown = np.pad(mask, by)
    rows = np.logical_or.reduce([np.roll(grown, shift, axis=0) for shift in range(-by, by + 1)])
    return np.logical_or.reduce([np.roll(rows, shift, axis=1) for shift in range(-by, by + 1)])[by:-by, by:-by]


def _unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-9 else np.zeros_like(vector)
