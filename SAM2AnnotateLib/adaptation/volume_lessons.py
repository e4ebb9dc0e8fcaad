"""Lessons of several volumes: what a run through a volume sees, slice after slice. Imports engine, propagation, geometry, `volumes`.

A run shows every slice of a volume in one crop and remembers the slice beside. So does a lesson: each volume is shown in a few *looks*, the
crop of a run from its middle and some that are near it, and every annotated slice of a look is asked about without a prompt, with a
box or a click, and with the slice beside in memory. All of a look's slices share their embeddings: one is encoded once, however many
lessons it stands in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..engine import Embedding, Lesson, Recollection, SegmentationEngine
from ..geometry import Box2D, Extent
from ..prompts import SlicePrompt
from ..propagation import RegionPolicy, SliceEncoder
from ..propagation.growing_view import GrowingView
from ..propagation.region_of_interest import cut
from .annotated_slice import AnnotatedSlice
from .volumes import middle_of, remembered_beside, volumes_of

# Encodes one slice in one way, and gives the lessons that this teaches, each with its slice.
Showing = Callable[[], Iterator[tuple[AnnotatedSlice, Lesson]]]

# What a person drew is drawn so many times as often as what was accepted as it was proposed.
DRAWN_WEIGHT = 3.0
# Slices are shown up to twice more, as another scanner or another hand would have them: larger or smaller, shifted by up to so much of
# the side, darker or brighter. Of many slices only so many in all: each is a picture to encode.
_FURTHER_LOOKS, _MOST_FURTHER_PICTURES = 2, 320
_LOOK_SCALES, _LOOK_SHIFT, _LOOK_GAIN, _LOOK_GAMMA = (0.85, 1.25), 0.1, 0.1, 0.35
# So many volumes are run through at most for lessons of runs: that takes the model about as long as some steps of learning each.
_MOST_RUN_VOLUMES = 2


@dataclass(frozen=True)
class _Look:
    """How a volume is shown, all of its slices alike.

    Args:
        scale: of the crop's side.
        shift_rc: of its center, in sides.
        gain, gamma: of the gray values.
    """

    scale: float = 1.0
    shift_rc: tuple[float, float] = (0.0, 0.0)
    gain: float = 1.0
    gamma: float = 1.0

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> _Look:
        """One that differs by a little."""
        row, col = rng.uniform(-_LOOK_SHIFT, _LOOK_SHIFT, 2).tolist()
        gain, gamma = rng.uniform(1 - _LOOK_GAIN, 1 + _LOOK_GAIN), math.exp(rng.uniform(-_LOOK_GAMMA, _LOOK_GAMMA))
        return cls(rng.uniform(*_LOOK_SCALES), (row, col), gain, gamma)

    def crop(self, crop: Box2D) -> Box2D:
        """That crop as this look has it."""
        if self == _Look():
            return crop
        ends = []
        for start, stop, shift in zip((crop.row_start, crop.col_start), (crop.row_stop, crop.col_stop), self.shift_rc, strict=True):
            count = max(2, round((stop - start) * self.scale))
            first = round((start + stop) / 2 + shift * (stop - start) - count / 2)
            ends.append((first, first + count))
        return Box2D(*ends[0], *ends[1])

    def embedding(self, encoder: SliceEncoder, position: int, crop: Box2D) -> Embedding:
        """A slice in a crop of this look; kept by the encoder only as it is, as nobody else asks for the others."""
        if self == _Look():
            return encoder.embedding(position, crop)
        gray = encoder.picture(position, crop).astype(np.float32) / 255
        changed = self.gain * gray**self.gamma
        return encoder.engine.encode(np.rint(255 * np.clip(changed, 0, 1)).astype(np.uint8))


class _Shown:
    """A volume in one look: lessons of each of its slices, on embeddings that they share.

    Args:
        volume: annotated slices of one volume by rising position; one at least holds the object.
        look: how it is shown.
        size_mm, policy: as of `lessons_of_volumes`.
    """

    def __init__(self, volume: Sequence[AnnotatedSlice], look: _Look, size_mm: float, policy: RegionPolicy):
        self._volume, self._look, self._policy = volume, look, policy
        self._whole = run_crop(middle_of([one for one in volume if one.holds_object]), size_mm, policy)
        self._encoded: dict[tuple[int, Box2D], Embedding] = {}

    def lessons(self, one: AnnotatedSlice) -> Iterator[tuple[AnnotatedSlice, Lesson]]:
        """Without memory, and with each slice beside in memory."""
        crop = self._look.crop(_holding(self._whole, one, self._policy))
        mask, embedding = cut(one.mask, crop), self._embedding(one, crop)
        weight = DRAWN_WEIGHT if one.drawn else 1.0
        yield one, Lesson(embedding, mask, ("none", "box", "point", "both"), one.place, one.position, (), weight)
        for other in remembered_beside(one, self._volume):
            known = cut(other.mask, crop)
            if known.any():
                memory = Recollection(other.position - one.position, self._embedding(other, crop), known)
                yield one, Lesson(embedding, mask, ("none",), one.place, one.position, (memory,), weight)

    def _embedding(self, one: AnnotatedSlice, crop: Box2D) -> Embedding:
        found = self._encoded.get((one.position, crop))
        if found is None:
            found = self._encoded[one.position, crop] = self._look.embedding(one.encoder, one.position, crop)
        return found


def lessons_of_volumes(slices: Sequence[AnnotatedSlice], size_mm: float, policy: RegionPolicy, rng: np.random.Generator) -> list[Showing]:
    """Lessons of every slice of some volumes, as showings of slices one after another.

    Args:
        slices: of several volumes.
        size_mm: typical longer side of the object: it sets the scale, as it will for runs.
        policy: which part of a slice the model sees.
        rng: draws the looks.
    """
    volumes = [volume for volume in volumes_of(slices) if any(one.holds_object for one in volume)]
    further = min(float(_FURTHER_LOOKS), _MOST_FURTHER_PICTURES / max(1, sum(len(volume) for volume in volumes)))
    showings: list[Showing] = []
    for volume in volumes:
        for look in (_Look(), *(_Look.drawn(rng) for _ in range(int(further + rng.random())))):
            shown = _Shown(volume, look, size_mm, policy)
            showings += [partial(shown.lessons, one) for one in volume]
    return showings


def run_crop(start: AnnotatedSlice, size_mm: float, policy: RegionPolicy) -> Box2D:
    """What a run through the volume shows that departs from a slice: around the object there, at the scale of an object of this size."""
    shape_rc, spacing_rc_mm = start.encoder.stack.frame_shape_rc, start.encoder.stack.frame_spacing_rc_mm
    return policy.crop_around(start.box, shape_rc, spacing_rc_mm, at_least_mm=policy.side_for(size_mm, spacing_rc_mm))


def _holding(crop: Box2D, one: AnnotatedSlice, policy: RegionPolicy) -> Box2D:
    """The crop, and more where the object has grown beyond it."""
    stack = one.encoder.stack
    return policy.grown(crop, one.box, stack.frame_shape_rc, stack.frame_spacing_rc_mm) if one.holds_object else crop


def lessons_of_runs(
    slices: Sequence[AnnotatedSlice],
    engine: SegmentationEngine,
    policy: RegionPolicy,
    rng: np.random.Generator,
    ask: Callable[[], None] = lambda: None,
) -> Iterator[tuple[AnnotatedSlice, Lesson]]:
    """Lessons of memory as runs of this engine have it: what it remembers of the slice beside is its own mask, errors and all.

    Who learns from masks that a person is done with alone learns to copy them, and goes astray once the slice beside is a proposal.

    Args:
        slices: of several volumes. The last one and some others are run through, from the middle to both ends and from anywhere to one.
        engine: with what was learned until now.
        policy: which part of a slice the model sees.
        rng: draws the others, and that other slice.
        ask: called before each slice, annotated or not; raises to stop.
    """
    volumes = volumes_of([one for one in slices if one.holds_object])
    earlier = rng.permutation(len(volumes) - 1)[: _MOST_RUN_VOLUMES - 1]
    for volume in (*(volumes[number] for number in earlier), volumes[-1]):
        middle = middle_of(volume)
        other = volume[int(rng.integers(len(volume)))]
        for start, side in ((middle, -1), (middle, 1), (other, -1 if rng.random() < 0.5 else 1)):
            yield from _run_lessons(start, side, volume, engine, policy, ask)


def _run_lessons(
    start: AnnotatedSlice,
    side: int,
    volume: Sequence[AnnotatedSlice],
    engine: SegmentationEngine,
    policy: RegionPolicy,
    ask: Callable[[], None],
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
        ask()
        seen = view.step(position)
        if position in wanted and (beside in wanted or beside == start.position):  # as all lessons of memory, between annotated slices
            one, crop = wanted[position], seen.crop
            memory = Recollection(beside - position, one.encoder.embedding(beside, crop), cut(said, crop))
            weight = DRAWN_WEIGHT if one.drawn else 1.0
            yield (
                one,
                Lesson(one.encoder.embedding(position, crop), cut(one.mask, crop), ("none",), one.place, position, (memory,), weight),
            )
        if seen.mask.any():
            beside, said = position, seen.mask
