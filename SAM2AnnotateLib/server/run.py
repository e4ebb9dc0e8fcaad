"""Start the server: a safe address, models in memory, tokens that can be read; then serve until stopped. Imports the rest of this room."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..optional_imports import import_for
from .app import INSTALL_HINT, make_app
from .impatient import impatient_http
from .limits import Limits
from .log import event, start_logging
from .seats import Seats
from .tokens import TokenFile

DEFAULT_PORT = 8765
_STOP_SECONDS = 5
_PING_SECONDS = 20.0


@dataclass(frozen=True)
class Address:
    """Where the server listens.

    Args:
        host: a name or number of this machine; the loopback by default.
        port: 0 lets the system choose one.
        certificate: PEM file of the server's certificate, and of those between it and its authority; None without TLS.
        key: PEM file of its key.
        proxy: the address of a proxy before the server, which has TLS; None if there is none.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    certificate: Path | None = None
    key: Path | None = None
    proxy: str | None = None

    @property
    def has_tls(self) -> bool:
        """Whether clients speak TLS with the server itself."""
        return self.certificate is not None

    def require_safe(self) -> None:
        """Refuse to send tokens and pictures of patients over a network for everybody to read.

        Raises:
            InputError: if certificate and key are not both given, or the address is not the loopback and nothing brings TLS.
        """
        if (self.certificate is None) != (self.key is None):
            raise InputError("TLS takes both --certificate and --key.")
        if not 0 <= self.port < 65_536:
            raise InputError(f"A port is 0 to 65535, got {self.port}.")
        if not (self.has_tls or self.proxy is not None or _is_loopback(self.host)):
            raise InputError(
                f"'{self.host}' can be reached from other machines, and without TLS everybody between them reads along.",
                "Give --certificate and --key, or --behind-proxy if a proxy before the server has TLS.",
            )
        if self.certificate is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password=lambda: "")
            except (OSError, ssl.SSLError) as exc:  # SSLError: what is in the files
                raise InputError(f"Certificate '{self.certificate}' and key '{self.key}' cannot be used: {exc}.") from exc

    def listen(self) -> socket.socket:
        """A socket that listens. Raises InputError if the address is none of this machine, or taken."""
        try:
            family = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((self.host, self.port), family=family, backlog=128)
        except (OSError, UnicodeError) as exc:
            raise InputError(f"Cannot listen at {self.host}, port {self.port}: {exc}.", "Choose another --host or --port.") from exc


def _is_loopback(host: str) -> bool:
    """Whether an address, or all that a name stands for, can be reached from this machine only."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(str(one[4][0]).partition("%")[0]).is_loopback for one in found)


@dataclass(frozen=True)
class Settings:
    """How a server is started.

    Args:
        address: where it listens.
        token_file: of those who may come in.
        limits: what they may ask.
    """

    address: Address
    token_file: Path
    limits: Limits = field(default_factory=Limits)


def serve(settings: Settings, make_seats: Callable[[], Seats], say: Callable[[str], None]) -> None:
    """Serve until the process is told to end (Ctrl+C, SIGTERM).

    Args:
        settings: how.
        make_seats: loads models; called once all else has been checked.
        say: takes lines for whoever started it.

    Raises:
        InputError: if the address is not safe or cannot be had, or there is no token.
        MissingPackageError: if FastAPI or uvicorn are not installed.
    """
    settings.address.require_safe()
    uvicorn = import_for("Serving a model", "uvicorn", INSTALL_HINT)
    for package in ("fastapi", "websockets"):
        import_for("Serving a model", package, INSTALL_HINT)
    tokens = TokenFile(settings.token_file)
    users = tokens.entries()
    if not users:
        raise InputError(
            f"There is no token in '{settings.token_file}', so nobody could come in.",
            f"Make one: sam2annotate serve token add NAME --token-file {settings.token_file}",
        )
    _keep_nothing_of_a_crash()
    listening = settings.address.listen()
    with contextlib.closing(listening):
        host, port = listening.getsockname()[:2]
        seats = make_seats()
        start_logging()
        app = make_app(seats, tokens, settings.limits, behind_proxy=settings.address.proxy is not None, with_tls=settings.address.has_tls)
        config = uvicorn.Config(
            app,
            ws="websockets-sansio",
            http=impatient_http(),
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=settings.address.proxy is not None,
            forwarded_allow_ips=settings.address.proxy or "",
            ws_max_size=settings.limits.largest_message_bytes,
            ws_ping_interval=_PING_SECONDS,
            ws_ping_timeout=_PING_SECONDS,
            limit_concurrency=4 * settings.limits.sessions + 512,
            timeout_graceful_shutdown=_STOP_SECONDS,
            ssl_certfile=settings.address.certificate,
            ssl_keyfile=settings.address.key,
        )
        server = uvicorn.Server(config)
        scheme = "https" if settings.address.has_tls else "http"
        shown = f"[{host}]" if ":" in host else host
        whom = f"{len(users)} users" if len(users) > 1 else users[0].name
        say(f"Lending {', '.join(seats.models)} at {scheme}://{shown}:{port} to {whom}. Ctrl+C ends it.")
        event("listening", address=host, port=port, scheme=scheme, models=", ".join(seats.models), process=os.getpid())
        with _quiet_end():
            server.run(sockets=[listening])


@contextlib.contextmanager
def _quiet_end() -> Iterator[None]:
    """uvicorn raises what it was stopped by once more."""
    try:
        yield
    except KeyboardInterrupt:
        return


def _keep_nothing_of_a_crash() -> None:
    """No memory image of this process on disk: it holds pictures of patients."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows writes none unless told to
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
