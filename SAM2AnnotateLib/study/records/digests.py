"""SHA-256 of files, remembered by size and time of change. Imports json_input, errors, plain_json."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ...errors import InputError, OutputError
from ...json_input import parse_json
from .plain_json import sha256_of

_BLOCK_BYTES = 1 << 20


class FileDigests:
    """Digests of files, each read once until it changes.

    Args:
        cache_file: remembers them, a line of JSON each; one that is damaged or missing costs time only.
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
        self._known[str(path)] = [*stamp, digest.hexdigest()]
        self._append([str(path), *stamp, digest.hexdigest()])
        return digest.hexdigest()

    def _append(self, entry: list) -> None:
        """Add a line: however many files there are, each costs the same. Lines of several processes do not mix."""
        try:
            with open(self._file, "ab") as file:
                file.write(json.dumps(entry).encode() + b"\n")
        except OSError as exc:
            raise OutputError(f"Cannot write '{self._file}': {exc.strerror or exc}.") from exc

    def _stored(self) -> dict[str, list]:
        try:
            lines = self._file.read_bytes().splitlines()
        except OSError:
            return {}
        found: dict[str, list] = {}
        for line in lines:
            try:
                entry = parse_json(line, "a digest")
            except InputError:  # cut off by a crash
                continue
            if isinstance(entry, list) and len(entry) == 4 and all(map(isinstance, entry, (str, int, int, str))):
                found[entry[0]] = entry[1:]
        return found
