"""The DSC that is expected of a computed slice, with an interval, from what is seen of it. Imports review.signals and the standard library.

A logistic function of a weighted sum of a few terms; the interval's ends lie below and above that sum by a width that depends on it. The
numbers lie in expected_dsc.json beside this file, which says what they were fitted on and by which command.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .signals import SliceSignals

NUMBERS_FILE = Path(__file__).with_name("expected_dsc.json")
# Beyond these a model's estimate of its own outline says no more.
_LEAST_IOU, _MOST_IOU = 0.01, 0.99
_WIDEST = 3.0  # logarithm of logits: more is all there is


def _logit(value: float) -> float:
    value = min(max(value, _LEAST_IOU), _MOST_IOU)
    return math.log(value / (1 - value))


# Name of each term, and what it is made of.
TERMS: Mapping[str, Callable[[SliceSignals], float]] = {
    "predicted_iou": lambda seen: _logit(seen.predicted_iou),
    # Objects taper off within their last slices, the less the nearer to the end a slice is known.
    "end": lambda seen: seen.way**4 * min(1.0, 2 * seen.stretch),
    "jump": lambda seen: 1 - seen.overlap,
}


@dataclass(frozen=True)
class Expectation:
    """What is expected of a slice.

    Args:
        dsc: expected DSC with the truth, 0..1.
        low, high: ends of the interval in which the DSC lies as often as `ExpectedDsc.coverage` says.
    """

    dsc: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """``0.83 (0.71 to 0.92)``."""
        return f"{self.dsc:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class ExpectedDsc:
    """The fitted numbers.

    Args:
        intercept: of the sum.
        weights: of the terms, by name.
        low, high: (offset, slope) of how far the interval reaches below and above the sum: offset + slope x sum is its logarithm.
        coverage: share of slices whose DSC the interval holds.
        about: what they were fitted on, and how, as plain JSON.
    """

    intercept: float
    weights: Mapping[str, float]
    low: tuple[float, float]
    high: tuple[float, float]
    coverage: float
    about: Mapping[str, object] = field(default_factory=dict)

    def score(self, seen: SliceSignals) -> float:
        """The weighted sum: the logit of the expected DSC."""
        return self.intercept + sum(weight * TERMS[name](seen) for name, weight in self.weights.items())

    def of(self, seen: SliceSignals) -> Expectation:
        """What is expected of a slice."""
        score = self.score(seen)
        below, above = (math.exp(min(_WIDEST, offset + slope * score)) for offset, slope in (self.low, self.high))
        return Expectation(_logistic(score), _logistic(score - below), _logistic(score + above))

    def to_json(self) -> dict:
        """A plain dict that `from_json` reads back."""
        numbers = {"intercept": self.intercept, "weights": dict(self.weights), "low": list(self.low), "high": list(self.high)}
        return {**dict(self.about), "coverage": self.coverage, **numbers}

    @classmethod
    def from_json(cls, stored: dict) -> ExpectedDsc:
        """Read back what `to_json` wrote."""
        about = {name: value for name, value in stored.items() if name not in ("coverage", "intercept", "weights", "low", "high")}
        low, high = ((float(stored[name][0]), float(stored[name][1])) for name in ("low", "high"))
        return cls(float(stored["intercept"]), dict(stored["weights"]), low, high, float(stored["coverage"]), about)


@functools.cache
def expected_dsc() -> ExpectedDsc:
    """The numbers of the package."""
    return ExpectedDsc.from_json(json.loads(NUMBERS_FILE.read_text(encoding="utf-8")))


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))
