"""Whether a proxy is true, as PythonQt has it. Imports PySide6 only.

An empty layout, a null icon or an invalid color is false there, so a script that asks `if layout:` is wrong without a word. Code in
`strict_folders`, which the tests fill with the module's, must not ask at all: it compares with None.
"""

from __future__ import annotations

import sys
from typing import Any

from shiboken6 import Shiboken

strict_folders: list[str] = []
# Which of a class's methods answers, as far as it has one: so it is in PythonQt.
_QUESTIONS = (("isEmpty", False), ("isNull", False), ("isValid", True))


def is_alive(proxy: Any) -> bool:
    """Whether there is a C++ object behind a proxy, and still is."""
    try:
        inner = object.__getattribute__(proxy, "_qt")
    except AttributeError:
        return False
    return bool(Shiboken.isValid(inner))


def of_object(proxy: Any) -> bool:
    """The truth of most objects: they are true as long as they live."""
    _refuse(proxy)
    return is_alive(proxy)


def of_content(proxy: Any) -> bool:
    """The truth of an object of a class with `__nonzero__`: whether it holds something, by the first of the questions."""
    _refuse(proxy)
    if not is_alive(proxy):
        return False
    inner = proxy.__qt__()
    return next((bool(getattr(inner, question)()) is answer for question, answer in _QUESTIONS if hasattr(inner, question)), True)


def _refuse(proxy: Any) -> None:
    """Refuse the question if it comes from a strict folder."""
    asking = sys._getframe(2).f_code.co_filename
    if any(asking.startswith(folder) for folder in strict_folders):
        raise AssertionError(f"{asking} asks for the truth of a {type(proxy).qt_class_name}, which is false when empty: compare with None")
