"""What an annotator leaves behind on a volume, as something to learn from. Imports simulation and adaptation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from ..adaptation import AnnotatedSlice
from ..simulation.bench import Bench
from ..simulation.reader import MaskMemory

# Slices beyond each end that teach that the object is not there: the person has marked the ends.
BEYOND = 3


@dataclass(frozen=True, eq=False)
class SeriesCase:
    """One object on one volume, before anybody has annotated it.

    Args:
        name: of the case.
        bench: the volume with the model as it came.
        memory: scores and hand corrections of the object's masks.
        new_rng: gives a generator in the same state each time; draws the jitter of the prompt.
    """

    name: str
    bench: Bench
    memory: MaskMemory
    new_rng: Callable[[], np.random.Generator]


def taught_slices(
    case: SeriesCase, masks: Mapping[int, np.ndarray], roi: str, drawn: Collection[int] | None = None
) -> list[AnnotatedSlice]:
    """Locked slices of a volume, and the slices just beyond the marked ends, which do not show the object.

    Args:
        case: the object and its volume.
        masks: (rows, cols) bool by position, of the locked slices.
        roi: what the model sees, see `RegionPolicy`.
        drawn: positions of those that were drawn or corrected; None for all.
    """
    truth = case.memory.truth
    encoder = case.bench.encoder(truth, roi)
    own = set(masks if drawn is None else drawn)
    found = [AnnotatedSlice(encoder, position, mask, truth.extent, position in own) for position, mask in sorted(masks.items())]
    nothing = np.zeros(encoder.stack.frame_shape_rc, dtype=bool)
    first, last = truth.extent.first, truth.extent.last
    beyond = [*range(max(0, first - BEYOND), first), *range(last + 1, min(encoder.slice_count, last + 1 + BEYOND))]
    return [*found, *(AnnotatedSlice(encoder, position, nothing, truth.extent) for position in beyond)]
