"""How packages come into Slicer's Python: its pip, and the PyTorch extension. Imports slicer inside functions."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Protocol


class PipInstall(Protocol):
    """Runs ``pip install`` in Slicer's Python."""

    def __call__(self, arguments: list[str]) -> None:
        """Take what follows ``pip install``; return when pip has ended. Raises CalledProcessError if pip fails."""


class TorchInstaller(Protocol):
    """Installs PyTorch as fits this computer."""

    def __call__(self, versionRequirement: str) -> None:
        """Take bounds such as ``>=2.5.1``. Raises CalledProcessError if it fails."""


def slicerPipInstall(arguments: list[str]) -> None:
    """Slicer's pip: with its own progress window since 5.12, in the Python console before."""
    try:
        from slicer.packaging import pip_install
    except ImportError:  # Slicer 5.10
        import slicer

        slicer.util.pip_install(arguments)
    else:
        pip_install(arguments, requester="SAM2Annotate")


def pyTorchExtension() -> TorchInstaller | None:
    """Slicer's PyTorch extension, which chooses the build for this computer's graphics card; None if it is not installed."""
    try:
        import PyTorchUtils
    except ImportError:
        return None

    def installTorch(versionRequirement: str) -> None:
        logic = PyTorchUtils.PyTorchUtilsLogic()
        if logic.installTorch(askConfirmation=False, torchVersionRequirement=versionRequirement) is None:
            raise RuntimeError("The PyTorch extension did not install PyTorch.")

    return installTorch


@contextlib.contextmanager
def environmentVariables(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the programs that are started inside; Slicer hands its own on to pip."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
