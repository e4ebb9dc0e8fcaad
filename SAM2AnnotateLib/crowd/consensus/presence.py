"""Whether the object is on a slice: what people say of it, and of the slices beside. Imports numpy.

An object begins once and ends once, as a rule; a gap within it is rare. And who passes over a slice passes over its neighbors too. So a
slice between two where the object is, is believed empty only if much speaks for it: one person who passed over a run of slices is not
enough. Worked out for a whole run of slices at once (forward and backward).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

# Chance that the object begins, or ends, from one slice to the next; that a gap begins within it, and that it ends.
_BEGINS, _ENDS, _GAP, _GAP_ENDS = 0.1, 0.1, 0.002, 0.2
# However few objects people passed over where it is known, they do in runs, by looking away; an object is seldom invented.
_MOST_SENSITIVITY, _MOST_SPECIFICITY, _LEAST_RATE = 0.85, 0.98, 0.02
# Who has passed over a slice passes over the next one with this chance at least.
_PASSED_OVER_AGAIN = 0.6
CERTAIN = 30.0  # logarithm of odds: what a reviewer decided, or was known


def evidence(says_present: bool, sensitivity: float, specificity: float) -> float:
    """Logarithm of the likelihood ratio, present to absent, of one person's word."""
    sensitivity = min(max(sensitivity, _LEAST_RATE), _MOST_SENSITIVITY)
    specificity = min(max(specificity, _LEAST_RATE), _MOST_SPECIFICITY)
    if says_present:
        return math.log(sensitivity / (1 - specificity))
    return math.log((1 - sensitivity) / specificity)


def run_evidence(said: Mapping[int, bool], sensitivity: float, specificity: float) -> dict[int, float]:
    """What one person's word on the slices of one object speaks for its presence, by position: logarithms of likelihood ratios.

    Args:
        said: whether they drew it, by position; "not sure" is not among them.
        sensitivity, specificity: of the person.

    Returns:
        For boxes as `evidence` has it. A run of "not here" beside a box of theirs counts in full once, at its ends, and less for each
        further slice: if they looked away, they did so for all of them.
    """
    alone = {present: evidence(present, sensitivity, specificity) for present in (True, False)}
    again = max(alone[False], math.log(_PASSED_OVER_AGAIN))
    positions = sorted(said)
    found: dict[int, float] = {}
    at = 0
    while at < len(positions):
        end = at
        while end + 1 < len(positions) and said[positions[end + 1]] == said[positions[at]]:
            end += 1
        run = positions[at : end + 1]
        borders = [border for border, outside in ((run[0], at > 0), (run[-1], end + 1 < len(positions))) if outside]
        if said[run[0]] or not borders:
            found |= dict.fromkeys(run, alone[said[run[0]]])
        else:
            found |= dict.fromkeys(run, again)
            for border in borders:
                found[border] += (alone[False] - again) / len(borders)
        at = end + 1
    return found


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
    # States: before the object, within it, in a gap of it, behind it. Likelihoods of absence and presence, scaled to the larger one.
    absent, present = np.exp(np.minimum(0.0, -said)), np.exp(np.minimum(0.0, said))
    likelihood = np.stack([absent, present, absent, absent], axis=1)
    step = np.array(
        [
            [1 - _BEGINS, _BEGINS, 0, 0],
            [0, 1 - _ENDS - _GAP, _GAP, _ENDS],
            [0, _GAP_ENDS, 1 - _GAP_ENDS, 0],
            [0, 0, 0, 1],
        ]
    )
    forward, backward = np.empty_like(likelihood), np.ones_like(likelihood)
    before = np.array([1 - _BEGINS, _BEGINS, 0, 0])
    for at, seen in enumerate(likelihood):
        now = before * seen
        forward[at] = now / now.sum()
        before = forward[at] @ step
    for at in range(len(likelihood) - 2, -1, -1):
        later = step @ (likelihood[at + 1] * backward[at + 1])
        backward[at] = later / later.sum()
    joint = forward * backward
    within = joint[:, 1] / joint.sum(axis=1)
    return {position: float(value) for position, value in zip(positions, within, strict=True)}
