"""Event: a list of callables that logic tells what happened, so that it need not know any widget. Imports the standard library only."""

from __future__ import annotations

from collections.abc import Callable


class Event:
    """Something that happens; whoever connected is called with the arguments of `emit`, in the order of connecting.

    Connected bound methods keep their object alive: disconnect in `cleanup`.
    """

    def __init__(self) -> None:
        self._receivers: list[Callable] = []

    def connect(self, receiver: Callable) -> None:
        """Call `receiver` from now on; connecting twice calls it once."""
        if receiver not in self._receivers:
            self._receivers.append(receiver)

    def disconnect(self, receiver: Callable) -> None:
        """Do not call it any more; unknown receivers are ignored."""
        if receiver in self._receivers:
            self._receivers.remove(receiver)

    def emit(self, *arguments) -> None:
        """Tell everyone."""
        for receiver in list(self._receivers):
            receiver(*arguments)
