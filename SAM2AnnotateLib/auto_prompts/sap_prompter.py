"""SapPrompter: a coarse mask by prototypes, its box and clicks as a prompt, the model's mask. Imports the rest of this room, propagation.

Method: SAP-Net of study B. Ours beside it: on a volume that nobody annotated the object is looked for on whole slices first, then again in
a crop of the size that the annotated slices were learnt in.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..geometry import Box2D
from ..metrics import dice
from ..optional_imports import import_for
from ..progress import CancelToken, Progress
from ..prompts import SlicePrompt
from ..propagation import RegionPolicy, SliceEncoder, SliceResult
from ..propagation.propagate import predict_slice
from ..propagation.region_of_interest import cut, paste
from .annotated import annotated_boxes, possible_slices, spread
from .features import GRID, feature_maps, resampled
from .likeness import MOST_COMPARED, Likeness, share_on_grid
from .looks import ObjectSize, close_look, joined, whole_look
from .mask_prompts import best_parts, prompt_from_mask
from .proposals import MOST_DOUBT, AutoProposal, is_elsewhere, key_of, not_found, object_slices, place_in_volume, wanted_positions

if TYPE_CHECKING:
    from ..adaptation import AnnotatedSlice

_INSTALL = "pip install torch"
# A coarse mask beyond this many times the largest annotated area is something else.
_MOST_GROWTH = 1.5
# The least doubt on a volume that has not the object.
_ABSENT_DOUBT = 0.75
# So much more of DSC the coarse mask must have on slices that it was trained on, to be taken instead of the model's.
_COARSE_AHEAD = 0.05
_MOST_COMPARED = 6
# Annotated slices that a network is trained on, evenly of all: with hiera tiny's features these take half a gigabyte.
_MOST_EXAMPLES = 192
# A likelihood above this makes a cell part of the coarse mask.
_LIKELY = 0.5


@dataclass(frozen=True)
class SapOptions:
    """What follows the coarse mask, and which rungs of the ladder are climbed.

    Args:
        network: values of `SapSettings` that differ from its defaults, by name.
        keep_parts: K, of the components of the coarse mask; ``annotated`` takes as many as an annotated slice has, None keeps all.
        box: whether the coarse mask's box is given to the model.
        positive, negative: clicks inside and outside.
        final: whose mask is proposed: ``model`` (as SAP-Net has it), ``coarse``, or ``better``: the model's, unless it loses more than
            0.05 DSC of what the coarse mask has on the annotated slices.
        elsewhere: whether other volumes will be asked for; the object is then learnt on whole slices too.
    """

    network: Mapping[str, Any] = field(default_factory=dict)
    keep_parts: int | str | None = "annotated"
    box: bool = True
    positive: int = 1
    negative: int = 1
    final: str = "better"
    elsewhere: bool = True

    def __post_init__(self) -> None:
        if self.final not in ("model", "coarse", "better"):
            raise InputError(f"Unknown way to choose a mask '{self.final}': expected model, coarse or better.")


@dataclass(frozen=True, eq=False)
class Coarse:
    """What the prototypes say of a slice.

    Args:
        mask: (rows, cols) bool of the whole slice.
        rejected: (rows, cols) bool of components that were left out.
        certainty: mean likelihood of the mask's cells; of an empty one the highest of all.
        likeness_doubt: see `Likeness.doubt`; 1 where nothing was found.
        crop: what was shown.
    """

    mask: np.ndarray
    rejected: np.ndarray
    certainty: float
    likeness_doubt: float
    crop: Box2D


def _agreement(result: SliceResult, coarse: Coarse) -> float:
    """DSC of the model's mask and the coarse one; 0 where the model found nothing."""
    return dice(result.mask, coarse.mask) if result.mask.any() else 0.0


