"""All scores of one mask against the truth, for the volume and slice by slice. Imports numpy, geometry and errors."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from ..errors import InputError
from ..geometry import SliceStack, VolumeGrid
from .overlap import dice, jaccard, require_masks
from .surface import hausdorff_95_mm, normalized_surface_dice, require_tolerance, surface_distances
from .surface_elements import bounding_box


@dataclass(frozen=True)
class Scores:
    """The scores of one pair of masks. Their meaning, and what empty masks give, stand in the package's docstring.

    Args:
        dsc: Dice similarity coefficient, 0..1.
        jaccard: intersection over union, 0..1.
        nsd: normalized surface Dice at the report's tolerance, 0..1.
        hd95_mm: 95th percentile of the surface distance in mm; infinite if one mask is empty.
        voxels_pred: voxels (or pixels) of the prediction.
        voxels_truth: voxels (or pixels) of the truth.
    """

    dsc: float
    jaccard: float
    nsd: float
    hd95_mm: float
    voxels_pred: int
    voxels_truth: int

    @classmethod
    def of(cls, pred: np.ndarray, truth: np.ndarray, spacing_mm: tuple[float, ...], tolerance_mm: float = 1.0) -> Scores:
        """Score two 2-D or 3-D bool masks of one shape; spacing in array order.

        The cost grows with the box around both masks, not with the array, but for one look that finds that box.

        Raises:
            InputError: if a mask is not boolean, the shapes differ, or spacing or tolerance is not allowed.
            MissingPackageError: if scipy is not installed.
        """
        require_masks(pred, truth)
        pred, truth, _ = _cropped(pred, truth)
        distances = surface_distances(pred, truth, spacing_mm)
        return cls(
            dsc=dice(pred, truth),
            jaccard=jaccard(pred, truth),
            nsd=normalized_surface_dice(distances, tolerance_mm),
            hd95_mm=hausdorff_95_mm(distances),
            voxels_pred=int(np.count_nonzero(pred)),
            voxels_truth=int(np.count_nonzero(truth)),
        )

    def as_json_object(self) -> dict[str, float | int | None]:
        """The scores by name; NaN and infinity, which JSON lacks, become None."""
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}


@dataclass(frozen=True)
class ScoreReport:
    """The scores of a mask, whole and slice by slice. Made by `score_masks`.

    Args:
        volume: 3-D scores.
        per_slice: (slice index, 2-D scores) of each slice that holds prediction or truth, in rising order.
        axis: the index axis that slices are numbered along: ``i``, ``j`` or ``k``.
        tolerance_mm: tolerance of the NSD.
        spacing_kji_mm: (3,) spacing in mm in array order.
    """

    volume: Scores
    per_slice: tuple[tuple[int, Scores], ...]
    axis: str
    tolerance_mm: float
    spacing_kji_mm: tuple[float, float, float]

    def as_json_object(self) -> dict:
        """What `json.dumps` takes: valid JSON, null for NaN and infinity."""
        return {
            "tolerance_mm": self.tolerance_mm,
            "spacing_kji_mm": list(self.spacing_kji_mm),
            "volume": self.volume.as_json_object(),
            "slice_axis": self.axis,
            "per_slice": [{"slice": index, **scores.as_json_object()} for index, scores in self.per_slice],
        }


def score_masks(pred_kji: np.ndarray, truth_kji: np.ndarray, grid: VolumeGrid, axis: str = "k", tolerance_mm: float = 1.0) -> ScoreReport:
    """Score a mask against the truth, as a volume and on each slice where either of them has a voxel.

    Args:
        pred_kji: (k, j, i) bool mask to judge.
        truth_kji: (k, j, i) bool mask to judge it by.
        grid: the grid of both.
        axis: what slices are stacked along: ``i``, ``j``, ``k``, or the plane ``axial``, ``coronal``, ``sagittal``. A slice is scored
            in its plane, with the spacing in its plane: the slices beside it do not count.
        tolerance_mm: largest distance that the NSD counts as agreement.

    Raises:
        InputError: if a mask is not boolean or not of the grid's shape, or axis or tolerance is not allowed.
        MissingPackageError: if scipy is not installed.
    """
    require_masks(pred_kji, truth_kji)
    require_tolerance(tolerance_mm)
    if pred_kji.shape != grid.shape_kji:
        raise InputError(f"The masks' shape {pred_kji.shape} (k, j, i) differs from the grid's {grid.shape_kji}.")
    index_axis = SliceStack.along(grid, axis).index_axis
    across = "kji".index(index_axis)
    spacing = grid.spacing_kji_mm
    in_plane_mm = tuple(mm for n, mm in enumerate(spacing) if n != across)
    pred, truth, start_kji = _cropped(pred_kji, truth_kji)
    slices = (
        (start_kji[across] + n, pred_slice, truth_slice)
        for n, (pred_slice, truth_slice) in enumerate(zip(np.moveaxis(pred, across, 0), np.moveaxis(truth, across, 0), strict=True))
        if pred_slice.any() or truth_slice.any()
    )
    return ScoreReport(
        volume=Scores.of(pred, truth, spacing, tolerance_mm),
        per_slice=tuple((n, Scores.of(pred_slice, truth_slice, in_plane_mm, tolerance_mm)) for n, pred_slice, truth_slice in slices),
        axis=index_axis,
        tolerance_mm=float(tolerance_mm),
        spacing_kji_mm=spacing,
    )


def _cropped(pred: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Both masks in the smallest box that holds them, and where it starts. Beyond it nothing can change a score."""
    boxes = [box for box in (bounding_box(pred), bounding_box(truth)) if box is not None]
    if not boxes:
        box = tuple(slice(0, 0) for _ in range(pred.ndim))
    else:
        box = tuple(slice(min(side.start for side in sides), max(side.stop for side in sides)) for sides in zip(*boxes, strict=True))
    return pred[box], truth[box], tuple(side.start for side in box)
