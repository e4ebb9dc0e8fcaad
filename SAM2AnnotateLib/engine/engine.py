"""What a model must do: numpy in, numpy out. Imports prompts, numpy and the standard library.

A *frame* is what the model is shown of a slice: a uint8 picture (row, column), the whole slice or a region of it. A *track* is one pass
over neighboring slices in one direction with a memory of its own, as a fresh SAM 2 state is. Positions number the slices of a stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..prompts import SlicePrompt
from .adapter import Adapter
from .learning import LearningRun, LearningSettings, Lesson, Place, Recollection


@dataclass(frozen=True, eq=False)
class Embedding:
    """What the image encoder made of one frame; only the engine that made it can read it.

    Args:
        arrays: plain arrays, so that an embedding can be kept, counted and spilled to disk without the model.
    """

    arrays: tuple[np.ndarray, ...]

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return sum(array.nbytes for array in self.arrays)


@dataclass(frozen=True, eq=False)
class SlicePrediction:
    """What the model says about one frame.

    Args:
        logits: (rows, cols) float32 of the frame; the object is where they are above 0.
        predicted_iou: the model's own estimate of its mask's IoU, 0..1.
        object_score: the model's probability that the object is on this slice, 0..1.
    """

    logits: np.ndarray
    predicted_iou: float
    object_score: float

    @property
    def mask(self) -> np.ndarray:
        """(rows, cols) bool."""
        return self.logits > 0


class Track(Protocol):
    """One pass in one direction, with its own memory."""

    def condition(self, position: int, embedding: Embedding, prompt: SlicePrompt) -> SlicePrediction:
        """Take a prompt (in pixels of the frame) as conditioning frame and say what it gives there. A final mask comes back as it is."""

    def remember(self, position: int, embedding: Embedding, mask: np.ndarray) -> None:
        """Put a mask (rows, cols) that was found before into the memory, as if this track had just passed that slice."""

    def step(self, position: int, embedding: Embedding) -> SlicePrediction:
        """Predict the next slice from the memory, and remember it."""


class SegmentationEngine(Protocol):
    """A loaded model, with or without what it learned of one object."""

    @property
    def name(self) -> str:
        """The checkpoint's name."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights and the settings that change results: equal fingerprints give interchangeable embeddings."""

    @property
    def image_size(self) -> int:
        """Pixels per side that frames are resampled to."""

    @property
    def memory_reach(self) -> int:
        """Number of preceding slices whose masks a step looks at."""

    @property
    def architecture(self) -> str:
        """The architecture's name, for an adapter's card."""

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights as they came, which an adapter is bound to."""

    @property
    def adapter(self) -> Adapter | None:
        """What was learned and is used here; None for the model as it came."""

    def encode(self, frame: np.ndarray) -> Embedding:
        """Encode one uint8 frame of any size."""

    def start_track(self, frame_shape_rc: tuple[int, int], slice_count: int, reverse: bool) -> Track:
        """A fresh memory for frames of this size, in a stack of `slice_count` slices; `reverse` if positions fall."""

    def with_adapter(self, adapter: Adapter | None) -> SegmentationEngine:
        """This model with an adapter, or without one; this one stays as it is.

        Both share weights and `fingerprint`: what one encodes, the other takes. Slices that are seen with a prompt and without memory are
        answered as learned; passes from slice to slice go by the memory as it came.

        Raises:
            CheckpointError: if the adapter is of another model.
        """

    def propose(
        self, embedding: Embedding, frame_shape_rc: tuple[int, int], place: Place | None = None, memory: Sequence[Recollection] = ()
    ) -> SlicePrediction:
        """The object on a frame without any prompt.

        Args:
            embedding: of the frame.
            frame_shape_rc: (rows, cols) of the frame.
            place: where the slice lies in the object, if known.
            memory: known slices in the same crop; their positions count from this slice: -2 lies two slices before it.

        Raises:
            EngineError: without an adapter.
        """

    def start_learning(self, lessons: Sequence[Lesson], settings: LearningSettings) -> LearningRun:
        """Begin to learn, from the adapter if there is one; this engine stays as it is. Raises InputError if no lesson holds the object."""

    def describe(self) -> dict:
        """Name, hash, device, precision and image size, and the adapter's name and hash if there is one, for the record."""
