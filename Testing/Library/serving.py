"""A real server process, and a client that says what a test wants it to say. Imports the library, processes and websockets."""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

import numpy as np
import pytest
from processes import started

from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.geometry import Extent, SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.propagation import RegionPolicy
from SAM2AnnotateLib.review import ReviewSession
from SAM2AnnotateLib.server.tokens import TokenFile
from SAM2AnnotateLib.worker import WorkerClient, wire
from SAM2AnnotateLib.worker import messages as m
from SAM2AnnotateLib.worker.serve import Worker

for _package in ("fastapi", "uvicorn", "websockets"):
    pytest.importorskip(_package)
from websockets.sync.client import ClientConnection, connect  # noqa: E402 - a package that need not be there

POLICY, MAPPING = RegionPolicy(), IntensityMapping(0, 255, "explicit", "test")
PATIENCE_SECONDS = 120.0  # of a test, with a machine that others use too

# The command line's own server, with a model that needs no weights.
_SCRIPTED = """
import sys, time
from SAM2AnnotateLib.engine import ScriptedEngine, loading
import SAM2AnnotateLib.engine as engine
seconds = float(sys.argv.pop(1))
def load(checkpoint, **_options):
    if checkpoint == "faulty":
        def fail(position):
            raise ZeroDivisionError("a fault that quotes Mustermann^Max")
        return ScriptedEngine(tolerance=21, fail_at=fail)
    return ScriptedEngine(fail_at=lambda position: time.sleep(seconds))
engine.load_engine = load
from SAM2AnnotateLib.cli.main import main
raise SystemExit(main())
"""


def a_volume(seed: int = 0, slices: int = 12) -> Volume:
    """A bright block in noise on slices 2 to all but 2, stored flipped: positions differ from indices."""
    voxels = np.random.default_rng(seed).integers(0, 12, (slices, 40, 48)).astype(np.int16)
    voxels[2:-2, 12:28, 14:34] += 180
    return Volume(VolumeGrid(voxels.shape, np.diag([1.0, 1.2, -2.5, 1.0])), voxels)


def a_review(volume: Volume) -> ReviewSession:
    """Its block, boxed on slice 5."""
    stack = SliceStack.along(volume.grid, "axial")
    extent = stack.extent_of(Extent(2, volume.grid.shape_kji[0] - 3))
    return ReviewSession({stack.position_of(5): SlicePrompt(box=stack.box_of((12, 10), (36, 30)))}, extent, stack.frame_shape_rc)


