"""DICOM images of a folder or a multi-frame file into a `Volume`, by what every frame says of itself.

What a folder holds is told in three steps: series (by their UID), in each the volumes (frames of one kind, orientation and spacing, at
most one at each position), in each the slices in order along their normal. Where there is a choice, the caller makes it, or is told
what there is.
Imports geometry, errors, numpy and (inside functions) pydicom.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import TiltedGantryError, VolumeError
from ..geometry import Volume, VolumeGrid
from ..geometry.conventions import flip_lps_ras
from ..optional_imports import import_for
from .dicom_files import INSTALL, folder_headers, folders_with_images, header_of, is_image
from .dicom_frames import Frame, frames_of
from .dicom_pixels import StoredFrames
from .straight import straightened
from .translate import reading
from .untilt import shifted_back

# Frames this close along their normal lie at one position.
_SAME_POSITION_MM = 2e-3
_SAME_DIRECTION = 5e-4  # in each component of a unit vector: 0.03 degrees
_SAME_SPACING = 1e-4  # share
# A slice may lie this share of the slice distance away from where even spacing puts it; above the second figure that is told.
_UNEVEN_SHARE, _TOLD_SHARE = 0.1, 0.01
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
_LISTED = 8


@dataclass(frozen=True)
class SliceSource:
    """Where a slice of a volume comes from.

    Args:
        path: its file.
        frame: number of the frame in the file, from 0.
        sop_uid: SOP instance UID of the file.
    """

    path: Path
    frame: int
    sop_uid: str


@dataclass(frozen=True)
class DicomVolume:
    """A volume with what else its files say.

    Args:
        volume: the voxels.
        patient_id: None if not stated.
        slices: the source of each slice along k.
    """

    volume: Volume
    patient_id: str | None
    slices: tuple[SliceSource, ...]


@dataclass
class _Series:
    uid: str
    headers: list[tuple[Path, Any]]

    @property
    def first(self):
        return self.headers[0][1]

    @property
    def classes(self) -> set[str]:
        return {str(header.get("SOPClassUID", "")) for _, header in self.headers}

    def __str__(self) -> str:
        described = str(self.first.get("SeriesDescription", "") or "").strip()
        images = sum(int(header.get("NumberOfFrames") or 1) for _, header in self.headers)
        about = [str(self.first.get("Modality", "") or "no modality"), *([f"'{described}'"] if described else [])]
        return f"{self.uid or 'without a UID'} ({', '.join(about)}, {images} image{'s' if images != 1 else ''})"


def read_dicom(path: Path, series: str | None = None, number: int | None = None, untilt: bool = False) -> DicomVolume:
    """Read one volume from a folder's DICOM files, or from a multi-frame file.

    Args:
        path: folder whose files hold the images, or one multi-frame file.
        series: UID, number or description of the series; None if there is one.
        number: of the volume in the series, from 1; None if there is one.
        untilt: shift slices of a tilted gantry back in their planes, see `untilt`; such a series is refused otherwise. The slices' sources
            are left out then, since the voxels are not theirs any more.

    Raises:
        VolumeError: in one line, if there is no such volume or more than one, or the frames contradict one another.
        MissingPackageError: if pydicom is not installed.
    """
    import_for("Reading DICOM", "pydicom", INSTALL)
    with reading(path, "DICOM series"):  # a value is converted when it is asked for, and a damaged one raises then
        chosen = _chosen_series(path, _series_of(path), series)
        volumes = _volumes_of(path, chosen)
        if number is None and len(volumes) > 1:
            raise VolumeError(
                f"The DICOM series in '{path}' holds {len(volumes)} volumes{_why(volumes)}: {_listed(volumes)}.",
                f"Choose one with --volume 1 to {len(volumes)}.",
            )
        if number is not None and not 1 <= number <= len(volumes):
            raise VolumeError(f"There is no volume {number} in '{path}'; the series holds {len(volumes)}: {_listed(volumes)}.")
        return _built(path, volumes[(number or 1) - 1][1], chosen, untilt)


def read_dicom_files(files: Sequence[Path]) -> DicomVolume:
    """Read one volume from the files of one series, wherever they lie; else as `read_dicom`."""
    import_for("Reading DICOM", "pydicom", INSTALL)
    if not files:
        raise VolumeError("Expected the files of a DICOM series, got none.")
    folder = files[0].parent
    headers = []
    for file in files:
        try:
            header = header_of(file)
        except OSError as exc:
            raise VolumeError(f"'{file}' could not be read: {exc.strerror or exc}.") from exc
        if header is None or not is_image(header):
            raise VolumeError(f"'{file}' is no DICOM image.")
        headers.append((file, header))
    with reading(folder, "DICOM series"):
        found = _by_series(headers)
        if len(found) > 1:
            raise VolumeError(f"Expected the files of one DICOM series, got {_series_listed(found)}.")
        volumes = _volumes_of(folder, found[0])
        if len(volumes) > 1:
            raise VolumeError(f"The files of the DICOM series hold {len(volumes)} volumes{_why(volumes)}: {_listed(volumes)}.")
        return _built(folder, volumes[0][1], found[0])


def _volumes_of(path: Path, chosen: _Series) -> list[tuple[str, list[Frame]]]:
    if chosen.classes <= set(_SEGMENTATIONS):
        raise VolumeError(f"'{path}' holds a DICOM segmentation, no image. Give it where a segmentation is asked for.")
    _require_one_patient(chosen)
    return _volumes(path, [frame for file, header in _without_copies(chosen.headers) for frame in frames_of(file, header)])


def _series_of(path: Path) -> list[_Series]:
    if path.is_dir():
        headers = folder_headers(path)
    else:
        header = header_of(path)
        if header is None or not is_image(header):
            raise VolumeError(f"'{path}' is no DICOM image.")
        if int(header.get("NumberOfFrames") or 1) < 2 and "PerFrameFunctionalGroupsSequence" not in header:
            raise VolumeError(f"'{path}' is one image of a DICOM series. Give the folder that holds the series.")
        headers = [(path, header)]
    return _by_series(headers)


def _by_series(headers: Sequence[tuple[Path, Any]]) -> list[_Series]:
    by_uid: dict[str, list[tuple[Path, Any]]] = {}
    for file, header in headers:
        with reading(file, "DICOM file"):
            by_uid.setdefault(str(header.get("SeriesInstanceUID", "") or ""), []).append((file, header))
    return [_Series(uid, by_uid[uid]) for uid in sorted(by_uid)]


def _chosen_series(path: Path, found: list[_Series], wanted: str | None) -> _Series:
    if wanted is not None:
        matching = [one for one in found if wanted == one.uid]
        matching = matching or [
            one
            for one in found
            if wanted.strip().casefold()
            in {str(one.first.get(keyword, "")).strip().casefold() for keyword in ("SeriesNumber", "SeriesDescription")}
        ]
        if len(matching) != 1:
            raise VolumeError(
                f"{'No' if not matching else len(matching)} DICOM series in '{path}' is called '{wanted}' (UID, number or description). "
                f"It holds {_series_listed(found)}."
            )
        return matching[0]
    images = [one for one in found if not one.classes <= {*_SEGMENTATIONS, _RT_DOSE}] or found
    if len(images) == 1:
        return images[0]
    if not found:
        below = list(folders_with_images(path)) if path.is_dir() else []
        shown = ", ".join(f"'{one}'" for one in below[:_LISTED]) + (" and more" if len(below) > _LISTED else "")
        advice = f"DICOM images lie in {shown}: give that folder." if below else "Give a folder that holds a single series."
        raise VolumeError(f"Expected one DICOM series in the folder '{path}', found none. {advice}")
    raise VolumeError(
        f"Expected one DICOM series in the folder '{path}', found {_series_listed(images)}.",
        "Choose one with --series, or give a folder that holds a single series.",
    )


def _series_listed(found: Sequence[_Series]) -> str:
    return f"{len(found)}: {', '.join(map(str, found[:_LISTED]))}{' and more' if len(found) > _LISTED else ''}"


def _require_one_patient(series: _Series) -> None:
    first, reference = series.headers[0]
    for file, header in series.headers[1:]:
        if str(header.get("PatientID", "")) != str(reference.get("PatientID", "")):
            raise VolumeError(f"One DICOM series is of two patients: '{first}' and '{file}' differ in the patient's id. Sort them.")


def _without_copies(headers: list[tuple[Path, Any]]) -> list[tuple[Path, Any]]:
    """Each SOP instance once; files that carry one UID must be the same to the byte."""
    seen: dict[str, Path] = {}
    kept = []
    for path, header in headers:
        uid = str(header.get("SOPInstanceUID", ""))
        if uid and uid in seen:
            if path.read_bytes() != seen[uid].read_bytes():
                raise VolumeError(f"'{seen[uid]}' and '{path}' carry one SOP instance UID, but differ. Remove one of them.")
            continue
        seen[uid] = path
        kept.append((path, header))
    return kept


# --- volumes of a series


def _volumes(path: Path, frames: list[Frame]) -> list[tuple[str, list[Frame]]]:
    """What a series holds: a description and the frames, sorted along their normal, of each volume."""
    for frame in frames:
        missing = [
            name
            for name, value in (
                ("position (Image Position (Patient))", frame.position_lps),
                ("orientation (Image Orientation (Patient))", frame.axes_lps),
                ("Pixel Spacing", frame.spacing_rc_mm),
            )
            if value is None
        ]
        if missing:
            raise VolumeError(
                f"The DICOM image '{frame.path}' states no {' and no '.join(missing)}, so it has no place in a volume. "
                "It may be damaged, or a projection (X-ray) or a picture, which is no slice."
            )
    groups: list[list[Frame]] = []
    for frame in frames:
        group = next((group for group in groups if _belong_together(group[0], frame)), None)
        if group is None:
            groups.append([frame])
        else:
            group.append(frame)
    differing = [name for name in frames[0].kind if len({str(group[0].kind[name]) for group in groups}) > 1]
    volumes = []
    for group in groups:
        about = [f"{name} {group[0].kind[name]}" for name in differing]
        if len(groups) > 1:
            about.append(f"first file '{group[0].path.name}', row direction {_numbers(group[0].axes_lps[0])}")  # type: ignore[index]
            about.append(f"pixels {_numbers(np.array(group[0].spacing_rc_mm))} mm")
        for distinction, part in _at_one_position_each(path, group):
            volumes.append((", ".join([*about, *([distinction] if distinction else [])]), part))
    return volumes


def _belong_together(one: Frame, other: Frame) -> bool:
    return (
        one.kind == other.kind
        and float(np.abs(np.subtract(one.axes_lps, other.axes_lps)).max()) <= _SAME_DIRECTION  # type: ignore[arg-type]
        and np.allclose(one.spacing_rc_mm, other.spacing_rc_mm, rtol=_SAME_SPACING, atol=0)  # type: ignore[arg-type]
    )


def _at_one_position_each(path: Path, frames: list[Frame]) -> list[tuple[str, list[Frame]]]:
    """Frames of one kind, split so that no two of a part lie at one position, by whatever tells them apart."""
    normal = frames[0].normal_lps
    along = np.array([float(frame.position_lps @ normal) for frame in frames])
    order = np.argsort(along, kind="stable")
    places = np.empty(len(frames), dtype=int)
    places[order] = np.concatenate([[0], np.cumsum(np.diff(along[order]) > _SAME_POSITION_MM)])
    counts = Counter(places.tolist())
    most = max(counts.values())
    at = {id(frame): (int(place), float(mm)) for frame, place, mm in zip(frames, places, along, strict=True)}
    if most == 1:
        return [("", sorted(frames, key=lambda frame: at[id(frame)][1]))]
    names = sorted({name for frame in frames for name in frame.about}, key=[*frames[0].about, *(n for f in frames for n in f.about)].index)
    names = [name for name in names if len({frame.about.get(name) for frame in frames}) > 1]
    for chosen in (*combinations(names, 1), *combinations(names, 2)):
        parts: dict[tuple, list[Frame]] = {}
        for frame in frames:
            parts.setdefault(tuple(frame.about.get(name, "not stated") for name in chosen), []).append(frame)
        if len(parts) == most and all(len({at[id(frame)][0] for frame in part}) == len(part) for part in parts.values()):
            return [
                (", ".join(f"{name} {value}" for name, value in zip(chosen, values, strict=True)), sorted(part, key=lambda f: at[id(f)][1]))
                for values, part in parts.items()
            ]
    if len(set(counts.values())) > 1:
        crowded = [frame for frame, place in zip(frames, places, strict=True) if counts[int(place)] == most]
        raise VolumeError(
            f"{most} images of the DICOM series in '{path}' lie at one position, such as '{crowded[0].path.name}' and "
            f"'{next(f for f in crowded[1:] if at[id(f)][0] == at[id(crowded[0])][0]).path.name}', and {min(counts.values())} at others: "
            "a slice is there twice, or images are missing. Remove what does not belong to the volume."
        )
    by_place: dict[int, list[Frame]] = {}
    for frame in sorted(frames, key=lambda frame: frame.number):
        by_place.setdefault(at[id(frame)][0], []).append(frame)
    stacks = [[by_place[place][nth] for place in sorted(by_place)] for nth in range(most)]
    return [(f"image {nth} of {most} at each position, in the order they were made", part) for nth, part in enumerate(stacks, start=1)]


def _listed(volumes: Sequence[tuple[str, list[Frame]]]) -> str:
    parts = []
    for number, (about, frames) in enumerate(volumes[:_LISTED], start=1):
        parts.append(f"{number}: {len(frames)} image{'s' if len(frames) != 1 else ''}" + (f" ({about})" if about else ""))
    return "; ".join(parts) + (" and more" if len(volumes) > _LISTED else "")


def _why(volumes: Sequence[tuple[str, list[Frame]]]) -> str:
    first, second = volumes[0][1][0], volumes[1][1][0]
    if _belong_together(first, second):
        return ", because several images lie at each position (time points, echoes, or duplicates)"
    return ""


def _numbers(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in values) + ")"


# --- one volume


def _built(path: Path, frames: list[Frame], series: _Series, untilt: bool = False) -> DicomVolume:
    tilt = _tilt(frames) if len(frames) > 1 else None
    if tilt is not None and not untilt:
        degrees, off_mm = tilt
        raise TiltedGantryError(
            f"The slices of the DICOM series in '{path}' are not evenly spaced along their normal: they lie up to {off_mm:.3g} mm off. "
            f"Each is shifted against the one before, as where the gantry was tilted (by {degrees:.1f} degrees).",
            "Read it with --untilt, which shifts each slice back in its plane; or load it in 3D Slicer with its acquisition geometry "
            "regularized (Application Settings, DICOM), and harden the transform.",
        )
    grid, notes = _grid(path, frames, tilt is not None)
    array, more = _voxels(path, frames)
    if tilt is not None:
        grid, array, note = _untilted(frames, grid, array, tilt[0])
        more = [*more, note]
    stated = str(series.first.get("Modality", "") or "").strip() or None
    try:
        volume = Volume(grid, array, stated, (*notes, *more))
    except VolumeError as exc:
        raise VolumeError(f"'{path}': {exc}") from exc
    patient = str(series.first.get("PatientID", "") or "").strip() or None
    sources = () if tilt is not None else tuple(SliceSource(frame.path, frame.index, frame.sop_uid) for frame in frames)
    return DicomVolume(volume, patient, sources)


def _tilt(frames: list[Frame]) -> tuple[float, float] | None:
    """The gantry's tilt in degrees and the farthest slice's shift in mm; None if slices lie along their normal, or unevenly."""
    positions = np.array([frame.position_lps for frame in frames])
    step = (positions[-1] - positions[0]) / (len(frames) - 1)
    length = float(np.linalg.norm(step))
    if _off_line(positions, step) > _UNEVEN_SHARE * length or _off_normal(frames, positions) <= _UNEVEN_SHARE * length:
        return None
    return math.degrees(math.acos(min(1.0, float(step @ frames[0].normal_lps) / length))), _off_normal(frames, positions)


def _off_line(positions: np.ndarray, step: np.ndarray) -> float:
    """How far a slice lies from where even spacing puts it, at most, in mm."""
    return float(np.linalg.norm(positions - positions[0] - np.arange(len(positions))[:, np.newaxis] * step, axis=1).max())


def _off_normal(frames: list[Frame], positions: np.ndarray) -> float:
    """How far a slice lies from even spacing along the normal of the first, at most, in mm."""
    normal = frames[0].normal_lps
    along = np.linspace(positions[0] @ normal, positions[-1] @ normal, len(frames))
    return float(np.linalg.norm(positions - positions[0] - (along - along[0])[:, np.newaxis] * normal, axis=1).max())


def _untilted(frames: list[Frame], grid: VolumeGrid, array: np.ndarray, degrees: float) -> tuple[VolumeGrid, np.ndarray, str]:
    """A grid along the normal, with each slice shifted back in its plane, and what is told of it."""
    positions = np.array([frame.position_lps for frame in frames])
    axes, spacing = frames[0].axes_lps, frames[0].spacing_rc_mm
    assert axes is not None and spacing is not None
    in_plane_mm = (positions - positions[0]) @ axes[::-1].T  # along columns (j), along rows (i)
    moved, first = shifted_back(array, in_plane_mm / np.array(spacing))
    matrix = np.array(grid.ijk_to_ras)
    matrix[:3, 3] = grid.ras_from_ijk(np.array([first[1], first[0], 0.0]))
    note = (
        f"the gantry was tilted by {degrees:.1f} degrees; each slice was shifted back in its plane, by up to "
        f"{np.linalg.norm(in_plane_mm, axis=1).max():.3g} mm, values interpolated linearly; beyond the slices stands {array.min():g}"
    )
    return VolumeGrid(moved.shape, matrix), moved, note


def _grid(path: Path, frames: list[Frame], tilted: bool = False) -> tuple[VolumeGrid, list[str]]:
    """Where the voxels lie; of a tilted gantry, where they would without the tilt."""
    notes = []
    first = frames[0]
    assert first.axes_lps is not None and first.spacing_rc_mm is not None and first.position_lps is not None
    positions = np.array([frame.position_lps for frame in frames])
    if len(frames) == 1:
        distance = first.thickness_mm or first.between_mm
        if distance is None:
            raise VolumeError(
                f"The DICOM image '{first.path}' is a single slice and states no Slice Thickness, so its voxels have no depth. "
                "Give the whole series."
            )
        notes.append(f"a single slice: its thickness of {distance:g} mm is taken for the depth of its voxels")
        step = first.normal_lps * distance
    else:
        step = (positions[-1] - positions[0]) / (len(frames) - 1)
        if not tilted:
            _require_even(path, frames, positions, step)
        off_mm = _off_line(positions, step)
        if off_mm > _TOLD_SHARE * float(np.linalg.norm(step)):
            notes.append(f"slices lie up to {off_mm:.2g} mm off even spacing of {np.linalg.norm(step):.4g} mm, and are taken as even")
    index_to_lps = np.eye(4)
    index_to_lps[:3, 0] = first.axes_lps[0] * first.spacing_rc_mm[1]
    index_to_lps[:3, 1] = first.axes_lps[1] * first.spacing_rc_mm[0]
    index_to_lps[:3, 2] = first.normal_lps * float(step @ first.normal_lps) if tilted else step
    index_to_lps[:3, 3] = positions[0]
    rows_columns = [int(size) for size in str(first.kind["size"]).split(" x ")][::-1]
    grid, note = straightened(VolumeGrid((len(frames), *rows_columns), flip_lps_ras(index_to_lps)))  # type: ignore[arg-type]
    return grid, [*notes, *([note] if note else [])]


def _require_even(path: Path, frames: list[Frame], positions: np.ndarray, step: np.ndarray) -> None:
    """Raise VolumeError unless positions lie evenly on a line along the slices' normal."""
    normal = frames[0].normal_lps
    gaps = np.diff(positions @ normal)
    middle = float(np.median(gaps))
    even = positions[0] + np.arange(len(frames))[:, np.newaxis] * step
    off_mm = _off_normal(frames, positions)
    if off_mm <= _UNEVEN_SHARE * float(np.linalg.norm(step)):
        return
    start = f"The slices of the DICOM series in '{path}' are not evenly spaced along their normal: they lie up to {off_mm:.3g} mm off. "
    widest = int(np.argmax(gaps))
    if gaps[widest] > 1.5 * middle:
        raise VolumeError(
            f"{start}A slice may be missing or damaged: between '{frames[widest].path.name}' and '{frames[widest + 1].path.name}' lie "
            f"{gaps[widest]:.4g} mm, mostly {middle:.4g} mm. Complete the series, or resample it to a regular grid first."
        )
    worst = int(np.argmax(np.linalg.norm(positions - even, axis=1)))
    raise VolumeError(
        f"{start}The position of '{frames[worst].path.name}' may be wrong, or the distances differ on purpose ({gaps.min():.4g} to "
        f"{gaps.max():.4g} mm). Complete the series, or resample it to a regular grid first."
    )


