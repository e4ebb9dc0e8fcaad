"""Percentiles of a whole volume, slab by slab. Imports numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_BINS = 4096


def volume_percentiles(array_kji: np.ndarray, percentages: Sequence[float]) -> tuple[float, ...]:
    """Percentiles of all voxels, slab by slab: beside the volume only voxels that share the value looked for are ever copied.

    A value v is the p-th percentile if it is the smallest one with at least p percent of the voxels at or below it (numpy's method
    "inverted_cdf", with which a test compares it). Found by histograms that zoom in on the bin that holds it, until the bin is narrower
    than float32 can tell apart.

    Args:
        array_kji: (k, j, i) finite voxels of any real type.
        percentages: 0..100 each.
    """
    slabs = list(array_kji.view(np.uint8) if array_kji.dtype == bool else array_kji)
    lowest = min(float(slab.min()) for slab in slabs)
    highest = max(float(slab.max()) for slab in slabs)
    total = array_kji.size
    return tuple(_percentile(slabs, p, total, lowest, highest) for p in percentages)


def _percentile(slabs: list[np.ndarray], percentage: float, total: int, lowest: float, highest: float) -> float:
    if percentage <= 0:
        return lowest
    rank = min(max(int(np.ceil(total * percentage / 100.0)), 1), total)
    if rank == total:
        return highest
    low, high, below = lowest, highest, 0
    while high - low > 1e-6 * max(abs(low), abs(high), 1e-30):
        edges = np.linspace(low, high, _BINS + 1)
        counts = np.sum([np.histogram(slab, bins=edges)[0] for slab in slabs], axis=0)
        cumulative = below + np.cumsum(counts)
        bin_index = int(np.searchsorted(cumulative, rank))
        below += int(counts[:bin_index].sum())
        new_low, new_high = float(edges[bin_index]), float(edges[bin_index + 1])
        if (new_low, new_high) == (low, high):
            break
        low, high = new_low, new_high
    # The smallest value that reaches the rank lies in [low, high]: take the data's own value, not the bin's edge.
    # Compared as float64, as the histogram did: rounded to float32, `low` could let in a value that is counted in `below`.
    wide = ((slab, slab.astype(np.float64, copy=False)) for slab in slabs)
    inside = np.concatenate([slab[(values >= low) & (values <= high)] for slab, values in wide])
    return float(np.partition(inside, rank - below - 1)[rank - below - 1])
