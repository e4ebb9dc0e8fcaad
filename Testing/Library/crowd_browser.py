"""A browser without a page, for tests of the crowd's server: keeps its cookie and proof, notes every answer that it gets.

Speaks to a server in a process of its own, or to an application in this process without any network.
"""

from __future__ import annotations

import http.client
import http.cookies
import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_to_bytes

PASSWORD = "three words together"
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers in lower case with all their values, bytes."""

    path: str
    status_code: int
    headers: dict[str, list[str]]
    content: bytes

    @property
    def text(self) -> str:
        """As UTF-8."""
        return self.content.decode()

    def json(self) -> Any:
        """As JSON."""
        return json.loads(self.content)

    def header(self, name: str) -> str:
        """The one value of a header; "" if there is none."""
        return ", ".join(self.headers.get(name.lower(), []))


# Sends (method, path, headers, body); gives the answer.
Sender = Callable[[str, str, list[tuple[bytes, bytes]], "bytes | Iterable[bytes]"], Answer]


def over_network(port: int) -> Sender:
    """To a server on the loopback. Raises OSError or HTTPException where it is gone."""

    def send(method: str, path: str, headers: list[tuple[bytes, bytes]], body: Any) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
        try:
            sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers if name != b"host"}
            connection.request(method, quote(path, safe="/%?=&"), body if method == "POST" else None, sent)
            answer = connection.getresponse()
            found: dict[str, list[str]] = {}
            for name, value in answer.getheaders():
                found.setdefault(name.lower(), []).append(value)
            return Answer(path, answer.status, found, answer.read())
        finally:
            connection.close()

    return send


def in_process(app: Any, portal: Any, address: str, scheme: str = "http") -> Sender:
    """To an ASGI application, run in the event loop of `portal` (anyio's)."""

    def send(method: str, path: str, headers: list[tuple[bytes, bytes]], body: Any) -> Answer:
        raw, _, query = quote(path, safe="/%?=&").partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": scheme, "headers": headers,
            "path": unquote_to_bytes(raw).decode("utf-8", "replace"), "raw_path": raw.encode(), "query_string": query.encode(),
            "root_path": "", "client": (address, 5000), "server": ("boxes.example", 80),
        }  # fmt: skip
        parts = iter([body] if isinstance(body, bytes) else body)
        started: dict[str, Any] = {}
        content = bytearray()

        async def receive() -> dict:
            part = next(parts, None)
            return {"type": "http.request", "body": part or b"", "more_body": part is not None}

        async def sending(message: dict) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            else:
                content.extend(message.get("body", b""))

        async def run() -> None:
            try:
                await app(scope, receive, sending)
            except Exception:  # noqa: BLE001 - the server has answered, and logs it
                assert started

        portal.call(run)
        found: dict[str, list[str]] = {}
        for name, value in started["headers"]:
            found.setdefault(name.decode(), []).append(value.decode("latin-1"))
        return Answer(path, started["status"], found, bytes(content))

    return send


class Browser:
    """One person's browser.

    Args:
        send: to the server.
        host: that it is told.
    """

    def __init__(self, send: Sender, host: str = "boxes.example"):
        self.send, self.host, self.csrf = send, host, ""
        self.cookies: dict[str, str] = {}
        self.seen: list[Answer] = []
        self._project = ""

    def get(self, path: str, headers: dict[str, Any] | None = None) -> Answer:
        """A GET; the answer is noted."""
        return self._ask("GET", path, headers or {}, b"")

    def post(self, path: str, body: Any = None, headers: dict[str, Any] | None = None, content: Any = None) -> Answer:
        """A POST of JSON (or of `content` as it is), with the proof that our page sends; the answer is noted."""
        sent = {"Content-Type": "application/json", "X-CSRF-Token": self.csrf, **(headers or {})}
        return self._ask("POST", path, sent, json.dumps({} if body is None else body).encode() if content is None else content)

    def join(self, invite: str, name: str, password: str = PASSWORD) -> Browser:
        """Take an invite."""
        answer = self.post("/api/join", {"invite": invite, "name": name, "password": password})
        assert answer.status_code == 200, answer.text
        self.csrf = answer.json()["csrf"]
        return self

    def log_in(self, name: str, password: str = PASSWORD) -> Answer:
        """Sign in; the answer, whatever it is."""
        answer = self.post("/api/login", {"name": name, "password": password})
        if answer.status_code == 200:
            self.csrf = answer.json()["csrf"]
        return answer

    @property
    def project(self) -> str:
        """The id of the one project that this person is in."""
        if not self._project:
            (project,) = self.get("/api/me").json()["projects"]
            self._project = project["id"]
        return self._project

    def next(self) -> dict:
        """The next task, or why there is none."""
        answer = self.post(f"/api/projects/{self.project}/next")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def answer(self, task: str, kind: str = "absent", boxes_rc: list | None = None, client_id: str | None = None) -> Answer:
        """Send an answer; the reply, whatever it is."""
        body = {"kind": kind, "boxes_rc": boxes_rc or [], "seconds": 1.5, "client_id": client_id or str(uuid.uuid4())}
        return self.post(f"/api/tasks/{task}/answer", body)

    def _ask(self, method: str, path: str, headers: dict[str, Any], body: Any) -> Answer:
        given = {"Host": self.host, **headers}
        if self.cookies and "Cookie" not in given:
            given["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if isinstance(body, bytes) and method == "POST":
            given["Content-Length"] = str(len(body))
        sent = [(name.lower().encode(), value if isinstance(value, bytes) else value.encode()) for name, value in given.items()]
        answer = self.send(method, path, sent, body)
        for line in answer.headers.get("set-cookie", []):
            for name, morsel in http.cookies.SimpleCookie(line).items():
                self.cookies.pop(name, None)
                if morsel["max-age"] != "0":
                    self.cookies[name] = morsel.value
        self.seen.append(answer)
        return answer
