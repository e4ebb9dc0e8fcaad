"""A case handed from one process to another, so that the one that draws need not write it. Imports nnunet, review.stored_object, geometry.

A job is a folder: ``job.json``, and beside it one ``.npy`` file for each array. Images may come without voxels: a preview needs none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...errors import InputError, OutputError
from ...file_names import inside
from ...geometry import Volume, VolumeGrid
from ...json_input import Fields, is_whole, read_json
from ...review.stored_object import unpack_object
from ..cases.case import CaseImage, ExportCase, SegmentReview, SourceSegment
from ..cases.plan import DataSetPlan
from ..cases.splits import AUTO
from .data_set import DataSet

JOB_FILE = "job.json"
_FORMAT = 1


@dataclass(frozen=True)
class JobImage:
    """One image of the case.

    Args:
        grid: where its voxels are, in the frame that all of the job is in.
        source: its name, for provenance and messages.
        modality: DICOM modality, if known.
        array_kji: the voxels; None in a preview.
    """

    grid: VolumeGrid
    source: str
    modality: str | None = None
    array_kji: np.ndarray | None = None


@dataclass(frozen=True)
class JobSegment:
    """One segment of the case.

    Args:
        name: as people read it.
        mask: bool, on any grid.
        codes: see `SourceSegment`.
        review: what `pack_object` made of its review; None if there is none.
        review_grid: of the image that was annotated; needed with a review.
    """

    name: str
    mask: Volume
    codes: tuple[str, ...] = ()
    review: str | None = None
    review_grid: VolumeGrid | None = None


@dataclass(frozen=True)
class ExportJob:
    """All that an export needs.

    Args:
        folder: of the data set, ``.../DatasetNNN_Name``.
        plan: of a data set that is to be made; None if it is there.
        case_id, patient_id, part, segments_source, provenance: see `ExportCase`.
        images, segments: of the case.
        unreviewed, resample: see `DataSet.export`.
        replace: whether a case of this id is replaced.
    """

    folder: Path
    plan: DataSetPlan | None
    case_id: str
    patient_id: str | None
    images: tuple[JobImage, ...]
    segments: tuple[JobSegment, ...]
    part: str = AUTO
    segments_source: str = ""
    provenance: dict = field(default_factory=dict)
    unreviewed: str | None = None
    resample: bool = False
    replace: bool = False

    def data_set(self) -> DataSet:
        """The data set, opened or begun. Raises as `DataSet.open` and `DataSet.create` do."""
        return DataSet.open(self.folder) if self.plan is None else DataSet.create(self.folder.parent, self.plan)

    def case(self) -> ExportCase:
        """The case; images without voxels are dark.

        Raises:
            InputError: if the id cannot be used, or a review is damaged or does not fit its image.
        """
        images = tuple(CaseImage(_volume_of(image), image.source) for image in self.images)
        segments = tuple(_source_segment(segment) for segment in self.segments)
        return ExportCase(self.case_id, images, segments, self.patient_id, self.segments_source, provenance=self.provenance, part=self.part)


def write_job(job: ExportJob, folder: Path) -> Path:
    """Write a job into an empty folder; returns its file.

    Raises:
        OutputError: if it cannot be written, or the disk is full. No data set is touched.
    """
    try:
        content = {
            "format": _FORMAT,
            "folder": str(job.folder),
            "plan": None if job.plan is None else job.plan.to_json(),
            "case_id": job.case_id,
            "patient_id": job.patient_id,
            "part": job.part,
            "segments_source": job.segments_source,
            "provenance": job.provenance,
            "unreviewed": job.unreviewed,
            "resample": job.resample,
            "replace": job.replace,
            "images": [
                {
                    "grid": _grid_to_json(image.grid), "source": image.source, "modality": image.modality,
                    "array": _save(image.array_kji, folder, f"image{n}.npy"),
                }
                for n, image in enumerate(job.images)
            ],
            "segments": [
                {
                    "grid": _grid_to_json(one.mask.grid), "name": one.name, "codes": list(one.codes),
                    "array": _save(one.mask.array_kji, folder, f"segment{n}.npy"), "review": one.review,
                    "review_grid": None if one.review_grid is None else _grid_to_json(one.review_grid),
                }
                for n, one in enumerate(job.segments)
            ],
        }  # fmt: skip
        path = folder / JOB_FILE
        path.write_text(json.dumps(content), encoding="utf-8")
    except OSError as exc:
        raise OutputError(
            f"The case cannot be handed over: {exc.strerror or exc} in '{folder}'. Make room there; no data set was changed."
        ) from exc
    return path


def read_job(path: str | Path) -> ExportJob:
    """Read back what `write_job` wrote; arrays stay on the disk until they are used.

    Raises:
        InputError: if it is incomplete or damaged.
    """
    path = Path(path)
    try:
        content = Fields(read_json(path, "the job"), "the job").values
        if content.pop("format") != _FORMAT:
            raise ValueError("it is of another version")
        plan = content.pop("plan")
        images = tuple(
            JobImage(_grid_from_json(one["grid"]), one["source"], one["modality"], _load(one["array"], path.parent))
            for one in content.pop("images")
        )
        segments = tuple(
            JobSegment(
                one["name"],
                Volume(_grid_from_json(one["grid"]), np.asarray(_load(one["array"], path.parent))),
                tuple(one["codes"]),
                one["review"],
                None if one["review_grid"] is None else _grid_from_json(one["review_grid"]),
            )
            for one in content.pop("segments")
        )
        folder = Path(content.pop("folder"))
        return ExportJob(folder, None if plan is None else DataSetPlan.from_json(plan), images=images, segments=segments, **content)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, OverflowError, InputError) as exc:
        raise InputError(f"The job '{path}' cannot be read: {exc}. Start the export again.") from exc


def _volume_of(image: JobImage) -> Volume:
    array = np.broadcast_to(np.int16(0), image.grid.shape_kji) if image.array_kji is None else image.array_kji
    return Volume(image.grid, array, image.modality)


def _source_segment(segment: JobSegment) -> SourceSegment:
    if segment.review is None or segment.review_grid is None:
        return SourceSegment(segment.name, segment.mask, segment.codes)
    review = SegmentReview.of(unpack_object(segment.review, segment.name), segment.review_grid, segment.name)
    return SourceSegment(segment.name, segment.mask, segment.codes, review)


def _save(array: np.ndarray | None, folder: Path, name: str) -> str | None:
    if array is None:
        return None
    np.save(folder / name, array, allow_pickle=False)
    return name


def _load(name: str | None, folder: Path) -> np.ndarray | None:
    return None if name is None else np.load(inside(folder, name, "the job"), mmap_mode="r", allow_pickle=False)


def _grid_to_json(grid: VolumeGrid) -> dict:
    return {"shape_kji": list(grid.shape_kji), "ijk_to_ras": grid.ijk_to_ras.tolist()}


def _grid_from_json(stored: dict) -> VolumeGrid:
    shape = stored["shape_kji"]
    if len(shape) != 3 or not all(is_whole(side, 1, 1 << 20) for side in shape):
        raise ValueError("a grid has no three sides")
    return VolumeGrid(tuple(shape), np.array(stored["ijk_to_ras"], dtype=np.float64))
