"""ServerSettings: which server lends its model to this user, kept in Qt's settings of the user's profile. Imports qt.

A scene, a journal and a record say only that a server's model was used, and which one: ``server:NAME``. Where the server is, and the token
that opens it, are nobody else's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import qt

PREFIX = "server:"
_KEYS = {"address": "SAM2Annotate/ServerAddress", "token": "SAM2Annotate/ServerToken", "caFile": "SAM2Annotate/ServerCertificates"}


@dataclass(frozen=True)
class Server:
    """A server, as the user gave it.

    Args:
        address: ``https://HOST:PORT``.
        token: proves who asks.
        caFile: certificates of the authority that the server's is signed by; "" for those that the system trusts.
    """

    address: str
    token: str = field(repr=False)
    caFile: str = ""


def readServer() -> Server | None:
    """The user's server; None if there is none yet."""
    settings = qt.QSettings()
    server = Server(**{name: str(settings.value(key) or "") for name, key in _KEYS.items()})
    return server if server.address else None


def keepServer(server: Server) -> None:
    """Keep it for later sessions."""
    settings = qt.QSettings()
    for name, key in _KEYS.items():
        settings.setValue(key, getattr(server, name))


def forgetServer() -> None:
    """Forget it, the token with it."""
    settings = qt.QSettings()
    for key in _KEYS.values():
        settings.remove(key)


def isOnServer(model: str) -> bool:
    """Whether a model of the parameter node is a server's."""
    return model.startswith(PREFIX)


def onServer(name: str) -> str:
    """A model of the server's, as the parameter node has it."""
    return PREFIX + name


def nameOf(model: str) -> str:
    """A model's name where it runs."""
    return model.removeprefix(PREFIX)
