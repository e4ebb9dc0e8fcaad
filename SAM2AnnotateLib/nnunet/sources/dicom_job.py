"""Segments handed from one process to another that writes them as DICOM SEG. Imports cases, volume_io, geometry, errors.

A job is a folder: ``job.json`` says what is to be written where, ``masks.npz`` holds a block of voxels for each segment.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import GridMismatchError, InputError, OutputError
from ...geometry import Volume, VolumeGrid
from ...json_input import Fields, read_json
from ...volume_io import read_dicom, read_dicom_files
from ...volume_io.write_dicom_seg import DicomSegment, require_dicom_writable, write_dicom_seg
from ..cases.case import SourceSegment
from ..cases.masks import grid_difference
from .seg_nrrd import codes_of, terminology_of
from .to_dicom import dicom_segment

JOB_FILE, _MASKS = "job.json", "masks.npz"
_FORMAT = 1


@dataclass(frozen=True)
class TermedSegment:
    """One segment.

    Args:
        name: as people read it.
        mask: bool, on any grid of the volume's frame.
        terminology: Slicer's terminology entry; empty if it has none.
        algorithm: see `DicomSegment`.
    """

    name: str
    mask: Volume
    terminology: str = ""
    algorithm: str = "SEMIAUTOMATIC"


@dataclass(frozen=True)
class DicomSegJob:
    """All that writing takes.

    Args:
        files: of the DICOM series that the volume was loaded from, in any order; or one folder that holds the series.
        grid: of the volume as it is in the program that asks.
        segments: in their order.
        output: the file to write; one that is there is replaced.
    """

    files: tuple[Path, ...]
    grid: VolumeGrid
    segments: tuple[TermedSegment, ...]
    output: Path

    def write(self) -> list[DicomSegment]:
        """Write the DICOM SEG; returns what was written.

        Raises:
            VolumeError: if the series cannot be read.
            GridMismatchError: if the volume is not that of the files any more.
            OutputError: if nothing is segmented, or it cannot be written.
            MissingPackageError: if highdicom is not installed.
        """
        require_dicom_writable(self.output)
        folder = self.files[0] if len(self.files) == 1 and self.files[0].is_dir() else None
        image = read_dicom_files(self.files) if folder is None else read_dicom(folder)
        if different := grid_difference(image.volume.grid, self.grid, whole=True):
            raise GridMismatchError(
                f"The volume is not that of its DICOM series any more: {different}. It was cropped, resampled or moved since; a DICOM "
                "segmentation refers to the images of the series as they are. Load the series anew, and bring the segments onto it."
            )
        drawn = [one for one in self.segments if one.mask.array_kji.any()]
        written = []
        for one in drawn:
            terminology = terminology_of(one.terminology)
            source = SourceSegment(one.name, one.mask, codes_of(terminology), None, terminology)
            written.append(dicom_segment(source, image.volume.grid, {}, one.algorithm))
        if not written:
            raise OutputError(f"Cannot write '{self.output}': no segment has any voxels.")
        write_dicom_seg(written, image.slices, self.output)
        return written


def write_dicom_job(job: DicomSegJob, folder: Path) -> Path:
    """Write a job into an empty folder; returns its file. Raises OutputError."""
    content = {
        "format": _FORMAT,
        "files": [str(file) for file in job.files],
        "grid": _grid_to_json(job.grid),
        "output": str(job.output),
        "segments": [
            {"name": one.name, "terminology": one.terminology, "algorithm": one.algorithm, "grid": _grid_to_json(one.mask.grid)}
            for one in job.segments
        ],
    }
    path = folder / JOB_FILE
    try:
        with open(folder / _MASKS, "wb") as stream:
            np.savez(stream, *(np.packbits(one.mask.array_kji != 0) for one in job.segments))
        path.write_text(json.dumps(content), encoding="utf-8")
    except OSError as exc:
        raise OutputError(f"The segments cannot be handed over: {exc.strerror or exc} in '{folder}'. Make room there.") from exc
    return path


def read_dicom_job(path: str | Path) -> DicomSegJob:
    """Read back what `write_dicom_job` wrote. Raises InputError."""
    path = Path(path)
    try:
        content = Fields(read_json(path, "the job"), "the job").values
        if content["format"] != _FORMAT:
            raise ValueError("it is of another version")
        with open(path.parent / _MASKS, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
            masks = [stored[f"arr_{n}"] for n in range(len(content["segments"]))]
        segments = []
        for one, bits in zip(content["segments"], masks, strict=True):
            grid = _grid_from_json(one["grid"])
            mask = np.unpackbits(bits, count=int(np.prod(grid.shape_kji))).reshape(grid.shape_kji).astype(bool)
            segments.append(TermedSegment(one["name"], Volume(grid, mask), one["terminology"], one["algorithm"]))
        files = tuple(Path(file) for file in content["files"])
        return DicomSegJob(files, _grid_from_json(content["grid"]), tuple(segments), Path(content["output"]))
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, OverflowError, zipfile.BadZipFile, InputError) as exc:
        raise InputError(f"The job '{path}' cannot be read: {exc}. Start again.") from exc


def written_text(segments: Sequence[DicomSegment]) -> list[dict[str, object]]:
    """What was written, for a program: name, voxels, slices and code of each segment."""
    return [
        {
            "name": one.name,
            "voxels": int(one.mask_kji.sum()),
            "slices": int(one.mask_kji.any(axis=(1, 2)).sum()),
            "code": f"{one.kind.scheme}:{one.kind.value}",
        }
        for one in segments
    ]


def _grid_to_json(grid: VolumeGrid) -> dict:
    return {"shape_kji": list(grid.shape_kji), "ijk_to_ras": grid.ijk_to_ras.tolist()}


def _grid_from_json(stored: dict) -> VolumeGrid:
    return VolumeGrid(tuple(int(side) for side in stored["shape_kji"]), np.array(stored["ijk_to_ras"], dtype=np.float64))  # type: ignore[arg-type]
