"""What happens to exceptions in slots and overridden methods: printed, and remembered for the tests. Imports the standard library only.

As in Slicer they never reach the code that emitted the signal. A fixture of the tests fails the test that left one here.
"""

from __future__ import annotations

import sys
import traceback

slot_errors: list[BaseException] = []


def remember(error: BaseException, where: str) -> None:
    """Print an exception that has nowhere to go and keep it."""
    sys.stderr.write(f"Exception in {where}:\n")
    traceback.print_exception(error, file=sys.stderr)
    slot_errors.append(error)
