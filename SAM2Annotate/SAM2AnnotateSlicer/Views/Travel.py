"""Travel: which way a person goes through the slices, and the next one on that way. Imports the standard library only."""

from __future__ import annotations

from collections.abc import Iterable


class Travel:
    """Follows the slice that the views show.

    Moves of the panel itself, such as a jump to a doubtful slice, are no direction of the person's.
    """

    def __init__(self) -> None:
        self._direction = 1
        self._at: int | None = None

    def forget(self) -> None:
        """Another object is worked on."""
        self._direction, self._at = 1, None

    def jumped(self, position: int | None) -> None:
        """The panel let the views show a slice."""
        self._at = position

    def shown(self, position: int | None) -> None:
        """The views show a slice; if it is not the one of last time, the person went there."""
        if position is not None and self._at is not None and position != self._at:
            self._direction = 1 if position > self._at else -1
        self._at = position

    def next(self, position: int, candidates: Iterable[int]) -> int | None:
        """The nearest of the candidates ahead; the nearest behind where none is ahead, and from then on that is the direction.

        Returns:
            None if there is no candidate but the position itself.
        """
        others = [one for one in candidates if one != position]
        ahead = [one for one in others if (one > position) == (self._direction > 0)]
        found = min(ahead or others, key=lambda one: abs(one - position), default=None)
        if found is not None:
            self._direction = 1 if found > position else -1
        return found
