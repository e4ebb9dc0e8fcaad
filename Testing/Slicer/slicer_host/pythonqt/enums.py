"""Qt's enums as PythonQt has them: numbers, with a type for each enum. Imports the facts and PySide6 through `implementations`."""

from __future__ import annotations

import enum
from functools import cache
from typing import Any, ClassVar

from .. import facts
from .implementations import attribute_name, pyside_class


class EnumValue(int):
    """A number with the type of its enum; ``|`` of two gives a plain int, as in PythonQt."""

    qt_enum: ClassVar[str] = ""
    pyside_enum: ClassVar[type[enum.Enum] | None] = None

    def to_pyside(self) -> Any:
        """The PySide6 value; the plain number for an enum of CTK or Slicer."""
        return int(self) if self.pyside_enum is None else self.pyside_enum(int(self))


_types_of_pyside: dict[type[enum.Enum], type[EnumValue]] = {}


@cache
def enum_type(class_name: str, enum_name: str) -> type[EnumValue]:
    """The type of an enum, with its values as attributes.

    Raises:
        KeyError: the class has no such enum in the facts.
    """
    values = facts.entry(class_name)["enums"][enum_name]
    pyside_enum = _find_pyside_enum(class_name, enum_name, list(values))
    if pyside_enum in _types_of_pyside:
        return _types_of_pyside[pyside_enum]
    made = type(enum_name, (EnumValue,), {"qt_enum": f"{class_name}.{enum_name}", "pyside_enum": pyside_enum})
    if pyside_enum is not None:
        members = pyside_enum.__members__
        numbers = {name: _number(members[attribute_name(name)]) for name in values if attribute_name(name) in members}
        _types_of_pyside[pyside_enum] = made
    else:
        numbers = dict(values) if isinstance(values, dict) else {}
    for name, number in numbers.items():
        setattr(made, name, made(number))
    return made


def enum_value(class_name: str, enum_name: str, name: str) -> EnumValue:
    """One value of an enum.

    Raises:
        AttributeError: Qt 6 has no such value (the facts also list those of Qt 5).
    """
    found = enum_type(class_name, enum_name)
    if name not in vars(found):
        raise AttributeError(f"{class_name}.{name} is not in Qt 6's {enum_name}, and the module must run with Qt 5 and 6")
    value: EnumValue = getattr(found, name)
    return value


def from_pyside(value: enum.Enum) -> int:
    """PythonQt's form of a PySide6 enum value; a plain number for an enum that the facts do not have."""
    made = _types_of_pyside.get(type(value)) or _type_of_pyside(type(value))
    return _number(value) if made is None else made(_number(value))


def is_pyside_enum(value: Any) -> bool:
    """Whether a value is of one of Qt's enums, not of one that Python code made."""
    return isinstance(value, enum.Enum) and type(value).__module__.startswith("PySide6.")


@cache
def named_enum(type_name: str, owner: str) -> type[EnumValue] | None:
    """The enum that a C++ type names in a signature of ``owner``; None if it is no enum.

    Args:
        type_name: ``Qt::Alignment``, ``QFlags<Qt::Edge>``, or unqualified for an enum of the owner or its bases.
        owner: the class of the facts that the signature belongs to.
    """
    inner = type_name.removeprefix("QFlags<").removesuffix(">") if type_name.startswith("QFlags<") else type_name
    scope, _, enum_name = inner.replace("::", ".").rpartition(".")
    for class_name in facts.ancestors(scope or owner) if facts.is_class(scope or owner) else ():
        enums = facts.entry(class_name).get("enums", {})
        if enum_name in enums:
            return enum_type(class_name, enum_name)
        # A flags type that the facts do not have is called after its enum, and PySide6 has it as another name for that.
        pyside = getattr(pyside_class(class_name), enum_name, None)
        if isinstance(pyside, type) and issubclass(pyside, enum.Enum):
            return _types_of_pyside.get(pyside) or _type_of_pyside(pyside)
    return None


def _type_of_pyside(pyside_enum: type[enum.Enum]) -> type[EnumValue] | None:
    class_name, _, enum_name = pyside_enum.__qualname__.rpartition(".")
    if facts.is_class(class_name) and enum_name in facts.entry(class_name).get("enums", {}):
        return enum_type(class_name, enum_name)
    made = type(enum_name, (EnumValue,), {"qt_enum": pyside_enum.__qualname__, "pyside_enum": pyside_enum})
    _types_of_pyside[pyside_enum] = made
    return made


def _find_pyside_enum(class_name: str, enum_name: str, value_names: list[str]) -> type[enum.Enum] | None:
    holder = pyside_class(class_name)
    found = getattr(holder, enum_name, None)
    if isinstance(found, type) and issubclass(found, enum.Enum):
        return found
    for candidate in vars(holder).values() if holder is not None else ():
        if isinstance(candidate, type) and issubclass(candidate, enum.Enum) and set(value_names) & set(candidate.__members__):
            return candidate
    return None


def _number(value: enum.Enum) -> int:
    return int(value.value)
