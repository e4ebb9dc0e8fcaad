"""ScriptedEngine: a deterministic stand-in for a model, for tests, demonstrations and simulation. Imports numpy and prompts.

It segments by a plain rule, so that what it should answer can be worked out by hand: on the prompted slice, the pixels in the box (or near
the clicks) that are as bright as its center; from slice to slice, the pixels within `reach` of the last mask that are as bright as that.

It learns two numbers: the object's gray (median over the lessons' masks) and its size (longest side of their boxes, in pixels). With that,
the gray of a prompt's center no longer counts, clicks reach as far as the object is large, and `propose` finds that gray anywhere. Where an
adapter has a share below 1 in the answer, the rule without it is asked too: with a half, a pixel is in the mask if both say so.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from ..errors import CheckpointError, EngineError
from ..prompts import SlicePrompt
from .adapter import Adapter, described
from .blending import blended
from .engine import Embedding, SlicePrediction
from .learning import LearningSettings, Lesson, Place, Recollection, require_lessons


class ScriptedEngine:
    """A model with a rule instead of weights.

    Args:
        image_size: stated, as frames are not resampled.
        tolerance: gray levels by which a pixel may differ from the object's own gray.
        reach: pixels that an object's outline may move between neighboring slices.
        fail_at: called with the position of every step; raise in it to act out a fault, such as running out of memory.
        fail_learning_at: called with the number of every step of learning, from 1; likewise.
    """

    def __init__(
        self,
        image_size: int = 256,
        tolerance: int = 20,
        reach: int = 3,
        fail_at: Callable[[int], None] | None = None,
        fail_learning_at: Callable[[int], None] | None = None,
    ):
        self.image_size, self.tolerance, self.reach, self.fail_at = image_size, tolerance, reach, fail_at
        self.fail_learning_at = fail_learning_at
        self.encoded_frames = 0
        self.adapter: Adapter | None = None

    name = architecture = "scripted"
    memory_reach = 6

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the settings."""
        return hashlib.sha256(f"scripted {self.image_size} {self.tolerance} {self.reach}".encode()).hexdigest()

    def describe(self) -> dict:
        """For the record."""
        settings = {"model": self.name, "weights_sha256": self.fingerprint, "image_size": self.image_size}
        return {**settings, "device": "cpu", "precision": "exact", **described(self.adapter)}

    @property
    def weights_sha256(self) -> str:
        """The settings are the weights."""
        return self.fingerprint

    def with_adapter(self, adapter: Adapter | None) -> ScriptedEngine:
        """The same rule, with a gray and a size that were learned."""
        changed = copy.copy(self)
        changed.adapter = adapter
        if adapter is not None:
            adapter.require_base(self.fingerprint, self.name)
            if {name: array.shape for name, array in adapter.tensors.items()} != {"gray": (1,), "size": (1,)}:
                raise CheckpointError("The scripted model's adapter holds 'gray' and 'size', one number each.")
        return changed

    def propose(
        self, embedding: Embedding, frame_shape_rc: tuple[int, int], place: Place | None = None, memory: Sequence[Recollection] = ()
    ) -> SlicePrediction:
        """All pixels of the learned gray; near one of the remembered masks, if there are any."""
        if self.adapter is None:
            raise EngineError("Nothing was learned of an object: without a prompt there is nothing to look for.", "Load an adapter.")
        mask = np.abs(embedding.arrays[0].astype(float) - self.learned("gray")) <= self.tolerance
        if memory:
            mask &= np.any([_dilated(one.mask, self.reach * abs(one.position)) for one in memory], axis=0)
        return ScriptedTrack._prediction(mask)

    def start_learning(self, lessons: Sequence[Lesson], settings: LearningSettings) -> ScriptedLearningRun:
        """Learns all there is in its first step."""
        require_lessons(lessons)
        return ScriptedLearningRun(self, lessons)

    def learned(self, name: str) -> float:
        """``gray`` or ``size`` of the adapter."""
        assert self.adapter is not None
        return float(self.adapter.tensors[name][0])

    def encode(self, frame: np.ndarray) -> Embedding:
        """The frame itself."""
        if frame.dtype != np.uint8 or frame.ndim != 2:
            raise EngineError(f"Expected a uint8 frame (row, column), got {frame.dtype} of shape {frame.shape}.")
        self.encoded_frames += 1
        return Embedding((frame.copy(),))

    def start_track(self, frame_shape_rc: tuple[int, int], slice_count: int, reverse: bool) -> ScriptedTrack:
        """A fresh memory."""
        return ScriptedTrack(self, frame_shape_rc)


