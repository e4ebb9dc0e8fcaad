"""One writer at a time for a folder or a file, by a lock that ends with its process. Imports errors and the standard library.

Why not filelock: it would be one more package to install into Slicer for one call of the system; that a drive gives no locks, and that the
file goes with the lock, had to be dealt with here all the same.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import InputError, OutputError

# What a system says of a lock that somebody else holds; anything else is a lock that cannot be given at all.
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)


@contextmanager
def locked(lock_file: Path, what: str = "", keep: bool = True) -> Iterator[None]:
    """Hold the lock. However a process ends, the system takes its lock away.

    Args:
        lock_file: an empty file that is made if it is missing.
        what: another program writes, for the message; by default to the lock's folder.
        keep: whether the file stays.

    Raises:
        InputError: if another process holds it.
        OutputError: if the file cannot be made, or the drive gives no locks.
    """
    what = what or f"'{lock_file.parent}'"
    try:
        stream = open(lock_file, "ab")  # noqa: SIM115 - closed below, after the lock
    except OSError as exc:
        raise OutputError(f"Cannot write '{lock_file}': {exc.strerror or exc}.") from exc
    with stream:
        try:
            _lock(stream)
            if not _is_still(stream, lock_file):  # the holder removed it between our opening and locking
                raise BlockingIOError(errno.EAGAIN, "removed")
        except OSError as exc:
            if exc.errno in _HELD:
                raise InputError(f"Another program writes to {what} now. Wait until it is done, then try again.") from exc
            raise OutputError(
                f"The drive of '{lock_file.parent}' gives no file locks (the system says: {exc.strerror or exc}), so two programs could "
                "write there at once. Work on a local drive, or have file locks switched on for this network drive (NFS: mount it with "
                "'lock', start statd and lockd), then try again."
            ) from exc
        try:
            yield
        finally:
            if not keep:
                with suppress(OSError):  # Windows removes no file that is open; an empty one that stays does no harm
                    lock_file.unlink()


def _is_still(stream: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(stream: BinaryIO) -> None:
        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(stream: BinaryIO) -> None:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
