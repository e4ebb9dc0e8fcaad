"""The doubt about every slice of a review, and which one to look at next. Imports review.session, review.doubt and propagation.passes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..propagation.passes import plan_passes
from .doubt import Doubt, MaskShape, disagreement, slice_doubt
from .session import ReviewSession, SliceStatus

# Two neighboring slices differ by tissue, not only by doubt: what the two directions may differ by where they meet.
_USUAL_DIFFERENCE = 0.1


class ShapeMemory:
    """Measures each mask once, as long as a slice keeps it; for a queue that is asked for after every slice."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[np.ndarray, MaskShape]] = {}

    def shape(self, position: int, mask: np.ndarray) -> MaskShape:
        """The shape of the mask that a slice has now."""
        known = self._known.get(position)
        if known is None or known[0] is not mask:
            known = (mask, MaskShape.of(mask))
            self._known[position] = known
        return known[1]


def session_doubts(session: ReviewSession, spacing_rc_mm: tuple[float, float], memory: ShapeMemory | None = None) -> dict[int, Doubt]:
    """The doubt about every proposed or stale slice, by position; locked slices are not in doubt.

    Args:
        session: the review.
        spacing_rc_mm: row and column spacing of a slice.
        memory: keeps what was measured for the next call; of one session only.
    """
    results, memory = session.results, memory or ShapeMemory()
    doubts = {}
    for position in session.extent.indices:
        mask = session.mask(position)
        if mask is None or position in session.locked:
            continue
        neighbors = {}
        for name, other in (("the slice before", position - 1), ("the slice after", position + 1)):
            beside = session.mask(other) if other in session.extent else None
            if beside is not None:
                neighbors[name] = memory.shape(other, beside)
        result = results[position]
        doubt = slice_doubt(memory.shape(position, mask), result.predicted_iou, result.object_score, neighbors, spacing_rc_mm)
        if session.status(position) is SliceStatus.STALE and doubt.value < 1:
            doubt = Doubt(max(doubt.value, 0.5), doubt.reason or "computed before the last correction")
        doubts[position] = doubt
    for low, high in _meetings(session):
        forward, backward = session.mask(low), session.mask(high)
        if forward is None or backward is None:
            continue
        value = max(0.0, disagreement(forward, backward) - _USUAL_DIFFERENCE) / (1 - _USUAL_DIFFERENCE)
        for position in (low, high):
            if position in doubts and value > doubts[position].value:
                doubts[position] = Doubt(value, "the two directions that meet here disagree")
    return doubts


def next_doubtful(doubts: Mapping[int, Doubt], current: int | None) -> int | None:
    """The slice to look at next: the most doubtful one that is not `current`; the nearest of equals; None if none is left.

    Args:
        doubts: by position.
        current: position of the slice shown, or None.
    """
    candidates = [position for position in doubts if position != current] or list(doubts)
    if not candidates:
        return None
    center = current if current is not None else candidates[0]
    return min(candidates, key=lambda position: (-round(doubts[position].value, 3), abs(position - center), position))


def _meetings(session: ReviewSession) -> list[tuple[int, int]]:
    """Pairs of neighboring slices that were reached from two sides."""
    forward: set[int] = set()
    backward: set[int] = set()
    for one in plan_passes(session.extent, session.prompts, session.locked):
        (backward if one.reverse else forward).add(one.positions[-1])
    return [(low, low + 1) for low in sorted(forward) if low + 1 in backward]
