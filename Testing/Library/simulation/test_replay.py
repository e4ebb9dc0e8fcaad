"""ReplayEngine: the masks of the model itself, each computed once."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from SAM2AnnotateLib.annotator import Annotator
from SAM2AnnotateLib.benchmark.phantom import make_phantom
from SAM2AnnotateLib.engine import Embedding, ScriptedEngine
from SAM2AnnotateLib.geometry import Box2D
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.simulation.embedding_files import EmbeddingFiles
from SAM2AnnotateLib.simulation.replay import _LIVE_TRACKS, ReplayEngine

SHAPE = (24, 24)


class CountingEngine(ScriptedEngine):
    """Counts what tracks are asked."""

    asked = 0

    def start_track(self, frame_shape_rc, slice_count, reverse):
        track = super().start_track(frame_shape_rc, slice_count, reverse)
        for name in ("condition", "step"):
            setattr(track, name, self._counted(getattr(track, name)))
        return track

    def _counted(self, call):
        def counted(*arguments):
            self.asked += 1
            return call(*arguments)

        return counted


def frames(count: int = 6) -> list[np.ndarray]:
    """Slices with a bright square that moves by a pixel from slice to slice."""
    found = []
    for n in range(count):
        frame = np.full(SHAPE, 40, dtype=np.uint8)
        frame[4 + n : 12 + n, 6:15] = 200
        found.append(frame)
    return found


def box() -> SlicePrompt:
    return SlicePrompt(box=Box2D(3, 13, 5, 16))


def run(engine, embeddings, steps: int, first: SlicePrompt | None = None):
    """One forward pass; the masks of its slices."""
    track = engine.start_track(SHAPE, len(embeddings), False)
    masks = [track.condition(0, embeddings[0], first or box()).mask]
    return masks + [track.step(n, embeddings[n]).mask for n in range(1, steps + 1)]


def test_it_gives_the_models_masks_and_scores():
    plain, replay = ScriptedEngine(), ReplayEngine(ScriptedEngine())
    expected = run(plain, [plain.encode(frame) for frame in frames()], 5)
    found = run(replay, [replay.encode(frame) for frame in frames()], 5)
    assert all(mask.any() for mask in expected)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (replay.name, replay.fingerprint, replay.image_size, replay.memory_reach, replay.describe()) == (
        plain.name, plain.fingerprint, plain.image_size, plain.memory_reach, plain.describe(),
    )  # fmt: skip


def test_a_history_that_is_known_is_not_computed_again_and_a_longer_one_goes_on_from_where_it_stood():
    model = CountingEngine()
    replay = ReplayEngine(model)
    embeddings = [replay.encode(frame) for frame in frames()]
    run(replay, embeddings, 2)
    assert model.asked == replay.computed == 3
    run(replay, embeddings, 2)
    assert model.asked == 3
    run(replay, embeddings, 5)
    assert model.asked == 6
    assert replay.answers == 6


def test_another_prompt_slice_direction_or_frame_is_another_history():
    model = CountingEngine()
    replay = ReplayEngine(model)
    embeddings = [replay.encode(frame) for frame in frames()]
    for reverse in (False, True):
        replay.start_track(SHAPE, 6, reverse).condition(0, embeddings[0], box())
    replay.start_track(SHAPE, 6, False).condition(1, embeddings[0], box())
    replay.start_track(SHAPE, 6, False).condition(0, embeddings[1], box())
    replay.start_track(SHAPE, 6, False).condition(0, embeddings[0], SlicePrompt(box=Box2D(3, 13, 5, 17)))
    mask = np.zeros(SHAPE, dtype=bool)
    mask[5, 5] = True
    replay.start_track(SHAPE, 6, False).condition(0, embeddings[0], SlicePrompt(mask=mask))
    replay.start_track(SHAPE, 6, False).condition(0, embeddings[0], SlicePrompt(mask=~mask))
    assert model.asked == 7


def test_a_branch_from_the_middle_is_computed_as_if_it_had_been_alone():
    """After the common steps one track goes on, another remembers a mask first: the second must not see what the first went on to."""
    plain, replay = ScriptedEngine(reach=2), ReplayEngine(ScriptedEngine(reach=2))
    other_mask = np.zeros(SHAPE, dtype=bool)
    other_mask[8:12, 7:10] = True

    def branch(engine):
        embeddings = [engine.encode(frame) for frame in frames()]
        straight = run(engine, embeddings, 4)
        track = engine.start_track(SHAPE, 6, False)
        track.condition(0, embeddings[0], box())
        track.step(1, embeddings[1])
        track.remember(2, embeddings[2], other_mask)
        return [*straight, track.step(3, embeddings[3]).mask]

    for expected, found in zip(branch(plain), branch(replay), strict=True):
        np.testing.assert_array_equal(expected, found)


def test_tracks_that_had_to_leave_are_computed_again():
    model = CountingEngine()
    replay = ReplayEngine(model)
    embeddings = [replay.encode(frame) for frame in frames()]
    first = run(replay, embeddings, 1)
    for col in range(_LIVE_TRACKS + 1):  # as many others as push it out
        mask = np.zeros(SHAPE, dtype=bool)
        mask[col // 20, col % 20] = True
        run(replay, embeddings, 0, SlicePrompt(mask=mask))
    before = model.asked
    assert [mask.sum() for mask in run(replay, embeddings, 2)[:2]] == [mask.sum() for mask in first]
    assert model.asked == before + 3  # box and step once more, and the new step


def test_a_history_keeps_no_embedding_alive_and_is_still_computed_again():
    """An embedding may take 16 MB: what the store lets go must be gone."""
    model = CountingEngine()
    replay = ReplayEngine(model)
    embeddings = [replay.encode(frame) for frame in frames()]
    sketch = np.zeros(SHAPE, dtype=bool)
    sketch[5:11, 7:12] = True
    expected = run(replay, embeddings, 3, SlicePrompt(box=Box2D(3, 13, 5, 16), mask=sketch))
    replay._live.clear()
    left = [weakref.ref(embedding) for embedding in embeddings]
    del embeddings
    gc.collect()
    assert [one() for one in left] == [None] * 6
    assert replay.encoded == 6
    embeddings = [replay.encode(frame) for frame in frames()]
    found = run(replay, embeddings, 4, SlicePrompt(box=Box2D(3, 13, 5, 16), mask=sketch))
    assert model.asked == 4 + 5
    for one, other in zip(expected, found, strict=False):
        np.testing.assert_array_equal(one, other)
    plain = ScriptedEngine()
    np.testing.assert_array_equal(found[4], run(plain, [plain.encode(frame) for frame in frames()], 4)[4])


def test_an_embedding_that_is_still_held_is_not_made_again():
    replay = ReplayEngine(ScriptedEngine())
    held = replay.encode(frames()[0])
    assert replay.encode(frames()[0]) is held
    assert replay.encoded == 1


def test_what_was_forgotten_is_computed_again():
    model = CountingEngine()
    replay = ReplayEngine(model)
    embeddings = [replay.encode(frame) for frame in frames()]
    run(replay, embeddings, 2)
    replay.forget()
    assert replay.answers == 0
    run(replay, embeddings, 2)
    assert model.asked == 6


def test_foreign_embeddings_are_refused():
    replay = ReplayEngine(ScriptedEngine())
    with pytest.raises(TypeError, match="that it encoded itself"):
        replay.start_track(SHAPE, 1, False).condition(0, Embedding((frames()[0],)), box())


def test_a_whole_annotation_with_a_correction_is_that_of_the_model_itself():
    phantom = make_phantom(48, 9, 7)

    def annotate(engine):
        annotator = Annotator(phantom.volume, engine, window="0,255")
        corners = ((phantom.box.col_start, phantom.box.row_start), (phantom.box.col_stop, phantom.box.row_stop))
        item = annotator.new_object(phantom.center, corners, extent=(phantom.extent.first, phantom.extent.last))
        list(item.propagate())
        corrected = item.slice_mask(phantom.center + 2).copy()
        corrected[:, :24] = False
        list(item.correct(phantom.center + 2, corrected))
        return item.mask_kji()

    replay = ReplayEngine(ScriptedEngine())
    expected = annotate(ScriptedEngine())
    assert expected.any()
    np.testing.assert_array_equal(annotate(replay), expected)
    np.testing.assert_array_equal(annotate(replay), expected)  # from what it knows


def test_embeddings_are_encoded_once_for_all_processes(tmp_path):
    first = ReplayEngine(ScriptedEngine(), EmbeddingFiles(tmp_path / "cache", 10**6))
    for frame in frames():
        first.encode(frame)
    assert first.encoded == 6
    second = ReplayEngine(ScriptedEngine(), EmbeddingFiles(tmp_path / "cache", 10**6))
    for frame in frames():
        np.testing.assert_array_equal(second.encode(frame).arrays[0], frame)
    assert second.encoded == 0
    third = ReplayEngine(ScriptedEngine(tolerance=3), EmbeddingFiles(tmp_path / "cache", 10**6))
    third.encode(frames()[0])
    assert third.encoded == 1, "another model must not be given these embeddings"


def test_a_damaged_file_and_a_full_cache_cost_time_only(tmp_path):
    files = EmbeddingFiles(tmp_path, 2 * frames()[0].nbytes)
    engine = ReplayEngine(ScriptedEngine(), files)
    for frame in frames():
        engine.encode(frame)
    kept = sorted(tmp_path.glob("*.npz"))
    assert len(kept) == 2
    kept[0].write_bytes(kept[0].read_bytes()[:100])
    again = ReplayEngine(ScriptedEngine(), EmbeddingFiles(tmp_path, 0))
    for frame in frames():
        np.testing.assert_array_equal(again.encode(frame).arrays[0], frame)
    assert again.encoded == 5
    assert not list(tmp_path.glob(".*")), "half-written files are left"


def test_a_limit_is_one_for_the_folders_of_all_cases(tmp_path):
    size = frames()[0].nbytes
    first = ReplayEngine(ScriptedEngine(), EmbeddingFiles(tmp_path / "a", 10**6, shared=tmp_path))
    first.encode(frames()[0])
    (kept,) = (tmp_path / "a").glob("*.npz")
    limit = kept.stat().st_size + 2 * size  # room for two more
    for name, shared in (("b", tmp_path), ("alone", None)):
        engine = ReplayEngine(ScriptedEngine(), EmbeddingFiles(tmp_path / name, limit, shared=shared))
        for frame in frames():
            engine.encode(frame)
    assert len(list((tmp_path / "b").glob("*.npz"))) == 2
    assert len(list((tmp_path / "alone").glob("*.npz"))) == limit // size > 2