def _voxels(path: Path, frames: list[Frame]) -> tuple[np.ndarray, list[str]]:
    """(k, j, i) modality values; each file is read once."""
    if len({frame.rescale is None for frame in frames}) > 1:
        stated, none = (next(f for f in frames if (f.rescale is None) == missing) for missing in (False, True))
        raise VolumeError(f"'{none.path}' states no rescale values, '{stated.path}' of the same series does. It may be damaged.")
    by_file: dict[Path, list[int]] = {}
    for k, frame in enumerate(frames):
        by_file.setdefault(frame.path, []).append(k)
    out: np.ndarray | None = None
    kind: tuple | None = None
    strays = []
    for file, slices in by_file.items():
        stored = StoredFrames(file)
        if kind is not None and kind[0] != stored.dtype.kind and "f" in (kind[0], stored.dtype.kind):
            raise VolumeError(f"'{file}' holds voxels of another type than '{next(iter(by_file))}' of the same series.")
        kind = (stored.dtype.kind,)
        of_index = {frames[k].index: k for k in slices}
        for index, values in enumerate(stored):
            if index not in of_index:
                continue
            k = of_index[index]
            values = _by_table(stored, values) if frames[k].has_table else _rescaled(values, frames[k].rescale)
            if out is None:
                _require_room(path, len(frames), values.shape, values.dtype)
                out = np.empty((len(frames), *values.shape), dtype=values.dtype)
            elif not np.can_cast(values.dtype, out.dtype, "safe"):
                out = out.astype(_common(out.dtype, values.dtype))
            out[k] = values
        if stored.stray_bits:
            strays.append(file.name)
    assert out is not None
    if not strays:
        return out, []
    return out, [f"bits beyond Bits Stored are set in {len(strays)} files, such as '{strays[0]}'; they are no part of the values"]


