"""How alike pictures are, by the features that the model's image encoder has of them. Imports engine and numpy.

Features of any two pictures have much in common; what is common to all slices of the prototypes is taken off first, then directions are
compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..engine import Embedding

# An embedding without channels (a stand-in's, which is its frame) is spread over so many gray levels: a direction takes several numbers.
_LEVELS = 16
_MOST_CELLS_A_SIDE = 32
# A cell is the object's own if the mask covers this share of it, background if it covers less than the other.
_OWN_SHARE, _RIVAL_SHARE = 0.7, 0.3
_RIVALS_A_SLICE = 4


def cells(embedding: Embedding) -> np.ndarray:
    """(channels, rows, cols) float32: the coarsest features of a picture."""
    coarse = embedding.arrays[-1]
    if coarse.ndim == 3:
        return coarse.astype(np.float32)
    step = [max(1, -(-side // _MOST_CELLS_A_SIDE)) for side in coarse.shape]
    thinned = coarse[:: step[0], :: step[1]].astype(np.float32) * (_LEVELS - 1) / 255.0
    return np.maximum(0.0, 1.0 - np.abs(thinned[None] - np.arange(_LEVELS, dtype=np.float32)[:, None, None]))


def covered(mask: np.ndarray, shape_rc: tuple[int, int]) -> np.ndarray:
    """(rows, cols) share of each cell that a mask covers.

    Args:
        mask: (rows, cols) bool of the picture.
        shape_rc: rows and columns of the cells.
    """
    sums = np.pad(mask.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows, cols = (np.linspace(0, side, count + 1) for side, count in zip(mask.shape, shape_rc, strict=True))
    at = _between(_between(sums, rows, 0), cols, 1)
    area = (mask.shape[0] / shape_rc[0]) * (mask.shape[1] / shape_rc[1])
    return ((at[1:, 1:] - at[1:, :-1] - at[:-1, 1:] + at[:-1, :-1]) / area).astype(np.float32)


def _between(values: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """`values` at fractional indices along an axis, linearly."""
    low = np.minimum(np.floor(places).astype(int), values.shape[axis] - 2)
    share = np.expand_dims(places - low, 1 - axis)
    return np.take(values, low, axis) * (1 - share) + np.take(values, low + 1, axis) * share


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1 along the last axis; those of length 0 stay."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


class Likeness:
    """What the prototypes' slices look like, to compare a volume's with.

    Args:
        features: (channels, rows, cols) of each slice, see `cells`.
        masks: (rows, cols) bool of each, at the picture's size.
    """

    def __init__(self, features: Sequence[np.ndarray], masks: Sequence[np.ndarray]):
        self._common = np.mean([one.mean(axis=(1, 2)) for one in features], axis=0)[:, None, None]
        self._whole = np.stack([self.whole(one) for one in features])
        self._shows = np.array([bool(mask.any()) for mask in masks])
        own, rival = [], []
        for one, mask in zip(features, masks, strict=True):
            flat = (one - self._common).reshape(len(one), -1).T
            share = covered(mask, one.shape[1:]).ravel()
            if mask.any():
                inside = share >= min(_OWN_SHARE, float(share.max()))
                own.append(flat[inside].mean(axis=0))
            outside = flat[share < _RIVAL_SHARE]
            rival += [part.mean(axis=0) for part in np.array_split(outside, _RIVALS_A_SLICE) if len(part)]
        self._own, self._rival = unit(np.stack(own)), unit(np.stack(rival)) if rival else np.zeros((1, len(own[0])), np.float32)

    def whole(self, features: np.ndarray) -> np.ndarray:
        """A picture as one direction: all of its cells in their places."""
        return unit((features - self._common).ravel())

    def with_each(self, features: np.ndarray) -> np.ndarray:
        """(slices,) cosine of a picture with each of the prototypes' slices, all cells in their places."""
        return self._whole @ self.whole(features)

    def among(self) -> np.ndarray:
        """(slices, slices) cosines of the prototypes' slices with each other."""
        return self._whole @ self._whole.T

    def expected(self, prototypes: Sequence[int]) -> float | None:
        """How alike the object's slices of one prototype are to those of the others: median of the best cosines; None of one prototype.

        Args:
            prototypes: number of the prototype that each slice is of.
        """
        numbers = np.array(prototypes)
        if len(np.unique(numbers)) < 2:
            return None
        cosines = np.where(numbers[:, None] == numbers[None], -1.0, self._whole @ self._whole.T)
        return float(np.median(cosines.max(axis=1)[self._shows]))

    def here(self, features: np.ndarray) -> np.ndarray:
        """(rows, cols) for each cell: cosine with the object where it is most alike, less that with what is not the object."""
        flat = unit((features - self._common).reshape(len(features), -1).T)
        score = (flat @ self._own.T).max(axis=1) - (flat @ self._rival.T).max(axis=1)
        return score.reshape(features.shape[1:])

    def of_object(self, features: np.ndarray, mask: np.ndarray) -> float:
        """Cosine of what a mask covers with the object where it is most alike, -1..1; -1 for an empty mask."""
        if not mask.any():
            return -1.0
        share = covered(mask, features.shape[1:])
        inside = share >= min(_OWN_SHARE, float(share.max()))
        mean = (features - self._common)[:, inside].mean(axis=1)
        return float((self._own @ unit(mean)).max())
