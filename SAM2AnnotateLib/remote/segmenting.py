"""An object of `Annotator` computed on a server, for the command line. Imports annotator and the session."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from ..annotator import AnnotatedObject
from ..engine import Adapter
from ..errors import EngineError
from ..progress import CancelToken, Progress, ProgressCallback
from ..worker import WorkerClient
from ..worker.messages import LoadModel, Message, ModelLoaded, SliceDone, UseAdapter, from_line, pack
from ..worker.wire import THE_SERVERS_MODEL
from .address import ServerAccess
from .link import Link
from .session import RemoteSession
from .upload import State

_KEY = "the volume"


class ServerModel:
    """What stands where `Annotator` expects a model: it tells of the server's, which alone computes. Made by `lent_by`."""

    memory_reach = 0

    def __init__(self, session: RemoteSession, described: dict, access: ServerAccess, adapter: Adapter | None):
        self._session, self._described, self._access = session, described, access
        self.adapter = adapter

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return str(self._described.get("model", "?"))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights, as the server says."""
        return str(self._described.get("weights_sha256", ""))

    weights_sha256 = fingerprint

    @property
    def image_size(self) -> int:
        """Pixels per side that frames are resampled to there."""
        return int(self._described.get("image_size", 0))

    def describe(self) -> dict:
        """What the server's model says of itself, and where it is."""
        return {**self._described, "server": str(self._access.address)}

    def _not_here(self, *_arguments: object) -> object:
        raise EngineError("This model is on a server, which computes whole objects.")

    encode = start_track = propose = with_adapter = start_learning = _not_here

    def propagate(self, item: AnnotatedObject, progress: ProgressCallback, cancel: CancelToken | None = None) -> None:
        """Let the server compute what is due of an object; as `AnnotatedObject.propagate`.

        Raises:
            SAM2AnnotateError: with what was computed before in the object.
        """
        cancel = cancel if cancel is not None else CancelToken()
        annotator = item.annotator

        def take(reply: Message) -> None:
            if isinstance(reply, SliceDone):
                item.review.add_result(reply.result())
                progress(Progress(reply.done, reply.total, "slices"))

        lines: list[bytes] = []
        with contextlib.closing(WorkerClient(lines.append)) as client:
            client.propagate(_KEY, item.review.due_work(), annotator.policy)
        try:
            self._session.open_volume(_KEY, annotator.volume, annotator.stack.index_axis, item.encoder.mapping, cancel)
            self._session.request(from_line(lines[0]), take, cancel)
        finally:
            self._session.close_volume(_KEY)  # the caller may want the room


@contextlib.contextmanager
def lent_by(
    access: ServerAccess, checkpoint: str | None, tell: Callable[[State], None], adapter_file: str | None = None
) -> Iterator[ServerModel]:
    """A model that a server lends, until the end of the block.

    Args:
        access: which server, as whom.
        checkpoint: a name that the server lends; None for its own choice.
        tell: takes how it stands with the connection.
        adapter_file: what was learned of the object, on this machine; sent along.

    Raises:
        SAM2AnnotateError: as `Link.open`, as `Adapter.load`, or what the server says of checkpoint and adapter.
    """
    adapter = None if adapter_file is None else Adapter.load(adapter_file)
    session = RemoteSession(lambda known: Link.open(access, known), tell)
    described: list[dict] = []

    def take(reply: Message) -> None:
        if isinstance(reply, ModelLoaded):
            described.append(reply.engine)

    try:
        described.append(session.load_model(LoadModel(1, checkpoint or THE_SERVERS_MODEL), CancelToken()))
        if adapter is not None:
            session.set(UseAdapter(2, pack([adapter.to_bytes()])[0]), take, CancelToken())
        yield ServerModel(session, described[-1], access, adapter)
    finally:
        session.close()
