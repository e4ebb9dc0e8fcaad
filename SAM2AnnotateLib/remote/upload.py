"""A volume on its way to a server: the grays that the model sees, and nothing that tells whose they are. Imports the wire's frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..geometry import Volume
from ..intensity import IntensityMapping
from ..worker import wire

_TRUSTED_SECONDS = 2.0  # what is sent at first only fills the network's buffers: it tells nothing of the time left
_MB = 1e6


@dataclass(frozen=True)
class State:
    """How it stands with the server; the fields of `worker.messages.Connection`."""

    state: str
    text: str
    done: int = 0
    total: int = 0
    seconds_left: float | None = None


class Upload:
    """One volume as a server is to see it.

    Args:
        name: random, for the wire.
        volume: the image; only read.
        axis: index axis to slice along.
        mapping: its gray window.
    """

    def __init__(self, name: str, volume: Volume, axis: str, mapping: IntensityMapping):
        self.name = name
        self._volume, self._axis, self.mapping = volume, axis, mapping
        self._sha256: str | None = None

    def gray(self) -> np.ndarray:
        """(k, j, i) uint8, made anew each time."""
        return wire.gray_of(self._volume.array_kji, self.mapping)

    def announcement(self, gray_kji: np.ndarray) -> wire.UploadVolume:
        """What is said before the chunks; where in the patient the volume lies is left out."""
        if self._sha256 is None:
            self._sha256 = wire.sha256_of(gray_kji)
        ijk_to_ras = np.array(self._volume.grid.ijk_to_ras, dtype=float)
        ijk_to_ras[:, 3] = 0, 0, 0, 1
        return wire.UploadVolume(0, self.name, list(gray_kji.shape), ijk_to_ras.tolist(), self._axis, self._sha256)

    def frames(self, wanted: wire.ChunksWanted, gray_kji: np.ndarray, clock: Callable[[], float]) -> Iterator[tuple[bytes, State]]:
        """The chunks that a server lacks, and what to say when each was sent."""
        indices, total = wanted.indices, gray_kji.nbytes
        had = total - sum(stop - start for start, stop in (wire.chunk_bounds(index, total) for index in indices))
        begun, done = clock(), had
        for index, frame in zip(indices, wire.pack_chunks(wanted.request, gray_kji, indices), strict=True):
            start, stop = wire.chunk_bounds(index, total)
            yield frame, uploading(done, total, _left(done - had, total - done, clock() - begun))
            done += stop - start


def uploading(done: int, total: int, seconds_left: float | None) -> State:
    """What is said while a volume is sent."""
    text = f"Sending the volume to the server: {done / _MB:.0f} of {total / _MB:.0f} MB"
    if seconds_left is not None:
        text += f", about {max(1, round(seconds_left))} s left" if seconds_left < 90 else f", about {round(seconds_left / 60)} min left"
    return State("uploading", text, done, total, seconds_left)


def _left(done: int, rest: int, seconds: float) -> float | None:
    return seconds * rest / done if done and seconds >= _TRUSTED_SECONDS else None
