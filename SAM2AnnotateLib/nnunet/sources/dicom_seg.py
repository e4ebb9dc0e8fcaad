"""Read DICOM SEG with pydicom, a frame at a time. Imports cases, volume_io, geometry, errors.

Frames belong to the slices of the image that they name or lie on. Only where they lie on no image that is at hand are they put on a grid of
their own, as far apart as the file says. One segment is in memory at a time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import VolumeError
from ...geometry import Volume, VolumeGrid
from ...volume_io import SliceSource
from ...volume_io.dicom_files import header_of
from ...volume_io.dicom_frames import Frame, frames_of
from ...volume_io.dicom_pixels import StoredFrames
from ...volume_io.translate import reading
from ..cases.case import SourceSegment
from ..cases.masks import cut_to_content, part_of

_SEGMENTATION, _LABELMAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
_ON_A_VOXEL = 0.05  # voxels: how far a frame's pixels may lie from the image's voxels
_OFF_SLICE = 0.5  # of the slice distance: how far a frame may lie from the slice that it names
_EVEN = 0.05  # of the slice distance


@dataclass(frozen=True)
class _Place:
    """Where a frame's pixels lie on a grid of voxels: ijk = first + column * along_row + row * along_column."""

    first: np.ndarray
    along_row: np.ndarray
    along_column: np.ndarray


def read_dicom_seg(
    path: Path, image_grid: VolumeGrid | None = None, image_slices: Sequence[SliceSource] = ()
) -> tuple[tuple[SourceSegment, ...], str | None]:
    """Read all segments of a DICOM segmentation, and the patient's id.

    Args:
        path: the file.
        image_grid: of the image that was segmented; without it, and where the frames do not lie on its voxels, the segments lie on a grid
            of their own.
        image_slices: the image's slices along k, if it is a DICOM series: a frame may name its slice.

    Raises:
        VolumeError: if the file is no DICOM SEG, is damaged, holds fractions, does not say where its frames lie, or lies in another frame
            of reference than the image without naming its slices.
        MissingPackageError: if pydicom is not installed.
    """
    stored = StoredFrames(path)
    with reading(path, "DICOM segmentation"):
        content = stored.dataset
        if content.get("SOPClassUID") not in (_SEGMENTATION, _LABELMAP) or "SegmentSequence" not in content:
            raise VolumeError(f"The DICOM file '{path}' could not be read as a segmentation: it is none.")
        kind = str(content.get("SegmentationType", ""))
        if kind not in ("BINARY", "FRACTIONAL", "LABELMAP") and int(content.get("BitsAllocated", 1)) != 1:
            raise VolumeError(f"The DICOM segmentation '{path}' does not say what its values mean (Segmentation Type '{kind}').")
        whole = int(content.get("MaximumFractionalValue") or 255) if kind == "FRACTIONAL" else None
        if "TotalPixelMatrixRows" in content:
            raise VolumeError(f"'{path}' segments a slide of a microscope, which is no volume.")
        frames = frames_of(path, content)
        places, grid = _places(path, frames, content, image_grid, image_slices)
        segments = []
        labels = _labels(stored, places, grid) if kind == "LABELMAP" else None
        numbers = [] if labels is not None else [_number_of(path, content, n) for n in range(len(frames))]
        found = set(np.unique(labels.array_kji).tolist()) - {0} if labels is not None else set(numbers)
        found.discard(int(content.get("PixelPaddingValue") or 0))  # the background of a label map, if it is not 0
        if unknown := found - {int(one.SegmentNumber) for one in content.SegmentSequence}:
            raise VolumeError(f"The DICOM segmentation '{path}' draws segment {min(unknown)} and does not describe it: it is damaged.")
        for described in content.SegmentSequence:
            number = int(described.SegmentNumber)
            name = str(described.get("SegmentLabel", "") or f"Segment {number}")
            if labels is not None:
                mask = cut_to_content(labels.grid, labels.array_kji == number)
            else:
                mask = _mask(path, stored, [n for n, one in enumerate(numbers) if one == number], places, grid, whole)
            if labels is None or number != 0:
                segments.append(SourceSegment(name, mask, _codes(described), None, _terminology(described)))
        patient = str(content.get("PatientID", "") or "").strip() or None
    return tuple(segments), patient


def _groups(content, frame: int) -> list[Any]:
    per_frame, shared = content.get("PerFrameFunctionalGroupsSequence"), content.get("SharedFunctionalGroupsSequence")
    return [one for one in (per_frame[frame] if per_frame else None, shared[0] if shared else None) if one is not None]


