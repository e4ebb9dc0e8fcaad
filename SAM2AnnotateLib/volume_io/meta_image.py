"""Read MetaImage (MHA, MHD): header, geometry, and voxels whose length and checksum are checked. Imports geometry, errors and numpy.

The format: https://itk.org/Wiki/ITK/MetaIO/Documentation. The rows of its matrix are the directions of the axes, in LPS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import VolumeError
from ..geometry import Volume, VolumeGrid
from ..geometry.conventions import flip_lps_ras
from .one_of_several import require_choice, require_three
from .payload import beside, native, read_payload
from .several_files import numbered_names, require_share
from .straight import straightened

_LONGEST_LINE = 1 << 20
_MOST_LINES = 10_000
_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4", "MET_LONG": "i4",
    "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip


def read_meta_image(path: Path, number: int | None = None) -> Volume:
    """Read a scalar volume.

    Args:
        path: ``.mha``, or ``.mhd`` beside its data file.
        number: of a fourth axis: which volume, from 1.

    Raises:
        VolumeError: if the file is damaged, not a 3-D scalar image, or its geometry cannot be told.
    """
    try:
        fields, at = _header(path)
        sizes = [int(size) for size in _numbers(path, fields, "dimsize", int(_numbers(path, fields, "ndims", 1)[0]))]
        while len(sizes) > 3 and sizes[-1] == 1:
            sizes.pop()
        require_three(path, sizes)
        if min(sizes) < 1:
            raise VolumeError(f"'{path}' is damaged: its header states the sizes {tuple(sizes)}.")
        channels = int((_numbers(path, fields, "elementnumberofchannels") or [1])[0])
        if channels != 1:
            raise VolumeError(f"'{path}' has {channels} values per voxel (color or vectors). Expected one.")
        grid, notes = _grid(path, fields, sizes)
        kind = _TYPES.get(fields.get("elementtype", "").upper())
        if kind is None:
            raise VolumeError(f"'{path}' states the type '{fields.get('elementtype', '')}', which is no number that can be read.")
        big = _is_true(fields.get("binarydatabyteordermsb", fields.get("elementbyteordermsb", "False")))
        count = sizes[3] if len(sizes) == 4 else 1
        index = require_choice(path, sizes, count, number)
        voxels = _voxels(path, fields, at, np.dtype((">" if big else "<") + kind), grid.shape_kji, index, count)
        return Volume(grid, voxels, None, tuple(notes))
    except OSError as exc:
        raise VolumeError(f"'{exc.filename or path}' could not be read: {exc.strerror or exc}.") from exc
    except VolumeError as exc:
        text = str(exc)
        raise VolumeError(text if text.startswith("'") else f"'{path}': {text}") from exc


def _header(path: Path) -> tuple[dict[str, str], int]:
    """Fields by name in lower case, and the byte behind the header."""
    fields: dict[str, str] = {}
    with open(path, "rb") as stream:
        for _ in range(_MOST_LINES):
            line = stream.readline(_LONGEST_LINE)
            at = min((place for place in (line.find(b"="), line.find(b":")) if place >= 0), default=-1)  # both are allowed
            if at < 0:
                break
            key, value = line[:at], line[at + 1 :]
            fields[key.decode("latin-1").strip().lower()] = value.decode("utf-8", "replace").strip()
            if key.strip().lower() == b"elementdatafile":
                return fields, stream.tell()
    raise VolumeError(f"'{path}' could not be read: it does not begin like a MetaImage file. It may be damaged, or something else.")


def _numbers(path: Path, fields: dict[str, str], name: str, count: int | None = None) -> list[float]:
    text = fields.get(name, "")
    try:
        numbers = [float(part) for part in text.split()]
    except ValueError as exc:
        raise VolumeError(f"'{path}' is damaged: its header states '{text}' as {name}.") from exc
    if (count is not None and len(numbers) != count) or not np.isfinite(numbers).all():
        raise VolumeError(f"'{path}' is damaged: its header states '{text}' as {name}.")
    return numbers


def _is_true(text: str) -> bool:
    return text.strip().lower()[:1] in ("t", "1", "y")


def _grid(path: Path, fields: dict[str, str], sizes: list[int]) -> tuple[VolumeGrid, list[str]]:
    notes = []
    axes = int(_numbers(path, fields, "ndims", 1)[0])
    name = next((name for name in ("elementspacing", "elementsize") if name in fields), None)
    spacing = _numbers(path, fields, name, axes)[:3] if name else [1.0, 1.0, 1.0]
    if name is None:
        notes.append("it states no voxel size; 1 x 1 x 1 mm is taken")
    if min(map(abs, spacing)) == 0:
        raise VolumeError(f"'{path}' states a geometry that cannot be: voxels of {' x '.join(f'{one:g}' for one in spacing)} mm.")
    if min(spacing) < 0:
        notes.append("it states a negative voxel size; its axis runs the other way then, as ITK takes it")
    function = [
        (_numbers(path, fields, f"elementtointensityfunction{what}") or [usual])[0] for what, usual in (("slope", 1), ("offset", 0))
    ]
    if function != [1, 0]:
        notes.append(f"it states a scale and offset of its values, {function[0]:g} and {function[1]:g}; as in ITK, they are not applied")
    turned = next((name for name in ("transformmatrix", "rotation", "orientation") if name in fields), None)
    directions = np.eye(axes) if turned is None else np.array(_numbers(path, fields, turned, axes * axes)).reshape(axes, axes)
    lengths = np.linalg.norm(directions[:3, :3], axis=1)
    if np.abs(lengths - 1).max() > 1e-3:
        raise VolumeError(f"'{path}' states a geometry that cannot be: directions of lengths {np.round(lengths, 6).tolist()}, expected 1.")
    moved = next((name for name in ("offset", "position", "origin") if name in fields), None)
    matrix = np.eye(4)
    matrix[:3, :3] = directions[:3, :3].T * spacing
    if moved is not None:
        matrix[:3, 3] = _numbers(path, fields, moved, axes)[:3]
    try:
        grid, note = straightened(VolumeGrid((sizes[2], sizes[1], sizes[0]), flip_lps_ras(matrix)))
    except VolumeError as exc:
        raise VolumeError(f"'{path}' states a geometry that cannot be: {exc}") from exc
    return grid, notes + ([note] if note else [])


def _voxels(path: Path, fields: dict[str, str], at: int, kind: np.dtype, shape: tuple[int, int, int], index: int, count: int) -> np.ndarray:
    one = math.prod(shape) * kind.itemsize
    binary = _is_true(fields.get("binarydata", "True"))
    encoding = "zlib" if _is_true(fields.get("compresseddata", "False")) else "raw"
    named = fields["elementdatafile"]
    several = _several_files(path, named, at)
    if several is not None:
        if not binary:
            raise VolumeError(f"'{path}' holds its voxels as text in several files, which is not read here. Save it as one .mha file.")
        names, dimension = several
        return _slices(path, names, kind, (*shape[::-1], *([count] if count > 1 else [])), dimension, encoding, index)
    local = named.upper() == "LOCAL"
    data_path = path if local else beside(path, named)
    with open(data_path, "rb") as stream:
        stream.seek(at if local else 0)
        skip = int((_numbers(path, fields, "headersize") or [0])[0])
        if not binary:
            return _from_text(data_path, stream, kind, (count, *shape))[index]
        if not local and skip == -1:
            stream.seek(max(stream.seek(0, 2) - one * count, 0))
        elif not local and skip > 0:
            stream.seek(skip)
        data = read_payload(data_path, stream, encoding, one, index * one, (count - 1 - index) * one)
    return native(np.frombuffer(data, dtype=kind).reshape(shape))


def _several_files(path: Path, named: str, at: int) -> tuple[list[str], int | None] | None:
    """The files with the voxels, and the axes of each if that is stated; None if there is one file."""
    words = named.split()
    if words[:1] and words[0].upper() == "LIST":
        with open(path, "rb") as stream:
            stream.seek(at)
            names = [line.decode("utf-8", "replace").strip() for line in stream if line.strip()]
        further = words[1:]
    elif "%" in named and len(words) > 2:
        names, further = numbered_names(path, named)
    else:
        return None
    dimension = further[0].upper().removesuffix("D") if further else ""
    return names, int(dimension) if dimension.isdecimal() else None


def _slices(
    path: Path, names: list[str], kind: np.dtype, sizes: Sequence[int], dimension: int | None, encoding: str, index: int
) -> np.ndarray:
    """(k, j, i) voxels of one volume, from a file for each slice, or for each volume if files of three axes are stated."""
    part = require_share(path, names, sizes, dimension or 2)
    one = math.prod(sizes[:3])
    first, last = index * one // part, -(-(index + 1) * one // part)
    values = []
    for name in names[first:last]:
        with open(beside(path, name), "rb") as stream:
            values.append(np.frombuffer(read_payload(beside(path, name), stream, encoding, part * kind.itemsize), dtype=kind))
    at = index * one - first * part
    return native(np.concatenate(values)[at : at + one].reshape(sizes[2::-1]))


def _from_text(path: Path, stream: BinaryIO, kind: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """(volume, k, j, i) voxels that are written as numbers."""
    try:
        values = np.array(stream.read().decode("ascii").split(), dtype=float)
        if kind.kind in "iu" and not np.array_equal(values, np.rint(values)):
            raise ValueError("fractions in a file of whole numbers")
        return values.astype(kind.newbyteorder("=")).reshape(shape)
    except (ValueError, OverflowError) as exc:
        raise VolumeError(f"'{path}' is damaged or incomplete: its voxels are not as its header says ({exc}).") from exc
