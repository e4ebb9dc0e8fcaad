"""PackedMask: a mask kept small. Imports metrics and numpy.

A study keeps thousands of masks of an object for each case: all that the model answered, and what a person made of each.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from ..metrics.surface_elements import bounding_box


@dataclass(frozen=True, eq=False)
class PackedMask:
    """A mask as a bit for each pixel of the box around it. Made by `of`.

    Args:
        shape_rc: rows and columns of the whole mask.
        box: around what is inside, as a numpy index; None for an empty mask.
        bits: of that box, in row-major order.
    """

    shape_rc: tuple[int, int]
    box: tuple[slice, ...] | None
    bits: np.ndarray

    @classmethod
    def of(cls, mask: np.ndarray) -> PackedMask:
        """Pack a (rows, cols) bool mask; it is copied."""
        box = bounding_box(mask)
        rows, cols = mask.shape
        return cls((rows, cols), box, np.packbits(mask[box]) if box is not None else np.empty(0, dtype=np.uint8))

    def mask(self) -> np.ndarray:
        """The (rows, cols) bool mask, a new one each time."""
        whole = np.zeros(self.shape_rc, dtype=bool)
        if self.box is not None:
            inside = whole[self.box]  # a view
            inside[...] = np.unpackbits(self.bits, count=inside.size).reshape(inside.shape)
        return whole

    @property
    def digest(self) -> bytes:
        """16 bytes that two masks share only if they are the same."""
        text = f"{self.shape_rc} {self.box} ".encode()
        return hashlib.blake2b(text + self.bits.tobytes(), digest_size=16).digest()
