"""How well a run from slice to slice goes with each share of what was learned, on slices held out. Imports engine, propagation, `shares`.

One step from a slice that a person drew tells little: the next slice looks much the same. What counts is how far a run goes astray, so a
volume that is held out as a whole is run through from its middle to both ends, as the product does from the prompt. A run that nobody
corrects goes astray farther than a person lets it: masks that a person would not take are corrected on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ..engine import Adapter, SegmentationEngine
from ..geometry import Extent
from ..prompts import SlicePrompt
from ..propagation import RegionPolicy, SliceEncoder
from ..propagation.growing_view import GrowingView
from ..propagation.signed_distance import overlap as dice
from .annotated_slice import AnnotatedSlice
from .shares import ALL, HALF, NOTHING, PairedScore
from .volumes import middle_of, remembered_beside, same_volume, volumes_of

# A mask of at most this DSC is corrected, as by the readers of `simulation`.
_CORRECTED_BELOW = 0.8


def run_scores(
    held: Sequence[AnnotatedSlice],
    others: Sequence[AnnotatedSlice],
    engine: SegmentationEngine,
    adapter: Adapter,
    policy: RegionPolicy,
    ask: Callable[[], None],
) -> Iterator[PairedScore]:
    """One score of the kind ``memory`` for each held-out slice that a run comes to.

    Args:
        held: slices that hold the object. Of a volume of which nothing else is known, one of them is taken as known.
        others: slices that were learned from. A held-out slice among them is reached from the nearest one on one side.
        engine: the model as it came.
        adapter: what was learned from the others.
        policy: which part of a slice the model sees.
        ask: called before each slice; raises to stop.
    """
    shared = {share: replace(adapter.card, serves=("memory",), blend={"memory": share}) for share in (HALF, ALL)}
    engines = {NOTHING: engine, **{share: engine.with_adapter(Adapter(adapter.tensors, card)) for share, card in shared.items()}}
    for start, wanted in _runs(held, others):
        found: dict[float, dict[int, float]] = {}
        for share, taught in engines.items():
            found[share] = _run(start, wanted, start.encoder.with_engine(taught), policy, ask)
        for one in wanted:
            yield PairedScore("memory", one.position, {share: scores[one.position] for share, scores in found.items()})


def _runs(held: Sequence[AnnotatedSlice], others: Sequence[AnnotatedSlice]) -> Iterator[tuple[AnnotatedSlice, list[AnnotatedSlice]]]:
    """Slices that runs depart from, each with the held-out slices that it comes to, nearest first."""
    for volume in volumes_of(held):
        if any(other.holds_object and same_volume(other, volume[0]) for other in others):
            for one in volume:
                for start in remembered_beside(one, others)[:1]:
                    yield start, [one]
            continue
        start = middle_of(volume)
        for side in (-1, 1):
            wanted = sorted((one for one in volume if side * (one.position - start.position) > 0), key=lambda one: side * one.position)
            if wanted:
                yield start, wanted


def _run(
    start: AnnotatedSlice, wanted: Sequence[AnnotatedSlice], encoder: SliceEncoder, policy: RegionPolicy, ask: Callable[[], None]
) -> dict[int, float]:
    """DSC by position of the masks that a run from a known slice proposes, each corrected before the run goes on if it has to be."""
    truths = {one.position: one.mask for one in wanted}
    last = wanted[-1].position
    step = 1 if last > start.position else -1
    extent = start.extent or Extent(min(start.position, *truths), max(start.position, *truths))
    known = SlicePrompt(mask=start.mask)
    view = GrowingView(encoder, policy, [known], None, step < 0, extent=extent)
    view.condition(start.position, known, start.mask)
    scores = {}
    for position in range(start.position + step, last + step, step):
        ask()
        mask = view.step(position).mask
        if position not in truths:
            continue
        scores[position] = dice(mask, truths[position])
        if scores[position] <= _CORRECTED_BELOW and position != last:
            view.condition(position, SlicePrompt(mask=truths[position]), truths[position])
    return scores
