"""Where a server listens, and that nobody between it and its users can read along. Imports errors.

For the server that lends its model, and for that of a crowd.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

DEFAULT_PORT = 8765


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
        if not (self.has_tls or self.proxy is not None or is_loopback(self.host)):
            raise InputError(
                f"'{self.host}' can be reached from other machines, and without TLS everybody between them reads along.",
                "Give --certificate and --key, or --behind-proxy if a proxy before the server has TLS.",
            )
        if self.certificate is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password=lambda: "")
            except (OSError, ssl.SSLError) as exc:  # SSLError: what is in the files
                raise InputError(f"Certificate '{self.certificate}' and key '{self.key}' cannot be used: {exc}.") from exc

    def shown(self, listening: socket.socket) -> str:
        """The address of a socket that listens, for people."""
        host, port = listening.getsockname()[:2]
        return f"{'https' if self.has_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    def listen(self) -> socket.socket:
        """A socket that listens. Raises InputError if the address is none of this machine, or taken."""
        try:
            family = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((self.host, self.port), family=family, backlog=128)
        except (OSError, UnicodeError) as exc:
            raise InputError(f"Cannot listen at {self.host}, port {self.port}: {exc}.", "Choose another --host or --port.") from exc


def is_loopback(host: str) -> bool:
    """Whether an address, or all that a name stands for, can be reached from this machine only."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(str(one[4][0]).partition("%")[0]).is_loopback for one in found)
