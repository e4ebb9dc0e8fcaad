"""Passes of stock's way: which slices, from where, in which direction, and informed by what. Pure planning; imports geometry and errors."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise

from ..errors import PromptError
from ..geometry import Extent


@dataclass(frozen=True)
class Pass:
    """One run over neighboring slices in one direction, with a fresh memory.

    Args:
        positions: slices to go through, in order, beginning beside `start`.
        start: the conditioning slice that the run departs from.
        conditioning: all slices whose prompts or masks inform the run, `start` among them.
    """

    positions: tuple[int, ...]
    start: int
    conditioning: tuple[int, ...]

    @property
    def reverse(self) -> bool:
        """Whether positions fall."""
        return bool(self.positions) and self.positions[0] < self.start


def plan_passes(extent: Extent, prompted: Collection[int], locked: Collection[int], changed: int | None = None) -> tuple[Pass, ...]:
    """Plan the passes that are due.

    Without `changed`, every slice of the extent that is neither prompted nor locked is due: outside the outermost conditioning slices from
    the nearest one, between two of them from both sides, meeting in the middle, informed by both.

    With `changed`, a slice that was just corrected, only the stretches on its two sides are due, each up to the next locked slice or the
    end of the extent. A stretch that ends at a locked slice is computed from both ends, informed by both. A prompted slice inside a stretch
    keeps its prompt and informs it.

    Args:
        extent: slices of the object; nothing outside is planned.
        prompted: slices with a box, points or a mask.
        locked: slices whose mask is final; a subset may be prompted too.
        changed: a locked slice, or None.

    Raises:
        PromptError: if nothing conditions the object, or a conditioning slice lies outside the extent.
    """
    conditioning = sorted({*prompted, *locked})
    if not conditioning:
        raise PromptError("Propagation needs a prompt on at least one slice.")
    outside = [position for position in conditioning if position not in extent]
    if outside:
        ends = f"{extent.first}..{extent.last}"
        raise PromptError(f"Slice {outside[0]} carries a prompt but lies outside the extent {ends}. Widen the extent.")
    if changed is None:
        departures = conditioning
        low_end, high_end = extent.first, extent.last
    else:
        below = [position for position in locked if position < changed]
        above = [position for position in locked if position > changed]
        departures = [*([max(below)] if below else []), changed, *([min(above)] if above else [])]
        low_end = max(below) if below else extent.first
        high_end = min(above) if above else extent.last
    first, last = departures[0], departures[-1]

    def one(start: int, positions: range, low: int, high: int) -> Pass:
        return Pass(tuple(positions), start, tuple(c for c in conditioning if low <= c <= high))

    passes = [one(first, range(first - 1, low_end - 1, -1), low_end, first), one(last, range(last + 1, high_end + 1), last, high_end)]
    for left, right in pairwise(departures):
        middle = (left + right) // 2
        passes.append(one(left, range(left + 1, middle + 1), left, right))
        passes.append(one(right, range(right - 1, middle, -1), left, right))
    return tuple(due for due in passes if due.positions)
