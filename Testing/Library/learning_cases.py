"""Volumes on which the scripted model fails until it has learned the object's gray. Imported by tests by name."""

from __future__ import annotations

import numpy as np

from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.simulated_learning import SeriesCase
from SAM2AnnotateLib.simulation.bench import Bench
from SAM2AnnotateLib.simulation.objects import StackedTruth, truth_objects
from SAM2AnnotateLib.simulation.reader import MaskMemory, ReaderRules

BRIGHT, DARK, HOLLOW = 180, 40, 110
FIRST, LAST = 4, 12


def a_bar(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(k, j, i) voxels and truth: a bright bar of 12 x 14 voxels on slices 4..12 of 17; its middle 4 x 4 voxels are of another gray.

    A box makes the scripted model take that gray for the object's; corrected slices tell it better.
    """
    voxels = np.full((17, 40, 44), DARK, dtype=np.int16)
    truth = np.zeros(voxels.shape, dtype=np.uint8)
    row, col = 12 + seed % 5, 14 + (2 * seed) % 7
    truth[FIRST : LAST + 1, row : row + 12, col : col + 14] = 1
    voxels[truth > 0] = BRIGHT
    voxels[FIRST : LAST + 1, row + 4 : row + 8, col + 5 : col + 9] = HOLLOW
    return voxels, truth


def a_case(seed: int = 0, engine: ScriptedEngine | None = None) -> SeriesCase:
    voxels, truth = a_bar(seed)
    volume = Volume(VolumeGrid(voxels.shape, np.diag([1.0, 1.0, 2.0, 1.0])), voxels)
    bench = Bench(volume, engine or ScriptedEngine(), "axial", "0,255")
    (one,), _ = truth_objects(truth, [1])
    memory = MaskMemory(StackedTruth.of(one, bench.stack), bench.stack.frame_spacing_rc_mm, ReaderRules())
    return SeriesCase(f"case_{seed}", bench, memory, lambda: np.random.default_rng(seed))
