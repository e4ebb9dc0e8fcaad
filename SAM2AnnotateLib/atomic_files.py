"""Write a file, or several that belong together, whole or not at all. Imports: standard library, leftovers, file_locks and errors."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError
from .file_locks import locked
from .leftovers import owned_token, remove_leftovers

_LONGEST_SUFFIX = 40


@contextmanager
def replaced_atomically(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; on success it replaces `path`, on any failure it is removed.

    The temporary name keeps the whole suffix of `path` (``.nii.gz``), because writers choose the format by it; in lower case, because some
    writers know it only so. Where `path` is a link, the file behind it is replaced; who may read and write a file stays as it was.

    Raises:
        OutputError: if the folder is missing or read-only, or the disk is full. `path` is then as it was before.
    """
    with replaced_together([path]) as (partial,):
        yield partial


@contextmanager
def replaced_together(paths: Sequence[str | Path]) -> Iterator[list[Path]]:
    """As `replaced_atomically` for several files that belong together: each is written whole before the first is replaced.

    No file system replaces several files at once. So the older ones but the first are removed before the first is replaced: a program that
    is killed in that moment leaves too few files, never a new one beside an older one that belongs to something else.

    Raises:
        OutputError: as `replaced_atomically`; if it comes from replacing, the message names the file.
    """
    wanted = [Path(path) for path in paths]
    places = [_behind_links(path) for path in wanted]
    partials = [_partial_name(place) for place in places]
    consequence = "Nothing was changed there."
    try:
        for place in places:
            remove_leftovers(place.parent)
        modes = [_mode_of(place) for place in places]
        for partial, mode in zip(partials, modes, strict=True):
            if mode is not None:  # before the content comes, which may be for the owner's eyes alone
                os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                os.utime(partial, ns=(0, 0))  # whoever writes, and be it nothing, sets the time
        yield partials
        for partial, mode in zip(partials, modes, strict=True):
            with open(partial, "rb+") as written:
                if os.fstat(written.fileno()).st_mtime_ns == 0:
                    raise FileNotFoundError(2, "nothing was written")
                os.fsync(written.fileno())
            if mode is not None:
                partial.chmod(mode)
        for place, partial in zip(places, partials, strict=True):
            if place is places[0] and len(places) > 1:
                consequence = "What was there before may be gone; write them anew."
                for other in places[1:]:
                    other.unlink(missing_ok=True)
            partial.replace(place)
    except OSError as exc:
        named = ", ".join(f"'{path}'" for path in wanted)
        raise OutputError(f"Cannot write {named}: {exc.strerror or exc}. {consequence}") from exc
    finally:
        for partial in partials:
            with suppress(OSError):  # where the folder is none, or the name too long, there is nothing to remove
                partial.unlink(missing_ok=True)


@contextmanager
def sole_writer(path: str | Path) -> Iterator[None]:
    """Be the only program that makes this output, from the beginning of long work to its end.

    Raises:
        InputError: if another one does.
        OutputError: as `locked`.
    """
    path = _behind_links(Path(path))
    with locked(path.with_name(f".{path.name[:100]}.lock"), f"'{path}'", keep=False):
        yield


def require_writable_folder(path: str | Path) -> None:
    """Raise OutputError unless a file of this name could be created now; leaves nothing behind. Asked before long work, not after."""
    path = _behind_links(Path(path))
    if not path.parent.is_dir():
        raise OutputError(f"Cannot write '{path}': the folder '{path.parent}' does not exist. Create it first.")
    remove_leftovers(path.parent)
    try:
        if not path.exists():
            path.touch(exist_ok=False)  # the very name, which may be too long or none on this system
            path.unlink()
        probe = _partial_name(path)
        probe.touch()
        probe.unlink()
    except OSError as exc:
        raise OutputError(f"Cannot write '{path}': {exc.strerror or exc}.") from exc


def write_text_atomically(path: str | Path, text: str) -> None:
    """Write UTF-8 text whole or not at all. Raises OutputError."""
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise OutputError(
            f"Cannot write '{path}': the text holds {text[exc.start : exc.end]!r}, which is no character (a name that was no UTF-8?). "
            "Nothing was changed there."
        ) from exc
    with replaced_atomically(path) as partial:
        partial.write_bytes(content)


def _partial_name(place: Path) -> Path:
    """A name beside `place` that tells its process; short, so that it fits where the name itself does."""
    suffix = "".join(place.suffixes[-2:]).lower()
    if len(suffix) > _LONGEST_SUFFIX:
        suffix = place.suffix.lower()[:_LONGEST_SUFFIX]
    return place.with_name(f".{owned_token()}.partial{suffix or '.file'}")


def _behind_links(path: Path) -> Path:
    is_link = os.path.islink(path)  # noqa: PTH114 - unlike Path's, it is false for a name that no file can have
    return path.resolve() if is_link else path


def _mode_of(place: Path) -> int | None:
    """Who may read and write a file; None if there is none yet, or the system knows no such thing."""
    try:
        status = place.lstat()
    except OSError:
        return None
    return stat.S_IMODE(status.st_mode) if stat.S_ISREG(status.st_mode) and os.name == "posix" else None
