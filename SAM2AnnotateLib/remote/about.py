"""What a server is, and how far away: for a person who sets it up. Imports the link and the standard library."""

from __future__ import annotations

import json
import ssl
import statistics
import urllib.error
import urllib.request
from dataclasses import dataclass

from ..errors import ServerError
from ..worker import wire
from .address import ServerAccess
from .link import Link, no_tls, not_let_in, untrusted

_SECONDS = 10.0
_MOST_BYTES = 1 << 20
_PINGS = 5


@dataclass(frozen=True)
class ServerAbout:
    """A server that let us in.

    Args:
        address: where it is.
        version: of its library.
        versions: of wire and messages, as `wire.versions` gives them.
        models: names, the server's own choice first.
        device: that its models run on; "" if it does not tell.
        user: whom it takes us for.
        round_trip_ms: median, on an open connection.
        encrypted: whether what travels is encrypted.
    """

    address: str
    version: str
    versions: str
    models: tuple[str, ...]
    device: str
    user: str
    round_trip_ms: float
    encrypted: bool

    @property
    def line(self) -> str:
        """One line for the user."""
        device = f" on {self.device}" if self.device else ""
        models = ", ".join(self.models)
        time = f"{self.round_trip_ms:.0f}" if self.round_trip_ms >= 1 else "under 1"
        return f"SAM2Annotate {self.version}{device}; models: {models}; round trip {time} ms; you are '{self.user}'"


def ask_about(access: ServerAccess) -> ServerAbout:
    """Ask a server what it is, and open a session for a moment: what lets pages through may still stop a WebSocket.

    Raises:
        ServerError: if it cannot be reached, refuses, or is none.
        InputError: if the certificate authority's file cannot be used.
        MissingPackageError: if websockets is not installed.
    """
    told = _page(access)
    link = Link.open(access)
    try:
        milliseconds = [1000 * link.round_trip_seconds(_SECONDS) for _ in range(_PINGS)]
    finally:
        link.close()
    try:
        described = [model for model in told["models"] if isinstance(model, dict)]
        devices = dict.fromkeys(str(model["device"]) for model in described if model.get("device"))
        versions = f"{int(told['wire_version'])}.{int(told['protocol_version'])}"
        return ServerAbout(
            str(access.address),
            str(told["version"]),
            versions,
            tuple(link.welcome.models),
            ", ".join(devices),
            str(told.get("user", "")),
            statistics.median(milliseconds),
            access.address.secure,
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise ServerError(f"{access.address} describes itself as no SAM2Annotate server does. Check the address.") from exc


def _page(access: ServerAccess) -> dict:
    handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
    tls = access.tls()
    if tls is not None:
        handlers.append(urllib.request.HTTPSHandler(context=tls))
    if access.address.is_loopback:
        handlers.append(urllib.request.ProxyHandler({}))  # HTTP_PROXY is not meant for this very machine
    request = urllib.request.Request(access.address.http(wire.ABOUT), headers={"Authorization": f"Bearer {access.token}"})
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=_SECONDS) as page:
            content = page.read(_MOST_BYTES + 1)
    except urllib.error.HTTPError as exc:
        with exc:
            raise not_let_in(access, exc.code, exc.read(_MOST_BYTES)) from exc
    except urllib.error.URLError as exc:
        if isinstance(exc.reason, ssl.SSLCertVerificationError):
            raise untrusted(access, exc.reason) from exc
        if isinstance(exc.reason, ssl.SSLError) and not isinstance(exc.reason, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            raise no_tls(access, exc.reason) from exc
        raise ServerError(f"{access.address} cannot be reached ({_reason(exc.reason)}). Check address and network.") from exc
    except OSError as exc:
        raise ServerError(f"{access.address} does not answer ({_reason(exc)}). Check address and network.") from exc
    try:
        told = json.loads(content) if len(content) <= _MOST_BYTES else None
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ServerError(f"{access.address} describes itself as no SAM2Annotate server does. Check the address.")
    return told


def _reason(exc: object) -> str:
    return (exc.strerror or type(exc).__name__) if isinstance(exc, OSError) else str(exc)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The token goes where the user said, and nowhere else."""

    def redirect_request(self, *_arguments: object, **_options: object) -> None:
        return None
