"""What every method without a prompt takes and gives. Imports propagation, prompts and numpy."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..errors import InputError
from ..geometry import Box2D
from ..progress import CancelToken, Progress
from ..prompts import SlicePrompt
from ..propagation import SliceEncoder, SliceResult

if TYPE_CHECKING:
    from ..adaptation import AnnotatedSlice

# A slice of more doubt than this is to be taken as "not found", or to be looked at first.
MOST_DOUBT = 0.5


@dataclass(frozen=True, eq=False)
class AutoProposal:
    """What a method says of one slice that nobody prompted.

    Args:
        position: of the slice in its stack.
        prompt: what the model was given; None where the method needs no prompt, or found nothing to prompt.
        result: the mask; all False where the object was not found.
        doubt: 0 (sure) to 1 (none).
    """

    position: int
    prompt: SlicePrompt | None
    result: SliceResult
    doubt: float

    def __post_init__(self) -> None:
        if not 0 <= self.doubt <= 1:
            raise InputError(f"A doubt lies between 0 and 1, got {self.doubt}.")

    @property
    def found(self) -> bool:
        """Whether there is a mask that may be believed."""
        return bool(self.result.mask.any()) and self.doubt <= MOST_DOUBT


class AutoPrompter(Protocol):
    """A method. It proposes only after it has been fitted."""

    @property
    def name(self) -> str:
        """For tables."""

    def fit(self, slices: Sequence[AnnotatedSlice], cancel: CancelToken | None = None) -> Iterator[Progress]:
        """Learn from annotated slices, of one or several volumes; done once the generator has ended.

        Raises:
            InputError: at the first step, if no slice holds the object.
            Cancelled: on request; the method is then as it was before.
        """

    def propose(
        self, encoder: SliceEncoder, positions: Sequence[int] | None = None, cancel: CancelToken | None = None
    ) -> Iterator[AutoProposal]:
        """Propose slices of a volume, one of those fitted on or another.

        Args:
            encoder: the volume, with the engine that was fitted with.
            positions: slices wanted; by default all of the stack that were not annotated.
            cancel: asked between slices.

        Yields:
            A proposal for each position, in rising order.

        Raises:
            InputError: at the first step, before `fit`, or for a position that the stack lacks.
        """


def object_slices(slices: Sequence[AnnotatedSlice]) -> list[AnnotatedSlice]:
    """Those that hold the object.

    Raises:
        InputError: if none does, or a mask does not fit its stack.
    """
    for one in slices:
        if one.mask.shape != one.encoder.stack.frame_shape_rc or not 0 <= one.position < one.encoder.slice_count:
            raise InputError(f"The annotated slice {one.position} of shape {one.mask.shape} is not one of {one.encoder.stack.shape_src}.")
    holding = [one for one in slices if one.mask.any()]
    if not holding:
        raise InputError("There is nothing to learn from: no annotated slice holds the object.")
    return holding


def wanted_positions(encoder: SliceEncoder, positions: Sequence[int] | None, annotated: Sequence[AnnotatedSlice]) -> list[int]:
    """The positions asked for, rising; by default those that were not annotated. Raises InputError for one that the stack lacks."""
    if positions is None:
        known = {one.position for one in annotated if same_volume(one.encoder, encoder)}
        return [position for position in range(encoder.slice_count) if position not in known]
    wanted = sorted(set(positions))
    if wanted and not (wanted[0] >= 0 and wanted[-1] < encoder.slice_count):
        raise InputError(f"Slices {wanted[0]}..{wanted[-1]} were asked for: the stack has 0..{encoder.slice_count - 1}.")
    return wanted


def same_volume(one: SliceEncoder, other: SliceEncoder) -> bool:
    """Whether two encoders show the same slices of the same image."""
    return key_of(one) == key_of(other)


def key_of(encoder: SliceEncoder) -> Hashable:
    """Equal where the same slices of the same image are shown in the same gray window."""
    return encoder.volume.token, encoder.stack, encoder.mapping.lower, encoder.mapping.upper


def place_in_volume(encoder: SliceEncoder, position: int) -> float:
    """0 at the stack's first slice, 1 at its last: what is known of a slice before anything was found."""
    return position / max(1, encoder.slice_count - 1)


def is_elsewhere(doubts: Sequence[float]) -> bool:
    """Whether a volume that nobody annotated has not the object: most of what was found there is doubted.

    A model that has learnt one object finds something on some slices of any volume, and now and then it looks alike by chance.

    Args:
        doubts: of the slices on which something was found.
    """
    return sum(doubt > MOST_DOUBT for doubt in doubts) * 2 >= len(doubts)


def not_found(encoder: SliceEncoder, position: int, crop: Box2D, seconds: float, doubt: float = 1.0) -> AutoProposal:
    """A proposal of nothing."""
    empty = np.zeros(encoder.stack.frame_shape_rc, dtype=bool)
    return AutoProposal(position, None, SliceResult(position, empty, 0.0, 0.0, seconds, crop, prompted=False), doubt)
