"""AnnotatedSlice: a slice with a person's mask, of any volume. Imports engine, propagation and geometry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..engine import Place
from ..errors import InputError
from ..geometry import Box2D, Extent
from ..propagation import SliceEncoder


@dataclass(frozen=True, eq=False)
class AnnotatedSlice:
    """A slice that a person is done with.

    Args:
        encoder: its volume as the model sees it.
        position: in the volume's stack.
        mask: (rows, cols) bool of the whole upright slice; all False teaches that the object is not there.
        extent: positions of the object's first and last slice in this volume; None if not known.
        drawn: whether a person drew or corrected it. What was accepted as proposed teaches less: its errors are the model's own.

    Raises:
        InputError: if the mask does not fit the slice.
    """

    encoder: SliceEncoder
    position: int
    mask: np.ndarray
    extent: Extent | None = None
    drawn: bool = True

    def __post_init__(self) -> None:
        mask = np.array(self.mask, dtype=bool)
        if mask.shape != tuple(self.encoder.stack.frame_shape_rc):
            raise InputError(f"The mask has {mask.shape} rows and columns, the slice {tuple(self.encoder.stack.frame_shape_rc)}.")
        if not 0 <= self.position < self.encoder.slice_count:
            raise InputError(f"Slice {self.position} does not exist: the volume has slices 0..{self.encoder.slice_count - 1}.")
        mask.setflags(write=False)
        object.__setattr__(self, "mask", mask)

    @cached_property
    def holds_object(self) -> bool:
        """Whether the object is on it."""
        return bool(self.mask.any())

    @cached_property
    def box(self) -> Box2D:
        """Around the mask. Raises PromptError if it is empty."""
        return Box2D.around(self.mask)

    @property
    def longer_side_mm(self) -> float:
        """Of that box."""
        return max(count * mm for count, mm in zip(self.box.shape_rc, self.encoder.stack.frame_spacing_rc_mm, strict=True))

    @property
    def place(self) -> Place:
        """Where it lies in the extent."""
        return place_of(self.position, self.extent)


def place_of(position: int, extent: Extent | None) -> Place:
    """Where a slice lies in an extent: 0 at the first slice, 1 at the last, one half in an extent of one slice."""
    if extent is None:
        return Place()
    return Place(0.5 if len(extent) == 1 else (position - extent.first) / (len(extent) - 1))
