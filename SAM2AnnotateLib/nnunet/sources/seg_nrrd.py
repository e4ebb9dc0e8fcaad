"""Read Slicer's ``.seg.nrrd``: layers, names, terminology, reviews. Imports cases, review.stored_object, volume_io, geometry.

What Slicer reads is read here: files of Slicer 4.10 and older, too, which state neither values nor layers (component n is segment n), and
label maps of that name that state no segments at all. A file is unpacked once, a plane at a time: a hundred components of an image take no
more memory than what is drawn in them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...errors import InputError, VolumeError
from ...geometry import Volume, VolumeGrid
from ...review.stored_object import TAG, unpack_object
from ...volume_io.nrrd import NrrdHeader, nrrd_grid, read_header, voxels_by_plane
from ..cases.case import SegmentReview, SourceSegment
from ..cases.masks import cut_to_content, part_of

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
    stated = _reference_grid(header.pairs)
    reviewed_on = stated or annotated_grid or grid
    found = _segments_stated(header)
    layers = header.sizes[others[0]] if others else 1
    drawn = [_Drawn(*_place(one, layers, path)) for one in found]
    for layer, k, plane in _planes(header):
        for one in drawn:
            if one.layer == layer:
                one.add(k, plane)
    return tuple(_segment(one, mask.volume(grid), reviewed_on, path) for one, mask in zip(found, drawn, strict=True)), stated


def _segments_stated(header: NrrdHeader) -> list[_Stored]:
    """In the order of their numbers."""
    found: dict[int, _Stored] = {}
    for key, value in header.pairs.items():
        if part := re.fullmatch(r"Segment(\d{1,9})_(\w+)", key.strip()):
            found.setdefault(int(part[1]), _Stored(int(part[1]))).pairs[part[2]] = value
    return [found[number] for number in sorted(found)]


class _Drawn:
    """The voxels of one value in one layer, collected plane by plane."""

    def __init__(self, layer: int, value: int):
        self.layer, self._value = layer, value
        self._planes: dict[int, tuple[slice, slice, np.ndarray]] = {}  # by k: rows, columns, the bits between

    def add(self, k: int, plane: np.ndarray) -> None:
        """(j, i) values of a plane."""
        mask = plane == self._value
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if rows.size:
            j, i = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
            self._planes[k] = j, i, np.packbits(mask[j, i])

    def volume(self, grid: VolumeGrid) -> Volume:
        """As `cut_to_content` gives it; the planes are let go."""
        if not self._planes:
            return cut_to_content(grid, np.zeros((1, 1, 1), dtype=bool))
        k0, k1 = min(self._planes), max(self._planes) + 1
        j0, j1 = min(j.start for j, _, _ in self._planes.values()), max(j.stop for j, _, _ in self._planes.values())
        i0, i1 = min(i.start for _, i, _ in self._planes.values()), max(i.stop for _, i, _ in self._planes.values())
        mask = np.zeros((k1 - k0, j1 - j0, i1 - i0), dtype=bool)
        for k, (j, i, bits) in self._planes.items():
            shape = j.stop - j.start, i.stop - i.start
            part = np.unpackbits(bits, count=math.prod(shape)).reshape(shape)
            mask[k - k0, j.start - j0 : j.stop - j0, i.start - i0 : i.stop - i0] = part
        self._planes = {}
        return Volume(part_of(grid, (slice(k0, k1), slice(j0, j1), slice(i0, i1))), mask)


def _planes(header: NrrdHeader) -> Iterator[tuple[int, int, np.ndarray]]:
    """Layer, k and the (j, i) values of each plane of each layer, as they come from the file."""
    others = header.other_axes
    if not others:
        for k, plane in enumerate(voxels_by_plane(header, 2)):
            yield 0, k, plane
    elif others[0] == 3:  # layer behind layer
        for n, plane in enumerate(voxels_by_plane(header, 2)):
            yield n // header.sizes[2], n % header.sizes[2], plane
    else:  # all layers of a plane together
        for k, block in enumerate(voxels_by_plane(header, 3)):
            for layer, plane in enumerate(np.moveaxis(block, 2 - others[0], 0)):
                yield layer, k, plane


def _place(stored: _Stored, layers: int, path: Path) -> tuple[int, int]:
    """Layer and value of a segment; in files of Slicer 4.10 and older its layer is its number, and its value 1."""
    try:
        value = int(stored.pairs.get("LabelValue", "1"))
        layer = int(stored.pairs.get("Layer", str(stored.number) if layers > 1 else "0"))
    except ValueError as exc:
        raise VolumeError(f"'{path}' is damaged: the segment '{stored.name}' names no value, or no layer ({exc}).") from exc
    if not 0 <= layer < layers or (layers == 1 and stored.number > 0 and "LabelValue" not in stored.pairs):
        raise VolumeError(f"'{path}' is damaged: the segment '{stored.name}' names no value, or a layer that is not there.")
    return layer, value


def _segment(stored: _Stored, mask: Volume, reviewed_on: VolumeGrid, path: Path) -> SourceSegment:
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
