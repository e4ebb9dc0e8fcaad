"""Import a package that only some features need, with an error that says how to get it.

Imports: standard library and errors.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import MissingPackageError


def import_for(feature: str, module: str, install: str) -> ModuleType:
    """Import `module`, or say which feature needs it and how to install it.

    Args:
        feature: what the user asked for, as the subject of a sentence ("Reading volumes").
        module: dotted name to import.
        install: the command that installs it.

    Raises:
        MissingPackageError: if the module, or something it needs, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        package = module.split(".")[0]
        raise MissingPackageError(f"{feature} needs the package '{package}' ({exc}).", f"Install it with: {install}") from exc
