"""Link: one WebSocket to a server, from the greeting to its end. Imports the wire's frames, and websockets inside functions.

A thread reads all the time, so that signs of life are heard while much is on its way out. A server that is silent for some seconds is as
good as gone: it says every second that it lives. What ends a link is either `BrokenLinkError`, where trying again may help, or another
`ServerError`, where it does not.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..errors import ServerError, WorkerError
from ..optional_imports import import_for
from ..worker import wire
from ..worker.messages import Heartbeat, Message, Shutdown
from .address import ServerAccess

INSTALL_HINT = 'pip install "websockets>=15"'
SILENCE_SECONDS = 12.0
_OPEN_SECONDS = 10.0
_CLOSE_SECONDS = 1.0
# A frame goes out in pieces: while one is on its way, what the server says is not read.
_PIECE_BYTES = 64 << 10
# What waits in this machine's buffers comes before answers to the server's pings, and makes progress look better than it is.
_SEND_BUFFER_BYTES = 256 << 10
_LAST_NUMBER = 2**31 - 1  # of the request that ends a session
_TRY_AGAIN = {wire.Refusal.IDLE, wire.Refusal.EXPIRED, wire.Refusal.TOO_MANY, wire.Refusal.STOPPING}
_GATEWAY = {502, 503, 504}  # a proxy's word for a server that is being started
_LAST_WORDS = {1001: "the server is being stopped", 1012: "the server is being started anew", 1013: "the server has too much to do"}


class BrokenLinkError(ServerError):
    """The connection is gone, or was not made; trying again may help."""


class SessionGoneError(BrokenLinkError):
    """The server does not know the session any more."""


class Link:
    """A connection on which the server has said `Welcome`. Made by `open`; messages go out and come in.

    Attributes:
        welcome: what it said.
        broken: why it ended; None while it is there.
    """

    def __init__(self, websocket: Any, exits: contextlib.ExitStack, welcome: wire.Welcome):
        self._websocket, self._exits, self.welcome = websocket, exits, welcome
        self.broken: ServerError | None = None
        self._incoming: queue.Queue[Message | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    @classmethod
    def open(cls, access: ServerAccess, session: str | None = None) -> Link:
        """Connect.

        Args:
            access: to whom, as whom.
            session: the id of one to go on with.

        Raises:
            SessionGoneError: if the server does not know that session.
            BrokenLinkError: if trying again may help.
            ServerError: if it does not: the token is refused, versions do not fit, the certificate is not trusted, there is no server.
            InputError: if the certificate authority's file cannot be used.
            MissingPackageError: if websockets is not installed.
        """
        client = import_for("Speaking to a server", "websockets.sync.client", INSTALL_HINT)
        headers = {"Authorization": f"Bearer {access.token}", wire.VERSIONS_HEADER: wire.versions()}
        if session is not None:
            headers[wire.SESSION_HEADER] = session
        options: dict[str, Any] = {"ssl": access.tls()} if access.address.secure else {}
        if access.address.is_loopback:
            options["proxy"] = None  # HTTP_PROXY is not meant for this very machine
        exits = contextlib.ExitStack()
        try:
            with _translated(access):
                connecting = client.connect(
                    access.address.websocket(wire.SESSION),
                    additional_headers=headers,
                    compression=None,  # chunks are packed already
                    max_size=wire.LARGEST_FRAME_BYTES,
                    open_timeout=_OPEN_SECONDS,
                    close_timeout=_CLOSE_SECONDS,
                    ping_interval=None,  # an answer would wait behind a long upload; the server's heartbeats tell
                    **options,
                )
                websocket = exits.enter_context(connecting)
                websocket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
                first = websocket.recv(timeout=_OPEN_SECONDS)
            welcome = _read_text(first)
            if not isinstance(welcome, wire.Welcome):
                raise ServerError(f"{access.address} greets as no SAM2Annotate server does. Check the address.")
        except BaseException:
            exits.close()
            raise
        return cls(websocket, exits, welcome)

    def send(self, message: Message) -> None:
        """Send a message. Raises `broken`."""
        self._send(wire.to_text(message).encode(), text=True)

    def send_chunk(self, frame: bytes) -> None:
        """Send a chunk of a volume. Raises `broken`."""
        self._send(frame, text=False)

    def receive(self, seconds: float) -> Message | None:
        """The next message but heartbeats; None if none came in this time. Raises `broken`, after what came before."""
        try:
            message = self._incoming.get(timeout=seconds)
        except queue.Empty:
            return None
        if message is None:
            self._incoming.put(None)  # whoever asks next hears it too
            raise self.broken if self.broken is not None else BrokenLinkError("the connection was ended")
        return message

    @property
    def has_news(self) -> bool:
        """Whether a message, or the end, waits to be received."""
        return not self._incoming.empty()

    def round_trip_seconds(self, patience_seconds: float) -> float:
        """To the server and back. Raises `broken`, or BrokenLinkError if it takes longer than one has patience."""
        began = time.perf_counter()
        try:
            answered = self._websocket.ping().wait(patience_seconds)
        except Exception as exc:
            closed = _closed(exc)
            if closed is None:
                raise
            raise self._ended(closed) from exc
        if not answered:
            raise BrokenLinkError(f"The server did not answer within {patience_seconds:.0f} s")
        return time.perf_counter() - began

    def close(self) -> None:
        """End the session on the server, too."""
        with contextlib.suppress(ServerError):  # it is gone already
            self.send(Shutdown(_LAST_NUMBER))
        self._ended(BrokenLinkError("the connection was ended"))
        self._exits.close()

    def abandon(self) -> None:
        """Let go of the connection at once, whatever is on its way. The server keeps the session for some minutes."""
        self._ended(BrokenLinkError("the connection was given up"))
        self._cut()
        self._exits.close()

    def _send(self, data: bytes, text: bool) -> None:
        if self.broken is not None:
            raise self.broken
        pieces = (data[start : start + _PIECE_BYTES] for start in range(0, len(data), _PIECE_BYTES))
        try:
            self._websocket.send(data if len(data) <= _PIECE_BYTES else pieces, text=text)
        except Exception as exc:
            closed = _closed(exc)
            if closed is None:
                raise
            raise self._ended(closed) from exc

    def _ended(self, why: ServerError) -> ServerError:
        """Note why it ended, unless it is known; returns what is."""
        if self.broken is None:
            self.broken = why
        return self.broken

    def _read(self) -> None:
        try:
            while True:
                try:
                    frame = self._websocket.recv(timeout=SILENCE_SECONDS)
                except TimeoutError:
                    raise BrokenLinkError(f"the server has been silent for {SILENCE_SECONDS:.0f} s") from None
                message = _read_text(frame)
                if not isinstance(message, Heartbeat):
                    self._incoming.put(message)
        except ServerError as exc:
            self._ended(exc)
        except Exception as exc:  # noqa: BLE001 - whatever ends the reading ends the link, and is told by it
            self._ended(_closed(exc) or BrokenLinkError(f"the connection broke ({type(exc).__name__})"))
        self._incoming.put(None)
        self._cut()  # a frame that is stuck on its way out ends, too

    def _cut(self) -> None:
        with contextlib.suppress(OSError):  # it is closed already
            self._websocket.socket.shutdown(socket.SHUT_RDWR)


def _read_text(frame: str | bytes) -> Message:
    if isinstance(frame, bytes):
        raise ServerError("The server sent data that no SAM2Annotate server sends. Check the address.")
    try:
        return wire.from_text(frame)
    except WorkerError as exc:
        raise ServerError(str(exc)) from exc


def _closed(exc: Exception) -> ServerError | None:
    """Why a connection ended; None if this is no end of one."""
    exceptions = import_for("Speaking to a server", "websockets.exceptions", INSTALL_HINT)
    if isinstance(exc, exceptions.ConnectionClosed):
        code = exc.rcvd.code if exc.rcvd is not None else 1006
        reason = exc.rcvd.reason if exc.rcvd is not None else ""
        if code in {one.value for one in wire.Refusal}:
            return _refused(wire.Refusal(code), reason)
        return BrokenLinkError(_LAST_WORDS.get(code, "the connection was lost"))
    if isinstance(exc, OSError):
        return BrokenLinkError("the connection was lost")
    return None


def _refused(refusal: wire.Refusal, problem: str) -> ServerError:
    if refusal in _TRY_AGAIN:
        kind: type[ServerError] = SessionGoneError if refusal in (wire.Refusal.EXPIRED, wire.Refusal.IDLE) else BrokenLinkError
        said = (problem or refusal.problem).strip().rstrip(".")
        return kind(said[:1].lower() + said[1:], refusal.remedy)
    return ServerError(problem or refusal.problem, refusal.remedy)


@contextlib.contextmanager
def _translated(access: ServerAccess) -> Iterator[None]:
    """What goes wrong with a handshake, in words for the user."""
    exceptions = import_for("Speaking to a server", "websockets.exceptions", INSTALL_HINT)
    address = access.address
    try:
        yield
    except ssl.SSLCertVerificationError as exc:
        raise untrusted(access, exc) from exc
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, TimeoutError) as exc:
        raise BrokenLinkError(f"{address} does not answer") from exc
    except ssl.SSLError as exc:
        raise no_tls(access, exc) from exc
    except OSError as exc:
        raise BrokenLinkError(f"{address} cannot be reached ({exc.strerror or exc})") from exc
    except exceptions.InvalidStatus as exc:
        raise not_let_in(access, exc.response.status_code, bytes(exc.response.body or b"")) from exc
    except (exceptions.InvalidMessage, EOFError) as exc:
        raise BrokenLinkError(f"{address} broke off the greeting") from exc
    except exceptions.ConnectionClosed as exc:
        raise _closed(exc) or BrokenLinkError(f"{address} broke off the greeting") from exc
    except (exceptions.InvalidProxy, exceptions.ProxyError, ImportError) as exc:  # ImportError: of what a SOCKS proxy takes
        raise ServerError(
            f"{address} cannot be reached through the proxy that is set for this computer ({exc}). "
            f"Set the environment variable NO_PROXY={address.host} if it can be reached without."
        ) from exc
    except (exceptions.InvalidHandshake, exceptions.InvalidURI) as exc:
        raise ServerError(f"{address} is no SAM2Annotate server ({exc}). Check the address.") from exc


def not_let_in(access: ServerAccess, status: int, body: bytes) -> ServerError:
    """Why a server answers with this HTTP status, from what it says beside it."""
    try:
        told = json.loads(body)
        refusal, problem = wire.Refusal(told["code"]), str(told.get("problem", ""))
    except (ValueError, KeyError, TypeError):  # not the server's own word
        if status in _GATEWAY:
            return BrokenLinkError(f"{access.address} cannot be reached (its proxy says {status})")
        return ServerError(f"{access.address} is no SAM2Annotate server (it answers with HTTP {status}). Check the address.")
    return _refused(refusal, problem)


def no_tls(access: ServerAccess, exc: ssl.SSLError) -> ServerError:
    """What answers under an https address does not encrypt."""
    address = access.address
    if address.is_loopback:
        remedy = f"Try {replace(address, secure=False)}, which is allowed on this very machine."
    else:
        remedy = (
            "Check address and port. Whoever runs the server starts it with --certificate and --key: to another machine nothing is sent "
            "in the open."
        )
    return ServerError(f"{address} does not speak TLS ({getattr(exc, 'reason', None) or exc}).", remedy)


def untrusted(access: ServerAccess, exc: ssl.SSLCertVerificationError) -> ServerError:
    """The server's certificate is not one that is trusted."""
    return ServerError(
        f"The certificate of {access.address} is not trusted: {exc.verify_message}. Nothing was sent. "
        "If your institution has a certificate authority of its own, name its file."
    )
