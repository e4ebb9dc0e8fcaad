"""Tensors to and from bytes in the layout of safetensors, with every size checked first. Imports numpy, errors, json_input.

The layout (github.com/huggingface/safetensors): 8 bytes, the header's length, little endian; the header, JSON with each tensor's type,
shape and place, and texts under ``__metadata__``; the tensors' bytes without gaps. Own lines instead of the package's, because the panel's
Python may lack it, its bytes depend on the order of a dict, and an adapter may come from anybody.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np

from ..errors import CheckpointError, InputError
from ..json_input import parse_json

_TYPES: dict[str, np.dtype] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}
_NAMES = {"f2": "F16", "f4": "F32"}
_LONGEST_HEADER_BYTES = 1 << 20
_MOST_TENSORS = 4096
_MOST_AXES = 8
_LONGEST_NAME = 200


def pack_tensors(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file; the same tensors and texts always give the same ones.

    Args:
        tensors: float16 or float32, by name.
        metadata: texts by name.

    Raises:
        CheckpointError: if a tensor is of another type.
    """
    header: dict = {"__metadata__": dict(sorted(metadata.items()))}
    parts, start = [], 0
    for name, array in sorted(tensors.items()):
        kind = _NAMES.get(array.dtype.newbyteorder("<").str[1:])
        if kind is None:
            raise CheckpointError(f"An adapter holds float16 or float32, '{name}' is {array.dtype}.")
        content = array.astype(_TYPES[kind], copy=False).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [start, start + len(content)]}
        start += len(content)
        parts.append(content)
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def unpack_tensors(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and texts of a file's bytes; the tensors are read-only views of them.

    Raises:
        CheckpointError: what is wrong with it, in words that go on after "cannot use it:".
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise CheckpointError("it is truncated, or no .safetensors file")
    if length > _LONGEST_HEADER_BYTES:
        raise CheckpointError(f"its header has {length} bytes, an adapter's at most {_LONGEST_HEADER_BYTES}")
    try:
        header = parse_json(content[8 : 8 + length], "its header")
    except InputError as exc:
        raise CheckpointError(f"its header is no JSON ({exc})") from exc
    if not isinstance(header, dict) or len(header) > _MOST_TENSORS:
        raise CheckpointError(f"its header should be an object of at most {_MOST_TENSORS} tensors")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError("its metadata are not text")
    body = memoryview(content)[8 + length :]
    places = sorted((_place_of(name, entry) for name, entry in header.items()), key=lambda place: (place[3], place[4]))
    end, tensors = 0, {}
    for name, dtype, shape, start, stop in places:
        if start != end or stop - start != math.prod(shape) * dtype.itemsize:
            raise CheckpointError(f"the place of '{name}' in it does not fit the tensor's shape, or overlaps another one")
        if stop > len(body):
            raise CheckpointError(f"it is truncated: '{name}' ends at byte {stop} of {len(body)}")
        tensors[name] = np.frombuffer(body[start:stop], dtype).reshape(shape)
        end = stop
    if end != len(body):
        raise CheckpointError(f"it has {len(body) - end} bytes more than its header tells of")
    return tensors, metadata


def _place_of(name: str, entry: object) -> tuple[str, np.dtype, tuple[int, ...], int, int]:
    shown = name[:60]
    if len(name) > _LONGEST_NAME or not isinstance(entry, dict):
        raise CheckpointError(f"its entry '{shown}' is no tensor's")
    kind, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise CheckpointError(f"'{shown}' in it is of type {str(kind)[:20]!r}, expected {' or '.join(_TYPES)}")
    if not _are_counts(shape) or not isinstance(shape, list) or len(shape) > _MOST_AXES:
        raise CheckpointError(f"the shape of '{shown}' in it is none")
    if not _are_counts(offsets) or not isinstance(offsets, list) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise CheckpointError(f"the place of '{shown}' in it is none")
    return name, _TYPES[kind], tuple(shape), offsets[0], offsets[1]


def _are_counts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 1 << 40 for v in values)
