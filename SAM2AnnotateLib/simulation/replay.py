"""ReplayEngine: a model that never computes the same thing twice. Imports engine, prompts and numpy.

A simulation asks a model the same questions again and again: every threshold of a sweep begins with the same box, and two thresholds part
only at the first mask that one accepts and the other does not. What a track answers depends on nothing but what it was told before, so
answers are kept by that history. Only where a history is new does the model compute, from where it last stood. The review, propagation
and correction code above knows nothing of it, and every mask is the one that the model itself would give.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import numpy as np

from ..engine import (
    Adapter,
    Embedding,
    LearningRun,
    LearningSettings,
    Lesson,
    Place,
    Recollection,
    SegmentationEngine,
    SlicePrediction,
    Track,
)
from ..prompts import SlicePrompt
from .embedding_files import EmbeddingFiles
from .packed_mask import PackedMask

# A live track holds the model's memory of some slices, and embedding and masks of the last: about 3 embeddings' size together. One that
# has left is computed again from its beginning.
_LIVE_TRACKS = 24
_LOGIT = np.float32(10)


@dataclass(frozen=True, eq=False)
class KnownEmbedding(Embedding):
    """An embedding that says which frame and model it is of.

    Args:
        key: digest of the frame and the model.
        frame: what was encoded; some percent of the embedding's size.
    """

    key: bytes
    frame: np.ndarray


@dataclass(frozen=True, eq=False)
class _Answer:
    """A prediction without the size of its logits."""

    mask: PackedMask
    predicted_iou: float
    object_score: float

    @classmethod
    def of(cls, prediction: SlicePrediction) -> _Answer:
        return cls(PackedMask.of(prediction.mask), prediction.predicted_iou, prediction.object_score)

    def prediction(self) -> SlicePrediction:
        return SlicePrediction(np.where(self.mask.mask(), _LOGIT, -_LOGIT), self.predicted_iou, self.object_score)


# What a track is told about a slice. It gets the slice's embedding then: kept with the history, all would stay in memory.
_Act = Callable[[Track, Embedding], SlicePrediction | None]


@dataclass(eq=False)
class _Moment:
    """A track after some history: what it was told last and of which frame, what it answered, and what it can be told next."""

    before: _Moment | None
    act: _Act | None
    frame: np.ndarray | None
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
        self._alive: WeakValueDictionary[bytes, KnownEmbedding] = WeakValueDictionary()
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

    @property
    def architecture(self) -> str:
        """The model's."""
        return self._engine.architecture

    @property
    def weights_sha256(self) -> str:
        """The model's."""
        return self._engine.weights_sha256

    @property
    def adapter(self) -> Adapter | None:
        """The model's."""
        return self._engine.adapter

    def describe(self) -> dict:
        """The model's."""
        return self._engine.describe()

    def with_adapter(self, adapter: Adapter | None) -> ReplayEngine:
        """One that knows no answers yet, but the same embeddings."""
        changed = ReplayEngine(self._engine.with_adapter(adapter), self._files)
        changed._alive = self._alive
        return changed

    def propose(
        self, embedding: Embedding, frame_shape_rc: tuple[int, int], place: Place | None = None, memory: Sequence[Recollection] = ()
    ) -> SlicePrediction:
        """The model's, computed each time: no simulation asks twice."""
        return self._engine.propose(embedding, frame_shape_rc, place, memory)

    def start_learning(self, lessons: Sequence[Lesson], settings: LearningSettings) -> LearningRun:
        """The model's."""
        return self._engine.start_learning(lessons, settings)

    def encode(self, frame: np.ndarray) -> KnownEmbedding:
        """As long as anybody holds it, the same one; else from the files, or by the model."""
        digest = hashlib.blake2b(f"{self.fingerprint} {frame.shape} ".encode(), digest_size=16)
        digest.update(frame.tobytes())
        key = digest.digest()
        embedding = self._alive.get(key)
        if embedding is not None:
            return embedding
        arrays = None if self._files is None else self._files.read(key)
        if arrays is None:
            arrays = self._engine.encode(frame).arrays
            self.encoded += 1
            if self._files is not None:
                self._files.write(key, arrays)
        embedding = self._alive[key] = KnownEmbedding(arrays, key, frame)
        return embedding

    def start_track(self, frame_shape_rc: tuple[int, int], slice_count: int, reverse: bool) -> ReplayTrack:
        """A track that begins like all others of its kind."""
        beginning = self._beginnings.setdefault((frame_shape_rc, slice_count, reverse), _Moment(None, None, None))
        return ReplayTrack(self, beginning, lambda: self._engine.start_track(frame_shape_rc, slice_count, reverse))

    def forget(self) -> None:
        """Forget all answers; for the next object, which asks other questions. Embeddings are not kept here."""
        self._beginnings.clear()
        self._live.clear()
        self.answers = 0

    def _told(self, moment: _Moment, begin: Callable[[], Track], key: tuple, embedding: KnownEmbedding, act: _Act) -> _Moment:
        """The moment after `act`, known or computed."""
        known = moment.next.get(key)
        if known is None:
            track = self._track_at(moment, begin)
            prediction = act(track, embedding)
            self.computed += 1
            known = _Moment(moment, act, embedding.frame, None if prediction is None else _Answer.of(prediction))
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
        history: list[tuple[_Act, np.ndarray]] = []
        at: _Moment | None = moment
        while at is not None and at.act is not None and at.frame is not None:
            history.append((at.act, at.frame))
            at = at.before
        track = begin()
        for act, frame in reversed(history):
            act(track, self.encode(frame))
            self.computed += 1
        return track


class ReplayTrack:
    """One pass of a `ReplayEngine`."""

    def __init__(self, engine: ReplayEngine, beginning: _Moment, begin: Callable[[], Track]):
        self._engine, self._moment, self._begin = engine, beginning, begin

    def condition(self, position: int, embedding: Embedding, prompt: SlicePrompt) -> SlicePrediction:
        """As `Track.condition`."""
        box, points = prompt.box, prompt.points
        mask = None if prompt.mask is None else PackedMask.of(prompt.mask)

        def act(track: Track, seen: Embedding) -> SlicePrediction:
            return track.condition(position, seen, SlicePrompt(box, points, None if mask is None else mask.mask()))

        key = ("condition", position, box, points, None if mask is None else mask.digest)
        return self._ask(key, embedding, act)

    def remember(self, position: int, embedding: Embedding, mask: np.ndarray) -> None:
        """As `Track.remember`."""
        kept = PackedMask.of(np.asarray(mask, dtype=bool))
        self._tell(("remember", position, kept.digest), embedding, lambda track, seen: track.remember(position, seen, kept.mask()))

    def step(self, position: int, embedding: Embedding) -> SlicePrediction:
        """As `Track.step`."""
        return self._ask(("step", position), embedding, lambda track, seen: track.step(position, seen))

    def _ask(self, key: tuple, embedding: Embedding, act: _Act) -> SlicePrediction:
        self._tell(key, embedding, act)
        assert self._moment.answer is not None  # conditions and steps answer
        return self._moment.answer.prediction()

    def _tell(self, key: tuple, embedding: Embedding, act: _Act) -> None:
        if not isinstance(embedding, KnownEmbedding):
            raise TypeError("A ReplayEngine's tracks take the embeddings that it encoded itself.")
        self._moment = self._engine._told(self._moment, self._begin, (*key, embedding.key), embedding, act)
