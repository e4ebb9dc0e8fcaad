"""Propagation, locks and corrections with the scripted engine, whose answers can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from SAM2AnnotateLib.annotator import Annotator
from SAM2AnnotateLib.engine import EmbeddingStore, ScriptedEngine
from SAM2AnnotateLib.errors import Cancelled, EngineError, InputError, PromptError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.propagation import SliceEncoder
from SAM2AnnotateLib.review import SliceStatus

BLOCK = (slice(4, 16), slice(14, 26), slice(18, 34))  # k, j, i
BOX = ((16, 12), (36, 28))


@pytest.fixture
def a_block():
    """A bright block on slices 4..15 of 20; index axes LPS, so that slices are upright as stored."""
    voxels = np.zeros((20, 40, 50), dtype=np.int16)
    voxels[BLOCK] = 200
    return Volume(VolumeGrid(voxels.shape, np.diag([-1.0, -1.0, 1.0, 1.0])), voxels)


def _object(volume, extent=(4, 15), engine=None, **options):
    annotator = Annotator(volume, engine or ScriptedEngine(), window="0,255", **options)
    return annotator.new_object(9, box=BOX, extent=extent)


def _run(results):
    return list(results)


def test_a_block_is_found_whole_on_every_slice_of_its_extent(a_block):
    item = _object(a_block)
    positions = [result.position for result in _run(item.propagate())]
    assert positions == [9, 8, 7, 6, 5, 4, 10, 11, 12, 13, 14, 15], "the prompted slice first, then outward"
    expected = np.zeros(a_block.grid.shape_kji, dtype=bool)
    expected[BLOCK] = True
    assert np.array_equal(item.mask_kji(), expected)


def test_no_voxel_outside_the_extent_is_ever_set_and_no_slice_outside_is_encoded(a_block):
    store = EmbeddingStore()
    item = _object(a_block, extent=(7, 11), store=store)
    _run(item.propagate())
    assert np.flatnonzero(item.mask_kji().any(axis=(1, 2))).tolist() == [7, 8, 9, 10, 11]
    assert store.encoded == 5


def test_every_slice_is_encoded_once_for_preview_both_directions_corrections_and_other_objects(a_block):
    engine, store = ScriptedEngine(), EmbeddingStore()
    annotator = Annotator(a_block, engine, window="0,255", roi="full", store=store)
    item = annotator.new_object(9, box=BOX, extent=(4, 15))
    item.preview()
    _run(item.propagate())
    assert engine.encoded_frames == 12
    _run(item.correct(12, item.slice_mask(12)))
    other = annotator.new_object(9, box=((18, 14), (30, 24)), extent=(6, 10))
    _run(other.propagate())
    assert engine.encoded_frames == 12


def test_the_voxels_of_the_volume_are_not_changed(a_block):
    before = a_block.array_kji.copy()
    item = _object(a_block)
    _run(item.propagate())
    _run(item.correct(10, np.zeros((40, 50), dtype=bool)))
    assert np.array_equal(before, a_block.array_kji)


def test_a_correction_is_final_and_only_the_stretches_beside_it_are_computed_again(a_block):
    item = _object(a_block)
    _run(item.propagate())
    item.accept(6)
    item.accept(12)
    before = item.mask_kji()
    drawn = np.zeros((40, 50), dtype=bool)
    drawn[14:20, 18:26] = True  # a quarter of the block
    recomputed = {item.slice_index(result) for result in item.correct(10, drawn)}
    assert recomputed == {11}, "up to the locked slice 12 and the prompted slice 9, which are not among them"
    after = item.mask_kji()
    assert np.array_equal(after[10], drawn)
    untouched = [k for k in range(20) if k not in {10, 11}]
    assert after[untouched].tobytes() == before[untouched].tobytes()
    assert [item.status(k).value for k in (6, 10, 12, 11)] == ["accepted", "corrected", "accepted", "proposed"]


def test_locked_slices_stay_byte_identical_through_many_corrections(a_block):
    item = _object(a_block)
    _run(item.propagate())
    rng = np.random.default_rng(4)
    locked: dict[int, bytes] = {}
    for k in (12, 6, 9, 14, 4, 15, 10):
        drawn = np.zeros((40, 50), dtype=bool)
        drawn[14:26, 18:34] = rng.random((12, 16)) < 0.8
        _run(item.correct(k, drawn))
        locked[k] = drawn.tobytes()
        for other, content in locked.items():
            assert item.slice_mask(other).tobytes() == content
    assert item.slice_mask(11).any()


def test_drawing_on_the_array_after_a_correction_does_not_change_the_locked_slice(a_block):
    item = _object(a_block)
    drawn = np.zeros((40, 50), dtype=bool)
    drawn[20, 20] = True
    _run(item.correct(9, drawn))
    drawn[:] = True
    assert item.slice_mask(9).sum() == 1
    with pytest.raises(ValueError, match="read-only"):
        item.slice_mask(9)[0, 0] = True


def test_between_two_corrections_each_leads_where_it_is_near_with_the_shape_between_them(a_block):
    item = _object(a_block)
    _run(item.propagate())
    left, right = np.zeros((2, 40, 50), dtype=bool)
    left[14:26, 18:34] = True
    right[18:22, 24:28] = True
    _run(item.correct(10, left))
    _run(item.correct(15, right))
    sizes = [int(item.slice_mask(k).sum()) for k in range(10, 16)]
    assert sizes[0] == 12 * 16 and sizes[5] == 4 * 4
    assert sizes == sorted(sizes, reverse=True) and sizes[1] > 8 * 12 and sizes[4] < 12 * 16


def test_an_emptied_slice_ends_the_object_beyond_it(a_block):
    item = _object(a_block)
    _run(item.propagate())
    item.accept(9)
    _run(item.correct(13, np.zeros((40, 50), dtype=bool)))
    assert not item.slice_mask(13).any() and not item.slice_mask(14).any() and not item.slice_mask(15).any()
    assert item.slice_mask(10).any()
    assert item.status(13) is SliceStatus.CORRECTED


def test_a_prompted_slice_keeps_its_mask_and_what_lies_behind_it_is_left_alone(a_block):
    item = _object(a_block)
    _run(item.propagate())
    before = item.mask_kji()
    tiny = np.zeros((40, 50), dtype=bool)
    tiny[20, 25] = True
    recomputed = [item.slice_index(result) for result in item.correct(12, tiny)]
    assert sorted(recomputed) == [10, 11, 13, 14, 15] and len(set(recomputed)) == len(recomputed)
    assert item.mask_kji()[:10].tobytes() == before[:10].tobytes()


def test_cancelling_keeps_what_was_finished_and_the_rest_can_be_computed_later(a_block):
    cancel = CancelToken()
    item = _object(a_block)
    with pytest.raises(Cancelled):
        for number, _ in enumerate(item.propagate(cancel=cancel)):
            if number == 3:
                cancel.cancel()
    done = [k for k in range(4, 16) if item.status(k) is SliceStatus.PROPOSED]
    assert done == [6, 7, 8, 9]
    assert item.mask_kji().any(axis=(1, 2)).sum() == 4
    _run(item.propagate())
    assert item.mask_kji().sum() == 12 * 12 * 16


def test_stopping_the_generator_keeps_what_was_finished(a_block):
    item = _object(a_block)
    results = item.propagate()
    next(results), next(results)
    results.close()
    assert [k for k in range(4, 16) if item.slice_mask(k) is not None] == [8, 9]


def test_progress_counts_every_slice_up_to_the_total(a_block):
    seen = []
    _run(_object(a_block).propagate(progress=seen.append))
    assert [(step.done, step.total) for step in seen] == [(n, 12) for n in range(1, 13)]


def test_a_failing_model_leaves_finished_slices_and_can_be_run_again(a_block):
    def fail(position):
        if position == 6 and broken:
            raise EngineError("Out of memory (acted).")

    broken = True
    item = _object(a_block, engine=ScriptedEngine(fail_at=fail))
    with pytest.raises(EngineError, match="acted"):
        _run(item.propagate())
    assert [k for k in range(4, 16) if item.slice_mask(k) is not None] == [7, 8, 9]
    broken = False
    _run(item.propagate())
    assert item.mask_kji().sum() == 12 * 12 * 16


def test_the_crop_grows_with_an_object_that_outgrows_it():
    voxels = np.zeros((21, 120, 120), dtype=np.uint8)
    for k in range(21):
        half = 6 + 2 * abs(k - 10)  # 13 voxels wide on the center slice, 53 at the ends
        voxels[k, 60 - half : 60 + half + 1, 60 - half : 60 + half + 1] = 200
    volume = Volume(VolumeGrid(voxels.shape, np.diag([-1.0, -1.0, 1.0, 1.0])), voxels)
    item = Annotator(volume, ScriptedEngine(), window="0,255").new_object(10, box=((53, 53), (68, 68)), extent=(0, 20))
    results = _run(item.propagate())
    assert np.array_equal(item.mask_kji(), voxels > 0)
    sides = {result.position: result.crop.shape_rc[0] for result in results}
    assert sides[10] < 40 < 53 < sides[0] and sides[20] == sides[0]


def test_a_thin_object_that_drifts_is_followed_by_the_crop():
    voxels = np.zeros((30, 100, 100), dtype=np.uint8)
    for k in range(30):
        voxels[k, 20 + 2 * k : 28 + 2 * k, 46:54] = 200
    volume = Volume(VolumeGrid(voxels.shape, np.diag([-1.0, -1.0, 1.0, 1.0])), voxels)
    item = Annotator(volume, ScriptedEngine(), window="0,255").new_object(0, box=((46, 20), (54, 28)), extent=(0, 29))
    _run(item.propagate())
    assert np.array_equal(item.mask_kji(), voxels > 0)


def test_volumes_that_share_a_store_are_never_confused(a_block):
    store = EmbeddingStore()
    darker = Volume(a_block.grid, np.zeros_like(a_block.array_kji))
    bright, dark = (_object(volume, store=store, roi="full") for volume in (a_block, darker))
    _run(bright.propagate())
    _run(dark.propagate())
    assert store.encoded == 24


def test_a_store_that_outlives_its_volumes_never_gives_one_the_embeddings_of_another():
    store, grid = EmbeddingStore(), VolumeGrid((3, 24, 24), np.diag([-1.0, -1.0, 1.0, 1.0]))
    for brightness in range(40, 240, 10):  # volumes of one shape come and go: addresses in memory are given again
        voxels = np.zeros(grid.shape_kji, dtype=np.int16)
        voxels[:, 10:18, 12 - brightness // 40 : 13 + brightness // 40] = brightness
        item = Annotator(Volume(grid, voxels), ScriptedEngine(), window="0,255", store=store).new_object(
            1, box=((4, 8), (20, 20)), extent=(0, 2)
        )
        _run(item.propagate())
        assert np.array_equal(item.mask_kji(), voxels > 0)
        del item, voxels


def test_a_propagation_that_a_correction_overtakes_ends_and_changes_nothing(a_block):
    item = _object(a_block)
    running = item.propagate()
    next(running), next(running)
    _run(item.correct(8, np.zeros((40, 50), dtype=bool)))
    after = item.mask_kji()
    assert list(running) == []
    assert np.array_equal(item.mask_kji(), after)


def test_a_correction_that_was_stopped_leaves_its_neighbors_stale_until_they_are_computed(a_block):
    item = _object(a_block)
    _run(item.propagate())
    item.correct(12, np.zeros((40, 50), dtype=bool))  # asked for, never run
    assert [k for k in range(4, 16) if item.status(k) is SliceStatus.STALE] == [10, 11, 13, 14, 15]
    _run(item.propagate())
    assert not [k for k in range(4, 16) if item.status(k) is SliceStatus.STALE]
    assert not item.slice_mask(13).any() and not item.slice_mask(12).any() and item.slice_mask(10).any()


def test_a_slice_accepted_while_others_are_computed_is_not_overwritten(a_block):
    item = _object(a_block)
    _run(item.propagate())
    again = item.propagate()
    next(again)
    item.accept(8)
    assert 8 not in {item.slice_index(result) for result in again}
    assert item.status(8) is SliceStatus.ACCEPTED


def test_one_click_finds_an_object_much_larger_than_the_smallest_crop():
    voxels = np.zeros((3, 200, 200), dtype=np.uint8)
    voxels[:, 92:112, 90:110] = 200
    volume = Volume(VolumeGrid(voxels.shape, np.diag([-1.0, -1.0, 1.0, 1.0])), voxels)
    item = Annotator(volume, ScriptedEngine(), window="0,255").new_object(1, points=[(100, 100, True), (10, 10, False)], extent=(0, 2))
    results = _run(item.propagate())
    assert np.array_equal(item.mask_kji(), voxels > 0)
    assert max(results[0].crop.shape_rc) < 100, "seen closely once it is known how large it is"


def test_a_box_in_which_the_model_finds_nothing_is_no_emptied_slice(a_block):
    engine = ScriptedEngine(tolerance=0)
    noisy = Volume(a_block.grid, np.random.default_rng(0).integers(0, 255, a_block.grid.shape_kji).astype(np.int16))
    item = Annotator(noisy, engine, window="0,255").new_object(9, mask=np.eye(40, 50, dtype=bool), extent=(8, 10))
    for result in item.propagate():
        assert result.prompted or result.predicted_iou < 1, "only a person's word is certain"


def test_the_ends_can_be_moved_and_another_slice_prompted_without_losing_locks(a_block):
    item = _object(a_block, extent=(7, 11))
    _run(item.propagate())
    item.accept(10)
    item.set_extent(5, 14)
    item.add_prompt(13, box=BOX)
    _run(item.propagate())
    assert item.status(10) is SliceStatus.ACCEPTED and item.mask_kji().any(axis=(1, 2)).sum() == 10
    assert [row["slice"] for row in item.report()["prompts"]] == [9, 13]
    item.unlock(10)
    assert item.status(10) is SliceStatus.PROPOSED
    with pytest.raises(PromptError, match="would leave out"):
        item.set_extent(5, 12)


def test_a_slice_that_is_prompted_anew_is_previewed_by_its_new_prompt(a_block):
    item = _object(a_block)
    assert item.preview().mask.sum() == 12 * 16
    item.add_prompt(9, box=((18, 14), (26, 20)))
    assert item.preview().mask.sum() == 6 * 8
    assert item.report()["prompts"][0]["box"] == [18, 14, 26, 20]


def test_a_locked_slice_without_its_mask_is_refused(a_block):
    from SAM2AnnotateLib.propagation import propagate

    item = _object(a_block)
    work = item.review.due_work()
    with pytest.raises(PromptError, match="Slice 4 is locked, but its final mask is not among the prompts"):
        next(propagate(item.encoder, work.prompts, work.extent, item.annotator.policy, locked=[4]))


def test_prompts_and_corrections_stand_in_the_report_as_masks(a_block):
    from SAM2AnnotateLib.prompts.mask_runs import mask_from_runs

    drawn = np.zeros((40, 50), dtype=bool)
    drawn[14:20, 18:30] = True
    item = Annotator(a_block, ScriptedEngine(), window="0,255").new_object(9, mask=drawn, extent=(8, 10))
    _run(item.propagate())
    _run(item.correct(10, drawn))
    report = item.report()
    assert np.array_equal(mask_from_runs(report["prompts"][0]["mask"]), drawn)
    assert np.array_equal(mask_from_runs(report["slices"][2]["corrected_mask"]), drawn)


def test_prefetching_goes_outward_and_leaves_nothing_to_encode(a_block):
    engine = ScriptedEngine()
    item = _object(a_block, engine=engine)
    crop = item.preview().crop
    steps = [step.done for step in item.encoder.prefetch(9, item.review.extent, crop)]
    assert steps == list(range(1, 13)) and engine.encoded_frames == 12
    _run(item.propagate())
    assert engine.encoded_frames == 12


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ({"slice_index": 20, "box": BOX, "extent": (4, 15)}, "Slice 20 does not exist: the volume has slices 0..19 along k"),
        ({"slice_index": 9, "box": BOX, "extent": (10, 15)}, "does not hold the prompted slice 9"),
        ({"slice_index": 9, "box": BOX, "extent": (4, 20)}, "Slice 20 does not exist"),
        ({"slice_index": 9, "box": ((60, 5), (70, 9)), "extent": (4, 15)}, "outside the slice: i is 60..70, the volume has i 0..50"),
        ({"slice_index": 9, "box": ((5, 5), (5, 9)), "extent": (4, 15)}, "empty along i"),
        ({"slice_index": 9.5, "box": BOX, "extent": (4, 15)}, "Voxel indices are whole numbers, got 9.5"),
        ({"slice_index": 9, "box": ((16, 12.7), (36, 28)), "extent": (4, 15)}, "whole numbers, got 12.7"),
        ({"slice_index": 9, "points": [(3, 3, False)], "extent": (4, 15)}, "at least one positive point"),
        ({"slice_index": 9, "points": [(3, 40, True)], "extent": (4, 15)}, "outside the slice: j is 40"),
        ({"slice_index": 9, "mask": np.ones((50, 40), dtype=bool), "extent": (4, 15)}, "has shape \\(40, 50\\)"),
    ],
)
def test_marks_that_do_not_fit_are_refused_with_the_reason(a_block, marks, message):
    with pytest.raises(PromptError, match=message):
        Annotator(a_block, ScriptedEngine(), window="0,255").new_object(**marks)


def test_accepting_a_slice_without_a_mask_is_refused(a_block):
    item = _object(a_block)
    with pytest.raises(PromptError, match="no mask yet"):
        item.accept(5)
    with pytest.raises(PromptError, match="outside the object's extent"):
        item.accept(3)


def test_a_stack_of_another_volume_is_refused(a_block):
    from SAM2AnnotateLib.geometry import SliceStack
    from SAM2AnnotateLib.intensity import IntensityMapping

    other = SliceStack.along(VolumeGrid((5, 6, 7), np.eye(4)))
    with pytest.raises(InputError, match="not one of the volume"):
        SliceEncoder(ScriptedEngine(), a_block, other, IntensityMapping(0, 1, "explicit", ""))


def test_a_correction_that_leads_nowhere_leaves_the_old_proposals(a_block):
    item = _object(a_block)
    _run(item.propagate())
    before = item.mask_kji()
    nowhere = np.zeros((40, 50), dtype=bool)
    nowhere[2:5, 2:5] = True  # dark like the background: from there the block is never found again
    _run(item.correct(14, nowhere))
    assert item.mask_kji()[9:14].tobytes() == before[9:14].tobytes()


def test_what_the_runs_from_both_sides_say_differs_by_as_much_as_the_result_tells(a_block):
    item = _object(a_block)
    assert {result.disagreement for result in item.propagate()} == {None}, "one run comes by each slice"
    half = np.zeros((40, 50), dtype=bool)
    half[14:26, 18:26] = True
    told = {result.position: result.disagreement for result in item.correct(13, half)}
    assert told[14] is told[15] is None and all(0 <= told[position] < 1 for position in (10, 11, 12))


def test_stock_sam2s_way_with_a_correction_is_there_to_compare_with(a_block):
    item = _object(a_block, corrections="stock")
    _run(item.propagate())
    tiny = np.zeros((40, 50), dtype=bool)
    tiny[20, 25] = True
    recomputed = [item.slice_index(result) for result in item.correct(12, tiny)]
    assert sorted(recomputed) == [4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15], "through the prompted slice, whose mask stays, to the ends"
    with pytest.raises(InputError, match="Unknown way with corrections 'other': expected one of carried, stock"):
        _object(a_block, corrections="other")


def test_slices_that_come_into_the_extent_are_computed_and_no_other(a_block):
    item = _object(a_block, extent=(7, 11))
    _run(item.propagate())
    item.set_extent(5, 12)
    assert item.review.due_work().due == {5, 6, 12}
    _run(item.propagate())
    assert item.mask_kji()[5:13].sum() == 8 * 12 * 16
