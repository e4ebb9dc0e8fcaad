"""Whether learning goes on from what was learned before, as it is told to the user, and as `learn` does it."""

from __future__ import annotations

import numpy as np
import pytest

from SAM2AnnotateLib.adaptation import AnnotatedSlice, LearningOptions, learn, learned
from SAM2AnnotateLib.engine import Adapter, AdapterCard, ScriptedEngine
from SAM2AnnotateLib.geometry import Extent, SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.propagation import SliceEncoder

MAPPING = IntensityMapping(0, 255, "explicit", "test")


def slices_of(engine: ScriptedEngine, volumes: int, shown: int) -> list[AnnotatedSlice]:
    """A bright block on so many slices of each of so many volumes."""
    found = []
    for _ in range(volumes):
        voxels = np.full((shown + 4, 24, 24), 40, np.int16)
        voxels[2 : shown + 2, 6:16, 7:18] = 180
        volume = Volume(VolumeGrid(voxels.shape, np.diag([1.0, 1.0, 2.0, 1.0])), voxels)
        encoder = SliceEncoder(engine, volume, SliceStack.along(volume.grid, "k"), MAPPING)
        masks = encoder.stack.view(voxels > 100)
        extent = Extent(*np.flatnonzero(masks.any(axis=(1, 2)))[[0, -1]].tolist())
        found += [AnnotatedSlice(encoder, position, masks[position], extent) for position in extent.indices]
    return found


@pytest.mark.parametrize(
    ("volumes", "shown", "of_volumes", "expected"),
    [(3, 8, 2, True), (2, 12, 2, True), (3, 8, 1, False), (2, 8, 2, False), (1, 24, 2, False)],
)
def test_it_is_told_as_it_is_done(volumes, shown, of_volumes, expected):
    engine = ScriptedEngine()
    slices, options = slices_of(engine, volumes, shown), LearningOptions(steps=20)
    card = AdapterCard("Block", engine.weights_sha256, "scripted", volume_count=of_volumes)
    start = Adapter({"gray": np.array([180], np.float32), "size": np.array([100], np.float32)}, card)
    anew, further = (learned(learn(slices, options=options, start=one)) for one in (None, start))
    assert (further.steps > anew.steps) is expected, "what is held out from `start` costs no steps"
    assert further.went_on is expected and not anew.went_on
