"""A folder that holds all files of a set-up for a computer without internet, and the list that says whether it is whole.

The list is ``manifest.json``: format version, Python version, system, and size and SHA-256 of every file. A folder put together by hand has
none; its packages are then as good as pip finds them, its weights are recognized by size and SHA-256 all the same. Imports: standard
library, errors, progress, atomic_files and the checkpoints of engine.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from ..atomic_files import replaced_atomically, write_text_atomically
from ..engine.models.checkpoints import CHECKPOINTS, Checkpoint, cache_folder, file_sha256
from ..errors import CheckpointError, InputError, OutputError
from ..file_names import is_plain_name
from ..json_input import Fields, read_json
from ..progress import CancelToken, Progress, ProgressCallback

MANIFEST = "manifest.json"
_VERSION = 1
_BLOCK_BYTES = 1 << 20
_PACKAGES = (".whl", ".tar.gz", ".zip")


@dataclass(frozen=True)
class ListedFile:
    """A file of the list: its name in the folder, length in bytes, SHA-256 in lower-case hexadecimal."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class OfflineFolder:
    """A folder of packages and weights.

    Args:
        path: where it is.
        python_version: major and minor version it was made for ("3.12"), or None if nothing says so.
        system: ``Linux``, ``Windows`` or ``Darwin``, or None.
        files: what it should hold, or None without a list.
    """

    path: Path
    python_version: str | None = None
    system: str | None = None
    files: tuple[ListedFile, ...] | None = None

    @classmethod
    def open(cls, path: str | Path, for_packages: bool = True) -> OfflineFolder:
        """Read the list of a folder.

        Args:
            path: the folder.
            for_packages: whether packages are to be installed from it here, so that Python and system must be this one's.

        Raises:
            InputError: if there is no such folder, its list cannot be read, or its packages are none or for another Python or system.
        """
        path = Path(path).absolute()
        if not path.is_dir():
            raise InputError(f"There is no folder '{path}'. Choose the one made with 'sam2annotate offline-folder'.")
        folder = cls._read(path) if (path / MANIFEST).is_file() else cls(path)
        if for_packages:
            folder._require_packages_for_here()
        return folder

    @classmethod
    def write_manifest(cls, path: str | Path, python_version: str, system: str) -> OfflineFolder:
        """List what a folder holds, hidden files aside. Raises OutputError."""
        path = Path(path).absolute()
        names = sorted(one.name for one in path.iterdir() if one.is_file() and one.name != MANIFEST and not one.name.startswith("."))
        files = tuple(ListedFile(name, (path / name).stat().st_size, file_sha256(path / name)) for name in names)
        content = {"version": _VERSION, "python": python_version, "system": system, "files": [asdict(one) for one in files]}
        write_text_atomically(path / MANIFEST, json.dumps(content, indent=1))
        return cls(path, python_version, system, files)

    def verify(self, progress: ProgressCallback | None = None, cancel: CancelToken | None = None) -> None:
        """Compare every file with the list; without a list there is nothing to compare.

        Args:
            progress: told the bytes that were read, after each file.
            cancel: asked before each file.

        Raises:
            InputError: if a file is missing, damaged, or a package that is not listed; pip might take that one.
            Cancelled: on request.
        """
        if self.files is None:
            return
        strange = sorted(set(self._packages_there()) - {one.name for one in self.files})
        if strange:
            raise InputError(f"'{self.path}' holds packages that its list does not name: {', '.join(strange)}. Remove them.")
        done, total = 0, sum(one.size_bytes for one in self.files)
        for one in self.files:
            if cancel is not None:
                cancel.raise_if_cancelled()
            self._verify_file(one)
            done += one.size_bytes
            if progress is not None:
                progress(Progress(done, total, "Checking the offline folder (bytes)"))

    def weights(self) -> list[tuple[Checkpoint, Path]]:
        """The known checkpoints that lie here, recognized by their length; `import_weights` checks the content."""
        known = {one.size_bytes: one for one in CHECKPOINTS.values() if one.url is not None and one.size_bytes is not None}
        files = (file for file in sorted(self.path.iterdir()) if file.is_file() and file.suffix == ".pt")
        return [(known[size], file) for file in files if (size := file.stat().st_size) in known]

    def import_weights(self, progress: ProgressCallback | None = None, cancel: CancelToken | None = None) -> list[Path]:
        """Copy the known checkpoints that lie here into the cache folder, each whole and checked, or not at all.

        Returns:
            The files in the cache folder, also those that were there before.

        Raises:
            CheckpointError: if a file has the length of a checkpoint and other content.
            OutputError: if the cache folder cannot be written.
            Cancelled: on request.
        """
        return [_import(checkpoint, file, progress, cancel or CancelToken()) for checkpoint, file in self.weights()]

    @classmethod
    def _read(cls, path: Path) -> OfflineFolder:
        try:
            content = Fields(read_json(path / MANIFEST, "the list"), "the list")
            version = content.whole("version")
            listed = [(one.text("name"), one.whole("size_bytes", 0), one.text("sha256")) for one in content.objects("files")]
            files = tuple(ListedFile(*one) for one in listed)
            python_version, system = content.text("python"), content.text("system")
        except InputError as exc:
            raise InputError(f"'{path / MANIFEST}' is damaged ({exc}). Copy or make the folder anew.") from exc
        if version != _VERSION:
            raise InputError(f"'{path / MANIFEST}' has format {version}, this SAM2Annotate reads {_VERSION}. Make the folder anew.")
        if not all(is_plain_name(one.name) for one in files):
            raise InputError(f"'{path / MANIFEST}' names files outside its folder. Do not use it; make the folder anew.")
        return cls(path, python_version, system, files)

    def _require_packages_for_here(self) -> None:
        if not self._packages_there():
            raise InputError(f"'{self.path}' holds no packages (.whl files). Choose the folder made with 'sam2annotate offline-folder'.")
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        if self.python_version not in (None, here):
            raise InputError(
                f"'{self.path}' was made for Python {self.python_version}, this is Python {here}. "
                f"Make it anew with 'sam2annotate offline-folder --python-version {here}'."
            )
        if self.system not in (None, platform.system()):
            raise InputError(
                f"'{self.path}' was made for {self.system}, this is {platform.system()}. Make it anew on a computer of this system."
            )

    def _packages_there(self) -> list[str]:
        return [one.name for one in self.path.iterdir() if one.name.endswith(_PACKAGES) and not one.name.startswith(".")]

    def _verify_file(self, listed: ListedFile) -> None:
        file = self.path / listed.name
        try:
            size = file.stat().st_size
            fault = f"has {size} bytes instead of {listed.size_bytes}" if size != listed.size_bytes else ""
            if not fault and file_sha256(file) != listed.sha256:
                fault = "has other content than when the folder was made"
        except OSError as exc:
            fault = f"cannot be read ({exc.strerror or exc})"
        if fault:
            raise InputError(f"The offline folder is damaged: '{file}' {fault}. Copy the folder anew, nothing was installed from it.")