def _number_of(path: Path, content, frame: int) -> int:
    for group in _groups(content, frame):
        if item := group.get("SegmentIdentificationSequence"):
            return int(item[0].ReferencedSegmentNumber)
    raise VolumeError(f"The DICOM segmentation '{path}' does not say which segment its frame {frame + 1} is of.")


# --- places


def _places(
    path: Path, frames: list[Frame], content, image_grid: VolumeGrid | None, image_slices: Sequence[SliceSource]
) -> tuple[list[_Place], VolumeGrid]:
    if image_grid is not None:
        on_image = [_place_on(image_grid, frame) for frame in frames]
        named = {(one.sop_uid, one.frame): k for k, one in enumerate(image_slices)}
        elsewhere = _other_frame_of_reference(content, image_slices)
        for n, frame in enumerate(frames):
            k = _slice_named(content, n, named)
            if k is None and elsewhere:
                raise VolumeError(
                    f"The DICOM segmentation '{path}' lies in another frame of reference than the image ({elsewhere}), and its frame "
                    f"{n + 1} names no slice of the image: where it lies there is not known. Give the image that was segmented."
                )
            if k is None:
                continue
            if frame.position_lps is None:  # it names its slice, and says nothing else
                if image_grid.shape_kji[1:] == _size(frame):
                    on_image[n] = _Place(np.array([0, 0, k]), np.array([1, 0, 0]), np.array([0, 1, 0]))
            else:
                at = image_grid.ijk_from_ras(frame.position_lps * [-1, -1, 1])[2]
                if abs(at - k) > _OFF_SLICE and _runs_across(image_grid, frame):
                    raise VolumeError(
                        f"The DICOM segmentation '{path}' contradicts itself: its frame {n + 1} names slice {k} of the image and lies on "
                        f"slice {at:.1f}."
                    )
        whole = [place for place in on_image if place is not None]
        if len(whole) == len(frames):
            return whole, image_grid
    return _places_of_their_own(path, frames)


def _other_frame_of_reference(content, image_slices: Sequence[SliceSource]) -> str:
    """The segmentation's frame of reference if the image states another one; else empty."""
    stated = str(content.get("FrameOfReferenceUID", "") or "")
    if not stated or not image_slices:
        return ""
    image = header_of(image_slices[0].path)
    other = "" if image is None else str(image.get("FrameOfReferenceUID", "") or "")
    return stated if other and other != stated else ""


def _size(frame: Frame) -> tuple[int, int]:
    columns, rows = str(frame.kind["size"]).split(" x ")
    return int(rows), int(columns)


def _slice_named(content, frame: int, named: Mapping[tuple[str, int], int]) -> int | None:
    """The one slice of the image that a frame names as its source; None if it names none, or several."""
    found = set()
    for group in _groups(content, frame):
        for derivation in group.get("DerivationImageSequence") or []:
            for source in derivation.get("SourceImageSequence") or []:
                uid, numbers = str(source.get("ReferencedSOPInstanceUID", "")), source.get("ReferencedFrameNumber", 1)
                for number in numbers if not isinstance(numbers, (int, str)) else [numbers]:
                    if (uid, int(number) - 1) in named:
                        found.add(named[uid, int(number) - 1])
    return found.pop() if len(found) == 1 else None


