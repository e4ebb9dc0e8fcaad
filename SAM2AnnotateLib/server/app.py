"""The server's four addresses, as a FastAPI application. Imports the rest of this room; FastAPI inside functions.

Nothing here computes: it checks who comes, hands frames to sessions, and sends what they answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import InputError, SAM2AnnotateError, WorkerError
from ..optional_imports import import_for
from ..worker.messages import PROTOCOL_VERSION, Shutdown
from ..worker.wire import (
    ABOUT,
    HEALTH,
    METRICS,
    SESSION,
    SESSION_HEADER,
    VERSIONS_HEADER,
    WIRE_VERSION,
    Refusal,
    Welcome,
    to_text,
    versions,
)
from .guesses import Guesses
from .limits import Limits
from .log import event
from .metrics import Metrics
from .outbox import Outbox
from .requests import read_request
from .seats import Seats
from .session import Session
from .sessions import RefusedError, Sessions
from .tokens import TokenEntry, TokenFile, token_id

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response, WebSocket

INSTALL_HINT = "pip install fastapi uvicorn websockets"
_LOOK_SECONDS = 1.0
_END_SECONDS = 5.0
_SMALL = 1 << 16  # of a frame that is read in the loop's own thread
_LONGEST_REASON = 120  # bytes that a close frame has for it
# For browsers, which have no business here: nothing is to be shown, framed, guessed or kept.
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Gate:
    """Who may come in.

    Args:
        tokens: that do.
        guesses: of those who do not.
        metrics: counts.
    """

    def __init__(self, tokens: TokenFile, guesses: Guesses, metrics: Metrics):
        self.tokens, self._guesses, self._metrics = tokens, guesses, metrics

    def require_user(self, address: str, authorization: str) -> TokenEntry:
        """Whose token it is.

        Args:
            address: where the request comes from.
            authorization: the header; "" if there is none.

        Raises:
            RefusedError: if it is nobody's, or too many wrong ones came from there.
        """
        scheme, _, token = authorization.partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        try:
            key = token_id(token)
            known = key if key and self.tokens.knows(key) else ""
            if self._guesses.too_many(address, known):
                raise RefusedError(Refusal.TOO_MANY, "Too many wrong tokens came from this address.")
            user = self.tokens.user_of(token)
        except InputError as exc:  # the file cannot be read: whoever runs the server learns why from the log
            event("tokens_unreadable", error=type(exc).__name__)
            raise RefusedError(Refusal.TOKEN) from exc
        if user is None:
            self._guesses.failed(address, known)
            raise RefusedError(Refusal.TOKEN)
        return user

    def require_fitting(self, headers: Any) -> None:
        """Refuse web pages and other versions. Raises RefusedError."""
        if "origin" in headers:
            raise RefusedError(Refusal.FORBIDDEN)
        theirs = headers.get(VERSIONS_HEADER, "")
        if theirs != versions():
            shown = theirs if len(theirs) < 20 and theirs.replace(".", "").isdecimal() else "unknown"
            raise RefusedError(
                Refusal.VERSIONS, f"The client speaks version {shown} of the wire's protocol, this server {versions()} ({__version__})."
            )

    def note(self, exc: RefusedError, address: str) -> None:
        """Count and log that somebody was refused."""
        reason = exc.refusal.name.lower()
        self._metrics.count("refused_total", reason=reason)
        if exc.refusal is not Refusal.TOO_MANY:  # who tries again and again does not fill the log
            event("refused", reason=reason, address=address)


def make_app(seats: Seats, tokens: TokenFile, limits: Limits, *, behind_proxy: bool = False, with_tls: bool = False) -> FastAPI:
    """The application.

    Args:
        seats: where sessions compute; closed with it.
        tokens: of those who may come in.
        limits: what they may ask.
        behind_proxy: whether others' requests come from the loopback.
        with_tls: whether browsers are to be told to stay with TLS.

    Raises:
        MissingPackageError: if FastAPI is not installed.
    """
    fastapi = import_for("Serving a model", "fastapi", INSTALL_HINT)
    metrics = Metrics()
    gate, sessions = Gate(tokens, Guesses(limits.failed_tokens_per_minute), metrics), Sessions(seats, limits, metrics)

    async def look_after() -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            sessions.look_after(tokens)

    @contextlib.asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        looking = asyncio.create_task(look_after())
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.to_thread(sessions.close)
            await asyncio.to_thread(seats.close)
            event("stopped")

    app: FastAPI = fastapi.FastAPI(title="SAM2Annotate", lifespan=life, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.metrics, app.state.sessions = metrics, sessions

    @app.middleware("http")
    async def secured(request: Request, call_next: Any) -> Response:
        response = await call_next(request)
        for name, value in SECURITY_HEADERS.items():
            response.headers[name] = value
        if with_tls:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        return response

    @app.exception_handler(RefusedError)
    async def refused(request: Request, exc: RefusedError) -> Response:
        gate.note(exc, _address_of(request))
        headers = {"WWW-Authenticate": "Bearer"} if exc.refusal is Refusal.TOKEN else None
        return fastapi.Response(exc.refusal.body(exc.problem), exc.refusal.status, headers, "application/json")

    def user_of(request: Request) -> TokenEntry:
        return gate.require_user(_address_of(request), request.headers.get("authorization", ""))

    async def health() -> dict:
        return {"status": "ok", "version": __version__, "wire": versions()}

    async def about(request: Request) -> dict:
        user = user_of(request)
        return {
            "version": __version__,
            "wire_version": WIRE_VERSION,
            "protocol_version": PROTOCOL_VERSION,
            "user": user.name,
            "models": [{"name": name, **described} for name, described in seats.models.items()],
            "limits": limits.to_json(),
            "sessions": sessions.figures()["sessions"],
        }

    async def figures(request: Request) -> Response:
        if behind_proxy or not _is_loopback(_address_of(request)):
            user_of(request)
        text = metrics.text({**sessions.figures(), **seats.figures()})
        return fastapi.Response(text, media_type="text/plain; version=0.0.4")

    async def session(websocket: WebSocket) -> None:
        await _serve_socket(websocket, gate, sessions, seats, limits, metrics)

    # Annotations of nested functions are texts here, which FastAPI could not resolve: so they are told by hand.
    about.__annotations__ = figures.__annotations__ = {"request": fastapi.Request}
    session.__annotations__ = {"websocket": fastapi.WebSocket}
    health.__annotations__ = {}
    app.add_api_route(HEALTH, health, methods=["GET"])
    app.add_api_route(ABOUT, about, methods=["GET"])
    app.add_api_route(METRICS, figures, methods=["GET"])
    app.add_api_websocket_route(SESSION, session)
    return app


def _address_of(connection: Any) -> str:
    return connection.client.host if connection.client else ""


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


async def _serve_socket(websocket: WebSocket, gate: Gate, sessions: Sessions, seats: Seats, limits: Limits, metrics: Metrics) -> None:
    """One connection, from the handshake to its end."""
    fastapi = import_for("Serving a model", "fastapi", INSTALL_HINT)
    headers = websocket.headers
    try:
        gate.require_fitting(headers)
        user = gate.require_user(_address_of(websocket), headers.get("authorization", ""))
        key = headers.get(SESSION_HEADER, "")
        session = sessions.go_on(key, user) if key else await asyncio.to_thread(sessions.begin, user)
        outbox = Outbox(asyncio.get_running_loop())
        if not session.attach(outbox):
            raise RefusedError(Refusal.EXPIRED)
    except RefusedError as exc:
        gate.note(exc, _address_of(websocket))
        body = exc.refusal.body(exc.problem)
        await websocket.send_denial_response(
            fastapi.Response(body, exc.refusal.status, dict(SECURITY_HEADERS), media_type="application/json")
        )
        return
    try:
        await websocket.accept()
        welcome = Welcome(0, session.key, bool(key), __version__, list(seats.models), limits.to_json())
        outbox.put(to_text(welcome), patient=False)
        reading = asyncio.create_task(_read(websocket, session, sessions, limits, metrics))
        writing = asyncio.create_task(_write(websocket, outbox, metrics))
        _, running = await asyncio.wait([reading, writing], return_when=asyncio.FIRST_COMPLETED)
        if writing in running:  # what waits is sent where there is a reason to end
            session.detach(outbox)
            outbox.close()
            await asyncio.wait([writing], timeout=_END_SECONDS)
        for task in (reading, writing):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, RuntimeError, OSError, fastapi.WebSocketDisconnect):  # the client is gone
                await task
    finally:
        session.detach(outbox)
        outbox.close()
    code, reason = outbox.closed_for or (1000, "")
    with contextlib.suppress(RuntimeError, OSError, fastapi.WebSocketDisconnect):  # the client has closed it already
        await websocket.close(code, reason.encode()[:_LONGEST_REASON].decode("utf-8", "ignore"))


async def _write(websocket: WebSocket, outbox: Outbox, metrics: Metrics) -> None:
    while (frame := await outbox.get()) is not None:
        metrics.count("sent_bytes_total", len(frame))
        await websocket.send_text(frame)


async def _read(websocket: WebSocket, session: Session, sessions: Sessions, limits: Limits, metrics: Metrics) -> None:
    """Hand frames to the session until the client is gone, has said goodbye, or sent too much."""
    while True:
        received = await websocket.receive()
        if received["type"] == "websocket.disconnect":
            return
        text, frame = received.get("text"), received.get("bytes")
        metrics.count("received_bytes_total", len(text if text is not None else frame or b""))
        if text is None:
            try:
                await asyncio.to_thread(session.take_chunk, frame or b"")
            except SAM2AnnotateError as exc:
                if not session.malformed(exc.problem):
                    sessions.end(session, Refusal.MALFORMED)
                    return
            continue
        if not session.may_ask():
            sessions.end(session, Refusal.TOO_MANY, "Too many requests came at once.")
            return
        try:
            message = await asyncio.to_thread(read_request, text, limits) if len(text) > _SMALL else read_request(text, limits)
        except WorkerError as exc:
            if not session.malformed(exc.problem):
                sessions.end(session, Refusal.MALFORMED)
                return
            continue
        if isinstance(message, Shutdown):
            sessions.end(session)
            return
        session.take(message, len(text))
