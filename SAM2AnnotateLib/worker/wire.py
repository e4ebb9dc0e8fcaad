"""What relay and server say to each other over one WebSocket, and how voxels travel. Imports the messages and the standard library.

The address is ``ws(s)://HOST:PORT/session``. The handshake carries, as headers and never in the address,

=========================  ==========================================================================================
``Authorization``          ``Bearer TOKEN``
``SAM2Annotate-Versions``  `versions()` of the client: version of the wire, then of the worker's messages
``SAM2Annotate-Session``   the id of a session to go on with, after a connection broke; left out for a new one
=========================  ==========================================================================================

A server that refuses answers the handshake with an HTTP status and `Refusal.body`, JSON with ``code``, ``problem`` and ``remedy``; a
session that ends later is closed with the same code, which is 4000 + the status, and the problem as reason. Nothing is read from whom it
refused.

Then every text frame is one JSON object, as a line of the worker's protocol, and every binary frame one chunk of a volume:

1. The server says `Welcome`. From then on it sends a `Heartbeat` each second, and both sides answer the WebSocket's pings.
2. The client sends the worker's requests, all but `OpenVolume`, and gets the worker's replies. `Shutdown` ends the session at once.
   `LoadModel` names a model of `Welcome.models`, or `THE_SERVERS_MODEL`.
3. In place of `OpenVolume` the client sends `UploadVolume`, hears `ChunksWanted`, sends these chunks in any order, and hears `Finished`.
   Requests that come meanwhile wait, in order, until the volume is there. A broken upload goes on: the same `UploadVolume` in the resumed
   session wants only the chunks that are missing.
4. When the connection breaks, the server cancels what it was at and keeps the session with its volumes for ``resume_seconds`` of
   `Welcome.limits`. In a resumed session the model is loaded and volumes are open; a request that was not finished is to be asked again.

Only the grays that the model sees travel: `gray_of` maps a volume as its window says, 8 bit a voxel. Neither names nor positions in the
patient are needed: the relay sends the matrix with its last column zero.
"""

from __future__ import annotations

import enum
import hashlib
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from ..errors import InputError
from ..intensity import IntensityMapping
from .messages import PROTOCOL_VERSION, REQUESTS, Message, OpenVolume, from_line

WIRE_VERSION = 1
HEALTH, ABOUT, METRICS, SESSION = "/health", "/about", "/metrics", "/session"
VERSIONS_HEADER, SESSION_HEADER = "SAM2Annotate-Versions", "SAM2Annotate-Session"
THE_SERVERS_MODEL = "server"
CHUNK_BYTES = 1 << 20  # of voxels, before compression; the last chunk of a volume may be shorter
LARGEST_FRAME_BYTES = 96 << 20  # the worker's largest message as JSON
GRAY_LOWER, GRAY_UPPER = 0.0, 255.0  # the window in which grays stay what they are

_MAGIC = b"S2A1"
_HEADER = struct.Struct(">4sQIIIB")  # magic, request, index, bytes of voxels, CRC-32 of the voxels, packing
_STORED, _ZLIB = 0, 1


class Refusal(enum.IntEnum):
    """Why a server refuses or ends a session: the WebSocket's close code; less 4000 it is the HTTP status."""

    MALFORMED = 4400
    TOKEN = 4401
    FORBIDDEN = 4403
    IDLE = 4408
    VERSIONS = 4409
    EXPIRED = 4410
    TOO_LARGE = 4413
    TAKEN_OVER = 4423
    TOO_MANY = 4429
    STOPPING = 4503

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value - 4000

    @property
    def problem(self) -> str:
        """For the user."""
        return _REFUSALS[self][0]

    @property
    def remedy(self) -> str:
        """What the user can do."""
        return _REFUSALS[self][1]

    def body(self, problem: str = "") -> bytes:
        """What the server answers a handshake with."""
        return json.dumps({"code": self.value, "problem": problem or self.problem, "remedy": self.remedy}).encode()


_REFUSALS = {
    Refusal.MALFORMED: ("The server could not read what it was sent and ended the session.", "Update both sides to one version."),
    Refusal.TOKEN: ("The server does not accept this token.", "Ask whoever runs the server for a new one."),
    Refusal.FORBIDDEN: ("The server does not serve web pages.", "Connect with SAM2Annotate."),
    Refusal.IDLE: ("Nothing was asked for a long time, so the server ended the session.", "Connect again; finished slices are kept."),
    Refusal.VERSIONS: ("Client and server are of versions that do not fit.", "Update both sides to one version."),
    Refusal.EXPIRED: ("The session on the server is gone.", "Connect again; finished slices are kept."),
    Refusal.TOO_LARGE: ("The server takes no message or volume of this size.", "See its limits with 'Test connection'."),
    Refusal.TAKEN_OVER: ("Another connection goes on with this session.", ""),
    Refusal.TOO_MANY: ("The server has too much to do.", "Try again in a minute."),
    Refusal.STOPPING: ("The server is stopped or cannot compute.", "Try again in a minute."),
}


# -- messages that only travel here ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Welcome(Message):
    """The first frame of a server.

    Args:
        session: its id, as secret as the token: needed to go on with it after the connection broke.
        resumed: whether it is the session that was asked for.
        server_version: of its library.
        models: names that `LoadModel` may name, the server's own choice first.
        limits: by name: ``resume_seconds``, ``idle_seconds``, ``largest_volume_bytes``, ``largest_message_bytes``, ...
    """

    session: str
    resumed: bool
    server_version: str
    models: list[str]
    limits: dict[str, float]


