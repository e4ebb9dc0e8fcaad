"""Feature maps of an embedding on one grid, whichever engine made it. Imports engine and numpy.

An embedding's arrays are what the engine kept: of SAM 2 three levels (channel, row, column), of the scripted engine the frame itself.
"""

from __future__ import annotations

import numpy as np

from ..engine import Embedding
from ..errors import InputError

# Sides of the grid on which prototypes are pooled: that of the bundled model's finest level.
GRID = 64


def feature_maps(embedding: Embedding, grid: int = GRID) -> np.ndarray:
    """All levels resampled to one grid: (channels, grid, grid) float32.

    Raises:
        InputError: if the embedding holds no maps.
    """
    levels = [array.astype(np.float32) for array in embedding.arrays if array.ndim in (2, 3)]
    if not levels:
        raise InputError("The engine's embeddings hold no feature maps to pool prototypes from.")
    return np.concatenate([resampled(level if level.ndim == 3 else level[None] / np.float32(255), (grid, grid)) for level in levels])


def resampled(maps: np.ndarray, shape_rc: tuple[int, int]) -> np.ndarray:
    """(channels, rows, cols) maps on another grid over the same field: linear upwards, mean over what a cell covers downwards."""
    down = _weights(maps.shape[1], shape_rc[0])
    across = _weights(maps.shape[2], shape_rc[1])
    return np.asarray(down @ maps @ across.T, dtype=np.float32)


def _weights(count: int, wanted: int) -> np.ndarray:
    """(wanted, count) float32: each row says of which samples along an axis a new one is made; rows sum to 1."""
    if count == wanted:
        return np.eye(count, dtype=np.float32)
    centers = (np.arange(wanted) + 0.5) * count / wanted - 0.5
    width = max(1.0, count / wanted)
    weights = np.maximum(0.0, 1.0 - np.abs(np.clip(centers, 0, count - 1)[:, None] - np.arange(count)) / width)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
