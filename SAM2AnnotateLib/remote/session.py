"""RemoteSession: one client's work on a server, whatever becomes of the connection. Imports worker.messages and neighbors.

All that a server holds of a session is held here too: model, volumes, and with every request what is locked and prompted. So a broken
connection is made again, a server that forgot the session is told everything anew, and the request that broke is repeated for those slices
that had not come yet. What a slice becomes does not depend on what else is due (`propagation.propagate`), so that the masks are the same.
"""

from __future__ import annotations

import itertools
import logging
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from ..errors import Cancelled, SAM2AnnotateError, ServerError, WorkerError
from ..geometry import Volume
from ..intensity import IntensityMapping
from ..progress import CancelToken
from ..prompts.mask_runs import mask_from_runs
from ..worker.messages import (
    Cancel,
    CloseVolume,
    Failed,
    Finished,
    Heartbeat,
    Learn,
    Learned,
    LoadModel,
    Message,
    ModelLoaded,
    Propagate,
    SliceDone,
)
from ..worker.wire import ChunksWanted
from .learned import as_learned_here, without_name
from .link import BrokenLinkError, Link, SessionGoneError
from .upload import State, Upload

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.05  # how often a wait looks whether it was cancelled
# A person who stopped something waits no longer than this for the slice that the server is at; its answer is ignored when it comes.
CANCEL_SECONDS = 0.7


@dataclass(frozen=True)
class Patience:
    """How long to try to reach a server.

    Args:
        first_seconds: for the first connection: an address that is wrong is to be told soon.
        seconds: for one that worked before, counted from the latest slice or chunk that went through.
        shortest_pause, longest_pause: seconds between two tries; each is twice the last.
    """

    first_seconds: float = 5.0
    seconds: float = 300.0
    shortest_pause: float = 0.3
    longest_pause: float = 10.0


class Connects(Protocol):
    """Makes connections."""

    def __call__(self, session: str | None) -> Link:
        """Connect, to go on with a session of that id if there is one; raises as `Link.open`."""


