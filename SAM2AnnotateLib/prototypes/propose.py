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

from ..engine import EmbeddingStore, SegmentationEngine
from ..errors import InputError
from ..geometry import Box2D, Extent, SliceStack, Volume
from ..progress import CancelToken, Progress
from ..propagation import RegionPolicy, SliceEncoder, SliceResult
from ..propagation.region_of_interest import paste
from .asking import Asking, SliceAnswer
from .doubts import doubts_of
from .likeness import Likeness, cells
from .making import mapping_for
from .place import by_place, find_place, likely_extent, resemblance
from .proposal import NotFound, ProposalOptions, ProposedObject
from .prototype import Prototype
from .settling import settled
from .views import SupportSlice, crop_at, crop_side_mm, support_slice

# So many slices of all prototypes together are compared with.
_MOST_SUPPORTS = 110
# Of more prototypes than these the last are used: each of them costs time on every volume.
_MOST_PROTOTYPES = 18
# Between which shares of the prototypes' thickness the object's own is looked for.
_THINNEST, _THICKEST = 0.75, 1.25
# Slices that resemble the prototypes' by less than this share of what these resemble one another by are of something else.
_LEAST_SHARE = 0.6
# What a slice of one case resembles the most alike one of another by, as a cosine, where there is one prototype alone to tell.
_USUAL_LIKENESS = 0.5
# There, what resembles it less than this is doubted the more for it: parts of an abdomen resembled a heart by 0.42 and 0.47.
_SURE_LIKENESS = 0.6


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
        if len(self._used) > _MOST_PROTOTYPES:
            self._notes.append(f"Of {len(self._used)} prototypes the {_MOST_PROTOTYPES} that were added last were used.")
            self._used = dict(list(self._used.items())[-_MOST_PROTOTYPES:])
        self._learned = self._learned_engine()

    def _learned_engine(self) -> SegmentationEngine | None:
        """The engine with what was learned on the prototypes, where there is such and it is of this model."""
        adapter = next((one.adapter for one in self._used.values() if one.adapter is not None), None)
        if adapter is None or not self._options.use_adapter or adapter.card.plane != self._encoder.stack.plane:
            return None
        if adapter.card.base_sha256 != self._encoder.engine.weights_sha256:
            self._notes.append("What was learned is of another model, so it was not used: learn again with this one.")
            return None
        return self._encoder.engine.with_adapter(adapter)

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
        features = yield from self._features(positions, place.crop)
        alike = np.stack([likeness.with_each(one) for one in features])
        along = self._along(alike, supports, thickness)
        usual = likeness.expected([one.prototype for one in supports])
        sure = _SURE_LIKENESS if usual is None else usual
        usual = _USUAL_LIKENESS if usual is None else max(usual, 1e-3)
        found = resemblance(alike, along)
        if not ((along >= 0) & (along <= 1)).any():
            return self._not_found("no slice looks more like a part of it than like what lies beyond it", found)
        if found < _LEAST_SHARE * usual:  # told before the model is asked about every slice
            return self._not_found(f"what comes closest to it resembles it too little, {found:.2f} where {usual:.2f} is usual", found)
        asking = Asking(self._encoder, self._learned, place.crop, supports, self._options.neighbors, self._ask)
        # what was learned and what is remembered know different things: where they agree, that tells more
        checks = asking.checks(likeness.among()) if self._learned is None else []
        answers = []
        for index, position in enumerate(positions):
            answers.append(asking.about(position, alike[index], float(along[index])))
            yield Progress(index + 1, len(positions), "slices proposed")
        return self._proposal(positions, place.crop, answers, along, found, min(1.0, found / max(sure, 1e-3)), checks)

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

    def _features(self, positions: range, crop: Box2D) -> Generator[Progress, None, list[np.ndarray]]:
        features = []
        for done, position in enumerate(positions, start=1):
            self._ask()
            features.append(cells(self._encoder.embedding(position, crop)))
            yield Progress(done, len(positions), "slices encoded")
        return features

    def _along(self, alike: np.ndarray, supports: Sequence[SupportSlice], thickness: Sequence[float]) -> np.ndarray:
        """(slices,) where each slice lies in the extent that is most likely by how alike it is: 0 on the first slice, 1 on the last."""
        inside, beyond = by_place(alike, [one.place for one in supports], [one.prototype for one in supports])
        bounds = (_THINNEST * min(thickness), _THICKEST * max(thickness))
        first, last = likely_extent(inside, np.linspace(0, 1, inside.shape[1]), beyond, bounds)
        return (np.arange(len(alike)) - first) / max(1.0, last - first)

    def _proposal(
        self,
        positions: range,
        crop: Box2D,
        answers: Sequence[SliceAnswer],
        along: np.ndarray,
        likeness: float,
        share: float,
        checks: Sequence[tuple[float, float]],
    ) -> ProposedObject | NotFound:
        encoder = self._encoder
        found = settled(answers, along, list(self._used.values()), encoder.stack.spacing_src_mm)
        if found.absent or found.run is None:
            return self._not_found(found.absent, likeness)
        results, trusts = {}, []
        for index in range(found.run[0], found.run[1] + 1):
            position, one = positions[index], answers[index]
            whole = paste(found.masks[index], crop, encoder.stack.frame_shape_rc)
            results[position] = SliceResult(position, whole, one.predicted_iou, one.object_score, 0.0, crop, prompted=False)
            trusts.append(one.agreement * one.object_score * share**2)
        run = slice(found.run[0], found.run[1] + 1)
        pixel_mm2 = encoder.stack.spacing_src_mm[1] * encoder.stack.spacing_src_mm[2]
        areas_mm2 = [float(mask.sum()) * pixel_mm2 for mask in found.masks[run]]
        doubts = dict(zip(results, doubts_of(trusts, areas_mm2, along[run].tolist(), list(self._used.values()), checks), strict=True))
        middle = max(results, key=lambda position: int(results[position].mask.sum()))
        results[middle] = replace(results[middle], prompted=True)
        extent = Extent(positions[found.run[0]], positions[found.run[1]])
        seconds = time.perf_counter() - self._started
        learned, notes = self._learned is not None, tuple(self._notes)
        return ProposedObject(self._name, middle, extent, results, doubts, likeness, tuple(self._used), learned, seconds, notes)

    def _not_found(self, reason: str, likeness: float) -> NotFound:
        return NotFound(self._name, reason, likeness, time.perf_counter() - self._started, tuple(self._notes))

    def _ask(self) -> None:
        if self._cancel is not None:
            self._cancel.raise_if_cancelled()


def _require_some(prototypes: Sequence[Prototype]) -> Prototype:
    if not prototypes:
        raise InputError("There is no prototype to look for. Add one first.")
    return prototypes[0]
