"""Whether learning goes on from what was learned of the earlier volumes, or begins anew. Imports the engine's adapter and this room."""

from __future__ import annotations

from collections.abc import Sequence

from ..engine import Adapter
from .annotated_slice import AnnotatedSlice
from .held_out import MANY, parts_to_hold_out
from .volumes import same_volume


def goes_on(slices: Sequence[AnnotatedSlice], start: Adapter | None) -> bool:
    """Whether `learn` goes on from `start`: it was learned of two volumes at least, and the last volume of these is held out from it.

    Args:
        slices: to learn from, the newest volume last.
        start: what was learned of the others; None for nothing.
    """
    present = [one for one in slices if one.holds_object]
    if start is None or start.card.volume_count < 2 or len(present) < MANY:
        return False
    if all(same_volume(one, present[0]) for one in present):
        return False
    return len(parts_to_hold_out(present, 2)) == 1
