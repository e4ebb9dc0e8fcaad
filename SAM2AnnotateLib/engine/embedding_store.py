"""EmbeddingStore: encoded slices, kept within a stated amount of memory. Imports engine and the standard library."""

from __future__ import annotations

import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path

import numpy as np

from ..errors import InputError, OutputError
from ..leftovers import temporary_folder
from .engine import Embedding

DEFAULT_LIMIT_BYTES = 2 * 1024**3


class EmbeddingStore:
    """Keeps embeddings by key, least recently used ones leave first.

    One store serves all objects, directions and corrections on a volume. The newest embedding always stays, even if it alone is over the
    limit.

    Args:
        limit_bytes: memory that the embeddings may take together.
        spill_folder: where embeddings that leave memory are written, to be read back instead of encoded again; None drops them. Files go
            to a folder of their own in it, which `close` removes.

    Example:
        >>> store = EmbeddingStore(limit_bytes=64)
        >>> store.get("slice 0", lambda: Embedding((np.zeros(4),))).nbytes
        32
        >>> store.encoded, store.hits
        (1, 0)
    """

    def __init__(self, limit_bytes: int = DEFAULT_LIMIT_BYTES, spill_folder: str | Path | None = None):
        if limit_bytes < 0:
            raise InputError(f"The memory limit for embeddings must not be negative, got {limit_bytes}.")
        self.limit_bytes = int(limit_bytes)
        self.nbytes = 0
        self.encoded = self.hits = self.spilled = self.read_back = self.dropped = 0
        self._kept: OrderedDict[Hashable, Embedding] = OrderedDict()
        self._files: dict[Hashable, Path] = {}
        self._folder: tempfile.TemporaryDirectory | None = None
        if spill_folder is not None:
            try:
                self._folder = temporary_folder("embeddings", spill_folder)
            except OSError as exc:
                raise OutputError(f"Cannot spill embeddings to '{spill_folder}': {exc.strerror}.") from exc

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept or key in self._files

    def get(self, key: Hashable, encode: Callable[[], Embedding]) -> Embedding:
        """The embedding of `key`: from memory, from disk, or made by `encode`."""
        if key in self._kept:
            self.hits += 1
            self._kept.move_to_end(key)
            return self._kept[key]
        embedding = self._read_back(key)
        if embedding is None:
            embedding = encode()
            self.encoded += 1
        self._kept[key] = embedding
        self.nbytes += embedding.nbytes
        self._shrink()
        return embedding

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self.nbytes = 0
        for file in self._files.values():
            file.unlink(missing_ok=True)
        self._files.clear()

    def close(self) -> None:
        """Forget everything and remove the folder on disk. A spill folder that is not closed goes when Python ends."""
        self.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _read_back(self, key: Hashable) -> Embedding | None:
        if key not in self._files:
            return None
        try:
            with open(self._files[key], "rb") as stream, np.load(stream) as stored:
                embedding = Embedding(tuple(stored[name] for name in stored.files))
        except (OSError, EOFError, ValueError, zipfile.BadZipFile):  # removed or damaged: encoded again, as if never spilled
            self._files.pop(key).unlink(missing_ok=True)
            return None
        self.read_back += 1
        return embedding

    def _shrink(self) -> None:
        while self.nbytes > self.limit_bytes and len(self._kept) > 1:
            key, embedding = self._kept.popitem(last=False)
            self.nbytes -= embedding.nbytes
            if self._folder is None:
                self.dropped += 1
            elif key not in self._files:
                self._spill(key, embedding, Path(self._folder.name))

    def _spill(self, key: Hashable, embedding: Embedding, folder: Path) -> None:
        file = folder / f"{self.spilled}.npz"
        try:
            with open(file, "wb") as stream:
                np.savez(stream, *embedding.arrays)
        except OSError:  # a full disk costs speed, not work: the slice is encoded again when it is needed
            file.unlink(missing_ok=True)
            self.dropped += 1
            return
        self._files[key] = file
        self.spilled += 1
