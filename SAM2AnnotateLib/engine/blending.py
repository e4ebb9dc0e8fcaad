"""Two answers of a model to one prompt, joined: as it came, and as it learned. Imports numpy and `engine`; no torch."""

from __future__ import annotations

import numpy as np

from .engine import SlicePrediction

_LEAST_CHANCE = 1e-6


def blended(learned: SlicePrediction, as_it_came: SlicePrediction, share: float) -> SlicePrediction:
    """The mean of two predictions' chances, cell by cell, as logits; predicted IoU and object score likewise.

    Chances and not logits are averaged: where one answer says "no object" (a logit of -1024), the other one is still heard.

    Args:
        learned: what an adapter makes of the prompt.
        as_it_came: what the model makes of it without, on the same frame.
        share: of what was learned, from 0 to 1; 1 gives `learned` itself.
    """
    if share >= 1:
        return learned
    chance = share * _chance(learned.logits) + (1 - share) * _chance(as_it_came.logits)
    chance = np.clip(chance, _LEAST_CHANCE, 1 - _LEAST_CHANCE)
    return SlicePrediction(
        logits=np.log(chance / (1 - chance)).astype(np.float32),
        predicted_iou=share * learned.predicted_iou + (1 - share) * as_it_came.predicted_iou,
        object_score=share * learned.object_score + (1 - share) * as_it_came.object_score,
    )


def _chance(logits: np.ndarray) -> np.ndarray:
    """(rows, cols) float64 from 0 to 1."""
    return 1 / (1 + np.exp(-np.clip(np.asarray(logits, dtype=np.float64), -50, 50)))
