"""Keeps Python before 3.12 alive beside PySide6 6.12. Imports the standard library only.

That PySide6 counts on ``None``, ``True`` and ``False`` being immortal, which they are since Python 3.12: each of its calls that returns
one of them hands over a reference that it never took. Python 3.11 ends with "Fatal Python error: none_dealloc" after a few thousand
calls. Their counts are therefore raised out of reach.
"""

from __future__ import annotations

import ctypes
import sys

_OUT_OF_REACH = 1 << 48


def protect_singletons() -> None:
    """Raise the reference counts of Python's singletons, once; nothing to do where they are immortal. Call it before using PySide6."""
    if sys.version_info >= (3, 12) or sys.implementation.name != "cpython" or hasattr(sys, "gettotalrefcount"):
        return
    for singleton in (None, True, False, NotImplemented, Ellipsis):
        count = ctypes.c_ssize_t.from_address(id(singleton))
        if count.value < _OUT_OF_REACH:
            count.value += _OUT_OF_REACH
