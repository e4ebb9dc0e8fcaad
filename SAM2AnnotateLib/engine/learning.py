"""What a model is given to learn from, and how learning goes. Imports numpy, errors and `engine`; no torch.

A lesson is one frame with its mask. What a step draws from it (a box, clicks, both, or no prompt) is the engine's business; image encoder
and memory stay as they are, so that embeddings made before and after learning are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..errors import InputError
from .adapter import TRAINED_PARTS

if TYPE_CHECKING:
    from .engine import Embedding

# What is drawn anew each step.
LESSON_KINDS = ("box", "point", "both", "none")


@dataclass(frozen=True)
class Place:
    """Where a slice lies in its object, for what is proposed without a prompt.

    Args:
        along: 0 at the extent's first slice, 1 at its last; None if not known.
    """

    along: float | None = None


@dataclass(frozen=True, eq=False)
class Recollection:
    """A slice that the model remembers while it learns another one.

    Args:
        position: of that slice, counted from the slice that is looked at: -2 lies two slices before it.
        embedding: of that slice, in the same crop.
        mask: (rows, cols) bool of the frame.
    """

    position: int
    embedding: Embedding
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class Lesson:
    """One frame of an annotated slice.

    Args:
        embedding: of the frame.
        mask: (rows, cols) bool of the frame; all False teaches that the object is not there.
        kinds: which of `LESSON_KINDS` are drawn from it; an empty mask takes ``none`` alone.
        place: where the slice lies.
        position: of the slice in its volume, for whoever looks at lessons.
        memory: slices that are remembered; a step then learns what follows from them, without a prompt. Empty: none.
        weight: how often it is drawn, against the others.
    """

    embedding: Embedding
    mask: np.ndarray
    kinds: tuple[str, ...] = LESSON_KINDS
    place: Place | None = None
    position: int = 0
    memory: tuple[Recollection, ...] = ()
    weight: float = 1.0

    def __post_init__(self) -> None:
        mask = np.asarray(self.mask, dtype=bool)
        if mask.ndim != 2:
            raise InputError(f"A lesson's mask has two dimensions (row, column), got shape {mask.shape}.")
        if not mask.any():
            object.__setattr__(self, "kinds", ("none",))
        strange = [kind for kind in self.kinds if kind not in LESSON_KINDS]
        if strange or not self.kinds or self.weight <= 0:
            raise InputError(f"A lesson takes some of {', '.join(LESSON_KINDS)} and a weight above 0, got {self.kinds}, {self.weight}.")
        object.__setattr__(self, "mask", mask)


@dataclass(frozen=True)
class LearningSettings:
    """How the engine learns.

    Args:
        trained: ``decoder`` (prompt encoder and mask decoder) or ``prompt_encoder`` (that alone, as study B has it).
        learning_rate: at the beginning.
        batch: lessons of one step, all asked with the same kind of prompt.
        seed: of every draw.
        shares: how often each of `LESSON_KINDS`, and ``memory``, is drawn, against the others that there are lessons for.
    """

    trained: str = "decoder"
    learning_rate: float = 5e-4
    batch: int = 4
    seed: int = 0
    shares: Mapping[str, float] = field(default_factory=lambda: {"box": 0.3, "point": 0.35, "both": 0.1, "none": 0.25, "memory": 1.0})

    def __post_init__(self) -> None:
        if self.trained not in TRAINED_PARTS:
            raise InputError(f"Unknown part to train '{self.trained}': expected one of {', '.join(TRAINED_PARTS)}.")
        if self.batch < 1 or not 0 < self.learning_rate < 1:
            raise InputError(f"A step takes at least one lesson and a rate between 0 and 1, got {self.batch} and {self.learning_rate}.")
        object.__setattr__(self, "shares", MappingProxyType(dict(self.shares)))


class LearningRun(Protocol):
    """Learning that is under way; the engine that started it stays as it is."""

    def step(self, done: float = 0.0) -> float:
        """Learn from one draw; the loss.

        Args:
            done: share of the budget that is used, 0..1; the learning rate falls with it.

        Raises:
            EngineError: if the model fails, such as out of memory.
        """

    def tensors(self) -> dict[str, np.ndarray]:
        """What has changed until now, for an `Adapter`."""


def require_lessons(lessons: Sequence[Lesson]) -> None:
    """Raise InputError unless there is something to learn from."""
    if not any(lesson.mask.any() for lesson in lessons):
        raise InputError("There is nothing to learn from: no annotated slice holds the object.")
