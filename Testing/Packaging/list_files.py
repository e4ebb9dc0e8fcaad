"""Keeps the file lists of the module's and the library's CMakeLists.txt equal to what lies on the disk. Imports the standard library only.

    python3 Testing/Packaging/list_files.py --check     says what differs; exit code 1 if anything does
    python3 Testing/Packaging/list_files.py --write     rewrites the lists

Slicer packages only listed files, and refuses to configure when a listed one is missing.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class PackagedFolder:
    """A folder with a CMakeLists.txt that lists what of it is packaged, in ``<name>_PYTHON_SCRIPTS`` and ``<name>_PYTHON_RESOURCES``.

    Args:
        name: of the folder, below the repository.
        not_packaged: names of files at its top that are for developers.
    """

    name: str
    not_packaged: frozenset[str] = frozenset({"CMakeLists.txt"})

    def files_on_disk(self, root: Path) -> list[str]:
        """Paths relative to the folder, with forward slashes, sorted."""
        folder = root / self.name
        found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return sorted(path.as_posix() for path in found if not _is_by_product(path) and path.as_posix() not in self.not_packaged)

    def lists_of(self, files: Sequence[str]) -> dict[str, list[str]]:
        """The CMake variables and what each should hold."""
        scripts = [file for file in files if file.endswith(".py")]
        resources = [file for file in files if not file.endswith(".py")]
        return {f"{self.name}_PYTHON_SCRIPTS": scripts, f"{self.name}_PYTHON_RESOURCES": resources}


PACKAGED_FOLDERS = (
    # Its README tells developers about the folder; Slicer would put it beside every other extension's modules.
    PackagedFolder("SAM2Annotate", frozenset({"CMakeLists.txt", "README.md"})),
    PackagedFolder("SAM2AnnotateLib"),
)


def _is_by_product(path: Path) -> bool:
    """Whether a program left this file: compiled Python, an editor's or an interrupted write's hidden file."""
    return path.suffix == ".pyc" or any(part == "__pycache__" or part.startswith(".") for part in path.parts)


def _block_of(variable: str, cmake_text: str) -> re.Match[str]:
    block = re.search(rf"^set\({variable}\n((?:  \S+\n)*?)  \)$", cmake_text, flags=re.MULTILINE)
    if block is None:
        raise ValueError(f"Expected 'set({variable}', one file a line, then '  )' on a line of its own; found no such block.")
    return block


def listed_files(variable: str, cmake_text: str) -> list[str]:
    """The files that a CMakeLists.txt lists under a variable.

    Raises:
        ValueError: there is no list of that name, or not one file a line.
    """
    return _block_of(variable, cmake_text)[1].split()


def with_list(variable: str, files: Sequence[str], cmake_text: str) -> str:
    """The text of a CMakeLists.txt with another list under a variable; ValueError as `listed_files`."""
    start, end = _block_of(variable, cmake_text).span(1)
    return cmake_text[:start] + "".join(f"  {file}\n" for file in files) + cmake_text[end:]


def differences(root: Path) -> list[str]:
    """What the lists lack and what they have too much, one sentence each; empty if they are right."""
    found = []
    for folder in PACKAGED_FOLDERS:
        path = root / folder.name / "CMakeLists.txt"
        for variable, expected in folder.lists_of(folder.files_on_disk(root)).items():
            listed = listed_files(variable, path.read_text(encoding="utf-8"))
            found += [f"{folder.name}/{file} exists and is not listed in {variable}." for file in expected if file not in listed]
            found += [f"{folder.name}/{file} is listed in {variable} and does not belong there." for file in listed if file not in expected]
            found += [f"{folder.name}/{file} is listed twice in {variable}." for file in sorted({*listed}) if listed.count(file) > 1]
    return found


def write_lists(root: Path) -> None:
    """Make every list what the disk says."""
    for folder in PACKAGED_FOLDERS:
        path = root / folder.name / "CMakeLists.txt"
        text = path.read_text(encoding="utf-8")
        for variable, files in folder.lists_of(folder.files_on_disk(root)).items():
            text = with_list(variable, files, text)
        path.write_text(text, encoding="utf-8", newline="\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description="Compare CMake's file lists with the disk, or rewrite them.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="say what differs; exit code 1 if anything does")
    action.add_argument("--write", action="store_true", help="rewrite the lists")
    options = parser.parse_args(arguments)
    if options.write:
        write_lists(ROOT)
    found = differences(ROOT)
    if found:
        sys.stderr.write("\n".join(found) + "\nRun list_files.py --write and look at what it changed.\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
