"""What each frame of a DICOM image says of itself: place, size, how stored values become modality values. Imports errors and numpy.

A single-frame file is one frame. An enhanced multi-frame file states each frame's values in functional groups, shared or per frame; RT dose
and reconstructed nuclear medicine images state one position and how the others follow. Positions and directions are in LPS, in mm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import VolumeError
from .translate import reading

_NM_SLICE_VECTOR = 0x00540080
_RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
# What tells frames at one position apart, most telling first: name, element of a single-frame file, its place in functional groups.
_DISTINCTIONS = (
    ("echo time", "EchoTime", ("MREchoSequence", "EffectiveEchoTime")),
    ("echo", "EchoNumbers", None),
    ("time point", "TemporalPositionIdentifier", ("FrameContentSequence", "TemporalPositionIndex")),
    ("image type", "ImageType", ("MRImageFrameTypeSequence", "FrameType")),
    ("complex component", "ComplexImageComponent", ("MRImageFrameTypeSequence", "ComplexImageComponent")),
    ("image type of CT", None, ("CTImageFrameTypeSequence", "FrameType")),
    ("b-value", "DiffusionBValue", ("MRDiffusionSequence", "DiffusionBValue")),
    ("gradient", "DiffusionGradientOrientation", ("MRDiffusionSequence", "DiffusionGradientDirectionSequence")),
    ("inversion time", "InversionTime", ("MRModifierSequence", "InversionTimes")),
    ("trigger time", "TriggerTime", ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime")),
    ("flip angle", "FlipAngle", ("MRTimingAndRelatedParametersSequence", "FlipAngle")),
    ("stack", None, ("FrameContentSequence", "StackID")),
    ("acquisition", "AcquisitionNumber", ("FrameContentSequence", "FrameAcquisitionNumber")),
    ("acquisition time", "AcquisitionTime", None),
    ("content time", "ContentTime", None),
)


@dataclass(frozen=True)
class Frame:
    """One image plane.

    Args:
        path: its file.
        index: of the frame in the file, from 0.
        sop_uid: the file's SOP instance UID.
        number: instance number and index, for the order in which it was made.
        kind: what must be one in a volume: study, frame of reference, modality, rows, columns, photometric interpretation.
        position_lps: (3,) center of the first pixel in mm; None if not stated.
        axes_lps: (2, 3) unit vectors along a row (to the next column) and along a column; None if not stated.
        spacing_rc_mm: distance between rows, and between columns; None if not stated.
        thickness_mm: slice thickness, if stated.
        between_mm: spacing between slices, if stated.
        rescale: slope and intercept; None if not stated.
        has_table: stored values become modality values by a Modality LUT.
        about: what may tell it from others at its position.
    """

    path: Path
    index: int
    sop_uid: str
    number: tuple[int, int]
    kind: dict[str, object]
    position_lps: np.ndarray | None
    axes_lps: np.ndarray | None
    spacing_rc_mm: tuple[float, float] | None
    thickness_mm: float | None
    between_mm: float | None
    rescale: tuple[float, float] | None
    has_table: bool = False
    about: dict[str, str] = field(default_factory=dict)

    @property
    def normal_lps(self) -> np.ndarray:
        """(3,) unit vector across the plane."""
        assert self.axes_lps is not None
        normal = np.cross(self.axes_lps[0], self.axes_lps[1])
        return normal / np.linalg.norm(normal)


def frames_of(path: Path, header) -> list[Frame]:
    """All frames of a file, in its order.

    Raises:
        VolumeError: if the header is damaged or contradicts itself.
    """
    with reading(path, "DICOM file"):
        return list(_frames(path, header))


def _frames(path: Path, header) -> Iterator[Frame]:
    count = _whole(path, header, "NumberOfFrames", 1)
    rows, columns = _whole(path, header, "Rows"), _whole(path, header, "Columns")
    shared = _first(header.get("SharedFunctionalGroupsSequence"))
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    if per_frame and len(per_frame) != count:
        raise VolumeError(f"The DICOM file '{path}' states {count} frames and describes {len(per_frame)}: it is damaged or incomplete.")
    if "NumberOfFrames" in header and not per_frame and shared is None and count > 1:
        yield from _followers(path, header, count)
        return
    kind = _kind(header, rows, columns)
    number = int(header.get("InstanceNumber") or 0)
    for index in range(count):
        groups = [group for group in (per_frame[index] if per_frame else None, shared) if group is not None]
        yield Frame(
            path, index, str(header.get("SOPInstanceUID", "")), (number, index), kind,
            _vector(path, _stated(header, groups, "PlanePositionSequence", "ImagePositionPatient"), 3, "Image Position (Patient)"),
            _axes(path, _stated(header, groups, "PlaneOrientationSequence", "ImageOrientationPatient")),
            _pair(path, _stated(header, groups, "PixelMeasuresSequence", "PixelSpacing")),
            _length(path, _stated(header, groups, "PixelMeasuresSequence", "SliceThickness"), "Slice Thickness"),
            _length(path, _stated(header, groups, "PixelMeasuresSequence", "SpacingBetweenSlices"), "Spacing Between Slices"),
            _rescale(path, header, groups),
            bool(header.get("ModalityLUTSequence")),
            dict(_about(header, groups)),
        )  # fmt: skip


def _followers(path: Path, header, count: int) -> Iterator[Frame]:
    """Frames of a file that states one position: RT dose, and reconstructed nuclear medicine."""
    offsets = header.get("GridFrameOffsetVector")
    detector = _first(header.get("DetectorInformationSequence"))
    source, rescale = header, _rescale(path, header, [])
    if header.get("SOPClassUID") == _RT_DOSE and offsets is not None:
        if len(offsets) != count:
            raise VolumeError(f"The DICOM file '{path}' states {count} frames and {len(offsets)} offsets: it is damaged or incomplete.")
        along = np.array([float(one) for one in offsets])
    elif detector is not None and header.get("FrameIncrementPointer") == _NM_SLICE_VECTOR and header.get("SpacingBetweenSlices"):
        source, along = detector, np.arange(count) * float(header.SpacingBetweenSlices)
    else:
        raise VolumeError(
            f"The DICOM file '{path}' holds {count} frames and does not say where each of them lies, so no volume can be made of it."
        )
    position = _vector(path, source.get("ImagePositionPatient"), 3, "Image Position (Patient)")
    axes = _axes(path, source.get("ImageOrientationPatient"))
    if position is None or axes is None:
        raise VolumeError(f"The DICOM file '{path}' states no position or no orientation in the patient, so no volume can be made of it.")
    normal = np.cross(axes[0], axes[1])
    if along[0] != 0:  # RT dose: coordinates along z, of planes across it (PS3.3 C.8.8.3.2)
        if abs(normal[2]) < 1 - 1e-6:
            raise VolumeError(f"The DICOM file '{path}' gives offsets along z, but its frames do not lie across z: it contradicts itself.")
        along = (along - along[0]) * np.sign(normal[2])
    kind = _kind(header, _whole(path, header, "Rows"), _whole(path, header, "Columns"))
    scaling = _number(path, header.get("DoseGridScaling"), "Dose Grid Scaling")
    for index in range(count):
        yield Frame(
            path, index, str(header.get("SOPInstanceUID", "")), (0, index), kind, position + normal * along[index], axes,
            _pair(path, header.get("PixelSpacing")), _length(path, header.get("SliceThickness"), "Slice Thickness"), None,
            rescale if scaling is None else (scaling, 0.0), bool(header.get("ModalityLUTSequence")),
        )  # fmt: skip


def _kind(header, rows: int, columns: int) -> dict[str, object]:
    return {
        "study": str(header.get("StudyInstanceUID", "")),
        "frame of reference": str(header.get("FrameOfReferenceUID", "")),
        "modality": str(header.get("Modality", "") or ""),
        "size": f"{columns} x {rows}",
        "photometric interpretation": str(header.get("PhotometricInterpretation", "")),
        "samples per pixel": str(header.get("SamplesPerPixel", 1)),
        "modality table": str(bool(header.get("ModalityLUTSequence"))),
    }


def _first(sequence):
    return sequence[0] if sequence else None


def _stated(header, groups: Sequence, sequence: str, keyword: str):
    """The value a frame's groups state, else the header's own."""
    for group in groups:
        item = _first(group.get(sequence))
        if item is not None and keyword in item:
            return item.get(keyword)
    return header.get(keyword)


def _about(header, groups: Sequence) -> Iterator[tuple[str, str]]:
    for name, keyword, place in _DISTINCTIONS:
        value = None if keyword is None else header.get(keyword)
        if place is not None:
            for group in groups:
                item = _first(group.get(place[0]))
                if item is not None and item.get(place[1]) is not None:
                    value = item.get(place[1])
                    break
        if value is not None and value != "":
            yield name, f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())


def _rescale(path: Path, header, groups: Sequence) -> tuple[float, float] | None:
    slope = _stated(header, groups, "PixelValueTransformationSequence", "RescaleSlope")
    intercept = _stated(header, groups, "PixelValueTransformationSequence", "RescaleIntercept")
    slope, intercept = _number(path, slope, "Rescale Slope"), _number(path, intercept, "Rescale Intercept")
    if slope is None and intercept is None:
        return None
    if slope is None or intercept is None:
        one, other = ("Rescale Intercept", "Slope") if slope is None else ("Rescale Slope", "Intercept")
        raise VolumeError(f"The DICOM file '{path}' states a {one} without a Rescale {other}, so its values have no meaning.")
    if slope == 0:
        raise VolumeError(f"The DICOM file '{path}' states a Rescale Slope of 0, which would make all of its voxels alike.")
    return slope, intercept


def _number(path: Path, value, name: str) -> float | None:
    if value is None or value == "":
        return None
    number = float(value)
    if not math.isfinite(number):
        raise VolumeError(f"The DICOM file '{path}' states {name} {value}, which is no finite number.")
    return number


def _length(path: Path, value, name: str) -> float | None:
    """A positive length; 0 and nothing are not stated, a negative one counts by its size (some writers give it a sign)."""
    number = _number(path, value, name)
    return abs(number) if number else None


def _vector(path: Path, value, size: int, name: str) -> np.ndarray | None:
    if value is None or value == "":
        return None
    numbers = np.array([float(one) for one in value]) if not isinstance(value, (str, float, int)) else np.array([float(value)])
    if numbers.shape != (size,) or not np.isfinite(numbers).all():
        raise VolumeError(f"The DICOM file '{path}' states {name} as {value}; expected {size} finite numbers.")
    return numbers


def _axes(path: Path, value) -> np.ndarray | None:
    numbers = _vector(path, value, 6, "Image Orientation (Patient)")
    if numbers is None:
        return None
    axes = numbers.reshape(2, 3)
    lengths = np.linalg.norm(axes, axis=1)
    if np.abs(lengths - 1).max() > 1e-2 or abs(float(axes[0] @ axes[1])) > 1e-2:
        raise VolumeError(f"The DICOM file '{path}' states Image Orientation (Patient) {value}: no two unit vectors at a right angle.")
    return axes / lengths[:, np.newaxis]


def _pair(path: Path, value) -> tuple[float, float] | None:
    numbers = _vector(path, value, 2, "Pixel Spacing")
    if numbers is None:
        return None
    if (numbers <= 0).any():
        raise VolumeError(f"The DICOM file '{path}' states Pixel Spacing {value}; expected two positive lengths in mm.")
    return float(numbers[0]), float(numbers[1])


def _whole(path: Path, header, keyword: str, otherwise: int | None = None) -> int:
    value = header.get(keyword)
    if value is None and otherwise is not None:
        return otherwise
    if value is None or int(value) < 1:
        raise VolumeError(f"The DICOM file '{path}' states {keyword} {value}; expected a positive number. It is damaged or no image.")
    return int(value)
