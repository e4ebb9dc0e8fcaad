"""What a person decided about an object, as slices to learn from. Imports annotator and below."""

from __future__ import annotations

import numpy as np

from ..annotator import AnnotatedObject
from ..review import SliceStatus
from .annotated_slice import AnnotatedSlice
from .lessons import positions_beyond


def slices_of(item: AnnotatedObject) -> list[AnnotatedSlice]:
    """The locked slices of an object, and some beyond its extent, where it is not.

    Args:
        item: with slices that were accepted or corrected.
    """
    review, stack = item.review, item.annotator.stack
    found = []
    for position in sorted(review.locked):
        mask, drawn = review.mask(position), review.status(position) is SliceStatus.CORRECTED
        if mask is not None:
            found.append(AnnotatedSlice(item.encoder, position, mask, review.extent, drawn))
    nothing = np.zeros(stack.frame_shape_rc, dtype=bool)
    beyond = positions_beyond(review.extent, stack.shape_src[0])
    return [*found, *(AnnotatedSlice(item.encoder, position, nothing, review.extent) for position in beyond)]
