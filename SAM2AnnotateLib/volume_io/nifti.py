"""Read NIfTI-1 and NIfTI-2, packed or not, whatever the name says. Imports geometry, errors and numpy.

Which geometry counts is decided here, once. A NIfTI file may state two: the qform (a rotation, voxel sizes, an offset) and the sform (any
affine matrix). Programs differ in which they take where both are there: nibabel the sform, ITK (3D Slicer, nnU-Net) by their codes. So:

- Only one is stated: it counts. That an sform has other voxel sizes than the header is told.
- Both are stated and place every voxel within `FORMS_AGREE_VOXELS` of each other: the sform counts; a difference that is seen is told.
- Both are stated and differ more: refused. A mask would lie elsewhere for one half of all programs.
- None is stated: refused, since left and right are then unknown.

Units of length are converted to mm. See https://nifti.nimh.nih.gov/nifti-1 for the fields.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from ..errors import VolumeError
from ..geometry import Volume, VolumeGrid
from .one_of_several import require_choice, require_three
from .payload import GZIP_BEGINNING, native, read_payload, unpacking
from .straight import straightened

FORMS_AGREE_VOXELS = 0.5  # of the smallest voxel edge
_TOLD_VOXELS = 0.01
_SIZES_AGREE = 1e-3  # share
_REAL_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_COLORS = {128: 3, 2304: 4}
_COMPLEX = (32, 1792, 2048)
_VECTOR_INTENTS = (1006, 1007, 2003, 2004)  # displacements, vectors, colors
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_UNIT_NAMES = {1: "meters", 3: "micrometers"}


@dataclass(frozen=True)
class _Header:
    """What counts of a header, of both versions.

    Args:
        order: byte order, ``<`` or ``>``.
        sizes: of all axes, the fastest first.
        code: data type.
        bits: per voxel.
        pixdim: (8,) voxel sizes; the first is the qform's sign.
        offset: byte of the first voxel.
        slope, intercept: of the values.
        units: code of the unit of length.
        qform_code, sform_code: greater than 0 if the form is stated.
        quaternion: (6,) b, c, d and the offset of the qform.
        sform: (3, 4) its rows.
    """

    order: str
    sizes: tuple[int, ...]
    code: int
    bits: int
    pixdim: tuple[float, ...]
    offset: float
    slope: float
    intercept: float
    units: int
    qform_code: int
    sform_code: int
    quaternion: tuple[float, ...]
    sform: np.ndarray


def read_nifti(path: Path, number: int | None = None) -> Volume:
    """Read a NIfTI file by the rule above.

    Args:
        path: the file.
        number: of a fourth axis: which volume, from 1.

    Raises:
        VolumeError: if it is no NIfTI file, damaged, not a 3-D scalar image, or its geometry cannot be told.
    """
    try:
        with open(path, "rb") as stream:
            encoding = "gzip" if stream.read(2) == GZIP_BEGINNING else "raw"
            stream.seek(0)
            header = _parsed(path, _beginning(path, stream, encoding))
            sizes = header.sizes
            kind = _voxel_type(path, header)
            grid, notes = _grid(path, header)
            count = sizes[3] if len(sizes) == 4 else 1
            index = require_choice(path, sizes, count, number)
            one = math.prod(sizes[:3]) * kind.itemsize
            stream.seek(0)
            data = read_payload(path, stream, encoding, one, int(header.offset) + index * one, (count - 1 - index) * one)
    except OSError as exc:
        raise VolumeError(f"'{path}' could not be read: {exc.strerror or exc}.") from exc
    stored = np.frombuffer(data, dtype=kind).reshape(grid.shape_kji)
    try:
        return Volume(grid, _rescaled(path, native(stored), header), None, tuple(notes))
    except VolumeError as exc:
        raise VolumeError(f"'{path}': {exc}") from exc


def _beginning(path: Path, stream, encoding: str) -> bytes:
    try:
        return unpacking(stream, encoding).read(544)
    except (EOFError, OSError, ValueError) as exc:
        raise VolumeError(f"'{path}' is damaged or incomplete: {exc}.") from exc
    except Exception as exc:  # zlib.error is no OSError
        raise VolumeError(f"'{path}' is damaged: {exc}.") from exc


def _parsed(path: Path, data: bytes) -> _Header:
    for order in "<>":
        if data[:4] == struct.pack(order + "i", 348) and len(data) >= 348:
            if data[344:347] == b"ni1":
                raise VolumeError(f"'{path}' is the header of a NIfTI pair (.hdr, .img). Save it as one file, .nii or .nii.gz.")
            if data[344:347] != b"n+1":
                raise VolumeError(
                    f"'{path}' could not be read: it begins like an Analyze or NIfTI file, but is not marked as NIfTI. "
                    "It may be damaged; save an Analyze image as NIfTI."
                )
            return _header(
                path, order, struct.unpack_from(order + "8h", data, 40), struct.unpack_from(order + "2h", data, 70),
                struct.unpack_from(order + "8f", data, 76), struct.unpack_from(order + "3f", data, 108), data[123],
                struct.unpack_from(order + "2h", data, 252), struct.unpack_from(order + "6f", data, 256),
                struct.unpack_from(order + "12f", data, 280), struct.unpack_from(order + "h", data, 68)[0],
            )  # fmt: skip
        if data[:4] == struct.pack(order + "i", 540) and len(data) >= 540 and data[4:7] == b"n+2":
            return _header(
                path, order, struct.unpack_from(order + "8q", data, 16), struct.unpack_from(order + "2h", data, 12),
                struct.unpack_from(order + "8d", data, 104), struct.unpack_from(order + "q2d", data, 168),
                struct.unpack_from(order + "i", data, 500)[0], struct.unpack_from(order + "2i", data, 344),
                struct.unpack_from(order + "6d", data, 352), struct.unpack_from(order + "12d", data, 400),
                struct.unpack_from(order + "i", data, 504)[0],
            )  # fmt: skip
    raise VolumeError(f"'{path}' could not be read: it does not begin like a NIfTI file. It may be damaged, or something else.")


def _header(path: Path, order, dims, kind, pixdim, scaling, units, codes, quaternion, sform, intent) -> _Header:
    count = dims[0]
    if not 1 <= count <= 7 or min(dims[1 : 1 + count]) < 1:
        raise VolumeError(f"'{path}' is damaged: its header states the dimensions {tuple(dims)}.")
    sizes = [int(size) for size in dims[1 : 1 + count]]
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) == 5 and sizes[3] == 1 and intent in _VECTOR_INTENTS:
        raise VolumeError(f"'{path}' has {sizes[4]} values per voxel (color or vectors). Expected one.")
    require_three(path, sizes)
    offset, slope, intercept = scaling
    first = 540 if isinstance(offset, int) else 348
    if not math.isfinite(offset) or (offset != 0 and offset < first):
        raise VolumeError(f"'{path}' is damaged: its header says that the voxels begin at byte {offset:g}.")
    offset = offset or first + 4
    return _Header(
        order, tuple(sizes), kind[0], kind[1], tuple(pixdim), offset, slope, intercept, int(units) & 7, codes[0], codes[1],
        tuple(quaternion), np.array(sform, dtype=np.float64).reshape(3, 4),
    )  # fmt: skip


def _voxel_type(path: Path, header: _Header) -> np.dtype:
    if header.code in _COLORS:
        raise VolumeError(f"'{path}' has {_COLORS[header.code]} values per voxel (color or vectors). Expected one.")
    if header.code in _COMPLEX:
        raise VolumeError(f"'{path}': Expected real numbers as voxels, got complex ones.")
    if header.code not in _REAL_TYPES:
        raise VolumeError(f"'{path}' states the data type {header.code}, which is not known. It may be damaged.")
    kind = np.dtype(header.order + _REAL_TYPES[header.code])
    if header.bits not in (0, 8 * kind.itemsize):
        raise VolumeError(f"'{path}' is damaged: its header states {header.bits} bits per voxel for a type of {8 * kind.itemsize}.")
    return kind


def _rescaled(path: Path, stored: np.ndarray, header: _Header) -> np.ndarray:
    slope, intercept = header.slope, header.intercept
    if slope == 0 or not math.isfinite(slope) or (slope, intercept) == (1, 0):  # 0 and NaN: not rescaled
        return stored
    if not math.isfinite(intercept):
        raise VolumeError(f"'{path}' is damaged: it states that {intercept} is to be added to its values.")
    if stored.dtype.kind in "iu" and stored.dtype.itemsize <= 4 and float(slope).is_integer() and float(intercept).is_integer():
        ends = [slope * end + intercept for end in (int(stored.min()), int(stored.max()))]
        for kind in (np.int16, np.int32, np.int64):
            if np.iinfo(kind).min <= min(ends) and max(ends) <= np.iinfo(kind).max:
                return (stored.astype(np.int64) * int(slope) + int(intercept)).astype(kind)
    wide = stored.dtype.itemsize > (4 if stored.dtype.kind == "f" else 2)
    out = np.empty(stored.shape, dtype=np.float64 if wide else np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is refused with the volume
        for k, plane in enumerate(stored):
            out[k] = plane.astype(np.float64) * slope + intercept
    return out


# --- geometry


def _grid(path: Path, header: _Header) -> tuple[VolumeGrid, list[str]]:
    notes: list[str] = []
    shape = header.sizes[2::-1]
    qform, complaint = _qform(header)
    sform = None
    if header.sform_code > 0:
        sform = np.vstack([header.sform, [0, 0, 0, 1]])
    if header.units not in _MM_PER_UNIT:
        raise VolumeError(f"'{path}' is damaged: it states the unit of length {header.units}, which is none.")
    scale = _MM_PER_UNIT[header.units]
    if sform is None and qform is None:
        if complaint:
            raise VolumeError(f"'{path}' states a geometry that cannot be: {complaint}.")
        raise VolumeError(
            f"'{path}' states neither a qform nor an sform, so it is not known where left and right are. "
            "Set one first (with nibabel: set_sform), or give the image it was made from."
        )
    chosen = qform if sform is None else sform
    assert chosen is not None
    grid = _made(path, shape, chosen, scale)
    if sform is not None and qform is not None:
        notes += _compared(path, grid, _made(path, shape, qform, scale))
    elif sform is not None:
        notes += _sizes_compared(header, grid, scale)
        if complaint:
            notes.append(f"the qform cannot be ({complaint}); the sform is taken")
    if header.units in _UNIT_NAMES:
        notes.append(f"lengths are stated in {_UNIT_NAMES[header.units]} and were converted to mm")
    grid, note = straightened(grid)
    return grid, notes + ([note] if note else [])


def _made(path: Path, shape: tuple[int, ...], matrix: np.ndarray, scale: float) -> VolumeGrid:
    scaled = np.array(matrix)
    scaled[:3] *= scale
    try:
        return VolumeGrid(shape, scaled)  # type: ignore[arg-type]
    except VolumeError as exc:
        raise VolumeError(f"'{path}' states a geometry that cannot be: {exc}") from exc


def _qform(header: _Header) -> tuple[np.ndarray | None, str]:
    """The matrix of the qform, None if there is none; and what is wrong with one that cannot be."""
    if header.qform_code <= 0:
        return None, ""
    b, c, d = header.quaternion[:3]
    sizes = header.pixdim[1:4]
    if not all(math.isfinite(number) for number in (*header.quaternion, *sizes)):
        return None, "a number of the qform is not finite"
    if min(sizes) <= 0:
        return None, f"voxel sizes {tuple(round(size, 6) for size in sizes)}"
    square = b * b + c * c + d * d
    if square > 1 + 1e-4:
        return None, f"a quaternion of length {math.sqrt(square):.4g}, which is no rotation"
    norm = math.sqrt(max(square, 1.0))
    b, c, d = b / norm, c / norm, d / norm
    a = math.sqrt(max(0.0, 1 - (b * b + c * c + d * d)))
    sign = -1.0 if header.pixdim[0] < 0 else 1.0
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.array([sizes[0], sizes[1], sign * sizes[2]])
    matrix[:3, 3] = header.quaternion[3:]
    return matrix, ""


def _compared(path: Path, sform: VolumeGrid, qform: VolumeGrid) -> list[str]:
    corners_ijk = np.array(list(product(*((0, size - 1) for size in sform.shape_kji[::-1]))))
    apart_mm = float(np.linalg.norm(sform.ras_from_ijk(corners_ijk) - qform.ras_from_ijk(corners_ijk), axis=1).max())
    edge_mm = float(sform.spacing_ijk_mm.min())
    if apart_mm > FORMS_AGREE_VOXELS * edge_mm:
        raise VolumeError(
            f"'{path}' says two places: its sform and its qform lie up to {apart_mm:.3g} mm apart (voxels of "
            f"{_sizes(sform)} and {_sizes(qform)} mm), and programs differ in which they take. Make them agree first "
            "(with nibabel: image.set_qform(image.get_sform()), or the reverse)."
        )
    if apart_mm > _TOLD_VOXELS * edge_mm:
        return [f"its sform and its qform lie up to {apart_mm:.2g} mm apart; the sform is taken"]
    return []


def _sizes_compared(header: _Header, sform: VolumeGrid, scale: float) -> list[str]:
    stated = np.abs(np.array(header.pixdim[1:4])) * scale
    if not stated.all() or not np.isfinite(stated).all():
        return ["its header states no voxel sizes; the sform's are taken"]
    if np.abs(sform.spacing_ijk_mm - stated).max() > _SIZES_AGREE * stated.min():
        sizes = " x ".join(f"{size:.4g}" for size in stated)
        return [f"its sform states voxels of {_sizes(sform)} mm, which are taken; its header {sizes} mm, which ITK (3D Slicer) takes"]
    return []


def _sizes(grid: VolumeGrid) -> str:
    return " x ".join(f"{size:.4g}" for size in grid.spacing_ijk_mm)
