"""The three methods on real architectures: the bundled model finds, hiera tiny with random weights runs through."""

from __future__ import annotations

import numpy as np
import pytest
from auto_phantoms import Ball, fitted

pytest.importorskip("torch")
pytest.importorskip("sam2")

from SAM2AnnotateLib.auto_prompts import DecoderOptions, LearnedDecoder, SapOptions, SapPrompter, ThresholdCarrying
from SAM2AnnotateLib.benchmark.parts import engine_of, random_weights
from SAM2AnnotateLib.engine import load_engine
from SAM2AnnotateLib.metrics import dice

pytestmark = pytest.mark.slow
FEW_STEPS = {
    "threshold": ThresholdCarrying,
    "SAP-Net": lambda: SapPrompter(options=SapOptions(network={"steps": 30, "width": 16}, elsewhere=False)),
    "learned decoder": lambda: LearnedDecoder(options=DecoderOptions(steps=30, variants=1, elsewhere=False)),
}


@pytest.fixture(scope="module")
def bundled():
    return load_engine("bundled", device="cpu")


@pytest.fixture(scope="module")
def tiny():
    return engine_of("sam2.1_hiera_tiny", 256, random_weights("sam2.1_hiera_tiny", 256), "fp32")


@pytest.mark.parametrize("name", FEW_STEPS)
def test_the_bundled_model_finds_a_ball_on_the_slices_between(name, bundled):
    ball = Ball(bundled, side_mm=48, slices=7, center_mm=(24, 24))
    method = fitted(FEW_STEPS[name](), ball.annotated(1, 3, 5))
    for one in method.propose(ball.encoder, [2, 4]):
        assert dice(one.result.mask, ball.truth[one.position]) > 0.7
        assert one.doubt < 0.5


@pytest.mark.parametrize("name", FEW_STEPS)
def test_random_weights_of_hiera_tiny_run_through_all_of_it(name, tiny):
    ball = Ball(tiny, side_mm=48, slices=5, radius_mm=6, center_mm=(24, 24))
    method = FEW_STEPS[name]()
    if name == "learned decoder":
        method = LearnedDecoder(options=DecoderOptions(steps=2, batch=1, variants=0, elsewhere=False))
    proposals = list(fitted(method, ball.annotated(1, 3)).propose(ball.encoder))
    assert [one.position for one in proposals] == [0, 2, 4]
    assert all(one.result.mask.shape == (48, 48) and np.isfinite(one.doubt) for one in proposals)
