"""Values that a person types, and progress that a person sees. Imports errors, progress and (inside functions) tqdm.

Bars are tqdm's, which sam2 needs anyway. The three tables that commands print are a line of formatting each: no reason for rich.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ..errors import InputError
from ..progress import Progress, ProgressCallback


def parse_integers(text: str, count: int | None, option: str, meaning: str) -> tuple[int, ...]:
    """Read `count` integers separated by commas, or any number of them. Raises InputError that names the option and what it means."""
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or count not in (None, len(values)):
        raise InputError(
            f"{option} takes {meaning} ({'' if count is None else f'{count} '}whole numbers separated by commas), got '{text}'."
        )
    return values


def counted(count: int, what: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def parse_point(text: str) -> tuple[int, int, bool]:
    """Read ``I,J,+`` or ``I,J,-``. Raises InputError."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or parts[2] not in "+-" or not parts[2]:
        raise InputError(f"--point takes two voxel indices and + (on the object) or - (beside it), such as 120,88,+; got '{text}'.")
    return (*parse_integers(",".join(parts[:2]), 2, "--point", "two voxel indices"), parts[2] == "+")  # type: ignore[return-value]


def parse_names(texts: Iterable[str]) -> dict[int, str]:
    """Names of a labelmap's values, from ``VALUE=NAME``. Raises InputError."""
    names = {}
    for text in texts:
        value, _, name = text.partition("=")
        if not value.strip().isdigit() or not name.strip():
            raise InputError(f"--name takes VALUE=NAME, such as 1=liver, got '{text}'.")
        names[int(value)] = name.strip()
    return names


def add_series_options(parser: argparse.ArgumentParser) -> None:
    """Which volume, where a DICOM folder or a file holds several."""
    add = parser.add_argument
    add("--series", metavar="UID|NUMBER|NAME", help="of a DICOM folder with several series: which one")
    add("--volume", type=int, metavar="N", help="of a series or file with several volumes (time points, echoes): which one, from 1")


def add_untilt_option(parser: argparse.ArgumentParser) -> None:
    """What to do with slices of a tilted gantry."""
    parser.add_argument(
        "--untilt", action="store_true",
        help="of a DICOM series of a tilted gantry: shift each slice back in its plane (interpolated linearly), which is told",
    )  # fmt: skip


def show_notes(source: str, notes: Iterable[str]) -> None:
    """What reading a file had to settle or assume, on standard error."""
    for note in notes:
        print(f"note: '{source}': {note}", file=sys.stderr)


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[ProgressCallback]:
    """A bar with time left on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from tqdm import tqdm

    with tqdm(desc=what, unit=unit, unit_scale=unit == "B", leave=False) as bar:

        def show(progress: Progress) -> None:
            if progress.total is not None:
                bar.total = progress.total
            bar.update(progress.done - bar.n)

        yield show
