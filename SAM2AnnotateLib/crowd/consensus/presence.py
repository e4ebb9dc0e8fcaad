"""Whether the object is on a slice: what people say of it, and of the slices beside. Imports numpy.

An object begins and ends seldom from one slice to the next. So a slice between two where it is, is believed empty only if much speaks for
it: one person in doubt who passed over it is not enough. Worked out for a whole run of slices at once (forward and backward).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

# Chance that the object begins, or ends, from one slice to the next.
_CHANGES = 0.05
# However few objects people passed over where it is known, they do in runs, by looking away; an object is seldom invented.
_MOST_SENSITIVITY, _MOST_SPECIFICITY, _LEAST_RATE = 0.85, 0.98, 0.02
CERTAIN = 30.0  # logarithm of odds: what a reviewer decided, or was known


def evidence(says_present: bool, sensitivity: float, specificity: float) -> float:
    """Logarithm of the likelihood ratio, present to absent, of one person's word."""
    sensitivity = min(max(sensitivity, _LEAST_RATE), _MOST_SENSITIVITY)
    specificity = min(max(specificity, _LEAST_RATE), _MOST_SPECIFICITY)
    if says_present:
        return math.log(sensitivity / (1 - specificity))
    return math.log((1 - sensitivity) / specificity)


def probability(log_odds: float) -> float:
    """From the logarithm of odds, 0..1."""
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, log_odds))))


def presence_between(log_ratios: Mapping[int, float]) -> dict[int, float]:
    """Probability that the object is on a slice, for every position from the first to the last that something was said of.

    Args:
        log_ratios: by position, the sum of `evidence`; positions that nobody was asked about may be missing.
    """
    if not log_ratios:
        return {}
    positions = range(min(log_ratios), max(log_ratios) + 1)
    said = np.array([max(-CERTAIN, min(CERTAIN, log_ratios.get(position, 0.0))) for position in positions])
    # Columns: absent, present; each scaled to its larger one.
    likelihood = np.exp(np.stack([np.minimum(0.0, -said), np.minimum(0.0, said)], axis=1))
    step = np.array([[1 - _CHANGES, _CHANGES], [_CHANGES, 1 - _CHANGES]])
    forward, backward = np.empty_like(likelihood), np.ones_like(likelihood)
    before = np.array([0.5, 0.5])
    for at, seen in enumerate(likelihood):
        now = before * seen
        forward[at] = now / now.sum()
        before = forward[at] @ step
    for at in range(len(likelihood) - 2, -1, -1):
        later = step @ (likelihood[at + 1] * backward[at + 1])
        backward[at] = later / later.sum()
    joint = forward * backward
    present = joint[:, 1] / joint.sum(axis=1)
    return {position: float(value) for position, value in zip(positions, present, strict=True)}
