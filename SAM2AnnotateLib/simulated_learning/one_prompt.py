"""Study E: a prompt on every volume against one for the data set. Imports simulation, adaptation, prototypes.

On the volumes that become prototypes a person has annotated the object; on all others it is proposed, nobody marks anything there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..adaptation import AnnotatedSlice, LearningOptions, learn, learned
from ..engine import Adapter
from ..propagation import RegionPolicy
from ..prototypes import ProposedObject, Prototype, drained, encoder_for, propose, prototype_from
from ..simulation.acceptance import Acceptance
from ..simulation.simulate import simulate
from ..simulation.workflow import Workflow
from .annotated import SeriesCase, taught_slices


@dataclass(frozen=True)
class VolumeProposal:
    """How an object was found on a volume.

    Args:
        found: whether it was.
        dsc, jaccard: of the object in 3-D, 0..1.
        first_error, last_error: slices by which the proposed ends miss the truth's, positive towards the end of the stack; None if the ends
            were given, or nothing was found.
        prompts: gestures that a person made on this volume: boxes, points, marked ends.
    """

    found: bool
    dsc: float
    jaccard: float
    first_error: int | None
    last_error: int | None
    prompts: int


def prompted(case: SeriesCase, workflow: Workflow) -> VolumeProposal:
    """The workflow's prompt and the marked ends, propagated; nothing is corrected."""
    done = simulate(case.bench, case.memory, workflow, Acceptance(), case.new_rng())
    case.bench.engine.forget()
    return replace(_scored(case, done.masks, None), prompts=done.effort.boxes + done.effort.points + 2)


def proposed(case: SeriesCase, prototypes: Sequence[Prototype], roi: str) -> VolumeProposal:
    """What the prototypes propose on a volume."""
    encoder = encoder_for(case.bench.volume, case.bench.engine, prototypes)
    outcome = drained(propose(encoder, prototypes, RegionPolicy.parse(roi)))
    if not isinstance(outcome, ProposedObject):
        return VolumeProposal(False, 0.0, 0.0, None, None, 0)
    return _scored(
        case, {position: result.mask for position, result in outcome.results.items()}, (outcome.extent.first, outcome.extent.last)
    )


def prototypes_of(cases: Sequence[SeriesCase], name: str, axis: str, window: str, adapter: Adapter | None = None) -> list[Prototype]:
    """Prototypes of whole annotated objects, one a volume.

    Args:
        cases: the volumes.
        name: of the object.
        axis, window: as of `prototype_from`.
        adapter: what was learned from them, for all.
    """
    found = []
    for case in cases:
        truth, stack = case.memory.truth, case.bench.stack
        mask_kji = np.zeros(case.bench.volume.grid.shape_kji, dtype=bool)
        frames = stack.view(mask_kji)
        for position in truth.extent.indices:
            frames[position] = truth.frame(position)
        one = prototype_from(case.bench.volume, mask_kji, name, axis, window)
        found.append(one if adapter is None else replace(one, adapter=adapter))
    return found


def learned_from_volumes(cases: Sequence[SeriesCase], name: str, roi: str, options: LearningOptions) -> Adapter | None:
    """Learn from whole annotated objects; None if the model as it came is better."""
    slices: list[AnnotatedSlice] = []
    for case in cases:
        truth = case.memory.truth
        slices += taught_slices(case, {position: truth.frame(position) for position in truth.extent.indices}, roi)
    return learned(learn(slices, object_name=name, policy=RegionPolicy.parse(roi), options=options)).adapter


def _scored(case: SeriesCase, masks: dict[int, np.ndarray], ends: tuple[int, int] | None) -> VolumeProposal:
    truth = case.memory.truth
    both = only = 0
    for position in {*masks, *truth.extent.indices}:
        frame, mask = truth.frame(position), masks.get(position)
        if mask is None:
            only += int(np.count_nonzero(frame))
            continue
        both += int(np.count_nonzero(mask & frame))
        only += int(np.count_nonzero(mask ^ frame))
    first = None if ends is None else ends[0] - truth.extent.first
    last = None if ends is None else ends[1] - truth.extent.last
    return VolumeProposal(True, 2 * both / (2 * both + only), both / (both + only), first, last, 0)
