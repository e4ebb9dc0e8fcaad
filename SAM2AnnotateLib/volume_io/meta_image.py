"""Read MetaImage (MHA, MHD): header, geometry, and voxels whose length and checksum are checked. Imports geometry, errors and numpy.

The format: https://itk.org/Wiki/ITK/MetaIO/Documentation. The rows of its matrix are the directions of the axes, in LPS.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ..errors import VolumeError
from ..geometry import Volume, VolumeGrid
from ..geometry.conventions import flip_lps_ras
from .one_of_several import require_choice, require_three
from .payload import beside, native, read_payload
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
            key, found, value = line.partition(b"=")
            if not found:
                break
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
    if min(spacing) <= 0:
        raise VolumeError(f"'{path}' states a geometry that cannot be: voxels of {' x '.join(f'{one:g}' for one in spacing)} mm.")
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
    if not _is_true(fields.get("binarydata", "True")):
        raise VolumeError(f"'{path}' holds its voxels as text, which is not read here. Save it as binary.")
    encoding = "zlib" if _is_true(fields.get("compresseddata", "False")) else "raw"
    named = fields["elementdatafile"]
    if named.upper().split()[:1] == ["LIST"]:
        return _slices(path, at, kind, shape, encoding, index, count)
    if "%" in named:
        raise VolumeError(f"'{path}' keeps its voxels in several files by number, which is not read here. Save it as one .mha file.")
    local = named.upper() == "LOCAL"
    data_path = path if local else beside(path, named)
    with open(data_path, "rb") as stream:
        stream.seek(at if local else 0)
        skip = int((_numbers(path, fields, "headersize") or [0])[0])
        if not local and skip == -1:
            stream.seek(max(stream.seek(0, 2) - one * count, 0))
        elif not local and skip > 0:
            stream.seek(skip)
        data = read_payload(data_path, stream, encoding, one, index * one, (count - 1 - index) * one)
    return native(np.frombuffer(data, dtype=kind).reshape(shape))


def _slices(path: Path, at: int, kind: np.dtype, shape: tuple[int, int, int], encoding: str, index: int, count: int) -> np.ndarray:
    """Voxels of one file for each slice, named behind the header."""
    with open(path, "rb") as stream:
        stream.seek(at)
        names = [line.decode("utf-8", "replace").strip() for line in stream if line.strip()]
    if len(names) != shape[0] * count:
        raise VolumeError(f"'{path}' is incomplete: it names {len(names)} files for {shape[0] * count} slices.")
    out = np.empty(shape, dtype=kind)
    for k, name in enumerate(names[index * shape[0] : (index + 1) * shape[0]]):
        with open(beside(path, name), "rb") as stream:
            out[k] = np.frombuffer(read_payload(beside(path, name), stream, encoding, out[k].nbytes), dtype=kind).reshape(shape[1:])
    return native(out)
