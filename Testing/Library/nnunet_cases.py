"""Small patients, plans and reviewed segments for the tests of nnU-Net data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from patients import ROOT, an_anisotropic_volume

from SAM2AnnotateLib.geometry import Box2D, Extent, SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.nnunet import CaseImage, DataSetPlan, ExportCase, LabelRule, SourceSegment, SplitRule
from SAM2AnnotateLib.nnunet.cases.case import SegmentReview
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.review import ReviewSession
from SAM2AnnotateLib.review.journal import JournaledObject

SHARED = ROOT.parent / "shared" / "data"

ORGAN, TUMOR = LabelRule(1, "organ"), LabelRule(2, "tumor", ("tumor*",), ("SCT:4147007",))


def a_plan(**changes) -> DataSetPlan:
    """Organ 1 and tumor 2 on one CT channel, two folds."""
    content = {"number": 7, "name": "Test", "channels": ("CT",), "labels": (ORGAN, TUMOR), "split": SplitRule(folds=2)}
    return DataSetPlan(**{**content, **changes})


def a_segment(name: str, grid: VolumeGrid, start_kji: tuple[int, int, int], stop_kji: tuple[int, int, int], **more) -> SourceSegment:
    """A block of voxels, half-open."""
    mask = np.zeros(grid.shape_kji, dtype=bool)
    mask[tuple(slice(a, b) for a, b in zip(start_kji, stop_kji, strict=True))] = True
    return SourceSegment(name, Volume(grid, mask), **more)


def a_case(case_id: str, image: Volume | None = None, segments: tuple[SourceSegment, ...] | None = None, **more) -> ExportCase:
    """The small patient with an organ and a tumor within it, or what is given."""
    image = an_anisotropic_volume() if image is None else image
    if segments is None:
        segments = (a_segment("Organ", image.grid, (0, 1, 1), (3, 4, 5)), a_segment("tumor 1", image.grid, (1, 2, 2), (2, 3, 4)))
    return ExportCase(case_id, (CaseImage(image, f"{case_id}.nii.gz"),), segments, **more)


def a_review(grid: VolumeGrid, extent: tuple[int, int], decided: dict[int, str], axis: str = "k") -> JournaledObject:
    """A review of slices, of which some (by position) are ``accepted``, ``corrected`` or, like all others, undecided."""
    shape = SliceStack.along(grid, axis).frame_shape_rc
    session = ReviewSession({extent[0]: SlicePrompt(box=Box2D(0, 2, 0, 2))}, Extent(*extent), shape)
    for position, status in decided.items():
        session.correct(position, np.ones(shape, dtype=bool))
        if status == "accepted":
            session._status[position] = type(session.status(position)).ACCEPTED
    return JournaledObject(axis, session, {"center": extent[0], "engine": {"name": "sam2.1_hiera_tiny", "sha256": "abc"}})


def reviewed(segment: SourceSegment, journaled: JournaledObject) -> SourceSegment:
    """The segment with a review."""
    grid = segment.mask.grid
    return SourceSegment(segment.name, segment.mask, segment.codes, SegmentReview.of(journaled, grid, segment.name))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by name; provenance without the time at which it was written."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            lines = path.read_bytes().splitlines(keepends=True)
            found[path.relative_to(folder).as_posix()] = b"".join(line for line in lines if not line.startswith(b' "written"'))
    return found


def label_at(labels: Volume, point_ras: np.ndarray) -> int:
    """The label of the voxel that holds a point in space; 0 outside. Plain and slow: the oracle."""
    i, j, k = np.rint(labels.grid.ijk_from_ras(point_ras)).astype(int)
    inside = all(0 <= index < size for index, size in zip((k, j, i), labels.grid.shape_kji, strict=True))
    return int(labels.array_kji[k, j, i]) if inside else 0