@dataclass(frozen=True)
class UploadVolume(Message):
    """Take a volume. Replies `ChunksWanted`, then `Finished`.

    Args:
        volume: key of the client's choice; no file's name.
        shape_kji: (3,) of its (k, j, i) array of uint8.
        ijk_to_ras: (4, 4), of which only directions and spacing matter.
        axis: as `SliceStack.along` takes it.
        sha256: of the array's bytes, in hexadecimal.
    """

    volume: str
    shape_kji: list[int]
    ijk_to_ras: list[list[float]]
    axis: str
    sha256: str


@dataclass(frozen=True)
class ChunksWanted(Message):
    """Which chunks of an upload the server lacks: ranges ``[first, stop)`` of their indices; none if it has all."""

    missing: list[list[int]]

    @property
    def indices(self) -> list[int]:
        """The same, one by one."""
        return [index for first, stop in self.missing for index in range(first, stop)]


# What a client may send: whatever the worker is asked, but for files.
ON_THE_WIRE = (*(kind for kind in REQUESTS if kind is not OpenVolume), UploadVolume)
_ONLY_HERE: dict[str, type[Message]] = {kind.__name__: kind for kind in (Welcome, UploadVolume, ChunksWanted)}


def versions() -> str:
    """What this side speaks, for the header."""
    return f"{WIRE_VERSION}.{PROTOCOL_VERSION}"


def to_text(message: Message) -> str:
    """A message as a text frame."""
    content = {"version": PROTOCOL_VERSION, "type": type(message).__name__, **asdict(message)}
    return json.dumps(content, separators=(",", ":"))


def from_text(text: str | bytes) -> Message:
    """Read a text frame. Raises WorkerError as `messages.from_line`."""
    return from_line(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text, also=_ONLY_HERE)


# -- voxels ------------------------------------------------------------------------------------------------------------------------


def gray_of(array_kji: np.ndarray, mapping: IntensityMapping) -> np.ndarray:
    """The (k, j, i) uint8 voxels that travel, C-contiguous; the model sees the same of them as of the volume and its window."""
    gray = np.empty(array_kji.shape, dtype=np.uint8)
    for k, plane in enumerate(array_kji):  # one slice at a time: the mapping takes four bytes a voxel meanwhile
        gray[k] = mapping.to_uint8(plane)
    return gray


def sha256_of(gray_kji: np.ndarray) -> str:
    """Of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(gray_kji).data).hexdigest()


def chunk_count(byte_count: int) -> int:
    """Chunks of an upload of so many bytes."""
    return -(-byte_count // CHUNK_BYTES)


def chunk_bounds(index: int, byte_count: int) -> tuple[int, int]:
    """First byte and one past the last byte of a chunk. Raises InputError if the upload has no such chunk."""
    if not 0 <= index < chunk_count(byte_count):
        raise InputError(f"The volume has chunks 0..{chunk_count(byte_count) - 1}, not {index}.")
    return index * CHUNK_BYTES, min(byte_count, (index + 1) * CHUNK_BYTES)


def pack_chunk(request: int, index: int, voxels: memoryview | bytes) -> bytes:
    """One chunk as a binary frame."""
    packed, packing = zlib.compress(voxels, 1), _ZLIB
    if len(packed) >= len(voxels):
        packed, packing = bytes(voxels), _STORED
    return _HEADER.pack(_MAGIC, request, index, len(voxels), zlib.crc32(voxels), packing) + packed


def pack_chunks(request: int, gray_kji: np.ndarray, indices: list[int]) -> Iterator[bytes]:
    """The frames of these chunks of a C-contiguous array."""
    flat = gray_kji.reshape(-1)
    for index in indices:
        start, stop = chunk_bounds(index, flat.nbytes)
        yield pack_chunk(request, index, flat[start:stop].data)


@dataclass(frozen=True)
class Chunk:
    """A binary frame, cut but not unpacked."""

    request: int
    index: int
    byte_count: int
    crc32: int
    packing: int
    packed: bytes

    @classmethod
    def of(cls, frame: bytes) -> Chunk:
        """Read a frame's head. Raises InputError if it is none."""
        if len(frame) < _HEADER.size or not frame.startswith(_MAGIC):
            raise InputError("This is no chunk of a volume.")
        _, request, index, byte_count, crc32, packing = _HEADER.unpack_from(frame)
        return cls(request, index, byte_count, crc32, packing, frame[_HEADER.size :])

    def voxels(self, byte_count: int) -> bytes:
        """Unpack it.

        Args:
            byte_count: what the receiver knows that it must hold; no more than that is ever unpacked.

        Raises:
            InputError: if it holds anything else.
        """
        if self.byte_count != byte_count or byte_count > CHUNK_BYTES:
            raise InputError(f"Chunk {self.index} should hold {byte_count} bytes, it says {self.byte_count}.")
        data = self.packed
        if self.packing == _ZLIB:
            unpacking = zlib.decompressobj()
            try:
                data = unpacking.decompress(self.packed, byte_count + 1)
            except zlib.error as exc:
                raise InputError(f"Chunk {self.index} cannot be unpacked: {exc}.") from exc
            if not unpacking.eof or unpacking.unused_data:
                raise InputError(f"Chunk {self.index} is cut off, or holds more than it says.")
        elif self.packing != _STORED:
            raise InputError(f"Chunk {self.index} is packed in a way that is unknown here ({self.packing}).")
        if len(data) != byte_count or zlib.crc32(data) != self.crc32:
            raise InputError(f"Chunk {self.index} is damaged.")
        return data
