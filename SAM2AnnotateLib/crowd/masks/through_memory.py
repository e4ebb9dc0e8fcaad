"""Ours: boxes prompt the model's memory through the volume, so that slices agree with their neighbors and missing boxes are bridged.

Each slice with boxes gets a mask from them, and one that its neighbors' masks carry to it, its own boxes unseen; both are mixed. Where the
two disagree while both directions carry the same, the boxes are wrong: there the memory alone leads. Slices on which the object is
believed to be though nobody drew it are bridged. Imports the rest of this room, consensus and propagation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ...geometry import Box2D, Extent
from ...progress import CancelToken, Progress, ProgressCallback
from ...prompts import SlicePrompt
from ...propagation import RegionPolicy, SliceEncoder, SliceResult, propagate
from ...propagation.signed_distance import mixed, overlap
from ..consensus import ConsensusSlice, presence_between, smoothed_run
from .by_slice import empty_slice, mask_of_boxes
from .masked_slice import MaskedSlice

# What the neighbors carry counts as much as a slice's own boxes, times how far both directions agree.
_CARRIED_SHARE = 0.5
# Boxes whose mask overlaps less than the first with what is carried, by two directions that overlap more than the second, are wrong.
_WRONG_BELOW, _AGREE_ABOVE = 0.25, 0.6
# Mean agreement of boxes and memory over an object, below which memory says nothing of it (thin or many-part objects on thick slices),
# and from which on it counts in full; and the least on one slice.
_NO_TRUST, _FULL_TRUST, _LEAST_AGREEMENT = 0.55, 0.75, 0.4
# What is carried counts inside the boxes and this share of their sides around, or a pixel.
_AROUND_BOX = 0.05
_PRESENT = 0.5


def masks_through_memory(
    encoder: SliceEncoder,
    policy: RegionPolicy,
    run: Mapping[int, ConsensusSlice],
    *,
    cancel: CancelToken | None = None,
    progress: ProgressCallback | None = None,
) -> Iterator[MaskedSlice]:
    """A mask for each slice from the first to the last that was asked, those among them that nobody was asked about too.

    Args:
        encoder: the volume and the model.
        policy: which part of a slice the model sees.
        run: the consensus of one object on one volume, by position.
        cancel: asked before each step of the model.
        progress: told after each of the steps: a mask from boxes, a carried mask, a bridged slice.

    Yields:
        One for each slice, by rising position, once all are known; empty where the object is believed not to be.

    Raises:
        PromptError: if a box does not fit the volume.
        EngineError: if the model fails.
        Cancelled: if `cancel` was set.
    """
    if not run:
        return
    work = _Work(encoder, policy, run, cancel, progress)
    work.draw()
    work.carry()
    work.bridge()
    yield from work.slices()


@dataclass(frozen=True, eq=False)
class _Joined:
    """What became of a slice with boxes."""

    mask: np.ndarray
    box_share: float
    agreement: float | None
    disagreement: float | None


class _Work:
    """One object on one volume."""

    def __init__(
        self,
        encoder: SliceEncoder,
        policy: RegionPolicy,
        run: Mapping[int, ConsensusSlice],
        cancel: CancelToken | None,
        progress: ProgressCallback | None,
    ):
        self._encoder, self._policy, self._cancel, self._tell = encoder, policy, cancel, progress
        self._run = run
        self._presence = presence_on_all(run)
        shape_rc = encoder.stack.frame_shape_rc
        smoothed = smoothed_run(run)
        self._boxes = {p: tuple(box.box_in(shape_rc) for box in smoothed[p].counted_boxes) for p in sorted(run) if run[p].counted_boxes}
        self._drawn: dict[int, SliceResult] = {}
        self._joined: dict[int, _Joined] = {}
        self._bridged: dict[int, SliceResult] = {}
        self._wrong: set[int] = set()
        gaps = [p for p, presence in self._presence.items() if presence >= _PRESENT and p not in self._boxes]
        self._done, self._total = 0, 2 * len(self._boxes) + len(gaps)

    def draw(self) -> None:
        """The masks of boxes by themselves."""
        for position, boxes in self._boxes.items():
            self._drawn[position] = mask_of_boxes(self._encoder, self._policy, position, boxes, self._cancel)
            self._count()

    def carry(self) -> None:
        """What the nearest slices with boxes carry to each of them, mixed with its own; wrong boxes are found and left out."""
        carried = {position: self._carried(position) for position in self._told(self._boxes)}
        # One wrong box makes its neighbors look wrong: each that does is asked for again without the others.
        suspected = {position for position, result in carried.items() if result is not None and self._is_wrong(position, result)}
        if 2 * len(suspected) <= len(self._boxes):  # else it is not the boxes that are wrong
            self._wrong = suspected
            carried |= {position: self._carried(position) for position in suspected}
            self._wrong = {position for position in suspected if (one := carried[position]) is not None and self._is_wrong(position, one)}
        right = [position for position in self._boxes if position not in self._wrong]
        for position in right:
            if suspected.intersection(_beside(position, list(self._boxes))):
                carried[position] = self._carried(position)
        agreements = [overlap(self._drawn[p].mask, one.mask) for p in right if (one := carried[p]) is not None]
        trust = (float(np.mean(agreements)) - _NO_TRUST) / (_FULL_TRUST - _NO_TRUST) if agreements else 0.0
        for position in right:
            self._joined[position] = self._mixed(position, carried[position], min(1.0, max(0.0, trust)))

    def bridge(self) -> None:
        """Slices without boxes, or with wrong ones, on which the object is believed to be."""
        due = [p for p, presence in self._presence.items() if presence >= _PRESENT and p not in self._joined]
        if not self._joined or not due:
            return
        known = {p: SliceResult(p, one.mask, *self._scores(p), prompted=True) for p, one in self._joined.items()}
        extent = Extent(min(*due, *known), max(*due, *known))
        for result in self._propagated(known, extent, due):
            self._bridged[result.position] = result
            self._count()

    def slices(self) -> Iterator[MaskedSlice]:
        """All of them."""
        for position, presence in self._presence.items():
            if position in self._joined:
                drawn, one = self._drawn[position], self._joined[position]
                yield MaskedSlice(
                    position, one.mask, presence, drawn.predicted_iou, drawn.object_score, drawn.crop, self._boxes[position],
                    one.box_share, one.agreement, one.disagreement, drawn.seconds,
                )  # fmt: skip
            elif position in self._bridged:
                result = self._bridged[position]
                agreement = overlap(self._drawn[position].mask, result.mask) if position in self._wrong else None
                yield MaskedSlice(
                    position, result.mask, presence, result.predicted_iou, result.object_score, result.crop,
                    agreement=agreement, disagreement=result.disagreement, seconds=result.seconds,
                )  # fmt: skip
            else:
                yield empty_slice(self._encoder, position, presence)

    # -- one slice ---------------------------------------------------------------------------------------------------------------

    def _told(self, positions: Collection[int]) -> Iterator[int]:
        for position in positions:
            yield position
            self._count()

    def _carried(self, position: int) -> SliceResult | None:
        """What the nearest right slices with boxes on both sides carry to a slice; None where there are none."""
        beside = _beside(position, [p for p in self._boxes if p not in self._wrong or p == position])
        known = {p: self._drawn[p] for p in beside}
        if not known:
            return None
        extent = Extent(min(position, *known), max(position, *known))
        return next(iter(self._propagated(known, extent, [position])))

    def _propagated(self, known: Mapping[int, SliceResult], extent: Extent, due: Collection[int]) -> Iterator[SliceResult]:
        prompts = {p: SlicePrompt(mask=result.mask) for p, result in known.items()}
        return propagate(self._encoder, prompts, extent, self._policy, due=due, proposals=known, cancel=self._cancel)

    def _is_wrong(self, position: int, carried: SliceResult) -> bool:
        if self._run[position].final or carried.disagreement is None or 1 - carried.disagreement < _AGREE_ABOVE:
            return False
        return bool(carried.mask.any()) and overlap(self._drawn[position].mask, carried.mask) < _WRONG_BELOW

    def _mixed(self, position: int, carried: SliceResult | None, trust: float) -> _Joined:
        own = self._drawn[position].mask
        if carried is None:
            return _Joined(own, 1.0, None, None)
        agreement = overlap(own, carried.mask)
        share = trust * _CARRIED_SHARE * (1 - carried.disagreement if carried.disagreement is not None else agreement)
        inside = carried.mask & self._around_boxes(position)
        if agreement < _LEAST_AGREEMENT or share <= 0 or not inside.any():
            return _Joined(own, 1.0, agreement, carried.disagreement)
        mask = mixed([(1 - share, own), (share, inside)], self._encoder.stack.frame_spacing_rc_mm)
        return _Joined(mask, 1 - share, agreement, carried.disagreement)

    def _around_boxes(self, position: int) -> np.ndarray:
        shape_rc = self._encoder.stack.frame_shape_rc
        around = np.zeros(shape_rc, dtype=bool)
        for box in self._boxes[position]:
            rows, cols = (max(1, round(_AROUND_BOX * side)) for side in box.shape_rc)
            grown = Box2D(box.row_start - rows, box.row_stop + rows, box.col_start - cols, box.col_stop + cols)
            around[grown.clipped(shape_rc).slices_rc] = True
        return around

    def _scores(self, position: int) -> tuple[float, float, float, Box2D]:
        drawn = self._drawn[position]
        return drawn.predicted_iou, drawn.object_score, drawn.seconds, drawn.crop

    def _count(self) -> None:
        self._done += 1
        if self._tell is not None:
            self._tell(Progress(min(self._done, self._total), self._total, "steps"))


def _beside(position: int, others: Collection[int]) -> list[int]:
    """The nearest of others on both sides."""
    below, above = [p for p in others if p < position], [p for p in others if p > position]
    return [*([max(below)] if below else []), *([min(above)] if above else [])]


def presence_on_all(run: Mapping[int, ConsensusSlice]) -> dict[int, float]:
    """Probability that the object is there, for every slice from the first to the last that was asked.

    Args:
        run: the consensus by position; slices that nobody was asked about follow from those beside.
    """
    odds = {position: float(np.log(max(one.presence, 1e-12) / max(1 - one.presence, 1e-12))) for position, one in run.items()}
    between = presence_between(odds)
    return {position: run[position].presence if position in run else value for position, value in between.items()}
