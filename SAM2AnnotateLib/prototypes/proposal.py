"""What a search for an object gives: a proposal to review, or that it is not there. Imports annotator, propagation, prompts, geometry."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ..annotator import AnnotatedObject, Annotator
from ..geometry import Box2D, Extent
from ..progress import Progress, ProgressCallback
from ..prompts import SlicePrompt
from ..propagation import SliceResult

T = TypeVar("T")


@dataclass(frozen=True)
class ProposalOptions:
    """How to look for an object.

    Args:
        neighbors: slices of the prototypes that each slice of the volume is conditioned on.
        use_adapter: whether what was learned is used where there is an adapter that fits the model.
    """

    neighbors: int = 3
    use_adapter: bool = True


@dataclass(frozen=True, eq=False)
class ProposedObject:
    """An object that was found: to be reviewed like any other. Nothing of it is locked.

    Args:
        name: of the object.
        center_position: the slice to look at first; it carries the prompt.
        extent: positions of the first and last slice.
        results: by position, every slice of the extent.
        doubts: by position, 0 (nothing speaks against the slice) to 1.
        likeness: 0..1, how much what was found resembles the prototypes.
        prototypes: numbers of the prototypes that were used, from 1, in the order given.
        with_adapter: whether what was learned was used.
        seconds: that it took.
        notes: what the user should know, a sentence each.
    """

    name: str
    center_position: int
    extent: Extent
    results: Mapping[int, SliceResult]
    doubts: Mapping[int, float]
    likeness: float
    prototypes: tuple[int, ...]
    with_adapter: bool
    seconds: float
    notes: tuple[str, ...] = field(default=())

    @property
    def prompt(self) -> SlicePrompt:
        """The prompt that the center slice carries: a box around its mask."""
        return SlicePrompt(box=Box2D.around(self.results[self.center_position].mask))


@dataclass(frozen=True)
class NotFound:
    """The object is not on this volume, as far as can be told.

    Args:
        name: of the object.
        reason: one sentence for the user.
        likeness: 0..1, of what came closest to it.
        seconds: that it took.
        notes: what the user should know, a sentence each.
    """

    name: str
    reason: str
    likeness: float
    seconds: float
    notes: tuple[str, ...] = field(default=())


def drained(work: Generator[Progress, None, T], progress: ProgressCallback | None = None) -> T:
    """Run a generator that reports `Progress` to its end; what it returns."""
    while True:
        try:
            one = next(work)
        except StopIteration as end:
            return end.value
        if progress is not None:
            progress(one)


def as_annotated(annotator: Annotator, proposal: ProposedObject) -> AnnotatedObject:
    """A proposal as an object of an annotator on the same volume and plane, all its slices open for review."""
    item = AnnotatedObject(annotator, proposal.center_position, proposal.prompt, proposal.extent)
    for _, result in sorted(proposal.results.items()):
        item.review.add_result(result)
    return item
