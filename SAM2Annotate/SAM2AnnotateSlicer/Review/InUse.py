"""InUse: marks files that this program writes, by locks that end with it, however it ends. Imports the standard library only."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from pathlib import Path
from typing import BinaryIO

_HELD: dict[Path, BinaryIO] = {}  # locks of this program, by lock file


class InUse:
    """The files that somebody of this program is at.

    Args:
        folder: where the locks go, which are empty files; all programs that share files share it.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._mine: set[Path] = set()

    def begin(self, path: Path) -> bool:
        """Mark a file; False if another program is at it. Where there are no locks, as on some network drives, nobody is at it."""
        lockFile = self._lockFile(path)
        if lockFile not in _HELD:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                stream = open(lockFile, "ab")  # noqa: SIM115 - kept open: the lock ends with it
            except OSError:
                return True
            if not _lock(stream):
                stream.close()
                return False
            _HELD[lockFile] = stream
        self._mine.add(lockFile)
        return True

    def elsewhere(self, path: Path) -> bool:
        """Whether another program is at a file."""
        lockFile = self._lockFile(path)
        if lockFile in _HELD or not lockFile.exists():
            return False
        free = self.begin(path)
        self.end(path)
        return not free

    def end(self, path: Path) -> None:
        """Mark a file no more."""
        self._end(self._lockFile(path))

    def endAll(self) -> None:
        """Mark nothing any more."""
        for lockFile in list(self._mine):
            self._end(lockFile)

    def _end(self, lockFile: Path) -> None:
        stream = _HELD.pop(lockFile, None) if lockFile in self._mine else None
        self._mine.discard(lockFile)
        if stream is not None:
            stream.close()
            with contextlib.suppress(OSError):  # another program may hold it by now; an empty file does no harm
                lockFile.unlink()

    def _lockFile(self, path: Path) -> Path:
        return self._folder / f"{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]}.lock"


if sys.platform == "win32":
    import msvcrt

    def _lock(stream: BinaryIO) -> bool:
        """Lock a file that is open; False if another program holds the lock."""
        stream.seek(0)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            return not isinstance(error, PermissionError)
        return True

else:
    import fcntl

    def _lock(stream: BinaryIO) -> bool:
        """Lock a file that is open; False if another program holds the lock."""
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return not isinstance(error, BlockingIOError | PermissionError)
        return True
