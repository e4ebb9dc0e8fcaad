"""How good a model is on slices that it did not learn from, asked as a person would. Imports engine, propagation and prompts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..engine import SegmentationEngine
from ..geometry import Box2D
from ..prompts import Point, SlicePrompt
from ..propagation import RegionPolicy
from ..propagation.propagate import predict_slice
from ..propagation.region_of_interest import paste
from ..propagation.signed_distance import overlap as dice
from .annotated_slice import AnnotatedSlice
from .lessons import deepest_pixel, union_box

PROMPTED_KINDS = ("box", "point")


def folds_of(slices: Sequence[AnnotatedSlice], most: int) -> list[list[AnnotatedSlice]]:
    """The slices in turns, each held out once: at most `most` turns, each leaving others to learn from; neighbors in different turns."""
    count = min(most, len(slices))
    return [list(slices[start::count]) for start in range(count)]


def scores_of(
    held: Sequence[AnnotatedSlice], engine: SegmentationEngine, policy: RegionPolicy, others: Sequence[AnnotatedSlice]
) -> list[tuple[str, float]]:
    """(kind of prompt, DSC) of each held-out slice: a tight box, one click deep inside, and no prompt if the engine has an adapter.

    Args:
        held: slices that hold the object.
        engine: asked.
        policy: which part of a slice the model sees.
        others: known slices; without a prompt the model is shown the part of the slice that they mark in the same volume.
    """
    found = []
    for one in held:
        encoder = one.encoder.with_engine(engine)
        row, col = deepest_pixel(one.mask)
        for kind, prompt in (("box", SlicePrompt(box=one.box)), ("point", SlicePrompt(points=(Point(row, col),)))):
            found.append((kind, dice(predict_slice(encoder, one.position, prompt, policy).mask, one.mask)))
        if engine.adapter is not None:
            crop = promptless_crop(one, others, policy)
            prediction = engine.propose(encoder.embedding(one.position, crop), crop.shape_rc, one.place)
            found.append(("none", dice(paste(prediction.mask, crop, one.mask.shape), one.mask)))
    return found


def mean_by_kind(rows: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Mean DSC of each kind."""
    return {kind: float(np.mean([value for other, value in rows if other == kind])) for kind in sorted({kind for kind, _ in rows})}


def promptless_crop(one: AnnotatedSlice, others: Sequence[AnnotatedSlice], policy: RegionPolicy) -> Box2D:
    """The part of a slice that is shown where nothing marks the object: around where it is on other slices of the volume, or all."""
    stack = one.encoder.stack
    union = union_box(others, one.encoder)
    if union is None:
        return policy.whole_slice(stack.frame_shape_rc, stack.frame_spacing_rc_mm)
    return policy.crop_around(union, stack.frame_shape_rc, stack.frame_spacing_rc_mm)
