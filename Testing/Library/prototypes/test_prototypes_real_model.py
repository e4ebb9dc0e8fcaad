"""Prototypes with real SAM 2 modules: the bundled weights, and hiera tiny with random ones at a small size."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from prototype_balls import WINDOW, a_ball

pytest.importorskip("sam2")

from SAM2AnnotateLib.benchmark.parts import engine_of, random_weights
from SAM2AnnotateLib.engine import load_engine
from SAM2AnnotateLib.prototypes import (
    NotFound,
    ProposedObject,
    PrototypeLearning,
    drained,
    encoder_for,
    learn_from_prototypes,
    propose,
    prototype_from,
)

pytestmark = pytest.mark.slow


def _mask(encoder, answer, grid):
    whole = np.zeros(grid.shape_kji, dtype=bool)
    frames = encoder.stack.view(whole)
    for position, result in answer.results.items():
        frames[position] = result.mask
    return whole


@pytest.fixture(scope="module")
def prototypes():
    return [prototype_from(*a_ball(center, count=14, seed=n), "ball", window=WINDOW) for n, center in enumerate([(6, 44, 36), (7, 40, 40)])]


def test_the_bundled_model_finds_a_ball_with_and_without_what_it_learned(prototypes):
    engine = load_engine(device="cpu")
    adapter = drained(learn_from_prototypes(engine, prototypes, options=PrototypeLearning(steps=30, seconds=None)))
    assert adapter.card.volume_count == 2 and adapter.card.object_name == "ball" and adapter.card.plane == "axial"
    volume, truth = a_ball((7, 55, 44), count=14, seed=5)
    for one in (prototypes, [dataclasses.replace(p, adapter=adapter) for p in prototypes]):
        encoder = encoder_for(volume, engine, one)
        found = drained(propose(encoder, one))
        assert isinstance(found, ProposedObject) and found.with_adapter == (one is not prototypes)
        mask = _mask(encoder, found, volume.grid)
        assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.75


def test_hiera_tiny_runs_through_all_of_it_and_what_another_model_learned_is_told_of(prototypes):
    engine = engine_of("sam2.1_hiera_tiny", 128, random_weights("sam2.1_hiera_tiny", 128), "auto")
    few = [dataclasses.replace(one, slices=one.slices[4:9:2], extent=one.extent) for one in prototypes]
    adapter = drained(learn_from_prototypes(engine, few, options=PrototypeLearning(steps=1, seconds=None)))
    volume, _ = a_ball((3, 50, 40), count=7, seed=5, rows=64, cols=60)
    learned = [dataclasses.replace(one, adapter=adapter) for one in few]
    assert isinstance(drained(propose(encoder_for(volume, engine, learned), learned)), (ProposedObject, NotFound))
    bundled = load_engine(device="cpu")
    answer = drained(propose(encoder_for(volume, bundled, learned), learned))
    assert answer.notes == ("What was learned is of another model, so it was not used: learn again with this one.",)
