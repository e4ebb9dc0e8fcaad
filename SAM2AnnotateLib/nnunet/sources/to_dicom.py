"""Segments of any source as DICOM segments on the series they belong to. Imports cases, volume_io, geometry, errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ...errors import GridMismatchError
from ...geometry import VolumeGrid
from ...volume_io.write_dicom_seg import TISSUE, DicomCode, DicomSegment, parsed_code
from ..cases.case import SourceSegment
from ..cases.masks import laid_onto
from ..cases.plan import LabelRule


def dicom_segment(segment: SourceSegment, grid: VolumeGrid, codes: Mapping[str, DicomCode], algorithm: str) -> DicomSegment:
    """One segment on the grid of a DICOM series, nearest neighbor, coded as its source says it.

    Args:
        segment: on any grid.
        grid: of the series.
        codes: what segments are, by name in lower case, for those whose source does not say it.
        algorithm: see `DicomSegment`.

    Raises:
        GridMismatchError: if the segment lies beside the series.
    """
    mask = np.zeros(grid.shape_kji, dtype=bool)
    block, part = laid_onto(segment.mask, grid)
    mask[block] = part != 0
    if segment.mask.array_kji.any() and not mask.any():
        raise GridMismatchError(f"The segment '{segment.name}' lies beside the DICOM series; they do not belong together.")
    stated = {part: DicomCode(*code) for part, code in segment.terminology.items()}
    kind = stated.get("type") or codes.get(segment.name.casefold()) or TISSUE
    return DicomSegment(
        segment.name, mask, stated.get("category", TISSUE), kind, stated.get("typeModifier"), stated.get("anatomicRegion"),
        stated.get("anatomicRegionModifier"), algorithm,
    )  # fmt: skip


def codes_of_labels(labels: Iterable[LabelRule]) -> dict[str, DicomCode]:
    """What the labels of a plan are, by name in lower case; the first code of each, without its modifier."""
    return {label.name.casefold(): parsed_code(label.codes[0].partition("+")[0], label.name) for label in labels if label.codes}
