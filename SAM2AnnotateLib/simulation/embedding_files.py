"""EmbeddingFiles: embeddings on disk, so that the stages of a study encode a slice once. Imports errors and numpy."""

from __future__ import annotations

import secrets
import zipfile
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG

import numpy as np

from ..errors import OutputError


class EmbeddingFiles:
    """A folder with a file for each embedding. A file that is missing or damaged costs time, never a result.

    Args:
        folder: made if it is missing.
        limit_bytes: what all files may take; an embedding beyond is not kept. Processes that fill their folders at once do not see each
            other's files until they open the next, so they may go beyond it by as much as they write to one.
        shared: folder of such folders, whose files all count; None counts those in `folder` alone.

    Raises:
        OutputError: if the folder cannot be made.
    """

    def __init__(self, folder: Path, limit_bytes: int, shared: Path | None = None):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._left = limit_bytes - _bytes_in(folder if shared is None else shared)
        except OSError as exc:
            raise OutputError(f"Cannot keep embeddings in '{folder}': {exc.strerror or exc}.") from exc
        self._folder = folder

    def read(self, key: bytes) -> tuple[np.ndarray, ...] | None:
        """The arrays of an embedding; None if they are not here whole."""
        try:
            with open(self._folder / f"{key.hex()}.npz", "rb") as stream, np.load(stream) as stored:
                return tuple(stored[name] for name in stored.files)
        except (OSError, EOFError, ValueError, zipfile.BadZipFile):
            return None

    def write(self, key: bytes, arrays: tuple[np.ndarray, ...]) -> None:
        """Keep an embedding, if there is room."""
        size = sum(array.nbytes for array in arrays)
        if size > self._left:
            return
        partial = self._folder / f".{secrets.token_hex(4)}.partial"
        try:
            with open(partial, "wb") as stream:
                np.savez(stream, *arrays)
            partial.replace(self._folder / f"{key.hex()}.npz")
        except OSError:  # a full disk costs time, not work: the slice is encoded again when it is needed
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            self._left = 0
            return
        self._left -= size


def _bytes_in(folder: Path) -> int:
    """Size of all files in a folder and the folders in it."""
    total = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):  # another process has just given it its final name
            status = file.stat()
            total += status.st_size if S_ISREG(status.st_mode) else 0
    return total
