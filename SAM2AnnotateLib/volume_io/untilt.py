"""Slices of a tilted gantry onto a regular grid: each is shifted back in its own plane. Imports numpy.

A tilted gantry makes parallel slices, each shifted against the one before in its plane (the stack is sheared), which no volume of ours
holds. The slices stay where they lie along their normal, so nothing is interpolated between slices; within a slice, shifted by parts of
a pixel, values are interpolated linearly. The grid grows by the largest shift; what lies beyond a slice gets the smallest value of all.
"""

from __future__ import annotations

import numpy as np


def shifted_back(array_kji: np.ndarray, offsets_ji: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slices at their places in one plane's coordinates.

    Args:
        array_kji: (k, j, i) real values of any type.
        offsets_ji: (k, 2) where the first pixel of each slice lies, in pixels along j and i, counted from the first slice's.

    Returns:
        (k, J, I) values of the same type, J and I grown by the range of the offsets; and (2,) the offset of their first pixel.
    """
    slices, rows, columns = array_kji.shape
    first = np.floor(offsets_ji.min(axis=0) + 1e-6)
    grown = np.ceil(offsets_ji.max(axis=0) - first - 1e-6).astype(int)
    out = np.full((slices, rows + grown[0], columns + grown[1]), array_kji.min(), dtype=array_kji.dtype)
    for k, plane in enumerate(array_kji):
        along_j, along_i = offsets_ji[k] - first
        source_j, source_i = np.arange(out.shape[1]) - along_j, np.arange(out.shape[2]) - along_i
        inside_j, inside_i = _inside(source_j, rows), _inside(source_i, columns)
        values = _between(plane.astype(np.float64), source_j[inside_j], 0)
        values = _between(values, source_i[inside_i], 1)
        if out.dtype.kind in "iu":
            values = np.rint(values)
        out[k][np.ix_(inside_j, inside_i)] = values
    return out, first


def _inside(places: np.ndarray, size: int) -> np.ndarray:
    """The indices of places in a pixel of a slice."""
    return np.flatnonzero((places >= -0.5 - 1e-6) & (places <= size - 0.5 + 1e-6))


def _between(values: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Linear between the centers of pixels; beyond the last center its value."""
    size = values.shape[axis]
    places = np.clip(places, 0, size - 1)
    low = np.minimum(np.floor(places + 1e-6).astype(int), size - 1)
    share = np.clip(places - low, 0, 1)
    share = share[:, np.newaxis] if axis == 0 else share[np.newaxis]
    return values.take(low, axis) * (1 - share) + values.take(np.minimum(low + 1, size - 1), axis) * share
