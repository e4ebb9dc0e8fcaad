"""Annotated slices as volumes: which lie together, beside each other, and in the middle. Imports `annotated_slice`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .annotated_slice import AnnotatedSlice

# Slices farther apart than this are not learned from each other's memory: the object may have become another one between them.
MEMORY_REACH = 3


def same_volume(one: AnnotatedSlice, other: AnnotatedSlice) -> bool:
    """Whether two slices are of one volume, sliced alike."""
    return one.encoder.volume is other.encoder.volume and one.encoder.stack == other.encoder.stack


def volumes_of(slices: Sequence[AnnotatedSlice]) -> list[list[AnnotatedSlice]]:
    """The slices of each volume by rising position; volumes in the order in which their first slice comes."""
    volumes: list[list[AnnotatedSlice]] = []
    for one in slices:
        for volume in volumes:
            if same_volume(one, volume[0]):
                volume.append(one)
                break
        else:
            volumes.append([one])
    return [sorted(volume, key=lambda one: one.position) for volume in volumes]


def middle_of(volume: Sequence[AnnotatedSlice]) -> AnnotatedSlice:
    """Of slices of one volume that hold the object, the one nearest to its center of mass."""
    middle = float(np.average([one.position for one in volume], weights=[int(one.mask.sum()) for one in volume]))
    return min(volume, key=lambda one: (abs(one.position - middle), one.position))


def remembered_beside(one: AnnotatedSlice, slices: Sequence[AnnotatedSlice]) -> list[AnnotatedSlice]:
    """The nearest annotated slice on each side, within reach, that shows the object: what a run through the volume comes from."""
    found = []
    for side in (-1, 1):
        near = [
            other
            for other in slices
            if 0 < side * (other.position - one.position) <= MEMORY_REACH and other.holds_object and same_volume(other, one)
        ]
        if near:
            found.append(min(near, key=lambda other: abs(other.position - one.position)))
    return found
