"""The images of a case on one grid. Imports geometry, errors, nnunet.plan, nnunet.case."""

from __future__ import annotations

import numpy as np

from ...errors import GridMismatchError, InputError
from ...geometry import Volume, VolumeGrid
from ..cases.case import ExportCase
from ..cases.plan import NORMALIZING_NAMES, DataSetPlan


def channel_volumes(case: ExportCase, plan: DataSetPlan, resample: bool = False) -> tuple[list[Volume], list[str]]:
    """The images in the plan's order on the first one's grid, and a note on each that was resampled.

    Args:
        case: its images are in the plan's order.
        plan: the data set's.
        resample: whether an image on another grid is interpolated linearly; otherwise it is refused.

    Raises:
        InputError: if there are more or fewer images than channels, or an image is of another modality than its channel.
        GridMismatchError: if an image lies on another grid and `resample` is false, or beside the first image.
    """
    if len(case.images) != len(plan.channels):
        raise InputError(f"Case '{case.case_id}' has {len(case.images)} images, the plan has the channels {', '.join(plan.channels)}.")
    for image, channel in zip(case.images, plan.channels, strict=True):
        modality = image.volume.modality
        if (
            modality is not None
            and (modality == "CT") != (channel.lower() == "ct")
            and (modality != "CT" or channel.lower() not in NORMALIZING_NAMES)
        ):
            raise InputError(
                f"Case '{case.case_id}': '{image.source}' is of modality {modality} and would be the channel '{channel}', which nnU-Net "
                f"normalizes {'as CT' if channel.lower() == 'ct' else 'not as CT'}. Check the order of the images, or the plan's channels."
            )
    first = case.images[0]
    volumes, notes = [first.volume], []
    for image, channel in zip(case.images[1:], plan.channels[1:], strict=True):
        if first.volume.grid.is_close(image.volume.grid):
            volumes.append(Volume(first.volume.grid, image.volume.array_kji, image.volume.modality))
        elif not resample:
            first.volume.grid.require_same(image.volume.grid, f"Case '{case.case_id}': '{first.source}'", f"'{image.source}'")
        else:
            resampled, share = resample_linear(image.volume, first.volume.grid)
            if share == 0:
                raise GridMismatchError(f"Case '{case.case_id}': '{image.source}' lies beside '{first.source}'; they share no voxel.")
            volumes.append(resampled)
            notes.append(f"'{channel}' was interpolated onto the grid of '{plan.channels[0]}' and covers {100 * share:.0f} % of it")
    return volumes, notes


def resample_linear(volume: Volume, grid: VolumeGrid) -> tuple[Volume, float]:
    """Interpolate an image onto a grid, and the share of the grid's voxels that it covers; outside it takes its smallest value.

    Args:
        volume: any grid.
        grid: to resample onto.

    Returns:
        float32 volume; share from 0 to 1.
    """
    source = volume.array_kji
    out = np.full(grid.shape_kji, source.min(), dtype=np.float32)
    to_source = np.linalg.inv(volume.grid.ijk_to_ras) @ grid.ijk_to_ras
    size_kji = np.array(source.shape)
    nk, nj, ni = grid.shape_kji
    plane_ijk = np.stack(np.meshgrid(np.arange(ni), np.arange(nj), indexing="xy"), axis=-1)  # (j, i, 2)
    covered = 0
    for k in range(nk):
        kji = (plane_ijk @ to_source[:3, :2].T + to_source[:3, 3] + k * to_source[:3, 2])[..., ::-1]
        inside = ((kji > -0.5) & (kji < size_kji - 0.5)).all(axis=-1)
        at = np.clip(kji[inside], 0, size_kji - 1)
        low = np.minimum(np.floor(at).astype(int), np.maximum(size_kji - 2, 0))
        part = at - low
        high = np.minimum(low + 1, size_kji - 1)
        values = np.zeros(len(at))
        for corner in np.ndindex(2, 2, 2):
            index = np.where(corner, high, low)
            weight = np.prod(np.where(corner, part, 1 - part), axis=1)
            values += weight * source[tuple(index.T)]
        out[k][inside] = values
        covered += int(inside.sum())
    return Volume(grid, out, volume.modality), covered / out.size