@dataclass
class Server:
    """A server that runs.

    Args:
        port: of the loopback.
        tokens: by user.
        token_file: that it reads.
        process: of it.
        log_file: that its standard error goes to.
    """

    port: int
    tokens: dict[str, str]
    token_file: Path
    process: Any
    log_file: Path

    @property
    def log(self) -> str:
        """All that it logged."""
        return self.log_file.read_text()

    def get(self, path: str, token: str = "", headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], str]:
        """An HTTP request: status, headers, text."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers or {})
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as exc:
            return exc.code, dict(exc.headers), exc.read().decode()

    def metric(self, name: str) -> float:
        """A figure of /metrics, all labels together."""
        lines = [line for line in self.get("/metrics")[2].splitlines() if line.split("{")[0].split(" ")[0] == f"sam2annotate_{name}"]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def connect(self, user: str = "anna", **options: Any) -> Client:
        """A session; see `Client.open`."""
        return Client.open(self.port, self.tokens[user], **options)


@contextmanager
def a_server(
    folder: Path, *options: str, users: Sequence[str] = ("anna", "ben"), scripted: bool = True, seconds: float = 0.0
) -> Iterator[Server]:
    """A server process with tokens for these users; `seconds` a step of its scripted model."""
    token_file, log_file = folder / "tokens.json", folder / "log.jsonl"
    tokens = {user: TokenFile(token_file).add(user) for user in users}
    program = [sys.executable, "-c", _SCRIPTED, str(seconds)] if scripted else [sys.executable, "-m", "SAM2AnnotateLib"]
    command = [*program, "serve", "--token-file", str(token_file), "--port", "0", *options]
    with open(log_file, "wb") as log, started(command, stderr=log, stdin=-3, stdout=-3) as process:
        yield Server(_port_in(log_file, process), tokens, token_file, process, log_file)


def _port_in(log_file: Path, process: Any) -> int:
    waiting = threading.Event()
    for _ in range(int(PATIENCE_SECONDS * 10)):
        for line in log_file.read_text().splitlines():
            if '"listening"' in line and line.endswith("}"):
                return json.loads(line)["port"]
        assert process.poll() is None, log_file.read_text()
        waiting.wait(0.1)
    raise AssertionError(f"The server did not start:\n{log_file.read_text()}")


@dataclass
class Client:
    """One connection. What it hears is kept in order, heartbeats apart."""

    socket: ClientConnection
    welcome: wire.Welcome
    number: int = 0
    heard: list[m.Message] = field(default_factory=list)
    beats: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0

    @classmethod
    def open(
        cls, port: int, token: str, session: str = "", headers: dict[str, str] | None = None, scheme: str = "ws", **options: Any
    ) -> Client:
        """Connect and be welcomed; raises InvalidStatus where the server refuses."""
        sent = {"Authorization": f"Bearer {token}", wire.VERSIONS_HEADER: wire.versions()}
        if session:
            sent[wire.SESSION_HEADER] = session
        sent |= headers or {}
        options = {"proxy": None, "max_size": None, "open_timeout": PATIENCE_SECONDS, "compression": None, "max_queue": None, **options}
        sent = {name: value for name, value in sent.items() if value is not None}
        socket = connect(f"{scheme}://127.0.0.1:{port}{wire.SESSION}", additional_headers=sent, **options).__enter__()
        return cls(socket, wire.from_text(socket.recv(PATIENCE_SECONDS)))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def cut(self) -> None:
        """Break the connection as a network does: no goodbye."""
        with suppress(OSError):
            self.socket.socket.shutdown(SHUT_RDWR)

    def say(self, message: m.Message | str) -> None:
        """Send a request or a text."""
        text = message if isinstance(message, str) else wire.to_text(message)
        self.sent_bytes += len(text)
        self.socket.send(text)

    def hear(self) -> m.Message:
        """The next message that is no heartbeat. Raises TimeoutError."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            text = self.socket.recv(max(0.0, end - time.monotonic()))
            self.received_bytes += len(text)
            message = wire.from_text(text)
            if not isinstance(message, m.Heartbeat):
                self.heard.append(message)
                return message
            self.beats += 1

    def next(self) -> int:
        """A number for a request."""
        self.number += 1
        return self.number

    def ask(self, message: m.Message) -> list[m.Message]:
        """Send a request and hear all replies to it."""
        self.say(message)
        return self.replies(message.request)

    def replies(self, request: int) -> list[m.Message]:
        """All replies to a request, up to its end."""
        heard = [self.hear()]
        while not (isinstance(heard[-1], (m.Finished, m.Failed)) and heard[-1].request == request):
            heard.append(self.hear())
        return [one for one in heard if one.request == request]

    def load(self, checkpoint: str = wire.THE_SERVERS_MODEL) -> list[m.Message]:
        """Load a model."""
        return self.ask(m.LoadModel(self.next(), checkpoint))

    def announce(self, key: str, volume: Volume, mapping: IntensityMapping = MAPPING, axis: str = "axial") -> tuple[int, np.ndarray]:
        """Say that a volume comes; the request and its grays."""
        gray, request = wire.gray_of(volume.array_kji, mapping), self.next()
        matrix = np.array(volume.grid.ijk_to_ras)
        matrix[:3, 3] = 0
        self.say(wire.UploadVolume(request, key, list(gray.shape), matrix.tolist(), axis, wire.sha256_of(gray)))
        return request, gray

    def upload(self, key: str, volume: Volume, mapping: IntensityMapping = MAPPING, axis: str = "axial") -> list[m.Message]:
        """Bring a volume."""
        request, gray = self.announce(key, volume, mapping, axis)
        wanted = self.hear()
        if isinstance(wanted, wire.ChunksWanted):
            for frame in wire.pack_chunks(request, gray, wanted.indices):
                self.sent_bytes += len(frame)
                self.socket.send(frame)
            return [wanted, *self.replies(request)]
        return [wanted]

    def propagate(self, key: str, review: ReviewSession) -> m.Propagate:
        """The request for what is due."""
        lines: list[bytes] = []
        client = WorkerClient(lines.append)
        client.propagate(key, review.due_work(), POLICY)
        client.close()
        message = m.from_line(lines[0])
        assert isinstance(message, m.Propagate)
        return replace(message, request=self.next())

    def masks(self, key: str, review: ReviewSession) -> dict[int, bytes]:
        """Ask for what is due and give the masks' bytes by position."""
        *slices, last = self.ask(self.propagate(key, review))
        assert isinstance(last, m.Finished), last
        return {one.result().position: one.result().mask.tobytes() for one in slices if isinstance(one, m.SliceDone)}


def local_masks(volume: Volume, review: ReviewSession, engine: Any = None, mapping: IntensityMapping = MAPPING) -> dict[int, bytes]:
    """What the local worker gives."""
    replies: list[m.Message] = []
    worker = Worker(replies.append, load=lambda *_arguments, **_options: engine or ScriptedEngine())
    client = WorkerClient(lambda line: worker.handle(m.from_line(line), CancelToken()))
    client.load_model("any")
    client.open_volume("v", volume, "axial", mapping)
    client.propagate("v", review.due_work(), POLICY)
    client.close()
    return {one.result().position: one.result().mask.tobytes() for one in replies if isinstance(one, m.SliceDone)}
