"""A note on disk that a set-up is under way, so that it goes on after a crash or the restart that Slicer may need.

A plan made anew says what remains. What it cannot say is which half-written packages are the set-up's own to repair, and what the user
chose; that is noted here. Imports: standard library, atomic_files and the cache folder of engine.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ..atomic_files import write_text_atomically
from ..engine.models.checkpoints import cache_folder
from ..errors import InputError, OutputError
from ..json_input import Fields, read_json
from .packages import InstalledPackage

_FILE_NAME = "set-up.json"
_VERSION = 1
_THIS_SESSION = secrets.token_hex(8)  # another one after each start of the program


@dataclass(frozen=True)
class ResumeMarker:
    """A set-up that was begun and not finished.

    Args:
        python_folder: where its packages go; another Slicer's set-up is none of ours.
        installed_before: canonical names of the complete packages that were there when it began.
        offline_folder: where its files come from, or None.
        step: title of the step it was at, to show.
        restart_needed: whether Slicer must be restarted before it can go on.
        session: which run of the program wrote this.
    """

    python_folder: str
    installed_before: tuple[str, ...]
    offline_folder: str | None = None
    step: str = ""
    restart_needed: bool = False
    session: str = _THIS_SESSION

    @property
    def restart_pending(self) -> bool:
        """Whether a restart is needed and has not happened."""
        return self.restart_needed and self.session == _THIS_SESSION

    def interrupted_packages(self, installed: Mapping[str, InstalledPackage]) -> list[str]:
        """Names of half-written packages that this set-up left behind."""
        return sorted(name for name, package in installed.items() if not package.complete and name not in self.installed_before)

    def write(self) -> Path:
        """Note it, replacing an earlier note. Raises OutputError."""
        path = _path()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"Cannot create the folder '{path.parent}': {exc.strerror or exc}.") from exc
        write_text_atomically(path, json.dumps({"version": _VERSION, **asdict(self)}, indent=1))
        return path

    @classmethod
    def read(cls, python_folder: str) -> ResumeMarker | None:
        """The note of this Python's set-up, or None if there is none that can be read."""
        try:
            fields = Fields(read_json(_path(), "the note"), "the note")
            if fields.whole("version") != _VERSION or fields.text("python_folder") != python_folder:
                return None
            folder = None if fields.values.get("offline_folder") is None else fields.text("offline_folder")
            restart, session = fields.flag("restart_needed", False), fields.text("session", "")
            return cls(python_folder, tuple(fields.texts("installed_before")), folder, fields.text("step", ""), restart, session)
        except InputError:
            return None  # a note that cannot be read costs nothing: the plan is made from what is installed

    @staticmethod
    def clear() -> None:
        """Remove the note. Raises OutputError."""
        try:
            _path().unlink(missing_ok=True)
        except OSError as exc:
            raise OutputError(f"Cannot remove '{_path()}': {exc.strerror or exc}.") from exc


def _path() -> Path:
    return cache_folder() / _FILE_NAME
