"""A program: run a module of SAM2AnnotateLib, and end when the process that started this one is gone. Imports the standard library.

    python RunWithParent.py MODULE [ARGUMENTS ...]

PythonSlicer is a launcher: the interpreter is a child of it. Who cancels a command kills the launcher, and the interpreter would go on,
write the data set that was cancelled, or hold a graphics card's memory.
"""

from __future__ import annotations

import os
import runpy
import select
import sys
import threading
import time
from pathlib import Path

_POLL_SECONDS = 0.25
_SYNCHRONIZE = 0x00100000  # Windows: the right to wait for a process
_INFINITE = 0xFFFFFFFF


def waitForEnd(parent: int, output: int) -> None:
    """Return when the process that was the parent of this one is gone, or, but on Windows, nobody reads what this one writes.

    The second tells of a parent that was killed before this program could ask for its number.

    Args:
        parent: its process id.
        output: a file descriptor; one that is no pipe always counts as read.
    """
    if sys.platform != "win32":
        reader = select.poll()
        reader.register(output, 0)  # errors are told unasked
        while os.getppid() == parent and not reader.poll(0):  # an orphan gets another parent
            time.sleep(_POLL_SECONDS)
        return
    import ctypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = ctypes.c_void_p
    kernel.WaitForSingleObject.argtypes = (ctypes.c_void_p, ctypes.c_ulong)
    handle = kernel.OpenProcess(_SYNCHRONIZE, False, parent)
    if handle:
        kernel.WaitForSingleObject(handle, _INFINITE)


def _endWith(parent: int, output: int) -> None:
    waitForEnd(parent, output)
    os._exit(1)  # nobody is left to hear anything


def main() -> None:
    """Run the module that the command line names."""
    threading.Thread(target=_endWith, args=(os.getppid(), os.dup(1)), daemon=True).start()
    sys.argv.pop(0)
    sys.path[0] = str(Path.cwd())  # as `python -m` does; it was this file's folder
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
