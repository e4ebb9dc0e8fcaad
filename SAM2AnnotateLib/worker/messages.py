"""What client and worker say to each other: frozen values, one JSON object a line. Imports propagation, prompts, geometry.

Every line holds ``version`` (of this protocol), ``type`` (the class's name) and the class's fields. A request carries a number that its
replies repeat. A request ends with exactly one `Finished` or `Failed`. Masks travel as runs, see `prompts.mask_runs`; volumes as files.
Positions, rows and columns are those of the upright stack, which both sides derive from grid and axis.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any

from .. import errors
from ..errors import SAM2AnnotateError, WorkerError
from ..geometry import Box2D
from ..prompts import SlicePrompt
from ..propagation import SliceResult

PROTOCOL_VERSION = 2


@dataclass(frozen=True)
class Message:
    """Anything that travels; `request` is the number of the request that it makes or answers, 0 for none."""

    request: int


# -- requests -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoadModel(Message):
    """Load a model; the arguments of `load_engine`. Replies `ModelLoaded`."""

    checkpoint: str
    architecture: str | None = None
    device: str = "auto"
    precision: str = "auto"
    image_size: int | None = None
    cache_mb: int = 2048


@dataclass(frozen=True)
class OpenVolume(Message):
    """Take a volume: a ``.npy`` file of its (k, j, i) voxels, mapped and not copied, with grid, axis and gray window."""

    volume: str
    array_file: str
    ijk_to_ras: list[list[float]]
    axis: str
    lower: float
    upper: float


@dataclass(frozen=True)
class CloseVolume(Message):
    """Forget a volume and its embeddings."""

    volume: str


@dataclass(frozen=True)
class PredictSlice(Message):
    """The mask of one slice from its prompt alone. Replies `SliceDone`."""

    volume: str
    position: int
    prompt: dict
    roi: str
    crop: list[int] | None = None


@dataclass(frozen=True)
class Propagate(Message):
    """The arguments of `propagate`; keys of `prompts` are positions as text, as JSON has it. Replies `SliceDone` each slice."""

    volume: str
    prompts: dict[str, dict]
    extent: list[int]
    roi: str
    locked: list[int]
    corrected: list[int]
    changed: int | None
    due: list[int]
    proposals: list[dict]


@dataclass(frozen=True)
class Prefetch(Message):
    """Encode slices from the center outward while nothing else is asked for; any later request ends it."""

    volume: str
    center: int
    extent: list[int]
    crop: list[int]


@dataclass(frozen=True)
class Cancel(Message):
    """Stop request `target` after the slice it is at, or before it begins. Has no reply of its own: the target fails with ``Cancelled``."""

    target: int


@dataclass(frozen=True)
class Shutdown(Message):
    """End the process."""


# -- replies --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready(Message):
    """The first line of a worker."""

    process_id: int


@dataclass(frozen=True)
class ModelLoaded(Message):
    """What `SegmentationEngine.describe` says."""

    engine: dict


@dataclass(frozen=True)
class SliceDone(Message):
    """One `SliceResult`, and how many of how many slices are done."""

    slice: dict
    done: int
    total: int

    @classmethod
    def of(cls, request: int, result: SliceResult, done: int, total: int) -> SliceDone:
        """Pack a result."""
        return cls(request, result.to_json(), done, total)

    def result(self) -> SliceResult:
        """Unpack it."""
        return SliceResult.from_json(self.slice)


@dataclass(frozen=True)
class Heartbeat(Message):
    """The worker lives; sent every second, also while it computes. `request` is the one it is at."""


@dataclass(frozen=True)
class Connection(Message):
    """How it stands with the server that lends its model, said by `remote` alone.

    Args:
        state: ``connecting``, ``uploading``, ``ready``, ``reconnecting`` (finished slices stand, it goes on by itself) or ``lost`` (the
            server has forgotten the volume, which is sent again).
        text: the same in words for the user.
        done, total: bytes of an upload.
        seconds_left: of an upload; None while nobody knows.
    """

    state: str
    text: str
    done: int = 0
    total: int = 0
    seconds_left: float | None = None


@dataclass(frozen=True)
class Finished(Message):
    """The request is done."""


@dataclass(frozen=True)
class Failed(Message):
    """The request is not done: the name of the error's class, and its problem and remedy, both meant for the user."""

    kind: str
    problem: str
    remedy: str = ""

    @property
    def text(self) -> str:
        """Problem and remedy in one."""
        return str(self.error())

    def error(self) -> SAM2AnnotateError:
        """The error, of the class that it had in the worker if the library knows that, else a WorkerError."""
        kind = getattr(errors, self.kind, None)
        known = kind if isinstance(kind, type) and issubclass(kind, SAM2AnnotateError) else WorkerError
        return known(self.problem, self.remedy)


REQUESTS = (LoadModel, OpenVolume, CloseVolume, PredictSlice, Propagate, Prefetch, Cancel, Shutdown)
REPLIES = (Ready, ModelLoaded, SliceDone, Heartbeat, Connection, Finished, Failed)
_BY_NAME: dict[str, type[Message]] = {kind.__name__: kind for kind in (*REQUESTS, *REPLIES)}


def to_line(message: Message) -> bytes:
    """A message as one line."""
    content = {"version": PROTOCOL_VERSION, "type": type(message).__name__, **asdict(message)}
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes, also: Mapping[str, type[Message]] = MappingProxyType({})) -> Message:
    """Read one line.

    Args:
        also: further kinds of messages by name.

    Raises:
        WorkerError: if it is no message, of another version, or lacks or adds a field.
    """
    try:
        content: dict[str, Any] = json.loads(line)
        version, name = content.pop("version"), content.pop("type")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise WorkerError(f"This is no message of the worker's protocol: {line[:200]!r}.") from exc
    if version != PROTOCOL_VERSION:
        raise WorkerError(f"The other side speaks version {version} of the worker's protocol, this one {PROTOCOL_VERSION}. Update both.")
    kind = {**_BY_NAME, **also}.get(name) if isinstance(name, str) else None
    if kind is None or content.keys() - {one.name for one in fields(kind)}:
        raise WorkerError(f"Unknown message or field in the worker's protocol: {str(name)[:60]!r} with {str(sorted(content))[:200]}.")
    try:
        return kind(**content)
    except TypeError as exc:
        raise WorkerError(f"A message {name} lacks a field: {exc}.") from exc


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Where a message's content is made into values: whatever is wrong with it is one WorkerError.

    Args:
        what: is read, for the message.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:
        raise WorkerError(f"{what} holds what it may not: {type(exc).__name__}: {str(exc)[:200]}.") from exc


def box_to_list(box: Box2D) -> list[int]:
    """A box as JSON: row_start, row_stop, col_start, col_stop."""
    return [box.row_start, box.row_stop, box.col_start, box.col_stop]


def prompts_from_json(stored: dict[str, dict]) -> dict[int, SlicePrompt]:
    """Prompts by position."""
    return {int(position): SlicePrompt.from_json(prompt) for position, prompt in stored.items()}
