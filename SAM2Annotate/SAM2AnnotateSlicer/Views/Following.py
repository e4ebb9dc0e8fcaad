"""Following: the views go along with a propagation until the user looks elsewhere. Imports the logic and the ViewNavigator.

While the views move by themselves, "the slice shown" is not what the user looked at; so whoever decides on it asks `stop` first.
"""

from __future__ import annotations

from collections.abc import Callable

from ..Review.Logic import AnnotationLogic
from ..Turns import forget, inTurnOnce
from .ViewNavigator import ViewNavigator


class Following:
    """Moves the views from `begin` to `end`, or to `stop`.

    Args:
        logic: the steps.
        views: the slice views.
        wanted: whether the user wants the views to follow.

    Attributes:
        jumped: called when the views were moved.
    """

    def __init__(self, logic: AnnotationLogic, views: ViewNavigator, wanted: Callable[[], bool]):
        self._logic, self._views, self._wanted = logic, views, wanted
        self._returnTo: int | None = None  # where the views were when the propagation began; None while nothing is followed
        self._at: int | None = None  # the slice that the views show unless somebody else moves them
        self._moved = self._moving = False
        self.jumped: Callable[[], None] = lambda: None

    @property
    def active(self) -> bool:
        """Whether the next slice that is computed will be shown."""
        return self._returnTo is not None and self._wanted() and self._logic.current is not None

    def begin(self) -> None:
        """The user started a propagation."""
        forget(self._return)
        self._at = self._views.position(self._logic.current)
        self._returnTo = self._logic.current.center if self._at is None else self._at
        self._moved = False

    def to(self, position: int) -> bool:
        """A slice was computed: show it; returns whether it is followed."""
        self.viewMoved()
        if not self.active or not self._logic.running:
            return False
        self._goTo(position)
        self._at, self._moved = self._views.position(self._logic.current), True
        return True

    def viewMoved(self) -> None:
        """A view changed: if somebody else let the views show another slice, they stay there."""
        if self.active and not self._moving and self._views.position(self._logic.current) != self._at:
            self.stop()

    def stop(self) -> bool:
        """Follow this propagation no further; returns whether the views had been moved by it until now."""
        wasMoving = self.active and self._moved
        forget(self._return)
        self._returnTo = None
        return wasMoving

    def end(self) -> None:
        """The propagation ended: show the slice again that it began on, unless the user looks elsewhere."""
        inTurnOnce(self._return)

    def _return(self) -> None:
        self.viewMoved()
        if self.active:
            self._goTo(self._returnTo)
        self._returnTo = None

    def _goTo(self, position: int) -> None:
        self._moving = True
        try:
            self._views.goTo(self._logic.current, position)
        finally:
            self._moving = False
        self.jumped()
