"""SHA-256 of files, remembered by size and time of change. Imports atomic_files, errors and the standard library."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ...atomic_files import write_text_atomically
from ...errors import InputError
from .plain_json import sha256_of

_BLOCK_BYTES = 1 << 20


class FileDigests:
    """Digests of files, each read once until it changes.

    Args:
        cache_file: JSON file that remembers them; one that is damaged or missing costs time only.
    """

    def __init__(self, cache_file: Path):
        self._file = cache_file
        self._known = self._stored()
        self._checked: dict[Path, str] = {}

    def digest(self, path: Path) -> str:
        """SHA-256 of a file; of a folder, that of the names and digests of the files in it.

        A file is looked at once in the life of this object, so that what is asked many times stays cheap and one run sees one state.

        Raises:
            InputError: if it is missing or cannot be read.
        """
        path = path.absolute()
        if path not in self._checked:
            try:
                self._checked[path] = self._of_folder(path) if path.is_dir() else self._of_file(path)
            except OSError as exc:
                raise InputError(f"Cannot read '{path}': {exc.strerror or exc}.") from exc
        return self._checked[path]

    def _of_folder(self, folder: Path) -> str:
        return sha256_of([[path.name, self._of_file(path)] for path in sorted(folder.iterdir()) if path.is_file()])

    def _of_file(self, path: Path) -> str:
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns]
        known = self._known.get(str(path))
        if known is not None and known[:2] == stamp:
            return str(known[2])
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
        # Another process may have added files meanwhile. What is lost if both write at once is only a file that is read again.
        self._known = {**self._stored(), **self._known, str(path): [*stamp, digest.hexdigest()]}
        write_text_atomically(self._file, json.dumps(self._known, indent=1, sort_keys=True) + "\n")
        return digest.hexdigest()

    def _stored(self) -> dict[str, list]:
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        entries = content.items() if isinstance(content, dict) else ()
        return {path: entry for path, entry in entries if isinstance(entry, list) and len(entry) == 3}
