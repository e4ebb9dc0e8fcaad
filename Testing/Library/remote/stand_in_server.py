"""A server that can be told to misbehave: what the real one never does on purpose. Imports websockets, the wire and the worker."""

from __future__ import annotations

import contextlib
import http
import threading
from collections.abc import Callable

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.geometry import SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.worker import wire
from SAM2AnnotateLib.worker.messages import Cancel, Finished, Heartbeat, Message, Shutdown, SliceDone
from SAM2AnnotateLib.worker.serve import Worker


class StandInServer:
    """One session at a time, answered as it comes by the scripted model.

    Attributes:
        heard: every message and chunk that came, the raw frames.
        refuse: gives (HTTP status, body) for a handshake that is to be refused, from its headers.
        before_reply: called before each reply is sent, with it; may raise, or close the connection given.
        remembers: whether sessions outlive connections.
        slow_slices: seconds that each reply of a slice waits.
        makes_engine: makes the model.
    """

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.headers: list[dict] = []
        self.refuse: Callable[[dict], tuple[int, bytes] | None] = lambda _: None
        self.before_reply: Callable[[Message, object], None] = lambda *_: None
        self.remembers, self.silent = True, False
        self.makes_engine: Callable[[], ScriptedEngine] = ScriptedEngine
        self.session, self.sessions = "", 0
        self.uploads: dict[str, tuple[wire.UploadVolume, np.ndarray, set[int]]] = {}
        self._worker: Worker | None = None
        self._server = serve(self._talk, "127.0.0.1", 0, process_request=self._greet, compression=None, max_size=wire.LARGEST_FRAME_BYTES)
        self.port = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> StandInServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    def forget(self) -> None:
        """Forget the session, as a server does that was started anew."""
        self.session, self._worker = "", None
        self.uploads.clear()

    def _greet(self, connection, request):
        self.headers.append({name.lower(): value for name, value in request.headers.raw_items()})
        refused = self.refuse(self.headers[-1])
        asked = self.headers[-1].get(wire.SESSION_HEADER.lower())
        if refused is None and asked and asked != self.session:
            refused = wire.Refusal.EXPIRED.status, wire.Refusal.EXPIRED.body()
        if refused is None:
            return None
        response = connection.respond(http.HTTPStatus(refused[0]), "")
        response.body = refused[1]
        del response.headers["Content-Length"]
        response.headers["Content-Length"] = str(len(refused[1]))
        return response

    def _talk(self, connection) -> None:
        resumed = bool(self.session) and connection.request.headers.get(wire.SESSION_HEADER) == self.session
        if not resumed:
            self.forget()
            self.sessions += 1
            self.session = f"session-{self.sessions}"
        sending, ended = threading.Lock(), threading.Event()

        def send(message: Message) -> None:
            self.before_reply(message, connection)
            with sending:
                connection.send(wire.to_text(message))

        def beat() -> None:
            with contextlib.suppress(ConnectionClosed):  # the client went
                while not ended.wait(1.0):
                    if not self.silent:
                        send(Heartbeat(0))

        if self._worker is None:
            self._worker = Worker(lambda message: self._send(message), lambda *_, **__: self.makes_engine())
        self._send = send
        with contextlib.suppress(ConnectionClosed):
            send(wire.Welcome(0, self.session, resumed, "stand-in", ["scripted"], {"resume_seconds": 60.0}))
            threading.Thread(target=beat, daemon=True).start()
            for frame in connection:
                self._take(frame, send)
        ended.set()
        if not self.remembers:
            self.forget()

    def _take(self, frame: str | bytes, send: Callable[[Message], None]) -> None:
        self.heard.append(frame if isinstance(frame, bytes) else frame.encode())
        if isinstance(frame, bytes):
            chunk = wire.Chunk.of(frame)
            for upload, gray, missing in self.uploads.values():
                if upload.request == chunk.request:
                    start, stop = wire.chunk_bounds(chunk.index, gray.size)
                    gray.reshape(-1)[start:stop] = np.frombuffer(chunk.voxels(stop - start), dtype=np.uint8)
                    missing.discard(chunk.index)
                    self._open_if_whole(upload, gray, missing, send)
            return
        message = wire.from_text(frame)
        if isinstance(message, wire.UploadVolume):
            _, gray, missing = self.uploads.get(message.volume) or (
                message,
                np.zeros(message.shape_kji, np.uint8),
                set(range(wire.chunk_count(int(np.prod(message.shape_kji))))),
            )
            self.uploads[message.volume] = (message, gray, missing)
            send(wire.ChunksWanted(message.request, [[index, index + 1] for index in sorted(missing)]))
            self._open_if_whole(message, gray, missing, send)
        elif not isinstance(message, (Cancel, Shutdown)):
            self._worker.handle(message, CancelToken())

    def _open_if_whole(self, upload, gray, missing, send) -> None:
        if missing:
            return
        assert wire.sha256_of(gray) == upload.sha256
        grid = VolumeGrid(gray.shape, np.array(upload.ijk_to_ras))
        mapping = IntensityMapping(wire.GRAY_LOWER, wire.GRAY_UPPER, "explicit", "grays")
        self._worker._volumes[upload.volume] = (Volume(grid, gray), SliceStack.along(grid, upload.axis), mapping)
        send(Finished(upload.request))


def close_at_slice(number: int) -> Callable[[Message, object], None]:
    """A `before_reply` that breaks the connection before the n-th slice, once."""
    slices = [0]

    def before(message: Message, connection) -> None:
        if isinstance(message, SliceDone):
            slices[0] += 1
            if slices[0] == number:
                connection.close_socket()
                raise ConnectionClosed(None, None)

    return before
