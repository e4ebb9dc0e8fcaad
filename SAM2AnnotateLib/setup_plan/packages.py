"""The packages that a Python has, and the pins that keep pip from replacing them. Imports: standard library and atomic_files."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from ..atomic_files import write_text_atomically

# What pip accepts behind "==": epoch, release, pre-, post- and development release, local version.
_PINNABLE = re.compile(r"(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+([._-][a-z0-9]+)*)?", re.IGNORECASE)


@dataclass(frozen=True)
class InstalledPackage:
    """One package as its metadata on disk tell it.

    Args:
        name: canonical name: lower case, words joined by single hyphens.
        version: as published.
        complete: False if pip was stopped while it wrote the package; it believes such a package to be installed, and cannot remove it.
    """

    name: str
    version: str
    complete: bool = True


def canonical_name(name: str) -> str:
    """The name by which pip compares packages: ``Hydra_Core`` and ``hydra-core`` are one."""
    return re.sub(r"[-_.]+", "-", name).lower()


def release_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, without trailing zeros: ``2.10.0+cpu`` gives (2, 10)."""
    match = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def installed_packages(search_path: Sequence[str] | None = None) -> dict[str, InstalledPackage]:
    """Every package by its canonical name, read from disk anew at each call, so that what pip has just done is seen.

    Args:
        search_path: folders to look in, of which the first that has a package counts; None means `sys.path`.
    """
    found: dict[str, InstalledPackage] = {}
    for folder in sys.path if search_path is None else search_path:
        for package in _packages_in(Path(folder or ".")):
            found.setdefault(package.name, package)
    return found


def constraints_text(installed: Mapping[str, InstalledPackage]) -> str:
    """A constraints file that pins each complete package to its version: pip must fit in, or refuse.

    A version that pip could not read is left out; `replaced_packages` notices afterwards if such a package was touched.
    """
    pins = [f"{name}=={one.version}\n" for name, one in sorted(installed.items()) if one.complete and _PINNABLE.fullmatch(one.version)]
    return "# Installed before SAM2Annotate's set-up; not to be replaced.\n" + "".join(pins)


def write_constraints(path: str | Path, installed: Mapping[str, InstalledPackage]) -> Path:
    """Write `constraints_text` to a file. Raises OutputError."""
    write_text_atomically(path, constraints_text(installed))
    return Path(path)


def replaced_packages(before: Mapping[str, InstalledPackage], after: Mapping[str, InstalledPackage]) -> dict[str, tuple[str, str | None]]:
    """The packages that were complete before and are no longer as they were: old and new version by name; None means gone."""
    changed = {}
    for name, old in before.items():
        new = after.get(name)
        if old.complete and (new is None or new.version != old.version):
            changed[name] = (old.version, None if new is None else new.version)
    return changed


def _packages_in(folder: Path) -> Iterator[InstalledPackage]:
    if not folder.is_dir():  # an archive, or a folder that is not there
        return
    for info in sorted([*folder.glob("*.dist-info"), *folder.glob("*.egg-info")]):
        if info.name.startswith("~"):  # what pip could not delete; neither Python nor pip counts it
            continue
        headers = HeaderParser().parsestr(_metadata_of(info), headersonly=True)
        # A killed pip may leave the folder before anything is in it; its name holds what the metadata would.
        name, version = headers["Name"] or info.stem.split("-")[0], headers["Version"] or info.stem.partition("-")[2].split("-")[0]
        complete = info.suffix == ".egg-info" or (bool(headers["Name"]) and (info / "RECORD").is_file())  # pip writes RECORD last
        yield InstalledPackage(canonical_name(name), version, complete)


def _metadata_of(info: Path) -> str:
    """The headers of a package's metadata, or ""."""
    for file in (info / "METADATA", info / "PKG-INFO", info):
        try:
            return file.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
        except OSError:  # each kind of package has one of them
            continue
    return ""
