"""Learning with real SAM 2 modules: the bundled weights, and hiera tiny with random ones at a small size."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from SAM2AnnotateLib.adaptation import AnnotatedSlice, LearningOptions, learn, learned  # noqa: E402
from SAM2AnnotateLib.annotator import Annotator  # noqa: E402
from SAM2AnnotateLib.benchmark.parts import engine_of, random_weights  # noqa: E402
from SAM2AnnotateLib.benchmark.phantom import make_phantom  # noqa: E402
from SAM2AnnotateLib.engine import (  # noqa: E402
    Adapter,
    LearningSettings,
    Lesson,
    Place,
    Recollection,
    load_engine,
    sam2_learning,
)
from SAM2AnnotateLib.engine.lesson_prompts import LessonPrompts  # noqa: E402
from SAM2AnnotateLib.engine.sam2_learning import decoder_loss  # noqa: E402
from SAM2AnnotateLib.errors import CheckpointError, EngineError, InputError  # noqa: E402
from SAM2AnnotateLib.prompts import Point, SlicePrompt  # noqa: E402

PHANTOM = make_phantom(64, 9, 7)
LEARNED_FROM = (3, 5)


@pytest.fixture(scope="module", params=["bundled", "hiera tiny"])
def an_engine(request):
    if request.param == "bundled":
        return load_engine("bundled", device="cpu")
    return engine_of("sam2.1_hiera_tiny", 128, random_weights("sam2.1_hiera_tiny", 128), "bf16")


def slices_of(engine):
    encoder = Annotator(PHANTOM.volume, engine, window="0,255").encoder_for(4, None)
    return [AnnotatedSlice(encoder, position, PHANTOM.mask(position), PHANTOM.extent) for position in (*LEARNED_FROM, 8)]


@pytest.fixture(scope="module")
def an_adapter(an_engine):
    return learned(learn(slices_of(an_engine), object_name="ball", options=LearningOptions(steps=3, hold_out=False))).adapter


def lessons_of(engine):
    frame = (100 * PHANTOM.mask(4)).astype(np.uint8)
    return [Lesson(engine.encode(frame), PHANTOM.mask(4)), Lesson(engine.encode(frame * 0), PHANTOM.mask(4) & False)]


def state_of(engine) -> str:
    digest = hashlib.sha256()
    for _, value in sorted(engine._model.state_dict().items()):
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def test_what_is_kept_of_lessons_is_bounded_and_changes_nothing(an_engine, monkeypatch):
    frames = [np.roll((100 * PHANTOM.mask(4)).astype(np.uint8), shift, axis=1) for shift in range(6)]
    lessons = [Lesson(an_engine.encode(frame), frame > 0) for frame in frames]
    found = []
    for most in (1 << 30, 1):
        monkeypatch.setattr(sam2_learning, "_MOST_READY_BYTES", most)
        run = an_engine.start_learning(lessons, LearningSettings(batch=2))
        for _ in range(5):
            run.step(0.5)
        found.append(run)
    assert len(found[0]._ready) > 2 == len(found[1]._ready)
    own, bounded = (run.tensors() for run in found)
    assert own.keys() == bounded.keys() and all(np.array_equal(own[name], bounded[name]) for name in own)


def test_learning_changes_neither_the_engine_nor_its_embeddings(an_engine):
    before, frame = state_of(an_engine), np.full((20, 30), 80, np.uint8)
    run = an_engine.start_learning(lessons_of(an_engine), LearningSettings())
    losses = [run.step(done) for done in (0.0, 0.5, 0.9)]
    assert all(np.isfinite(losses)) and run.tensors()
    assert state_of(an_engine) == before and an_engine.adapter is None
    assert not any(".conv_s" in name for name in run.tensors())
    assert an_engine.start_learning(lessons_of(an_engine), LearningSettings()).tensors() == {}
    assert np.array_equal(an_engine.encode(frame).arrays[-1], an_engine.encode(frame).arrays[-1])


def test_an_adapter_shares_embeddings_and_leaves_the_memory_as_it_came(an_engine, an_adapter):
    taught = an_engine.with_adapter(an_adapter)
    assert taught.fingerprint == an_engine.fingerprint and an_engine.adapter is None
    assert taught.describe() == {**an_engine.describe(), "adapter": "ball", "adapter_sha256": an_adapter.sha256}
    assert taught.with_adapter(None).describe() == an_engine.describe()
    embedding = an_engine.encode((100 * PHANTOM.mask(4)).astype(np.uint8))
    steps = []
    for engine in (an_engine, taught):
        from SAM2AnnotateLib.prompts import SlicePrompt

        track = engine.start_track((64, 64), 9, reverse=False)
        track.condition(3, embedding, SlicePrompt(mask=PHANTOM.mask(3)))
        steps.append(track.step(4, embedding).logits)
    assert np.array_equal(*steps)


def test_what_was_learned_is_the_same_after_a_file(an_engine, an_adapter, tmp_path):
    an_adapter.save(tmp_path / "ball.safetensors")
    embedding = an_engine.encode((100 * PHANTOM.mask(4)).astype(np.uint8))
    said = [
        an_engine.with_adapter(one).propose(embedding, (64, 64), Place(0.5))
        for one in (an_adapter, Adapter.load(tmp_path / "ball.safetensors"))
    ]
    assert np.array_equal(said[0].logits, said[1].logits) and said[0].logits.shape == (64, 64)
    assert 0 <= said[0].predicted_iou <= 1 and 0 <= said[0].object_score <= 1


def test_the_same_seed_gives_the_same_tensors(an_engine):
    runs = [an_engine.start_learning(lessons_of(an_engine)[:1], LearningSettings(seed=3)) for _ in range(2)]
    for run in runs:
        run.step()
    one, other = (run.tensors() for run in runs)
    assert one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_points_boxes_and_both_are_answered_as_learned(an_engine, an_adapter):
    taught = an_engine.with_adapter(an_adapter)
    annotator = Annotator(PHANTOM.volume, taught, window="0,255")
    item = annotator.new_object(4, points=[(32, 32, True), (2, 2, False)], extent=(4, 5))
    assert [result.position for result in item.propagate()]
    box = ((PHANTOM.box.col_start, PHANTOM.box.row_start), (PHANTOM.box.col_stop, PHANTOM.box.row_stop))
    for prompt in ({"box": box}, {"box": box, "points": [(32, 32, True)]}, {"points": [(32, 32, True)], "mask": PHANTOM.mask(4)}):
        assert annotator.new_object(4, **prompt).preview().mask.shape == (64, 64)


@pytest.mark.parametrize(
    "prompt", [{"box": True}, {"points": (Point(32, 32), Point(2, 2, False))}, {"mask": True, "points": (Point(32, 32),)}]
)
def test_an_answer_is_blended_with_the_model_as_it_came_by_the_share_of_the_card(an_engine, an_adapter, prompt):
    asked = SlicePrompt(**{kind: {"box": PHANTOM.box, "mask": PHANTOM.mask(4)}.get(kind, value) for kind, value in prompt.items()})
    kind = "box" if "box" in prompt else "point"
    half = Adapter(an_adapter.tensors, replace(an_adapter.card, blend={kind: 0.5}))
    embedding = an_engine.encode((100 * PHANTOM.mask(4)).astype(np.uint8))
    said = [
        engine.start_track((64, 64), 9, reverse=False).condition(4, embedding, asked)
        for engine in (an_engine.with_adapter(an_adapter), an_engine, an_engine.with_adapter(half))
    ]
    chances = [1 / (1 + np.exp(-one.logits.astype(float).clip(-50, 50))) for one in said]
    assert chances[2] == pytest.approx((chances[0] + chances[1]) / 2, abs=1e-4)
    assert said[2].object_score == pytest.approx((said[0].object_score + said[1].object_score) / 2, abs=1e-6)


def test_memory_conditioned_lessons_are_learned_too(an_engine):
    embedding = an_engine.encode((100 * PHANTOM.mask(4)).astype(np.uint8))
    remembered = Recollection(-1, embedding, PHANTOM.mask(3))
    run = an_engine.start_learning([Lesson(embedding, PHANTOM.mask(4), memory=(remembered,))], LearningSettings(batch=2))
    assert np.isfinite(run.step()) and run.tensors()


def test_the_prompt_encoder_alone_can_be_trained(an_engine):
    run = an_engine.start_learning(lessons_of(an_engine), LearningSettings(trained="prompt_encoder"))
    for _ in range(4):
        run.step()
    assert run.tensors() and all(name.startswith(("sam_prompt_encoder.", "promptless.")) for name in run.tensors())


def test_without_an_adapter_there_is_nothing_to_propose(an_engine):
    with pytest.raises(EngineError, match="Nothing was learned"):
        an_engine.propose(an_engine.encode(np.zeros((8, 8), np.uint8)), (8, 8))


def test_without_the_object_there_is_nothing_to_learn(an_engine):
    with pytest.raises(InputError, match="nothing to learn from"):
        an_engine.start_learning([lessons_of(an_engine)[1]], LearningSettings())


def test_tensors_that_do_not_fit_the_model_are_refused(an_engine, an_adapter):
    name = "sam_mask_decoder.mask_tokens.weight"
    with pytest.raises(CheckpointError, match="has shape"):
        an_engine.with_adapter(Adapter({name: np.zeros((2, 2), np.float16)}, an_adapter.card))
    for strange in ("image_encoder.trunk.pos_embed", "sam_mask_decoder.conv_s0.weight"):
        with pytest.raises(CheckpointError, match="does not belong"):
            an_engine.with_adapter(Adapter({strange: np.zeros((2, 2), np.float16)}, an_adapter.card))


def test_out_of_memory_while_learning_is_told(an_engine, monkeypatch):
    run = an_engine.start_learning(lessons_of(an_engine), LearningSettings())

    def fail(*_, **__):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(torch.optim.AdamW, "step", fail)
    with pytest.raises(EngineError, match="Out of memory"):
        run.step()


def test_load_engine_takes_an_adapter_by_value_and_by_file_and_refuses_one_of_other_weights(tmp_path):
    bundled = load_engine("bundled", device="cpu")
    adapter = learned(learn(slices_of(bundled), options=LearningOptions(steps=2, hold_out=False))).adapter
    adapter.save(tmp_path / "a.safetensors")
    assert load_engine("bundled", device="cpu", adapter=tmp_path / "a.safetensors").adapter.sha256 == adapter.sha256
    other = Adapter(adapter.tensors, adapter.card.__class__(object_name="x", base_sha256="0" * 64, architecture="compact"))
    with pytest.raises(CheckpointError, match="belongs to another model"):
        load_engine("bundled", device="cpu", adapter=other)


def test_absence_is_learned():
    bundled = load_engine("bundled", device="cpu")
    present, absent = (bundled.encode((gray * PHANTOM.mask(4) + 40).astype(np.uint8)) for gray in (120, 0))
    lessons = [Lesson(present, PHANTOM.mask(4)), Lesson(absent, PHANTOM.mask(4) & False)]
    run = bundled.start_learning(lessons, LearningSettings(shares={"none": 1.0}))
    for step in range(40):
        run.step(step / 40)
    from SAM2AnnotateLib.engine import AdapterCard

    taught = bundled.with_adapter(Adapter(run.tensors(), AdapterCard("ball", bundled.weights_sha256, "compact")))
    assert taught.propose(present, (64, 64)).object_score > 0.5 > taught.propose(absent, (64, 64)).object_score
    assert taught.propose(present, (64, 64)).mask.any() and not taught.propose(absent, (64, 64)).mask.any()


def test_the_loss_falls_with_the_mask_and_asks_for_absence():
    truth = torch.zeros(1, 1, 8, 8)
    truth[..., 2:6, 2:6] = 1
    good, bad = (20 * truth - 10), (10 - 20 * truth)
    one, present = torch.ones(1, 1), torch.full((1, 1), 9.0)
    assert decoder_loss(good, one, present, truth) < 0.01 < decoder_loss(bad, one, present, truth)
    assert decoder_loss(good * 0 - 10, one, -present, truth * 0) < decoder_loss(good * 0 - 10, one, present, truth * 0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (200, 3), (300, 300)])
def test_prompts_are_drawn_for_masks_of_any_size(shape):
    mask = np.zeros((shape[0] + 4, shape[1] + 4), bool)
    mask[2:-2, 2:-2] = True
    prompts, rng = LessonPrompts(mask), np.random.default_rng(0)
    for kind in ("box", "point", "both"):
        for _ in range(20):
            coords, labels = prompts.draw(rng, kind, int(rng.integers(0, 4)))
            assert coords.shape == (len(labels), 2) and (kind == "point") == (2 not in labels)
            on = [mask[int(y), int(x)] for (x, y), label in zip(coords, labels, strict=True) if label == 1]
            beside = [mask[int(y), int(x)] for (x, y), label in zip(coords, labels, strict=True) if label == 0]
            assert all(on) and not any(beside)


def test_a_mask_that_fills_the_frame_has_no_place_beside_it_and_is_learned_all_the_same():
    coords, labels = LessonPrompts(np.ones((5, 5), bool)).draw(np.random.default_rng(3), "both", 2)
    assert len(coords) == len(labels)


def test_a_lesson_of_memory_is_always_told_its_place(an_engine, monkeypatch):
    """Between marked ends the place is known; without it a slice near an end cannot be told from one beyond it."""
    embedding = an_engine.encode((100 * PHANTOM.mask(4)).astype(np.uint8))
    known = Recollection(-1, embedding, PHANTOM.mask(3))
    run = an_engine.start_learning([Lesson(embedding, PHANTOM.mask(4), ("none",), Place(0.25), 4, (known,))], LearningSettings(batch=1))
    told, forward = [], run._heads.forward

    def watched(top, fine, points, sketch=None, places=(None,)):
        told.extend(places)
        return forward(top, fine, points, sketch, places)

    monkeypatch.setattr(run._heads, "forward", watched)
    for _ in range(5):
        run.step(0.0)
    assert told == [Place(0.25)] * 5


def test_what_two_volumes_teach_carries_masks_from_slice_to_slice(an_engine, monkeypatch):
    """All of it, and by half with the memory as it came, which is told of what was made of both."""
    from SAM2AnnotateLib.engine.sam2_engine import Sam2Track
    from SAM2AnnotateLib.geometry import Volume
    from SAM2AnnotateLib.propagation import RegionPolicy, propagate

    slices = slices_of(an_engine)
    twin = Annotator(Volume(PHANTOM.volume.grid, PHANTOM.volume.array_kji + 3), an_engine, window="0,255").encoder_for(4, None)
    slices += [AnnotatedSlice(twin, one.position, one.mask, one.extent) for one in slices]
    adapter = learned(learn(slices, options=LearningOptions(steps=4, hold_out=False))).adapter
    assert adapter.serves("memory") and adapter.card.volume_count == 2
    remembered, remember = [], Sam2Track.remember
    monkeypatch.setattr(Sam2Track, "remember", lambda track, *told: (remembered.append(told[0]), remember(track, *told))[1])
    for share in (1.0, 0.5):
        card = replace(adapter.card, blend={} if share == 1 else {"memory": share})
        taught = twin.with_engine(an_engine.with_adapter(Adapter(adapter.tensors, card)))
        prompts = {4: SlicePrompt(mask=PHANTOM.mask(4))}
        masks = [{one.position: one.mask for one in propagate(taught, prompts, PHANTOM.extent, RegionPolicy(), locked=(4,))} for _ in "ab"]
        assert sorted(masks[0]) == [position for position in PHANTOM.extent.indices if position != 4]
        assert all(np.array_equal(masks[0][position], masks[1][position]) for position in masks[0])
        assert bool(remembered) == (share < 1)
