"""Masks that are small in large images: cut to what they hold, and laid onto another grid. Imports geometry, volume_io.resample, numpy."""

from __future__ import annotations

from itertools import product

import numpy as np

from ...geometry import Volume, VolumeGrid
from ...volume_io import resample_nearest

# In voxels of the mask. See `laid_onto`.
_TIE_BREAKER = 1e-6
# Voxels by which two grids may part over the whole volume and still count as one: files round their matrices.
_SAME_VOXELS = 0.01

Block = tuple[slice, slice, slice]


def part_of(grid: VolumeGrid, block_kji: Block) -> VolumeGrid:
    """The grid of a block of voxels, where it lies."""
    starts, stops = zip(*((one.start, one.stop) for one in block_kji), strict=True)
    matrix = np.array(grid.ijk_to_ras)
    matrix[:3, 3] = grid.ras_from_ijk(np.array(starts[::-1]))
    return VolumeGrid(tuple(np.subtract(stops, starts)), matrix)


def cut_to_content(grid: VolumeGrid, mask_kji: np.ndarray) -> Volume:
    """The smallest block that holds all voxels of a mask; a single empty voxel if there are none.

    A labelmap of a hundred structures would be a hundred masks of the whole image otherwise.
    """
    if not mask_kji.any():
        block: Block = (slice(0, 1), slice(0, 1), slice(0, 1))
    else:
        along = (np.flatnonzero(mask_kji.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3))
        first, second, third = (slice(int(indices[0]), int(indices[-1]) + 1) for indices in along)
        block = (first, second, third)
    return Volume(part_of(grid, block), np.array(mask_kji[block], dtype=bool))


def laid_onto(mask: Volume, grid: VolumeGrid) -> tuple[Block, np.ndarray]:
    """A mask on another grid, nearest neighbor.

    A center that lies right between two voxels of the mask goes to the one of the higher index. Left to rounding errors, two masks side by
    side would overlap there, or leave a gap.

    Returns:
        The block of the grid (k, j, i) beyond which the mask has no voxel, and the bool array of that block.
    """
    inside = Volume(mask.grid, mask.array_kji != 0)
    edges = [(-0.5, size - 0.5) for size in mask.grid.shape_kji[::-1]]
    corners_ijk = grid.ijk_from_ras(mask.grid.ras_from_ijk(np.array(list(product(*edges)))))
    # One voxel more on both sides: a voxel whose center lies right on an edge may be rounded either way.
    low = np.clip(np.floor(corners_ijk.min(axis=0)).astype(int) - 1, 0, np.array(grid.shape_kji[::-1]) - 1)
    high = np.clip(np.ceil(corners_ijk.max(axis=0)).astype(int) + 2, low + 1, grid.shape_kji[::-1])
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))
    part = part_of(grid, (k, j, i))
    nudged = np.array(part.ijk_to_ras)
    nudged[:3, 3] += mask.grid.ijk_to_ras[:3, :3] @ np.full(3, _TIE_BREAKER)
    return (k, j, i), resample_nearest(inside, VolumeGrid(part.shape_kji, nudged)).array_kji


def grid_difference(grid: VolumeGrid, other: VolumeGrid, whole: bool) -> str:
    """How another grid differs from a grid, in a few words; empty if its voxels are voxels of the grid, in whatever order they are stored.

    Args:
        grid: the image's.
        other: what is compared with it.
        whole: whether `other` claims to cover the whole image; else it may be a part of it.
    """
    to_grid = np.linalg.inv(grid.ijk_to_ras) @ other.ijk_to_ras
    turn = np.rint(to_grid[:3, :3])
    reach = np.array(other.shape_kji[::-1])
    one_to_one = (np.abs(turn).sum(axis=0) == 1).all() and (np.abs(turn).sum(axis=1) == 1).all()
    if not one_to_one or (np.abs(to_grid[:3, :3] - turn) * reach).max() > _SAME_VOXELS:
        return f"its voxels are {_spacing_text(other)}, or turned otherwise; the image's are {_spacing_text(grid)}"
    start = to_grid[:3, 3]
    if np.abs(start - np.rint(start)).max() > _SAME_VOXELS:
        return "its voxels lie between those of the image"
    ends = np.sort([np.rint(start), np.rint(start) + turn @ (reach - 1)], axis=0)
    if whole and not (np.array_equal(ends[0], (0, 0, 0)) and np.array_equal(ends[1], np.array(grid.shape_kji[::-1]) - 1)):
        return f"it has {_size_text(other)} voxels, the image {_size_text(grid)}, or it begins elsewhere"
    return ""


def _spacing_text(grid: VolumeGrid) -> str:
    return " x ".join(f"{mm:.3g}" for mm in grid.spacing_kji_mm[::-1]) + " mm"


def _size_text(grid: VolumeGrid) -> str:
    return " x ".join(str(size) for size in grid.shape_kji[::-1])


def count_outside(mask: Volume, grid: VolumeGrid) -> int:
    """Number of a mask's voxels whose centers lie in no voxel of a grid."""
    kji = np.argwhere(mask.array_kji)
    nearest_ijk = np.rint(grid.ijk_from_ras(mask.grid.ras_from_ijk(kji[:, ::-1])))
    return int(((nearest_ijk < 0) | (nearest_ijk >= grid.shape_kji[::-1])).any(axis=1).sum())
