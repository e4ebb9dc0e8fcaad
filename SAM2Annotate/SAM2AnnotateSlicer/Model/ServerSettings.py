"""ServerSettings: which server lends its model to this user, kept in Qt's settings of the user's profile. Imports qt.

A scene, a journal and a record say only that a server's model was used, and which one (see `ModelNames`). Where the server is, and the
token that opens it, are nobody else's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import qt

TOKEN_VARIABLE = "SAM2ANNOTATE_TOKEN"  # of `SAM2AnnotateLib.remote`, which is imported in processes of its own only
_MODELS_KEY = "SAM2Annotate/ServerModels"
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


def keepServer(server: Server, models: Sequence[str]) -> None:
    """Keep it for later sessions, with the names of the models that it lends."""
    settings = qt.QSettings()
    for name, key in _KEYS.items():
        settings.setValue(key, getattr(server, name))
    settings.setValue(_MODELS_KEY, "\n".join(models))


def lentModels() -> list[str]:
    """The names of the models that the user's server lent when it was asked last; none without a server."""
    names = str(qt.QSettings().value(_MODELS_KEY) or "")
    return [name for name in names.split("\n") if name]


def forgetServer() -> None:
    """Forget it, the token with it."""
    settings = qt.QSettings()
    for key in (*_KEYS.values(), _MODELS_KEY):
        settings.remove(key)


def settingsFile() -> str:
    """The file that all of it is kept in."""
    return qt.QSettings().fileName()


def environmentWith(token: str):
    """This process's environment variables and a token, for a process: a command line is seen by everybody."""
    environment = qt.QProcessEnvironment.systemEnvironment()
    environment.insert(TOKEN_VARIABLE, token)
    return environment
