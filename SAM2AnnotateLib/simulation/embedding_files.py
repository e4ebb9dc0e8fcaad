"""EmbeddingFiles: embeddings on disk, so that the stages of a study encode a slice once. Imports errors and numpy."""

from __future__ import annotations

import secrets
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..errors import OutputError


class EmbeddingFiles:
    """A folder with a file for each embedding. A file that is missing or damaged costs time, never a result.

    Args:
        folder: made if it is missing.
        limit_bytes: what all files in it may take; an embedding beyond is not kept.

    Raises:
        OutputError: if the folder cannot be made.
    """

    def __init__(self, folder: Path, limit_bytes: int):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._left = limit_bytes - sum(file.stat().st_size for file in folder.iterdir())
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
