"""Damage that ITK's readers pass over in silence. Imports errors, numpy and the standard library.

ITK fills up a NIfTI file that ends too early with zeros, puts 0 for its NaN and infinite voxels, and does not look at the checksum of a
compressed MHA file. So a file of these formats is gone through once before it is read.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import VolumeError

_BLOCK = 1 << 20
_FLOAT_TYPES = {16: "f4", 64: "f8"}


def require_whole(path: Path) -> None:
    """Raise VolumeError if a NIfTI file holds too few voxels or NaN, or if a compressed file does not unpack.

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
    layout = _nifti_layout(header)
    found, bad = len(header), 0
    if layout is not None:
        found += len(stream.read(max(layout.offset - found, 0)))
    while block := stream.read(_BLOCK):
        if layout is not None and layout.float_type is not None:
            width = np.dtype(layout.float_type).itemsize
            voxels = min(len(block), max(layout.expected_bytes - found, 0)) // width  # what follows the voxels is none
            values = np.frombuffer(block[: voxels * width], dtype=layout.float_type)
            bad += int(values.size - np.isfinite(values).sum())
        found += len(block)
    if layout is not None and found < layout.expected_bytes:
        raise VolumeError(
            f"'{path}' is incomplete: its header says {layout.expected_bytes} bytes, there are {found}. Copy or download it again."
        )
    if bad:
        raise VolumeError(f"'{path}': The volume holds {bad} NaN or infinite voxels. Replace them (e.g. by air, -1024 HU) first.")


@dataclass(frozen=True)
class _NiftiLayout:
    """Where the voxels of a NIfTI-1 file lie (unpacked), and their numpy type if they are floating-point."""

    offset: int
    expected_bytes: int
    float_type: str | None


def _nifti_layout(header: bytes) -> _NiftiLayout | None:
    """The layout that a header states; None if this is no header of a NIfTI-1 file that holds its voxels itself.

    Fields by byte: 40 dimensions, 70 data type, 72 bits, 108 offset (https://nifti.nimh.nih.gov/nifti-1).
    """
    for order in "<>":
        if header[:4] == struct.pack(order + "i", 348) and header[344:347] == b"n+1":
            dimensions = struct.unpack_from(order + "8h", header, 40)
            code, bits = struct.unpack_from(order + "2h", header, 70)
            offset = struct.unpack_from(order + "f", header, 108)[0]
            if math.isfinite(offset):
                voxels = math.prod(dimensions[1 : 1 + dimensions[0]])
                kind = _FLOAT_TYPES.get(code)
                return _NiftiLayout(int(offset), int(offset) + voxels * bits // 8, None if kind is None else order + kind)
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
