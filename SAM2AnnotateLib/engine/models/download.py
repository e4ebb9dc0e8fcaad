"""Fetch the weights of a model over HTTP, and go on where an earlier attempt stopped. Imports: standard library, errors and neighbors.

What arrives is kept in ``<file>.part`` beside the target, and the server's name for that version of the file (its ETag) in
``<file>.part.version``. Bytes are added to a part only if the server confirms that very version; otherwise the part starts anew.
The target appears at the end, whole and checked.

Why not a library: pooch does not go on with a part, huggingface_hub does so for addresses of its own hub only, and httpx leaves all of it
to the caller. Slicer would have to install them first, and what a hospital's proxy answers still had to be said in our words.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO

from ... import __version__
from ...atomic_files import write_text_atomically
from ...errors import CheckpointError, DownloadError, OutputError
from ...progress import CancelToken, Progress, ProgressCallback
from .checkpoints import Checkpoint, cache_folder, require_local_file, verify_file

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


TIMEOUT_S = 30.0  # longest wait for a connection, and for the next bytes
_BLOCK_BYTES = 1 << 18
_REPORT_EVERY_BYTES = 1 << 20


def download_checkpoint(
    checkpoint: Checkpoint,
    folder: str | Path | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
    opener: urllib.request.OpenerDirector | None = None,
) -> Path:
    """Get the file of a checkpoint: at once if a good one is there, else from its URL.

    An existing file of wrong content is replaced, at the end and only by a good one. Weights without a URL are only checked.

    Args:
        checkpoint: what to get.
        folder: where to put it; created if missing. None means `cache_folder()`.
        progress: told the bytes that are there, at the start, about once in a mebibyte, and at the end.
        cancel: asked before each block.
        opener: makes the connections; None means urllib's own, which honors the proxy settings of the system.

    Returns:
        Path of the complete file.

    Raises:
        DownloadError: if the file cannot be fetched, or another process is fetching it. What arrived is kept, and the next call goes on.
        CheckpointError: if what arrived has the wrong size or SHA-256 (it is removed), or if weights without a URL are missing or bad.
        OutputError: if the folder cannot be written or the disk is full.
        Cancelled: if the user stopped it. What arrived is kept.
    """
    if checkpoint.url is None:
        path = require_local_file(checkpoint)
        verify_file(checkpoint, path)
        return path
    target = (cache_folder() if folder is None else Path(folder)) / checkpoint.file_name
    transfer = _Transfer(checkpoint, checkpoint.url, target)
    if not transfer.is_done():
        with transfer.one_process_only():
            if not transfer.is_done():  # another process may have finished it meanwhile
                _receive(transfer, progress or (lambda _: None), cancel or CancelToken(), opener or urllib.request.build_opener())
                _accept(transfer)
    return target


@dataclass(frozen=True)
class _Transfer:
    """One checkpoint on its way from `url` to `target`: the files beside it, and its failures in the words of the library."""

    checkpoint: Checkpoint
    url: str
    target: Path

    @property
    def part(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    @property
    def version_file(self) -> Path:
        return self.target.with_name(self.target.name + ".part.version")

    def is_done(self) -> bool:
        """Whether the target is there and good."""
        with self.disk():
            if not self.target.is_file():
                return False
        try:
            verify_file(self.checkpoint, self.target)
        except CheckpointError:
            return False
        return True

    def kept(self) -> tuple[int, str]:
        """Bytes that a new attempt can go on from, and their version; (0, "") if there are none or their version is not known."""
        if not self.part.is_file() or not self.version_file.is_file():
            return 0, ""
        version = self.version_file.read_text(encoding="utf-8", errors="replace")
        usable = version and version.isascii() and version.isprintable()  # it is sent back in a header
        return (self.part.stat().st_size, version) if usable else (0, "")

    @contextmanager
    def one_process_only(self) -> Iterator[None]:
        """Hold the lock on this download.

        It is a lock of the operating system, which ends with the process however that ends, so no lock is ever stale. The empty lock
        file stays: removing it would let a third process lock a new file of that name while a second holds the old one.
        """
        with self.disk():
            self.target.parent.mkdir(parents=True, exist_ok=True)
        with self.opened(self.target.with_name(f".{self.target.name}.lock"), "ab") as file:
            try:
                _lock(file)
            except (BlockingIOError, PermissionError) as exc:
                raise DownloadError(f"'{self.target.name}' is already being downloaded. Wait until that is done, or stop it.") from exc
            except OSError as exc:
                raise OutputError(f"Cannot lock '{file.name}': {exc.strerror or exc}. Choose a folder on a local disk.") from exc
            yield

    def opened(self, path: Path, mode: str) -> IO[bytes]:
        """An unbuffered file, so that a full disk is noticed where it is written to."""
        with self.disk():
            return open(path, mode, buffering=0)

    @contextmanager
    def disk(self) -> Iterator[None]:
        """Turn a failure of the disk into OutputError."""
        try:
            yield
        except OSError as exc:
            raise OutputError(
                f"Cannot write '{self.target.name}' in {self.target.parent}: {exc.strerror or exc}. "
                "Make room, or choose another folder (environment variable SAM2ANNOTATE_CACHE)."
            ) from exc

    @contextmanager
    def network(self) -> Iterator[None]:
        """Turn a failure of the network into DownloadError."""
        try:
            yield
        except urllib.error.HTTPError as exc:
            exc.close()
            raise self.failure(f"the server answered {exc.code} {exc.reason}") from exc
        except (OSError, http.client.HTTPException) as exc:
            cause = exc.reason if isinstance(exc, urllib.error.URLError) else exc
            if isinstance(cause, TimeoutError):
                raise self.failure(f"the server was silent for {TIMEOUT_S:g} s") from exc
            raise self.failure(f"no connection, or it broke ({getattr(cause, 'strerror', None) or cause})") from exc

    def failure(self, reason: str) -> DownloadError:
        kept, _ = self.kept()
        again = f"{kept} bytes are kept and the next attempt goes on from there" if kept else "Try again later"
        return DownloadError(
            f"Cannot download '{self.checkpoint.name}': {reason}. {again}; or install it by hand: "
            f"save {self.url} as {self.target.name} in {self.target.parent}."
        )


def _receive(transfer: _Transfer, report: ProgressCallback, cancel: CancelToken, opener: urllib.request.OpenerDirector) -> None:
    """Bring the part to its full length."""
    expected = transfer.checkpoint.size_bytes
    what = f"Downloading {transfer.target.name} (bytes)"
    cancel.raise_if_cancelled()
    with transfer.disk():
        kept, version = transfer.kept()
    with transfer.network():
        response, kept = _ask(transfer.url, kept, version, opener)
    if response is None:
        return
    with response:
        if response.status != (206 if kept else 200):
            raise transfer.failure(f"expected the file, the server answered {response.status} {response.reason}")
        length = response.headers.get("Content-Length", "")
        total = _range_total(response.headers) if kept else int(length) if length.isdigit() else None
        if total is not None and expected is not None and total != expected:
            raise transfer.failure(f"expected {expected} bytes, the server offers {total} (a login page, or another version?)")
        total = expected if total is None else total
        with transfer.disk():
            free = shutil.disk_usage(transfer.target.parent).free
            if total is not None and total - kept > free:
                raise OutputError(f"No room for '{transfer.target}': {total - kept} more bytes are needed, {free} are free.")
        with transfer.opened(transfer.part, "ab" if kept else "wb") as file:
            if not kept:  # the part is empty now, so that its version may change
                write_text_atomically(transfer.version_file, _version(response.headers))
            done = reported = kept
            report(Progress(done, total, what))
            while total is None or done <= total:  # a server that sends more is refused by the check of the size
                cancel.raise_if_cancelled()
                with transfer.network():
                    block = response.read1(_BLOCK_BYTES)
                if not block:
                    break
                with transfer.disk():
                    _write_all(file, block)
                done += len(block)
                if done - reported >= _REPORT_EVERY_BYTES:
                    report(Progress(done, total, what))
                    reported = done
            with transfer.disk():
                os.fsync(file.fileno())
    if total is not None and done < total:
        raise transfer.failure(f"the connection ended after {done} of {total} bytes")
    if done > reported:
        report(Progress(done, total, what))


def _accept(transfer: _Transfer) -> None:
    """Check the complete part and give it its name, or remove it."""
    try:
        verify_file(transfer.checkpoint, transfer.part)
    except CheckpointError as exc:
        with transfer.disk():
            transfer.part.unlink(missing_ok=True)
            transfer.version_file.unlink(missing_ok=True)
        raise CheckpointError(f"What came from {transfer.url} was refused and removed: {exc}") from exc
    with transfer.disk():
        transfer.part.replace(transfer.target)
        transfer.version_file.unlink(missing_ok=True)


def _ask(url: str, kept: int, version: str, opener: urllib.request.OpenerDirector) -> tuple[http.client.HTTPResponse | None, int]:
    """Ask for the file, or for what is missing of it.

    Returns:
        The reply, and the bytes of the part that it goes on from (0: it is the whole file). No reply if nothing is missing.
    """
    headers = {"User-Agent": f"SAM2Annotate/{__version__}", "Accept-Encoding": "identity"}
    if kept:
        headers |= {"Range": f"bytes={kept}-", "If-Range": version}
    try:
        response = opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as exc:
        if exc.code != 416 or not kept:
            raise
        exc.close()
        if _range_total(exc.headers) == kept:
            return None, kept
    else:
        if not kept or response.status != 206:
            return response, 0
        # Some servers ignore If-Range, so the reply itself must name the version and the place.
        if _version(response.headers) == version and response.headers.get("Content-Range", "").startswith(f"bytes {kept}-"):
            return response, kept
        response.close()
    return _ask(url, 0, "", opener)


def _version(headers: Message) -> str:
    """A strong ETag, or else the date of the file, or "" (such a part cannot be resumed)."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _range_total(headers: Message) -> int | None:
    """The length of the whole file by a Content-Range ("bytes 5-9/10", "bytes */10")."""
    match = re.search(r"/(\d+)$", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _write_all(file: IO[bytes], block: bytes) -> None:
    """Write a block to an unbuffered file, which may take less than it is given when the disk is nearly full."""
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]