class _Look:
    """Network and likeness of one scale."""

    def __init__(self, examples: Sequence[Any], groups: Sequence[object], settings: Any):
        sap_network = import_for("SAP-Net", "SAM2AnnotateLib.auto_prompts.sap_network", _INSTALL)
        self.network = sap_network.SapNetwork(examples, settings)
        holding = [(one, group) for one, group in zip(examples, groups, strict=True) if one.share.any()]
        holding = holding[:: -(-len(holding) // MOST_COMPARED)]
        self.likeness = Likeness([one.maps for one, _ in holding], [one.share for one, _ in holding], [group for _, group in holding])


class SapPrompter:
    """SAP-Net as a method of this room.

    Args:
        policy: which part of a slice the model is shown around a prompt.
        options: see `SapOptions`.
    """

    name = "SAP-Net"

    def __init__(self, policy: RegionPolicy | None = None, options: SapOptions | None = None):
        self._policy = RegionPolicy() if policy is None else policy
        self._options = SapOptions() if options is None else options
        self._slices: list[AnnotatedSlice] = []
        self._size: ObjectSize | None = None
        self._close: _Look | None = None
        self._whole: _Look | None = None
        self._coarse_is_better = False

    def with_options(self, options: SapOptions) -> SapPrompter:
        """The same method, with what was learnt, and other ways to use it.

        Raises:
            InputError: if the options ask for another network.
        """
        if dict(options.network) != dict(self._options.network) or options.elsewhere != self._options.elsewhere:
            raise InputError("These options ask for another network: make a new method and fit it.")
        changed = copy.copy(self)
        changed._options = options
        return changed

    def fit(self, slices: Sequence[AnnotatedSlice], cancel: CancelToken | None = None) -> Iterator[Progress]:
        """Train the head on the annotated slices; see `AutoPrompter`."""
        sap_network = import_for("SAP-Net", "SAM2AnnotateLib.auto_prompts.sap_network", _INSTALL)
        settings = sap_network.SapSettings(**self._options.network)
        size = ObjectSize.of(object_slices(slices))
        around = annotated_boxes(slices)
        taught = spread(slices, _MOST_EXAMPLES)
        groups = [key_of(one.encoder) for one in taught]
        close_crops = [close_look(one.encoder, self._policy, around[key_of(one.encoder)], size.look_mm) for one in taught]
        whole_crops = [whole_look(one.encoder, self._policy) for one in taught]
        looks = [_Look(self._examples(taught, close_crops, cancel), groups, settings)]
        if self._options.elsewhere and whole_crops != close_crops:
            looks.append(_Look(self._examples(taught, whole_crops, cancel), groups, settings))
        total = settings.steps * len(looks)
        for number, look in enumerate(looks):
            for step, _ in enumerate(look.network.train(), start=1):
                if cancel is not None:
                    cancel.raise_if_cancelled()
                yield Progress(number * settings.steps + step, total, "steps of training")
        tried = copy.copy(self)
        tried._slices, tried._size, tried._close, tried._whole = list(slices), size, looks[0], looks[-1]
        ahead = tried._coarse_ahead(taught, close_crops, cancel)
        vars(self).update(vars(tried), _coarse_is_better=ahead > _COARSE_AHEAD)

    def propose(
        self, encoder: SliceEncoder, positions: Sequence[int] | None = None, cancel: CancelToken | None = None
    ) -> Iterator[AutoProposal]:
        """Coarse mask, prompt, mask; see `AutoPrompter`."""
        wanted = wanted_positions(encoder, positions, self._slices)
        possible = possible_slices(self._slices, encoder)
        started = time.perf_counter()
        found = self._coarse(encoder, [position for position in wanted if position in possible], cancel)
        seconds = (time.perf_counter() - started) / max(1, len(found))
        whole = whole_look(encoder, self._policy)
        for position in wanted:
            if cancel is not None:
                cancel.raise_if_cancelled()
            if position in found:
                yield self._proposal(encoder, position, found[position], seconds)
            else:
                yield not_found(encoder, position, whole, 0.0)

    def coarse_masks(self, encoder: SliceEncoder, positions: Sequence[int] | None = None) -> dict[int, Coarse]:
        """The coarse masks alone, by position: what the prompts are made from."""
        return self._coarse(encoder, wanted_positions(encoder, positions, self._slices), None)

    # -- the coarse mask ---------------------------------------------------------------------------------------------------------

    def _coarse(self, encoder: SliceEncoder, positions: Sequence[int], cancel: CancelToken | None) -> dict[int, Coarse]:
        """By position; on a volume that nobody annotated by two looks, and doubted as a whole if most of it is."""
        if self._close is None or self._whole is None or self._size is None:
            raise InputError("Nothing was learnt yet: fit the method with annotated slices first.")
        whole, around = whole_look(encoder, self._policy), annotated_boxes(self._slices).get(key_of(encoder))
        if around is not None:
            crop = close_look(encoder, self._policy, around, self._size.look_mm)
            return self._seen_all(encoder, positions, crop, self._whole if crop == whole else self._close, cancel)
        found = self._seen_all(encoder, positions, whole, self._whole, cancel)
        believed = [one for one in found.values() if one.mask.any() and one.likeness_doubt <= MOST_DOUBT]
        if believed and self._whole is not self._close:
            surest = sorted(believed, key=lambda one: -one.certainty)[: max(1, len(believed) // 2)]
            crop = close_look(encoder, self._policy, joined([Box2D.around(one.mask) for one in surest]), self._size.look_mm)
            if crop != whole:
                found = self._seen_all(encoder, positions, crop, self._close, cancel)
        doubts = [one.likeness_doubt for one in found.values() if one.mask.any()]
        if doubts and is_elsewhere(doubts):
            return {p: replace(one, likeness_doubt=max(one.likeness_doubt, _ABSENT_DOUBT)) for p, one in found.items()}
        return found

    def _seen_all(
        self, encoder: SliceEncoder, positions: Sequence[int], crop: Box2D, look: _Look, cancel: CancelToken | None
    ) -> dict[int, Coarse]:
        found = {}
        for position in positions:
            if cancel is not None:
                cancel.raise_if_cancelled()
            found[position] = self._seen(encoder, position, crop, look)
        return found

    def _seen(self, encoder: SliceEncoder, position: int, crop: Box2D, look: _Look) -> Coarse:
        assert self._size is not None
        shape, spacing = encoder.stack.frame_shape_rc, encoder.stack.frame_spacing_rc_mm
        maps = feature_maps(encoder.embedding(position, crop))
        likely = look.network.likelihood(maps, place_in_volume(encoder, position))
        every = paste(resampled(likely[None], crop.shape_rc)[0] > _LIKELY, crop, shape)
        keep = self._options.keep_parts
        kept = best_parts(every, self._size.parts if keep == "annotated" else keep)  # type: ignore[arg-type]
        if kept.sum() * spacing[0] * spacing[1] > _MOST_GROWTH * self._size.largest_mm2:
            doubt = 1.0
        else:
            share = share_on_grid(cut(kept, crop))
            doubt = look.likeness.doubt(look.likeness.of(maps, share)) if share.any() else 1.0
        inside = share_on_grid(cut(kept, crop)) > _LIKELY
        certainty = float(likely[inside].mean()) if inside.any() else float(likely.max())
        return Coarse(kept, every & ~kept, certainty, doubt, crop)

    def _proposal(self, encoder: SliceEncoder, position: int, coarse: Coarse, seconds: float) -> AutoProposal:
        if not coarse.mask.any():
            return not_found(encoder, position, coarse.crop, seconds, doubt=float(np.clip(2 * coarse.certainty, 0, 1)))
        prompt, result, agreement = self._prompted(encoder, position, coarse)
        final = self._options.final
        if final == "coarse" or (final == "better" and self._coarse_is_better):
            own = SliceResult(position, coarse.mask.copy(), coarse.certainty, coarse.certainty, seconds, coarse.crop, prompted=False)
            return AutoProposal(position, prompt, own, float(np.clip(1 - coarse.certainty * (1 - coarse.likeness_doubt), 0, 1)))
        trust = coarse.certainty * (1 - coarse.likeness_doubt) * np.sqrt(max(0.0, result.predicted_iou) * agreement) * result.object_score
        return AutoProposal(position, prompt, result, float(np.clip(1 - trust, 0, 1)))

    def _prompted(self, encoder: SliceEncoder, position: int, coarse: Coarse) -> tuple[SlicePrompt, SliceResult, float]:
        """The prompt for a coarse mask that is not empty, what the model makes of it, and how far that agrees with it."""
        options, spacing = self._options, encoder.stack.frame_spacing_rc_mm
        prompt = prompt_from_mask(
            coarse.mask, spacing, box=options.box, positive=options.positive, negative=options.negative, rejected=coarse.rejected
        )
        result = predict_slice(encoder, position, prompt, self._policy)
        agreement = _agreement(result, coarse)
        if options.box and prompt.points:  # a click that misleads the model is left out
            boxed = SlicePrompt(box=prompt.box)
            without = predict_slice(encoder, position, boxed, self._policy, result.crop)
            if _agreement(without, coarse) * without.predicted_iou > agreement * result.predicted_iou:
                return boxed, without, _agreement(without, coarse)
        return prompt, result, agreement

    def _coarse_ahead(self, slices: Sequence[AnnotatedSlice], crops: Sequence[Box2D], cancel: CancelToken | None) -> float:
        """Mean DSC of the coarse masks of annotated slices less that of the model's masks made from them."""
        assert self._close is not None
        holding = [(one, crop) for one, crop in zip(slices, crops, strict=True) if one.mask.any()]
        ahead = []
        for one, crop in holding[:: -(-len(holding) // _MOST_COMPARED)]:
            if cancel is not None:
                cancel.raise_if_cancelled()
            coarse = self._seen(one.encoder, one.position, crop, self._close)
            if coarse.mask.any():
                _, result, _ = self._prompted(one.encoder, one.position, coarse)
                ahead.append(dice(coarse.mask, one.mask) - (dice(result.mask, one.mask) if result.mask.any() else 0.0))
        return float(np.mean(ahead)) if ahead else 0.0

    # -- what is learnt from -----------------------------------------------------------------------------------------------------

    @staticmethod
    def _examples(slices: Sequence[AnnotatedSlice], crops: Sequence[Box2D], cancel: CancelToken | None) -> list[Any]:
        sap_network = import_for("SAP-Net", "SAM2AnnotateLib.auto_prompts.sap_network", _INSTALL)
        examples = []
        for one, crop in zip(slices, crops, strict=True):
            if cancel is not None:
                cancel.raise_if_cancelled()
            maps = feature_maps(one.encoder.embedding(one.position, crop), GRID).astype(np.float16)
            share = share_on_grid(cut(one.mask, crop))
            examples.append(sap_network.Example(maps, share, place_in_volume(one.encoder, one.position)))
        return examples
