"""ReplayEngine: a model that never computes the same thing twice. Imports engine, prompts and numpy.

A simulation asks a model the same questions again and again: every threshold of a sweep begins with the same box, and two thresholds part
only at the first mask that one accepts and the other does not. What a track answers depends on nothing but what it was told before, so
answers are kept by that history. Only where a history is new does the model compute, from where it last stood. The review, propagation
and correction code above knows nothing of it, and every mask is the one that the model itself would give.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..engine import Embedding, SegmentationEngine, SlicePrediction, Track
from ..prompts import SlicePrompt
from .embedding_files import EmbeddingFiles

# A live track holds the model's memory of some slices, about a MB; one that has left is computed again from its beginning.
_LIVE_TRACKS = 24
_LOGIT = np.float32(10)


@dataclass(frozen=True, eq=False)
class KnownEmbedding(Embedding):
    """An embedding that says which frame and model it is of.

    Args:
        key: digest of the frame and the model.
    """

    key: bytes = b""


@dataclass(frozen=True, eq=False)
class _Answer:
    """A prediction in an eighth of a byte a pixel."""

    shape_rc: tuple[int, int]
    bits: np.ndarray
    predicted_iou: float
    object_score: float

    @classmethod
    def of(cls, prediction: SlicePrediction) -> _Answer:
        mask = prediction.mask
        return cls(mask.shape, np.packbits(mask), prediction.predicted_iou, prediction.object_score)

    def prediction(self) -> SlicePrediction:
        rows, cols = self.shape_rc
        mask = np.unpackbits(self.bits, count=rows * cols).reshape(rows, cols).astype(bool)
        return SlicePrediction(np.where(mask, _LOGIT, -_LOGIT), self.predicted_iou, self.object_score)


_Act = Callable[[Track], SlicePrediction | None]


@dataclass(eq=False)
class _Moment:
    """A track after some history: what it answered last, and what it can be told next."""

    before: _Moment | None
    act: _Act | None
    answer: _Answer | None = None
    next: dict[tuple, _Moment] = field(default_factory=dict)


class ReplayEngine:
    """Wraps a model; gives its masks, with logits reduced to their sign.

    Args:
        engine: the model.
        files: where embeddings are kept between processes; None keeps none.

    Attributes:
        encoded: frames that the model encoded.
        computed: steps and prompts that the model computed.
        answers: steps and prompts that are known now.
    """

    def __init__(self, engine: SegmentationEngine, files: EmbeddingFiles | None = None):
        self._engine, self._files = engine, files
        self.encoded = self.computed = self.answers = 0
        self._beginnings: dict[tuple, _Moment] = {}
        self._live: OrderedDict[_Moment, Track] = OrderedDict()

    @property
    def name(self) -> str:
        """The model's."""
        return self._engine.name

    @property
    def fingerprint(self) -> str:
        """The model's."""
        return self._engine.fingerprint

    @property
    def image_size(self) -> int:
        """The model's."""
        return self._engine.image_size

    @property
    def memory_reach(self) -> int:
        """The model's."""
        return self._engine.memory_reach

    def describe(self) -> dict:
        """The model's."""
        return self._engine.describe()

    def encode(self, frame: np.ndarray) -> KnownEmbedding:
        """From the files, or by the model."""
        digest = hashlib.blake2b(f"{self.fingerprint} {frame.shape} ".encode(), digest_size=16)
        digest.update(frame.tobytes())
        key = digest.digest()
        arrays = None if self._files is None else self._files.read(key)
        if arrays is None:
            arrays = self._engine.encode(frame).arrays
            self.encoded += 1
            if self._files is not None:
                self._files.write(key, arrays)
        return KnownEmbedding(arrays, key)

    def start_track(self, frame_shape_rc: tuple[int, int], slice_count: int, reverse: bool) -> ReplayTrack:
        """A track that begins like all others of its kind."""
        beginning = self._beginnings.setdefault((frame_shape_rc, slice_count, reverse), _Moment(None, None))
        return ReplayTrack(self, beginning, lambda: self._engine.start_track(frame_shape_rc, slice_count, reverse))

    def forget(self) -> None:
        """Forget all answers; for the next object, which asks other questions. Embeddings are not kept here."""
        self._beginnings.clear()
        self._live.clear()
        self.answers = 0

    def _told(self, moment: _Moment, begin: Callable[[], Track], key: tuple, act: _Act) -> _Moment:
        """The moment after `act`, known or computed."""
        known = moment.next.get(key)
        if known is None:
            track = self._track_at(moment, begin)
            prediction = act(track)
            self.computed += 1
            known = _Moment(moment, act, None if prediction is None else _Answer.of(prediction))
            moment.next[key] = known
            self.answers += 1
            self._live[known] = track
            while len(self._live) > _LIVE_TRACKS:
                self._live.popitem(last=False)
        return known

    def _track_at(self, moment: _Moment, begin: Callable[[], Track]) -> Track:
        """A live track that stands at this moment; the caller moves it on. Computed again from the beginning where none does."""
        if moment in self._live:
            return self._live.pop(moment)
        history: list[_Act] = []
        at: _Moment | None = moment
        while at is not None and at.act is not None:
            history.append(at.act)
            at = at.before
        track = begin()
        for act in reversed(history):
            act(track)
            self.computed += 1
        return track


class ReplayTrack:
    """One pass of a `ReplayEngine`."""

    def __init__(self, engine: ReplayEngine, beginning: _Moment, begin: Callable[[], Track]):
        self._engine, self._moment, self._begin = engine, beginning, begin

    def condition(self, position: int, embedding: Embedding, prompt: SlicePrompt) -> SlicePrediction:
        """As `Track.condition`."""
        key = ("condition", position, _key_of(embedding), _digest_of(prompt))
        return self._ask(key, lambda track: track.condition(position, embedding, prompt))

    def remember(self, position: int, embedding: Embedding, mask: np.ndarray) -> None:
        """As `Track.remember`."""
        kept = np.array(mask, dtype=bool)
        key = ("remember", position, _key_of(embedding), kept.shape, np.packbits(kept).tobytes())
        self._moment = self._engine._told(self._moment, self._begin, key, lambda track: track.remember(position, embedding, kept))

    def step(self, position: int, embedding: Embedding) -> SlicePrediction:
        """As `Track.step`."""
        return self._ask(("step", position, _key_of(embedding)), lambda track: track.step(position, embedding))

    def _ask(self, key: tuple, act: _Act) -> SlicePrediction:
        self._moment = self._engine._told(self._moment, self._begin, key, act)
        assert self._moment.answer is not None  # conditions and steps answer
        return self._moment.answer.prediction()


def _key_of(embedding: Embedding) -> bytes:
    if not isinstance(embedding, KnownEmbedding):
        raise TypeError("A ReplayEngine's tracks take the embeddings that it encoded itself.")
    return embedding.key


def _digest_of(prompt: SlicePrompt) -> tuple:
    mask = None if prompt.mask is None else (prompt.mask.shape, np.packbits(prompt.mask).tobytes())
    return prompt.box, prompt.points, mask
