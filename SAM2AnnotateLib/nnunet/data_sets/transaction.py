"""Change many files of a folder together, or none of them, whenever the process is killed. Imports atomic_files, errors.

New files are first written whole into a staging folder beside the target (one file system, so that a rename moves them). Then a journal
says what is to be moved in and what to be removed: with that file the change is decided. Then it is carried out, and the staging folder
goes. Killed before the journal, the target is as it was; killed after, `recover` carries the rest out. Both are done by whoever opens the
target next.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ...atomic_files import replaced_atomically, write_text_atomically
from ...errors import OutputError

_JOURNAL = "journal.json"
_NEW = "new"


class FolderTransaction:
    """A change in preparation. A context manager: nothing has happened unless `commit` was called.

    Args:
        target: the folder; it need not exist yet. Its parent does.

    Raises:
        OutputError: if the staging folder cannot be made.
    """

    def __init__(self, target: Path):
        self.target, self.staging = target, staging_folder(target)
        self._put: dict[str, str] = {}  # final name by staged name
        self._remove: set[str] = set()

    def __enter__(self) -> FolderTransaction:
        recover(self.target)
        try:
            (self.staging / _NEW).mkdir(parents=True)
        except OSError as exc:
            raise OutputError(f"Cannot write beside '{self.target}': {exc.strerror or exc}. Nothing was changed there.") from exc
        return self

    def __exit__(self, *_: object) -> None:
        if not (self.staging / _JOURNAL).exists():
            shutil.rmtree(self.staging, ignore_errors=True)

    def place(self, name: str) -> Path:
        """Where to write the file that becomes `name` (relative, with ``/``), or another one, see `settle`. Raises OutputError."""
        path = self.staging / _NEW / PurePosixPath(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"Cannot write '{path}': {exc.strerror or exc}. Nothing was changed in '{self.target}'.") from exc
        self._put[name] = name
        return path

    def settle(self, placed: str, name: str) -> None:
        """Let a placed file become `name`, which was not known before."""
        self._put[placed] = name

    def write_text(self, name: str, text: str) -> None:
        """Stage a text file. Raises OutputError."""
        write_text_atomically(self.place(name), text)

    def copy(self, name: str, new_name: str) -> None:
        """Stage a copy of a file of the target under a new name. Raises OutputError."""
        with replaced_atomically(self.place(new_name)) as partial:
            shutil.copyfile(self.target / PurePosixPath(name), partial)

    def remove(self, name: str) -> None:
        """Let a file of the target be removed."""
        self._remove.add(name)

    def commit(self) -> None:
        """Carry the change out.

        Raises:
            OutputError: if it could not be decided (nothing has changed), or not be carried out to its end (opening the folder does it).
        """
        for folder in {path.parent for path in (self.staging / _NEW).rglob("*")}:
            _sync(folder)
        content = {"put": self._put, "remove": sorted(self._remove - set(self._put.values()))}
        write_text_atomically(self.staging / _JOURNAL, json.dumps(content))
        _sync(self.staging)
        recover(self.target)


def staging_folder(target: Path) -> Path:
    """The folder beside `target` that holds a change not carried out yet."""
    return target.with_name(f".{target.name}.staging")


def recover(target: Path) -> None:
    """Carry out a decided change that was interrupted, or take away one that was not decided.

    Raises:
        OutputError: if files cannot be moved; nothing is lost, and the next call goes on.
    """
    staging = staging_folder(target)
    try:
        if (staging / _JOURNAL).is_file():
            _carry_out(target, staging)
        elif staging.exists():
            shutil.rmtree(staging)
    except (OSError, ValueError, KeyError, AttributeError) as exc:
        raise OutputError(
            f"The change of '{target}' is decided but could not be carried out to its end: {exc}. Make '{target}' writable, close "
            "programs that hold its files open, and open the data set again: it goes on there."
        ) from exc


def _carry_out(target: Path, staging: Path) -> None:
    content = json.loads((staging / _JOURNAL).read_text(encoding="utf-8"))
    for placed, name in content["put"].items():
        staged, final = staging / _NEW / PurePosixPath(placed), target / PurePosixPath(name)
        if staged.exists():  # else it was moved before the interruption
            final.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(final)
    for name in content["remove"]:
        (target / PurePosixPath(name)).unlink(missing_ok=True)
    for folder in {(target / PurePosixPath(name)).parent for name in (*content["put"].values(), *content["remove"])}:
        _sync(folder)
    shutil.rmtree(staging)


def _sync(folder: Path) -> None:
    """Ask the system to put a folder's entries on the disk; not every system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
