"""Phantoms for methods without a prompt: a bright ball in a volume of any spacing, with a decoy, or without the ball."""

from __future__ import annotations

import numpy as np

from SAM2AnnotateLib.adaptation import AnnotatedSlice
from SAM2AnnotateLib.engine import ScriptedEngine, SegmentationEngine
from SAM2AnnotateLib.geometry import SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.propagation import SliceEncoder

AS_IT_IS = IntensityMapping(0.0, 255.0, "explicit", "for tests")


class Ball:
    """A ball of gray 180 in noise of gray 60, seen by a model.

    Args:
        engine: by default the scripted one.
        side_mm: of the slices.
        spacing_mm: of the voxels in the plane.
        slices: of 2 mm each; the ball's middle is the middle one's.
        center_mm: (row, col) of the ball.
        radius_mm: of the ball; 0 for none.
        decoy_gray: of a second ball that is never part of the object, in a corner of each slice; None for none.
        fade: gray levels that the ball loses with each slice from the middle one.
        darker: gray levels that it loses on single slices.
    """

    def __init__(
        self,
        engine: SegmentationEngine | None = None,
        *,
        side_mm: float = 64,
        spacing_mm: float = 1,
        slices: int = 15,
        center_mm: tuple[float, float] = (30, 34),
        radius_mm: float = 9,
        decoy_gray: float | None = None,
        fade: float = 0,
        darker: dict[int, float] | None = None,
        seed: int = 0,
    ):
        count = round(side_mm / spacing_mm)
        k, j, i = np.ogrid[:slices, :count, :count]
        height = (k - slices // 2) * 2.0
        row, col = (j + 0.5) * spacing_mm, (i + 0.5) * spacing_mm
        self.truth = (row - center_mm[0]) ** 2 + (col - center_mm[1]) ** 2 + height**2 < radius_mm**2
        voxels = np.random.default_rng(seed).normal(60, 5, self.truth.shape)
        darkened = np.abs(np.arange(slices) - slices // 2) * fade
        for position, gray in (darker or {}).items():
            darkened[position] += gray
        voxels += np.where(self.truth, 120 - darkened[:, None, None], 0)
        if decoy_gray is not None:
            decoy = (row - 10) ** 2 + (col - 10) ** 2 < 25
            voxels[np.broadcast_to(decoy, voxels.shape)] = decoy_gray
        grid = VolumeGrid(voxels.shape, np.diag([-spacing_mm, -spacing_mm, 2.0, 1.0]))
        volume = Volume(grid, np.clip(voxels, 0, 255).astype(np.float32))
        self.encoder = SliceEncoder(engine or ScriptedEngine(), volume, SliceStack.along(grid, "k"), AS_IT_IS)

    def annotated(self, *positions: int) -> list[AnnotatedSlice]:
        """These slices, with their truth."""
        return [AnnotatedSlice(self.encoder, position, self.truth[position]) for position in positions]


def fitted(method, slices):
    """The method, after it has learnt."""
    for _ in method.fit(slices):
        pass
    return method
