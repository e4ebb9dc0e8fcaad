"""A network that can be cut, slowed down and stopped: a TCP proxy before a server on this machine. Imports the standard library only."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

_PIECE_BYTES = 4096


class CuttingProxy:
    """Hands bytes on in both directions; a context manager.

    Args:
        port: of the server, on the loopback. It may be changed when the server is started anew elsewhere.
        bytes_per_second: of each direction of a connection; None for as fast as it goes.

    Attributes:
        port: where clients are to connect.
        passed: bytes that went to the server and came from it.
        connections: how many were made.
    """

    def __init__(self, port: int, bytes_per_second: float | None = None):
        self.server_port, self.bytes_per_second = port, bytes_per_second
        self.passed = [0, 0]
        self.connections = 0
        self.refusing = False
        self._stopped = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._cut_after: tuple[list[int], list[int]] = ([], [])
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._changing = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection that there is."""
        with self._changing:
            pairs, self._pairs = self._pairs, []
        for one in (one for pair in pairs for one in pair):
            _reset(one)

    def cut_after(self, byte_count: int, way: int = 0) -> None:
        """Break everything once, after so many more bytes to the server (way 0) or from it (1)."""
        self._cut_after[way].append(self.passed[way] + byte_count)

    def stop(self) -> None:
        """Let nothing through, and let nobody know: a cable that hangs loose."""
        self._flowing.clear()

    def go_on(self) -> None:
        """Let through again."""
        self._flowing.set()

    def close(self) -> None:
        """Break everything, take no more connections."""
        self._stopped = True
        self._flowing.set()
        self._listening.close()
        self.cut()

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._stopped:
            try:
                client, _ = self._listening.accept()
            except OSError:  # closed
                return
            try:
                if self.refusing:
                    raise OSError("refused")
                server = socket.create_connection(("127.0.0.1", self.server_port), timeout=5)
                server.settimeout(None)
            except OSError:
                _reset(client)
                continue
            self.connections += 1
            with self._changing:
                self._pairs.append((client, server))
            for way, (source, sink) in enumerate(((client, server), (server, client))):
                threading.Thread(target=self._hand_on, args=(source, sink, way), daemon=True).start()

    def _hand_on(self, source: socket.socket, sink: socket.socket, way: int) -> None:
        with contextlib.suppress(OSError):  # one side is gone: so is the other
            while data := source.recv(_PIECE_BYTES):
                self._flowing.wait()
                if self.bytes_per_second is not None:
                    time.sleep(len(data) / self.bytes_per_second)
                sink.sendall(data)
                self.passed[way] += len(data)
                if self._cut_after[way] and self.passed[way] >= self._cut_after[way][0]:
                    self._cut_after[way].pop(0)
                    self.cut()
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _reset(one: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is gone already
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
