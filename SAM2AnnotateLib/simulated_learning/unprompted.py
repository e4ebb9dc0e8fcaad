"""Study B, "auto": slices that nobody annotated, by a method that is given a few. Imports simulation, adaptation, auto_prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..adaptation import AnnotatedSlice
from ..auto_prompts import MOST_DOUBT, AutoPrompter, DecoderOptions, LearnedDecoder, SapOptions, SapPrompter, ThresholdCarrying
from ..errors import InputError
from ..metrics import dice
from ..propagation import RegionPolicy
from .annotated import SeriesCase

# So many slices beyond each end of the object are asked about, from this far off: the very ends are a matter of taste.
_ASKED_BEYOND, _CLEAR_OF_ENDS = 10, 3
# SAP-Net's parts as study B adds them, one after another; the last one is all of it.
_LADDER = {
    "sap_prototypes": SapOptions(network={"sigma": None, "false_positive_share": None}, keep_parts=None, elsewhere=False, final="model"),
    "sap_position": SapOptions(network={"false_positive_share": None}, keep_parts=None, elsewhere=False, final="model"),
    "sap_biased": SapOptions(keep_parts=None, elsewhere=False, final="model"),
    "sap_net": SapOptions(elsewhere=False, final="model"),
}


@dataclass(frozen=True)
class UnpromptedScores:
    """What a method gave for the slices that were not annotated.

    Args:
        slices: that show the object and were asked about.
        dsc: mean over them, 0..1.
        found: share of them that the method believes in, of doubt up to 0.5.
        absent: slices without the object that were asked about.
        absent_told: share of these that came empty or with a doubt above 0.5; None if there was none.
    """

    slices: int
    dsc: float
    found: float
    absent: int
    absent_told: float | None


def prompter_of(method: str, roi: str) -> AutoPrompter:
    """A method of study B's table by its name in the configuration. Raises InputError."""
    policy = RegionPolicy.parse(roi)
    if method == "threshold":
        return ThresholdCarrying(policy)
    if method == "learned":
        return LearnedDecoder(policy, DecoderOptions(elsewhere=False))
    if method in _LADDER:
        return SapPrompter(policy, _LADDER[method])
    raise InputError(f"Unknown method without a prompt '{method}': expected one of threshold, learned, {', '.join(_LADDER)}.")


def unprompted_scores(case: SeriesCase, prompter: AutoPrompter, taught: Sequence[int], asked: Sequence[int], roi: str) -> UnpromptedScores:
    """Give a method some slices as the truth has them, and ask it about others of the volume.

    Args:
        case: the object on its volume.
        prompter: the method, fitted here.
        taught: positions that it is given.
        asked: positions that show the object.
        roi: what the model sees, see `RegionPolicy`.
    """
    truth = case.memory.truth
    encoder = case.bench.encoder(truth, roi)
    for _ in prompter.fit([AnnotatedSlice(encoder, position, truth.frame(position), truth.extent) for position in taught]):
        pass
    first, last = truth.extent.first, truth.extent.last
    below = range(max(0, first - _CLEAR_OF_ENDS - _ASKED_BEYOND), max(0, first - _CLEAR_OF_ENDS))
    above = range(last + 1 + _CLEAR_OF_ENDS, min(encoder.slice_count, last + 1 + _CLEAR_OF_ENDS + _ASKED_BEYOND))
    absent = [*below, *above]
    proposals = {one.position: one for one in prompter.propose(encoder, sorted({*asked, *absent}))}
    dsc = [dice(proposals[position].result.mask, truth.frame(position)) for position in asked]
    told = [not proposals[position].result.mask.any() or proposals[position].doubt > MOST_DOUBT for position in absent]
    return UnpromptedScores(
        len(asked),
        float(np.mean(dsc)),
        float(np.mean([proposals[position].found for position in asked])),
        len(absent),
        float(np.mean(told)) if told else None,
    )
