"""The application: its addresses, and what is done for each request alike. Imports the rest of this room; FastAPI inside the function.

A request's body is read in the event loop, within limits of size and time; everything that waits for the database or hashes a password runs
in threads. Passwords have threads of their own, so that people who sign in do not keep others from saving.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import __version__
from ...errors import InputError, OutputError, SAM2AnnotateError
from ...json_input import parse_json
from ...optional_imports import import_for
from ...server.log import event
from . import accounts, owner, review, work
from .calls import Call, Reply
from .gate import Gate
from .headers import NO_STORE, SECURITY_HEADERS, TLS_HEADER
from .limits import WebLimits
from .page_files import PAGE_FOLDER, page_files
from .problems import RefusedError, not_there, too_large
from .service import CrowdService

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

INSTALL_HINT = "pip install fastapi uvicorn"
FEATURE = "Serving a crowd project"
_RETRY_SECONDS = 2

Handler = Callable[[Call], Reply]
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/api/login", accounts.log_in),
    ("POST", "/api/join", accounts.join),
    ("POST", "/api/logout", accounts.log_out),
    ("GET", "/api/me", accounts.me),
    ("GET", "/api/projects/{project}", work.project),
    ("GET", "/api/projects/{project}/examples/{object}/{number}", work.example),
    ("POST", "/api/projects/{project}/next", work.next_task),
    ("GET", "/api/projects/{project}/mine", work.mine),
    ("POST", "/api/tasks/{task}/answer", work.answer),
    ("POST", "/api/tasks/{task}/release", work.release),
    ("GET", "/api/tasks/{task}/image", work.image),
    ("GET", "/api/projects/{project}/review", review.queue),
    ("POST", "/api/review/{review}/decision", review.decide),
    ("GET", "/api/review/{review}/image", review.image),
    ("GET", "/api/projects/{project}/status", owner.status),
    ("GET", "/api/projects/{project}/people", owner.people),
    ("GET", "/api/projects/{project}/invites", owner.invites),
    ("POST", "/api/projects/{project}/invites", owner.invite),
    ("POST", "/api/projects/{project}/invites/{invite}/revoke", owner.revoke),
)
_HASHES_PASSWORDS = (accounts.log_in, accounts.join)


def make_app(
    service: CrowdService,
    *,
    limits: WebLimits | None = None,
    secure: bool = False,
    with_tls: bool = False,
    page: Path = PAGE_FOLDER,
) -> FastAPI:
    """The application.

    Args:
        service: what is served; its owner closes its records after the application's end.
        limits: what may be asked.
        secure: whether browsers come by TLS, ours or a proxy's: cookies are sent over it alone then.
        with_tls: whether the TLS is ours, and browsers are to be told to stay with it.
        page: folder of the page's files.

    Raises:
        MissingPackageError: if FastAPI is not installed.
    """
    fastapi = import_for(FEATURE, "fastapi", INSTALL_HINT)
    limits = limits or WebLimits()
    gate, files = Gate(service.records, limits, secure), page_files(page)
    sign_ins = ThreadPoolExecutor(2, "sign-in")
    waiting = asyncio.Semaphore(limits.waiting_sign_ins)

    @contextlib.asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            sign_ins.shutdown(wait=True, cancel_futures=True)
            event("stopped")

    app: FastAPI = fastapi.FastAPI(title="SAM2Annotate crowd", lifespan=life, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.gate = gate

    def respond(reply: Reply, store: str = NO_STORE) -> Response:
        response: Response = fastapi.Response(reply.content(), reply.status, {**reply.headers, "Cache-Control": store}, reply.media_type)
        if reply.cookie is not None:
            hours = max((one.project.rules.session_hours for one in service.projects), default=12.0)
            response.set_cookie(
                gate.cookie, reply.cookie, max_age=int(3600 * hours) if reply.cookie else 0, path="/", secure=secure, httponly=True,
                samesite="strict",
            )  # fmt: skip
        return response

    async def body_of(request: Request) -> Any:
        """The JSON object of a request; nothing sent is an empty one."""
        announced = request.headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > limits.body_bytes:
            raise too_large(limits.body_bytes)
        try:
            content = await asyncio.wait_for(read(request), limits.body_seconds)
        except asyncio.TimeoutError as exc:
            raise RefusedError(408, "The request did not come in time.", "Try again.") from exc
        return parse_json(content, "the request") if content else {}

    async def read(request: Request) -> bytes:
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > limits.body_bytes:
                raise too_large(limits.body_bytes)
        return bytes(content)

    def endpoint(method: str, handler: Handler) -> Callable[..., Any]:
        async def run(request: Request) -> Response:
            scheme = request.url.scheme
            if method == "POST":
                gate.require_own_page(request.headers, scheme)
            call = Call(
                service, gate, request.path_params, request.query_params, await body_of(request) if method == "POST" else None,
                request.headers, request.cookies, request.client.host if request.client else "",
                f"{scheme}://{request.headers.get('host', '')}", method == "POST",
            )  # fmt: skip
            if handler not in _HASHES_PASSWORDS:
                return respond(await asyncio.to_thread(handler, call))
            if waiting.locked():
                raise RefusedError(503, "Too many people sign in at once.", "Try again in a minute.", 30)
            async with waiting:
                return respond(await asyncio.get_running_loop().run_in_executor(sign_ins, handler, call))

        run.__annotations__ = {"request": fastapi.Request}
        return run

    async def page_file(request: Request) -> Response:
        file = files.get(request.path_params.get("name", "index.html"))
        if file is None:
            raise not_there()
        headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == file.tag:
            return fastapi.Response(None, 304, headers)
        return fastapi.Response(file.content, 200, headers, file.media_type)

    async def health() -> Response:
        return respond(Reply({"status": "ok", "version": __version__}))

    page_file.__annotations__, health.__annotations__ = {"request": fastapi.Request}, {}
    for method, path, handler in ROUTES:
        app.add_api_route(path, endpoint(method, handler), methods=[method])
    app.add_api_route("/", page_file, methods=["GET"])
    app.add_api_route("/page/{name:path}", page_file, methods=["GET"])
    app.add_api_route("/health", health, methods=["GET"])
    _answer_errors(app, respond)
    _add_headers(app, with_tls)
    return app


def _answer_errors(app: FastAPI, respond: Callable[[Reply], Response]) -> None:
    """Whatever goes wrong is `{problem, remedy}`; a fault of ours tells nothing of itself but in the log."""
    http_exception = import_for(FEATURE, "starlette.exceptions", INSTALL_HINT).HTTPException

    def told(status: int, problem: str, remedy: str = "", retry_seconds: int | None = None) -> Response:
        headers = {} if retry_seconds is None else {"Retry-After": str(retry_seconds)}
        return respond(Reply({"problem": problem, "remedy": remedy}, status, headers=headers))

    async def answer(_request: Request, exc: Exception) -> Response:
        if isinstance(exc, RefusedError):
            return told(exc.status, exc.problem, exc.remedy, exc.retry_seconds)
        if isinstance(exc, OutputError):
            event("not_saved", error=exc.problem[:300])
            return told(503, "The server cannot save at the moment.", "Nothing of yours is lost; it is tried again.", _RETRY_SECONDS)
        if isinstance(exc, InputError):
            return told(422, exc.problem, exc.remedy)
        if isinstance(exc, http_exception):
            known = {404: not_there().problem, 405: "This cannot be done here."}
            return told(exc.status_code, known.get(exc.status_code, "This request cannot be answered."))
        event("fault", error=type(exc).__name__)
        return told(500, "The server has a fault.", "Nothing that was saved is lost. Tell whoever runs the server.")

    for kind in (SAM2AnnotateError, http_exception, Exception):
        app.add_exception_handler(kind, answer)


def _add_headers(app: FastAPI, with_tls: bool) -> None:
    """On every answer, outside everything else: errors too."""
    headers = [(name.lower().encode(), value.encode()) for name, value in [*SECURITY_HEADERS.items(), *([TLS_HEADER] if with_tls else [])]]

    class Headers:
        def __init__(self, inner: Any):
            self._inner = inner

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def with_headers(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message = {**message, "headers": [*message.get("headers", []), *headers]}
                await send(message)

            await self._inner(scope, receive, with_headers if scope["type"] == "http" else send)

    app.add_middleware(Headers)
