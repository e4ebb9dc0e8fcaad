"""What nobody sees: exceptions of observers and slots, and what Slicer's own classes complain of. Imports the standard library only.

VTK and PySide6 print exceptions by `sys.excepthook` and go on; they are caught here. Exceptions in slots of proxies are remembered by
`pythonqt.slot_errors`. Complaints are lines that a real Slicer writes to its log when a module uses one of its classes wrongly.
"""

from __future__ import annotations

import sys
import traceback

from . import pythonqt

observer_errors: list[BaseException] = []
"""Exceptions that left a VTK observer or a slot of a plain PySide6 object since the start of the test."""


complaints: list[str] = []
"""What classes of Slicer complained of since the start of the test."""


def complain(text: str) -> None:
    """Write a line to the log, as a class of Slicer does that is used wrongly; the test fails."""
    complaints.append(text)


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
    complaints.clear()


def report() -> str:
    """What went wrong unseen, with tracebacks; empty if nothing did."""
    raised = ["".join(traceback.format_exception(error)) for error in [*observer_errors, *pythonqt.slot_errors]]
    return "\n".join([*raised, *complaints])
