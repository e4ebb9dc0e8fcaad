"""Exceptions that nobody catches: VTK and PySide6 print those of observers and slots, and go on. Imports the standard library only.

Both print by `sys.excepthook`, where they are caught here. Exceptions in slots of proxies are remembered by `pythonqt.slot_errors`.
"""

from __future__ import annotations

import sys
import traceback

from . import pythonqt

observer_errors: list[BaseException] = []
"""Exceptions that left a VTK observer or a slot of a plain PySide6 object since the start of the test."""


def install() -> None:
    """Remember what goes to `sys.excepthook`, and print it as before."""
    print_error = sys.excepthook

    def remember(error_type, error, trace):
        observer_errors.append(error)
        print_error(error_type, error, trace)

    sys.excepthook = remember


def reset() -> None:
    """Forget all errors, before each test."""
    observer_errors.clear()
    pythonqt.slot_errors.clear()


def report() -> str:
    """What went wrong unseen, with tracebacks; empty if nothing did."""
    return "\n".join("".join(traceback.format_exception(error)) for error in [*observer_errors, *pythonqt.slot_errors])
