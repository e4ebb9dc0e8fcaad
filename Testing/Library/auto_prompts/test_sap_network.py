"""Prototypes through a small head: what each rung of the ladder does, on pictures that can be worked out."""

from __future__ import annotations

import numpy as np
import pytest
from auto_phantoms import Ball, fitted

from SAM2AnnotateLib.auto_prompts import SapOptions, SapPrompter
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.metrics import dice

torch = pytest.importorskip("torch")
from SAM2AnnotateLib.auto_prompts.sap_network import Example, SapNetwork, SapSettings  # noqa: E402


def _examples(count: int, seed: int = 0):
    """Four noisy channels on a grid of 16; the object's channel changes halfway along the stack."""
    rng = np.random.default_rng(seed)
    examples = []
    for number in range(count):
        place = number / max(1, count - 1)
        maps, share = rng.normal(0, 0.3, (4, 16, 16)).astype(np.float32), np.zeros((16, 16), dtype=np.float32)
        row, col = rng.integers(2, 8, 2)
        share[row : row + 5, col : col + 6] = 1
        maps[0 if place < 0.5 else 1][share > 0] += 2
        maps[1 if place < 0.5 else 0][share.T > 0] += 0.5
        examples.append(Example(maps, share, place))
    return examples


def _trained(examples, **settings):
    network = SapNetwork(examples, SapSettings(width=8, **settings))
    losses = list(network.train())
    return network, losses


def test_training_lowers_the_loss_and_finds_the_object_on_a_slice_between():
    examples = _examples(8)
    network, losses = _trained(examples[::2], steps=60, learning_rate=3e-3)
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
    asked = examples[3]
    found = network.likelihood(asked.maps, asked.place) > 0.5
    assert 2 * (found & (asked.share > 0)).sum() / (found.sum() + (asked.share > 0).sum()) > 0.7


def test_one_annotated_slice_is_enough():
    examples = _examples(1)
    network, _ = _trained(examples, steps=40, learning_rate=3e-3)
    assert (network.likelihood(examples[0].maps, 0.0) > 0.5)[examples[0].share > 0].mean() > 0.8


def test_the_bias_makes_a_cell_too_many_cost_more_than_a_cell_too_few():
    target = torch.zeros(1, 16, 16)
    target[0, 4:8, 4:8] = 1
    more, fewer = target.clone(), target.clone()
    more[0, 8:10, 4:8] = 1
    fewer[0, 6:8, 4:8] = 0
    costs = {}
    for share in (0.5, 0.7):
        network = SapNetwork(_examples(1), SapSettings(width=8, false_positive_share=share))
        costs[share] = [float(network._biased_dice(torch.stack([1 - one, one], 1) * 40, target)) for one in (more, fewer)]
    assert costs[0.7][0] > costs[0.5][0] and costs[0.7][1] < costs[0.5][1]
    assert costs[0.7][0] > costs[0.7][1]


@pytest.mark.parametrize("settings", [{"sigma": None, "false_positive_share": None}, {"local": True}, {"alignment": 0.0}])
def test_every_rung_runs(settings):
    network, losses = _trained(_examples(4), steps=4, **settings)
    assert np.isfinite(losses).all()
    assert network.likelihood(_examples(1)[0].maps, 0.5).shape == (16, 16)


def test_an_object_smaller_than_half_a_cell_counts_as_its_fullest_cell():
    example = _examples(1)[0]
    tiny = np.zeros_like(example.share)
    tiny[4, 5], tiny[4, 6] = 0.3, 0.1
    network = SapNetwork([Example(example.maps, tiny, 0.5)], SapSettings(width=8))
    assert network._target.sum() == 1 == network._target[0, 4, 5]


def test_top_k_leaves_out_a_decoy_of_the_same_gray_that_another_volume_has():
    ball, slices = Ball(decoy_gray=180, seed=2), Ball().annotated(4, 6, 8, 10)
    network = {"steps": 40, "width": 8, "sigma": None, "false_positive_share": None}
    every = fitted(SapPrompter(options=SapOptions(network=network, keep_parts=None)), slices)
    best = fitted(SapPrompter(options=SapOptions(network=network, keep_parts=1)), slices)
    decoy = (slice(5, 15), slice(5, 15))
    assert every.coarse_masks(ball.encoder, [7])[7].mask[decoy].any()
    kept = best.coarse_masks(ball.encoder, [7])[7]
    assert not kept.mask[decoy].any() and (kept.mask & ball.truth[7]).sum() > 0.7 * ball.truth[7].sum()


class _Shrinking(ScriptedEngine):
    """A model whose masks lack their left half: worse than any coarse mask."""

    def start_track(self, frame_shape_rc, slice_count, reverse):
        track = super().start_track(frame_shape_rc, slice_count, reverse)
        honest = track.condition

        def half(position, embedding, prompt):
            said = honest(position, embedding, prompt)
            cols = np.flatnonzero(said.mask.any(axis=0))
            said.logits[:, : (cols[0] + cols[-1]) // 2 if len(cols) else 0] = -10
            return said

        track.condition = half
        return track


def test_where_the_model_loses_what_the_coarse_mask_knew_the_coarse_mask_is_proposed():
    scores = {}
    for engine in (ScriptedEngine(), _Shrinking()):
        ball = Ball(engine)
        slices = ball.annotated(4, 6, 8, 10)
        method = fitted(SapPrompter(options=SapOptions(network={"steps": 40, "width": 8}, elsewhere=False)), slices)
        model = method.with_options(SapOptions(network={"steps": 40, "width": 8}, elsewhere=False, final="model"))
        scores[type(engine)] = [dice(next(iter(one.propose(ball.encoder, [7]))).result.mask, ball.truth[7]) for one in (method, model)]
    assert scores[ScriptedEngine][0] == scores[ScriptedEngine][1] > 0.9
    assert scores[_Shrinking][0] > 0.85 > 0.75 > scores[_Shrinking][1]


def test_another_network_cannot_be_had_without_learning_it():
    with pytest.raises(InputError, match="ask for another network"):
        SapPrompter().with_options(SapOptions(network={"sigma": None}))
    with pytest.raises(InputError, match="expected model, coarse or better"):
        SapOptions(final="best")
