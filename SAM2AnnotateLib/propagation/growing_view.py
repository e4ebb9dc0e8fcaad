"""GrowingView: a track on whole slices, which alone knows what part of them the model is shown. Imports engine, prompts, geometry.

The part is a crop around what is known of the object. When a mask reaches the crop's border, the object may go on beyond it: the model is
then shown more, and asked again. Whoever asks says and hears whole slices.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..engine import Place, Recollection, SlicePrediction, Track, blended
from ..geometry import Box2D, Extent
from ..prompts import Point, SlicePrompt
from .region_of_interest import RegionPolicy, cut, paste
from .signed_distance import mixed, overlap
from .slice_encoder import SliceEncoder

# A grown crop may show more of the object, which may reach the new border. After this many, the whole slice is shown.
_MOST_GROWTHS_A_SLICE = 3
# Clicks do not tell how large the object is. It is looked for on the whole slice first, and again in a crop of at most this share of that.
_WORTH_A_CLOSER_LOOK = 0.7
# A pass from a slice that a person is done with goes by the memory alone at first; what was learned counts in full so many slices on, or
# at once if it is clearly better.
_MEMORY_LEADS = 8
# So many slices beyond a locked one what is clearly better counts, and the memory is told of it; farther on the object is another one.
_REACH = 16
# What was learned is asked with each of the two nearest slices in memory that lie within reach: one that went astray is outvoted.
_MOST_RECALLED, _RECALL_REACH = 2, 6
# Where what was learned and what the memory carried overlap less than this, they speak of different things: then the memory is believed.
_LEAST_AGREEMENT = 0.3


@dataclass(frozen=True, eq=False)
class Seen:
    """What the model says of a whole slice.

    Args:
        mask: (rows, cols) bool of the whole slice.
        predicted_iou: the model's own estimate of the mask's IoU, 0..1.
        object_score: the model's probability that the object is on the slice, 0..1.
        crop: what the model was shown of the slice.
        seconds: that it took, encoding included where it was needed.
    """

    mask: np.ndarray
    predicted_iou: float
    object_score: float
    crop: Box2D
    seconds: float


class GrowingView:
    """One pass over whole slices, with a memory of its own.

    Args:
        encoder: the volume and the model.
        policy: how the crop follows from the object.
        marks: prompts and masks that the first crop must hold, with room around.
        crop: a crop to begin with if it holds them; else one is made around them.
        reverse: whether positions fall.
        by_memory_alone: whether steps leave out what an adapter makes of them.
        from_locked: whether the pass departs from a slice that a person is done with: near it the memory leads.
        extent: positions of the object's first and last slice, for what an adapter has learned of the places in it; None if not known.
    """

    def __init__(
        self,
        encoder: SliceEncoder,
        policy: RegionPolicy,
        marks: Sequence[SlicePrompt],
        crop: Box2D | None = None,
        reverse: bool = False,
        by_memory_alone: bool = False,
        from_locked: bool = False,
        extent: Extent | None = None,
    ):
        self._encoder, self._policy, self._reverse = encoder, policy, reverse
        self._by_memory_alone, self._from_locked, self._steps = by_memory_alone, from_locked, 0
        self._shape_rc, self._spacing_rc_mm = encoder.stack.frame_shape_rc, encoder.stack.frame_spacing_rc_mm
        self._extent = extent
        self._crop = self._as_learned_from(marks, self._holding(marks, crop))
        self._known: dict[int, np.ndarray] = {}
        self._said: dict[int, np.ndarray] = {}  # what was known or said of the slices passed
        self._recent: deque[tuple[int, np.ndarray]] = deque(maxlen=encoder.engine.memory_reach)
        self._track = self._new_track()

    @property
    def crop(self) -> Box2D:
        """What the model is shown now."""
        return self._crop

    def see(self, position: int, prompt: SlicePrompt) -> Seen:
        """The mask of one slice from its prompt alone; for a view that was told nothing else."""
        started = time.perf_counter()
        mask, prediction = self._asked(lambda: self._conditioned(position, prompt))
        if prompt.box is None and prompt.mask is None and mask.any():
            sized = [prompt, SlicePrompt(mask=mask)]
            around = self._policy.crop_around(Box2D.around(mask), self._shape_rc, self._spacing_rc_mm)
            closer = self._holding(sized, around)
            if max(closer.shape_rc) <= _WORTH_A_CLOSER_LOOK * max(self._crop.shape_rc):
                self._crop = closer
                mask, prediction = self._asked(lambda: self._conditioned(position, prompt))
        if prompt.final_mask is None:
            mask, prediction = self._grown_for(mask, prediction, lambda: self._conditioned(position, prompt), ())
        return self._seen(mask, prediction, started)

    def condition(self, position: int, prompt: SlicePrompt, mask: np.ndarray) -> None:
        """Let a slice inform the pass.

        Args:
            position: of the slice.
            prompt: what the model is told of it.
            mask: (rows, cols) bool that is known there; what the model is told once it is shown another part.
        """
        self._track.condition(position, self._encoder.embedding(position, self._crop), self._inside(prompt))
        self._known[position] = self._said[position] = mask
        proposed = [one for one in self._recent if one[0] != position]  # what was proposed there does not come back in another crop
        self._recent = deque(proposed, self._recent.maxlen)

    def step(self, position: int) -> Seen:
        """Predict the next slice from the memory, and remember it."""
        started = time.perf_counter()
        marks = [SlicePrompt(mask=known) for known in self._known.values()]
        adapter = self._encoder.engine.adapter
        if self._recalls:
            mask, prediction = self._asked(lambda: self._recalled(position, self._stepped))
            mask, prediction = self._grown_for(mask, prediction, lambda: self._recalled(position, self._stepped_anew), marks)
            if adapter is not None and adapter.share("memory") < 1:  # the memory goes on with what was made of both
                self._track.remember(position, self._encoder.embedding(position, self._crop), cut(mask, self._crop))
                self._recent.append((position, mask))
        else:
            mask, prediction = self._asked(lambda: self._stepped(position))
            mask, prediction = self._grown_for(mask, prediction, lambda: self._stepped_anew(position), marks)
            remembered = mask
            self._steps += 1
            if adapter is not None and adapter.card.in_passes and mask.any() and not self._by_memory_alone:
                mask, prediction = self._as_learned(position, mask, prediction)
                if adapter.card.is_clearly_better and mask is not remembered and self._steps <= _REACH:
                    remembered = mask
                    self._track.remember(position, self._encoder.embedding(position, self._crop), cut(mask, self._crop))
            self._recent.append((position, remembered))
        self._said[position] = mask
        return self._seen(mask, prediction, started)

    @property
    def _recalls(self) -> bool:
        """Whether steps ask what was learned of a slice beside a known one, between marked ends."""
        adapter = self._encoder.engine.adapter
        return adapter is not None and adapter.serves("memory") and self._extent is not None and not self._by_memory_alone

    def _recalled(self, position: int, stepped: Callable[[int], SlicePrediction]) -> SlicePrediction:
        """What the adapter makes of the slices beside, of each alone and joined, and of the place in the extent; with what the pass's own
        memory says, if that has a share in it.
        """
        shown = sorted((known for known, mask in self._said.items() if mask.any()), key=lambda known: (abs(known - position), known))
        near = [known for known in shown if abs(known - position) <= _RECALL_REACH][:_MOST_RECALLED]
        learned = self._recalled_from(position, (near or shown or list(self._said))[0])
        for number, beside in enumerate(near[1:], start=1):
            learned = blended(learned, self._recalled_from(position, beside), number / (number + 1))
        engine = self._encoder.engine
        share = 1.0 if engine.adapter is None else engine.adapter.share("memory")
        return learned if share >= 1 else blended(learned, stepped(position), share)

    def _recalled_from(self, position: int, beside: int) -> SlicePrediction:
        memory = Recollection(beside - position, self._encoder.embedding(beside, self._crop), cut(self._said[beside], self._crop))
        place = None
        if self._extent is not None and len(self._extent) > 1:
            place = Place((position - self._extent.first) / (len(self._extent) - 1))
        return self._encoder.engine.propose(self._encoder.embedding(position, self._crop), self._crop.shape_rc, place, (memory,))

    def _as_learned(self, position: int, carried: np.ndarray, prediction: SlicePrediction) -> tuple[np.ndarray, SlicePrediction]:
        """The mean of what the memory carried here, what the adapter makes of a box around it, and what it finds without a prompt.

        Each is left out where the adapter does not serve it, or where it speaks of something else. From a locked slice on nothing is found
        without a prompt: the pass leads away from what was learned. What is clearly better counts from the first step,
        and within reach of the locked slice.
        """
        engine, said = self._encoder.engine, []
        clear = engine.adapter is not None and engine.adapter.card.is_clearly_better
        weight = 1.0
        if self._from_locked:
            weight = float(self._steps <= _REACH) if clear else min(1.0, (self._steps - 1) / _MEMORY_LEADS)
        if weight <= 0:
            return carried, prediction
        if engine.adapter is not None and engine.adapter.serves("box"):
            said.append(self._conditioned(position, SlicePrompt(box=Box2D.around(carried))))
        if engine.adapter is not None and engine.adapter.serves("none") and not (self._from_locked and clear):
            said.append(engine.propose(self._encoder.embedding(position, self._crop), self._crop.shape_rc))
        learned = [(paste(one.mask, self._crop, self._shape_rc), one) for one in said]
        agreeing = [(mask, one) for mask, one in learned if overlap(mask, carried) >= _LEAST_AGREEMENT]
        weights = [1.0, *(weight for _ in agreeing)]
        iou = np.average([prediction.predicted_iou, *(one.predicted_iou for _, one in agreeing)], weights=weights)
        score = np.average([prediction.object_score, *(one.object_score for _, one in agreeing)], weights=weights)
        mask = mixed(list(zip(weights, (carried, *(mask for mask, _ in agreeing)), strict=True)), self._spacing_rc_mm)
        return mask, replace(prediction, predicted_iou=float(iou), object_score=float(score))

    # -- what the model is shown -------------------------------------------------------------------------------------------------

    def _asked(self, ask: Callable[[], SlicePrediction]) -> tuple[np.ndarray, SlicePrediction]:
        prediction = ask()
        return paste(prediction.mask, self._crop, self._shape_rc), prediction

    def _grown_for(
        self, mask: np.ndarray, prediction: SlicePrediction, ask_again: Callable[[], SlicePrediction], marks: Sequence[SlicePrompt]
    ) -> tuple[np.ndarray, SlicePrediction]:
        """The mask, asked for again in larger crops as long as it reaches the border; the last growth shows the whole slice."""
        for growth in range(_MOST_GROWTHS_A_SLICE):
            if not mask.any():
                break
            grown = self._policy.grown(self._crop, Box2D.around(mask), self._shape_rc, self._spacing_rc_mm)
            if grown == self._crop:
                break
            if growth == _MOST_GROWTHS_A_SLICE - 1:
                grown = self._policy.whole_slice(self._shape_rc, self._spacing_rc_mm)
            self._crop = self._holding([SlicePrompt(mask=mask), *marks], grown) if marks else grown
            mask, prediction = self._asked(ask_again)
        return mask, prediction

    def _holding(self, marks: Sequence[SlicePrompt], crop: Box2D | None) -> Box2D:
        """`crop` if it holds all that is marked, with room around; else one around all of that."""
        if crop is None and all(prompt.box is None and prompt.mask is None for prompt in marks):
            around = self._around_clicks(marks)
            return around if around is not None else self._policy.whole_slice(self._shape_rc, self._spacing_rc_mm)
        boxes = [box for box in (prompt.bounding_box() for prompt in marks) if box is not None]
        if not boxes:
            return crop if crop is not None else Box2D(0, self._shape_rc[0], 0, self._shape_rc[1])
        whole = boxes[0]
        for box in boxes[1:]:
            whole = whole.union(box)
        if crop is None:
            return self._policy.crop_around(whole, self._shape_rc, self._spacing_rc_mm)
        return self._policy.grown(crop, whole, self._shape_rc, self._spacing_rc_mm)

    def _as_learned_from(self, marks: Sequence[SlicePrompt], crop: Box2D) -> Box2D:
        """The crop of a run that asks what was learned: at the scale at which it was, even if it departs from where the object is small."""
        adapter = self._encoder.engine.adapter
        boxes = [box for box in (prompt.bounding_box() for prompt in marks) if box is not None]
        if not self._recalls or adapter is None or adapter.card.object_size_mm <= 0 or not boxes:
            return crop
        least_mm = self._policy.side_for(adapter.card.object_size_mm, self._spacing_rc_mm)
        whole = boxes[0]
        for box in boxes[1:]:
            whole = whole.union(box)
        wider = self._policy.crop_around(whole, self._shape_rc, self._spacing_rc_mm, at_least_mm=least_mm)
        return wider if max(wider.shape_rc) > max(crop.shape_rc) else crop

    def _around_clicks(self, marks: Sequence[SlicePrompt]) -> Box2D | None:
        """A crop around clicks as large as the object was learned to be; None without an adapter that knows."""
        adapter = self._encoder.engine.adapter
        box = marks[0].bounding_box() if len(marks) == 1 else None
        if adapter is None or not adapter.serves("point") or adapter.card.object_size_mm <= 0 or box is None:
            return None
        row, col = (box.row_start + box.row_stop - 1) // 2, (box.col_start + box.col_stop - 1) // 2
        size_mm = adapter.card.object_size_mm
        crop = self._policy.crop_around_click(row, col, size_mm, self._shape_rc, self._spacing_rc_mm)
        return self._policy.grown(crop, box, self._shape_rc, self._spacing_rc_mm)

    def _inside(self, prompt: SlicePrompt) -> SlicePrompt:
        """The prompt in rows and columns of the crop; a click beside the object that lies outside says nothing about the crop."""
        row, col = self._crop.row_start, self._crop.col_start
        seen = [p for p in prompt.points if self._crop.contains(Box2D(p.row, p.row + 1, p.col, p.col + 1))]
        return replace(
            prompt,
            box=None if prompt.box is None else prompt.box.shifted(-row, -col),
            points=tuple(Point(p.row - row, p.col - col, p.positive) for p in seen),
            mask=None if prompt.mask is None else cut(prompt.mask, self._crop),
        )

    def _seen(self, mask: np.ndarray, prediction: SlicePrediction, started: float) -> Seen:
        return Seen(mask, prediction.predicted_iou, prediction.object_score, self._crop, time.perf_counter() - started)

    # -- the model's memory ------------------------------------------------------------------------------------------------------

    def _new_track(self) -> Track:
        return self._encoder.engine.start_track(self._crop.shape_rc, self._encoder.slice_count, self._reverse)

    def _conditioned(self, position: int, prompt: SlicePrompt) -> SlicePrediction:
        return self._new_track().condition(position, self._encoder.embedding(position, self._crop), self._inside(prompt))

    def _stepped(self, position: int) -> SlicePrediction:
        return self._track.step(position, self._encoder.embedding(position, self._crop))

    def _stepped_anew(self, position: int) -> SlicePrediction:
        """The step in the crop as it is now, by a track that is told what the last one knew."""
        self._track = self._new_track()
        for known, mask in self._known.items():
            self._track.condition(known, self._encoder.embedding(known, self._crop), SlicePrompt(mask=cut(mask, self._crop)))
        for earlier, mask in self._recent:
            self._track.remember(earlier, self._encoder.embedding(earlier, self._crop), cut(mask, self._crop))
        return self._stepped(position)
