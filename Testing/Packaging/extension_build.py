"""CMake's configure, build and install of an extension against the stand-ins in slicer_macros. Imports the standard library only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SLICER_MACROS = Path(__file__).resolve().parent / "slicer_macros"

# Where Slicer looks for an extension's scripted modules, in the build folder and in the package alike.
MODULES_FOLDER = Path("lib/Slicer-5.10/qt-scripted-modules")
SHARE_FOLDER = Path("share/Slicer-5.10")


def forget_editable_installations() -> None:
    """Leave only real folders on this process's import path: an editable installation of the library is nothing that Slicer has."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not getattr(finder, "__module__", "").startswith("__editable__")]


@dataclass(frozen=True)
class Extension:
    """A configured and built extension, and where it was installed."""

    build: Path
    prefix: Path

    @property
    def modules(self) -> Path:
        """The folder that Slicer puts on Python's path: the module's file and the packages beside it."""
        return self.prefix / MODULES_FOLDER


def find_tool(name: str) -> str | None:
    """A program on the path or beside this Python, where pip puts its own."""
    return shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


def what_is_missing() -> str | None:
    """The first thing that CMake needs to build an extension and this machine lacks, in words."""
    if not find_tool("cmake"):
        return "cmake"
    if sys.platform != "win32":  # there CMake finds Visual Studio by itself, on no path
        if not (os.environ.get("CXX") or find_tool("c++")):
            return "a C++ compiler, which CMake's project() looks for"
        if not (find_tool("ninja") or find_tool("make")):
            return "ninja or make"
    return None


def configure(source: Path, build: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run CMake's configuration of an extension with the stand-ins; the caller looks at the result."""
    cmake = find_tool("cmake")
    assert cmake is not None
    generator = ["-G", "Ninja"] if find_tool("ninja") else []
    command = [cmake, "-S", source, "-B", build, f"-DSlicer_DIR={SLICER_MACROS}", *generator, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def build_and_install(build: Path, prefix: Path) -> None:
    """Build a configured extension and install it; what CMake said is shown if it fails."""
    cmake = find_tool("cmake")
    for arguments in (["--build", build], ["--install", build, "--prefix", prefix]):
        done = subprocess.run([cmake, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
