"""The relay: to the panel a worker, to a server a client. No torch, no model. Imports worker.serve's loop and the session.

It reads the worker's requests from standard input and writes its replies to standard output, so that whoever drives a worker drives this
alike; besides it says how it stands with the server (`Connection`).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..errors import Cancelled, SAM2AnnotateError, WorkerError
from ..geometry import Volume, VolumeGrid
from ..intensity import IntensityMapping
from ..progress import CancelToken
from ..worker.messages import (
    REQUESTS,
    CloseVolume,
    Connection,
    Failed,
    Finished,
    LoadModel,
    Message,
    ModelLoaded,
    OpenVolume,
    Prefetch,
    UseAdapter,
)
from ..worker.serve import answer
from .address import ServerAccess, ServerAddress, token_from
from .link import Link
from .session import Connects, Patience, RemoteSession
from .upload import State

_log = logging.getLogger(__name__)


class RemoteWorker:
    """Answers one request after the other, as `worker.serve.Worker` does, by asking a server.

    Args:
        send: takes replies.
        is_waiting: whether another request waits, which ends a prefetch.
        connect: makes a connection.
        patience: how long to try to reach the server.
    """

    def __init__(
        self, send: Callable[[Message], None], is_waiting: Callable[[], bool], connect: Connects, patience: Patience | None = None
    ):
        self._send, self._is_waiting = send, is_waiting
        self._request = 0
        self.session = RemoteSession(connect, self._tell, patience)

    def handle(self, message: Message, cancel: CancelToken) -> None:
        """Do one request; every way out sends one `Finished` or `Failed`."""
        self._request, engine = message.request, self.session.engine
        try:
            self._do(message, cancel)
        except SAM2AnnotateError as exc:
            if engine is not None and self.session.engine not in (None, engine):  # the server came back with another model
                self._send(ModelLoaded(message.request, self.session.engine or {}))
            self._send(Failed(message.request, type(exc).__name__, exc.problem, exc.remedy))
        except Exception as exc:  # noqa: BLE001 - a bug in one request must not end the session; the log has the traceback
            _log.exception("Request %d, %s, failed", message.request, type(message).__name__)
            self._send(Failed(message.request, type(exc).__name__, f"Unexpected error in the relay: {exc}. The log has the details."))
        else:
            self._send(Finished(message.request))

    def _do(self, message: Message, cancel: CancelToken) -> None:
        if isinstance(message, LoadModel):
            self._send(ModelLoaded(message.request, self.session.load_model(message, cancel)))
        elif isinstance(message, OpenVolume):
            volume, mapping = _volume_of(message)
            self.session.open_volume(message.volume, volume, message.axis, mapping, cancel)
        elif isinstance(message, CloseVolume):
            self.session.close_volume(message.volume)
        elif isinstance(message, Prefetch):
            self.session.request(message, self._send, _EndsWhenAsked(cancel, self._is_waiting))
        elif isinstance(message, UseAdapter):
            self.session.set(message, self._send, cancel)
        elif isinstance(message, REQUESTS):
            self.session.request(message, self._send, cancel)
        else:
            raise WorkerError(f"{type(message).__name__} is no request.")

    def _tell(self, state: State) -> None:
        self._send(Connection(self._request, **asdict(state)))


class _EndsWhenAsked(CancelToken):
    """Is cancelled by hand, or by another request that comes."""

    def __init__(self, token: CancelToken, is_waiting: Callable[[], bool]):
        super().__init__()
        self._token, self._is_waiting = token, is_waiting

    @property
    def cancelled(self) -> bool:
        return self._token.cancelled or self._is_waiting()


def _volume_of(message: OpenVolume) -> tuple[Volume, IntensityMapping]:
    try:
        array = np.load(Path(message.array_file), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as exc:
        raise WorkerError(f"The volume's file '{message.array_file}' cannot be read: {exc}.") from exc
    mapping = IntensityMapping(message.lower, message.upper, "explicit", "chosen by the client")
    return Volume(VolumeGrid(array.shape, np.array(message.ijk_to_ras)), array), mapping


def main(arguments: list[str] | None = None) -> int:
    """Relay between standard input and output and a server."""
    parser = argparse.ArgumentParser(prog="python -m SAM2AnnotateLib.remote", description=__doc__)
    parser.add_argument("address", help="https://HOST:PORT")
    parser.add_argument("--token-file", metavar="FILE", help="by default the token is taken from the environment")
    parser.add_argument("--ca-file", metavar="FILE", help="certificates of the authority that the server's is signed by")
    options = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("websockets").setLevel(logging.ERROR)
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not enter the protocol
    workers: list[RemoteWorker] = []

    def connect(session: str | None) -> Link:
        # read when it is needed, so that what is wrong with address or token is the answer to a request
        access = ServerAccess(ServerAddress.parse(options.address), token_from(options.token_file), options.ca_file)
        return Link.open(access, session)

    def make(send: Callable[[Message], None], is_waiting: Callable[[], bool]) -> RemoteWorker:
        workers.append(RemoteWorker(send, is_waiting, connect))
        return workers[0]

    _log.info("Relay %d started", os.getpid())
    try:
        answer(sys.stdin.buffer, replies, make)
    except (KeyboardInterrupt, Cancelled):
        return 130
    finally:
        for worker in workers:
            worker.session.close()
    _log.info("Relay %d ended", os.getpid())
    return 0
