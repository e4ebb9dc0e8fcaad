"""Simulate a person at work on one object, by any workflow. Imports annotator, review, propagation, prompts, geometry, this room.

Propagation with review runs the very session, propagation and correction code of the panel and the console (`AnnotatedObject`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..annotator import AnnotatedObject
from ..geometry import Box2D
from ..prompts import SlicePrompt
from ..propagation.results import SliceResult
from ..review import SliceStatus
from ..review.doubts import expectation_of, expected_above, next_doubtful, session_doubts
from ..review.expected_dsc import Expectation
from ..review.signals import ShapeMemory, signals_at
from .acceptance import Acceptance
from .bench import Bench
from .effort import Effort, EffortCount
from .first_prompt import first_prompt
from .gestures import jittered_box
from .halves import halves_at
from .interpolation import interpolate_slices
from .objects import StackedTruth
from .reader import MaskMemory, ReviewedSlice, SimulatedReader
from .workflow import Workflow


@dataclass(frozen=True, eq=False)
class SimulatedObject:
    """What a workflow made of an object.

    Args:
        masks: final (rows, cols) bool masks by position, of every slice of the extent.
        slices: as they were reviewed, by rising voxel index.
        effort: what it cost.
        rounds: of a prompt by clicks: the mask (rows, cols) on the center slice after each round.
    """

    masks: dict[int, np.ndarray]
    slices: tuple[ReviewedSlice, ...]
    effort: Effort
    rounds: tuple[np.ndarray, ...] = ()

    @property
    def corrected(self) -> int:
        """Slices that were corrected or drawn."""
        return sum(one.corrected for one in self.slices)


def simulate(bench: Bench, memory: MaskMemory, workflow: Workflow, acceptance: Acceptance, rng: np.random.Generator) -> SimulatedObject:
    """Annotate one object from its first gesture to its last reviewed slice.

    Args:
        bench: the volume and the model.
        memory: of the object.
        workflow: how.
        acceptance: when a mask is taken as it is.
        rng: draws the jitter of boxes and dots. The same state gives the same result.
    """
    reader = SimulatedReader(memory, acceptance, bench.stack.index_of)
    rounds: tuple[np.ndarray, ...] = ()
    if workflow.method == "propagation":
        masks, rounds = _propagation(bench, memory.truth, workflow, reader, rng)
    else:
        run = {"slice_boxes": _slice_boxes, "box_tracking": _box_tracking, "interpolation": _interpolation}[workflow.method]
        masks = run(bench, memory.truth, workflow, reader, rng)
    slices = sorted(reader.reviewed.values(), key=lambda one: one.slice_index)
    return SimulatedObject(masks, tuple(slices), reader.effort.total, rounds)


def by_hand(memory: MaskMemory) -> Effort:
    """What it costs to draw every slice of an object by hand."""
    count = EffortCount(memory.rules.costs)
    count.find_object()
    for position in memory.truth.extent.indices:
        frame = memory.truth.frame(position)
        count.look()
        if frame.any():
            count.outline(frame, memory.spacing_rc_mm)
    return count.total


def outward(truth: StackedTruth) -> tuple[list[int], list[int]]:
    """The positions beside the center slice down to the first slice, and up to the last one: study E's halves without what they share."""
    halves = halves_at(truth.extent, truth.center)
    return list(halves.backward[1:]), list(halves.forward[1:])


def _propagation(
    bench: Bench, truth: StackedTruth, workflow: Workflow, reader: SimulatedReader, rng: np.random.Generator
) -> tuple[dict[int, np.ndarray], tuple[np.ndarray, ...]]:
    """One prompted slice, the memory carries its mask to both ends, then the review; masks by position, and the rounds of clicks."""

    def predict(prompt: SlicePrompt) -> np.ndarray:
        return bench.predict(truth, truth.center, prompt, workflow.roi).mask

    first = first_prompt(workflow, truth, bench.stack, predict, rng, reader.effort)
    item = bench.new_object(truth, first.prompt, workflow.roi, workflow.corrections)
    for _ in item.propagate():
        pass
    if workflow.together:
        _accept_together(item, reader, workflow.together)
    for _ in reviewed_one_by_one(item, truth, reader, workflow.order):
        pass
    if workflow.prompt == "mask":
        reader.was_drawn(truth.center)
    return {position: known_mask(item, position) for position in truth.extent.indices}, first.rounds


def reviewed_one_by_one(
    item: AnnotatedObject, truth: StackedTruth, reader: SimulatedReader, order: str, current: int | None = None
) -> Iterator[int]:
    """Review what the reader has not looked at yet, in one of `workflow.ORDERS`; gives the position of each slice after it was locked.

    Stop by not going on: what a correction was to recompute is then still due. `current` is the slice that was looked at last, if any.
    """
    return _doubtful_first(item, reader, current) if order == "doubtful" else _outward(item, truth, reader)


def _outward(item: AnnotatedObject, truth: StackedTruth, reader: SimulatedReader) -> Iterator[int]:
    """From the center to each end; what a correction recomputes is looked at as it arrives."""
    stack, memory = item.annotator.stack, ShapeMemory()
    running: Iterator[SliceResult] = iter(())
    below, above = outward(truth)
    for position in (truth.center, *below, *above):
        if position in reader.reviewed:  # accepted together with others
            continue
        running = _computed_up_to(item, position, running)
        drawn = reader.look(position, known_mask(item, position), _expected(item, memory, position))
        if drawn is None:
            item.accept(stack.index_of(position))
        else:
            running = item.correct(stack.index_of(position), stack.slice_from_frame(drawn))
        yield position


