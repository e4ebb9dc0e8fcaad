"""Which slices lie between which known ones. Pure planning; imports geometry and errors.

A slice is *known* if it carries a prompt or is locked. The slices between two known ones, or beyond the outermost, are a stretch: what
they are follows from the known slices beside the stretch, and from nothing that lies behind those.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise

from ..errors import PromptError
from ..geometry import Extent


@dataclass(frozen=True)
class Stretch:
    """Neighboring slices of which none is known.

    Args:
        positions: rising; at least one.
        below: the known slice before the first; None at the end of the extent.
        above: the known slice behind the last; None at the end of the extent.
    """

    positions: tuple[int, ...]
    below: int | None
    above: int | None

    @property
    def ends(self) -> tuple[int, ...]:
        """The known slices beside it: one or two."""
        return tuple(end for end in (self.below, self.above) if end is not None)

    def away_from(self, end: int) -> tuple[int, ...]:
        """Its positions in the order in which a run from that end comes to them."""
        return self.positions if end == self.below else self.positions[::-1]


def require_known(extent: Extent, known: Collection[int]) -> None:
    """Raise PromptError if nothing is known, or a known slice lies outside the extent."""
    if not known:
        raise PromptError("Propagation needs a prompt on at least one slice.")
    outside = sorted(position for position in known if position not in extent)
    if outside:
        ends = f"{extent.first}..{extent.last}"
        raise PromptError(f"Slice {outside[0]} carries a prompt but lies outside the extent {ends}. Widen the extent.")


def plan_stretches(extent: Extent, known: Collection[int]) -> tuple[Stretch, ...]:
    """The stretches of an extent, by rising position.

    Args:
        extent: slices of the object.
        known: positions of slices with a prompt or a lock.

    Raises:
        PromptError: if nothing is known, or a known slice lies outside the extent.
    """
    require_known(extent, known)
    ends = [extent.first - 1, *sorted(set(known)), extent.last + 1]
    stretches = []
    for low, high in pairwise(ends):
        positions = tuple(range(low + 1, high))
        if positions:
            stretches.append(Stretch(positions, low if low in extent else None, high if high in extent else None))
    return tuple(stretches)


def beside(stretches: Collection[Stretch], position: int) -> tuple[Stretch, ...]:
    """Those stretches that a known slice bounds."""
    return tuple(one for one in stretches if position in one.ends)
