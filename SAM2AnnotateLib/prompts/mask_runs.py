"""A bool mask as JSON: its shape and the lengths of its runs. Imports numpy and errors.

Runs are counted in row-major order and alternate background, foreground, background ...; the first may be 0. Only the counts are stored, so
a mask of one blob takes about two numbers a row.
"""

from __future__ import annotations

import weakref

import numpy as np

from ..errors import PromptError

_known: dict[int, tuple[weakref.ref[np.ndarray], dict]] = {}  # by the address of a mask that nobody can change


def mask_to_runs(mask: np.ndarray) -> dict:
    """``{"shape": [rows, cols], "runs": [...]}`` of a 2-D bool mask; not to be changed.

    A review is stored after every decision, most of it as it was: so the runs of a read-only mask are remembered as long as it lives.
    """
    if mask.flags.writeable or mask.base is not None:
        return _runs_of(mask)
    address = id(mask)
    known = _known.get(address)
    if known is None or known[0]() is not mask:
        known = (weakref.ref(mask, lambda _: _known.pop(address, None)), _runs_of(mask))
        _known[address] = known
    return known[1]


def _runs_of(mask: np.ndarray) -> dict:
    flat = np.concatenate([[False], mask.ravel(), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    bounds = np.concatenate([[0], edges, [mask.size]]) if edges.size else np.array([0, mask.size])
    return {"shape": list(mask.shape), "runs": np.diff(bounds).tolist()}


def mask_from_runs(stored: dict) -> np.ndarray:
    """The inverse of `mask_to_runs`. Memory is taken for the pixels inside only. Raises PromptError if the runs do not fill the shape."""
    try:
        rows, cols = stored["shape"]
        runs = np.asarray(stored["runs"])
        size = rows * cols
        fills = runs.dtype.kind in "iu" and runs.ndim == 1 and runs.size > 0 and 0 <= runs.min() <= runs.max() <= size
        if not (type(rows) is type(cols) is int and 0 < rows < 1 << 24 and 0 < cols < 1 << 24 and fills and int(runs.sum()) == size):
            raise ValueError
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as exc:
        raise PromptError("The stored mask is damaged: its runs cover more or fewer pixels than its shape has, or are no numbers.") from exc
    mask = np.zeros((rows, cols), dtype=bool)
    flat, ends = mask.reshape(-1), np.cumsum(runs)
    for start, stop in zip(ends[:-1:2].tolist(), ends[1::2].tolist(), strict=False):
        flat[start:stop] = True
    return mask
