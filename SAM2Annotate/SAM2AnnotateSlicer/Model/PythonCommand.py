"""The Python interpreter that belongs to Slicer. Imports the standard library and errors."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from SAM2AnnotateLib.errors import WorkerError


def pythonCommand() -> list[str]:
    """The interpreter to run the worker with. In Slicer PythonSlicer, because `sys.executable` is Slicer itself there.

    Raises:
        WorkerError: if there is none.
    """
    found = shutil.which("PythonSlicer")
    if found is None and Path(sys.executable).stem.lower().startswith("python"):
        found = sys.executable
    if found is None:
        raise WorkerError("PythonSlicer, Slicer's Python interpreter, is not on the path. Repair the installation of Slicer.")
    return [found]


def moduleCommand(python: Sequence[str], module: str, *arguments: str) -> list[str]:
    """The command that runs a module of SAM2AnnotateLib, whose folder must be the working one, until its caller kills `python`."""
    return [*python, "-u", str(Path(__file__).with_name("RunWithParent.py")), module, *arguments]