def _import(checkpoint: Checkpoint, source: Path, progress: ProgressCallback | None, cancel: CancelToken) -> Path:
    target = cache_folder() / checkpoint.file_name
    if target.is_file() and target.stat().st_size == checkpoint.size_bytes and file_sha256(target) == checkpoint.sha256:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(target.parent).free
    except OSError as exc:
        raise OutputError(f"Cannot write to '{target.parent}': {exc.strerror or exc}.") from exc
    size = source.stat().st_size
    if size > free:
        raise OutputError(f"No room for '{target}': {size} bytes are needed, {free} are free.")
    digest, done = hashlib.sha256(), 0
    with replaced_atomically(target) as partial, open(source, "rb") as read, open(partial, "wb") as write:
        while block := read.read(_BLOCK_BYTES):
            cancel.raise_if_cancelled()
            digest.update(block)
            write.write(block)
            done += len(block)
            if progress is not None:
                progress(Progress(done, size, f"Copying {checkpoint.file_name} (bytes)"))
        if digest.hexdigest() != checkpoint.sha256:
            raise CheckpointError(
                f"'{source}' is not '{checkpoint.name}', or was altered: expected SHA-256 {checkpoint.sha256}, got {digest.hexdigest()}. "
                "Do not use it; get it again."
            )
        write.flush()
        os.fsync(write.fileno())
    return target
