"""Volumes of one object, one after another, by an annotator whose model learns after each. Imports simulation, adaptation, this room.

The question is what a radiologist asks: how many slices need no correction, and does that become more from volume to volume?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..adaptation import AnnotatedSlice, LearningOptions, LearningOutcome, learn, learned
from ..engine import Adapter
from ..progress import CancelToken
from ..propagation import RegionPolicy
from ..simulation.acceptance import Acceptance
from ..simulation.simulate import SimulatedObject, simulate
from ..simulation.workflow import Workflow
from .annotated import SeriesCase, taught_slices


@dataclass(frozen=True, eq=False)
class SeriesVolume:
    """One volume of a series.

    Args:
        number: 1 for the first.
        case: the volume.
        done: how it was annotated.
        adapter: what had been learned before it; None if nothing.
        lesson: what came of learning after it; None if nothing was to be learned any more.
    """

    number: int
    case: SeriesCase
    done: SimulatedObject
    adapter: Adapter | None
    lesson: LearningOutcome | None


def annotate_series(
    cases: Sequence[SeriesCase],
    workflow: Workflow,
    acceptance: Acceptance,
    options: LearningOptions | None,
    *,
    object_name: str = "",
    cancel: CancelToken | None = None,
) -> Iterator[SeriesVolume]:
    """Annotate volume after volume; after each, learn from all slices that were accepted or corrected until then.

    What was learned is used from the next volume on: for the first prompt and for the slices that follow from it. Learning goes on with
    what was learned before, which has not seen the new volume and is held out from it. Where that gave nothing better, it stays.

    Args:
        cases: in the order in which they are annotated; each shows the object.
        workflow: how; of the method ``propagation``.
        acceptance: when a mask is taken as it is.
        options: of learning; None never learns, to compare with.
        object_name: for the adapter's card.
        cancel: asked before each step of learning.

    Raises:
        SAM2AnnotateError: if the model fails, or there is too little to learn from.
    """
    slices: list[AnnotatedSlice] = []
    adapter: Adapter | None = None
    for number, case in enumerate(cases, start=1):
        bench = case.bench if adapter is None else case.bench.with_adapter(adapter)
        done = simulate(bench, case.memory, workflow, acceptance, case.new_rng())
        lesson = None
        if options is not None and number < len(cases):
            drawn = [case.bench.stack.position_of(one.slice_index) for one in done.slices if one.corrected]
            slices += taught_slices(case, done.masks, workflow.roi, drawn)
            policy = RegionPolicy.parse(workflow.roi)
            lesson = learned(learn(slices, object_name=object_name, policy=policy, options=options, start=adapter, cancel=cancel))
        yield SeriesVolume(number, case, done, adapter, lesson)
        if lesson is not None and lesson.adapter is not None:
            adapter = lesson.adapter
        case.bench.engine.forget()
