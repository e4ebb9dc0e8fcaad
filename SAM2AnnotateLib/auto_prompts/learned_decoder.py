"""LearnedDecoder: the model that learnt the object, asked without a prompt. Imports engine, propagation and the rest of this room.

Ours: mask decoder and prompt encoder learn from the annotated slices to need no prompt (`SegmentationEngine.start_learning`), told where in
the stack a slice lies. Every slice is looked at alone, neighbors are heard, and SAM 2's memory carries what is sure to what is not.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..engine import Adapter, LearningSettings, Lesson, Place, SegmentationEngine
from ..errors import InputError
from ..geometry import Box2D
from ..progress import CancelToken, Progress
from ..propagation import RegionPolicy, SliceEncoder, SliceResult
from ..propagation.region_of_interest import cut, paste
from .agreement import anchors_of, carried, likely, smoothed
from .annotated import annotated_boxes, card_of, further_look, possible_slices, spread
from .features import feature_maps
from .likeness import MOST_COMPARED, Likeness, share_on_grid
from .looks import ObjectSize, close_look, joined, whole_look
from .mask_prompts import best_parts
from .proposals import AutoProposal, is_elsewhere, key_of, not_found, object_slices, place_in_volume, wanted_positions

if TYPE_CHECKING:
    from ..adaptation import AnnotatedSlice

# A mask beyond this many times the largest annotated area is something else.
_MOST_GROWTH = 1.5
# An object that is small for its slice distance changes from slice to slice: the Gaussian over neighbors spans this share of its size.
_SMOOTHED_SHARE = 0.03
# Slices surer than this share of the surest may be remembered for the others.
_SURE_SHARE = 0.6
_FEWEST_STEPS, _MOST_STEPS = 300, 1000
# The least doubt on a volume that has not the object.
_ABSENT_DOUBT = 0.75


@dataclass(frozen=True)
class DecoderOptions:
    """How the decoder learns and how slices come to agree.

    Args:
        steps: of learning, each of `batch` looks at slices; None takes twice as many as there are looks, but 300 to 1000.
        batch: see `steps`.
        variants: further looks at each annotated slice: shifted, scaled, in another window; fewer where there are many slices.
        most_looks: looks in all, which bounds memory and the time to encode; of more slices than that an even part is taken.
        cutoff: a pixel is the object where it is likelier than this; below one half, as a decoder that is unsure draws too little.
        neighbors: whether the slices beside a slice are heard.
        anchors: sure slices whose memory informs the others; 0 uses no memory.
        memory_share: how much memory counts against what the decoder says.
        elsewhere: whether other volumes will be asked for; whole slices are then learnt too.
        seed: of every draw.
    """

    steps: int | None = None
    batch: int = 4
    variants: int = 4
    most_looks: int = 1200
    cutoff: float = 0.4
    neighbors: bool = True
    anchors: int = 3
    memory_share: float = 0.3
    elsewhere: bool = True
    seed: int = 0


class LearnedDecoder:
    """The learned decoder without a prompt, as a method of this room.

    Args:
        policy: which part of a slice the model is shown around an object.
        options: see `DecoderOptions`.
        adapter: what was learnt before; then `fit` learns nothing, and only measures the annotated slices.
    """

    name = "learned decoder"

    def __init__(self, policy: RegionPolicy | None = None, options: DecoderOptions | None = None, adapter: Adapter | None = None):
        self._policy = RegionPolicy() if policy is None else policy
        self._options = DecoderOptions() if options is None else options
        self._given = adapter
        self.adapter = adapter
        self._slices: list[AnnotatedSlice] = []
        self._size: ObjectSize | None = None
        self._likeness: dict[str, Likeness] = {}

    def with_options(self, options: DecoderOptions) -> LearnedDecoder:
        """The same method, with what was learnt, and other ways to make slices agree; how it learnt stays as it was."""
        changed = copy.copy(self)
        changed._options = options
        return changed

    def fit(self, slices: Sequence[AnnotatedSlice], cancel: CancelToken | None = None) -> Iterator[Progress]:
        """Learn from the annotated slices; see `AutoPrompter`."""
        holding = object_slices(slices)
        size, options = ObjectSize.of(holding), self._options
        around, taught = annotated_boxes(slices), spread(slices, max(2, options.most_looks // 2))
        looks: dict[str, list[Box2D]] = {
            "close": [close_look(one.encoder, self._policy, around[key_of(one.encoder)], size.look_mm) for one in taught]
        }
        whole = [whole_look(one.encoder, self._policy) for one in taught]
        if options.elsewhere and whole != looks["close"]:
            looks["whole"] = whole
        adapter = self._given
        if adapter is None:
            adapter = yield from self._learned(taught, looks, cancel)
        likeness = {}
        for name, crops in looks.items():
            likeness[name] = self._compared(taught, crops, cancel)
            yield Progress(len(likeness), len(looks), "scales compared")
        self.adapter, self._slices, self._size, self._likeness = adapter, list(slices), size, likeness

    def propose(
        self, encoder: SliceEncoder, positions: Sequence[int] | None = None, cancel: CancelToken | None = None
    ) -> Iterator[AutoProposal]:
        """Look at every slice wanted and at its neighbors; see `AutoPrompter`."""
        if self._size is None or self.adapter is None:
            raise InputError("Nothing was learnt yet: fit the method with annotated slices first.")
        asked = wanted_positions(encoder, positions, self._slices)
        possible = possible_slices(self._slices, encoder)
        found = self._proposals(encoder, [position for position in asked if position in possible], cancel)
        whole = whole_look(encoder, self._policy)
        for position in asked:
            yield found[position] if position in found else not_found(encoder, position, whole, 0.0)

    def _proposals(self, encoder: SliceEncoder, wanted: Sequence[int], cancel: CancelToken | None) -> dict[int, AutoProposal]:
        """By position; none where nothing is found on whole slices."""
        assert self._size is not None
        if not wanted:
            return {}
        started = time.perf_counter()
        sigma = min(1.0, _SMOOTHED_SHARE * self._size.box_mm / encoder.stack.spacing_src_mm[0])
        possible = possible_slices(self._slices, encoder)
        seen = sorted({near for p in wanted for near in range(p - 2, p + 3) if near in possible})
        crop = self._crop_of(encoder, seen, cancel)
        if crop is None:
            return {}
        maps, scores, ious = self._asked(encoder, seen, crop, cancel)
        if self._options.neighbors:
            maps = smoothed(maps, sigma)
        if self._options.anchors and self._options.memory_share:
            maps = self._remembered(encoder, crop, maps, scores, ious, cancel)
        seconds = (time.perf_counter() - started) / len(wanted)
        proposals = []
        for position in wanted:
            if cancel is not None:
                cancel.raise_if_cancelled()
            proposals.append(self._proposal(encoder, position, crop, maps, scores[position], ious[position], seconds))
        if key_of(encoder) not in annotated_boxes(self._slices):
            found = [one.doubt for one in proposals if one.result.mask.any()]
            if found and is_elsewhere(found):
                proposals = [replace(one, doubt=max(one.doubt, _ABSENT_DOUBT)) for one in proposals]
        return {one.position: one for one in proposals}

    # -- learning ----------------------------------------------------------------------------------------------------------------

    def _learned(
        self, slices: Sequence[AnnotatedSlice], looks: Mapping[str, Sequence[Box2D]], cancel: CancelToken | None
    ) -> Generator[Progress, None, Adapter]:
        options, rng = self._options, np.random.default_rng(self._options.seed)
        engine = slices[0].encoder.engine.with_adapter(None)
        if any(one.encoder.engine.fingerprint != engine.fingerprint for one in slices):
            raise InputError("All slices to learn from must be encoded by the same model with the same settings.")
        variants = min(options.variants, max(0, options.most_looks // (len(slices) * len(looks)) - 1))
        lessons = []
        total = len(slices) * len(looks) * (1 + variants)
        for crops in looks.values():
            for one, crop in zip(slices, crops, strict=True):
                place = Place(place_in_volume(one.encoder, one.position))
                for number in range(1 + variants):
                    if cancel is not None:
                        cancel.raise_if_cancelled()
                    if number == 0:
                        embedding, seen = one.encoder.embedding(one.position, crop), crop
                    else:
                        embedding, seen = further_look(one, crop, rng)
                    lessons.append(Lesson(embedding, cut(one.mask, seen), ("none",), place, one.position))
                    yield Progress(len(lessons), total, "slices encoded")
        settings = LearningSettings(batch=options.batch, seed=options.seed, shares={"none": 1.0})
        run = engine.start_learning(lessons, settings)
        steps = min(max(2 * len(lessons), _FEWEST_STEPS), _MOST_STEPS) if options.steps is None else options.steps
        for step in range(steps):
            if cancel is not None:
                cancel.raise_if_cancelled()
            run.step(step / steps)
            yield Progress(step + 1, steps, "steps of learning")
        return Adapter(run.tensors(), card_of(slices, engine))

    def _compared(self, slices: Sequence[AnnotatedSlice], crops: Sequence[Box2D], cancel: CancelToken | None) -> Likeness:
        holding = [(one, crop) for one, crop in zip(slices, crops, strict=True) if one.mask.any()]
        step = max(1, -(-len(holding) // MOST_COMPARED))
        maps, shares, groups = [], [], []
        for one, crop in holding[::step]:
            if cancel is not None:
                cancel.raise_if_cancelled()
            maps.append(feature_maps(one.encoder.embedding(one.position, crop)))
            shares.append(share_on_grid(cut(one.mask, crop)))
            groups.append(key_of(one.encoder))
        return Likeness(maps, shares, groups)

    # -- proposing ---------------------------------------------------------------------------------------------------------------

    def _crop_of(self, encoder: SliceEncoder, positions: Sequence[int], cancel: CancelToken | None) -> Box2D | None:
        """What is shown of a volume: around what is annotated, or around what is found on whole slices; None where nothing is."""
        assert self._size is not None
        rows, cols = encoder.stack.frame_shape_rc
        around = annotated_boxes(self._slices).get(key_of(encoder))
        if around is not None:
            return close_look(encoder, self._policy, around, self._size.look_mm)
        whole = whole_look(encoder, self._policy)
        if close_look(encoder, self._policy, Box2D(0, rows, 0, cols), self._size.look_mm) == whole:
            return whole  # nothing closer would show more
        boxes = []
        for position in positions:  # of each slice the box alone is kept: maps of whole slices are as large as the volume
            one = self._asked(encoder, [position], whole, cancel)[0][position]
            mask = paste(one > self._options.cutoff, whole, (rows, cols))
            if mask.any():
                boxes.append((float(one.sum(dtype=np.float64)), Box2D.around(best_parts(mask, 1))))
        if not boxes:
            return None
        boxes.sort(key=lambda found: -found[0])
        surer = joined([box for _, box in boxes[: max(1, len(boxes) // 2)]])
        return close_look(encoder, self._policy, surer, self._size.look_mm)

    def _asked(
        self, encoder: SliceEncoder, positions: Sequence[int], crop: Box2D, cancel: CancelToken | None
    ) -> tuple[dict[int, np.ndarray], dict[int, float], dict[int, float]]:
        engine = encoder.engine.with_adapter(self.adapter)
        maps, scores, ious = {}, {}, {}
        for position in positions:
            if cancel is not None:
                cancel.raise_if_cancelled()
            place = Place(place_in_volume(encoder, position)) if self._given is None else None
            said = engine.propose(encoder.embedding(position, crop), crop.shape_rc, place)
            maps[position] = (likely(said.logits) * np.float32(said.object_score)).astype(np.float16)
            scores[position], ious[position] = said.object_score, said.predicted_iou
        return maps, scores, ious

    def _remembered(
        self,
        encoder: SliceEncoder,
        crop: Box2D,
        maps: Mapping[int, np.ndarray],
        scores: Mapping[int, float],
        ious: Mapping[int, float],
        cancel: CancelToken | None,
    ) -> dict[int, np.ndarray]:
        """The maps, each told what SAM 2's memory of the sure slices says there; annotated slices of this volume are the surest."""
        shown = {one.position: cut(one.mask, crop) for one in self._slices if key_of(one.encoder) == key_of(encoder) and one.mask.any()}
        if not shown:
            sure = {}
            for position, one in maps.items():
                inside = one > self._options.cutoff
                sure[position] = (
                    float(np.abs(2 * one[inside] - 1).mean(dtype=np.float64)) * scores[position] * ious[position] if inside.any() else 0.0
                )
            best = max(sure.values())
            if best <= 0:
                return dict(maps)
            shown = {p: maps[p] > self._options.cutoff for p in anchors_of(sure, self._options.anchors, _SURE_SHARE * best)}
        engine: SegmentationEngine = encoder.engine.with_adapter(None)
        share = self._options.memory_share
        mixed = dict(maps)
        for position, said in carried(encoder, engine, crop, shown, sorted(maps), cancel):
            mixed[position] = ((1 - share) * maps[position] + share * said).astype(np.float16)
        return mixed

    def _proposal(
        self, encoder: SliceEncoder, position: int, crop: Box2D, maps: Mapping[int, np.ndarray], score: float, iou: float, seconds: float
    ) -> AutoProposal:
        assert self._size is not None
        spacing, cutoff = encoder.stack.frame_spacing_rc_mm, self._options.cutoff
        mask = best_parts(paste(maps[position] > cutoff, crop, encoder.stack.frame_shape_rc), self._size.parts)
        if not mask.any():
            return not_found(encoder, position, crop, seconds, doubt=float(np.clip(2 * maps[position].max(), 0, 1)))
        inside = cut(mask, crop)
        certainty = float(maps[position][inside].mean(dtype=np.float64))
        look = "whole" if "whole" in self._likeness and crop == whole_look(encoder, self._policy) else "close"
        compared = self._likeness[look]
        share = share_on_grid(inside)
        unlike = compared.doubt(compared.of(feature_maps(encoder.embedding(position, crop)), share)) if share.any() else 1.0
        if mask.sum() * spacing[0] * spacing[1] > _MOST_GROWTH * self._size.largest_mm2:
            unlike = 1.0
        trust = (1 - unlike) * np.sqrt(certainty * max(score, 0.0))
        result = SliceResult(position, mask, iou, score, seconds, crop, prompted=False)
        return AutoProposal(position, None, result, float(np.clip(1 - trust, 0, 1)))
