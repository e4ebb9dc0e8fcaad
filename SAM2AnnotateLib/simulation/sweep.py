"""How many slices each threshold has corrected. Imports simulation.simulate and numpy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from .acceptance import Acceptance
from .bench import Bench
from .reader import MaskMemory
from .simulate import SimulatedObject, simulate
from .workflow import Workflow


def sweep(
    bench: Bench, memory: MaskMemory, workflow: Workflow, rules: Sequence[Acceptance], fresh_rng: Callable[[], np.random.Generator]
) -> list[int]:
    """Slices corrected under each of several rules, by whole simulations.

    Two rules between whose thresholds no score lies that either run saw decide alike all the way, so one of them is not run.

    Args:
        bench: the volume and the model; keeps what the model answered.
        memory: of the object; keeps scores and corrections.
        workflow: how.
        rules: any number, in any order.
        fresh_rng: a generator in the same state for each run: one person with one jitter meets all thresholds.
    """
    known: list[tuple[_Decided, int]] = []
    counts = []
    for rule in rules:
        count = next((count for decided, count in known if decided.alike(rule)), None)
        if count is None:
            done = simulate(bench, memory, workflow, rule, fresh_rng())
            count = done.corrected
            known.append((_Decided(done), count))
        counts.append(count)
    return counts


class _Decided:
    """The decisions of one run, to tell whether another rule would have taken the same ones."""

    def __init__(self, done: SimulatedObject):
        # A slice drawn by hand, without a mask to look at, is decided by no threshold: its score of 0 is rejected under any.
        self._decisions = [(one.score, not one.corrected) for one in done.slices if not math.isnan(one.score.dsc)]

    def alike(self, rule: Acceptance) -> bool:
        """Whether every mask that the run saw would be decided in the same way."""
        return all(rule.accepts(score) == accepted for score, accepted in self._decisions)
