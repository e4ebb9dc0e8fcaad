"""A volume read once: its upright 8-bit stack on disk, beside what it was made from. Imports geometry, intensity, volume_io, json_input.

The server shows slices at random to many people. So each volume is mapped to gray once, kept as a plain .npy file that is read in place,
and made anew if the image, the axis or the window change. Nothing but gray, sizes and spacings is kept: no name, no date.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...atomic_files import replaced_atomically, write_text_atomically
from ...errors import InputError, OutputError
from ...geometry import SliceStack
from ...intensity import IntensityMapping, choose_mapping
from ...json_input import Fields, read_json
from ...volume_io import is_dicom_path, read_volume

_FORMAT = 1


@dataclass(frozen=True)
class Prepared:
    """What is known of a volume without reading it again.

    Args:
        stack: how it is sliced.
        mapping: to gray.
        gray_file: (slice, row, column) uint8.
    """

    stack: SliceStack
    mapping: IntensityMapping
    gray_file: Path


def prepare(path: Path, axis: str, window: str, folder: Path, key: str) -> tuple[Prepared, bool]:
    """The volume's stack, made if it is not there or no longer fits.

    Args:
        path: of the image.
        axis, window: of the project.
        folder: where stacks are kept; made if it is missing, for its owner's eyes alone.
        key: names the files.

    Returns:
        What was prepared, and whether it was made just now.

    Raises:
        VolumeError: if the image cannot be read.
        InputError: if the window does not fit it.
        OutputError: if the stack cannot be written.
    """
    asked = {"format": _FORMAT, "source": _state_of(path), "axis": axis.lower(), "window": str(window)}
    facts_file, gray_file = folder / f"{key}.json", folder / f"{key}.npy"
    known = _known(facts_file, gray_file, asked)
    if known is not None:
        return known, False
    volume = read_volume(path)
    stack = SliceStack.along(volume.grid, axis)
    mapping = choose_mapping(volume, window)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts_file.unlink(missing_ok=True)
        with replaced_atomically(gray_file) as partial, open(partial, "wb") as stream:
            header = {"descr": "|u1", "fortran_order": False, "shape": tuple(int(count) for count in stack.shape_src)}
            np.lib.format.write_array_header_1_0(stream, header)
            for frame in stack.view(volume.array_kji):  # slice by slice: a large volume needs no second one beside it
                stream.write(np.ascontiguousarray(mapping.to_uint8(frame)).tobytes())
    except OSError as exc:
        raise OutputError(f"Cannot write '{gray_file}': {exc.strerror or exc}.") from exc
    write_text_atomically(facts_file, json.dumps({**asked, "stack": asdict(stack), "mapping": asdict(mapping)}, indent=1) + "\n")
    return Prepared(stack, mapping, gray_file), True


def _state_of(path: Path) -> list:
    """What changes when an image does: size and time of its file, or of each file in its folder."""
    try:
        files = sorted(one for one in path.rglob("*") if one.is_file()) if is_dicom_path(path) and path.is_dir() else [path]
        states = [one.stat() for one in files]
    except OSError as exc:
        raise InputError(f"There is no file or folder '{path}' that can be read ({exc.strerror or exc}).") from exc
    return [len(files), sum(one.st_size for one in states), max((one.st_mtime_ns for one in states), default=0)]


def _known(facts_file: Path, gray_file: Path, asked: dict) -> Prepared | None:
    if not (facts_file.is_file() and gray_file.is_file()):
        return None
    try:
        facts = Fields(read_json(facts_file, "the prepared volume"), "the prepared volume")
        if {name: facts.values.get(name) for name in asked} != asked:
            return None
        stack, mapping = facts.object("stack"), facts.object("mapping")
        as_stored: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in stack.values.items()}
        made = Prepared(
            SliceStack(**as_stored),
            IntensityMapping(**mapping.values),
            gray_file,
        )
        shape = np.load(gray_file, mmap_mode="r", allow_pickle=False).shape
    except (InputError, TypeError, ValueError, OSError):  # written by another version, or damaged: it is made anew
        return None
    return made if shape == tuple(made.stack.shape_src) else None
