"""Where stand-ins for Slicer's and CTK's own Qt classes are registered. Imports nothing of the host.

A stand-in is a plain PySide6 class with PySide6 manners (methods that are called); the proxies of `pythonqt` give it PythonQt's manners
and let through only what the facts list. Slots, invokables and property accessors have the names that C++ has: property ``collapsed`` is
read by a method `isCollapsed` or `collapsed` and written by `setCollapsed`. Signals are PySide6 signals of ``object`` arguments.
"""

from __future__ import annotations

from collections.abc import Callable

_STAND_INS: dict[str, type] = {}
_SIGNALS: dict[str, dict[str, str]] = {}


def stand_in(class_name: str, signals: dict[str, str] | None = None) -> Callable[[type], type]:
    """Register the decorated PySide6 class as the stand-in for a class of Slicer or CTK.

    Args:
        class_name: as in C++, e.g. ``qMRMLNodeComboBox``.
        signals: full signature -> attribute name of the PySide6 signal, for signals whose attribute is not simply the signal's name
            (overloads).
    """

    def register(implementation: type) -> type:
        _STAND_INS[class_name] = implementation
        _SIGNALS[class_name] = signals or {}
        return implementation

    return register


def stand_in_for(class_name: str) -> type | None:
    """The stand-in for a class, if there is one."""
    return _STAND_INS.get(class_name)


def class_name_of(implementation: type) -> str | None:
    """The name that a stand-in class was registered under, looking along its bases."""
    for base in implementation.__mro__:
        for name, registered in _STAND_INS.items():
            if registered is base:
                return name
    return None


def signal_attribute(class_name: str, signature: str) -> str:
    """The attribute that holds a signal of a stand-in."""
    return _SIGNALS.get(class_name, {}).get(signature, signature.split("(")[0])
