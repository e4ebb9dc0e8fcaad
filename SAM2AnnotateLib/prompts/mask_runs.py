"""A bool mask as JSON: its shape and the lengths of its runs. Imports numpy and errors.

Runs are counted in row-major order and alternate background, foreground, background ...; the first may be 0. Only the counts are stored, so
a mask of one blob takes about two numbers a row.
"""

from __future__ import annotations

import numpy as np

from ..errors import PromptError


def mask_to_runs(mask: np.ndarray) -> dict:
    """``{"shape": [rows, cols], "runs": [...]}`` of a 2-D bool mask."""
    flat = np.concatenate([[False], mask.ravel(), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    bounds = np.concatenate([[0], edges, [mask.size]]) if edges.size else np.array([0, mask.size])
    return {"shape": list(mask.shape), "runs": np.diff(bounds).tolist()}


def mask_from_runs(stored: dict) -> np.ndarray:
    """The inverse of `mask_to_runs`. Raises PromptError if the runs do not fill the shape."""
    shape, runs = tuple(stored["shape"]), np.asarray(stored["runs"], dtype=np.int64)
    if len(shape) != 2 or (runs < 0).any() or runs.sum() != shape[0] * shape[1]:
        raise PromptError(f"The stored mask is damaged: its runs cover {runs.sum()} pixels, its shape is {shape}.")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(shape)
