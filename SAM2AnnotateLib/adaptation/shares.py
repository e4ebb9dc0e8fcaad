"""How much of what was learned an answer takes, by slices held out. Imports engine, propagation, prompts and `held_out`.

Five slices tell too little to choose between all and nothing: the half, where the model as it came has an equal say, is the careful one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..engine import Adapter, SegmentationEngine
from ..engine.lesson_prompts import LessonPrompts
from ..geometry import Box2D
from ..prompts import Point, SlicePrompt
from ..propagation import RegionPolicy
from ..propagation.propagate import predict_slice
from ..propagation.signed_distance import overlap as dice
from .annotated_slice import AnnotatedSlice
from .lessons import deepest_pixel

PROMPTED_KINDS = ("box", "point")
NOTHING, HALF, ALL = 0.0, 0.5, 1.0
# Short runs on fewer slices lose more than what learns from all: a half that loses no more than this there has been better in the end.
_ALLOWED_LOSS = 0.03


@dataclass(frozen=True)
class PairedScore:
    """DSC of one prompt on one held-out slice, with each share of what was learned.

    Args:
        kind: ``box``, ``point`` or ``memory``.
        number: of the slice among those held out.
        by_share: for `NOTHING`, `HALF` and `ALL`.
    """

    kind: str
    number: int
    by_share: Mapping[float, float]


def paired_scores(
    one: AnnotatedSlice,
    engine: SegmentationEngine,
    adapter: Adapter,
    policy: RegionPolicy,
    rng: np.random.Generator,
    draws: int,
    number: int = 0,
) -> Iterator[PairedScore]:
    """Ask about a held-out slice as a person would: a tight box and a click deep inside, then boxes and clicks that are less exact.

    Args:
        one: the slice; it holds the object.
        engine: the model as it came.
        adapter: what was learned from others.
        policy: which part of a slice the model sees.
        rng: draws the boxes and clicks.
        draws: of each kind, the exact one included.
        number: of the slice, for `PairedScore`.
    """
    shared = {share: replace(adapter.card, blend=dict.fromkeys(PROMPTED_KINDS, share)) for share in (HALF, ALL)}
    asked = {NOTHING: engine, **{share: engine.with_adapter(Adapter(adapter.tensors, card)) for share, card in shared.items()}}
    encoders = {share: one.encoder.with_engine(taught) for share, taught in asked.items()}
    for kind, prompt in prompts_on(one.mask, rng, draws):
        masks = {share: predict_slice(encoder, one.position, prompt, policy).mask for share, encoder in encoders.items()}
        yield PairedScore(kind, number, {share: dice(mask, one.mask) for share, mask in masks.items()})


def prompts_on(mask: np.ndarray, rng: np.random.Generator, draws: int) -> Iterator[tuple[str, SlicePrompt]]:
    """(kind, prompt) for a slice: exact ones first, then as `LessonPrompts` draws them, in whole voxels."""
    row, col = deepest_pixel(mask)
    yield "box", SlicePrompt(box=Box2D.around(mask))
    yield "point", SlicePrompt(points=(Point(row, col),))
    drawn = LessonPrompts(mask)
    rows, cols = mask.shape
    for _ in range(draws - 1):
        (left, top), (right, bottom) = drawn.draw(rng, "box", 0)[0]
        row_start, col_start = min(max(round(top), 0), rows - 1), min(max(round(left), 0), cols - 1)
        row_stop, col_stop = (
            min(max(round(end), start + 1), size) for end, start, size in ((bottom, row_start, rows), (right, col_start, cols))
        )
        yield "box", SlicePrompt(box=Box2D(row_start, row_stop, col_start, col_stop))
        ((x, y),) = drawn.draw(rng, "point", 0)[0]
        yield "point", SlicePrompt(points=(Point(int(y), int(x)),))


def share_for(scores: Sequence[PairedScore]) -> float:
    """The share for a kind of prompt, by all that was asked of it on slices held out.

    All of what was learned where that is better than the half, and better than nothing; else the half, unless it is clearly worse than the
    model as it came, by more than chance has it from slice to slice: two answers that err in different places seldom err more together.

    Args:
        scores: of one kind, at least one.
    """
    gains = {share: float(np.mean([one.by_share[share] - one.by_share[NOTHING] for one in scores])) for share in (HALF, ALL)}
    if gains[ALL] >= gains[HALF] and gains[ALL] > 0:
        return ALL
    return HALF if gains[HALF] + _standard_error(scores) >= -_ALLOWED_LOSS else NOTHING


def _standard_error(scores: Sequence[PairedScore]) -> float:
    """Of the mean gain of the half: over slices, as prompts on one slice have much in common; 0 for one slice."""
    slices = sorted({one.number for one in scores})
    gains = [np.mean([one.by_share[HALF] - one.by_share[NOTHING] for one in scores if one.number == number]) for number in slices]
    return float(np.std(gains, ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else 0.0


def mean_of(scores: Sequence[PairedScore], share: float) -> float:
    """Mean DSC with a share of what was learned."""
    return float(np.mean([one.by_share[share] for one in scores]))
