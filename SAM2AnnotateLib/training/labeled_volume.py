"""LabeledVolume: frames with objects to learn from. Imports numpy and scipy.

Objects are connected components, each with its slices listed along every axis that the volume may be sliced along.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

_SMALLEST_OBJECT_VOXELS = 100
_SMALLEST_SLICE_AREA = 12
# Of its box: ragged scraps below teach nothing that a person would outline.
_SMALLEST_FILL = 0.25


@dataclass(frozen=True)
class SlicedObject:
    """One object along one axis.

    Args:
        component: its value in `LabeledVolume.components`.
        positions: slice positions that hold it, rising.
        areas: pixels on each of these slices.
        boxes: (n, 4) row_start, row_stop, col_start, col_stop on each, half-open.
    """

    component: int
    positions: np.ndarray
    areas: np.ndarray
    boxes: np.ndarray


@dataclass
class LabeledVolume:
    """A training volume.

    Args:
        name: for the log.
        frames: (slice, row, column) float32 values, or uint8 if already mapped.
        labels: (slice, row, column) integers, 0 background.
        spacing_src_mm: spacing along slice, row, column.
        windows: (n, 2) intensity windows to draw from (lower, upper); none for uint8 frames.
        weight: relative chance of being drawn.
        axes: array axes that it may be sliced along.
    """

    name: str
    frames: np.ndarray
    labels: np.ndarray
    spacing_src_mm: tuple[float, float, float]
    windows: tuple[tuple[float, float], ...] = ()
    weight: float = 1.0
    axes: tuple[int, ...] = (0,)
    components: np.ndarray = field(init=False)
    objects: dict[int, list[SlicedObject]] = field(init=False)

    def __post_init__(self) -> None:
        self.components = connected_objects(self.labels)
        self.objects = {axis: _objects_along(self.components, axis) for axis in self.axes}
        self.axes = tuple(axis for axis in self.axes if self.objects[axis])


def connected_objects(labels: np.ndarray) -> np.ndarray:
    """Number the connected components of every label 1..n (int32); drop those of under 100 voxels."""
    components = np.zeros(labels.shape, dtype=np.int32)
    count = 0
    for value, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        parts, found = ndimage.label(labels[box] == value)
        sizes = np.bincount(parts.ravel(), minlength=found + 1)
        for part in range(1, found + 1):
            if sizes[part] >= _SMALLEST_OBJECT_VOXELS:
                count += 1
                components[box][parts == part] = count
    return components


def _objects_along(components: np.ndarray, axis: int) -> list[SlicedObject]:
    turned = np.moveaxis(components, axis, 0)
    objects = []
    for component, box in enumerate(ndimage.find_objects(turned), start=1):
        if box is None:
            continue
        positions, areas, boxes = [], [], []
        for position in range(box[0].start, box[0].stop):
            mask = turned[position][box[1:]] == component
            area = int(mask.sum())
            if area < _SMALLEST_SLICE_AREA:
                continue
            rows, cols = np.flatnonzero(mask.any(axis=1)) + box[1].start, np.flatnonzero(mask.any(axis=0)) + box[2].start
            height, width = rows[-1] - rows[0] + 1, cols[-1] - cols[0] + 1
            if min(height, width) < 3 or area < _SMALLEST_FILL * height * width:
                continue
            positions.append(position)
            areas.append(area)
            boxes.append((rows[0], rows[-1] + 1, cols[0], cols[-1] + 1))
        if positions:
            objects.append(SlicedObject(component, np.array(positions), np.array(areas), np.array(boxes)))
    return objects
