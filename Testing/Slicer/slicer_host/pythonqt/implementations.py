"""Which PySide6 class, or which stand-in, does the work for a class that the facts name. Imports PySide6, the facts and the registry."""

from __future__ import annotations

import keyword
from functools import cache
from typing import Any

from PySide6 import QtCore, QtGui, QtTest, QtUiTools, QtWidgets

from .. import facts, registry

_MODULES = (QtWidgets, QtGui, QtCore, QtUiTools, QtTest)
# Python names of PySide6 that differ from C++'s.
_RENAMED = {"Qt": QtCore.Qt}


@cache
def pyside_class(class_name: str) -> type | None:
    """The PySide6 class of this name, ``QTextEdit.ExtraSelection`` included; None where PySide6 has none."""
    if class_name in _RENAMED:
        return _RENAMED[class_name]
    first, *nested = class_name.split(".")
    for module in _MODULES:
        found: Any = getattr(module, first, None)
        for name in nested:
            found = getattr(found, name, None)
        if found is not None:
            return found  # type: ignore[no-any-return]
    return None


def implementation(class_name: str) -> type:
    """The class to construct for a class of the facts.

    Raises:
        NotImplementedError: real Slicer has the class, this host has nothing that stands in for it.
    """
    found = registry.stand_in_for(class_name) or (pyside_class(class_name) if facts.entry(class_name)["namespace"] == "qt" else None)
    if found is None:
        raise NotImplementedError(
            f"Slicer has {class_name}, but this test host has no stand-in for it: register one with registry.stand_in"
        )
    return found


_class_names: dict[type, str] = {}


def class_name_of(implementing: type) -> str | None:
    """The most specific class of the facts that a PySide6 class or stand-in implements; None for other types."""
    if implementing in _class_names:
        return _class_names[implementing]
    name = registry.class_name_of(implementing)
    if name is None or not facts.is_class(name):
        candidates = (base for base in implementing.__mro__ if facts.is_class(base.__qualname__))
        name = next((base.__qualname__ for base in candidates if pyside_class(base.__qualname__) is base), None)
    if name is not None:
        _class_names[implementing] = name
    return name


def attribute_name(name: str) -> str:
    """A C++ name as PySide6 spells it: ``raise`` is ``raise_``."""
    return f"{name}_" if keyword.iskeyword(name) or name == "print" else name
