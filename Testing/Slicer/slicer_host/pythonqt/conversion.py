"""Turns values of Python into what PySide6 takes for a C++ type, and back. Imports PySide6 and, when called, the proxies.

As PythonQt does it: overloads are tried with strict types first, then in a lax round where any object becomes a string through ``str()``, a
float is cut to an int, and anything is a bool.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from functools import cache
from typing import Any

from PySide6 import QtCore, QtGui
from shiboken6 import Shiboken

from .. import facts
from . import enums
from .implementations import class_name_of, pyside_class
from .signatures import split_at_commas

NO: Any = object()  # what a converter returns for a value it does not take
Converter = Callable[[Any, bool], Any]

_UNCHANGED = frozenset({type(None), bool, int, float, str, bytes})
_STRINGS = frozenset({"QString", "QAnyStringView", "QStringView", "QLatin1String", "str", "QChar", "std::string", "qSlicerIO::IOFileType"})
_INTEGERS = frozenset(
    {"int", "uint", "long", "ulong", "short", "ushort", "uchar", "size_t", "qsizetype", "WId", "quintptr", "qintptr", "vtkIdType"}
    | {"qint8", "quint8", "qint16", "quint16", "qint32", "quint32", "qint64", "quint64", "qlonglong", "qulonglong"}
    | {"unsigned short", "unsigned long", "signed int", "signed short"}
)
_FLOATS = frozenset({"double", "qreal", "float"})
_BYTES = frozenset({"QByteArray", "QByteArrayView", "char*", "char", "uchar*"})
_ANYTHING = frozenset({"PyObject*", "callable", "type_or_class_name", "void*"})
# PythonQt makes these from a value of the exact enum, or from a color, without being asked.
_FROM_ENUM = {
    "QCursor": {"Qt.CursorShape": QtGui.QCursor},
    "QColor": {"Qt.GlobalColor": QtGui.QColor},
    "QBrush": {"Qt.GlobalColor": QtGui.QBrush},
    "QPen": {"Qt.GlobalColor": lambda value: QtGui.QPen(QtGui.QColor(value))},
}


class Boxed:
    """Carries a Python object through a QVariant unharmed."""

    def __init__(self, content: Any) -> None:
        self.content = content


def unwrap(value: Any) -> Any:
    """What PySide6 code should see of a value: the object behind a proxy, also inside lists, tuples and dicts; anything else as it is.

    Raises:
        ValueError: the C++ object behind a proxy was destroyed.
    """
    if type(value) in _UNCHANGED:
        return value
    from .proxy import Proxy

    if isinstance(value, Proxy):
        return value.__qt__()
    if isinstance(value, enums.EnumValue):
        return value.to_pyside()
    if isinstance(value, (list, tuple)):
        return type(value)(unwrap(item) for item in value) if type(value) in (list, tuple) else value
    if type(value) is dict:
        return {key: unwrap(item) for key, item in value.items()}
    return value


def wrap(value: Any) -> Any:
    """What PythonQt shows of a value that came from Qt: a proxy for an object, a number for an enum, a tuple for a list."""
    if type(value) in _UNCHANGED:
        return value
    if isinstance(value, Shiboken.Object):
        from .proxy import proxy_of

        return proxy_of(value)
    if isinstance(value, Boxed):
        return value.content
    if isinstance(value, (list, tuple)):
        return tuple(wrap(item) for item in value)
    if type(value) is dict:
        return {key: wrap(item) for key, item in value.items()}
    if isinstance(value, enum.Enum) and enums.is_pyside_enum(value):
        return enums.from_pyside(value)
    return value


def to_variant(value: Any) -> Any:
    """A value for a QVariant: numbers, texts, lists, dicts and Qt objects as such, anything else boxed."""
    if isinstance(value, enums.EnumValue):
        return int(value)
    if type(value) in _UNCHANGED:
        return value
    from .proxy import Proxy

    if isinstance(value, Proxy):
        return value.__qt__()
    if type(value) in (list, tuple):
        return [to_variant(item) for item in value]
    if type(value) is dict and all(isinstance(key, str) for key in value):
        return {key: to_variant(item) for key, item in value.items()}
    return Boxed(value)


def returned(value: Any, type_name: str) -> Any:
    """What PythonQt returns for a result of PySide6, given the C++ type that the facts state."""
    if value is None:
        return "" if type_name in ("QString", "QChar") else None
    if type(value) is tuple and not type_name.startswith(("QList", "QVector", "QPair", "QStringList", "QVariant")):
        return wrap(value[0])  # PySide6 returns output parameters as well, PythonQt drops them
    return wrap(value)


@cache
def converter(type_name: str, owner: str) -> Converter:
    """The converter to a C++ type, in a signature of class ``owner``; it returns `NO` for a value that PythonQt refuses."""
    if type_name in _STRINGS:
        return _to_string
    if type_name == "bool":
        return _to_bool
    if type_name in _INTEGERS:
        return _to_int
    if type_name in _FLOATS:
        return _to_float
    if type_name == "QVariant":
        return lambda value, _strict: to_variant(value)
    if type_name in ("QVariantMap", "QVariantList", "qSlicerIO::IOProperties"):
        return lambda value, _strict: to_variant(value) if isinstance(value, (dict, list, tuple)) else NO
    if type_name in _BYTES:
        return _to_bytes
    if type_name in _ANYTHING:
        return lambda value, _strict: unwrap(value)
    if type_name == "QStringList":
        return _to_list(_to_string)
    if type_name.startswith(("QList<", "QVector<")):
        inner = type_name[type_name.index("<") + 1 : -1]
        return _to_list(converter(inner, owner)) if not inner.startswith("QPair<") else _to_list(_to_pair(inner, owner))
    if type_name.startswith("vtk"):
        return _to_vtk(type_name.rstrip("*"))
    enum_type = enums.named_enum(type_name, owner)
    if enum_type is not None:
        return _to_enum(enum_type)
    return _to_object(type_name)


def _to_string(value: Any, strict: bool) -> Any:
    if isinstance(value, str):
        return value
    return NO if strict else str(value)


def _to_bool(value: Any, strict: bool) -> Any:
    if isinstance(value, bool):
        return value
    return NO if strict else bool(value)


def _to_int(value: Any, strict: bool) -> Any:
    if isinstance(value, bool) or (isinstance(value, float) and math.isfinite(value)):
        return NO if strict else math.floor(value)
    if isinstance(value, int):
        return int(value)
    return NO if strict or not hasattr(value, "__index__") else value.__index__()


def _to_float(value: Any, strict: bool) -> Any:
    if isinstance(value, float):
        return float(value)
    return NO if strict or not isinstance(value, int) else float(value)


def _to_bytes(value: Any, strict: bool) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if isinstance(value, str):
        return value.encode()
    inner = unwrap(value)
    return inner if isinstance(inner, QtCore.QByteArray) else NO


def _to_list(of_item: Converter) -> Converter:
    def convert(value: Any, strict: bool) -> Any:
        if not isinstance(value, (list, tuple)):
            return NO
        items = [of_item(item, strict) for item in value]
        return NO if any(item is NO for item in items) else items

    return convert


def _to_pair(type_name: str, owner: str) -> Converter:
    parts = [converter(part, owner) for part in split_at_commas(type_name.removeprefix("QPair<").removesuffix(">"))]

    def convert(value: Any, strict: bool) -> Any:
        if not isinstance(value, (list, tuple)) or len(value) != len(parts):
            return NO
        items = tuple(part(item, strict) for part, item in zip(parts, value, strict=True))
        return NO if any(item is NO for item in items) else items

    return convert


def _to_vtk(class_name: str) -> Converter:
    def convert(value: Any, strict: bool) -> Any:
        return value if value is None or (hasattr(value, "IsA") and value.IsA(class_name)) else NO

    return convert


def _to_enum(enum_type: type[enums.EnumValue]) -> Converter:
    def convert(value: Any, strict: bool) -> Any:
        if isinstance(value, enum_type) or (type(value) is int and not strict):
            return enum_type(value).to_pyside()
        if isinstance(value, enums.EnumValue) and not strict:
            return enum_type(int(value)).to_pyside()
        return NO

    return convert


def _to_object(type_name: str) -> Converter:
    """For classes of Qt, CTK and Slicer: a proxy of that class or a derived one; None too for a pointer."""
    class_name = type_name.rstrip("*").replace("::", ".")
    pointer = type_name.endswith("*")
    automatic = _FROM_ENUM.get(class_name, {})

    def convert(value: Any, strict: bool) -> Any:
        if value is None:
            return None if pointer else NO
        if isinstance(value, enums.EnumValue):
            make = automatic.get(value.qt_enum)
            return NO if make is None else make(value.to_pyside())
        inner = unwrap(value)
        if not isinstance(inner, Shiboken.Object):
            return NO
        if class_name in ("QBrush", "QPen") and isinstance(inner, QtGui.QColor):
            return getattr(QtGui, class_name)(inner)
        found = class_name_of(type(inner))
        if found is not None and facts.is_class(class_name) and facts.inherits(found, class_name):
            return inner
        expected = pyside_class(class_name)
        return inner if expected is not None and isinstance(inner, expected) else NO

    return convert