def _require_room(path: Path, slices: int, shape: tuple[int, ...], kind: np.dtype) -> None:
    try:
        np.empty((slices, *shape), dtype=kind)
    except (MemoryError, ValueError) as exc:
        raise VolumeError(f"'{path}' holds a volume of {slices} x {shape} voxels, which this computer's memory cannot hold.") from exc


def _common(one: np.dtype, other: np.dtype) -> np.dtype:
    if "f" in (one.kind, other.kind):
        wide = any(kind.itemsize > (4 if kind.kind == "f" else 2) for kind in (one, other))
        return np.dtype(np.float64 if wide else np.float32)
    return np.promote_types(one, other)


def _rescaled(values: np.ndarray, rescale: tuple[float, float] | None) -> np.ndarray:
    """As stored where nothing is rescaled; whole numbers in the smallest type that holds them, of at least 16 bits; else floating-point."""
    if rescale is None or rescale == (1.0, 0.0):
        return values
    slope, intercept = rescale
    if values.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer():
        ends = [int(slope) * int(end) + int(intercept) for end in (values.min(), values.max())]
        for kind in (np.int16, np.int32, np.int64):
            if np.iinfo(kind).min <= min(ends) and max(ends) <= np.iinfo(kind).max:
                return (values.astype(np.int64) * int(slope) + int(intercept)).astype(kind)
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is refused with the volume
        return (values.astype(np.float64) * slope + intercept).astype(np.float64 if values.dtype.itemsize > 2 else np.float32)


def _by_table(stored: StoredFrames, values: np.ndarray) -> np.ndarray:
    pixels = import_for("Reading DICOM", "pydicom.pixels", INSTALL)
    with reading(stored.path, "DICOM file"):
        return np.asarray(pixels.apply_modality_lut(values, stored.dataset)).astype(np.int32)
