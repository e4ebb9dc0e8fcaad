"""Change many files of a folder together, or none of them, whenever the process is killed. Imports atomic_files, file_names, json_input,
file_locks, errors.

New files are first written whole into a staging folder beside the target (one file system, so that a rename moves them). Then a journal
says what is to be moved in and what to be removed: with that file the change is decided. Then it is carried out, and the staging folder
goes. Killed before the journal, the target is as it was; killed after, `recover` carries the rest out. Both are done by whoever opens the
target next: `finish_interrupted` for who writes, `settle_around` for who only reads.

A journal may be anybody's, as a data set is copied with what lies beside it. So it moves and removes nothing outside the target.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ...atomic_files import replaced_atomically, write_text_atomically
from ...errors import InputError, OutputError
from ...file_locks import locked
from ...file_names import inside
from ...json_input import Fields, is_text, read_json

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
        self.target, self.staging = _real(target), staging_folder(target)
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
        """Where to write the file that becomes `name` (relative, with ``/``), or another one, see `settle`.

        Raises:
            InputError: if the name leads out of the target.
            OutputError: if the folder for it cannot be made.
        """
        path = inside(self.staging, f"{_NEW}/{self._inside(name)}", "the change")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"Cannot write '{path}': {exc.strerror or exc}. Nothing was changed in '{self.target}'.") from exc
        self._put[name] = name
        return path

    def settle(self, placed: str, name: str) -> None:
        """Let a placed file become `name`, which was not known before."""
        self._put[placed] = self._inside(name)

    def write_text(self, name: str, text: str) -> None:
        """Stage a text file. Raises OutputError."""
        write_text_atomically(self.place(name), text)

    def copy(self, name: str, new_name: str) -> None:
        """Stage a copy of a file of the target under a new name. Raises OutputError."""
        with replaced_atomically(self.place(new_name)) as partial:
            shutil.copyfile(self.target / PurePosixPath(name), partial)

    def remove(self, name: str) -> None:
        """Let a file of the target be removed."""
        self._remove.add(self._inside(name))

    def _inside(self, name: str) -> str:
        inside(self.target, name, "the change")
        return name

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
    target = _real(target)
    return target.with_name(f".{target.name}.staging")


def lock_file(target: Path) -> Path:
    """The file beside `target` that a writer locks."""
    target = _real(target)
    return target.with_name(f".{target.name}.lock")


def finish_interrupted(target: Path) -> None:
    """Finish or take back a change of the target that was interrupted.

    Raises:
        InputError: if another program is in the midst of it, or what lies there is no change of this folder.
        OutputError: if it cannot be finished, such as where one may not write.
    """
    if os.path.lexists(staging_folder(target)):  # else nothing is written, so a data set can be read where nobody may write
        try:
            with locked(lock_file(target)):
                recover(target)
        except OutputError as exc:
            raise OutputError(
                f"An export into '{target}' was interrupted, so its files may not belong together, and it could not be finished: {exc}",
                f"Have it finished by who may write there: sam2annotate nnunet verify '{target}'.",
            ) from exc


def settle_around(path: str | Path) -> None:
    """For who reads a file or folder that may lie in a data set: finish a change of that data set which was interrupted.

    Raises:
        InputError, OutputError: as `finish_interrupted`: what lies there is a mixture, so nothing of it may be read.
    """
    path = Path(path).resolve()
    for folder in (path, *path.parents[:-1]):
        if folder.name:
            finish_interrupted(folder)


def recover(target: Path) -> None:
    """Carry out a decided change that was interrupted, or take away one that was not decided.

    Raises:
        InputError: if the journal is none, or names files outside the target; nothing was moved or removed.
        OutputError: if files cannot be moved; nothing is lost, and the next call goes on.
    """
    target, staging = _real(target), staging_folder(target)
    try:
        if staging.is_symlink():
            raise InputError(f"'{staging}' is a link, so it is no change of '{target}' that was interrupted. Remove it.")
        if (staging / _JOURNAL).is_file():
            _carry_out(target, staging)
        elif staging.exists():
            shutil.rmtree(staging)
    except OSError as exc:
        raise OutputError(
            f"The change of '{target}' is decided but could not be carried out to its end: {exc}. Make '{target}' writable, close "
            "programs that hold its files open, and open the data set again: it goes on there."
        ) from exc


def _carry_out(target: Path, staging: Path) -> None:
    put, remove = _read_journal(target, staging)
    for staged, final in put:
        if staged.exists():  # else it was moved before the interruption
            final.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(final)
    for path in remove:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in (*(final for _, final in put), *remove)}:
        _sync(folder)
    shutil.rmtree(staging)


def _read_journal(target: Path, staging: Path) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """What is to be moved, from where to where, and what to be removed; all of it checked before any of it is done."""
    what = f"the change in '{staging}'"
    fields = Fields(read_json(staging / _JOURNAL, "the change"), what)
    names = fields.object("put").values
    if not all(map(is_text, names.values())):
        raise InputError(f"The change in '{staging}' is damaged: 'put' should name a file for each file. Remove that folder.")
    put = [(inside(staging, f"{_NEW}/{placed}", what), inside(target, name, what)) for placed, name in names.items()]
    for staged, _ in put:
        if os.path.lexists(staged) and (staged.is_symlink() or not staged.is_file()):
            raise InputError(f"'{staged}' should be a file of an interrupted change, it is a link or a folder. Nothing was changed.")
    return put, [inside(target, name, what) for name in fields.texts("remove")]


def _real(target: Path) -> Path:
    """The folder itself where a link stands for it: changes are prepared beside it, on its own disk."""
    return target.resolve() if target.is_symlink() else target


def _sync(folder: Path) -> None:
    """Ask the system to put a folder's entries on the disk; not every system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
