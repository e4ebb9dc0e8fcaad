"""How to learn, and what came of it. Imports engine and errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..engine import Adapter
from ..engine.adapter import TRAINED_PARTS
from ..errors import InputError

# Of more slices of several volumes some are learned from, whole volumes by lot: more than of one volume, as a run sees every slice.
MOST_SLICES_OF_SEVERAL = 288


@dataclass(frozen=True)
class LearningOptions:
    """How to learn.

    Args:
        seconds: of training, holding out included; encoding slices and asking about those held out come on top. Not used with `steps`.
        steps: of training in all, holding out included, however long they take: the same on every machine.
        trained: ``decoder`` (prompt encoder and mask decoder) or ``prompt_encoder`` (that alone).
        seed: of every draw.
        hold_out: whether slices are held out in turn, and what is not better on them is not kept.
        held_out_share: of the budget that goes into that.
    """

    seconds: float = 15.0
    steps: int | None = None
    trained: str = "decoder"
    seed: int = 0
    hold_out: bool = True
    held_out_share: float = 0.4

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= 3600:
            raise InputError(f"Learning takes a number of seconds up to an hour, got {self.seconds}.")
        if self.steps is not None and not 1 <= self.steps <= 100_000:
            raise InputError(f"Learning takes 1 to 100000 steps, got {self.steps}.")
        if self.trained not in TRAINED_PARTS:
            raise InputError(f"Unknown part to train '{self.trained}': expected one of {', '.join(TRAINED_PARTS)}.")
        if self.seed < 0:
            raise InputError(f"A seed is a whole number from 0 on, got {self.seed}.")
        if not 0 < self.held_out_share < 1:
            raise InputError(f"The share for holding out lies between 0 and 1, got {self.held_out_share}.")


@dataclass(frozen=True, eq=False)
class LearningOutcome:
    """What came of learning.

    Args:
        adapter: what was learned; None if it was not better than the model as it came on the slices held out.
        before, after: by kind of prompt, mean DSC of the held-out slices; empty without holding out.
        steps: of the last run, the one on all slices.
        seconds: of the clock, for all of it.
        slices: that hold the object and were learned from.
        volumes: that they are of.
        text: one sentence for the user.
        went_on: whether it went on from what had been learned of the earlier volumes.
    """

    adapter: Adapter | None
    before: Mapping[str, float]
    after: Mapping[str, float]
    steps: int
    seconds: float
    slices: int
    volumes: int
    text: str
    went_on: bool = False
