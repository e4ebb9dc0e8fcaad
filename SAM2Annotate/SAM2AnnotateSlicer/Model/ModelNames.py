"""ModelNames: a model as parameter node, journal and record name it: ``NAME``, or ``server:NAME`` if a server runs it. No Qt."""

from __future__ import annotations

_PREFIX = "server:"


def isOnServer(model: str) -> bool:
    """Whether a server runs it."""
    return model.startswith(_PREFIX)


def onServer(name: str) -> str:
    """A model of the server's."""
    return _PREFIX + name


def nameOf(model: str) -> str:
    """Its name where it runs."""
    return model.removeprefix(_PREFIX)
