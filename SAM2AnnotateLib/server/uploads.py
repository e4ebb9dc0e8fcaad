"""Volumes that come in chunks: checked before memory is taken, counted against one limit, whole or not used. Imports wire and geometry."""

from __future__ import annotations

import hashlib
import re
import threading
import time

import numpy as np

from ..errors import InputError
from ..geometry import SliceStack, VolumeGrid
from ..worker.messages import reading
from ..worker.wire import CHUNK_BYTES, Chunk, UploadVolume, chunk_bounds, chunk_count

_LARGEST_SIDE = 1 << 14
# A crop is square in mm. Where voxels are far from square, it takes many times the slice's pixels.
_MOST_CROP_PIXELS = 1 << 25
_SHA256 = re.compile("[0-9a-f]{64}")


class MemoryBudget:
    """Bytes that all sessions' volumes may take together, and those of one user.

    Args:
        limit_bytes: for all.
        user_limit_bytes: for the sessions of one user together; None for no limit but that of all.
    """

    def __init__(self, limit_bytes: int, user_limit_bytes: int | None = None):
        self.limit_bytes, self.taken_bytes = limit_bytes, 0
        self._user_limit_bytes = limit_bytes if user_limit_bytes is None else min(user_limit_bytes, limit_bytes)
        self._taken_by: dict[str, int] = {}
        self._lock = threading.Lock()

    def take(self, count: int, user: str = "") -> None:
        """Raises InputError if so much is not free, or more than one user may have."""
        with self._lock:
            if self.taken_bytes + count > self.limit_bytes:
                free = (self.limit_bytes - self.taken_bytes) >> 20
                raise InputError(
                    f"The server's memory for volumes is taken by others: {free} MB are free, this one takes {-(-count >> 20)} MB.",
                    "Try again later, or ask whoever runs the server for more (--volumes-mb).",
                )
            own = self._taken_by.get(user, 0)
            if own + count > self._user_limit_bytes:
                raise InputError(
                    f"One user's volumes may take {self._user_limit_bytes >> 20} MB of the server's memory: yours take {own >> 20} MB, "
                    f"this one takes {-(-count >> 20)} MB.",
                    "Close volumes that you are done with, or ask whoever runs the server for more (--volumes-mb-per-user).",
                )
            self.taken_bytes += count
            self._taken_by[user] = own + count

    def give_back(self, count: int, user: str = "") -> None:
        """Free what was taken."""
        with self._lock:
            self.taken_bytes -= count
            self._taken_by[user] -= count
            if not self._taken_by[user]:
                del self._taken_by[user]


def check_upload(message: UploadVolume, largest_bytes: int) -> VolumeGrid:
    """The grid that an upload names.

    Args:
        message: its fields are of the right kinds.
        largest_bytes: that a volume may have.

    Raises:
        InputError: if grid, axis or digest are none, or the volume is larger than the server takes.
    """
    shape = message.shape_kji
    if len(shape) != 3 or not all(0 < side <= _LARGEST_SIDE for side in shape):
        raise InputError(f"A volume has three sides of 1 to {_LARGEST_SIDE} voxels, got {str(shape)[:80]}.")
    size = shape[0] * shape[1] * shape[2]
    if size > largest_bytes:
        raise InputError(
            f"The volume has {size / (1 << 20):.0f} million voxels, the server takes {largest_bytes / (1 << 20):.0f}.",
            "Crop it, or ask whoever runs the server for more (--largest-volume-mb).",
        )
    if not _SHA256.fullmatch(message.sha256):
        raise InputError("The volume's SHA-256 is none.")
    if len(message.ijk_to_ras) != 4 or any(len(row) != 4 for row in message.ijk_to_ras):
        raise InputError("The volume's matrix from IJK to RAS has 4 x 4 numbers.")
    with reading("The volume"):
        grid = VolumeGrid((shape[0], shape[1], shape[2]), np.array(message.ijk_to_ras, dtype=np.float64))
    stack = SliceStack.along(grid, message.axis)
    longest_mm = max(count * mm for count, mm in zip(stack.frame_shape_rc, stack.frame_spacing_rc_mm, strict=True))
    pixels = np.prod([longest_mm / mm + 1 for mm in stack.frame_spacing_rc_mm])
    if not pixels <= _MOST_CROP_PIXELS:
        raise InputError(f"The voxels' sides differ by too much on a slice: {stack.frame_spacing_rc_mm} mm.", "Resample the volume.")
    return grid


class Upload:
    """A volume that comes, or has come.

    Args:
        message: checked, see `check_upload`.
        budget: what it is counted against.
        user: whose it is.

    Raises:
        InputError: if there is no memory for it.
    """

    def __init__(self, message: UploadVolume, budget: MemoryBudget, user: str = ""):
        self.shape_kji = (message.shape_kji[0], message.shape_kji[1], message.shape_kji[2])
        self.sha256 = message.sha256
        self.byte_count = int(np.prod(self.shape_kji, dtype=np.int64))
        self._changed = threading.Condition()
        self.moved_at = time.monotonic()
        budget.take(self.byte_count, user)
        self._user = user
        self._budget: MemoryBudget | None = budget
        try:
            self._flat = np.empty(self.byte_count, dtype=np.uint8)
        except MemoryError as exc:
            self.drop()
            raise InputError("The server is out of memory.", "Try again later.") from exc
        self._missing = set(range(chunk_count(self.byte_count)))

    @property
    def key(self) -> tuple:
        """Equal for the same voxels."""
        return self.sha256, self.shape_kji

    @property
    def missing(self) -> list[list[int]]:
        """Ranges [first, stop) of the chunks that are to come."""
        with self._changed:
            wanted = sorted(self._missing)
        ranges: list[list[int]] = []
        for index in wanted:
            if ranges and ranges[-1][1] == index:
                ranges[-1][1] += 1
            else:
                ranges.append([index, index + 1])
        return ranges

    def take(self, chunk: Chunk) -> None:
        """Put a chunk in its place. Raises InputError if it is damaged, or not one that is missing."""
        start, stop = chunk_bounds(chunk.index, self.byte_count)
        with self._changed:
            if chunk.index not in self._missing:
                raise InputError(f"Chunk {chunk.index} was not asked for.")
        data = chunk.voxels(stop - start)
        with self._changed:
            if self._budget is None:
                raise InputError("The upload was given up.")
            self._flat[start:stop] = np.frombuffer(data, dtype=np.uint8)
            self._missing.discard(chunk.index)
            self.moved_at = time.monotonic()
            self._changed.notify_all()

    def is_whole(self, seconds: float) -> bool:
        """Whether all chunks are there, or so after waiting for at most `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._missing, seconds)

    def array_kji(self) -> np.ndarray:
        """The volume, read-only.

        Raises:
            InputError: if it is not what was announced; all of it is missing again then.
        """
        digest = hashlib.sha256()
        for start in range(0, self.byte_count, CHUNK_BYTES):
            digest.update(self._flat[start : start + CHUNK_BYTES].data)
        if digest.hexdigest() != self.sha256:
            with self._changed:
                self._missing = set(range(chunk_count(self.byte_count)))
            raise InputError("The volume that came is not the one that was announced (SHA-256). Send it again.")
        array = self._flat.reshape(self.shape_kji)
        array.setflags(write=False)
        return array

    def drop(self) -> None:
        """Free its memory; what still computes on it keeps it until it is done."""
        with self._changed:
            budget, self._budget = self._budget, None
            if budget is not None:
                budget.give_back(self.byte_count, self._user)
                self._flat = np.empty(0, dtype=np.uint8)