class RemoteSession:
    """A model on a server, asked for slices. Knows nothing of processes; blocks while it works.

    Args:
        connect: makes a connection.
        tell: takes how it stands, for the user.
        patience: how long to try.
        clock, pause: for tests.
    """

    def __init__(
        self,
        connect: Connects,
        tell: Callable[[State], None] = lambda _: None,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ):
        self._connect, self._tell, self._clock, self._pause = connect, tell, clock, pause
        self._patience = patience if patience is not None else Patience()
        self._numbers = itertools.count(1)
        self._link: Link | None = None
        self._session: str | None = None  # as the server calls it
        self._worked = False  # whether there was ever a connection
        self._moved = False  # whether something went through since the last try
        self._model: LoadModel | None = None
        self._engine: dict | None = None
        self._setting: Message | None = None  # the latest request that changes how the model answers
        self._on_setting: Callable[[Message], None] = _nobody
        self._volumes: dict[str, Upload] = {}
        self._told: set[object] = set()  # what this session of the server's has been told: model, setting, names of volumes

    @property
    def engine(self) -> dict | None:
        """What the server's model says of itself; None before it was loaded."""
        return self._engine

    # -- requests ---------------------------------------------------------------------------------------------------------------

    def load_model(self, message: LoadModel, cancel: CancelToken) -> dict:
        """Let requests be answered by a model of the server's from now on; returns what it says of itself."""
        self._told.discard("model")
        self._told.discard("setting")
        self._engine = self._setting = None
        self._model = replace(message, architecture=None, device="auto", precision="auto", image_size=None)  # that is the server's business
        self._through(lambda: None, (), cancel)
        return self.engine or {}

    def open_volume(self, key: str, volume: Volume, axis: str, mapping: IntensityMapping, cancel: CancelToken) -> None:
        """Send a volume's grays, under a random name; another one under the same key is forgotten.

        Args:
            key: the caller's name for volume, axis and window together; it stays here.
            volume: the image; only read, and read again if the server forgets it.
            axis: index axis to slice along.
            mapping: its gray window.
        """
        self.close_volume(key)
        self._volumes[key] = Upload(secrets.token_hex(12), volume, axis, mapping)
        self._through(lambda: None, (key,), cancel)

    def close_volume(self, key: str) -> None:
        """Let the server forget a volume. One that cannot be told forgets by itself."""
        opened = self._volumes.pop(key, None)
        if opened is None or opened.name not in self._told:
            return
        self._told.discard(opened.name)
        try:
            if self._link is not None:
                self._link.send(CloseVolume(next(self._numbers), opened.name))
        except BrokenLinkError:
            self._drop()

    def set(self, message: Message, on_reply: Callable[[Message], None], cancel: CancelToken) -> None:
        """A request that changes how the model answers from now on, until the next one of its kind or another model.

        Raises:
            SAM2AnnotateError: as `request`; the model answers as it did before.
        """
        before, self._setting = self._setting, message
        self._told.discard("setting")
        self._on_setting = lambda reply: on_reply(replace(reply, request=message.request))
        try:
            self._through(lambda: None, (), cancel)
        except SAM2AnnotateError:
            self._setting = before  # a server that refused goes on as before; one that did not hear is told again what was
            raise
        finally:
            self._on_setting = _nobody

    def request(self, message: Message, on_reply: Callable[[Message], None], cancel: CancelToken) -> None:
        """Any other request, with the caller's names of volumes; `on_reply` gets what comes before its end, each slice once.

        Raises:
            SAM2AnnotateError: what the server said of it, of the class it had there.
            ServerError: if the server cannot be reached any more.
            Cancelled: on request.
        """
        keys = _keys_in(message)
        for key in keys:
            if key not in self._volumes:
                raise WorkerError("The volume is not open in the model's process.")
        seen: dict[int, SliceDone] = {}
        asked = without_name(message) if isinstance(message, Learn) else message

        def take(reply: Message, before: int) -> None:
            self._moved = True
            if isinstance(reply, SliceDone):
                position = reply.slice["position"]
                if position in seen:
                    return
                seen[position] = reply
                reply = replace(reply, done=len(seen), total=before + reply.total)
            elif isinstance(reply, Learned) and isinstance(message, Learn):
                reply = as_learned_here(reply, message.object_name, self._volumes[_first_shown(message)].mapping)
            on_reply(replace(reply, request=message.request))

        def attempt() -> None:
            rest = still_due(asked, seen)
            if rest is not None:
                before = 0 if rest is asked else len(seen)
                self._converse(_renamed(rest, {key: self._volumes[key].name for key in keys}), lambda reply: take(reply, before), cancel)

        self._through(attempt, keys, cancel)

    def close(self) -> None:
        """Leave the server, which forgets the session."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    # -- however often it breaks ------------------------------------------------------------------------------------------------

    def _through(self, attempt: Callable[[], None], keys: tuple[str, ...], cancel: CancelToken) -> None:
        pause, since = self._patience.shortest_pause, self._clock()
        self._moved = False
        while True:
            cancel.raise_if_cancelled()
            try:
                self._be_connected(cancel)
                self._tell_all(keys, cancel)
                attempt()
            except BrokenLinkError as broken:
                self._drop()
                _log.info("The connection broke: %s", broken)
                if self._moved:
                    pause, since, self._moved = self._patience.shortest_pause, self._clock(), False
                allowed = self._patience.seconds if self._worked else self._patience.first_seconds
                if self._clock() - since > allowed:
                    raise self._gave_up(broken, allowed) from broken
                if self._worked:
                    self._tell(State("reconnecting", f"Connecting again: {broken.problem}. Finished slices and locks are kept"))
                self._wait(pause * random.uniform(0.7, 1.0), cancel)
                pause = min(2 * pause, self._patience.longest_pause)
            else:
                return

    def _gave_up(self, broken: BrokenLinkError, seconds: float) -> ServerError:
        remedy = broken.remedy or "Check address and network, then try again."
        if not self._worked:
            return ServerError(f"{broken.problem[:1].upper()}{broken.problem[1:]}. {remedy}")
        return ServerError(
            f"The server did not come back within {seconds:.0f} s: {broken.problem}. Finished slices and locks are kept. {remedy}"
        )

    def _be_connected(self, cancel: CancelToken) -> None:
        if self._link is not None and self._link.broken is None:
            return
        self._drop()
        if not self._worked:
            self._tell(State("connecting", "Connecting to the server"))
        try:
            link = self._connect(self._session)
        except SessionGoneError:
            self._session = None
            link = self._connect(None)
        if not link.welcome.resumed:
            if any(opened.name in self._told for opened in self._volumes.values()):
                again = "The volume is sent again; finished slices and locks are kept"
                self._tell(State("lost", f"The server has forgotten this session: it was started anew, or long unused. {again}"))
            self._told.clear()
        elif self._worked:
            self._tell(State("ready", "Connected again"))
        self._link, self._session, self._worked = link, link.welcome.session, True

    def _tell_all(self, keys: tuple[str, ...], cancel: CancelToken) -> None:
        """What the server's session must know before a request."""
        if self._model is not None and "model" not in self._told:
            self._load(self._model, cancel)
        if self._setting is not None and "setting" not in self._told:
            self._converse(self._setting, self._on_setting, cancel)
            self._told.add("setting")
        for key in keys:
            opened = self._volumes[key]
            if opened.name not in self._told:
                self._upload(opened, cancel)
                self._told.add(opened.name)

    def _load(self, message: LoadModel, cancel: CancelToken) -> None:
        described: list[dict] = []
        self._converse(message, lambda reply: described.append(reply.engine) if isinstance(reply, ModelLoaded) else None, cancel)
        if not described:
            raise ServerError("The server did not say which model it loaded. Update it.")
        before, self._engine = self._engine, described[0]
        self._told.add("model")
        if before is not None and before != self._engine:
            names = " instead of ".join(str(one.get("model", "?")) for one in (self._engine, before))
            raise ServerError(f"The server came back with another model, or set otherwise ({names}). Finished slices are kept; ask again.")

    def _upload(self, upload: Upload, cancel: CancelToken) -> None:
        gray_kji = upload.gray()

        def send(reply: Message) -> None:
            if not isinstance(reply, ChunksWanted) or self._link is None:
                return
            for frame, state in upload.frames(reply, gray_kji, self._clock):
                cancel.raise_if_cancelled()
                if self._link.has_news:  # it is refused
                    return
                self._tell(state)
                self._link.send_chunk(frame)
                self._moved = True

        self._converse(upload.announcement(gray_kji), send, cancel)
        self._tell(State("ready", "The volume is on the server"))

    def _converse(self, message: Message, on_reply: Callable[[Message], None], cancel: CancelToken) -> None:
        """Ask on this connection, and hear what comes until it is answered."""
        link, number = self._link, next(self._numbers)
        assert link is not None
        link.send(replace(message, request=number))
        cancelled_at: float | None = None
        while True:
            if cancel.cancelled and cancelled_at is None:
                cancelled_at = self._clock()
                link.send(Cancel(next(self._numbers), number))
            if cancelled_at is not None and self._clock() - cancelled_at > CANCEL_SECONDS:
                raise Cancelled("Stopped on request. What was finished until then is kept.")
            reply = link.receive(_LOOK_SECONDS)
            if reply is None or reply.request != number or isinstance(reply, Heartbeat):
                continue
            if isinstance(reply, Finished):
                return
            if isinstance(reply, Failed):
                raise reply.error()
            try:
                on_reply(reply)
            except Cancelled:  # in the midst of an upload: else the server would wait for the rest, and the next request with it
                link.send(Cancel(next(self._numbers), number))
                raise

    def _wait(self, seconds: float, cancel: CancelToken) -> None:
        end = self._clock() + seconds
        while self._clock() < end:
            cancel.raise_if_cancelled()
            self._pause(min(_LOOK_SECONDS, seconds))

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.abandon()


