"""The doubt about every slice of a review, and which one to look at next. Imports review.session, review.doubt and propagation.passes."""

from __future__ import annotations

from collections.abc import Mapping

from ..propagation.passes import plan_passes
from .doubt import Doubt, disagreement, slice_doubt
from .session import ReviewSession, SliceStatus

# Two neighboring slices differ by tissue, not only by doubt: what the two directions may differ by where they meet.
_USUAL_DIFFERENCE = 0.1


def session_doubts(session: ReviewSession, spacing_rc_mm: tuple[float, float]) -> dict[int, Doubt]:
    """The doubt about every proposed or stale slice, by position; locked slices are not in doubt.

    Args:
        session: the review.
        spacing_rc_mm: row and column spacing of a slice.
    """
    results = session.results
    doubts = {}
    for position in session.extent.indices:
        mask = session.mask(position)
        if mask is None or position in session.locked:
            continue
        beside = (("the slice before", position - 1), ("the slice after", position + 1))
        masks = {name: session.mask(other) for name, other in beside if other in session.extent}
        neighbors = {name: other for name, other in masks.items() if other is not None}
        result = results[position]
        doubt = slice_doubt(mask, result.predicted_iou, result.object_score, neighbors, spacing_rc_mm)
        if session.status(position) is SliceStatus.STALE and doubt.value < 1:
            doubt = Doubt(max(doubt.value, 0.5), doubt.reason or "computed before the last correction")
        doubts[position] = doubt
    for low, high in _meetings(session):
        one, other = session.mask(low), session.mask(high)
        if one is None or other is None:
            continue
        value = max(0.0, disagreement(one, other) - _USUAL_DIFFERENCE) / (1 - _USUAL_DIFFERENCE)
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
