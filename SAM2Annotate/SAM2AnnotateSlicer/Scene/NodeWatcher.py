"""NodeWatcher: observers on whatever currently plays a role, moved along when another object takes the role. Imports vtk only."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import vtk


class NodeWatcher:
    """Observes VTK objects by role, e.g. the ROI of the moment, and holds no node longer than it plays its role."""

    def __init__(self) -> None:
        self._watched: dict[str, tuple[object, list[int]]] = {}

    def watch(self, role: str, watched, slots: Mapping[int | str, Callable]) -> None:
        """Let an object, or None, play a role.

        Args:
            role: its name.
            watched: the object; nothing changes if it plays the role already.
            slots: event -> what to call without arguments; what `withText` or `withNode` made gets the event's data.
        """
        before, tags = self._watched.get(role, (None, []))
        if before is watched:
            return
        for tag in tags:
            before.RemoveObserver(tag)
        self._watched.pop(role, None)
        if watched is not None:
            self._watched[role] = (watched, [watched.AddObserver(event, _observer(slot)) for event, slot in slots.items()])

    def releaseAllBut(self, *kept: str) -> None:
        """Let nothing play any other role."""
        for role in [role for role in self._watched if role not in kept]:
            self.watch(role, None, {})

    def release(self) -> None:
        """Let nothing play any role."""
        self.releaseAllBut()


def withText(slot: Callable[[str], None]) -> Callable:
    """An observer for events that bring a text, such as a segment's id."""

    @vtk.calldata_type(vtk.VTK_STRING)
    def observe(_caller, _event, text):
        slot(text)

    return observe


def withNode(slot: Callable) -> Callable:
    """An observer for events that bring a node."""

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def observe(_caller, _event, node):
        slot(node)

    return observe


def _observer(slot: Callable) -> Callable:
    if hasattr(slot, "CallDataType"):
        return slot

    def observe(_caller, _event):
        slot()

    return observe
