"""What the slices of a stretch are: the one rule that every way to compute them goes by. Imports the rest of this room, and prompts.

A known slice either *stands*, as it carries a prompt or was accepted as it was, or it was *corrected*. The old proposals, from before any
correction, follow from the slices that stand. README.md in this folder says how the rule was chosen, and what else was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..geometry import Box2D, Extent
from ..prompts import SlicePrompt
from .growing_view import GrowingView, Seen
from .region_of_interest import RegionPolicy
from .results import SliceResult
from .signed_distance import mixed, overlap
from .slice_encoder import SliceEncoder
from .stretches import Stretch

# With what power of the distance the run from a correction loses weight towards the slice that stands.
_FALL = 2.0
# Of what stands against that run, the share of the other run, which is told of the correction: this power of the trust in the correction.
_TOLD = 0.5
# Between two corrections: least share of the shape between them. The nearer they are, measured by the object's size, the more.
_LEAST_SHAPE_SHARE = 0.5


# What is said of a slice, by a run or before.
_Said = Seen | SliceResult
# What speaks for a slice, each with its weight, and the runs from both sides among it.
_Ways = tuple[list[tuple[float, _Said]], Seen, Seen]


@dataclass(frozen=True, eq=False)
class KnownSlice:
    """A slice that others follow from.

    Args:
        prompt: what the model is told of it: the prompt, or the final mask of a locked slice.
        mask: (rows, cols) bool that is known there.
        corrected: whether a person drew it, so that old proposals do not follow from it.
    """

    prompt: SlicePrompt
    mask: np.ndarray
    corrected: bool


class Carrying:
    """Carries what is known through stretches.

    Args:
        encoder: the volume and the model.
        policy: which part of a slice the model sees.
        known: by position.
        proposals: the old proposals by position, where there are any.
        crops: by position, what a run that departs there shows of the slices at first, if it holds what is known.
        ask: called before each step of the model; raises to stop.
        extent: positions of the object's first and last slice.
    """

    def __init__(
        self,
        encoder: SliceEncoder,
        policy: RegionPolicy,
        known: Mapping[int, KnownSlice],
        proposals: Mapping[int, SliceResult],
        crops: Mapping[int, Box2D],
        ask: Callable[[], None],
        extent: Extent | None = None,
    ):
        self._extent = extent
        self._encoder, self._policy, self._known = encoder, policy, known
        self._proposals, self._crops, self._ask = proposals, crops, ask

    def through(self, stretch: Stretch) -> Iterator[SliceResult]:
        """The slices of a stretch, each once, the nearest to a known slice first as far as they are computed in that order."""
        corrected = [end for end in stretch.ends if self._known[end].corrected]
        if not corrected and all(position in self._proposals for position in stretch.positions):
            yield from (self._proposals[position] for position in stretch.positions)
        elif len(stretch.ends) == 1:
            yield from self._beyond(stretch, stretch.ends[0])
        else:
            yield from self._between(stretch, corrected)

    def _beyond(self, stretch: Stretch, end: int) -> Iterator[SliceResult]:
        """Beyond the outermost known slice: as the run from it alone has it."""
        for position, seen in self._run(end, [end], stretch.away_from(end)):
            old = None if self._known[end].corrected else self._proposals.get(position)
            yield old if old is not None else _result(position, seen)

    def _between(self, stretch: Stretch, corrected: list[int]) -> Iterator[SliceResult]:
        """Between two known slices: what several ways say of a slice, mixed by distance and by how far each can be trusted."""
        if len(corrected) == 1:
            ways = self._from_one_correction(stretch, corrected[0])
        else:
            ways = self._from_both(stretch, shape_between=len(corrected) == 2)
        for position, (parts, low, high) in ways:
            old = self._proposals.get(position)
            yield old if old is not None and not corrected else self._mix(position, parts, low, high)

    def _from_one_correction(self, stretch: Stretch, drawn: int) -> Iterator[tuple[int, _Ways]]:
        """Near the correction what follows from it alone, as far as its run finds the slice that stands; else the old proposal.

        With the old proposal goes the run from the slice that stands, told of the correction, as far as that can be trusted.
        """
        standing, alone = next(end for end in stretch.ends if end != drawn), self._by_memory_alone(stretch)
        led = dict(self._run(drawn, [drawn], (*stretch.away_from(drawn), standing), alone))
        trust = overlap(led.pop(standing).mask, self._known[standing].mask)
        told = dict(self._run(standing, [standing, drawn], stretch.away_from(standing), alone))
        old: dict[int, _Said] = {p: self._proposals[p] for p in stretch.positions if p in self._proposals}
        if len(old) < len(stretch.positions):
            old = {**dict(self._run(standing, [standing], stretch.away_from(standing), alone)), **old}
        for position in stretch.away_from(drawn):
            share = trust * self._nearness(stretch, drawn, position) ** _FALL
            rest = trust**_TOLD
            parts = [(share, led[position]), ((1 - share) * rest, told[position]), ((1 - share) * (1 - rest), old[position])]
            yield position, (parts, led[position], told[position])

    def _from_both(self, stretch: Stretch, shape_between: bool) -> Iterator[tuple[int, _Ways]]:
        """Each end leads where it is near, told of the other; with the shape between them, if a person drew both."""
        low, high = stretch.ends
        alone = shape_between or self._by_memory_alone(stretch)
        runs = {end: dict(self._run(end, [end, other], stretch.away_from(end), alone)) for end, other in ((low, high), (high, low))}
        shape_share = self._shape_share(stretch) if shape_between else 0.0
        for position in stretch.positions:
            near = {end: self._nearness(stretch, end, position) for end in stretch.ends}
            parts: list[tuple[float, _Said]] = [((1 - shape_share) * near[end], runs[end][position]) for end in stretch.ends]
            if shape_between:
                shape = mixed([(near[end], self._known[end].mask) for end in stretch.ends], self._encoder.stack.frame_spacing_rc_mm)
                nearest = runs[low if near[low] >= near[high] else high][position]
                parts.append((shape_share, replace(nearest, mask=shape)))
            yield position, (parts, runs[low][position], runs[high][position])

    def _by_memory_alone(self, stretch: Stretch) -> bool:
        """Whether a person is done with both ends: then the memory of both is as good as what was learned of the object in one volume."""
        adapter = self._encoder.engine.adapter
        locked = all(self._known[end].prompt.final_mask is not None for end in stretch.ends)
        return locked and (adapter is None or not adapter.serves("memory"))

    @staticmethod
    def _nearness(stretch: Stretch, end: int, position: int) -> float:
        """1 at the end, 0 at the other one."""
        return 1 - abs(position - end) / (len(stretch.positions) + 1)

    def _shape_share(self, stretch: Stretch) -> float:
        stack = self._encoder.stack
        gap_mm = (len(stretch.positions) + 1) * stack.spacing_src_mm[0]
        rows_mm, cols_mm = stack.frame_spacing_rc_mm
        size_mm = float(np.sqrt(min(int(self._known[end].mask.sum()) for end in stretch.ends) * rows_mm * cols_mm))
        return max(_LEAST_SHAPE_SHARE, float(np.exp(-gap_mm / size_mm))) if size_mm > 0 else _LEAST_SHAPE_SHARE

    def _run(
        self, start: int, conditioning: Collection[int], positions: Collection[int], by_memory_alone: bool = False
    ) -> Iterator[tuple[int, Seen]]:
        """One run with a fresh memory, from the slice `start`, informed by all of `conditioning`."""
        known = {position: self._known[position] for position in conditioning}
        marks = [mark for one in known.values() for mark in (one.prompt, SlicePrompt(mask=one.mask))]
        reverse = any(position < start for position in positions)
        from_locked = self._known[start].prompt.final_mask is not None
        view = GrowingView(self._encoder, self._policy, marks, self._crops.get(start), reverse, by_memory_alone, from_locked, self._extent)
        if all(one.prompt.final_mask is not None and not one.mask.any() for one in known.values()):
            # A person said that the object is not on the slices that this run departs from: it has nothing to follow.
            for position in positions:
                yield position, Seen(np.zeros(self._encoder.stack.frame_shape_rc, dtype=bool), 1.0, 0.0, view.crop, 0.0)
            return
        for position, one in known.items():
            self._ask()
            view.condition(position, one.prompt, one.mask)
        for position in positions:
            self._ask()
            yield position, view.step(position)

    def _mix(self, position: int, parts: list[tuple[float, _Said]], low: Seen, high: Seen) -> SliceResult:
        total = sum(weight for weight, _ in parts)
        return SliceResult(
            position,
            mixed([(weight, one.mask) for weight, one in parts], self._encoder.stack.frame_spacing_rc_mm),
            sum(weight * one.predicted_iou for weight, one in parts) / total,
            sum(weight * one.object_score for weight, one in parts) / total,
            low.seconds + high.seconds,
            max(low.crop, high.crop, key=lambda crop: crop.shape_rc),
            prompted=False,
            disagreement=1 - overlap(low.mask, high.mask),
        )


def _result(position: int, seen: Seen) -> SliceResult:
    return SliceResult(position, seen.mask, seen.predicted_iou, seen.object_score, seen.seconds, seen.crop, prompted=False)
