"""A patient drawn by a seeded generator, and every way in which a file may store him; Python in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path

import numpy as np

from SAM2AnnotateLib.geometry import Volume, VolumeGrid

ROOT = Path(__file__).resolve().parents[2]

# A patient stored in RAS+ order: i grows to the right, j to anterior, k to superior. No two sizes and no two spacings are equal.
SHAPE_KJI = (4, 5, 6)
SPACING_IJK_MM = (0.7, 1.3, 2.9)
ORIGIN_RAS = (10.0, -20.0, 30.0)


@dataclass(frozen=True)
class Orientation:
    """One of the 48 ways to store the same voxels: array axes taken in another order, some of them turned round."""

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def __str__(self) -> str:
        return "".join("kji"[axis] + ("-" if flip else "+") for axis, flip in zip(self.axes, self.flips, strict=True))

    def array(self, array_kji: np.ndarray) -> np.ndarray:
        """The voxels in the new order."""
        return np.transpose(array_kji, self.axes)[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def matrix(self, ijk_to_ras: np.ndarray, shape_kji: tuple[int, ...]) -> np.ndarray:
        """The matrix that puts the voxels of `array` where they were."""
        new_to_old_ijk = np.zeros((4, 4))
        new_to_old_ijk[3, 3] = 1
        for new, (old, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            new_to_old_ijk[2 - old, 2 - new] = -1 if flip else 1
            new_to_old_ijk[2 - old, 3] = shape_kji[old] - 1 if flip else 0
        return ijk_to_ras @ new_to_old_ijk

    def volume(self, volume: Volume) -> Volume:
        """The same patient in a file of this order."""
        array = self.array(volume.array_kji)
        return Volume(VolumeGrid(array.shape, self.matrix(volume.grid.ijk_to_ras, volume.grid.shape_kji)), array, volume.modality)


def all_48_orientations() -> list[Orientation]:
    """Six orders of the axes times eight choices of flips."""
    return [Orientation(axes, flips) for axes in permutations(range(3)) for flips in product((False, True), repeat=3)]


def an_oblique_rotation() -> np.ndarray:
    """(3, 3) by 20 degrees about R, then -15 about A, then 10 about S: every axis stays nearest to the one it came from."""

    def about(axis: int, degrees: float) -> np.ndarray:
        turn = np.eye(3)
        a, b = [other for other in range(3) if other != axis]
        turn[[a, b], [a, b]] = np.cos(np.radians(degrees))
        turn[b, a] = np.sin(np.radians(degrees))
        turn[a, b] = -turn[b, a]
        return turn

    return about(2, 10) @ about(1, -15) @ about(0, 20)


def an_anisotropic_volume(oblique: bool = False, dtype: type = np.int16) -> Volume:
    """The patient in RAS+ order with seeded voxels, upright or turned by `an_oblique_rotation`."""
    matrix = np.eye(4)
    matrix[:3, :3] = (an_oblique_rotation() if oblique else np.eye(3)) * SPACING_IJK_MM
    matrix[:3, 3] = ORIGIN_RAS
    voxels = np.random.default_rng(7).integers(-1000, 1000, SHAPE_KJI).astype(dtype)
    return Volume(VolumeGrid(SHAPE_KJI, matrix), voxels)


def drawn(*rows: str) -> np.ndarray:
    """A 2-D mask: # is inside."""
    return np.array([[character == "#" for character in row] for row in rows])


def names_in(folder: Path) -> list[str]:
    """What lies in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


def run_python(code: str, *arguments: object) -> str:
    """What a piece of Python prints in a process of its own, which may spoil its limits."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


def ends_soon(pid: int) -> bool:
    """Whether a process is gone, or a zombie that nobody here can reap, within a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{pid}/stat")
        if status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False
