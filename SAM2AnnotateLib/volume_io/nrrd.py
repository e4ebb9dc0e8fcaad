"""Read NRRD: fields, key/value pairs, geometry, and voxels whose length and checksum are checked. Imports geometry, errors and numpy.

Slicer's segmentations are NRRD files, too; what their key/value pairs mean is said elsewhere. The format: https://teem.sourceforge.net/nrrd
"""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import VolumeError
from ..geometry import Volume, VolumeGrid
from ..geometry.conventions import flip_lps_ras
from .one_of_several import require_choice, require_three
from .payload import beside, native, read_payload
from .straight import straightened

_LONGEST_LINE = 1 << 28  # a review kept in a pair may be some MB; what is longer is no header
_MOST_LINES = 1 << 20
_C_TYPES = {
    "i1": "signed char", "u1": "uchar|unsigned char", "i2": "short|short int|signed short|signed short int",
    "u2": "ushort|unsigned short|unsigned short int", "i4": "int|signed int", "u4": "uint|unsigned int",
    "i8": "longlong|long long|long long int|signed long long|signed long long int",
    "u8": "ulonglong|unsigned long long|unsigned long long int", "f4": "float", "f8": "double",
}  # fmt: skip
_TYPES = {name: kind for kind, names in _C_TYPES.items() for name in names.split("|")}
_TYPES |= {f"{'u' if kind[0] == 'u' else ''}int{8 * int(kind[1])}{end}": kind for kind in _C_TYPES if kind[0] in "iu" for end in ("", "_t")}
_ENCODINGS = {
    "raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2",
    "txt": "text", "text": "text", "ascii": "text", "hex": "hex",
}  # fmt: skip
_LPS_FROM_SPACE = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1), "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
_SPATIAL_KINDS = ("domain", "space")
_MM = {"mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "µm": 0.001, "micrometer": 0.001}


@dataclass(frozen=True)
class NrrdHeader:
    """A header taken apart.

    Args:
        path: the file.
        fields: by name, in lower case.
        pairs: the key/value pairs, UTF-8, in the file's order.
        sizes: of all axes, the fastest first.
        kind: numpy type of the voxels.
        spatial: the axes that lie in space.
        voxels_at: byte behind the header.
    """

    path: Path
    fields: dict[str, str]
    pairs: dict[str, str]
    sizes: tuple[int, ...]
    kind: np.dtype
    spatial: tuple[int, ...]
    voxels_at: int
    notes: list[str] = field(default_factory=list)

    @property
    def other_axes(self) -> tuple[int, ...]:
        """Axes that do not lie in space: components, time points, layers."""
        return tuple(axis for axis in range(len(self.sizes)) if axis not in self.spatial)


def read_nrrd(path: Path, number: int | None = None) -> Volume:
    """Read a scalar volume.

    Args:
        path: ``.nrrd``, or ``.nhdr`` beside its data file.
        number: where there is one more axis: which volume along it, from 1.

    Raises:
        VolumeError: if the file is damaged, not a 3-D scalar image, or its geometry cannot be told.
    """
    header = read_header(path)
    others = [axis for axis in header.other_axes if header.sizes[axis] > 1]
    if len(header.spatial) != 3 or len(others) > 1:
        require_three(path, header.sizes if len(header.spatial) != 3 else (*header.sizes, 1))
        raise VolumeError(f"'{path}' has {len(header.spatial)} axes in space of {len(header.sizes)}. Expected a 3-D volume.")
    if others and number is None and _kinds(header)[others[0]] not in ("time", "list", "???", "none"):
        raise VolumeError(f"'{path}' has {header.sizes[others[0]]} values per voxel (color or vectors). Expected one.")
    grid, notes = nrrd_grid(header)
    index = require_choice(path, header.sizes, header.sizes[others[0]] if others else 1, number)
    voxels = read_voxels(header)
    if others:
        voxels = np.ascontiguousarray(np.take(voxels, index, axis=voxels.ndim - 1 - others[0]))
    try:
        return Volume(grid, voxels.reshape(grid.shape_kji), None, tuple(notes))
    except VolumeError as exc:
        raise VolumeError(f"'{path}': {exc}") from exc


def read_header(path: Path) -> NrrdHeader:
    """Take a header apart. Raises VolumeError."""
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    try:
        with open(path, "rb") as stream:
            if not re.match(rb"NRRD000[1-9]\s*$", stream.readline(64)):
                raise VolumeError(f"'{path}' could not be read: it does not begin like a NRRD file. It may be damaged, or something else.")
            for _ in range(_MOST_LINES):
                line = stream.readline(_LONGEST_LINE)
                if not line.strip():
                    break
                _take(line.decode("utf-8", "replace").rstrip("\r\n"), fields, pairs)
            voxels_at = stream.tell()
    except OSError as exc:
        raise VolumeError(f"'{path}' could not be read: {exc.strerror or exc}.") from exc
    sizes = tuple(int(number) for number in _numbers(path, fields, "sizes", whole=True))
    if not sizes or min(sizes) < 1 or str(len(sizes)) != fields.get("dimension", "").strip():
        raise VolumeError(f"'{path}' is damaged: its header states the sizes '{fields.get('sizes', '')}'.")
    kind = _TYPES.get(fields.get("type", "").strip().lower())
    if kind is None:
        raise VolumeError(f"'{path}' states the type '{fields.get('type', '')}', which is no number that can be read. It may be damaged.")
    endian = fields.get("endian", "").strip().lower()
    if endian not in ("little", "big") and int(kind[1]) > 1 and _encoding(path, fields) not in ("text",):
        raise VolumeError(f"'{path}' is damaged: its header does not say the order of bytes (endian).")
    header = NrrdHeader(path, fields, pairs, sizes, np.dtype((">" if endian == "big" else "<") + kind), (), voxels_at)
    return NrrdHeader(path, fields, pairs, sizes, header.kind, _spatial_axes(header), voxels_at)


def _take(line: str, fields: dict[str, str], pairs: dict[str, str]) -> None:
    if line.startswith("#"):
        return
    found = re.match(r"([^:]*):([ =])(.*)", line)
    if found is None:
        found = re.match(r"([^:]*)(:)(.*)", line)
    if found is None:
        return
    if found[2] == "=":
        pairs[found[1]] = found[3]
    else:
        fields[found[1].strip().lower().replace(" ", "")] = found[3].strip()


def _numbers(path: Path, fields: dict[str, str], name: str, whole: bool = False) -> list[float]:
    try:
        return [(int if whole else float)(part) for part in fields.get(name, "").split()]
    except ValueError as exc:
        raise VolumeError(f"'{path}' is damaged: its header states '{fields[name]}' as {name}.") from exc


def _encoding(path: Path, fields: dict[str, str]) -> str:
    name = _ENCODINGS.get(fields.get("encoding", "").strip().lower())
    if name is None:
        raise VolumeError(f"'{path}' states the encoding '{fields.get('encoding', '')}', which is not known. It may be damaged.")
    return name


# --- geometry


def _kinds(header: NrrdHeader) -> list[str]:
    words = header.fields.get("kinds", "").lower().split()
    return words if len(words) == len(header.sizes) else ["none"] * len(header.sizes)


def _vectors(header: NrrdHeader) -> list[np.ndarray | None] | None:
    """The direction of each axis, None for one that lies in no space; None if no directions are stated."""
    text = header.fields.get("spacedirections")
    if text is None:
        return None
    words = re.findall(r"\([^)]*\)|none|\S+", text.lower())
    vectors = [None if word == "none" else _vector(header, word) for word in words]
    # What Slicer calls a direction of NaN is none.
    vectors = [None if vector is None or np.isnan(vector).all() else vector for vector in vectors]
    if len(vectors) != len(header.sizes):
        raise VolumeError(f"'{header.path}' is damaged: it states {len(vectors)} space directions for {len(header.sizes)} axes.")
    return vectors


def _vector(header: NrrdHeader, text: str) -> np.ndarray:
    try:
        return np.array([float(part) for part in text.strip("() ").split(",")])
    except ValueError as exc:
        raise VolumeError(f"'{header.path}' is damaged: '{text}' is no vector.") from exc


def _spatial_axes(header: NrrdHeader) -> tuple[int, ...]:
    vectors = _vectors(header)
    if vectors is not None:
        return tuple(axis for axis, vector in enumerate(vectors) if vector is not None)
    kinds = _kinds(header)
    if any(kind in _SPATIAL_KINDS for kind in kinds):
        return tuple(axis for axis, kind in enumerate(kinds) if kind in _SPATIAL_KINDS)
    axes = tuple(range(len(header.sizes)))
    return axes[:3] if len(axes) > 3 and all(size == 1 for size in header.sizes[3:]) else axes


def nrrd_grid(header: NrrdHeader) -> tuple[VolumeGrid, list[str]]:
    """Where the voxels of the three spatial axes lie, and notes on what is assumed.

    Raises:
        VolumeError: if it cannot be told: a space that is not the patient's, zero or infinite numbers.
    """
    notes = []
    path, fields = header.path, header.fields
    space = fields.get("space", "").strip().lower()
    if space and space not in _LPS_FROM_SPACE:
        expected = ", ".join(list(_LPS_FROM_SPACE)[::2])
        raise VolumeError(f"'{path}' lies in the space '{space}', which is not the patient's. Expected {expected}.")
    vectors = _vectors(header)
    matrix = np.eye(4)
    if vectors is not None:
        chosen = [vectors[axis] for axis in header.spatial]
        if any(vector is None or vector.shape != (3,) for vector in chosen):
            raise VolumeError(f"'{path}' is damaged: its space directions are not of three numbers each.")
        matrix[:3, :3] = np.array(chosen).T
        if not space:
            notes.append("it does not say which way its space runs; left, posterior, superior is taken")
    else:
        spacings = _numbers(path, fields, "spacings")
        if spacings and len(spacings) != len(header.sizes):
            raise VolumeError(f"'{path}' is damaged: it states {len(spacings)} spacings for {len(header.sizes)} axes.")
        if spacings:
            matrix[:3, :3] = np.diag([abs(spacings[axis]) for axis in header.spatial])
        notes.append(
            "it does not say which way its axes run; left, posterior, superior is taken"
            + ("" if spacings else ", and voxels of 1 x 1 x 1 mm, since it states no size either")
        )
    if "spaceorigin" in fields:
        origin = _vector(header, fields["spaceorigin"])
        if origin.shape != (3,):
            raise VolumeError(f"'{path}' is damaged: its space origin is '{fields['spaceorigin']}'.")
        matrix[:3, 3] = origin
    elif vectors is not None:
        notes.append("it states no origin; 0, 0, 0 is taken")
    notes += _in_mm(header, matrix)
    matrix[:3] = np.array(_LPS_FROM_SPACE.get(space, (1, 1, 1)))[:, np.newaxis] * matrix[:3]
    try:
        grid, note = straightened(VolumeGrid([header.sizes[axis] for axis in header.spatial][::-1], flip_lps_ras(matrix)))  # type: ignore[arg-type]
    except VolumeError as exc:
        raise VolumeError(f"'{path}' states a geometry that cannot be: {exc}") from exc
    return grid, notes + ([note] if note else [])


def _in_mm(header: NrrdHeader, matrix: np.ndarray) -> list[str]:
    units = [unit.lower() for unit in re.findall(r'"([^"]*)"', header.fields.get("spaceunits", "")) if unit.strip()]
    known = {unit: _MM[unit] for unit in units if unit in _MM}
    if not known or set(known.values()) == {1.0}:
        return []
    if len(set(units)) != 1:
        raise VolumeError(f"'{header.path}' states lengths in different units ({', '.join(units)}).")
    matrix[:3] *= known[units[0]]
    return [f"lengths are stated in {units[0]} and were converted to mm"]


# --- voxels


def read_voxels(header: NrrdHeader) -> np.ndarray:
    """All voxels; the axes are the file's in reverse, so that the fastest comes last.

    Raises:
        VolumeError: if they are fewer or more than the header says, or the checksum does not fit.
    """
    path, fields = header.path, header.fields
    encoding = _encoding(path, fields)
    size = math.prod(header.sizes) * header.kind.itemsize
    named = fields.get("datafile", "").strip()
    data_path, at = path, header.voxels_at
    if named:
        if named.upper().startswith("LIST") or "%" in named:
            raise VolumeError(f"'{path}' keeps its voxels in several files, which is not read here. Save it as one .nrrd file.")
        data_path, at = beside(path, named), 0
    lines, skip = (int(number[0]) if (number := _numbers(path, fields, name, True)) else 0 for name in ("lineskip", "byteskip"))
    try:
        with open(data_path, "rb") as stream:
            stream.seek(at)
            for _ in range(min(max(lines, 0), _MOST_LINES)):
                stream.readline(_LONGEST_LINE)
            if encoding in ("text", "hex"):
                return _from_text(header, stream, encoding)
            if skip == -1 and encoding == "raw":
                stream.seek(-min(size, stream.seek(0, io.SEEK_END)), io.SEEK_END)
                skip = 0
            data = read_payload(data_path, stream, encoding, size, max(skip, 0))
    except OSError as exc:
        raise VolumeError(f"'{data_path}' with the voxels could not be read: {exc.strerror or exc}.") from exc
    return native(np.frombuffer(data, dtype=header.kind).reshape(header.sizes[::-1]))


def _from_text(header: NrrdHeader, stream, encoding: str) -> np.ndarray:
    try:
        if encoding == "hex":
            values = np.frombuffer(bytes.fromhex(stream.read().decode("ascii")), header.kind)
        else:
            values = np.array(stream.read().decode("ascii").replace(",", " ").split(), dtype=float)
            if values.size and header.kind.kind in "iu" and not np.array_equal(values, np.rint(values)):
                raise ValueError("fractions in a file of whole numbers")
            values = values.astype(header.kind.newbyteorder("="))
        return native(values.reshape(header.sizes[::-1]))
    except (ValueError, OverflowError) as exc:
        raise VolumeError(f"'{header.path}' is damaged or incomplete: its voxels are not as its header says ({exc}).") from exc
