"""Read Slicer's ``.seg.nrrd`` with slicerio: layers, names, terminology, reviews. Imports nnunet.case, review.stored_object, geometry.

slicerio is the package of Slicer's own authors for this format. It takes the format apart; what the fields mean to us is said here.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ...errors import InputError, VolumeError
from ...geometry import VolumeGrid
from ...geometry.conventions import flip_lps_ras
from ...optional_imports import import_for
from ...review.stored_object import TAG, unpack_object
from ..cases.case import SegmentReview, SourceSegment
from ..cases.masks import cut_to_content

# A review kept in a tag may be some MB; what is longer is no header.
_LONGEST_LINE = 1 << 28
_GEOMETRY = "Reference image geometry"


def is_slicer_segmentation(path: Path) -> bool:
    """Whether a NRRD file holds a segmentation, told by its header."""
    return b"\nSegment0_" in _header(path)


def read_seg_nrrd(path: Path, annotated_grid: VolumeGrid | None = None) -> tuple[tuple[SourceSegment, ...], VolumeGrid | None]:
    """Read all segments, whatever layer they lie in, and the grid of the image that the file says they were made on, if it says so.

    Args:
        path: the file.
        annotated_grid: grid of the image that was annotated, for reviews in a file that does not state it as its reference geometry.

    Raises:
        VolumeError: if the file is damaged or holds no binary labelmap.
        MissingPackageError: if slicerio is not installed.
        InputError: if a stored review is damaged or does not fit the image.
    """
    slicerio = import_for("Reading .seg.nrrd files", "slicerio", "pip install slicerio")
    nrrd = import_for("Reading .seg.nrrd files", "nrrd", "pip install pynrrd")
    try:
        content = slicerio.read_segmentation(str(path))
    except (OSError, ValueError, KeyError, IndexError, EOFError, nrrd.NRRDError) as exc:
        raise VolumeError(f"The segmentation '{path}' could not be read; it may be damaged or incomplete: {exc}") from exc
    voxels = np.asarray(content["voxels"])
    layers = voxels[np.newaxis] if voxels.ndim == 3 else voxels  # (layer, i, j, k)
    if layers.ndim != 4 or layers.dtype.kind not in "bui":
        raise VolumeError(
            f"'{path}' holds no binary labelmaps (array of {voxels.ndim} dimensions, {voxels.dtype}). Save it as such in Slicer."
        )
    try:
        grid = VolumeGrid(layers.shape[:0:-1], flip_lps_ras(content["ijkToLPS"]))
    except VolumeError as exc:
        raise VolumeError(f"'{path}': {exc}") from exc
    stated = _reference_grid(content)
    reviewed_on = stated or annotated_grid or grid
    segments = tuple(
        _segment(segment, name or segment["id"], layers, grid, reviewed_on, path)
        for segment, name in zip(content["segments"], _names(path), strict=True)
    )
    return segments, stated


def _segment(stored: dict, name: str, layers: np.ndarray, grid: VolumeGrid, reviewed_on: VolumeGrid, path: Path) -> SourceSegment:
    layer = stored.get("layer", 0)
    if not 0 <= layer < len(layers) or "labelValue" not in stored:
        raise VolumeError(f"'{path}' is damaged: the segment '{name}' names no value, or a layer that is not there.")
    mask = cut_to_content(grid, (layers[layer] == stored["labelValue"]).transpose(2, 1, 0))
    packed = stored.get("tags", {}).get(TAG)
    try:
        review = None if packed is None else SegmentReview.of(unpack_object(packed, name), reviewed_on, name)
    except InputError as exc:
        raise InputError(f"'{path}': {exc}") from exc
    return SourceSegment(name, mask, codes_of(stored.get("terminology", {})), review)


def codes_of(terminology: dict) -> tuple[str, ...]:
    """Codes of slicerio's terminology: type and anatomic region, each as ``SCHEME:VALUE`` or with its modifier."""
    codes = []
    for field in ("type", "anatomicRegion"):
        code = terminology.get(field, ["", "", ""])
        if code[0] and code[1]:
            modifier = terminology.get(f"{field}Modifier", ["", "", ""])
            codes.append(f"{code[0]}:{code[1]}" + (f"+{modifier[0]}:{modifier[1]}" if modifier[0] and modifier[1] else ""))
    return tuple(codes)


def _names(path: Path) -> list[str | None]:
    """The segments' names in slicerio's order, that of their numbers. Slicer writes UTF-8, of which pynrrd drops what is not ASCII."""
    names: dict[int, str | None] = {}
    for line in _header(path).decode("utf-8", "replace").splitlines():
        if field := re.match(r"Segment(\d+)_(\w+):=(.*)", line):
            number = int(field[1])
            names[number] = field[3] if field[2] == "Name" else names.get(number)
    return [names[number] for number in sorted(names)]


def _header(path: Path) -> bytes:
    """The header's lines: up to the first empty one."""
    lines = []
    with open(path, "rb") as stream:
        while (line := stream.readline(_LONGEST_LINE)).strip():
            lines.append(line)
    return b"".join(lines)


def _reference_grid(content: dict) -> VolumeGrid | None:
    """The grid in the conversion parameters: a 4x4 matrix to RAS by rows, then the extent; None if the file states none.

    Slicer saves only the part of the grid that has voxels, so this tells where slice 0 of the annotated image is.
    """
    stated = next((one["value"] for one in content.get("conversionParameters", []) if one["name"] == _GEOMETRY), "")
    numbers = [part for part in stated.split(";") if part.strip()]
    if len(numbers) != 22:
        return None
    try:
        matrix = np.array([float(number) for number in numbers[:16]]).reshape(4, 4)
        i0, i1, j0, j1, k0, k1 = (int(number) for number in numbers[16:])
        matrix[:3, 3] += matrix[:3, :3] @ [i0, j0, k0]
        return VolumeGrid((k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1), matrix)
    except (ValueError, VolumeError):
        return None
