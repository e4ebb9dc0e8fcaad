"""Prototypes and volume shown to the model at one scale in mm. Imports propagation, engine, geometry and (inside functions) Pillow.

What is shown of either is a square of the same side in mm, of the same number of pixels: so many mm of tissue are as many cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..engine import Embedding, SegmentationEngine
from ..geometry import Box2D
from ..optional_imports import import_for
from ..propagation import RegionPolicy
from ..propagation.region_of_interest import cut
from .prototype import Prototype, PrototypeSlice


@dataclass(frozen=True, eq=False)
class SupportSlice:
    """A prototype's slice as the model is shown it, at the volume's scale.

    Args:
        prototype: number of the prototype, from 0.
        place: 0..1 in the object's extent; None beyond it.
        embedding: of the picture.
        mask: (rows, cols) bool of the picture.
    """

    prototype: int
    place: float | None
    embedding: Embedding
    mask: np.ndarray


def crop_side_mm(prototypes: Sequence[Prototype], policy: RegionPolicy) -> float:
    """Side of the square around the object: what `policy` shows of the typical prototype, however small its slices are."""
    sizes = sorted(one.object_size_mm for one in prototypes)
    size = sizes[len(sizes) // 2]
    side_mm = max(1, round(size))
    crop = policy.crop_around(Box2D(0, side_mm, 0, side_mm), (1 << 14, 1 << 14), (1.0, 1.0))
    return float(max(crop.shape_rc)) if policy.kind != "full" else 2.0 * size


def crop_at(center_rc: tuple[float, float], side_mm: float, frame_shape_rc: tuple[int, int], spacing_rc_mm: tuple[float, float]) -> Box2D:
    """The square of `side_mm` around a point, moved so that as little as possible of it lies outside the slice.

    Args:
        center_rc: (row, column) of the point.
        side_mm: side of the square.
        frame_shape_rc: rows and columns of the slice.
        spacing_rc_mm: spacing of rows and columns.
    """
    ranges = []
    for middle, size, spacing in zip(center_rc, frame_shape_rc, spacing_rc_mm, strict=True):
        count = max(2, round(side_mm / spacing))
        start = round(middle - count / 2)
        start = min(max(start, 0), size - count) if count <= size else (size - count) // 2
        ranges.append((start, start + count))
    return Box2D(*ranges[0], *ranges[1])


def object_center_rc(prototype: Prototype) -> tuple[float, float]:
    """(row, column) of the middle of the object's box over all slices."""
    box = Box2D.around(np.logical_or.reduce([one.mask for one in prototype.slices]))
    return (box.row_start + box.row_stop) / 2, (box.col_start + box.col_stop) / 2


def support_slice(
    engine: SegmentationEngine, prototype: Prototype, number: int, one: PrototypeSlice, side_mm: float, shape_rc: tuple[int, int]
) -> SupportSlice:
    """Encode a prototype's slice as the volume's slices are: a square of `side_mm`, of `shape_rc` pixels."""
    crop = crop_at(object_center_rc(prototype), side_mm, prototype.frame_shape_rc, prototype.frame_spacing_rc_mm)
    picture = resampled(cut(one.picture, crop), shape_rc)
    mask = resampled(np.where(cut(one.mask, crop), np.uint8(255), np.uint8(0)), shape_rc) >= 128
    return SupportSlice(number, prototype.place(one.position), engine.encode(picture), mask)


def resampled(picture: np.ndarray, shape_rc: tuple[int, int]) -> np.ndarray:
    """A uint8 picture (rows, cols) in another number of pixels, averaged where it gets smaller; itself if it has that many."""
    if picture.shape == tuple(shape_rc):
        return picture
    image = import_for("Comparing with a prototype", "PIL.Image", "pip install Pillow")
    return np.array(image.fromarray(np.ascontiguousarray(picture)).resize(shape_rc[::-1], image.Resampling.BILINEAR))
