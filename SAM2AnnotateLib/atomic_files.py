"""Write a file whole or not at all. Imports: standard library and errors."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError


@contextmanager
def replaced_atomically(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; on success it replaces `path`, on any failure it is removed.

    The temporary name keeps the whole suffix of `path` (``.nii.gz``), because writers choose the format by it; in lower case, because some
    writers know it only so.

    Raises:
        OutputError: if the folder is missing or read-only, or the disk is full. `path` is then as it was before.
    """
    path = Path(path)
    partial = path.with_name(f".{secrets.token_hex(4)}.partial.{path.name.lower()}")
    try:
        yield partial
        with open(partial, "rb+") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    except OSError as exc:
        raise OutputError(f"Cannot write '{path}': {exc.strerror or exc}. Nothing was changed there.") from exc
    finally:
        with suppress(OSError):  # where the folder is none, or the name too long, there is nothing to remove
            partial.unlink(missing_ok=True)


def require_writable_folder(path: str | Path) -> None:
    """Raise OutputError unless a file of this name could be created now; leaves nothing behind. Asked before long work, not after."""
    path = Path(path)
    if not path.parent.is_dir():
        raise OutputError(f"Cannot write '{path}': the folder '{path.parent}' does not exist. Create it first.")
    probe = path.with_name(f".{secrets.token_hex(4)}.partial.{path.name}")
    try:
        probe.touch()
        probe.unlink()
    except OSError as exc:
        raise OutputError(f"Cannot write '{path}': {exc.strerror or exc}.") from exc


def write_text_atomically(path: str | Path, text: str) -> None:
    """Write UTF-8 text whole or not at all. Raises OutputError."""
    with replaced_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")