def _computed_up_to(item: AnnotatedObject, position: int, running: Iterator[SliceResult]) -> Iterator[SliceResult]:
    """Go on with what a correction began until a slice is up to date."""
    while item.review.status(position) in (SliceStatus.STALE, SliceStatus.EMPTY):
        if next(running, None) is None:
            running = item.propagate()  # the other side of a corrected center slice: a correction on this side ended it
            if next(running, None) is None:
                raise RuntimeError(f"Slice {position} is due, and nothing computes it.")
    return running


def _doubtful_first(item: AnnotatedObject, reader: SimulatedReader, current: int | None) -> Iterator[int]:
    """As the panel's key for the next doubtful slice leads; each correction is followed by all that it recomputes."""
    stack, memory = item.annotator.stack, ShapeMemory()
    while True:
        doubts = session_doubts(item.review, stack, memory)
        position = next_doubtful(doubts, current)
        if position is None:
            return
        drawn = reader.look(position, known_mask(item, position), doubts[position].expected)
        if drawn is None:
            item.accept(stack.index_of(position))
        else:
            for _ in item.correct(stack.index_of(position), stack.slice_from_frame(drawn)):
                pass
        current = position
        yield position


def _accept_together(item: AnnotatedObject, reader: SimulatedReader, dsc: float) -> None:
    """As the panel's offer to accept all slices that are expected to be that good."""
    doubts = session_doubts(item.review, item.annotator.stack)
    masks = {position: known_mask(item, position) for position in expected_above(doubts, dsc)}
    expected = {position: doubt.expected for position, doubt in doubts.items() if doubt.expected is not None}
    reader.accept_together(masks, expected)
    for position in masks:
        item.accept(item.annotator.stack.index_of(position))


def _expected(item: AnnotatedObject, memory: ShapeMemory, position: int) -> Expectation | None:
    """What is expected of a slice as it is now."""
    seen = signals_at(item.review, item.annotator.stack, position, memory)
    return None if seen is None else expectation_of(seen)


def known_mask(item: AnnotatedObject, position: int) -> np.ndarray:
    """The mask of a slice that was computed or locked."""
    mask = item.review.mask(position)
    if mask is None:
        raise RuntimeError(f"Slice {position} has no mask after propagation.")
    return mask


def _slice_boxes(
    bench: Bench, truth: StackedTruth, workflow: Workflow, reader: SimulatedReader, rng: np.random.Generator
) -> dict[int, np.ndarray]:
    """Study C: a box on every slice that shows the object, a mask from each alone."""
    stack, masks = bench.stack, {}
    reader.effort.find_object()
    for position in truth.extent.indices:
        mask = np.zeros(stack.frame_shape_rc, dtype=bool)
        if truth.frame(position).any():
            reader.effort.box()
            box = jittered_box(truth.tight_box(position), stack.frame_spacing_rc_mm, stack.frame_shape_rc, rng)
            mask = bench.predict(truth, position, SlicePrompt(box=box), workflow.roi).mask
        drawn = reader.look(position, mask)
        masks[position] = mask if drawn is None else drawn
    return masks


def _box_tracking(
    bench: Bench, truth: StackedTruth, workflow: Workflow, reader: SimulatedReader, rng: np.random.Generator
) -> dict[int, np.ndarray]:
    """A box on the center slice; from there to both ends, the box of the last reviewed mask plus a margin. An empty mask ends it."""
    stack, center = bench.stack, truth.center
    reader.effort.find_object()
    reader.effort.box()
    first = jittered_box(truth.tight_box(center), stack.frame_spacing_rc_mm, stack.frame_shape_rc, rng)
    masks: dict[int, np.ndarray] = {}

    def segment(position: int, box: Box2D | None) -> None:
        mask = np.zeros(stack.frame_shape_rc, dtype=bool)
        if box is not None:
            mask = bench.predict(truth, position, SlicePrompt(box=box), workflow.roi).mask
        drawn = reader.look(position, mask)
        masks[position] = mask if drawn is None else drawn

    segment(center, first)
    for side, back in zip(outward(truth), (1, -1), strict=True):
        for position in side:
            last = masks[position + back]
            segment(position, _grown_box(last, workflow.margin_mm, stack.frame_spacing_rc_mm) if last.any() else None)
    return masks


def _grown_box(mask: np.ndarray, margin_mm: float, spacing_rc_mm: tuple[float, float]) -> Box2D:
    """The box of a mask, grown by a margin to each side, rounded to whole pixels, within the slice."""
    box = Box2D.around(mask)
    rows, cols = (round(margin_mm / mm) for mm in spacing_rc_mm)
    return Box2D(box.row_start - rows, box.row_stop + rows, box.col_start - cols, box.col_stop + cols).clipped(mask.shape)


def _interpolation(
    bench: Bench,
    truth: StackedTruth,
    workflow: Workflow,
    reader: SimulatedReader,
    rng: np.random.Generator,  # noqa: ARG001 - as the other methods; a person's outlines have no jitter
) -> dict[int, np.ndarray]:
    """Every n-th slice from the center and both ends are drawn by hand; the others are interpolated, then reviewed."""
    reader.effort.find_object()
    extent = truth.extent
    by_turn = {position for position in extent.indices if (position - truth.center) % workflow.every == 0}
    drawn = {position: reader.draw(position) for position in sorted(by_turn | {extent.first, extent.last})}
    masks = interpolate_slices(drawn, extent, bench.stack.frame_spacing_rc_mm)
    for position in extent.indices:
        if position not in drawn:
            corrected = reader.look(position, masks[position])
            masks[position] = masks[position] if corrected is None else corrected
    return masks
