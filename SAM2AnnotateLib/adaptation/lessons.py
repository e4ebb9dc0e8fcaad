"""From annotated slices to lessons: what a model is shown to learn from. Imports engine, propagation, geometry, `volume_lessons`.

They are the parts that it will be asked about: around a box, around a click (as large as the object is), around all annotated slices of the
volume, and the whole slice; of several volumes also what runs through them show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from ..engine import Lesson
from ..geometry import Box2D, Extent
from ..propagation import RegionPolicy, SliceEncoder
from ..propagation.region_of_interest import cut
from .annotated_slice import AnnotatedSlice
from .volume_lessons import DRAWN_WEIGHT, Showing, lessons_of_volumes
from .volumes import volumes_of

# How often each part is drawn, against the others.
_WEIGHTS = {"box": 3.0, "click": 2.0, "union": 2.0, "whole": 1.0}
# Of more slices than this, each is shown in two parts only: together they show enough of all.
_MANY_SLICES = 24
# Of more slices some are shown in parts of their own, spread evenly.
_MOST_ASKED_ABOUT = 96
# Of so many volumes that the share of each would be less, some are left out.
_FEWEST_OF_A_VOLUME = 32

_Thing = TypeVar("_Thing")


def thinned(slices: Sequence[AnnotatedSlice], most: int) -> list[AnnotatedSlice]:
    """At most so many slices, spread evenly over those that hold the object and over the others."""
    present, absent = ([one for one in slices if one.holds_object is there] for there in (True, False))
    room = max(1, min(len(absent), most // 4)) if absent else 0
    pairs = [present[start : start + 2] for start in range(0, len(present), 2)]  # neighbors stay together: one is remembered for the other
    kept = present if len(present) <= most - room else [one for pair in _spread(pairs, (most - room) // 2) for one in pair]
    return [*kept, *_spread(absent, room)]


def thinned_volumes(slices: Sequence[AnnotatedSlice], most: int, rng: np.random.Generator) -> list[AnnotatedSlice]:
    """At most so many slices of several volumes: the last volume and others drawn by lot, each with its share of them; so that learning
    after the hundredth volume takes no longer than after the tenth, and another time sees others.
    """
    volumes = volumes_of(slices)
    share = max(_FEWEST_OF_A_VOLUME, most // len(volumes))
    kept, left = thinned(volumes[-1], share), most
    left -= len(kept)
    chosen: dict[int, list[AnnotatedSlice]] = {len(volumes) - 1: kept}
    for number in rng.permutation(len(volumes) - 1).tolist():
        some = thinned(volumes[number], share)
        if len(some) > left:
            continue
        chosen[number] = some
        left -= len(some)
    return [one for number in sorted(chosen) for one in chosen[number]]


def _spread(slices: Sequence[_Thing], most: int) -> list[_Thing]:
    if len(slices) <= most:
        return list(slices)
    return [slices[int((number + 0.5) * len(slices) / most)] for number in range(most)]


def object_size_mm(slices: Sequence[AnnotatedSlice]) -> float:
    """Typical longer side of the object's box: three slices in four are no larger."""
    return float(np.quantile([one.longer_side_mm for one in slices if one.holds_object], 0.75))


def positions_beyond(extent: Extent, slice_count: int) -> list[int]:
    """Up to four slices beyond an extent that teach that the object is not there: on each side the next, and one further off."""
    wanted = (extent.first - 4, extent.first - 1, extent.last + 1, extent.last + 4)
    return [position for position in wanted if 0 <= position < slice_count]


def union_box(slices: Sequence[AnnotatedSlice], encoder: SliceEncoder) -> Box2D | None:
    """Around the object on all slices of one volume; None if no slice of it holds the object."""
    boxes = [one.box for one in slices if one.encoder.volume is encoder.volume and one.encoder.stack == encoder.stack and one.holds_object]
    whole = boxes[0] if boxes else None
    for box in boxes[1:]:
        whole = whole.union(box) if whole is not None else box
    return whole


def deepest_pixel(mask: np.ndarray) -> tuple[int, int]:
    """(row, column) of a pixel of a mask that is as far from its edge as any, by peeling; the most central one of these.

    Args:
        mask: (rows, cols) bool, not empty.
    """
    left = np.asarray(mask, dtype=bool)
    while True:
        framed = np.pad(left, 1)
        inner = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:] & left
        if not inner.any():
            break
        left = inner
    pixels = np.argwhere(left)
    center = np.argwhere(mask).mean(axis=0)
    row, col = pixels[int(((pixels - center) ** 2).sum(axis=1).argmin())]
    return int(row), int(col)


def lessons_of(slices: Sequence[AnnotatedSlice], policy: RegionPolicy, rng: np.random.Generator) -> list[Showing]:
    """Lessons, as showings of slices one after another: how many they are is known before the first picture is encoded.

    The memory of the slice beside is learned from several volumes that hold the object alone: in one, SAM 2's own memory is as good.

    Args:
        slices: of one or several volumes; at least one holds the object.
        policy: which part of a slice the model sees.
        rng: draws the clicks that parts are shown around, and the looks of volumes.
    """
    asked, size_mm = thinned(slices, _MOST_ASKED_ABOUT), object_size_mm(slices)
    unions = [(volume[0].encoder, union_box(volume, volume[0].encoder)) for volume in volumes_of(slices)]
    showings: list[Showing] = []
    for number, one in enumerate(asked):
        union = next(box for encoder, box in unions if encoder.volume is one.encoder.volume and encoder.stack == one.encoder.stack)
        spot = np.argwhere(one.mask)[rng.integers(int(one.mask.sum()))].tolist() if one.holds_object else None
        turn = None if len(asked) <= _MANY_SLICES else number
        showings.append(partial(_parts, one, spot, union, size_mm, policy, turn))
    if sum(box is not None for _, box in unions) > 1:
        showings += lessons_of_volumes(slices, size_mm, policy, rng)
    return showings


def _parts(
    one: AnnotatedSlice, spot: tuple[int, int] | None, union: Box2D | None, size_mm: float, policy: RegionPolicy, turn: int | None
) -> Iterator[tuple[AnnotatedSlice, Lesson]]:
    """The parts in which a person's prompts will show a slice: all of them, or the first and one of the others in turn."""
    shape_rc, spacing_rc_mm = one.encoder.stack.frame_shape_rc, one.encoder.stack.frame_spacing_rc_mm
    crops: dict[Box2D, tuple[str, tuple[str, ...]]] = {}
    if spot is not None:
        crops[policy.crop_around(one.box, shape_rc, spacing_rc_mm)] = ("box", ("box", "point", "both"))
        for row, col in (deepest_pixel(one.mask), spot):
            crops.setdefault(policy.crop_around_click(row, col, size_mm, shape_rc, spacing_rc_mm), ("click", ("point", "none")))
    if union is not None:
        crops.setdefault(policy.crop_around(union, shape_rc, spacing_rc_mm), ("union", ("none", "box", "point")))
    crops.setdefault(policy.whole_slice(shape_rc, spacing_rc_mm), ("whole", ("none", "point", "box")))
    shown = list(crops.items())
    if turn is not None and len(shown) > 1:
        shown = [shown[0], shown[1 + turn % (len(shown) - 1)]]
    for crop, (name, kinds) in shown:
        weight = _WEIGHTS[name] * (DRAWN_WEIGHT if one.drawn else 1.0)
        yield one, Lesson(one.encoder.embedding(one.position, crop), cut(one.mask, crop), kinds, one.place, one.position, (), weight)
