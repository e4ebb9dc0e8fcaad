"""ThresholdCarrying: the object's points, carried from slice to slice while their gray fits. Imports propagation, prompts and numpy.

Study B's prompt propagation. Its rule for the threshold is not published; ours: a point stays while its gray lies within some spreads of
the mean, and mean and spread follow what the object looks like on the slices passed. What remains gives the prompt, the model gives the
mask, and the mask's own points that fit are carried on. The object ends where too little remains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..geometry import Box2D
from ..progress import CancelToken, Progress
from ..propagation import RegionPolicy, SliceEncoder
from ..propagation.propagate import predict_slice
from .annotated import possible_slices
from .looks import ObjectSize, connected_pieces, whole_look
from .mask_prompts import prompt_from_mask
from .proposals import AutoProposal, not_found, object_slices, place_in_volume, same_volume, wanted_positions

if TYPE_CHECKING:
    from ..adaptation import AnnotatedSlice

# A mask beyond this many times the largest annotated area has run over into what lies beside the object.
_MOST_GROWTH = 1.5
# How far the place is trusted where an annotated slice of another volume is laid onto this one: so little that all of it stays in doubt, as
# gray alone does not tell one object from another.
_ELSEWHERE = 0.5


@dataclass(frozen=True)
class CarryingSettings:
    """How the threshold follows the object.

    Args:
        spreads: half the threshold's width, in standard deviations of the object's gray.
        following: share by which mean and spread move towards those of each slice passed, 0 (fixed) to 1; the spread never falls below that
            of the annotated slice, as what is carried was chosen by it.
        least_share: of the points that were carried from the last slice; where fewer fit, the object has ended.
    """

    spreads: float = 2.0
    following: float = 0.5
    least_share: float = 0.2


@dataclass(frozen=True, eq=False)
class _Source:
    """A slice that is known, or taken for known: where a walk begins."""

    position: int
    mask: np.ndarray
    mean: float
    spread: float
    trust: float


class ThresholdCarrying:
    """Study B's baseline. It learns nothing but where the object was and how bright.

    On a volume of which no slice was annotated, the walk begins where the annotated slice would lie: at the same share of the stack's
    length and of the slice's sides.

    Args:
        policy: which part of a slice the model is shown around a prompt.
        settings: how the threshold follows.
    """

    name = "threshold"

    def __init__(self, policy: RegionPolicy | None = None, settings: CarryingSettings | None = None):
        self._policy = RegionPolicy() if policy is None else policy
        self._settings = CarryingSettings() if settings is None else settings
        self._slices: list[AnnotatedSlice] = []
        self._grays: list[tuple[float, float]] = []
        self._size: ObjectSize | None = None

    def fit(self, slices: Sequence[AnnotatedSlice], cancel: CancelToken | None = None) -> Iterator[Progress]:
        """Measure gray and size of the object; see `AutoPrompter`."""
        holding = object_slices(slices)
        grays = []
        for done, one in enumerate(holding, start=1):
            if cancel is not None:
                cancel.raise_if_cancelled()
            inside = _gray(one.encoder, one.position)[one.mask]
            grays.append((float(inside.mean()), max(1.0, float(inside.std()))))
            yield Progress(done, len(holding), "slices measured")
        self._slices, self._grays, self._size = list(slices), grays, ObjectSize.of(holding)

    def propose(
        self, encoder: SliceEncoder, positions: Sequence[int] | None = None, cancel: CancelToken | None = None
    ) -> Iterator[AutoProposal]:
        """Walk outward from what is known; see `AutoPrompter`."""
        if self._size is None:
            raise InputError("Nothing was learnt yet: fit the method with annotated slices first.")
        wanted = wanted_positions(encoder, positions, self._slices)
        sources, empty = self._sources(encoder)
        possible = possible_slices(self._slices, encoder)
        nearest = {position: min(sources, key=lambda source: abs(source.position - position)) for position in wanted}
        found: dict[int, AutoProposal] = {}
        for source in sources:
            own = [position for position in wanted if nearest[position] is source and position in possible]
            for side in (-1, 1):
                ends = [abs(position - source.position) for position in own if (position - source.position) * side >= 0]
                reach = range(source.position, source.position + side * (max(ends, default=-1) + 1), side)
                for proposal in self._walk(encoder, source, reach, empty, cancel):
                    found.setdefault(proposal.position, proposal)
        crop = whole_look(encoder, self._policy)
        for position in wanted:
            yield found[position] if position in found else not_found(encoder, position, crop, 0.0)

    def _walk(
        self, encoder: SliceEncoder, source: _Source, reach: range, empty: set[int], cancel: CancelToken | None
    ) -> Iterator[AutoProposal]:
        """From a source outward; it ends where the object does."""
        settings, size = self._settings, self._size
        assert size is not None
        spacing = encoder.stack.frame_spacing_rc_mm
        points, mean, spread, trust = source.mask, source.mean, source.spread, source.trust
        for position in reach:
            if cancel is not None:
                cancel.raise_if_cancelled()
            known = position == source.position and source.trust == 1.0
            if position in empty:
                return
            gray = _gray(encoder, position)
            fits = np.abs(gray - mean) <= settings.spreads * spread
            left = points & fits
            share = float(left.sum()) / max(1, int(points.sum()))
            if share < settings.least_share or not left.any():
                return
            core = connected_pieces(left)
            main = np.logical_or.reduce([piece for piece in core if piece.sum() >= 0.2 * core[0].sum()])
            prompt = prompt_from_mask(main, spacing, positive=min(3, len(core)), negative=0)
            result = predict_slice(encoder, position, prompt, self._policy)
            area_mm2 = float(result.mask.sum()) * spacing[0] * spacing[1]
            trust *= 1.0 if known else min(1.0, share / 0.9) * (0.98 if area_mm2 <= _MOST_GROWTH * size.largest_mm2 else 0.5)
            yield AutoProposal(position, prompt, result, float(np.clip(1 - trust * result.predicted_iou * result.object_score, 0, 1)))
            if not known:
                inside = result.mask & fits
                points = inside if 0 < area_mm2 <= _MOST_GROWTH * size.largest_mm2 and inside.any() else left
                mean += settings.following * (float(gray[points].mean()) - mean)
                spread += settings.following * (max(source.spread, float(gray[points].std())) - spread)

    def _sources(self, encoder: SliceEncoder) -> tuple[list[_Source], set[int]]:
        """Where walks begin, and which slices are known to be without the object."""
        here = [one for one in self._slices if same_volume(one.encoder, encoder)]
        holding = [one for one in self._slices if one.mask.any()]
        empty = {one.position for one in here if not one.mask.any()}
        if any(one.mask.any() for one in here):
            known = [
                _Source(one.position, one.mask, *gray, 1.0)
                for one, gray in zip(holding, self._grays, strict=True)
                if same_volume(one.encoder, encoder)
            ]
            return known, empty
        middle = sorted(range(len(holding)), key=lambda n: place_in_volume(holding[n].encoder, holding[n].position))[len(holding) // 2]
        one = holding[middle]
        position = round(place_in_volume(one.encoder, one.position) * (encoder.slice_count - 1))
        return [_Source(position, _laid_onto(one.mask, encoder.stack.frame_shape_rc), *self._grays[middle], _ELSEWHERE)], empty


def _gray(encoder: SliceEncoder, position: int) -> np.ndarray:
    """(rows, cols) float32 gray of a whole slice, the mean over 3 x 3 pixels."""
    rows, cols = encoder.stack.frame_shape_rc
    padded = np.pad(encoder.picture(position, Box2D(0, rows, 0, cols)).astype(np.float32), 1, mode="edge")
    shifts = [padded[r : r + rows, c : c + cols] for r in range(3) for c in range(3)]
    return np.asarray(np.mean(shifts, axis=0), dtype=np.float32)


def _laid_onto(mask: np.ndarray, shape_rc: tuple[int, int]) -> np.ndarray:
    """A (rows, cols) mask on a slice of another size, at the same shares of its sides."""
    rows = ((np.arange(shape_rc[0]) + 0.5) * mask.shape[0] / shape_rc[0]).astype(int)
    cols = ((np.arange(shape_rc[1]) + 0.5) * mask.shape[1] / shape_rc[1]).astype(int)
    return mask[np.ix_(rows, cols)]
