"""PromptDrag: what a person does to ROI or points, brought to the logic while it goes on, as one step of undo. Imports Coalescer."""

from __future__ import annotations

from collections.abc import Callable

from ..Coalescer import Coalescer

_MILLISECONDS = 50  # so that a preview follows a drag, without one for each pixel


class PromptDrag:
    """Follows the events of one kind of node.

    Args:
        take: brings the node's state to the logic; told whether this goes on with the drag that was taken before, and so is no step of undo
            of its own; returns whether anything changed.
    """

    def __init__(self, take: Callable[[bool], bool]):
        self._take = take
        self._coalescer = Coalescer(self._bring, _MILLISECONDS)
        self._dragging = self._begun = False

    def begin(self) -> None:
        """The mouse went down on the node."""
        self._coalescer.now()
        self._dragging, self._begun = True, False

    def changed(self) -> None:
        """The node changed."""
        self._coalescer.ask()

    def end(self) -> None:
        """The mouse was released."""
        self._coalescer.now()
        self._dragging = self._begun = False

    def stop(self) -> None:
        """Forget what was not brought yet."""
        self._coalescer.stop()
        self._dragging = self._begun = False

    def _bring(self) -> None:
        if self._take(self._begun):
            self._begun = self._dragging
