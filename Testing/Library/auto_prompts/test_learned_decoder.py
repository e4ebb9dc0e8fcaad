"""The learned decoder without a prompt: looks, adapters, and where memory comes in."""

from __future__ import annotations

import tracemalloc

import pytest
from auto_phantoms import Ball, fitted

from SAM2AnnotateLib.auto_prompts import DecoderOptions, LearnedDecoder
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import EngineError
from SAM2AnnotateLib.metrics import dice

FEW = DecoderOptions(steps=3)


def test_what_was_learnt_is_an_adapter_that_another_method_takes():
    ball = Ball()
    first = fitted(LearnedDecoder(options=FEW), ball.annotated(5, 7, 9))
    assert first.adapter is not None
    assert first.adapter.card.slice_count == 3 and first.adapter.card.volume_count == 1
    assert first.adapter.card.object_size_mm == pytest.approx(18, abs=2)

    def refuse(step: int) -> None:
        raise AssertionError("A given adapter is not learnt anew.")

    other = Ball(ScriptedEngine(fail_learning_at=refuse), seed=3)
    second = fitted(LearnedDecoder(options=FEW, adapter=first.adapter), other.annotated(6))
    found = {one.position: one.result.mask for one in second.propose(other.encoder)}
    assert dice(found[7], other.truth[7]) > 0.9


def test_on_a_large_slice_the_object_is_looked_at_closely():
    method = fitted(LearnedDecoder(options=FEW), Ball(side_mm=128).annotated(5, 7, 9))
    other = Ball(side_mm=160, center_mm=(110, 40), seed=3)
    found = {one.position: one for one in method.propose(other.encoder)}
    crop = found[7].result.crop
    assert max(crop.shape_rc) < 80
    assert crop.row_start < 110 < crop.row_stop and crop.col_start < 40 < crop.col_stop
    assert dice(found[7].result.mask, other.truth[7]) > 0.9


def test_memory_finds_what_the_decoder_is_blind_for_and_it_is_doubted():
    ball = Ball(darker=dict.fromkeys(range(7, 15), 80))  # two grays: what is learned lies between, and fits neither
    slices = ball.annotated(5, 9)
    blind = fitted(LearnedDecoder(options=DecoderOptions(steps=3, variants=0, anchors=0, neighbors=False)), slices)
    told = fitted(LearnedDecoder(options=DecoderOptions(steps=3, variants=0, memory_share=0.7)), slices)
    assert not any(one.result.mask.any() for one in blind.propose(ball.encoder, [6, 8]))
    for one in told.propose(ball.encoder, [6, 8]):
        assert dice(one.result.mask, ball.truth[one.position]) > 0.9
        assert one.doubt > 0.5


def test_a_fault_of_the_model_while_it_learns_is_told_and_nothing_is_kept():
    def out_of_memory(step: int) -> None:
        if step == 2:
            raise EngineError("Out of memory on cpu.")

    ball = Ball(ScriptedEngine(fail_learning_at=out_of_memory))
    method = LearnedDecoder(options=FEW)
    with pytest.raises(EngineError, match="Out of memory"):
        fitted(method, ball.annotated(5, 7, 9))
    assert method.adapter is None


def test_maps_of_whole_slices_are_not_kept_where_a_closer_look_follows():
    other = Ball(side_mm=200, spacing_mm=0.5, slices=45, center_mm=(120, 70), seed=3)
    method = fitted(LearnedDecoder(options=DecoderOptions(steps=3, variants=0)), Ball(side_mm=128).annotated(5, 7, 9))
    list(method.propose(other.encoder))  # what is encoded stays in the store, which has its own limit
    tracemalloc.start()
    try:
        found = list(method.propose(other.encoder))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert dice(found[22].result.mask, other.truth[22]) > 0.9
    masks = len(found) * 400 * 400
    assert peak < 2.5 * masks + 12 * 400 * 400 * 8