def _nobody(_reply: Message) -> None:
    """Who does not want to hear what was heard before."""


def still_due(message: Message, seen: dict[int, SliceDone]) -> Message | None:
    """The request for what had not come yet; None if all of it came.

    A prompted slice that came is told as proposed, so that its neighbors follow from it as they would have: what it was proposed as before
    is out of date.
    """
    if type(message) is not Propagate or not seen:
        return message
    due = [position for position in message.due if position not in seen]
    if not due:
        return None
    came = {position: done.slice for position, done in seen.items() if str(position) in message.prompts}
    proposals = {one["position"]: one for one in message.proposals} | came
    return replace(message, due=due, proposals=[one for _, one in sorted(proposals.items())])


def _keys_in(message: Message) -> tuple[str, ...]:
    """The caller's names of the volumes that a request speaks of, each once."""
    fields = vars(message)
    keys = [fields["volume"]] if "volume" in fields else [one["volume"] for one in fields.get("lessons", ())]
    return tuple(dict.fromkeys(keys))


def _first_shown(message: Learn) -> str:
    """The volume of the first slice that shows the object, whose gray window stands on the adapter's card."""
    shown = [lesson["volume"] for lesson in message.lessons if mask_from_runs(lesson["mask"]).any()]
    return shown[0] if shown else message.lessons[0]["volume"]


def _renamed(message: Message, names: dict[str, str]) -> Message:
    """The same request with other names of its volumes."""
    changes: dict = {}
    if hasattr(message, "volume"):
        changes["volume"] = names[message.volume]
    if hasattr(message, "lessons"):
        changes["lessons"] = [{**lesson, "volume": names[lesson["volume"]]} for lesson in message.lessons]
    return replace(message, **changes) if changes else message
