"""What client and worker say to each other: frozen values, one JSON object a line. Imports propagation, prompts, geometry.

Every line holds ``version`` (of this protocol), ``type`` (the class's name) and the class's fields. A request carries a number that its
replies repeat. A request ends with exactly one `Finished` or `Failed`. Masks travel as runs, see `prompts.mask_runs`; volumes as files.
Adapters and prototypes travel inside, as base64 of their files' bytes: a path of one machine means nothing on another. Positions, rows and
columns are those of the upright stack, which both sides derive from grid and axis.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any

from .. import errors
from ..errors import SAM2AnnotateError, WorkerError
from ..geometry import Box2D
from ..prompts import SlicePrompt
from ..propagation import SliceResult

PROTOCOL_VERSION = 4
MOST_BYTES = 64 << 20  # of the adapters or prototypes in one message, before base64


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
class UseAdapter(Message):
    """Answer with what was learned, from now until the next `UseAdapter` or `LoadModel`; with no `data`, with the model as it came."""

    data: str = ""


@dataclass(frozen=True)
class Learn(Message):
    """Learn an object from slices that a person decided. Replies `Progressed`, then `Learned`; the adapter in use stays the one it was.

    Args:
        lessons: each with ``volume``, ``position``, ``mask`` (runs; an empty one teaches absence), ``extent`` (first and last slice of
            the object in that volume) and ``drawn`` (whether a person drew or corrected it; without it: yes).
        object_name: for the adapter's card.
        terminology: its code, "" for none.
        roi: which part of a slice the model sees.
        seconds: how long it may take; None to go by `steps`.
        steps: how many steps; None to go by `seconds`.
        seed: of the random numbers.
        start: what was learned of the earlier volumes (base64), "" for nothing; the lessons of the newest volume come last then.
    """

    lessons: list[dict]
    object_name: str
    terminology: str
    roi: str
    seconds: float | None = None
    steps: int | None = None
    seed: int = 0
    start: str = ""


@dataclass(frozen=True)
class ProposeSlices(Propagate):
    """The slices that are due, as the adapter in use proposes them best; the arguments of `Propagate`. Replies `SliceDone` each slice."""


@dataclass(frozen=True)
class ProposeObject(Message):
    """Look for an object by its prototypes (base64). Replies `Progressed`, then `ObjectNotFound`, or `SliceDone`s and `ObjectProposed`.

    `adapter` is what was learned of the object (base64), "" for nothing; the adapter in use stays the one it was.
    """

    volume: str
    prototypes: list[str]
    roi: str
    adapter: str = ""


@dataclass(frozen=True)
class ProposeExtent(Message):
    """Propose first and last slice of what is prompted on one slice. Replies `Progressed`, then `ExtentProposed`."""

    volume: str
    position: int
    prompt: dict
    roi: str


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
class Progressed(Message):
    """How far a request is, in the unit that it says; `total` is None while that is not known."""

    done: int
    total: int | None
    what: str


@dataclass(frozen=True)
class Learned(Message):
    """What learning brought.

    Args:
        data: the adapter's file (base64); "" if nothing better was found.
        before, after: mean DSC on held-out slices with the model as it came, and with the adapter, by the kind of prompt.
        text: the same in one sentence, for the user.
    """

    data: str
    before: dict[str, float]
    after: dict[str, float]
    steps: int
    seconds: float
    slices: int
    volumes: int
    text: str


@dataclass(frozen=True)
class ObjectProposed(Message):
    """Where an object was found: center, first and last slice, the doubt of each slice by its position as text, the prototypes' numbers."""

    center: int
    extent: list[int]
    doubts: dict[str, float]
    prototypes: list[int]
    seconds: float


@dataclass(frozen=True)
class ObjectNotFound(Message):
    """The object is not in the volume: why, for the user, and how alike the likeliest place was, 0..1."""

    reason: str
    likeness: float
    seconds: float


@dataclass(frozen=True)
class ExtentProposed(Message):
    """First and last slice of an object, and how certain each end is, 0..1."""

    first: int
    last: int
    first_certainty: float
    last_certainty: float


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


REQUESTS = (
    LoadModel,
    OpenVolume,
    CloseVolume,
    PredictSlice,
    Propagate,
    Prefetch,
    UseAdapter,
    Learn,
    ProposeSlices,
    ProposeObject,
    ProposeExtent,
    Cancel,
    Shutdown,
)
REPLIES = (
    Ready,
    ModelLoaded,
    SliceDone,
    Progressed,
    Learned,
    ObjectProposed,
    ObjectNotFound,
    ExtentProposed,
    Heartbeat,
    Connection,
    Finished,
    Failed,
)
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


def pack(files: Sequence[bytes]) -> list[str]:
    """Files' bytes as they travel.

    Raises:
        WorkerError: if they are more than a message may hold.
    """
    size = sum(map(len, files))
    if size > MOST_BYTES:
        raise WorkerError(
            f"What is to be sent to the model takes {size / (1 << 20):.0f} MB, and a message holds {MOST_BYTES >> 20} MB. "
            "Use fewer prototypes, or an adapter of a smaller model."
        )
    return [base64.b64encode(data).decode("ascii") for data in files]


def unpack(packed: Sequence[str]) -> list[bytes]:
    """The files' bytes of what `pack` made.

    Raises:
        WorkerError: if it is no base64, or more than a message may hold.
    """
    if not all(isinstance(one, str) for one in packed) or sum(map(len, packed)) > MOST_BYTES * 4 // 3 + 4 * len(packed):
        raise WorkerError(f"A message holds at most {MOST_BYTES >> 20} MB of adapters or prototypes, as base64.")
    try:
        return [base64.b64decode(one, validate=True) for one in packed]
    except (binascii.Error, ValueError) as exc:
        raise WorkerError(f"What came is no base64: {exc}.") from exc


def box_to_list(box: Box2D) -> list[int]:
    """A box as JSON: row_start, row_stop, col_start, col_stop."""
    return [box.row_start, box.row_stop, box.col_start, box.col_stop]


def prompts_from_json(stored: dict[str, dict]) -> dict[int, SlicePrompt]:
    """Prompts by position."""
    return {int(position): SlicePrompt.from_json(prompt) for position, prompt in stored.items()}
