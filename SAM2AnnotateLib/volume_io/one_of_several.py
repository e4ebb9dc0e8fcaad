"""A file with more than three axes, and which of its volumes is meant. Imports errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import VolumeError


def require_choice(path: Path, sizes: Sequence[int], count: int, number: int | None) -> int:
    """The index of the volume to read, from 0.

    Args:
        path: for messages.
        sizes: all axes of the file, for messages.
        count: volumes along the one axis beyond three; 1 if there is none.
        number: as the user counts, from 1; None if the user chose none.

    Raises:
        VolumeError: if there are several and none was chosen, or there is none of that number.
    """
    if number is None and count > 1:
        raise VolumeError(
            f"'{path}' has {len(sizes)} dimensions {tuple(sizes)}. Expected a 3-D volume.",
            f"Give one time point or channel (--volume 1 to {count}).",
        )
    if number is not None and not 1 <= number <= count:
        raise VolumeError(f"There is no volume {number} in '{path}'; it holds {count}.")
    return (number or 1) - 1


def require_three(path: Path, sizes: Sequence[int]) -> None:
    """Raise VolumeError unless a file, without its last axes of length one, has three axes or four."""
    if len(sizes) not in (3, 4):
        raise VolumeError(
            f"'{path}' has {len(sizes)} dimensions {tuple(sizes)}. Expected a 3-D volume: give one time point or channel, "
            "or a stack of slices."
        )
