"""Read DICOM SEG with highdicom. Imports nnunet.case, geometry, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import VolumeError
from ...geometry import VolumeGrid
from ...geometry.conventions import flip_lps_ras
from ...optional_imports import import_for
from ..cases.case import SourceSegment
from ..cases.masks import cut_to_content

_INSTALL = "pip install highdicom"


def read_dicom_seg(path: Path) -> tuple[tuple[SourceSegment, ...], str | None]:
    """Read all segments of a DICOM segmentation on its own grid, which is often smaller than the image's, and the patient's id.

    Raises:
        VolumeError: if the file is no DICOM SEG, is damaged, fractional, or its frames do not lie on an even grid.
        MissingPackageError: if highdicom is not installed.
    """
    seg = import_for("Reading DICOM segmentations", "highdicom.seg", _INSTALL)
    pydicom_errors = import_for("Reading DICOM segmentations", "pydicom.errors", _INSTALL)
    try:
        content = seg.segread(path)
        if content.segmentation_type is seg.SegmentationTypeValues.FRACTIONAL:
            raise VolumeError(f"'{path}' is a fractional segmentation. Export a binary one: a label has no fractions.")
        numbers = list(content.segment_numbers)
        volume = content.get_volume(segment_numbers=numbers, combine_segments=False)
        descriptions = [content.get_segment_description(number) for number in numbers]
    except (OSError, ValueError, RuntimeError, AttributeError, KeyError, EOFError, pydicom_errors.InvalidDicomError) as exc:
        raise VolumeError(f"The DICOM segmentation '{path}' could not be read: {exc}") from exc
    # highdicom's array is (slice, row, column, segment), and its matrix takes an index in this order to LPS; ours is (column, row, slice).
    index_to_lps = np.array(volume.affine)[:, [2, 1, 0, 3]]
    grid = VolumeGrid(volume.array.shape[:3], flip_lps_ras(index_to_lps))
    segments = tuple(
        SourceSegment(str(described.segment_label), cut_to_content(grid, volume.array[..., n] != 0), _codes(described))
        for n, described in enumerate(descriptions)
    )
    return segments, str(content.PatientID).strip() or None if "PatientID" in content else None


def _codes(described) -> tuple[str, ...]:
    """Property type and anatomic regions, with modifiers."""
    codes = [_code(described.segmented_property_type, "SegmentedPropertyTypeModifierCodeSequence")]
    codes += [_code(region, "AnatomicRegionModifierSequence") for region in described.anatomic_regions]
    return tuple(codes)


def _code(concept, modifiers: str) -> str:
    modifier = getattr(concept, modifiers, None)
    text = f"{concept.CodingSchemeDesignator}:{concept.CodeValue}"
    return text + (f"+{modifier[0].CodingSchemeDesignator}:{modifier[0].CodeValue}" if modifier else "")
