"""Whether the bits of a JPEG Lossless frame are as many as its pixels take. Imports numpy.

The format has no checksum, and decoders make a picture of nearly any bits. But its codes are of different lengths: where a bit of a code is
changed or a byte is lost, what lies behind it mostly begins elsewhere, and the bits end before or after the last pixel. So the codes are
counted, not decoded (ITU-T T.81, process 14). What is changed in the bits of a pixel's difference alone is not found.
"""

from __future__ import annotations

import re

import numpy as np

_STRIDE = 6  # codes are followed by 2 to the power of this at a time
_NOT_JUDGED = None


def complaint(frame: bytes, rows: int, columns: int) -> str:
    """What is wrong with a frame of one component; empty if nothing is, or if it is of another process.

    Args:
        frame: from the marker SOI to EOI.
        rows, columns: as the DICOM header says.
    """
    try:
        found = _parsed(frame)
    except (IndexError, ValueError):
        return "its JPEG header is cut off"
    if found is _NOT_JUDGED:
        return ""
    size, codes, interval, coded = found
    if size != (rows, columns):
        return f"its JPEG header says {size[1]} x {size[0]} pixels"
    left = rows * columns
    segments = re.split(rb"\xff[\xd0-\xd7]", coded) if interval else [coded]
    if interval and len(segments) != -(-left // interval):
        return "parts of its pixels are missing"
    for segment in segments:
        count = min(interval or left, left)
        left -= count
        stuffed = segment.rstrip(b"\xff")  # fill bytes before a marker
        if re.search(rb"\xff[^\x00]", stuffed):
            return "a marker stands among its pixels"
        if text := _counted(stuffed.replace(b"\xff\x00", b"\xff"), codes, count):
            return text
    return ""


def _parsed(frame: bytes):
    """Rows and columns, a table of (code and difference) lengths by 16 bits, codes between restarts (0: no restarts), the coded bytes."""
    at, size, interval, tables = 2, None, 0, {}
    while True:
        if frame[at] != 0xFF:
            raise ValueError("no marker")
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        length = int.from_bytes(frame[at + 2 : at + 4], "big")
        content = frame[at + 4 : at + 2 + length]
        if length < 2 or len(content) != length - 2:
            raise ValueError("cut off")
        at += 2 + length
        if marker == 0xC3:
            size = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
            if content[5] != 1 or 0 in size:
                return _NOT_JUDGED
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return _NOT_JUDGED
        elif marker == 0xC4:
            while content:
                counts = list(content[1:17])
                tables[content[0]] = counts, content[17 : 17 + sum(counts)]
                content = content[17 + sum(counts) :]
        elif marker == 0xDD:
            interval = int.from_bytes(content[:2], "big")
        elif marker == 0xDA:
            if size is None or content[0] != 1 or content[2] >> 4 not in tables:
                return _NOT_JUDGED
            return size, _lengths(*tables[content[2] >> 4]), interval, frame[at : frame.rfind(b"\xff\xd9")]


def _lengths(counts: list[int], categories: bytes) -> np.ndarray:
    """(65536,) bits of the code at the beginning of each 16 bits, with the difference behind it; 0 where there is no such code."""
    out = np.zeros(1 << 16, dtype=np.int32)
    code, nth = 0, 0
    for bits, count in enumerate(counts, start=1):
        for _ in range(count):
            category = categories[nth]
            first = code << (16 - bits)
            out[first : first + (1 << (16 - bits))] = bits + (category if category < 16 else 0)
            code, nth = code + 1, nth + 1
        code <<= 1
    return out


def _counted(data: bytes, codes: np.ndarray, count: int) -> str:
    """Whether bytes are exactly a number of codes, with less than a byte to fill up the last."""
    raw = np.frombuffer(data + b"\xff\xff\xff", dtype=np.uint8).astype(np.uint32)
    words = (raw[:-2] << 16) | (raw[1:-1] << 8) | raw[2:]
    windows = (words[:-1, np.newaxis] >> np.arange(8, 0, -1, dtype=np.uint32)) & 0xFFFF  # 16 bits from each bit on
    size = 8 * len(data)
    steps = codes[windows.ravel()[:size]]
    after = np.empty(size + 1, dtype=np.int32)
    after[:size] = np.where(steps > 0, np.arange(size) + steps, size + 1)
    np.minimum(after, size + 1, out=after)
    after[size] = size + 1
    after = np.append(after, np.int32(size + 1))  # beyond the end, and where no code begins
    far = after
    for _ in range(_STRIDE):
        far = far[far]
    at = 0
    for _ in range(count >> _STRIDE):
        at = int(far[at])
    for _ in range(count & ((1 << _STRIDE) - 1)):
        at = int(after[at])
    if at > size:
        return "its compressed pixels are too few, or no codes of its table"
    return "its compressed pixels are more than its size says" if size - at >= 8 else ""
