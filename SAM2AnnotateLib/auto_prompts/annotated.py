"""What methods take from annotated slices: boxes, further looks, a card. Imports engine, propagation, geometry and numpy."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..engine import AdapterCard, Embedding, SegmentationEngine
from ..geometry import Box2D
from ..propagation import SliceEncoder
from .looks import ObjectSize, joined
from .proposals import key_of

if TYPE_CHECKING:
    from ..adaptation import AnnotatedSlice

# Of a further look: scale, shift in sides of the crop, exponent and gain of the gray.
_SCALES, _SHIFT, _GAMMAS, _GAINS = (0.8, 1.2), 0.1, (0.7, 1.4), (0.9, 1.1)


def annotated_boxes(slices: Sequence[AnnotatedSlice]) -> dict:
    """Of each annotated volume, by `key_of`, the box around the object on all its annotated slices; without the object all."""
    boxes: dict = {}
    for one in slices:
        if one.mask.any():
            boxes.setdefault(key_of(one.encoder), []).append(Box2D.around(one.mask))
    found = {key: joined(some) for key, some in boxes.items()}
    for one in slices:
        rows, cols = one.encoder.stack.frame_shape_rc
        found.setdefault(key_of(one.encoder), Box2D(0, rows, 0, cols))
    return found


def possible_slices(slices: Sequence[AnnotatedSlice], encoder: SliceEncoder) -> range:
    """The positions of a volume where the object may be, by what a person said of it.

    It lies within the extent that was marked, and not beyond a slice that was emptied, seen from the slices that hold it. Of a volume
    without a slice that holds it nothing is known.
    """
    here = [one for one in slices if key_of(one.encoder) == key_of(encoder)]
    holding = [one.position for one in here if one.mask.any()]
    if not holding:
        return range(encoder.slice_count)
    empty = [one.position for one in here if not one.mask.any()]
    first = max((position + 1 for position in empty if position < min(holding)), default=0)
    last = min((position - 1 for position in empty if position > max(holding)), default=encoder.slice_count - 1)
    for one in here:
        if one.extent is not None:
            first, last = max(first, min(one.extent.first, *holding)), min(last, max(one.extent.last, *holding))
    return range(first, last + 1)


def spread(slices: Sequence[AnnotatedSlice], most: int) -> list[AnnotatedSlice]:
    """At most `most` of the slices, evenly; of those without the object a quarter of that, unless the others are fewer."""
    if len(slices) <= most:
        return list(slices)
    kinds = [[n for n, one in enumerate(slices) if bool(one.mask.any()) is holds] for holds in (True, False)]
    empty = min(len(kinds[1]), max(most // 4, most - len(kinds[0])))
    chosen: set[int] = set()
    for numbers, count in zip(kinds, (min(len(kinds[0]), most - empty), empty), strict=True):
        chosen.update(numbers[round(n)] for n in np.linspace(0, len(numbers) - 1, count))
    return [slices[number] for number in sorted(chosen)]


def further_look(one: AnnotatedSlice, crop: Box2D, rng: np.random.Generator) -> tuple[Embedding, Box2D]:
    """The slice in a crop that is shifted and scaled, in another window, encoded; and that crop.

    It is seen once in learning, so no store keeps it.
    """
    rows, cols = crop.shape_rc
    scale = rng.uniform(*_SCALES)
    height, width = max(1, round(rows * scale)), max(1, round(cols * scale))
    row = crop.row_start + (rows - height) // 2 + round(rows * rng.uniform(-_SHIFT, _SHIFT))
    col = crop.col_start + (cols - width) // 2 + round(cols * rng.uniform(-_SHIFT, _SHIFT))
    seen = Box2D(row, row + height, col, col + width)
    gray = one.encoder.picture(one.position, seen).astype(np.float32) / 255
    gray = np.clip(gray ** rng.uniform(*_GAMMAS) * rng.uniform(*_GAINS), 0, 1)
    return one.encoder.engine.encode(np.rint(gray * 255).astype(np.uint8)), seen


def card_of(slices: Sequence[AnnotatedSlice], engine: SegmentationEngine) -> AdapterCard:
    """The card of what was learnt to be found without a prompt."""
    holding = [one for one in slices if one.mask.any()]
    first = holding[0].encoder
    spacing = first.stack.frame_spacing_rc_mm
    return AdapterCard(
        object_name="",
        base_sha256=engine.weights_sha256,
        architecture=engine.architecture,
        serves=("none",),
        modality=first.volume.modality,
        window=(float(first.mapping.lower), float(first.mapping.upper)),
        plane=first.stack.plane,
        spacing_rc_mm=(float(spacing[0]), float(spacing[1])),
        object_size_mm=round(ObjectSize.of(holding).box_mm, 3),
        slice_count=len(slices),
        volume_count=len({key_of(one.encoder) for one in slices}),
        created=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        image_size=engine.image_size,
    )
