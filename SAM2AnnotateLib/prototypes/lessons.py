"""What there is to learn from prototypes: their slices as a proposal shows them, looked at in several ways. Imports engine, this room."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np

from ..engine import Embedding, Lesson, Place, SegmentationEngine
from ..progress import CancelToken, Progress
from ..propagation import RegionPolicy
from ..propagation.region_of_interest import cut
from .looks import Look
from .prototype import Prototype, PrototypeSlice
from .views import crop_at, crop_side_mm, object_center_rc

_MOST_FURTHER_LOOKS = 4
# Embeddings of all lessons together: further looks are left out, then slices, so that they take no more memory.
_MOST_BYTES = 600 << 20
_KINDS = ("none",)


def lessons_of_prototypes(
    engine: SegmentationEngine, prototypes: Sequence[Prototype], policy: RegionPolicy, seed: int, cancel: CancelToken | None
) -> Generator[Progress, None, list[Lesson]]:
    """The lessons; encodes each look once.

    Args:
        engine: that will learn.
        prototypes: of one object and plane.
        policy: how much is shown around the object.
        seed: of the looks.
        cancel: asked before each look.
    """
    rng = np.random.default_rng(seed)
    side_mm = crop_side_mm(prototypes, policy)
    slices = [(prototype, one) for prototype in prototypes for one in prototype.slices]
    first = _encoded(engine, *slices[0], side_mm, Look())[0]
    looks_each = int(min(1 + _MOST_FURTHER_LOOKS, max(1, _MOST_BYTES // (first.nbytes * len(slices)))))
    most = max(8, _MOST_BYTES // (first.nbytes * looks_each))
    if len(slices) > most:
        slices = [slices[i] for i in np.unique(np.rint(np.linspace(0, len(slices) - 1, most)).astype(int))]
    lessons = []
    for prototype, one in slices:
        for number in range(looks_each):
            if cancel is not None:
                cancel.raise_if_cancelled()
            embedding, mask = _encoded(engine, prototype, one, side_mm, Look() if number == 0 else Look.drawn(rng))
            lessons.append(Lesson(embedding, mask, _KINDS, Place(prototype.place(one.position)), one.position))
            yield Progress(len(lessons), len(slices) * looks_each, "looks encoded")
    return lessons


def _encoded(
    engine: SegmentationEngine, prototype: Prototype, one: PrototypeSlice, side_mm: float, look: Look
) -> tuple[Embedding, np.ndarray]:
    longest = max(side * mm for side, mm in zip(prototype.frame_shape_rc, prototype.frame_spacing_rc_mm, strict=True))
    plain = crop_at(object_center_rc(prototype), min(side_mm, longest), prototype.frame_shape_rc, prototype.frame_spacing_rc_mm)
    crop = look.crop(plain)
    return engine.encode(cut(look.gray(one.picture), crop)), cut(one.mask, crop)
