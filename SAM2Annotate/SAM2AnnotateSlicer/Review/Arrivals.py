"""Arrivals: slices that the model computed, collected, and shown some times a second. Imports Pace.

Each is in the review and in the segment's voxels at once; views, strip and texts hear of several together, because a model may be faster
than all of these can be drawn.
"""

from __future__ import annotations

from collections.abc import Callable

from ..Pace import Pace
from .AnnotatedSegment import AnnotatedSegment

_MILLISECONDS = 100


class Arrivals:
    """Collects from one `now` or turn to the next.

    Args:
        onShown: told the object and the positions, in the order they came, when the scene knows of them.
    """

    def __init__(self, onShown: Callable[[AnnotatedSegment, list[int]], None]):
        self._onShown = onShown
        self._annotated: AnnotatedSegment | None = None
        self._positions: list[int] = []
        self._pace = Pace(self._show, _MILLISECONDS)

    def add(self, annotated: AnnotatedSegment, position: int) -> None:
        """A slice was written quietly."""
        if annotated is not self._annotated:
            self.now()
            self._annotated = annotated
        self._positions.append(position)
        self._pace.ask()

    @property
    def waiting(self) -> bool:
        """Whether something has come that is not shown yet."""
        return bool(self._positions)

    def now(self) -> None:
        """Show what has come, if anything has."""
        self._pace.now()

    def _show(self) -> None:
        annotated, positions = self._annotated, self._positions
        self._annotated, self._positions = None, []
        if annotated is not None and annotated.exists:
            annotated.tell()
            annotated.session.to_text()  # of these few, now: what keeps the review finds the texts of all slices made
            self._onShown(annotated, positions)
