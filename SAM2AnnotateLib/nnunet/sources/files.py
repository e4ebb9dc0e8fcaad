"""Images and segments from files of any known kind. Imports volume_io, nnunet.case and the readers beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InputError, VolumeError
from ...geometry import Volume, VolumeGrid
from ...volume_io import SliceSource, is_dicom_path, read_dicom, read_volume
from ...volume_io.dicom_files import begins_as_dicom
from ...volume_io.label_values import whole_labels
from ..cases.case import CaseImage, SourceSegment
from ..cases.masks import cut_to_content
from .seg_nrrd import is_slicer_segmentation, read_seg_nrrd


@dataclass(frozen=True)
class SourceSegments:
    """The segments of one file.

    Args:
        segments: in the file's order.
        source: the file.
        patient_id: if the file says it.
        grid: of the whole image that they were made on, if the file says it.
    """

    segments: tuple[SourceSegment, ...]
    source: str
    patient_id: str | None = None
    grid: VolumeGrid | None = None


def read_image(
    path: str | Path, modality: str | None = None, series: str | None = None, number: int | None = None, untilt: bool = False
) -> CaseImage:
    """Read an image for a case: a file, or a folder with a DICOM series, which tells modality and patient too.

    Args:
        path: see `read_volume`.
        modality: of a file that does not say it.
        series: see `read_volume`.
        number: see `read_volume`.
        untilt: see `read_volume`.

    Raises:
        VolumeError: if it cannot be read.
        InputError: if the file says another modality.
    """
    slices: tuple[SliceSource, ...] = ()
    if is_dicom_path(Path(path)):
        dicom = read_dicom(Path(path), series, number, untilt)
        volume, patient, slices = dicom.volume, dicom.patient_id, dicom.slices
    else:
        volume, patient = read_volume(path, series, number, untilt), None
    if modality is not None and volume.modality not in (None, modality):
        raise InputError(f"'{path}' is of modality {volume.modality}, expected {modality}.")
    if modality is not None:
        volume = Volume(volume.grid, volume.array_kji, modality, volume.notes)
    return CaseImage(volume, str(path), patient, slices)


def read_segments(
    path: str | Path,
    names: Mapping[int, str] | None = None,
    annotated_grid: VolumeGrid | None = None,
    image_slices: Sequence[SliceSource] = (),
) -> SourceSegments:
    """Read the segments of a Slicer segmentation (``.seg.nrrd``), a labelmap (NIfTI, NRRD, MHA) or a DICOM SEG file (``.dcm``).

    Args:
        path: the file.
        names: of a labelmap's values; a value without a name is called by its number.
        annotated_grid: of the image that was annotated: see `read_seg_nrrd` and `read_dicom_seg`.
        image_slices: its slices, if it is a DICOM series: see `read_dicom_seg`.

    Raises:
        VolumeError: if the file is missing, damaged or of another kind.
        MissingPackageError: if the reader's package is not installed.
        InputError: if a stored review is damaged or does not fit the image.
    """
    path = Path(path)
    if not path.is_file():
        raise VolumeError(f"There is no segmentation file '{path}'.")
    lower = path.name.lower()
    if lower.endswith(".nrrd") and is_slicer_segmentation(path):
        segments, grid = read_seg_nrrd(path, annotated_grid)
        return SourceSegments(segments, str(path), grid=grid)
    if lower.endswith(".dcm") or begins_as_dicom(path):
        from .dicom_seg import read_dicom_seg

        segments, patient_id = read_dicom_seg(path, annotated_grid, image_slices)
        return SourceSegments(segments, str(path), patient_id)
    labels = read_volume(path)
    return SourceSegments(segments_of_labelmap(labels, names or {}, str(path)), str(path), grid=labels.grid)


def segments_of_labelmap(labels: Volume, names: Mapping[int, str], source: str) -> tuple[SourceSegment, ...]:
    """One segment for each value of a labelmap but 0, and an empty one for each name whose value does not occur.

    Raises:
        VolumeError: if the volume holds fractions or negative values.
    """
    whole_kji = whole_labels(labels.array_kji, source)
    values = np.unique(whole_kji)
    if values[0] < 0:
        raise VolumeError(f"'{source}' is no labelmap: its values must be whole and not negative, it holds {values[0]}.")
    found = sorted({int(value) for value in values if value != 0} | set(names))
    return tuple(SourceSegment(names.get(value, str(value)), cut_to_content(labels.grid, whole_kji == value)) for value in found)
