"""How much of what was learned an answer takes, by slices held out."""

from __future__ import annotations

import numpy as np
import pytest

from SAM2AnnotateLib.adaptation import AnnotatedSlice
from SAM2AnnotateLib.adaptation.shares import ALL, HALF, NOTHING, PairedScore, mean_of, paired_scores, prompts_on, share_for
from SAM2AnnotateLib.annotator import Annotator
from SAM2AnnotateLib.engine import Adapter, AdapterCard, ScriptedEngine
from SAM2AnnotateLib.geometry import Box2D, Volume, VolumeGrid
from SAM2AnnotateLib.propagation import RegionPolicy


def _scores(*rows) -> list[PairedScore]:
    """One slice each."""
    return [PairedScore("box", number, dict(zip((NOTHING, HALF, ALL), row, strict=True))) for number, row in enumerate(rows)]


@pytest.mark.parametrize(
    "rows, share",
    [
        ([(0.5, 0.7, 0.8), (0.6, 0.7, 0.7)], ALL),  # better with every bit of it
        ([(0.5, 0.7, 0.6), (0.6, 0.7, 0.6)], HALF),  # all of it is better than nothing, the half is better still
        ([(0.90, 0.89, 0.7), (0.92, 0.90, 0.8)], HALF),  # a loss as small as short runs have is no reason to refuse
        ([(0.90, 0.86, 0.7), (0.92, 0.88, 0.8)], NOTHING),  # this is clearly worse
        ([(0.9, 0.95, 0.9), (0.9, 0.3, 0.2), (0.9, 1.0, 0.9), (0.9, 0.97, 0.9)], HALF),  # one slice of four is lost: that may be chance
        ([(0.9, 0.7, 0.6), (0.9, 0.8, 0.6), (0.9, 0.6, 0.5), (0.9, 0.7, 0.6)], NOTHING),  # all of them lose
        ([(0.90, 0.7, 0.89)], NOTHING),  # all of it is no better than nothing
        ([(1.0, 1.0, 1.0)], HALF),
        ([(0.9, 0.2, 0.2)] + 9 * [(0.5, 0.8, 0.9)], ALL),  # one slice that is lost does not outweigh nine
    ],
)
def test_the_share_follows_from_paired_differences(rows, share):
    assert share_for(_scores(*rows)) == share


def test_the_mean_is_that_of_the_share():
    assert mean_of(_scores((0.4, 0.5, 0.6), (0.6, 0.7, 1.0)), ALL) == pytest.approx(0.8)


@pytest.mark.parametrize(
    "rows, cols", [(slice(0, 1), slice(0, 1)), (slice(0, 20), slice(0, 30)), (slice(19, 20), slice(0, 30)), (slice(5, 9), slice(28, 30))]
)
def test_prompts_of_any_mask_lie_on_the_slice(rows, cols):
    mask = np.zeros((20, 30), bool)
    mask[rows, cols] = True
    found = list(prompts_on(mask, np.random.default_rng(3), 20))
    assert [kind for kind, _ in found] == 20 * ["box", "point"]
    assert found[0][1].box == Box2D.around(mask)
    for kind, prompt in found:
        prompt.require_inside(mask.shape)
        if kind == "point":
            assert prompt.points[0].positive and mask[prompt.points[0].row, prompt.points[0].col]
    assert list(prompts_on(mask, np.random.default_rng(3), 1)) == found[:2]


def test_the_same_prompts_are_answered_with_nothing_with_the_half_and_with_all():
    """A bar of two grays, 150 and 120; learned was the first, a box is centered on the second."""
    voxels = np.full((3, 20, 60), 20.0)
    voxels[:, 8:12, 5:25], voxels[:, 8:12, 25:55] = 150, 120
    encoder = Annotator(
        Volume(VolumeGrid(voxels.shape, np.diag([-1.0, -1.0, 1.0, 1.0])), voxels), ScriptedEngine(), window="0,255"
    ).encoder_for(1, None)
    engine = encoder.engine
    card = AdapterCard("bar", engine.weights_sha256, engine.architecture, blend={"box": 0.25})
    adapter = Adapter({"gray": np.array([150], np.float32), "size": np.array([60], np.float32)}, card)
    truth = encoder.stack.view(encoder.volume.array_kji)[1] > 100
    one = AnnotatedSlice(encoder, 1, truth)
    box, click = paired_scores(one, engine, adapter, RegionPolicy("full"), np.random.default_rng(0), 1)
    learned, as_it_came = 2 * 80 / 280, 2 * 120 / 320
    assert (box.kind, box.by_share) == ("box", {NOTHING: pytest.approx(as_it_came), HALF: 0.0, ALL: pytest.approx(learned)})
    assert click.kind == "point" and click.by_share[ALL] == pytest.approx(learned)
    assert adapter.card.blend == {"box": 0.25}
