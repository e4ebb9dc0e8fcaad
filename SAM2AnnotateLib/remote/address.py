"""Where a server is, and what proves who asks: address, certificate authority, token. Imports errors and the standard library.

What is sent are a patient's pictures, so that nothing but a connection that is encrypted, to a server whose certificate was verified, is
made; but for this very machine, where nobody listens in between.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import InputError

TOKEN_VARIABLE = "SAM2ANNOTATE_TOKEN"
ADDRESS_FORM = "https://HOST:PORT"
_SCHEMES = {"https": True, "wss": True, "http": False, "ws": False}
_TOKEN = re.compile(r"[\x21-\x7e]+")  # what a header line can hold


@dataclass(frozen=True)
class ServerAddress:
    """A server's address. Made by `parse`.

    Args:
        host: name or number.
        port: TCP port.
        secure: whether TLS is spoken.
        path: what comes before the server's own paths, behind a proxy that serves others too; "" or "/..." without a slash at its end.
    """

    host: str
    port: int
    secure: bool
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> ServerAddress:
        """Read what a person typed: ``https://HOST:PORT``, or the same without ``https://``.

        Raises:
            InputError: if it is no address, or one that is not encrypted and not this very machine.
        """
        typed = text.strip()
        whole = typed if "://" in typed else f"//{typed}"
        try:
            parts = urlsplit(whole)
            port, host = parts.port, parts.hostname
        except ValueError as exc:
            raise InputError(f"'{typed}' is no server's address: {exc}. Expected {ADDRESS_FORM}.") from None
        if not host or any(not letter.isprintable() or letter.isspace() for letter in typed):
            raise InputError(f"'{typed}' is no server's address. Expected {ADDRESS_FORM}.")
        if parts.scheme and parts.scheme not in _SCHEMES:
            raise InputError(f"'{typed}' begins with '{parts.scheme}://'. Expected {ADDRESS_FORM}.")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise InputError("A server's address holds no name, password or question: the token is given apart from it.")
        secure = _SCHEMES.get(parts.scheme, not _is_loopback(host))
        if not secure and not _is_loopback(host):
            asked = cls(host, port if port is not None else 443, True, parts.path.rstrip("/"))
            raise InputError(f"'{typed}' is not encrypted: pictures of patients would cross the network in the open. Use {asked}.")
        return cls(host, port if port is not None else 443 if secure else 80, secure, parts.path.rstrip("/"))

    @property
    def is_loopback(self) -> bool:
        """Whether it is this very machine."""
        return _is_loopback(self.host)

    def http(self, path: str) -> str:
        """The address of one of the server's pages."""
        return f"http{'s' if self.secure else ''}://{self._place}{path}"

    def websocket(self, path: str) -> str:
        """The address of one of the server's WebSockets."""
        return f"ws{'s' if self.secure else ''}://{self._place}{path}"

    def __str__(self) -> str:
        return self.http("")

    @property
    def _place(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}{self.path}"


@dataclass(frozen=True)
class ServerAccess:
    """All that is needed to speak to a server.

    Args:
        address: where it is.
        token: proves who asks; never shown.
        ca_file: certificates of the authority that the server's is to be signed by; None for those that the system trusts.
    """

    address: ServerAddress
    token: str = field(repr=False)
    ca_file: str | None = None

    def __post_init__(self) -> None:
        require_token(self.token)

    def tls(self) -> ssl.SSLContext | None:
        """How to verify the server; None where nothing is encrypted.

        Raises:
            InputError: if the authority's file cannot be used.
        """
        if not self.address.secure:
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file or None)
        except (OSError, ssl.SSLError) as exc:
            raise InputError(f"The certificates in '{self.ca_file}' cannot be used: {exc.strerror or exc}. Expected a PEM file.") from exc


def require_token(token: str) -> None:
    """Raise InputError unless it is one word that can be sent. The message does not quote it."""
    if not token:
        raise InputError(
            "A server answers those who have a token only; none was given.", f"Use --token-file FILE, or set {TOKEN_VARIABLE}."
        )
    if not _TOKEN.fullmatch(token):
        raise InputError("This is no token: expected one word of letters, digits and signs, as 'sam2annotate serve token add' prints it.")


def token_from(file: str | Path | None) -> str:
    """The token in a file, or else in the environment.

    Raises:
        InputError: if there is none.
    """
    if file is None:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
    else:
        try:
            token = Path(file).read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is no text (UTF-8)"
            raise InputError(
                f"The token's file '{file}' cannot be read: {reason}.",
                "Name a text file that holds the token as it was given to you, alone.",
            ) from exc
    require_token(token)
    return token


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:  # a name
        return False
