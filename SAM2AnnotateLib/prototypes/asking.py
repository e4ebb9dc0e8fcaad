"""What the model says of one slice that comes after slices of the prototypes. Imports engine, propagation, prompts and this room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..engine import Embedding, Place, SegmentationEngine, SlicePrediction
from ..geometry import Box2D
from ..prompts import SlicePrompt
from ..propagation import SliceEncoder
from ..propagation.signed_distance import overlap
from .looks import Look
from .views import SupportSlice

# Each slice is asked about so many times, after other slices of the prototypes: the answers are averaged, and how far they agree is told.
_VOTES = 2
# A slice of a prototype from the other end of the object's extent is worth this much less, as a cosine.
_PLACE_WEIGHT = 0.3
# A pixel is the object above this logit: asked without a prompt the model draws too little rather than too much.
CUTOFF = -1.2
# So many slices of the prototypes are asked about, to tell how reliable they are; of one prototype after slices at least so far off, in
# shares of the extent.
_MOST_CHECKED, _LEAST_DISTANCE = 12, 0.05
# Bound for what is said of a pixel, before several say something of it.
MOST_LOGIT = 6.0
# Share of the learned decoder, which sees the slice alone, beside what follows from the slices of the prototypes.
_LEARNED_SHARE = 0.6
# The learned decoder looks at a slice in crops of these sides, against the plain one; the plain one, which covers all, is among them.
_LOOKS = (1.0, 0.88, 1.14)


@dataclass(frozen=True, eq=False)
class SliceAnswer:
    """What is said of one slice.

    Args:
        logits: (rows, cols) of the crop; above 0 is the object.
        object_score: probability that the object is there, 0..1.
        predicted_iou: the model's own estimate of its mask, 0..1.
        agreement: mean DSC of what the ways say of it, 0..1.
    """

    logits: np.ndarray
    object_score: float
    predicted_iou: float
    agreement: float


class Asking:
    """Asks about slices in one crop.

    Args:
        encoder: the volume and the model.
        learned: the model with what was learned of the object, or None.
        crop: of the slices.
        supports: slices of the prototypes, of the same number of pixels.
        neighbors: how many of them come before a slice.
        ask: called before each step of the model; raises to stop.
    """

    def __init__(
        self,
        encoder: SliceEncoder,
        learned: SegmentationEngine | None,
        crop: Box2D,
        supports: Sequence[SupportSlice],
        neighbors: int,
        ask: Callable[[], None],
    ):
        self._encoder, self._learned, self._crop, self._neighbors, self._ask = encoder, learned, crop, neighbors, ask
        self._supports = [one for one in supports if one.mask.any()]
        self._shows = np.array([one.mask.any() for one in supports])

    def about(self, position: int, alike: np.ndarray, along: float) -> SliceAnswer:
        """What is said of a slice.

        Args:
            position: of the slice.
            alike: (supports,) cosine with each of the prototypes' slices.
            along: where it lies in the object's likely extent: 0 on the first slice, 1 on the last; below and above beyond it.
        """
        said = self._remembered(self._encoder.embedding(position, self._crop), self._supports, alike[self._shows], along)
        remembered = np.mean([_bounded(one) for one in said], axis=0)
        if self._learned is None:
            return _joined(remembered, said)
        alone = self._as_learned(self._learned, position, Place(along) if 0 <= along <= 1 else None)
        return _joined((1 - _LEARNED_SHARE) * remembered + _LEARNED_SHARE * _bounded(alone), [*said, alone])

    def checks(self, likeness: np.ndarray) -> list[tuple[float, float]]:
        """(place, DSC) of some slices of the prototypes: where in the extent they lie, and how well they are found after slices of the
        other prototypes, or, where there is one, after its slices farther off.

        Args:
            likeness: (supports, supports) cosines of the prototypes' slices with each other.
        """
        alike = likeness[np.ix_(self._shows, self._shows)]
        several = len({one.prototype for one in self._supports}) > 1
        found = []
        for number in np.unique(np.rint(np.linspace(0, len(self._supports) - 1, _MOST_CHECKED)).astype(int)):
            one = self._supports[number]
            others = [index for index, other in enumerate(self._supports) if _tells(one, other, several)]
            if others and one.place is not None:
                known = [self._supports[index] for index in others]
                said = self._remembered(one.embedding, known, alike[number, others], one.place)
                mask = np.mean([_bounded(answer) for answer in said], axis=0) > CUTOFF
                found.append((one.place, overlap(mask, one.mask)))
        return found

    def _remembered(self, embedding: Embedding, supports: Sequence[SupportSlice], alike: np.ndarray, along: float) -> list[SlicePrediction]:
        """What follows from the most alike of some supports, as several votes."""
        at = min(max(along, 0.0), 1.0)
        places = np.array([at if one.place is None else one.place for one in supports])
        ranked = np.argsort(-(alike - _PLACE_WEIGHT * np.abs(places - at)), kind="stable")
        votes = [ranked[vote::_VOTES][: self._neighbors] for vote in range(min(_VOTES, len(ranked)))]
        return [self._after([supports[number] for number in chosen], embedding) for chosen in votes]

    def _as_learned(self, learned: SegmentationEngine, position: int, place: Place | None) -> SlicePrediction:
        """What the learned decoder says of a slice without any prompt: the mean of several looks at it."""
        said = []
        total, count = np.zeros(self._crop.shape_rc, dtype=np.float32), np.zeros(self._crop.shape_rc, dtype=np.float32)
        for scale in _LOOKS:
            self._ask()
            crop = Look(scale).crop(self._crop)
            one = learned.propose(self._encoder.embedding(position, crop), crop.shape_rc, place)
            said.append(one)
            rows, cols = (
                slice(max(a, b), min(c, d))
                for a, b, c, d in (
                    (self._crop.row_start, crop.row_start, self._crop.row_stop, crop.row_stop),
                    (self._crop.col_start, crop.col_start, self._crop.col_stop, crop.col_stop),
                )
            )
            here, there = _within(rows, cols, self._crop), _within(rows, cols, crop)
            total[here] += _bounded(one)[there]
            count[here] += 1
        ious, scores = [one.predicted_iou for one in said], [one.object_score for one in said]
        return SlicePrediction(total / count, float(np.mean(ious)), float(np.mean(scores)))

    def _after(self, before: Sequence[SupportSlice], embedding: Embedding) -> SlicePrediction:
        """What the model says of a slice that comes after slices of the prototypes, the most alike of them next to it."""
        self._ask()
        track = self._encoder.engine.start_track(self._crop.shape_rc, self._encoder.slice_count + len(before), False)
        for number, one in enumerate(reversed(before)):
            track.condition(number, one.embedding, SlicePrompt(mask=one.mask))
        return track.step(len(before), embedding)


def _tells(one: SupportSlice, other: SupportSlice, several: bool) -> bool:
    """Whether a slice of the prototypes says of another one what it would say of a slice of another volume."""
    if several:
        return other.prototype != one.prototype
    return other is not one and abs((other.place or 0.0) - (one.place or 0.0)) >= _LEAST_DISTANCE


def _within(rows: slice, cols: slice, crop: Box2D) -> tuple[slice, slice]:
    """Rows and columns of a slice as those of a crop of it."""
    return slice(rows.start - crop.row_start, rows.stop - crop.row_start), slice(cols.start - crop.col_start, cols.stop - crop.col_start)


def _bounded(said: SlicePrediction) -> np.ndarray:
    return np.clip(said.logits, -MOST_LOGIT, MOST_LOGIT)


def _joined(logits: np.ndarray, said: Sequence[SlicePrediction]) -> SliceAnswer:
    agreement = [overlap(one.mask, other.mask) for one, other in combinations(said, 2)]
    return SliceAnswer(
        logits,
        float(np.mean([one.object_score for one in said])),
        float(np.mean([one.predicted_iou for one in said])),
        float(np.mean(agreement)) if agreement else 1.0,
    )
