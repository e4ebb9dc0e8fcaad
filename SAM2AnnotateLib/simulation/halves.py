"""Two halves of an extent that share the seed slice: study E's order. Imports geometry and errors."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import PromptError
from ..geometry import Extent


@dataclass(frozen=True)
class Halves:
    """Slice positions in the order in which they are gone through; both begin with the seed.

    Args:
        backward: from the seed down to the first slice.
        forward: from the seed up to the last slice.
    """

    backward: tuple[int, ...]
    forward: tuple[int, ...]


def halves_at(extent: Extent, seed: int) -> Halves:
    """Split an extent at a seed slice; a seed at an end leaves a half of itself alone.

    Raises:
        PromptError: if the seed lies outside of the extent.
    """
    if seed not in extent:
        raise PromptError(f"The seed slice {seed} lies outside of the extent {extent.first}..{extent.last}. Choose a slice of the object.")
    return Halves(tuple(range(seed, extent.first - 1, -1)), tuple(range(seed, extent.last + 1)))
