"""Write masks as DICOM SEG on the series that they were made on, whole or not at all. Imports errors, geometry and (inside) highdicom.

Patient, study, frame of reference and the images that each frame refers to come from the series' own files.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..atomic_files import replaced_atomically, require_writable_folder
from ..errors import InputError, OutputError
from ..optional_imports import import_for
from .dicom_series import SliceSource
from .translate import reading

_INSTALL = "pip install highdicom"
_FEATURE = "Writing DICOM segmentations"
_SOFTWARE = "SAM2Annotate"
# What a series may leave out, and a segmentation must state, be it empty.
_MAY_BE_EMPTY = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber", "StudyID")
_LONGEST_LABEL = 64


@dataclass(frozen=True)
class DicomCode:
    """A coded concept.

    Args:
        scheme: coding scheme, such as ``SCT``.
        value: code.
        meaning: for people; up to 64 letters.
    """

    scheme: str
    value: str
    meaning: str


TISSUE = DicomCode("SCT", "85756007", "Tissue")


@dataclass(frozen=True)
class DicomSegment:
    """One segment to write.

    Args:
        name: as people read it.
        mask_kji: (k, j, i) bool, on the image's grid.
        category: what kind of thing it is.
        kind: what it is.
        kind_modifier: such as a side, if any.
        region: where it lies, if that is stated.
        region_modifier: such as a side, if any.
        algorithm: ``MANUAL``, ``SEMIAUTOMATIC`` or ``AUTOMATIC``.
        algorithm_name: of what is not manual.
    """

    name: str
    mask_kji: np.ndarray
    category: DicomCode = TISSUE
    kind: DicomCode = TISSUE
    kind_modifier: DicomCode | None = None
    region: DicomCode | None = None
    region_modifier: DicomCode | None = None
    algorithm: str = "SEMIAUTOMATIC"
    algorithm_name: str = _SOFTWARE


def parsed_code(text: str, name: str) -> DicomCode:
    """``SCHEME:VALUE`` or ``SCHEME:VALUE:MEANING``; without a meaning, the name is one. Raises InputError."""
    scheme, _, rest = text.partition(":")
    value, _, meaning = rest.partition(":")
    if not scheme.strip() or not value.strip():
        raise InputError(f"'{text}' is no code: expected SCHEME:VALUE or SCHEME:VALUE:MEANING, such as SCT:10200004:Liver.")
    return DicomCode(scheme.strip(), value.strip(), meaning.strip() or name)


def is_dicom_name(path: str | Path) -> bool:
    """Whether a result of this name is to be a DICOM SEG."""
    return Path(path).name.lower().endswith(".dcm")


def require_dicom_writable(path: str | Path, image_is_dicom: bool = True) -> None:
    """Raise OutputError or MissingPackageError unless `write_dicom_seg` can write a file of this name. Asked before long work."""
    if not image_is_dicom:
        raise OutputError(
            f"Cannot write '{path}': a DICOM segmentation refers to a DICOM series, and the image is none. Use .nii.gz or .nrrd."
        )
    import_for(_FEATURE, "highdicom.seg", _INSTALL)
    require_writable_folder(path)


def write_dicom_seg(segments: Sequence[DicomSegment], slices: Sequence[SliceSource], path: str | Path) -> None:
    """Write segments as one binary DICOM SEG, a frame for each slice that a segment has voxels on.

    Args:
        segments: in the order of their numbers, from 1.
        slices: of the series, as `read_dicom` returns them with the volume.
        path: ends in ``.dcm``.

    Raises:
        OutputError: if nothing is segmented, the series lacks what a segmentation must state, or the file cannot be written.
        MissingPackageError: if highdicom is not installed.
    """
    path = Path(path)
    require_dicom_writable(path)
    for segment in segments:
        if segment.mask_kji.shape != (len(slices), *segments[0].mask_kji.shape[1:]):
            raise OutputError(f"The segment '{segment.name}' is of shape {segment.mask_kji.shape}, its series has {len(slices)} slices.")
    if not any(segment.mask_kji.any() for segment in segments):
        raise OutputError(f"Cannot write '{path}': a DICOM segmentation has a frame for each slice with voxels, and no segment has any.")
    sources = _sources(slices)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = _made(segments, slices, sources)
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0].rstrip(".")
            raise OutputError(f"Cannot write '{path}': the series lacks what a DICOM segmentation must state ({reason}).") from exc
        made.SpecificCharacterSet = "ISO_IR 192"  # names of segments may hold any letters
        with replaced_atomically(path) as partial:
            made.save_as(partial)
            _require_same(partial, made, path)


def _sources(slices: Sequence[SliceSource]) -> list[Any]:
    """The headers of the series' files, a multi-frame file's once, in the order of the slices."""
    pydicom = import_for(_FEATURE, "pydicom", _INSTALL)
    sources = []
    for file in dict.fromkeys(one.path for one in slices):
        with reading(file, "DICOM file"):
            header = pydicom.dcmread(file, stop_before_pixels=True, force=True)
            for keyword in _MAY_BE_EMPTY:
                if keyword not in header:
                    setattr(header, keyword, "")
            if "file_meta" in header.__dict__ and "TransferSyntaxUID" not in header.file_meta:
                header.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        sources.append(header)
    return sources


def _made(segments: Sequence[DicomSegment], slices: Sequence[SliceSource], sources: list[Any]):
    highdicom = import_for(_FEATURE, "highdicom", _INSTALL)
    seg = import_for(_FEATURE, "highdicom.seg", _INSTALL)
    descriptions = [_described(number, segment) for number, segment in enumerate(segments, start=1)]
    # highdicom checks the length of names whose parts it cannot tell; a trailing caret says that there is one part.
    for source in sources:
        if source.PatientName and "^" not in str(source.PatientName):
            source.PatientName = f"{source.PatientName}^"
    return seg.Segmentation(
        source_images=sources,
        pixel_array=_frames(segments, slices, len(sources)),
        segmentation_type=seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=highdicom.UID(),
        series_number=900,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer=_SOFTWARE,
        manufacturer_model_name=_SOFTWARE,
        software_versions=__version__,
        device_serial_number="0",
        content_description=f"Segmentation by {_SOFTWARE}",
        content_creator_name=f"{_SOFTWARE}^",
        series_description="Segmentation",
        content_label="SEGMENTATION",
        omit_empty_frames=True,
    )


def _frames(segments: Sequence[DicomSegment], slices: Sequence[SliceSource], files: int) -> np.ndarray:
    """(frames, rows, columns) numbers of segments, or (frames, rows, columns, segments) 0 and 1 where segments overlap."""
    places = list(range(len(slices))) if files > 1 else [one.frame for one in slices]
    count = len(slices) if files > 1 else _frames_of_file(slices[0].path)
    shape = (count, *segments[0].mask_kji.shape[1:])
    numbers = np.zeros(shape, dtype=np.uint8 if len(segments) < 256 else np.uint16)
    for number, segment in enumerate(segments, start=1):
        mask = segment.mask_kji != 0
        if any((numbers[place][mask[k]] != 0).any() for k, place in enumerate(places)):
            break
        for k, place in enumerate(places):
            numbers[place][mask[k]] = number
    else:
        return numbers
    apart = np.zeros((*shape, len(segments)), dtype=np.uint8)
    for n, segment in enumerate(segments):
        for k, place in enumerate(places):
            apart[place, ..., n] = segment.mask_kji[k] != 0
    return apart


def _frames_of_file(path: Path) -> int:
    pydicom = import_for(_FEATURE, "pydicom", _INSTALL)
    with reading(path, "DICOM file"):
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=["NumberOfFrames"])
        return int(header.get("NumberOfFrames") or 1)


def _described(number: int, segment: DicomSegment):
    seg = import_for(_FEATURE, "highdicom.seg", _INSTALL)
    coding = import_for(_FEATURE, "highdicom.sr.coding", _INSTALL)
    content = import_for(_FEATURE, "highdicom.content", _INSTALL)
    codes = import_for(_FEATURE, "pydicom.sr.codedict", _INSTALL).codes

    def coded(code: DicomCode):
        return coding.CodedConcept(code.value, code.scheme, code.meaning[:_LONGEST_LABEL] or code.value)

    identification = None
    if segment.algorithm != "MANUAL":
        identification = content.AlgorithmIdentificationSequence(
            name=segment.algorithm_name, family=codes.DCM.ArtificialIntelligence, version=__version__, source=_SOFTWARE
        )
    described = seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.name[:_LONGEST_LABEL],
        segmented_property_category=coded(segment.category),
        segmented_property_type=coded(segment.kind),
        algorithm_type=seg.SegmentAlgorithmTypeValues(segment.algorithm),
        algorithm_identification=identification,
        anatomic_regions=None if segment.region is None else [coded(segment.region)],
    )
    if segment.kind_modifier is not None:
        described.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [coded(segment.kind_modifier)]
    if segment.region is not None and segment.region_modifier is not None:
        described.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [coded(segment.region_modifier)]
    return described


def _require_same(partial: Path, made, path: Path) -> None:
    """Read back before an older file is replaced."""
    pydicom = import_for(_FEATURE, "pydicom", _INSTALL)
    with reading(partial, "DICOM file"):
        back = pydicom.dcmread(partial)
    if back.PixelData != made.PixelData or back.SOPInstanceUID != made.SOPInstanceUID:
        raise OutputError(f"Cannot write '{path}': it reads back differently. Is the disk full? Nothing was changed there.")
