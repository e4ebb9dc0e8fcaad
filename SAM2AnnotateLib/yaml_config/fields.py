"""Strict reading of a configuration's blocks: a key that is not known and a value of another type are errors with their place.

Imports errors and the standard library.

Why not pydantic: strict, it takes a block for one of our dataclasses only by way of JSON text; what a dataclass says of its own values
comes without the place; unknown keys come without the known ones; and each of its sentences would have to be translated into one that says
what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

from ..errors import InputError
from ..json_input import is_number

T = TypeVar("T")
# Takes the value and the name of its place, such as ``calibration.joint``; gives the checked value.
Reader = Callable[[Any, str], Any]
_TYPE_NAMES = {bool: "a truth value", int: "a whole number", float: "a number", str: "text", list: "a list", dict: "a block of keys"}


def build(cls: type[T], content: object, place: str, readers: Mapping[str, Reader], **given: Any) -> T:
    """Make a dataclass from a block, key by key. A key without a value (null) has its default, like one that is not there.

    Args:
        cls: the dataclass; it checks ranges itself.
        content: the block, as YAML or JSON give it.
        place: where the block stands in the configuration, for messages; empty for the whole.
        readers: for each key that a person may write.
        **given: fields that do not come from the block unless it has them.

    Raises:
        InputError: with the place, what was expected, and what came.
    """
    block = read_block(content, place)
    require_known(block, readers, place)
    values = {key: readers[key](value, below(place, key)) for key, value in block.items() if value is not None}
    values = {**given, **values}
    missing = [field.name for field in fields(cls) if _is_required(field) and field.name not in values]  # type: ignore[arg-type]
    if missing:
        raise InputError(f"{_where(place)} lacks {', '.join(repr(name) for name in missing)}.")
    try:
        return cls(**values)
    except InputError as exc:
        raise InputError(f"{_where(place)}: {exc}") from exc


def require_known(block: Iterable[object], known: Iterable[str], place: str) -> None:
    """Raise InputError for the first key that is not known, naming the nearest one."""
    names = list(known)
    for key in block:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, 1)
            meant = f" Did you mean '{near[0]}'?" if near else ""
            raise InputError(f"{_where(place)}: unknown key '{key}'.{meant} Known keys: {', '.join(names)}.")


def below(place: str, key: object) -> str:
    """The place of a key in a block, or of an entry in a list."""
    return f"{place}.{key}" if place else str(key)


def described(value: object) -> str:
    """A value and its type, for messages."""
    if value is None:
        return "nothing"
    kind = _TYPE_NAMES.get(type(value), f"a {type(value).__name__}")
    return f"{value!r} ({kind})"


def read_block(value: object, place: str) -> Mapping[Any, Any]:
    """A mapping."""
    if not isinstance(value, Mapping):
        raise InputError(f"{_where(place)}: expected a block of 'key: value' lines, got {described(value)}.")
    return value


def read_text(value: object, place: str) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        hint = "" if isinstance(value, str) else ' Put it in quotes ("...") if it is meant as text.'
        raise InputError(f"{place}: expected text, got {described(value)}.{hint}")
    return value


def read_whole(value: object, place: str) -> int:
    """A whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{place}: expected a whole number, got {described(value)}.")
    return value


def read_number(value: object, place: str) -> float:
    """A finite number."""
    if not isinstance(value, (int, float)) or not is_number(value):
        hint = " YAML takes 1e-3 for text; write 1.0e-3 or 0.001." if isinstance(value, str) and "e" in value.lower() else ""
        raise InputError(f"{place}: expected a number, got {described(value)}.{hint}")
    return float(value)


def read_flag(value: object, place: str) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise InputError(f"{place}: expected true or false, got {described(value)}.")
    return value


def list_of(reader: Reader) -> Reader:
    """A reader of a list, as a tuple; a message counts its entries from 1."""

    def read(value: object, place: str) -> tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{place}: expected a list, got {described(value)}.")
        return tuple(reader(entry, f"{place}[{n}]") for n, entry in enumerate(value, start=1))

    return read


def text_or_number(value: object, place: str) -> str:
    """Text, or a number as text: ``roi: 20`` means what ``roi: "20"`` does."""
    return f"{value:g}" if is_number(value) else read_text(value, place)


def read_window(value: object, place: str) -> str:
    """A gray window as text: a name, ``LO,HI``, or a list of the two."""
    if isinstance(value, (list, tuple)):
        return ",".join(f"{bound:g}" for bound in read_bounds(value, place))
    return read_text(value, place)


def read_bounds(value: object, place: str) -> tuple[float, float]:
    """A list of a lower and an upper number."""
    bounds = list_of(read_number)(value, place)
    if len(bounds) != 2:
        raise InputError(f"{place}: expected a lower and an upper number, such as [-55, 155], got {described(value)}.")
    return bounds


def _where(place: str) -> str:
    return place or "The configuration"


def _is_required(field: Field) -> bool:
    return field.default is MISSING and field.default_factory is MISSING
