"""Exceptions and warnings of reading libraries end here. Imports errors and the standard library."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import SAM2AnnotateError, VolumeError


class _Bounded(io.BufferedReader):
    """A file of which no more bytes are asked than there are."""

    def __init__(self, raw: io.FileIO, size: int):
        super().__init__(raw)
        self._size = size

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(self._size - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


def bounded(path: Path) -> _Bounded:
    """Open a file to read, so that a damaged length in it takes no gigabytes: Python allocates what is asked for, not what is there."""
    return _Bounded(io.FileIO(path), path.stat().st_size)


@contextmanager
def reading(path: Path, what: str = "file") -> Iterator[None]:
    """Turn whatever a library raises about a file's content into one line that names the file; its warnings are not shown.

    A damaged file makes these libraries raise nearly everything (ValueError, KeyError, struct.error, RecursionError ...). What they warn
    of and what concerns a volume, such as pixel data of the wrong length, is checked by the caller.

    Args:
        path: the file that is read.
        what: as it is called in the message.

    Raises:
        VolumeError: for any exception but our own.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except SAM2AnnotateError:
        raise
    except MemoryError as exc:
        raise VolumeError(f"The {what} '{path}' states sizes that do not fit this computer's memory. It may be damaged.") from exc
    except OSError as exc:
        raise VolumeError(f"The {what} '{path}' could not be read: {exc.strerror or exc}.") from exc
    except Exception as exc:
        lines = str(exc).strip().splitlines()
        reason = (lines[-1] if lines else type(exc).__name__).rstrip(". ")
        raise VolumeError(f"The {what} '{path}' could not be read; it may be damaged or incomplete: {reason}.") from exc
