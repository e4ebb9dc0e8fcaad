"""ObjectTruth: where an object really is, as its boxes on each slice. Imports answers, geometry, simulation and numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ...errors import InputError
from ...geometry import Box2D, Extent
from ...simulation.objects import connected_parts

# A part of an object on a slice gets a box of its own if it has this share of the largest part's pixels; people do not box specks.
_SMALLEST_PART_SHARE = 0.05


@dataclass(frozen=True)
class ObjectTruth:
    """One object of one volume.

    Args:
        frame_shape_rc: rows and columns of the upright slices.
        boxes_rc: half-open boxes of the object's parts by position, the largest part first; only slices that show it.

    Raises:
        InputError: if no slice shows it.
    """

    frame_shape_rc: tuple[int, int]
    boxes_rc: Mapping[int, tuple[Box2D, ...]]

    def __post_init__(self) -> None:
        kept = {int(position): tuple(boxes) for position, boxes in sorted(self.boxes_rc.items()) if boxes}
        if not kept:
            raise InputError("An object whose truth is simulated must be on a slice; this one is on none.")
        object.__setattr__(self, "boxes_rc", MappingProxyType(kept))

    @classmethod
    def of_masks(cls, masks: Mapping[int, np.ndarray]) -> ObjectTruth:
        """From (rows, cols) bool masks by position. Raises InputError if all are empty."""
        if not masks:
            raise InputError("An object whose truth is simulated must be on a slice; no mask was given.")
        shape_rc = next(iter(masks.values())).shape
        return cls((shape_rc[0], shape_rc[1]), {position: boxes_of_parts(mask) for position, mask in masks.items()})

    @property
    def extent(self) -> Extent:
        """First and last slice that show it."""
        positions = list(self.boxes_rc)
        return Extent(positions[0], positions[-1])

    def at(self, position: int) -> tuple[Box2D, ...]:
        """The boxes on a slice; none where it is absent."""
        return self.boxes_rc.get(position, ())

    def smallness(self, position: int) -> float:
        """0 where the boxes have the area of the largest slice, nearly 1 where they are small beside it."""
        largest = max(_area(boxes) for boxes in self.boxes_rc.values())
        return 1 - _area(self.at(position)) / largest


def boxes_of_parts(mask_rc: np.ndarray) -> tuple[Box2D, ...]:
    """The tight boxes of the connected parts of a (rows, cols) bool mask, the largest first, without specks; none if it is empty."""
    parts = connected_parts(mask_rc)
    if not parts:
        return ()
    largest = np.count_nonzero(parts[0][1])
    return tuple(
        Box2D(rows.start, rows.stop, cols.start, cols.stop)
        for (rows, cols), crop in parts
        if np.count_nonzero(crop) >= _SMALLEST_PART_SHARE * largest
    )


def _area(boxes: tuple[Box2D, ...]) -> int:
    return sum(box.shape_rc[0] * box.shape_rc[1] for box in boxes)
