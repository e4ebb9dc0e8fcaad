"""Read Slicer's ``.seg.nrrd``: layers, names, terminology, reviews. Imports cases, review.stored_object, volume_io, geometry.

What Slicer reads is read here: files of Slicer 4.10 and older, too, which state neither values nor layers (component n is segment n), and
label maps of that name that state no segments at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...errors import InputError, VolumeError
from ...geometry import VolumeGrid
from ...review.stored_object import TAG, unpack_object
from ...volume_io.nrrd import NrrdHeader, nrrd_grid, read_header, read_voxels
from ..cases.case import SegmentReview, SourceSegment
from ..cases.masks import cut_to_content

_GEOMETRY = "Reference image geometry"
_PARAMETERS = "Segmentation_ConversionParameters"
_PARTS = ("contextName", "category", "type", "typeModifier", "anatomicContextName", "anatomicRegion", "anatomicRegionModifier")


@dataclass
class _Stored:
    """A segment's pairs: everything behind ``SegmentN_``."""

    number: int
    pairs: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.pairs.get("Name") or self.pairs.get("ID") or f"Segment {self.number + 1}"

    @property
    def tags(self) -> dict[str, str]:
        parts = (tag.partition(":") for tag in self.pairs.get("Tags", "").split("|") if tag)
        return {key: value for key, _, value in parts}


def is_slicer_segmentation(path: Path) -> bool:
    """Whether a NRRD file states segments in its header. Raises VolumeError if it has no header."""
    return bool(_segments_stated(read_header(path)))


def read_seg_nrrd(path: Path, annotated_grid: VolumeGrid | None = None) -> tuple[tuple[SourceSegment, ...], VolumeGrid | None]:
    """Read all segments, whatever layer they lie in, and the grid of the image that the file says they were made on, if it says so.

    Args:
        path: the file; it states segments, see `is_slicer_segmentation`.
        annotated_grid: grid of the image that was annotated, for reviews in a file that does not state it as its reference geometry.

    Raises:
        VolumeError: if the file is damaged or holds no binary labelmap.
        InputError: if a stored review is damaged or does not fit the image.
    """
    header = read_header(path)
    others = header.other_axes
    if len(header.spatial) != 3 or len(others) > 1 or header.kind.kind not in "bui":
        raise VolumeError(
            f"'{path}' holds no binary labelmaps (array of {len(header.sizes)} dimensions, {header.kind}). Save it as such in Slicer."
        )
    grid, _ = nrrd_grid(header)
    voxels = read_voxels(header)
    layers = np.moveaxis(voxels, voxels.ndim - 1 - others[0], 0) if others else voxels[np.newaxis]  # (layer, k, j, i)
    stated = _reference_grid(header.pairs)
    reviewed_on = stated or annotated_grid or grid
    segments = tuple(_segment(one, layers, grid, reviewed_on, path) for one in _segments_stated(header))
    return segments, stated


def _segments_stated(header: NrrdHeader) -> list[_Stored]:
    """In the order of their numbers."""
    found: dict[int, _Stored] = {}
    for key, value in header.pairs.items():
        if part := re.fullmatch(r"Segment(\d{1,9})_(\w+)", key.strip()):
            found.setdefault(int(part[1]), _Stored(int(part[1]))).pairs[part[2]] = value
    return [found[number] for number in sorted(found)]


def _segment(stored: _Stored, layers: np.ndarray, grid: VolumeGrid, reviewed_on: VolumeGrid, path: Path) -> SourceSegment:
    """One segment; in files of Slicer 4.10 and older its layer is its number, and its value 1."""
    try:
        value = int(stored.pairs.get("LabelValue", "1"))
        layer = int(stored.pairs.get("Layer", str(stored.number) if len(layers) > 1 else "0"))
    except ValueError as exc:
        raise VolumeError(f"'{path}' is damaged: the segment '{stored.name}' names no value, or no layer ({exc}).") from exc
    if not 0 <= layer < len(layers) or (len(layers) == 1 and stored.number > 0 and "LabelValue" not in stored.pairs):
        raise VolumeError(f"'{path}' is damaged: the segment '{stored.name}' names no value, or a layer that is not there.")
    mask = cut_to_content(grid, layers[layer] == value)
    packed = stored.tags.get(TAG)
    try:
        review = None if packed is None else SegmentReview.of(unpack_object(packed, stored.name), reviewed_on, stored.name)
    except InputError as exc:
        raise InputError(f"'{path}': {exc}") from exc
    terminology = terminology_of(stored.tags.get("TerminologyEntry", ""))
    return SourceSegment(stored.name, mask, codes_of(terminology), review, terminology)


def terminology_of(entry: str) -> dict[str, tuple[str, str, str]]:
    """Slicer's terminology entry taken apart: scheme, value and meaning of ``category``, ``type``, ``anatomicRegion`` and their modifiers.

    Args:
        entry: seven parts separated by ``~``, codes in them by ``^``; those that are missing or empty are left out.
    """
    found = {}
    for name, text in zip(_PARTS, entry.split("~"), strict=False):
        scheme, value, meaning = (*text.split("^"), "", "", "")[:3]
        if not name.endswith("Name") and scheme and value:
            found[name] = (scheme, value, meaning)
    return found


def codes_of(terminology: Mapping[str, tuple[str, str, str]]) -> tuple[str, ...]:
    """Codes of a terminology: type and anatomic region, each as ``SCHEME:VALUE`` or with its modifier."""
    codes = []
    for part in ("type", "anatomicRegion"):
        if part in terminology:
            scheme, value, _ = terminology[part]
            modifier = terminology.get(f"{part}Modifier")
            codes.append(f"{scheme}:{value}" + (f"+{modifier[0]}:{modifier[1]}" if modifier else ""))
    return tuple(codes)


def _reference_grid(pairs: Mapping[str, str]) -> VolumeGrid | None:
    """The grid in the conversion parameters: a 4x4 matrix to RAS by rows, then the extent; None if the file states none.

    Slicer saves only the part of the grid that has voxels, so this tells where slice 0 of the annotated image is.
    """
    parameters = (part.split("|") for part in pairs.get(_PARAMETERS, pairs.get("ConversionParameters", "")).split("&"))
    stated = next((part[1] for part in parameters if len(part) > 1 and part[0] == _GEOMETRY), "")
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
