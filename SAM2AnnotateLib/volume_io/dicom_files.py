"""The DICOM files of a folder, and their headers, read once. Imports errors and (inside functions) pydicom.

This is the one place that says what a DICOM series in a folder is: the reader and the worklist both ask here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import VolumeError
from ..optional_imports import import_for
from .translate import bounded, reading

_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
# What a file without preamble begins with: group 0002 or 0008, little endian; an element below 0100 follows.
_BARE_BEGINNINGS = (b"\x02\x00", b"\x08\x00")
# Beginnings of SOP class UIDs that are no images: directories, palettes, reports, presentation states, structures, plans, documents,
# waves, raw data, fiducials and registrations. 66.4 and 66.7 (segmentations) are images, and told apart elsewhere.
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_NO_IMAGES = (
    "1.2.840.10008.1.3.10",
    "1.2.840.10008.5.1.4.39.",
    *(_STORAGE + rest for rest in ("88.", "11.", "481.3", "481.5", "481.8", "104.", "9.", "66.1", "66.2", "66.3", "66.5", "66.6")),
)
HEADER_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "Modality", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription",
    "FrameOfReferenceUID", "InstanceNumber", "ImageType", "NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PhotometricInterpretation", "ImagePositionPatient", "ImageOrientationPatient",
    "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "GridFrameOffsetVector", "DoseGridScaling",
    "FrameIncrementPointer", "DetectorInformationSequence", "EchoTime", "EchoNumbers", "TemporalPositionIdentifier", "DiffusionBValue",
    "DiffusionGradientOrientation", "InversionTime", "TriggerTime", "AcquisitionNumber", "AcquisitionTime", "ContentTime",
    "ComplexImageComponent", "FlipAngle",
]  # fmt: skip
INSTALL = "pip install pydicom"


def begins_as_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its first bytes, with or without preamble. Raises OSError."""
    with open(path, "rb") as stream:
        begin = stream.read(132)
    return begin[128:] == b"DICM" or (len(begin) >= 8 and begin[:2] in _BARE_BEGINNINGS and begin[3] == 0)


def is_dicom_folder(folder: Path) -> bool:
    """Whether a folder holds at least one DICOM image, as `folder_headers` finds them; stops at the first. Raises OSError."""
    for path in sorted(folder.iterdir()):
        if _is_looked_at(path) and begins_as_dicom(path):
            try:
                header = header_of(path)
            except VolumeError:
                return True  # damaged: opening the folder says so
            if header is not None and is_image(header):
                return True
    return False


def folder_headers(folder: Path) -> list[tuple[Path, Any]]:
    """Path and header of every DICOM image right in a folder, by name; what else lies there is passed over.

    Raises:
        VolumeError: if the folder cannot be read, a DICOM file in it is damaged, or a file that is named like its DICOM files is none:
            a series would lose a slice without a word otherwise.
        MissingPackageError: if pydicom is not installed.
    """
    import_for("Reading DICOM", "pydicom", INSTALL)
    found: list[tuple[Path, Any]] = []
    others: list[Path] = []
    try:
        for path in sorted(folder.iterdir()):
            if not _is_looked_at(path):
                continue
            header = header_of(path) if begins_as_dicom(path) else None
            if header is None:
                others.append(path)
            else:
                found.append((path, header))
    except OSError as exc:
        raise VolumeError(f"'{exc.filename or folder}' could not be read: {exc.strerror or exc}.") from exc
    images = [(path, header) for path, header in found if is_image(header)]
    for path, header in images:
        if "Rows" not in header:  # whatever series it says it is of: cut off, it may name a wrong one
            raise VolumeError(f"The DICOM file '{path}' should be an image, by its class, and states no rows: it is damaged or incomplete.")
    forms = {_form(path) for path, _ in images}
    for path in others:
        if path.suffix.lower() in _DICOM_SUFFIXES or _form(path) in forms:
            raise VolumeError(
                f"'{path}' is named like a DICOM file but is none ({path.stat().st_size} bytes): a slice may be damaged or lost. "
                "Copy the series again, or remove the file if it does not belong to it."
            )
    return images


def header_of(path: Path):
    """The header of a DICOM file; None if it is none after all. Raises VolumeError if it is damaged."""
    pydicom = import_for("Reading DICOM", "pydicom", INSTALL)
    with open(path, "rb") as stream:
        has_preamble = stream.read(132)[128:] == b"DICM"
    with reading(path, "DICOM file"):
        try:
            with bounded(path) as stream:
                header = pydicom.dcmread(stream, stop_before_pixels=True, force=True, specific_tags=HEADER_TAGS)
            has_class = "SOPClassUID" in header
            for _element in (
                *header.file_meta,
                *header,
            ):  # pydicom reads values only when asked: what is damaged is to show here, where it is translated
                pass
        except Exception:
            if has_preamble:
                raise
            return None  # something else that happens to begin like a header without preamble
        stated = {
            str(one.get(name, "") or "") for one, name in ((header, "SOPClassUID"), (header.file_meta, "MediaStorageSOPClassUID"))
        } - {""}
        if len(stated) > 1:
            raise VolumeError(f"The DICOM file '{path}' says that it is of two classes, {' and '.join(sorted(stated))}: it is damaged.")
        if not has_class and has_preamble and "MediaStorageSOPClassUID" not in header.file_meta:
            raise VolumeError(f"The DICOM file '{path}' says not what it is (no SOP class): it is damaged or incomplete.")
    return header if has_class or has_preamble else None


def is_image(header) -> bool:
    """Whether a header is of an image, by its SOP class; of a class of a vendor's own, by whether it states rows."""
    uid = str(header.get("SOPClassUID", "") or header.file_meta.get("MediaStorageSOPClassUID", ""))
    return not uid.startswith(_NO_IMAGES) and ("Rows" in header or not uid or uid.startswith("1.2.840.10008."))


def folders_with_images(folder: Path) -> Iterator[Path]:
    """The folders anywhere below a folder that hold DICOM images, by name; what may not be looked into is passed over."""
    try:
        below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return
    for path in below:
        try:
            if is_dicom_folder(path):
                yield path
        except OSError:
            continue
        yield from folders_with_images(path)


def _is_looked_at(path: Path) -> bool:
    # A Mac leaves "._NAME" beside each file on a foreign disk.
    return not path.name.startswith(".") and path.is_file()


def _form(path: Path) -> str:
    """A name with its numbers taken out: IM0001 and IM0002 are of one form."""
    return re.sub(r"\d+", "#", path.name.lower())
