"""Find on a volume what was annotated on others. Imports the files of this room, propagation, engine and below.

Slices of the prototypes come before each of the volume's slices, as if they were of the same volume: SAM 2 is conditioned on those that are
most alike, and asked. Where something was learned, the learned decoder is asked as well, without any prompt. What both say is joined and
made to agree from slice to slice. README.md in this folder says how the rule was chosen.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np

from ..engine import EmbeddingStore, SegmentationEngine, SlicePrediction
from ..errors import InputError
from ..geometry import Box2D, Extent, SliceStack, Volume
from ..progress import CancelToken, Progress
from ..prompts import SlicePrompt
from ..propagation import RegionPolicy, SliceEncoder, SliceResult
from ..propagation.carrying import overlap
from ..propagation.region_of_interest import paste
from .joining import AREA_BOUND, large_parts, one_run, smoothed
from .likeness import Likeness, cells
from .making import mapping_for
from .place import by_place, find_place, likely_extent
from .proposal import NotFound, ProposalOptions, ProposedObject
from .prototype import Prototype
from .views import SupportSlice, crop_at, crop_side_mm, support_slice

# So many slices of all prototypes together are compared with.
_MOST_SUPPORTS = 150
# Each slice is asked about so many times, with other slices of the prototypes: the answers are averaged, and how far they agree is told.
_VOTES = 2
# A slice of a prototype from the other end of the object's extent is worth this much less, as a cosine.
_PLACE_WEIGHT = 0.3
# Neighboring slices are made to agree over this share of the object's thickness (standard deviation of a Gaussian).
_SMOOTHING = 1 / 30
# This share of the object's thickness beyond its likely ends, nothing is taken for it.
_FAR_BEYOND = 0.25
# Cosine of what was found with the prototypes' object, below which it is not the object.
_LEAST_LIKENESS = 0.3
# What was found has at least this share of the smallest prototype's volume.
_LEAST_VOLUME = 0.2
# Bound for what the model says of a pixel, before several say something of it.
_MOST_LOGIT = 6.0


def encoder_for(
    volume: Volume, engine: SegmentationEngine, prototypes: Sequence[Prototype], store: EmbeddingStore | None = None
) -> SliceEncoder:
    """A volume as the prototypes were looked at: in their plane, and in their gray.

    Raises:
        InputError: if there is no prototype.
    """
    plane = _require_some(prototypes).plane
    return SliceEncoder(engine, volume, SliceStack.along(volume.grid, plane), mapping_for(volume, prototypes), store)


def propose(
    encoder: SliceEncoder,
    prototypes: Sequence[Prototype],
    policy: RegionPolicy | None = None,
    options: ProposalOptions | None = None,
    modality: str | None = None,
    cancel: CancelToken | None = None,
) -> Generator[Progress, None, ProposedObject | NotFound]:
    """Look for an object on a volume, without any prompt.

    Args:
        encoder: the volume, sliced as the prototypes were, see `encoder_for`.
        prototypes: of the object; of one name.
        policy: how much is shown around the object; by default ``auto``.
        options: see there.
        modality: ``CT`` or ``MR`` of the volume, if it is known; an object of the other is not looked for.
        cancel: asked before each step of the model.

    Yields:
        Progress, in slices.

    Returns:
        The proposal, or that the object is not there.

    Raises:
        InputError: if there is no prototype, or none in the plane of the encoder.
        EngineError: if the model fails.
        Cancelled: if `cancel` was set.
    """
    return _Search(encoder, prototypes, policy or RegionPolicy(), options or ProposalOptions(), modality, cancel).run()


class _Search:
    """One search; what it knows so far."""

    def __init__(
        self,
        encoder: SliceEncoder,
        prototypes: Sequence[Prototype],
        policy: RegionPolicy,
        options: ProposalOptions,
        modality: str | None,
        cancel: CancelToken | None,
    ):
        self._encoder, self._policy, self._options, self._cancel = encoder, policy, options, cancel
        self._name, self._modality = _require_some(prototypes).name, modality
        self._used = {number: one for number, one in enumerate(prototypes, start=1) if one.plane == encoder.stack.plane}
        if not self._used:
            planes = ", ".join(sorted({one.plane for one in prototypes}))
            raise InputError(
                f"The prototypes of '{self._name}' are {planes}, the volume is sliced {encoder.stack.plane}. Slice it as they are."
            )
        self._started = time.perf_counter()
        self._notes: list[str] = []
        if len(self._used) < len(prototypes):
            self._notes.append(f"{len(prototypes) - len(self._used)} prototypes of another plane than {encoder.stack.plane} were left out.")

    def run(self) -> Generator[Progress, None, ProposedObject | NotFound]:
        """Search, see `propose`."""
        kinds = {one.modality for one in self._used.values()}
        if self._modality is not None and self._modality not in kinds:
            return self._not_found(f"the prototypes are {' and '.join(sorted(kinds))}, this volume is {self._modality}", 0.0)
        side_mm = self._side_mm()
        stack = self._encoder.stack
        shape_rc = crop_at((0.0, 0.0), side_mm, stack.frame_shape_rc, stack.frame_spacing_rc_mm).shape_rc
        supports = yield from self._supports(side_mm, shape_rc)
        features = [cells(one.embedding) for one in supports]
        likeness = Likeness(features, [one.mask for one in supports])
        thickness = [one.extent_mm / stack.spacing_src_mm[0] for one in self._used.values()]
        share = max(float(one.mask.mean()) for one in supports)
        place = yield from find_place(self._encoder, likeness, side_mm, share, float(np.median(thickness)), self._cancel)
        positions = self._window(place.position, max(thickness))
        yield from self._looked_at(positions, place.crop, supports, likeness, thickness)
        return self._proposal(positions, place.crop, likeness, thickness)

    def _side_mm(self) -> float:
        stack = self._encoder.stack
        own = max(side * mm for side, mm in zip(stack.frame_shape_rc, stack.frame_spacing_rc_mm, strict=True))
        theirs = sorted(
            max(s * mm for s, mm in zip(one.frame_shape_rc, one.frame_spacing_rc_mm, strict=True)) for one in self._used.values()
        )
        return min(crop_side_mm(list(self._used.values()), self._policy), own, theirs[len(theirs) // 2])

    def _supports(self, side_mm: float, shape_rc: tuple[int, int]) -> Generator[Progress, None, list[SupportSlice]]:
        each = max(6, _MOST_SUPPORTS // len(self._used))
        chosen = [
            (number, prototype, one)
            for number, prototype in self._used.items()
            for one in (prototype.slices[i] for i in np.unique(np.rint(np.linspace(0, len(prototype.slices) - 1, each)).astype(int)))
        ]
        supports = []
        for done, (number, prototype, one) in enumerate(chosen, start=1):
            self._ask()
            supports.append(support_slice(self._encoder.engine, prototype, number, one, side_mm, shape_rc))
            yield Progress(done, len(chosen), "slices of the prototypes encoded")
        return supports

    def _window(self, middle: int, thickness: float) -> range:
        reach = int(np.ceil(1.5 * thickness)) + 2
        return range(max(0, middle - reach), min(self._encoder.slice_count, middle + reach + 1))

    def _looked_at(self, positions, crop, supports, likeness, thickness) -> Generator[Progress, None, None]:
        """The volume's slices, asked one by one with the slices of the prototypes before them."""
        encoder = self._encoder
        self.features = []
        for done, position in enumerate(positions, start=1):
            self._ask()
            self.features.append(cells(encoder.embedding(position, crop)))
            yield Progress(done, len(positions), "slices encoded")
        alike = np.stack([likeness.with_each(one) for one in self.features])
        self.alike = alike
        places = [one.place for one in supports]
        inside, beyond = by_place(alike, places, [one.prototype for one in supports])
        self.inside, self.beyond = inside, beyond
        self.likely = likely_extent(inside, np.linspace(0, 1, inside.shape[1]), beyond, (0.75 * min(thickness), 1.25 * max(thickness)))
        self.memory, self.scores, self.ious, self.agreed = [], [], [], []
        for done, position in enumerate(positions, start=1):
            index = done - 1
            ranked = self._ranked(alike[index], supports, index)
            votes = []
            for vote in range(min(_VOTES, len(ranked))):
                self._ask()
                chosen = ranked[vote::_VOTES][: self._options.neighbors]
                votes.append(self._asked_after([supports[at] for at in chosen], position, crop))
            self._joined(votes)
            yield Progress(done, len(positions), "slices proposed")

    def _ranked(self, alike: np.ndarray, supports: Sequence[SupportSlice], index: int) -> list[int]:
        """The prototypes' slices that show the object, the most alike first; those from about this place of the extent count for more."""
        first, last = self.likely
        at = min(max((index - first) / max(1.0, last - first), 0.0), 1.0)
        shows = [number for number, one in enumerate(supports) if one.mask.any()]
        worth = {n: float(alike[n]) - _PLACE_WEIGHT * abs((supports[n].place or 0.0) - at) for n in shows}
        return sorted(shows, key=lambda n: -worth[n])

    def _asked_after(self, before: Sequence[SupportSlice], position: int, crop: Box2D) -> SlicePrediction:
        """What the model says of a slice that comes after slices of the prototypes, the most alike of them next to it."""
        track = self._encoder.engine.start_track(crop.shape_rc, self._encoder.slice_count + len(before), False)
        for back, one in enumerate(reversed(before)):
            track.condition(back, one.embedding, SlicePrompt(mask=one.mask))
        return track.step(len(before), self._encoder.embedding(position, crop))

    def _joined(self, votes: Sequence[SlicePrediction]) -> None:
        logits = [np.clip(one.logits, -_MOST_LOGIT, _MOST_LOGIT) for one in votes]
        self.memory.append(np.mean(logits, axis=0))
        self.scores.append(float(np.mean([one.object_score for one in votes])))
        self.ious.append(float(np.mean([one.predicted_iou for one in votes])))
        self.agreed.append(overlap(logits[0] > 0, logits[-1] > 0))

    def _proposal(self, positions: range, crop: Box2D, likeness: Likeness, thickness: Sequence[float]) -> ProposedObject | NotFound:
        self.crop, self.positions, self.likeness = crop, positions, likeness
        joined = smoothed(np.stack(self.memory) + self._towards_likely(), _SMOOTHING * float(np.median(thickness)))
        masks = [large_parts(one > 0) for one in joined]
        largest = max(one.largest_area_mm2 for one in self._used.values())
        rows_mm, cols_mm = self._encoder.stack.frame_spacing_rc_mm
        areas = np.array([float(mask.sum()) * rows_mm * cols_mm for mask in masks])
        areas[areas > AREA_BOUND * largest] = 0.0
        alike = np.array([likeness.of_object(one, mask) for one, mask in zip(self.features, masks, strict=True)])
        run = one_run(areas)
        found = float(np.median(alike[run[0] : run[1] + 1])) if run else -1.0
        if run is None:
            return self._not_found("nothing on this volume is taken for the object", max(0.0, found))
        thickness_mm = self._encoder.stack.spacing_src_mm[0]
        if float(areas[run[0] : run[1] + 1].sum()) * thickness_mm < _LEAST_VOLUME * min(one.volume_mm3 for one in self._used.values()):
            return self._not_found("what comes closest to it is much smaller", max(0.0, found))
        if found < _LEAST_LIKENESS:
            return self._not_found(f"what comes closest to it resembles it too little ({found:.2f})", max(0.0, found))
        results, doubts = {}, {}
        for index in range(run[0], run[1] + 1):
            mask = masks[index] if areas[index] > 0 else np.zeros_like(masks[index])
            position = positions[index]
            whole = paste(mask, crop, self._encoder.stack.frame_shape_rc)
            results[position] = SliceResult(position, whole, self.ious[index], self.scores[index], 0.0, crop, prompted=False)
            doubts[position] = float(np.clip(1 - self.agreed[index] * self.scores[index], 0, 1))
        middle = max(results, key=lambda p: int(results[p].mask.sum()))
        results[middle] = replace(results[middle], prompted=True)
        seconds = time.perf_counter() - self._started
        extent = Extent(positions[run[0]], positions[run[1]])
        return ProposedObject(self._name, middle, extent, results, doubts, found, tuple(self._used), False, seconds, tuple(self._notes))

    def _towards_likely(self) -> np.ndarray:
        """(slices, 1, 1) what is taken off the logits of slices that lie beyond the likely extent, the more the farther."""
        first, last = self.likely
        at = np.arange(len(self.memory))
        beyond = np.maximum(0.0, np.maximum(first - at, at - last)) / max(1.0, last - first)
        return -(_MOST_LOGIT * np.minimum(1.0, beyond / _FAR_BEYOND))[:, None, None]

    def _not_found(self, reason: str, likeness: float) -> NotFound:
        return NotFound(self._name, reason, likeness, time.perf_counter() - self._started, tuple(self._notes))

    def _ask(self) -> None:
        if self._cancel is not None:
            self._cancel.raise_if_cancelled()


def _require_some(prototypes: Sequence[Prototype]) -> Prototype:
    if not prototypes:
        raise InputError("There is no prototype to look for. Add one first.")
    return prototypes[0]
