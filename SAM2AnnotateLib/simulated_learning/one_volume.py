"""One volume by an annotator whose model learns after some corrections of it. Imports simulation, review, adaptation, this room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..adaptation import LearningOptions, learn, learned
from ..annotator import AnnotatedObject
from ..metrics import dice
from ..progress import CancelToken
from ..prompts import SlicePrompt
from ..propagation import RegionPolicy
from ..simulation.acceptance import Acceptance
from ..simulation.first_prompt import first_prompt
from ..simulation.reader import SimulatedReader
from ..simulation.simulate import known_mask, reviewed_one_by_one
from ..simulation.workflow import Workflow
from .annotated import SeriesCase, taught_slices


@dataclass(frozen=True)
class OpenSlice:
    """One slice that is still open when something is learned.

    Args:
        position: in the stack.
        between: whether locked slices lie on both sides of it.
        memory_dsc, learned_dsc: as SAM 2's memory has it, and as it was proposed after learning.
        memory_accepted, learned_accepted: whether the annotator would accept it.
    """

    position: int
    between: bool
    memory_dsc: float
    learned_dsc: float
    memory_accepted: bool
    learned_accepted: bool


@dataclass(frozen=True)
class LearningMoment:
    """The open slices of a volume right before and right after learning from the locked ones.

    Args:
        corrections: slices corrected until then.
        locked: slices accepted or corrected until then.
        kept: whether what was learned was kept; else each open slice is after learning as it was before.
        slices: the others of the extent, at least one.
    """

    corrections: int
    locked: int
    kept: bool
    slices: tuple[OpenSlice, ...]

    @property
    def open_slices(self) -> int:
        """How many there are."""
        return len(self.slices)

    @property
    def memory_dsc(self) -> float:
        """Mean DSC of the open slices, as the model as it came has them by its memory of the locked ones."""
        return self._mean("memory_dsc")

    @property
    def learned_dsc(self) -> float:
        """The same, as they were proposed after learning."""
        return self._mean("learned_dsc")

    @property
    def memory_accepted(self) -> float:
        """Share of them that the annotator would accept as the memory has them."""
        return self._mean("memory_accepted")

    @property
    def learned_accepted(self) -> float:
        """Share of them that the annotator would accept after learning."""
        return self._mean("learned_accepted")

    def _mean(self, name: str) -> float:
        return float(np.mean([getattr(one, name) for one in self.slices]))


@dataclass(frozen=True, eq=False)
class VolumeWithLearning:
    """A volume from its first prompt to its last slice.

    Args:
        masks: final (rows, cols) bool by position.
        moments: when something was learned.
        corrected: slices that were corrected in all.
        reader: the account of every slice.
    """

    masks: dict[int, np.ndarray]
    moments: tuple[LearningMoment, ...]
    corrected: int
    reader: SimulatedReader


def annotate_with_learning(
    case: SeriesCase,
    workflow: Workflow,
    acceptance: Acceptance,
    options: LearningOptions | None,
    learn_after: Sequence[int] = (3, 5),
    cancel: CancelToken | None = None,
) -> VolumeWithLearning:
    """Annotate one volume; after so many corrections, learn from all locked slices and have the open ones proposed anew.

    Locked slices stay as they are. Nothing is learned where no slice is open any more.

    Args:
        case: the object on its volume.
        workflow: how; of the method ``propagation``.
        acceptance: when a mask is taken as it is.
        options: of learning; None never learns.
        learn_after: numbers of corrections, rising.
        cancel: asked before each step of learning.
    """
    truth, bench, rng = case.memory.truth, case.bench, case.new_rng()
    reader = SimulatedReader(case.memory, acceptance, bench.stack.index_of)
    first = first_prompt(
        workflow, truth, bench.stack, lambda prompt: bench.predict(truth, truth.center, prompt, workflow.roi).mask, rng, reader.effort
    )
    item = bench.new_object(truth, first.prompt, workflow.roi, workflow.corrections)
    _compute(item)
    moments: list[LearningMoment] = []
    waiting = list(learn_after) if options is not None else []
    current: int | None = None
    while True:
        for position in reviewed_one_by_one(item, truth, reader, workflow.order, current):
            current = position
            if waiting and _corrected(reader) >= waiting[0]:
                break
        else:
            break
        waiting.pop(0)
        open_slices = [position for position in truth.extent.indices if position not in item.review.locked]
        if not open_slices or options is None:
            break
        _compute(item)
        by_memory = _as_it_came(item, case, first.prompt, workflow)
        before = {position: known_mask(by_memory, position) for position in open_slices}
        locked = {position: known_mask(item, position) for position in item.review.locked}
        drawn = [position for position, one in reader.reviewed.items() if one.corrected]
        taught = taught_slices(case, locked, workflow.roi, drawn)
        outcome = learned(learn(taught, policy=RegionPolicy.parse(workflow.roi), options=options, cancel=cancel))
        if outcome.adapter is not None:
            changed = case.bench.with_adapter(outcome.adapter)
            item = _moved(item, changed.new_object(truth, first.prompt, workflow.roi, workflow.corrections))
            _compute(item)
        after = {position: known_mask(item, position) for position in open_slices}
        moments.append(_moment(case, acceptance, reader, before, after, outcome.adapter is not None))
    masks = {position: known_mask(item, position) for position in truth.extent.indices}
    return VolumeWithLearning(masks, tuple(moments), _corrected(reader), reader)


def _compute(item: AnnotatedObject) -> None:
    for _ in item.propagate():
        pass


def _as_it_came(item: AnnotatedObject, case: SeriesCase, prompt: SlicePrompt, workflow: Workflow) -> AnnotatedObject:
    """The same review with the model as it came: itself, or a copy whose open slices are computed anew."""
    if item.annotator.engine.adapter is None:
        return item
    copy = _moved(item, case.bench.new_object(case.memory.truth, prompt, workflow.roi, workflow.corrections))
    _compute(copy)
    return copy


def _moved(item: AnnotatedObject, to: AnnotatedObject) -> AnnotatedObject:
    """The review goes on with another model; what is not locked is proposed anew, where passes took or take what was learned."""
    to.review.restore(item.review.snapshot())
    adapters = [one.annotator.engine.adapter for one in (item, to)]
    if any(one is not None and one.card.in_passes for one in adapters):
        to.review.outdate_all()
    return to


def _corrected(reader: SimulatedReader) -> int:
    return sum(one.corrected for one in reader.reviewed.values())


def _moment(
    case: SeriesCase,
    acceptance: Acceptance,
    reader: SimulatedReader,
    before: dict[int, np.ndarray],
    after: dict[int, np.ndarray],
    kept: bool,
) -> LearningMoment:
    truth = case.memory.truth
    known = [position for position in truth.extent.indices if position not in before]
    accepts = lambda position, mask: acceptance.accepts(case.memory.score(position, mask))  # noqa: E731
    slices = tuple(
        OpenSlice(
            position,
            known[0] < position < known[-1],
            _dice(before[position], truth.frame(position)),
            _dice(after[position], truth.frame(position)),
            accepts(position, before[position]),
            accepts(position, after[position]),
        )
        for position in sorted(before)
    )
    return LearningMoment(_corrected(reader), len(known), kept, slices)


def _dice(mask: np.ndarray, truth: np.ndarray) -> float:
    """1 where neither has a pixel: the slice is right as it is."""
    return 1.0 if not mask.any() and not truth.any() else dice(mask, truth)
