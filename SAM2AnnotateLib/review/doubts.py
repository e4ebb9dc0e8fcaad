"""The doubt about every slice of a review, and which one to look at next. Imports the rest of this room and geometry."""

from __future__ import annotations

from collections.abc import Mapping

from ..geometry import SliceStack
from .doubt import Doubt, slice_doubt
from .expected_dsc import Expectation, expected_dsc
from .session import ReviewSession, SliceStatus
from .signals import ShapeMemory, SliceSignals, session_signals

_LEAST_OF_STALE = 0.5


def session_doubts(session: ReviewSession, stack: SliceStack, memory: ShapeMemory | None = None) -> dict[int, Doubt]:
    """The doubt about every proposed or stale slice, by position; locked slices are not in doubt.

    Args:
        session: the review.
        stack: that it was made on.
        memory: keeps what was measured for the next call; of one session only.
    """
    memory = memory or ShapeMemory()
    return {position: _doubt(session, stack, memory, position, seen) for position, seen in session_signals(session, stack, memory).items()}


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


def expected_above(doubts: Mapping[int, Doubt], dsc: float) -> list[int]:
    """Positions of the slices whose expected DSC is this or more, ascending. A person may accept them together; nothing else does."""
    return sorted(position for position, doubt in doubts.items() if doubt.expected is not None and doubt.expected.dsc >= dsc)


def expectation_of(seen: SliceSignals) -> Expectation | None:
    """What is expected of a slice; None where the model says nothing of its mask: a person's, another network's, one told to be empty."""
    return expected_dsc().of(seen) if seen.predicted_iou < 1 else None  # exactly 1 is what stands for no score


def _doubt(session: ReviewSession, stack: SliceStack, memory: ShapeMemory, position: int, seen: SliceSignals) -> Doubt:
    mask = session.mask(position)
    assert mask is not None  # it was computed
    neighbors = {}
    for name, other in (("the slice before", position - 1), ("the slice after", position + 1)):
        beside = session.mask(other) if other in session.extent else None
        if beside is not None:
            neighbors[name] = memory.shape(other, beside)
    doubt = slice_doubt(memory.shape(position, mask), seen, neighbors, stack.frame_spacing_rc_mm, expectation_of(seen))
    if session.status(position) is SliceStatus.STALE:
        reason = doubt.reason if doubt.value > _LEAST_OF_STALE else "computed before the last correction"
        return Doubt(max(doubt.value, _LEAST_OF_STALE), reason)
    return doubt