class ScriptedLearningRun:
    """Learning in one step; the loss falls as 1, 1/2, 1/3."""

    def __init__(self, engine: ScriptedEngine, lessons: Sequence[Lesson]):
        self._engine, self._lessons, self._steps = engine, [lesson for lesson in lessons if lesson.mask.any()], 0

    def step(self, done: float = 0.0) -> float:
        """One more."""
        self._steps += 1
        if self._engine.fail_learning_at is not None:
            self._engine.fail_learning_at(self._steps)
        return 1.0 / self._steps

    def tensors(self) -> dict[str, np.ndarray]:
        """Gray and size; nothing before the first step."""
        if not self._steps:
            return {}
        gray = np.median(np.concatenate([lesson.embedding.arrays[0][lesson.mask] for lesson in self._lessons]))
        size = max(int(np.ptp(np.flatnonzero(lesson.mask.any(axis=axis)))) + 1 for lesson in self._lessons for axis in (0, 1))
        return {"gray": np.array([gray], dtype=np.float32), "size": np.array([size], dtype=np.float32)}


class ScriptedTrack:
    """Remembers masks and grays; the nearest slice remembered leads."""

    def __init__(self, engine: ScriptedEngine, frame_shape_rc: tuple[int, int]):
        self._engine, self._shape_rc = engine, frame_shape_rc
        self._seen: dict[int, tuple[np.ndarray, float]] = {}

    def condition(self, position: int, embedding: Embedding, prompt: SlicePrompt) -> SlicePrediction:
        """Segment by the prompt, or take a final mask as it is."""
        frame = embedding.arrays[0]
        adapter = None if prompt.final_mask is not None else self._engine.adapter
        share = 0.0 if adapter is None else adapter.share("point" if prompt.box is None else "box")
        if prompt.final_mask is not None:
            said = self._prediction(prompt.final_mask.copy())
        elif share > 0:
            learned, as_it_came = (self._prediction(self._by_rule(frame, prompt, taught)) for taught in (True, False))
            said = blended(learned, as_it_came, share)
        else:
            said = self._prediction(self._by_rule(frame, prompt, False))
        self._remember(position, frame, said.mask)
        return said

    def remember(self, position: int, embedding: Embedding, mask: np.ndarray) -> None:
        """Take the mask into the memory."""
        self._remember(position, embedding.arrays[0], np.asarray(mask, dtype=bool))

    def step(self, position: int, embedding: Embedding) -> SlicePrediction:
        """Grow from the mask of the nearest slice seen."""
        if self._engine.fail_at is not None:
            self._engine.fail_at(position)
        last, gray = self._seen[min(self._seen, key=lambda seen: (abs(seen - position), seen))]
        near = _dilated(last, self._engine.reach)
        mask = near & (np.abs(embedding.arrays[0].astype(float) - gray) <= self._engine.tolerance)
        self._seen[position] = (mask, gray)
        return self._prediction(mask)

    def _by_rule(self, frame: np.ndarray, prompt: SlicePrompt, learned: bool) -> np.ndarray:
        allowed = np.zeros(self._shape_rc, dtype=bool) if prompt.box or prompt.points else np.ones(self._shape_rc, dtype=bool)
        if prompt.mask is not None:
            allowed |= prompt.mask
        reach = int(self._engine.learned("size")) if learned else 4 * self._engine.reach
        centers = []
        if prompt.box is not None:
            inside = prompt.box.clipped(self._shape_rc)
            allowed[inside.slices_rc] = True
            centers.append(((inside.row_start + inside.row_stop) // 2, (inside.col_start + inside.col_stop) // 2))
        for point in prompt.points:
            spot = np.zeros(self._shape_rc, dtype=bool)
            spot[point.row, point.col] = True
            spot = _dilated(spot, reach if point.positive else 4 * self._engine.reach)
            if point.positive:
                allowed |= spot
                centers.append((point.row, point.col))
            else:
                allowed &= ~spot
        if learned:
            return allowed & (np.abs(frame.astype(float) - self._engine.learned("gray")) <= self._engine.tolerance)
        grays = [float(frame[row, col]) for row, col in centers] or [float(frame[prompt.mask].mean())]
        return allowed & np.any([np.abs(frame.astype(float) - gray) <= self._engine.tolerance for gray in grays], axis=0)

    def _remember(self, position: int, frame: np.ndarray, mask: np.ndarray) -> None:
        self._seen[position] = (mask, float(np.median(frame[mask])) if mask.any() else -1000.0)

    @staticmethod
    def _prediction(mask: np.ndarray) -> SlicePrediction:
        return SlicePrediction(np.where(mask, np.float32(10), np.float32(-10)), 0.9 if mask.any() else 0.1, float(mask.any()))


def _dilated(mask: np.ndarray, by: int) -> np.ndarray:
    """The mask grown by a square of `by` pixels, without scipy: the library must run with numpy alone."""
    grown = mask.copy()
    for axis in (0, 1):
        source = grown.copy()
        for shift in range(1, by + 1):
            ahead, behind = [slice(None)] * 2, [slice(None)] * 2
            ahead[axis], behind[axis] = slice(shift, None), slice(None, -shift)
            grown[tuple(ahead)] |= source[tuple(behind)]
            grown[tuple(behind)] |= source[tuple(ahead)]
    return grown
