"""Read JSON that anybody may have written: whatever is wrong with it is one InputError. Imports errors and the standard library.

Python's own reader raises five kinds of errors, takes NaN and endless nesting, and says nothing of types. `parse_json` and `read_json`
raise one kind; `Fields` is how a JSON object is asked for its fields: by kind and bounds, with the place in the message.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from .errors import InputError

_NEEDED: Any = object()
_LONGEST_TEXT = 1 << 20
_LARGEST_WHOLE = 1 << 53  # what every reader of JSON keeps
_DEEPEST = 64


def parse_json(text: str | bytes, what: str) -> Any:
    """The value that a JSON text states.

    Args:
        text: UTF-8 if it is bytes; a byte order mark is passed over.
        what: is read, for messages: "the journal 'a.json'".

    Raises:
        InputError: if it is no JSON, holds NaN or infinity by name, or is nested too deeply.
    """
    try:
        return json.loads(text.decode("utf-8-sig") if isinstance(text, bytes) else text, parse_constant=_refuse_constant)
    except RecursionError:
        reason = "it is nested too deeply"
    except UnicodeDecodeError:
        reason = "it is no text (UTF-8), so no JSON either"
    except ValueError as exc:  # no JSON, or a number of thousands of digits
        reason = str(exc)
    except MemoryError:
        reason = "it is too large for this computer's memory"
    raise InputError(f"Cannot read {what}: {reason}.")


def read_json(path: str | Path, what: str) -> Any:
    """The value in a JSON file; `what` names it for messages ("the plan"). Raises InputError as `parse_json`, and if it cannot be read."""
    named = f"{what} '{path}'"
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as exc:  # ValueError: a name that no file can have
        raise InputError(f"Cannot read {named}: {getattr(exc, 'strerror', None) or exc}.") from exc
    return parse_json(content, named)


class Fields:
    """A JSON object, asked for its fields by kind.

    Args:
        value: what should be an object.
        what: it is, for messages.

    Raises:
        InputError: if it is no object.
    """

    def __init__(self, value: Any, what: str):
        if not isinstance(value, dict):
            raise InputError(f"{what[:1].upper()}{what[1:]}: expected an object of JSON, got {kind_of(value)}.")
        self.values, self.what = value, what

    def require_only(self, *names: str) -> None:
        """Raise InputError if there is a field of another name."""
        strange = [name for name in self.values if name not in names]
        if strange:
            raise self._wrong(strange[0][:60], f"a field of one of the names {', '.join(names)}")

    def text(self, name: str, default: Any = _NEEDED) -> str:
        """A field of text that can be written as UTF-8."""
        return self._field(name, default, is_text, "text")

    def whole(self, name: str, low: int = -_LARGEST_WHOLE, high: int = _LARGEST_WHOLE, default: Any = _NEEDED) -> int:
        """A field with a whole number from `low` to `high`."""
        bounds = "" if (low, high) == (-_LARGEST_WHOLE, _LARGEST_WHOLE) else f" from {low} to {high}"
        return self._field(name, default, lambda value: is_whole(value, low, high), f"a whole number{bounds}")

    def number(self, name: str, default: Any = _NEEDED) -> float:
        """A field with a finite number."""
        return self._field(name, default, is_number, "a number")

    def flag(self, name: str, default: Any = _NEEDED) -> bool:
        """A field with true or false."""
        return self._field(name, default, lambda value: isinstance(value, bool), "true or false")

    def items(self, name: str, default: Any = _NEEDED) -> list:
        """A field with a list."""
        return self._field(name, default, lambda value: isinstance(value, list), "a list")

    def texts(self, name: str, default: Any = _NEEDED) -> list[str]:
        """A field with a list of texts."""
        return self._field(name, default, lambda value: isinstance(value, list) and all(map(is_text, value)), "a list of texts")

    def object(self, name: str, default: Any = _NEEDED) -> Fields:
        """A field with an object."""
        return Fields(self._field(name, default, lambda value: isinstance(value, dict), "an object"), f"{self.what}, '{name}'")

    def objects(self, name: str, default: Any = _NEEDED) -> list[Fields]:
        """A field with a list of objects."""
        return [Fields(value, f"{self.what}, '{name}'") for value in self.items(name, default)]

    def _field(self, name: str, default: Any, fits, expected: str) -> Any:
        if name not in self.values and default is not _NEEDED:
            return default
        if name not in self.values or not fits(self.values[name]):
            raise self._wrong(name, expected)
        return self.values[name]

    def _wrong(self, name: str, expected: str) -> InputError:
        came = kind_of(self.values[name]) if name in self.values else "nothing"
        return InputError(f"{self.what[:1].upper()}{self.what[1:]}: '{name}' should be {expected}, it is {came}.")


def is_text(value: Any) -> bool:
    """Whether a value is text of a bearable length that can be written as UTF-8."""
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT and not any("\ud800" <= letter <= "\udfff" for letter in value)


def is_whole(value: Any, low: int = -_LARGEST_WHOLE, high: int = _LARGEST_WHOLE) -> bool:
    """Whether a value is a whole number (not true or false) from `low` to `high`."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) <= _LARGEST_WHOLE


def is_shallow(value: Any, depth: int = _DEEPEST) -> bool:
    """Whether lists and objects are nested `depth` times at most, so that nobody who goes through them ends too deep."""
    if isinstance(value, dict):
        return depth > 0 and all(is_shallow(one, depth - 1) for one in value.values())
    return not isinstance(value, list) or (depth > 0 and all(is_shallow(one, depth - 1) for one in value))


def kind_of(value: Any) -> str:
    """A value of JSON for a message: what it is, and itself where it is short."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_WHOLE:
        return "a number out of bounds"
    shown = json.dumps(value) if value is None or isinstance(value, (bool, int, float, str)) else type(value).__name__
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
