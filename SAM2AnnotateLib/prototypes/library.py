"""PrototypeLibrary: a plain folder of prototypes, one folder an object, one folder a case in it. Imports the files beside it, and errors.

::

    LIBRARY/
      hippo/                    the object's name
        adapter.safetensors     what was learned on its cases, if it was
        case_1/
          card.json             what the pictures are of: spacing, plane, gray; and what the files' content is
          picture_0012.png      a slice, gray as the model is shown it
          mask_0012.png         the object on it, white
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..engine import Adapter
from ..errors import InputError, OutputError
from ..file_locks import locked
from ..file_names import require_plain_name
from ..leftovers import owned_token, remove_leftovers
from .case_files import read_case, write_case
from .prototype import Prototype

ADAPTER_FILE = "adapter.safetensors"
_CASE = re.compile(r"case_([1-9]\d{0,5})")


def default_library_folder() -> Path:
    """The user's own library: what SAM2ANNOTATE_PROTOTYPES names, else a folder beside other programs' data.

    Raises:
        OutputError: if the user has no home folder and the variable is not set.
    """
    chosen = os.environ.get("SAM2ANNOTATE_PROTOTYPES")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        if sys.platform == "win32":
            local = os.environ.get("LOCALAPPDATA")
            return (Path(local) if local else Path.home() / "AppData" / "Local") / "SAM2Annotate" / "Prototypes"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Application Support" / "SAM2Annotate" / "Prototypes"
        xdg = Path(os.environ.get("XDG_DATA_HOME", ""))
        return (xdg if xdg.is_absolute() else Path.home() / ".local" / "share") / "sam2annotate" / "prototypes"
    except RuntimeError as exc:
        raise OutputError(f"No folder for prototypes: {exc} Name one in the environment variable SAM2ANNOTATE_PROTOTYPES.") from exc


class PrototypeLibrary:
    """Prototypes by the name of their object, in a folder. Every file is checked when it is read.

    Args:
        folder: need not exist yet; by default the user's own.
    """

    def __init__(self, folder: str | Path | None = None):
        self.folder = default_library_folder() if folder is None else Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"The library '{self.folder}' is no folder. Name a folder, which may be new.")

    def names(self) -> list[str]:
        """Names of the objects that there are prototypes of, sorted."""
        return sorted(folder.name for folder in _folders(self.folder) if self._case_numbers(folder))

    def prototypes(self, name: str) -> list[Prototype]:
        """All prototypes of an object, in the order in which they were added, each with the adapter if there is one.

        Raises:
            InputError: if there is none of this name, or a file is damaged, foreign or was changed by hand.
        """
        folder = self._existing(name)
        adapter = self.adapter(name)
        return [replace(read_case(folder / f"case_{number}", folder.name), adapter=adapter) for number in self._case_numbers(folder)]

    def adapter(self, name: str) -> Adapter | None:
        """What was learned on the object's prototypes; None if nothing was. Raises CheckpointError if the file is damaged."""
        path = self._existing(name) / ADAPTER_FILE
        if not path.exists() and not path.is_symlink():
            return None
        _require_own(path)
        return Adapter.load(path)

    def has_adapter(self, name: str) -> bool:
        """Whether something was learned on the object's prototypes; its file is not read."""
        return (self._existing(name) / ADAPTER_FILE).exists()

    def case_numbers(self, name: str) -> list[int]:
        """Numbers of the object's cases, rising, in the order of `prototypes`. Raises InputError if there is none of this name."""
        return self._case_numbers(self._existing(name))

    def damaged(self, name: str) -> list[int]:
        """Numbers of the cases that cannot be read, as a file of them is damaged, foreign or was changed by hand; all are read for it."""
        folder = self._existing(name)
        return [number for number in self._case_numbers(folder) if not _is_whole(folder / f"case_{number}", folder.name)]

    def add(self, prototype: Prototype) -> int:
        """Keep a prototype beside others of its name. It appears whole or not at all.

        Returns:
            How many prototypes of this name there are now.

        Raises:
            InputError: if another name differs from this one in capital letters only.
            OutputError: if it cannot be written.
        """
        name = require_plain_name(prototype.name, "the prototype")
        with self._changing():
            for other in _folders(self.folder):
                if other.name != name and other.name.casefold() == name.casefold():
                    raise InputError(f"There are prototypes of '{other.name}': '{name}' differs in capital letters only. Use that name.")
            folder = self.folder / name
            _require_own(folder)
            partial = self.folder / f".{owned_token()}.partial"
            try:
                write_case(prototype, partial)
                folder.mkdir(exist_ok=True)
                numbers = self._case_numbers(folder)
                partial.rename(folder / f"case_{max(numbers, default=0) + 1}")
            except OSError as exc:
                raise OutputError(f"Cannot write the prototype into '{folder}': {exc.strerror or exc}. Nothing was changed there.") from exc
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            return len(numbers) + 1

    def keep_adapter(self, name: str, adapter: Adapter | None) -> None:
        """Keep what was learned on an object's prototypes, in place of what was learned before; None forgets that."""
        path = self._existing(name) / ADAPTER_FILE
        with self._changing():
            if adapter is not None:
                adapter.save(path)
            else:
                path.unlink(missing_ok=True)

    def remove(self, name: str, case: int | None = None) -> None:
        """Remove all prototypes of an object, or one of them. What was learned on it goes with the last one.

        Raises:
            InputError: if there is none such.
            OutputError: if it cannot be removed.
        """
        folder = self._existing(name)
        with self._changing():
            numbers = self._case_numbers(folder)
            if case is not None and case not in numbers:
                raise InputError(f"There is no case {case} of '{name}': there are {', '.join(map(str, numbers))}.")
            gone = folder if case is None or numbers == [case] else folder / f"case_{case}"
            partial = self.folder / f".{owned_token()}.partial"
            try:
                gone.rename(partial)
                shutil.rmtree(partial)
            except OSError as exc:
                raise OutputError(f"Cannot remove '{gone}': {exc.strerror or exc}.") from exc

    def _existing(self, name: str) -> Path:
        require_plain_name(name, "the prototype")
        folder = self.folder / name
        known = self.names()
        if name not in known:
            there = f"It holds: {', '.join(known[:20])}." if known else "It is empty."
            raise InputError(f"There is no prototype '{name}' in '{self.folder}'. {there}")
        _require_own(folder)
        return folder

    @contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"Cannot make the library '{self.folder}': {exc.strerror or exc}.") from exc
        with locked(self.folder / ".lock", f"the library '{self.folder}'"):
            remove_leftovers(self.folder)
            yield

    @staticmethod
    def _case_numbers(folder: Path) -> list[int]:
        found = (_CASE.fullmatch(one.name) for one in _folders(folder))
        return sorted(int(match[1]) for match in found if match)


def _is_whole(case: Path, name: str) -> bool:
    try:
        read_case(case, name)
    except InputError:
        return False
    return True


def _folders(folder: Path) -> list[Path]:
    try:
        return [one for one in folder.iterdir() if one.is_dir() and not one.name.startswith(".")]
    except OSError:
        return []


def _require_own(path: Path) -> None:
    """Raise InputError if a name in the library is a link: it may lead anywhere."""
    if path.is_symlink():
        raise InputError(f"'{path}' is a link, which may lead out of the library. Put what it links to in its place.")
