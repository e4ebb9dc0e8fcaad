"""The surface of a mask as elements with a size: which grid corners it passes, and how much of it lies there. Imports numpy only.

A grid corner is the point where 4 pixels or 8 voxels meet. Where they are not all alike, the border of the mask passes, and the
corner carries one element: the part of the marching-squares contour (length in mm) or marching-cubes surface (area in mm^2) between
the centers of those pixels or voxels. Counting border voxels instead would weigh a 3 mm step between slices like a 0.5 mm one.

The marching-cubes surface has some freedom, which is fixed here by two rules:

- Where a face of the cube has its corners inside and outside crosswise, those of the kind that is rarer in the cube are cut off.
- A polygon that is not flat is cut into triangles so that its area on the unit cube is largest.

With these, every size equals the one in google-deepmind/surface-distance, whose scores the literature reports (all 256 cases were
compared, at several spacings). Here the table follows from the rules instead of being copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product

import numpy as np

Point = tuple[int, ...]


def surface_corners(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the border of a mask passes.

    Only the bounding box of the mask is looked at; beyond the array everything counts as outside.

    Args:
        mask: 2-D or 3-D bool mask.

    Returns:
        (n, d) indices of the grid corners in array order, corner 0 being the outer corner of voxel 0; and (n,) their codes, the row
        of `element_sizes`. Both empty for an empty mask.
    """
    box = bounding_box(mask)
    if box is None:
        return np.empty((0, mask.ndim), dtype=np.int64), np.empty(0, dtype=np.uint8)
    inside = np.pad(mask[box], 1).view(np.uint8)
    codes = np.zeros([n - 1 for n in inside.shape], dtype=np.uint8)
    for bit, offset in enumerate(product((0, 1), repeat=mask.ndim)):
        codes |= inside[tuple(slice(o, o + n) for o, n in zip(offset, codes.shape, strict=True))] << bit
    all_inside = 2 ** (2**mask.ndim) - 1
    corners = np.nonzero((codes != 0) & (codes != all_inside))
    return np.stack(corners, axis=1) + [side.start for side in box], codes[corners]


def bounding_box(mask: np.ndarray) -> tuple[slice, ...] | None:
    """The tight box around a mask of any dimension, as a numpy index; None if the mask is empty."""
    box: list[slice] = []
    for axis in range(mask.ndim):
        # What lies outside along the axes before is empty: each look is at the part that is left.
        rest = mask[tuple(box)]
        used = np.flatnonzero(rest.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        if used.size == 0:
            return None
        box.append(slice(int(used[0]), int(used[-1]) + 1))
    return tuple(box)


def element_sizes(spacing_mm: tuple[float, ...]) -> np.ndarray:
    """The size of the surface element for every code of a corner.

    Args:
        spacing_mm: (2,) or (3,) spacing in array order.

    Returns:
        (16,) lengths in mm or (256,) areas in mm^2. Bit n of a code says whether the n-th of the pixels or voxels around the corner,
        in array order, is inside. 0 for the first and the last code (all outside, all inside).
    """
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    if spacing.size == 2:
        return _contour_lengths(*spacing)
    # A triangle's normal of the unit cube, stretched by the spacing: each component scales with the two other axes.
    return np.linalg.norm(_triangle_normals() * (spacing.prod() / spacing), axis=2).sum(axis=1)


def _contour_lengths(row_mm: float, column_mm: float) -> np.ndarray:
    diagonal = np.hypot(row_mm, column_mm) / 2
    lengths = np.zeros(16)
    lengths[[0b0001, 0b0010, 0b0100, 0b1000, 0b1110, 0b1101, 0b1011, 0b0111]] = diagonal
    lengths[[0b0110, 0b1001]] = 2 * diagonal
    lengths[[0b0011, 0b1100]] = column_mm
    lengths[[0b0101, 0b1010]] = row_mm
    return lengths


@lru_cache(maxsize=1)
def _triangle_normals() -> np.ndarray:
    """(256, t, 3) normals of the triangles of each code on the unit cube, as long as the triangle's area; zeros fill up."""
    triangles = [[t for polygon in _polygons(code) for t in _largest_triangulation(polygon)] for code in range(256)]
    normals = np.zeros((256, max(map(len, triangles)), 3))
    for code, corners in enumerate(triangles):
        if corners:
            normals[code, : len(corners)] = _normals(corners)
    normals.setflags(write=False)
    return normals


def _polygons(code: int) -> list[list[Point]]:
    """The closed polygons in which the surface crosses the cube; points are edge midpoints in half units (0, 1, 2)."""
    inside = {corner: bool(code >> bit & 1) for bit, corner in enumerate(product((0, 1), repeat=3))}
    rarer = sum(inside.values()) <= 4
    neighbors: dict[Point, list[Point]] = {}
    for axis, side in product(range(3), (0, 1)):
        face = [(*ring[:axis], side, *ring[axis:]) for ring in ((0, 0), (0, 1), (1, 1), (1, 0))]
        # edge n runs from corner n to the next; the surface crosses where they differ
        middles = [tuple(a + b for a, b in zip(face[n], face[(n + 1) % 4], strict=True)) for n in range(4)]
        crossed = [n for n in range(4) if inside[face[n]] != inside[face[(n + 1) % 4]]]
        segments = [tuple(crossed)] if len(crossed) == 2 else [((n - 1) % 4, n) for n in crossed if inside[face[n]] == rarer]
        for a, b in segments:
            neighbors.setdefault(middles[a], []).append(middles[b])
            neighbors.setdefault(middles[b], []).append(middles[a])
    polygons = []
    while neighbors:
        point = next(iter(neighbors))
        polygon = []
        while point in neighbors:
            polygon.append(point)
            ahead = neighbors.pop(point)
            point = ahead[0] if ahead[0] in neighbors else ahead[1]
        polygons.append(polygon)
    return polygons


def _largest_triangulation(polygon: list[Point]) -> list[tuple[Point, ...]]:
    return max(_triangulations(polygon), key=lambda triangles: np.linalg.norm(_normals(triangles), axis=1).sum())


def _triangulations(polygon: list[Point]) -> Iterator[list[tuple[Point, ...]]]:
    if len(polygon) < 3:
        yield []
        return
    for n in range(1, len(polygon) - 1):
        for before in _triangulations(polygon[: n + 1]):
            for after in _triangulations(polygon[n:]):
                yield [*before, (polygon[0], polygon[n], polygon[-1]), *after]


def _normals(triangles: list[tuple[Point, ...]]) -> np.ndarray:
    a, b, c = np.array(triangles, dtype=np.float64).transpose(1, 0, 2) / 2
    return np.cross(b - a, c - a) / 2
