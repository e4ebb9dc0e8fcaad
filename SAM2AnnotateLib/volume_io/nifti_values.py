"""Find NaN and infinite values in a NIfTI file before ITK hides them. Imports numpy and the standard library.

The NIfTI reader inside ITK replaces such values by 0 without a word, so a damaged scan would look like one with holes.
Header fields: NIfTI-1 (https://nifti.nimh.nih.gov/nifti-1), byte 70 data type, byte 108 offset of the voxels.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

_FLOAT_TYPES = {16: "f4", 64: "f8"}
_BLOCK_BYTES = 8 << 20


def count_nonfinite(path: Path) -> int:
    """Number of NaN and infinite voxels stored in a ``.nii`` or ``.nii.gz`` file; 0 if it holds integers or cannot be understood.

    A file that cannot be understood is left to the reader proper, whose error says what is wrong.
    """
    try:
        with open(path, "rb") as stored:
            packed = stored.read(2) == b"\x1f\x8b"  # by content, as the reader does: a suffix may lie
        with gzip.open(path) if packed else open(path, "rb") as stream:
            header = stream.read(348)
            if len(header) < 348:
                return 0
            order = "<" if int.from_bytes(header[:4], "little") == 348 else ">"
            code = int(np.frombuffer(header, dtype=f"{order}i2", count=1, offset=70)[0])
            if code not in _FLOAT_TYPES or int(np.frombuffer(header, dtype=f"{order}i4", count=1)[0]) != 348:
                return 0
            stream.seek(max(int(np.frombuffer(header, dtype=f"{order}f4", count=1, offset=108)[0]), 348))
            width, count = int(_FLOAT_TYPES[code][1]), 0
            while block := stream.read(_BLOCK_BYTES):
                values = np.frombuffer(block[: len(block) // width * width], dtype=f"{order}{_FLOAT_TYPES[code]}")
                count += int(values.size - np.isfinite(values).sum())
            return count
    except (OSError, EOFError, zlib.error):
        return 0
