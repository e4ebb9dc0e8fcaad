"""Is a message from the network what it says? Checked before anything is made of it. Imports wire, json_input and errors.

`messages.from_line` knows a message's fields by name. What they hold may still be anything that JSON can say: here every value is compared
with the type that the message states, and numbers, texts and masks inside with what a volume can have.
"""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Sequence
from typing import Any

from ..errors import WorkerError
from ..worker.messages import Message
from ..worker.wire import ON_THE_WIRE, from_text
from .limits import Limits

# A list of small numbers takes eight bytes a number in memory, and more where they are large.
_MOST_VALUES = 4_000_000
_DEEPEST = 12
_LONGEST_TEXT = 1000
_LARGEST_NUMBER = 1 << 31
_LARGEST_REQUEST = 1 << 53
_MOST_PIXELS = 1 << 25  # of one mask or crop; a slice of 4096 x 4096 has half of it
_MOST_POINTS = 1000  # on one slice: the model's time and memory grow with them
_MOST_LESSONS = 1000
_FILES = ("data", "prototypes", "adapter", "start")  # fields that hold files' bytes
_FILE = re.compile(r"[A-Za-z0-9+/]*={0,2}")  # base64: what a long text may be


def read_request(text: str, limits: Limits) -> Message:
    """The request in a text frame.

    Raises:
        WorkerError: if it is none, or none that a client may send, or larger than the limits.
    """
    if len(text) > limits.largest_message_bytes:
        raise WorkerError(f"The message has {len(text)} bytes, the server takes {limits.largest_message_bytes}.")
    values = text.count(",")
    if values > _MOST_VALUES or (len(text) > limits.largest_plain_message_bytes and values > 10_000):
        raise WorkerError(f"The message has {len(text)} bytes and {values} values, which is more than the server takes.")
    message = from_text(text)
    if type(message) not in ON_THE_WIRE:
        raise WorkerError(f"{type(message).__name__} is no request that a client may send.")
    _require_kinds(message)
    lessons = getattr(message, "lessons", ())
    if len(lessons) > _MOST_LESSONS:
        raise WorkerError(f"{len(lessons)} slices to learn from, the server takes {_MOST_LESSONS}.")
    return message


def mask_pixels(value: Any) -> int:
    """Pixels of all masks in a message that was read: what they take in memory, however little their runs say.

    Args:
        value: the message's fields by name, or something in them.
    """
    if isinstance(value, dict):
        own = value["shape"][0] * value["shape"][1] if "shape" in value else 0
        return own + sum(mask_pixels(one) for name, one in value.items() if name not in ("runs", "shape"))
    return sum(map(mask_pixels, value)) if isinstance(value, list) else 0


def _require_kinds(message: Message) -> None:
    name = type(message).__name__
    if not 0 < _whole(message.request, 0, _LARGEST_REQUEST, f"{name}: request") < _LARGEST_REQUEST:
        raise WorkerError(f"{name}: a request has a number above 0, got {message.request}.")
    for field, kind in typing.get_type_hints(type(message)).items():
        value = getattr(message, field)
        if field not in _FILES and isinstance(value, str) and len(value) > _LONGEST_TEXT:
            raise WorkerError(f"{name}: {field}: a text of {len(value)} letters.")
        if field == "target":
            _whole(value, 0, _LARGEST_REQUEST, f"{name}: {field}")
        elif field != "request":
            _require(value, kind, f"{name}: {field}")


def _require(value: Any, kind: Any, where: str) -> None:
    """Raise WorkerError unless a value is of a kind, as a dataclass states it."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in inner:
            return
        _require(value, next(one for one in inner if one is not type(None)), where)
    elif kind is int:
        _whole(value, -_LARGEST_NUMBER, _LARGEST_NUMBER, where)
    elif kind in (float, str, bool, dict) or origin in (list, dict):
        _require_plain(value, kind if origin is None else origin, where)
        if origin is list:
            for one in value:
                _require(one, inner[0], where)
        elif origin is dict:
            for one in value.values():
                _require(one, inner[1], where)
    else:
        raise WorkerError(f"{where}: the server does not know how to check it.")


def _require_plain(value: Any, kind: type, where: str) -> None:
    expected: Any = (int, float) if kind is float else kind
    if not isinstance(value, expected) or (isinstance(value, bool) and kind is not bool):
        raise WorkerError(f"{where}: expected {kind.__name__}, got {type(value).__name__}.")
    _require_bearable(value, where, _DEEPEST)


def _require_bearable(value: Any, where: str, depth: int) -> None:
    """Numbers, texts and shapes that no volume has end here, however deep in a message they stand."""
    if isinstance(value, str):
        if len(value) > _LONGEST_TEXT and not _FILE.fullmatch(value):
            raise WorkerError(f"{where}: a text of {len(value)} letters.")
        if any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in value[:_LONGEST_TEXT]):
            raise WorkerError(f"{where}: a text with letters that are none.")
    elif isinstance(value, bool) or value is None:
        pass
    elif isinstance(value, (int, float)):
        if not math.isfinite(value) if isinstance(value, float) else abs(value) > _LARGEST_NUMBER:
            raise WorkerError(f"{where}: a number out of bounds.")
    elif depth == 0:
        raise WorkerError(f"{where}: nested too deeply.")
    elif isinstance(value, dict):
        if len(value) > _MOST_VALUES or any(len(name) > _LONGEST_TEXT for name in value):
            raise WorkerError(f"{where}: names that are too long.")
        if "shape" in value:
            _require_shape(value["shape"], where)
        points = value.get("points")
        if isinstance(points, list) and len(points) > _MOST_POINTS:
            raise WorkerError(f"{where}: {len(points)} points on one slice, the server takes {_MOST_POINTS}.")
        if "crop" in value:
            require_crop(value["crop"], where)
        for name, one in value.items():
            if name == "runs":
                if not isinstance(one, list):
                    raise WorkerError(f"{where}: runs are a list.")
                continue  # checked as a whole where the mask is made
            _require_bearable(one, where, depth - 1)
    elif isinstance(value, list):
        for one in value:
            _require_bearable(one, where, depth - 1)


def _require_shape(shape: Any, where: str) -> None:
    if not isinstance(shape, list) or len(shape) != 2:
        raise WorkerError(f"{where}: a mask has rows and columns.")
    rows, cols = (_whole(side, 1, _LARGEST_NUMBER, where) for side in shape)
    if rows * cols > _MOST_PIXELS:
        raise WorkerError(f"{where}: a mask of {rows} x {cols} pixels.")


def require_crop(crop: Any, where: str) -> None:
    """Raise WorkerError unless a crop is four whole numbers, and no larger than a slice can be."""
    if not isinstance(crop, Sequence) or isinstance(crop, str) or len(crop) != 4:
        raise WorkerError(f"{where}: a crop has four numbers.")
    row_start, row_stop, col_start, col_stop = (_whole(one, -_LARGEST_NUMBER, _LARGEST_NUMBER, where) for one in crop)
    if abs(row_stop - row_start) * abs(col_stop - col_start) > _MOST_PIXELS:
        raise WorkerError(f"{where}: a crop of {abs(row_stop - row_start)} x {abs(col_stop - col_start)} pixels.")


def _whole(value: Any, low: int, high: int, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise WorkerError(f"{where}: expected a whole number from {low} to {high}, got {str(value)[:40]}.")
    return value