def _frame_matrix(frame: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First pixel, step along a row and step along a column, in RAS mm."""
    assert frame.position_lps is not None and frame.axes_lps is not None and frame.spacing_rc_mm is not None
    signs = np.array([-1, -1, 1])
    rows_mm, columns_mm = frame.spacing_rc_mm
    return frame.position_lps * signs, frame.axes_lps[0] * columns_mm * signs, frame.axes_lps[1] * rows_mm * signs


def _runs_across(grid: VolumeGrid, frame: Frame) -> bool:
    """Whether a frame lies in the plane of the grid's slices."""
    if frame.axes_lps is None:
        return False
    normal = grid.ijk_to_ras[:3, 2] / np.linalg.norm(grid.ijk_to_ras[:3, 2])
    return abs(float(normal @ (frame.normal_lps * [-1, -1, 1]))) > 0.999


def _place_on(grid: VolumeGrid, frame: Frame) -> _Place | None:
    """A frame's pixels as voxels of a grid; None where they do not lie on its voxels."""
    if frame.position_lps is None or frame.axes_lps is None or frame.spacing_rc_mm is None:
        return None
    first, along_row, along_column = _frame_matrix(frame)
    to_index = np.linalg.inv(grid.ijk_to_ras[:3, :3])
    rows, columns = _size(frame)
    steps = []
    for step, count in ((to_index @ along_row, columns), (to_index @ along_column, rows)):
        whole = np.rint(step)
        if sorted(np.abs(whole)) != [0, 0, 1] or np.abs(step - whole).max() * max(count - 1, 1) > _ON_A_VOXEL:
            return None
        steps.append(whole.astype(int))
    at = grid.ijk_from_ras(first)
    if np.abs(at - np.rint(at)).max() > _ON_A_VOXEL or np.array_equal(np.abs(steps[0]), np.abs(steps[1])):
        return None
    return _Place(np.rint(at).astype(int), steps[0], steps[1])


def _places_of_their_own(path: Path, frames: list[Frame]) -> tuple[list[_Place], VolumeGrid]:
    """Frames on the grid that they span: their own pixels, and slices as far apart as the file says."""
    first = frames[0]
    for number, frame in enumerate(frames, start=1):
        if frame.position_lps is None or frame.axes_lps is None or frame.spacing_rc_mm is None:
            raise VolumeError(f"The DICOM segmentation '{path}' does not say where its frame {number} lies.")
        if (
            np.abs(frame.axes_lps - first.axes_lps).max() > 1e-3
            or not np.allclose(frame.spacing_rc_mm, first.spacing_rc_mm or 0, rtol=1e-3)
            or _size(frame) != _size(first)
        ):
            raise VolumeError(f"The frames 1 and {number} of the DICOM segmentation '{path}' lie in different planes or differ in size.")
    normal = first.normal_lps
    along = np.array([float(frame.position_lps @ normal) for frame in frames])
    order = int(np.argmin(along))
    distance = _slice_distance(path, first, along)
    steps = np.rint((along - along[order]) / distance).astype(int)
    origin, along_row, along_column = _frame_matrix(frames[order])
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = along_row, along_column, normal * distance * [-1, -1, 1]
    matrix[:3, 3] = origin
    grid = VolumeGrid((int(steps.max()) + 1, *_size(first)), matrix)
    places = []
    for number, (frame, step) in enumerate(zip(frames, steps, strict=True), start=1):
        at = grid.ijk_from_ras(_frame_matrix(frame)[0])
        if np.abs(at[:2] - np.rint(at[:2])).max() > 0.1:
            raise VolumeError(f"The DICOM segmentation '{path}' is not on an even grid: its frame {number} is shifted against the first.")
        places.append(_Place(np.array([*np.rint(at[:2]).astype(int), step]), np.array([1, 0, 0]), np.array([0, 1, 0])))
    return places, grid


def _slice_distance(path: Path, frame: Frame, along: np.ndarray) -> float:
    """How deep the voxels of a frame are, in mm.

    What the file says counts if all frames lie at multiples of it; a frame that was drawn on every seventh slice is not seven slices deep.
    """
    gaps = np.diff(np.unique(np.round(along, 3)))
    gaps = gaps[gaps > 1e-2]
    stated = [mm for mm in (frame.between_mm, frame.thickness_mm) if mm is not None]
    for distance in stated:
        shares = gaps / distance
        if not gaps.size or (np.rint(shares).min() >= 1 and np.abs(shares - np.rint(shares)).max() <= _EVEN):
            return distance
    if stated and gaps.size and gaps.min() < min(stated):  # slices that overlap
        shares = gaps / gaps.min()
        if np.abs(shares - np.rint(shares)).max() <= _EVEN:
            return float(gaps.min())
    what = "its frames are not evenly spaced" if stated else "it states neither Spacing Between Slices nor Slice Thickness"
    raise VolumeError(
        f"The DICOM segmentation '{path}' does not say how deep its voxels are: {what}. Give the image that was segmented, on "
        "whose slices its frames lie."
    )


# --- masks


def _mask(path: Path, stored: StoredFrames, numbers: list[int], places: list[_Place], grid: VolumeGrid, whole: int | None = None) -> Volume:
    """One segment, cut to what it holds.

    Args:
        whole: of a fractional segmentation: the value of a pixel that wholly belongs to it.

    Raises:
        VolumeError: if a pixel belongs to it in part, or two frames contradict each other.
    """
    pieces: list[tuple[int, np.ndarray]] = []
    seen: dict[tuple, int] = {}
    for n in numbers:
        key = (*places[n].first.tolist(),)
        if key in seen and not np.array_equal(stored.frame(n), stored.frame(seen[key])):
            raise VolumeError(f"The frames {seen[key] + 1} and {n + 1} of '{path}' are of one slice and one segment, but differ.")
        seen[key] = n
        values = stored.frame(n)
        if whole is not None and not np.isin(values, (0, whole)).all():
            kind = str(stored.dataset.get("SegmentationFractionalType", "")).lower() or "fraction"
            raise VolumeError(
                f"'{path}' is a fractional segmentation, and its frame {n + 1} holds the {kind} "
                f"{float(values[~np.isin(values, (0, whole))][0]) / whole:.3g}: a label has no fractions. Export a binary one."
            )
        rows, columns = np.nonzero(values)
        if rows.size:
            pieces.append((n, np.stack([rows, columns]).astype(np.uint16 if max(stored.rows, stored.columns) < 1 << 16 else np.uint32)))
    if not pieces:
        return cut_to_content(grid, np.zeros((1, 1, 1), dtype=bool))
    ends = np.array([_ijk(places[n], corner) for n, at in pieces for corner in _corners(at)])
    low, high = ends.min(axis=0), ends.max(axis=0) + 1
    if math.prod((high - low).tolist()) > 1 << 34:
        raise VolumeError(f"The DICOM segmentation '{path}' spans {tuple((high - low).tolist())} voxels, which is too much.")
    mask = np.zeros((high - low)[::-1], dtype=bool)
    for n, at in pieces:
        i, j, k = (_ijk(places[n], at.astype(np.int64)) - low).T
        mask[k, j, i] = True
    block = tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))
    return Volume(part_of(grid, block), mask)  # type: ignore[arg-type]


