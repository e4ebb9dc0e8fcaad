"""Voxels in several files beside their header, one for each slice or block, which NRRD and MetaImage name alike. Imports errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import VolumeError

_MOST_FILES = 1 << 20


def numbered_names(path: Path, stated: str) -> tuple[list[str], list[str]]:
    """The names that a format such as ``slice%03d.raw 1 20 1`` stands for, in order, and the words behind its numbers.

    Args:
        path: the header, for messages.
        stated: a format with one ``%d``, then the first and last number, and their distance (1 if it is not stated).

    Raises:
        VolumeError: if it is no such format.
    """
    words = stated.split()
    places = re.findall(r"%%|%0?\d*[diu]|%.?", words[0])
    numbers = [word for word in words[1:4] if re.fullmatch(r"[+-]?\d{1,9}", word)]
    if [place for place in places if place != "%%"][1:] or not re.search(r"%0?\d{0,3}[diu]", words[0]) or len(numbers) < 2:
        raise VolumeError(f"'{path}' is damaged: it keeps its voxels in files called '{stated}', which names none.")
    first, last, step = (*map(int, numbers), 1)[:3]
    if step == 0 or (last - first) * step < 0 or abs(last - first) // abs(step) >= _MOST_FILES:
        raise VolumeError(f"'{path}' is damaged: it keeps its voxels in files called '{stated}', which names none.")
    pattern = re.sub(r"%(0?\d*)[iu]", r"%\1d", words[0])
    return [pattern % number for number in range(first, last + (1 if step > 0 else -1), step)], words[1 + len(numbers) :]


def require_share(path: Path, names: Sequence[str], sizes: Sequence[int], dimension: int) -> int:
    """The number of voxels in each of several files.

    Args:
        path: the header, for messages.
        names: of the files, in the order of their voxels.
        sizes: of all axes, the fastest first.
        dimension: axes of each file.

    Raises:
        VolumeError: if files of that many axes do not make up the sizes.
    """
    whole, blocks = 1, 1
    for axis, size in enumerate(sizes):
        whole *= size
        blocks *= size if axis >= dimension else 1
    fits = bool(names) and (len(names) == blocks if dimension < len(sizes) else sizes[-1] % len(names) == 0)
    if not 1 <= dimension <= len(sizes) or not fits:
        expected = blocks if dimension < len(sizes) else sizes[-1]
        raise VolumeError(f"'{path}' is incomplete: it names {len(names)} files for {expected} slices.")
    return whole // len(names)
