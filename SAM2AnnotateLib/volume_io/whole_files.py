"""Damage that ITK's readers pass over in silence. Imports errors and the standard library.

ITK fills up a NIfTI file that ends too early with zeros, and does not look at the checksum of a compressed MHA file. So a file of these
formats is checked here before it is read.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

from ..errors import VolumeError

_BLOCK = 1 << 20


def require_whole(path: Path) -> None:
    """Raise VolumeError if a NIfTI file holds fewer voxels than its header says, or if a compressed file does not unpack.

    Files of other formats, and headers that are none, are left to the reader.
    """
    name = path.name.lower()
    try:
        if name.endswith((".nii", ".nii.gz")):
            with open(path, "rb") as stream:
                packed = stream.read(2) == b"\x1f\x8b"
            with gzip.open(path) if packed else open(path, "rb") as unpacked:
                _require_whole_nifti(unpacked, path)
        elif name.endswith(".mha"):
            with open(path, "rb") as stream:
                _require_whole_mha(stream)
    except (EOFError, gzip.BadGzipFile, zlib.error) as exc:
        raise VolumeError(f"'{path}' is damaged or incomplete: {exc}.") from exc
    except OSError as exc:
        raise VolumeError(f"'{path}' could not be read: {exc.strerror or exc}.") from exc


def _require_whole_nifti(stream: io.BufferedIOBase, path: Path) -> None:
    header = stream.read(348)
    found = len(header)
    while block := stream.read(_BLOCK):
        found += len(block)
    expected = _expected_nifti_bytes(header)
    if expected is not None and found < expected:
        raise VolumeError(f"'{path}' is incomplete: its header says {expected} bytes, there are {found}. Copy or download it again.")


def _expected_nifti_bytes(header: bytes) -> int | None:
    """Bytes up to the last voxel, unpacked; None if this is no header of a NIfTI-1 file that holds its voxels itself."""
    for order in "<>":
        if header[:4] == struct.pack(order + "i", 348) and header[344:347] == b"n+1":
            dimensions = struct.unpack_from(order + "8h", header, 40)
            bits = struct.unpack_from(order + "h", header, 72)[0]
            offset = struct.unpack_from(order + "f", header, 108)[0]
            if math.isfinite(offset):
                return int(offset) + math.prod(dimensions[1 : 1 + dimensions[0]]) * bits // 8
    return None


def _require_whole_mha(stream: io.BufferedIOBase) -> None:
    packed = False
    while line := stream.readline(_BLOCK):
        key, _, value = (part.strip().lower() for part in line.partition(b"="))
        packed |= key == b"compresseddata" and value == b"true"
        if key == b"elementdatafile":
            break
    else:
        return
    if packed and value == b"local":
        unpacking = zlib.decompressobj(47)  # as ITK: zlib or gzip, told by the first bytes
        while not unpacking.eof:
            block = stream.read(_BLOCK)
            if not block:
                raise EOFError("the compressed voxels end too early")
            unpacking.decompress(block)
