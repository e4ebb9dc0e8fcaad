"""From annotated slices to lessons: what a model is shown to learn from. Imports engine, propagation, prompts, geometry.

They are the parts that it will be asked about: around a box, around a click (as large as the object is), around all annotated slices of the
volume, as a pass through it shows them, and the whole slice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from ..engine import Embedding, Lesson, Recollection, SegmentationEngine
from ..geometry import Box2D, Extent
from ..prompts import SlicePrompt
from ..propagation import RegionPolicy, SliceEncoder
from ..propagation.growing_view import GrowingView
from ..propagation.region_of_interest import cut
from .annotated_slice import AnnotatedSlice

# How often each part is drawn, against the others.
_WEIGHTS = {"box": 3.0, "click": 2.0, "union": 2.0, "whole": 1.0}
# What a person drew is drawn so many times as often as what was accepted as it was proposed.
_DRAWN_WEIGHT = 3.0
# Slices farther apart than this are not learned from each other's memory: the object may have become another one between them.
MEMORY_REACH = 3
# Of more slices than this, each is shown in two parts only: together they show enough of all.
_MANY_SLICES = 24
# Of several volumes, slices are shown up to twice more, so often in all, as another scanner or another hand would have them: larger or
# smaller, shifted by up to so much of the side, darker or brighter.
_MOST_LOOKS, _LOOK_SCALES, _LOOK_SHIFT, _LOOK_GAMMA = 96, (0.85, 1.25), 0.1, 0.35
# So many volumes are run through at most for lessons of runs: that takes the model about as long as some steps of learning each.
_MOST_RUN_VOLUMES = 2

_Thing = TypeVar("_Thing")


def thinned(slices: Sequence[AnnotatedSlice], most: int) -> list[AnnotatedSlice]:
    """At most so many slices, spread evenly over those that hold the object and over the others."""
    present, absent = ([one for one in slices if one.holds_object is there] for there in (True, False))
    room = max(1, min(len(absent), most // 4)) if absent else 0
    pairs = [present[start : start + 2] for start in range(0, len(present), 2)]  # neighbors stay together: one is remembered for the other
    kept = present if len(present) <= most - room else [one for pair in _spread(pairs, (most - room) // 2) for one in pair]
    return [*kept, *_spread(absent, room)]


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


def lessons_of(slices: Sequence[AnnotatedSlice], policy: RegionPolicy, rng: np.random.Generator) -> Iterator[tuple[AnnotatedSlice, Lesson]]:
    """Lessons, each with its slice; encodes what is not encoded yet, one embedding a lesson.

    The memory of the slice beside is learned from several volumes alone: in one volume SAM 2's own memory of it is as good.

    Args:
        slices: of one or several volumes; at least one holds the object.
        policy: which part of a slice the model sees.
        rng: draws the clicks that parts are shown around.
    """
    size_mm = object_size_mm(slices)
    several = any(not same_volume(one, slices[0]) for one in slices)
    for number, one in enumerate(slices):
        shape_rc, spacing_rc_mm = one.encoder.stack.frame_shape_rc, one.encoder.stack.frame_spacing_rc_mm
        union = union_box(slices, one.encoder)
        crops: dict[Box2D, tuple[str, tuple[str, ...]]] = {}
        if one.holds_object:
            crops[policy.crop_around(one.box, shape_rc, spacing_rc_mm)] = ("box", ("box", "point", "both"))
            for row, col in (deepest_pixel(one.mask), np.argwhere(one.mask)[rng.integers(int(one.mask.sum()))]):
                around = policy.crop_around_click(int(row), int(col), size_mm, shape_rc, spacing_rc_mm)
                crops.setdefault(around, ("click", ("point", "none")))
        if union is not None:
            crops.setdefault(policy.crop_around(union, shape_rc, spacing_rc_mm), ("union", ("none", "box", "point")))
        crops.setdefault(policy.whole_slice(shape_rc, spacing_rc_mm), ("whole", ("none", "point", "box")))
        weight = _DRAWN_WEIGHT if one.drawn else 1.0
        shown = list(crops.items())
        if len(slices) > _MANY_SLICES:  # each its first part, and of the others one in turn
            shown = [shown[0], *([shown[1 + number % (len(shown) - 1)]] if len(shown) > 1 else [])]
        for crop, (name, kinds) in shown:
            mask = cut(one.mask, crop)
            embedding = one.encoder.embedding(one.position, crop)
            yield one, Lesson(embedding, mask, kinds, one.place, one.position, (), weight * _WEIGHTS[name])
        if union is None or not several:
            continue
        known = [other for other in slices if other.holds_object and same_volume(other, one)]
        start = known[int(rng.integers(len(known)))]
        crop = run_crop(one, start, size_mm, policy)
        yield one, Lesson(one.encoder.embedding(one.position, crop), cut(one.mask, crop), ("none",), one.place, one.position, (), weight)
        for _ in range(int(min(2.0, _MOST_LOOKS / len(slices)) + rng.random())):
            near = _near(crop, rng)
            yield one, Lesson(_look(one, near, rng), cut(one.mask, near), ("none",), one.place, one.position, (), weight)
        for other in remembered_beside(one, slices):
            crop = run_crop(one, other, size_mm, policy)
            embedding = one.encoder.embedding(one.position, crop)
            memory = (recollection_of(other, one, crop),)
            yield one, Lesson(embedding, cut(one.mask, crop), ("none",), one.place, one.position, memory, weight)


def lessons_of_runs(
    slices: Sequence[AnnotatedSlice], engine: SegmentationEngine, policy: RegionPolicy, rng: np.random.Generator
) -> Iterator[tuple[AnnotatedSlice, Lesson]]:
    """Lessons of memory as runs of this engine have it: what it remembers of the slice beside is its own mask, errors and all.

    Who learns from masks that a person is done with alone learns to copy them, and goes astray once the slice beside is a proposal.

    Args:
        slices: of several volumes. The last one and some others are run through, from the middle to both ends and from anywhere to one.
        engine: with what was learned until now.
        policy: which part of a slice the model sees.
        rng: draws the others, and that other slice.
    """
    left, volumes = [one for one in slices if one.holds_object], []
    while left:
        volumes.append(sorted((one for one in left if same_volume(one, left[0])), key=lambda one: one.position))
        left = [one for one in left if not same_volume(one, volumes[-1][0])]
    earlier = rng.permutation(len(volumes) - 1)[: _MOST_RUN_VOLUMES - 1]
    for volume in (*(volumes[number] for number in earlier), volumes[-1]):
        middle = middle_of(volume)
        other = volume[int(rng.integers(len(volume)))]
        for start, side in ((middle, -1), (middle, 1), (other, -1 if rng.random() < 0.5 else 1)):
            yield from _run_lessons(start, side, volume, engine, policy)


def _run_lessons(
    start: AnnotatedSlice, side: int, volume: Sequence[AnnotatedSlice], engine: SegmentationEngine, policy: RegionPolicy
) -> Iterator[tuple[AnnotatedSlice, Lesson]]:
    wanted = {one.position: one for one in volume if side * (one.position - start.position) > 0}
    if not wanted:
        return
    ends = min(start.position, *wanted), max(start.position, *wanted)
    known = SlicePrompt(mask=start.mask)
    view = GrowingView(start.encoder.with_engine(engine), policy, [known], None, side < 0, extent=start.extent or Extent(*ends))
    view.condition(start.position, known, start.mask)
    beside, said = start.position, start.mask
    for position in range(start.position + side, (ends[1] if side > 0 else ends[0]) + side, side):
        seen = view.step(position)
        if position in wanted and (beside in wanted or beside == start.position):  # as all lessons of memory, between annotated slices
            one, crop = wanted[position], seen.crop
            memory = Recollection(beside - position, one.encoder.embedding(beside, crop), cut(said, crop))
            weight = _DRAWN_WEIGHT if one.drawn else 1.0
            yield (
                one,
                Lesson(one.encoder.embedding(position, crop), cut(one.mask, crop), ("none",), one.place, position, (memory,), weight),
            )
        if seen.mask.any():
            beside, said = position, seen.mask


def middle_of(volume: Sequence[AnnotatedSlice]) -> AnnotatedSlice:
    """Of slices of one volume that hold the object, the one nearest to its center of mass."""
    middle = float(np.average([one.position for one in volume], weights=[int(one.mask.sum()) for one in volume]))
    return min(volume, key=lambda one: (abs(one.position - middle), one.position))


def _near(crop: Box2D, rng: np.random.Generator) -> Box2D:
    """A crop that differs by a little."""
    scale = rng.uniform(*_LOOK_SCALES)
    ends = []
    for start, stop in ((crop.row_start, crop.row_stop), (crop.col_start, crop.col_stop)):
        count = max(2, round((stop - start) * scale))
        first = round((start + stop) / 2 + rng.uniform(-_LOOK_SHIFT, _LOOK_SHIFT) * (stop - start) - count / 2)
        ends.append((first, first + count))
    return Box2D(*ends[0], *ends[1])


def _look(one: AnnotatedSlice, crop: Box2D, rng: np.random.Generator) -> Embedding:
    """The slice in this crop, a little darker or brighter; not kept, as nobody else asks for it."""
    gray = one.encoder.picture(one.position, crop).astype(np.float32) / 255
    changed = rng.uniform(0.9, 1.1) * gray ** np.exp(rng.uniform(-_LOOK_GAMMA, _LOOK_GAMMA))
    return one.encoder.engine.encode(np.rint(255 * np.clip(changed, 0, 1)).astype(np.uint8))


def same_volume(one: AnnotatedSlice, other: AnnotatedSlice) -> bool:
    """Whether two slices are of one volume, sliced alike."""
    return one.encoder.volume is other.encoder.volume and one.encoder.stack == other.encoder.stack


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


def run_crop(one: AnnotatedSlice, other: AnnotatedSlice, size_mm: float, policy: RegionPolicy) -> Box2D:
    """What a run through the volume that departs from another slice shows of this one: around the object there, at the scale of an object
    of this size, and more where it has grown beyond."""
    stack = one.encoder.stack
    shape_rc, spacing_rc_mm = stack.frame_shape_rc, stack.frame_spacing_rc_mm
    crop = policy.crop_around(other.box, shape_rc, spacing_rc_mm, at_least_mm=policy.side_for(size_mm, spacing_rc_mm))
    return policy.grown(crop, one.box, shape_rc, spacing_rc_mm) if one.holds_object else crop


def recollection_of(other: AnnotatedSlice, one: AnnotatedSlice, crop: Box2D) -> Recollection:
    """The other slice as `one` remembers it, in its crop."""
    return Recollection(other.position - one.position, other.encoder.embedding(other.position, crop), cut(other.mask, crop))
