"""What an adapter does to passes from slice to slice, with the scripted model: its memory lags behind an object that grows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SAM2AnnotateLib.adaptation import AnnotatedSlice, LearningOptions, learn, learned, propose_slices
from SAM2AnnotateLib.annotator import Annotator
from SAM2AnnotateLib.engine import Adapter, ScriptedEngine
from SAM2AnnotateLib.engine.adapter import AdapterCard
from SAM2AnnotateLib.engine.scripted_engine import ScriptedTrack
from SAM2AnnotateLib.geometry import Box2D, Extent, Volume, VolumeGrid
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.propagation import RegionPolicy, propagate

EXTENT = Extent(0, 6)
WHOLE = RegionPolicy("full")


def a_growing_bar() -> Volume:
    """Seven slices of 20 x 90: a bar that grows by 10 columns a slice, the scripted memory follows by 3 on each side."""
    voxels = np.full((7, 20, 90), 60.0)
    for k in range(7):
        voxels[k, 8:12, 10 : 20 + 10 * k] = 150
    return Volume(VolumeGrid(voxels.shape, np.diag([-1.0, -1.0, 1.0, 1.0])), voxels)


@pytest.fixture
def encoder():
    return Annotator(a_growing_bar(), ScriptedEngine(), window="0,255").encoder_for(0, None)


def _truth(encoder, position):
    return encoder.stack.view(encoder.volume.array_kji)[position] > 100


def _proposed(encoder, adapter, *locked):
    taught = encoder.with_engine(encoder.engine.with_adapter(adapter))
    return {one.position: one for one in propose_slices(taught, WHOLE, {p: _truth(encoder, p) for p in locked}, EXTENT)}


@pytest.fixture
def adapter(encoder):
    slices = [AnnotatedSlice(encoder, position, _truth(encoder, position)) for position in (0, 2, 4, 6)]
    return learned(learn(slices, policy=WHOLE, options=LearningOptions(steps=8, hold_out=False))).adapter


def _from_a_box(encoder, adapter):
    taught = encoder.with_engine(encoder.engine.with_adapter(adapter))
    prompts = {0: SlicePrompt(box=Box2D(8, 12, 10, 20))}
    return {one.position: one for one in propagate(taught, prompts, EXTENT, WHOLE)}


def test_from_a_prompt_what_was_learned_goes_with_the_memory(encoder, adapter):
    by_memory, with_learned = _from_a_box(encoder, None), _from_a_box(encoder, adapter)
    assert sorted(with_learned) == [0, 1, 2, 3, 4, 5, 6]
    for position in (1, 2, 3):
        truth = _truth(encoder, position)
        assert int(by_memory[position].mask.sum()) < int(with_learned[position].mask.sum()) <= int(truth.sum())
        assert not (with_learned[position].mask & ~truth).any()


def test_beyond_a_locked_slice_the_memory_leads_at_first(encoder, adapter, monkeypatch):
    by_memory = _proposed(encoder, None, 0)
    monkeypatch.setattr("SAM2AnnotateLib.propagation.growing_view._MEMORY_LEADS", 1)
    with_learned = _proposed(encoder, adapter, 0)
    assert np.array_equal(by_memory[1].mask, with_learned[1].mask)
    assert int(by_memory[2].mask.sum()) < int(with_learned[2].mask.sum()) <= int(_truth(encoder, 2).sum())


def test_between_two_drawn_slices_the_memory_carries_alone(encoder, adapter):
    by_memory, with_learned = _proposed(encoder, None, 0, 6), _proposed(encoder, adapter, 0, 6)
    assert all(np.array_equal(by_memory[position].mask, with_learned[position].mask) for position in range(1, 6))


def test_a_kind_that_the_adapter_does_not_serve_is_left_out(encoder, adapter):
    points_only = Adapter(adapter.tensors, replace(adapter.card, serves=("point",)))
    by_memory, with_learned = _from_a_box(encoder, None), _from_a_box(encoder, points_only)
    assert all(np.array_equal(by_memory[position].mask, with_learned[position].mask) for position in range(7))


def test_where_the_adapter_speaks_of_something_else_the_memory_is_believed(encoder, adapter):
    wrong = Adapter({**adapter.tensors, "gray": np.array([60.0], np.float32)}, adapter.card)
    both = _proposed(encoder, None, 0), _proposed(encoder, wrong, 0)
    assert all(np.array_equal(both[0][position].mask, both[1][position].mask) for position in range(1, 7))


def _carded(adapter, **facts):
    return Adapter(adapter.tensors, replace(adapter.card, **facts))


CLEAR = {"scores_before": {"box": 0.6}, "scores_after": {"box": 0.8}}
LITTLE = {"scores_before": {"box": 0.6}, "scores_after": {"box": 0.65}}


@pytest.fixture
def leaking():
    """(encoder, adapter): beside a bar of 150 lies a strip of 168, into which the memory leaks by 3 columns a slice. Learned: 145."""
    voxels = np.full((7, 20, 90), 60.0)
    voxels[:, 2:18, 20:40], voxels[:, 2:18, 40:64] = 150, 168
    volume = Volume(VolumeGrid(voxels.shape, np.diag([-1.0, -1.0, 1.0, 1.0])), voxels)
    encoder = Annotator(volume, ScriptedEngine(), window="0,255").encoder_for(0, None)
    card = AdapterCard("bar", encoder.engine.weights_sha256, "scripted", serves=("box",))
    return encoder, Adapter({"gray": np.array([145.0], np.float32), "size": np.array([20.0], np.float32)}, card)


def _leaks(leaking, adapter):
    """By position, pixels beside the bar, in a pass from slice 0 on."""
    encoder = leaking[0]
    bar = encoder.stack.view(encoder.volume.array_kji)[0] == 150
    taught = encoder.with_engine(encoder.engine.with_adapter(adapter))
    return {one.position: int((one.mask & ~bar).sum()) for one in propose_slices(taught, WHOLE, {0: bar}, EXTENT)}


def test_what_is_clearly_better_counts_from_the_first_slice_beyond_a_locked_one(leaking):
    by_memory, little = _leaks(leaking, None), _leaks(leaking, _carded(leaking[1], **LITTLE))
    clear = _leaks(leaking, _carded(leaking[1], **CLEAR))
    assert little[1] == by_memory[1] > clear[1] > 0
    assert all(clear[position] < by_memory[position] for position in range(1, 7))


def test_the_memory_is_told_of_what_is_clearly_better_some_slices_on(leaking, monkeypatch):
    remembered = []
    remember = ScriptedTrack.remember
    monkeypatch.setattr(ScriptedTrack, "remember", lambda *said: (remembered.append(said[1]), remember(*said))[1])
    monkeypatch.setattr("SAM2AnnotateLib.propagation.growing_view._REACH", 2)
    told = _leaks(leaking, _carded(leaking[1], **CLEAR))
    assert remembered == [1, 2]
    by_memory = _leaks(leaking, None)
    assert told[2] < by_memory[2] and told[4] - told[3] == by_memory[4] - by_memory[3]  # from there on the memory alone, from less
    assert told[6] < by_memory[6]
    _leaks(leaking, _carded(leaking[1], **LITTLE))
    assert remembered == [1, 2]


def test_what_stays_out_of_passes_leaves_them_to_the_memory_and_still_answers_a_box(encoder, adapter):
    left = _carded(adapter, **LITTLE, in_passes=False)
    by_memory, with_left = _proposed(encoder, None, 0), _proposed(encoder, left, 0)
    assert all(np.array_equal(by_memory[position].mask, with_left[position].mask) for position in range(1, 7))
    asked = encoder.engine.with_adapter(left)
    assert asked.adapter.serves("box")


def test_between_an_accepted_slice_and_a_drawn_one_the_memory_carries_alone(encoder, adapter):
    masks = {position: SlicePrompt(mask=_truth(encoder, position)) for position in (0, 6)}

    def proposed(engine, corrected):
        taught = encoder.with_engine(engine)
        return {one.position: one.mask for one in propagate(taught, masks, EXTENT, WHOLE, locked=(0, 6), corrected=corrected)}

    for corrected in ((), (0,), (6,), (0, 6)):
        by_memory = proposed(encoder.engine, corrected)
        with_learned = proposed(encoder.engine.with_adapter(_carded(adapter, **CLEAR)), corrected)
        assert sorted(by_memory) == [1, 2, 3, 4, 5]
        assert all(np.array_equal(by_memory[position], with_learned[position]) for position in by_memory)