def _ijk(place: _Place, at: np.ndarray) -> np.ndarray:
    """(N, 3) voxels of (2, N) rows and columns."""
    rows, columns = at
    return place.first + np.multiply.outer(columns, place.along_row) + np.multiply.outer(rows, place.along_column)


def _corners(at: np.ndarray) -> list[np.ndarray]:
    (r0, c0), (r1, c1) = at.min(axis=1).astype(int), at.max(axis=1).astype(int)
    return [np.array([r, c]) for r in (r0, r1) for c in (c0, c1)]


def _labels(stored: StoredFrames, places: list[_Place], grid: VolumeGrid) -> Volume:
    """All frames of a segmentation that is a label map."""
    shape = (stored.rows, stored.columns)
    ends = np.array([_ijk(place, np.array(corner)) for place in places for corner in ((0, 0), (shape[0] - 1, shape[1] - 1))])
    low, high = ends.min(axis=0), ends.max(axis=0) + 1
    out = np.zeros((high - low)[::-1], dtype=stored.dtype)
    rows, columns = np.indices(shape)
    for n, place in enumerate(places):
        i, j, k = (_ijk(place, np.stack([rows.ravel(), columns.ravel()])) - low).T
        out[k, j, i] = stored.frame(n).ravel()
    block = tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))
    return Volume(part_of(grid, block), out)  # type: ignore[arg-type]


# --- codes


def _codes(described) -> tuple[str, ...]:
    """Property type and anatomic regions, with modifiers."""
    concepts = [(one, "SegmentedPropertyTypeModifierCodeSequence") for one in described.get("SegmentedPropertyTypeCodeSequence") or []]
    concepts += [(one, "AnatomicRegionModifierSequence") for one in described.get("AnatomicRegionSequence") or []]
    codes = []
    for concept, modifiers in concepts:
        code, more = _code(concept), concept.get(modifiers) or []
        modifier = _code(more[0]) if more else ""
        if code:
            codes.append(code + (f"+{modifier}" if modifier else ""))
    return tuple(codes)


def _terminology(described) -> dict[str, tuple[str, str, str]]:
    """Category, type and region with their first modifiers; what is not stated is left out."""
    found: dict[str, tuple[str, str, str]] = {}
    for part, sequence, modifiers in (
        ("category", "SegmentedPropertyCategoryCodeSequence", None),
        ("type", "SegmentedPropertyTypeCodeSequence", "SegmentedPropertyTypeModifierCodeSequence"),
        ("anatomicRegion", "AnatomicRegionSequence", "AnatomicRegionModifierSequence"),
    ):
        for concept in (described.get(sequence) or [])[:1]:
            more = (concept.get(modifiers) or [])[:1] if modifiers else []
            for name, one in ((part, concept), *((f"{part}Modifier", one) for one in more)):
                scheme, _, value = _code(one).partition(":")
                if scheme and value:
                    found[name] = (scheme, value, str(one.get("CodeMeaning", "") or ""))
    return found


def _code(concept) -> str:
    """``SCHEME:VALUE``; a long code, or one that is a URN, counts as any other."""
    value = next((str(concept.get(name)) for name in ("CodeValue", "LongCodeValue", "URNCodeValue") if concept.get(name)), "")
    scheme = str(concept.get("CodingSchemeDesignator", "") or "")
    return f"{scheme}:{value}" if scheme and value else value
