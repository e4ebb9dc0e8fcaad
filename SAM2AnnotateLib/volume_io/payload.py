"""The voxels' bytes of a file: unpacked once, checked for length and checksum. Imports errors, numpy and the standard library."""

from __future__ import annotations

import bz2
import gzip
import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import VolumeError

_BLOCK = 1 << 20
# Deflate packs at most about 1032 bytes into one, bzip2 some 45 million into 40; what claims more cannot be true.
_LARGEST_RATIO = {"gzip": 1_100, "zlib": 1_100, "bzip2": 2_000_000}
GZIP_BEGINNING = b"\x1f\x8b"


class _ZlibStream(io.RawIOBase):
    """Unpacks a zlib or gzip stream (told by its first bytes) and checks its checksum at the end."""

    def __init__(self, source: BinaryIO):
        super().__init__()
        self._source, self._unpack, self._rest = source, zlib.decompressobj(47), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while not self._unpack.eof:
            packed = self._rest or self._source.read(_BLOCK)
            if not packed:
                raise EOFError("the compressed voxels end too early")
            unpacked = self._unpack.decompress(packed, len(buffer))
            self._rest = self._unpack.unconsumed_tail
            if unpacked:
                buffer[: len(unpacked)] = unpacked
                return len(unpacked)
        return 0


def unpacking(stream: BinaryIO, encoding: str) -> Any:
    """A stream of the unpacked bytes from where `stream` stands. `encoding` is raw, gzip, zlib or bzip2."""
    if encoding == "gzip":
        return gzip.GzipFile(fileobj=stream)
    if encoding == "zlib":
        return io.BufferedReader(_ZlibStream(stream), _BLOCK)
    return bz2.BZ2File(stream) if encoding == "bzip2" else stream


def read_payload(path: Path, stream: BinaryIO, encoding: str, size: int, skip: int = 0, further: int = 0) -> bytearray:
    """Read `size` bytes of voxels, behind `skip` bytes and before `further` bytes that are unpacked and checked only.

    Args:
        path: for messages.
        stream: stands at the first byte of the (packed) voxels; read to its end.
        encoding: see `unpacking`.
        size: bytes to return.
        skip: unpacked bytes before them.
        further: unpacked bytes behind them, which belong to the file, too.

    Raises:
        VolumeError: if there are fewer bytes, or more, or a checksum does not fit.
    """
    position, packed = stream.tell(), stream.seek(0, io.SEEK_END)
    packed -= position
    stream.seek(position)
    total = skip + size + further
    if (encoding == "raw" and packed < total) or packed * _LARGEST_RATIO.get(encoding, 1) < total:
        raise VolumeError(
            f"'{path}' is incomplete: its header says {position + total if encoding == 'raw' else total} bytes, there are "
            f"{position + packed if encoding == 'raw' else f'{packed} compressed ones'}. Copy or download it again."
        )
    try:
        unpacked = unpacking(stream, encoding)
        found = _passed_over(unpacked, skip)
        try:
            out = bytearray(size)
        except MemoryError as exc:
            raise VolumeError(f"'{path}' holds {size} bytes of voxels, which this computer's memory cannot hold.") from exc
        view, filled = memoryview(out), 0
        while filled < size:
            count = unpacked.readinto(view[filled : filled + _BLOCK])
            if not count:
                break
            filled += count
        found += filled + _passed_over(unpacked, further)
        extra = len(unpacked.read(_BLOCK)) if found == total else 0  # reading to the end is what checks the checksum
    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as exc:
        raise VolumeError(f"'{path}' is damaged or incomplete: {exc}. Copy or download it again.") from exc
    except OSError as exc:
        raise VolumeError(f"'{path}' is damaged, or could not be read: {exc.strerror or exc}.") from exc
    if found < total:
        raise VolumeError(f"'{path}' is incomplete: its header says {total} bytes of voxels, there are {found}. Copy or download it again.")
    if extra:
        raise VolumeError(f"'{path}' is damaged: it holds more voxels than the {total} bytes that its header says.")
    return out


def _passed_over(stream: BinaryIO, size: int) -> int:
    passed = 0
    while passed < size:
        block = stream.read(min(_BLOCK, size - passed))
        if not block:
            break
        passed += len(block)
    return passed


def beside(path: Path, name: str) -> Path:
    """The file that a header names, in the header's folder. Raises VolumeError if no file can be called so."""
    if not name or not name.isprintable():
        raise VolumeError(f"'{path}' is damaged: it keeps its voxels in a file called '{name}'.")
    return path.parent / name


def native(values: np.ndarray) -> np.ndarray:
    """The same numbers in this machine's byte order."""
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))
