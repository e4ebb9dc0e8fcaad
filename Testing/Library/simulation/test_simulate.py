"""The simulated annotator at work: the panel's session, decisions that can be worked out by hand, every orientation."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from patients import all_48_orientations, an_oblique_rotation

from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.simulation.acceptance import Acceptance
from SAM2AnnotateLib.simulation.bench import Bench
from SAM2AnnotateLib.simulation.effort import GestureSeconds
from SAM2AnnotateLib.simulation.objects import StackedTruth, truth_objects
from SAM2AnnotateLib.simulation.reader import MaskMemory, ReaderRules
from SAM2AnnotateLib.simulation.simulate import by_hand, outward, simulate
from SAM2AnnotateLib.simulation.sweep import sweep
from SAM2AnnotateLib.simulation.workflow import METHODS, PROMPTS, Workflow

SPACING_IJK_MM = (0.8, 1.1, 3.0)
LEAKING, HALF_SEEN = 6, 10
RULE = Acceptance(dsc=0.92)


def a_scan() -> tuple[Volume, np.ndarray]:
    """A bright bar of 14 x 16 voxels on slices 3..13. On slice 6 what lies beyond its last row is as bright; on slice 10 only 10 of its 16
    columns are."""
    voxels = np.full((17, 40, 44), 40, dtype=np.int16)
    truth = np.zeros(voxels.shape, dtype=bool)
    truth[3:14, 12:26, 14:30] = True
    voxels[truth] = 180
    voxels[HALF_SEEN, :, 24:30] = 40
    voxels[LEAKING, 26:34, 14:30] = 180
    matrix = np.eye(4)
    matrix[:3, :3] = an_oblique_rotation() * SPACING_IJK_MM
    return Volume(VolumeGrid(voxels.shape, matrix), voxels), truth


def a_bench(volume: Volume, truth: np.ndarray, axis: str = "axial", rules: ReaderRules | None = None) -> tuple[Bench, MaskMemory]:
    bench = Bench(volume, ScriptedEngine(reach=3), axis, "0,255")
    (one,), _ = truth_objects(truth.astype(np.uint8), [1])
    return bench, MaskMemory(StackedTruth.of(one, bench.stack), bench.stack.frame_spacing_rc_mm, rules or ReaderRules())


def run(workflow: Workflow, acceptance: Acceptance = Acceptance(), axis: str = "axial", seed: int = 0):  # noqa: B008 - frozen
    bench, memory = a_bench(*a_scan(), axis)
    return simulate(bench, memory, workflow, acceptance, np.random.default_rng(seed)), memory


def wrong_slices(done, memory: MaskMemory) -> list[int]:
    """Positions of the final masks that are not the truth. The jittered box cuts a column off on the center slice, 0.4 mm from the
    boundary: that is accepted, or stays as too small to correct."""
    return [p for p in memory.truth.extent.indices if not np.array_equal(done.masks[p], memory.truth.frame(p))]


def test_without_thresholds_nothing_is_corrected_and_every_slice_is_looked_at_once():
    done, _ = run(Workflow("ours"))
    assert [one.slice_index for one in done.slices] == list(range(3, 14))
    assert done.corrected == done.effort.corrections == done.effort.corrected_pixels == 0
    assert done.effort.accepted == done.effort.slices_viewed == 11
    assert done.effort.boxes == 1
    assert done.effort.points == done.effort.outlines == 0


def test_only_what_falls_short_of_the_thresholds_is_corrected():
    done, memory = run(Workflow("ours"), RULE)
    assert [one.slice_index for one in done.slices if one.corrected] == [LEAKING, HALF_SEEN]
    leaked, half = (one for one in done.slices if one.corrected)
    assert leaked.score.dsc == pytest.approx(2 * 14 / (14 + 17))  # 17 rows for 14: the model reaches 3 rows beyond
    assert leaked.pixels == 3 * 16
    assert half.score.dsc == pytest.approx(2 * 10 / (10 + 16))
    assert half.pixels == 14 * 6
    assert half.truth_pixels == 14 * 16
    assert wrong_slices(done, memory) == [memory.truth.center]


def test_a_correction_re_prompts_the_model_for_the_slices_behind_it():
    """From 10 columns the model, which reaches 3 columns a slice, gets 13 on the next slice; from the corrected mask it gets all 16."""
    uncorrected, _ = run(Workflow("ours"))
    done, _ = run(Workflow("ours"), RULE)
    assert next(one for one in uncorrected.slices if one.slice_index == HALF_SEEN + 1).score.dsc == pytest.approx(2 * 13 / (13 + 16))
    behind = [one for one in done.slices if one.slice_index > HALF_SEEN]
    assert len(behind) == 3
    assert all(not one.corrected and one.score.dsc == 1 for one in behind)


def test_both_orders_look_at_every_slice_once_and_end_with_the_same_masks_here():
    outward_first, _ = run(Workflow("a", order="outward"), RULE)
    doubtful_first, _ = run(Workflow("b", order="doubtful"), RULE)
    assert doubtful_first.effort.slices_viewed == outward_first.effort.slices_viewed == 11
    assert {p: mask.sum() for p, mask in doubtful_first.masks.items()} == {p: mask.sum() for p, mask in outward_first.masks.items()}


def test_of_every_slice_looked_at_it_is_kept_what_was_expected():
    done, _ = run(Workflow("ours"), RULE)
    assert all(one.seen and one.expected is not None and one.expected.low <= one.expected.dsc <= one.expected.high for one in done.slices)


@pytest.mark.parametrize("order", ["outward", "doubtful"])
def test_slices_accepted_together_are_not_looked_at_and_stay_as_they_are(order):
    alone, _ = run(Workflow("a", order=order), RULE)
    limit = sorted(one.expected.dsc for one in run(Workflow("a"))[0].slices)[5]
    done, memory = run(Workflow("b", order=order, together=limit), RULE)
    unseen = [one for one in done.slices if not one.seen]
    assert 1 <= len(unseen) <= 6 and all(one.expected.dsc >= limit and not one.corrected and one.pixels == 0 for one in unseen)
    assert len(done.slices) == 11 and done.effort.slices_viewed == 11 - len(unseen)
    assert done.effort.accepted + done.effort.corrections == done.effort.slices_viewed + 1  # one key for all of them
    assert done.effort.seconds < alone.effort.seconds or done.corrected > alone.corrected
    first, _ = run(Workflow("c"))  # nothing is corrected: the masks of the propagation
    for one in unseen:
        position = memory.truth.extent.first + one.slice_index - 3
        assert np.array_equal(done.masks[position], first.masks[position])


def test_a_limit_that_no_dsc_can_have_is_refused():
    with pytest.raises(InputError, match="expected a DSC of 0 to 1 for 'together', got 90"):
        Workflow("a", together=90)


def test_under_impossible_thresholds_every_slice_is_corrected():
    done, memory = run(Workflow("ours"), Acceptance(dsc=1, nsd=1))
    assert done.corrected == 11
    assert done.effort.accepted == 0
    assert wrong_slices(done, memory) == [memory.truth.center]


def test_small_errors_stay_in_a_corrected_mask():
    """A row before the object, 0.55 mm from the truth's boundary, stays; the leak, which reaches 2.75 mm beyond it, goes."""
    volume, truth = a_scan()
    voxels = volume.array_kji.copy()
    voxels[LEAKING, 11, 14:30] = 180
    bench, memory = a_bench(Volume(volume.grid, voxels), truth)
    done = simulate(bench, memory, Workflow("ours"), RULE, np.random.default_rng(0))
    position = bench.stack.position_of(LEAKING)
    assert not (memory.truth.frame(position) & ~done.masks[position]).any()
    assert (done.masks[position] & ~memory.truth.frame(position)).sum() == 16


@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_prompt_annotates_the_object(prompt):
    done, memory = run(Workflow("p", prompt=prompt))
    center = memory.truth.center
    # The rule of the scripted engine keeps 12 pixels clear of a click beside the object.
    assert memory.score(center, done.masks[center]).dsc > (0.3 if prompt == "contours" else 0.8)
    asked = {"box": (1, 0, 0), "dot": (0, 1, 0), "mask": (0, 0, 1), "contours": (1, 2, 0)}
    if prompt in asked:
        assert (done.effort.boxes, done.effort.points, done.effort.outlines) == asked[prompt]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_looks_at_every_slice_of_the_extent(method):
    done, memory = run(Workflow("m", method=method), RULE)
    assert [one.slice_index for one in done.slices] == list(range(3, 14))
    assert sorted(done.masks) == list(memory.truth.extent.indices)
    assert done.effort.slices_viewed == 11


def test_a_box_on_every_slice_costs_a_box_a_slice_and_uses_no_memory():
    done, _ = run(Workflow("c", method="slice_boxes"))
    assert done.effort.boxes == 11
    assert [one.slice_index for one in done.slices if one.score.dsc < 0.9] == [HALF_SEEN], "a box holds the leak back"


def test_a_tracked_box_follows_the_last_reviewed_mask():
    """From 10 columns a box of 2 mm more (2 columns to each side) finds 12 on the next slice; from the corrected mask, all 16."""
    uncorrected, _ = run(Workflow("t", method="box_tracking", margin_mm=2))
    done, _ = run(Workflow("t", method="box_tracking", margin_mm=2), RULE)
    assert done.effort.boxes == 1
    assert next(one for one in uncorrected.slices if one.slice_index == HALF_SEEN + 1).score.dsc == pytest.approx(2 * 12 / (12 + 16))
    assert all(one.score.dsc == 1 for one in done.slices if one.slice_index > HALF_SEEN)


def test_a_tracked_box_is_lost_where_a_mask_is_empty():
    """A bar in two parts: after the gap there is no box, so the second part is drawn by hand up to where a mask leads on again."""
    volume, truth = a_scan()
    truth[11:13] = False
    voxels = volume.array_kji.copy()
    voxels[11:13] = 40
    bench = Bench(Volume(volume.grid, voxels), ScriptedEngine(reach=3), "axial", "0,255")
    (one,), _ = truth_objects(truth.astype(np.uint8), [1], separate=False)
    memory = MaskMemory(StackedTruth.of(one, bench.stack), bench.stack.frame_spacing_rc_mm, ReaderRules())
    done = simulate(bench, memory, Workflow("t", method="box_tracking", margin_mm=3), RULE, np.random.default_rng(0))
    by_slice = {one.slice_index: one for one in done.slices}
    assert by_slice[11].corrected, "the box of slice 10 finds the dark there"
    assert not by_slice[12].corrected, "no box, no mask: right by luck"
    assert by_slice[13].corrected
    assert by_slice[13].score.dsc == 0
    assert wrong_slices(done, memory) == [memory.truth.center]


def test_interpolation_draws_every_nth_slice_from_the_center_and_both_ends():
    done, memory = run(Workflow("i", method="interpolation", every=4))
    assert memory.truth.center == 8
    assert [one.slice_index for one in done.slices if one.corrected] == [3, 4, 8, 12, 13]
    assert done.effort.outlines == 5
    for position, mask in done.masks.items():  # the bar is the same on all slices
        np.testing.assert_array_equal(mask, memory.truth.frame(position))


def test_seconds_are_the_sum_of_the_stated_gestures():
    costs = GestureSeconds(find=100, box=10, point=0, look=1, accept=0.1, begin_correction=1000, outline_mm_per_s=1)
    volume, truth = a_scan()
    bench, memory = a_bench(volume, truth, rules=ReaderRules(costs=costs))
    done = simulate(bench, memory, Workflow("ours"), RULE, np.random.default_rng(0))
    assert done.effort.seconds == pytest.approx(100 + 10 + 11 * 1 + 9 * 0.1 + 2 * 1000 + done.effort.outline_mm)
    hand = by_hand(memory)
    assert hand.outlines == 11
    assert hand.seconds == pytest.approx(100 + 11 * 1 + 11 * 1000 + hand.outline_mm)


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_box():
    def bytes_of(seed):
        done, _ = run(Workflow("ours"), Acceptance(dsc=0.9), seed=seed)
        return b"".join(np.packbits(done.masks[p]).tobytes() for p in sorted(done.masks)), [asdict(one) for one in done.slices]

    assert bytes_of(3) == bytes_of(3)
    boxes = set()
    for seed in range(6):
        bench, memory = a_bench(*a_scan())
        done = simulate(bench, memory, Workflow("t", method="slice_boxes"), Acceptance(), np.random.default_rng(seed))
        boxes.add(tuple(int(mask.sum()) for _, mask in sorted(done.masks.items())))
    assert len(boxes) > 1


@pytest.mark.parametrize("orientation", all_48_orientations(), ids=str)
def test_the_file_s_axis_order_changes_nothing(orientation):
    """The same patient stored in each of the 48 ways, oblique and with uneven spacing: the same decisions, and masks in the same place."""
    volume, truth = a_scan()
    expected, _ = run(Workflow("ours"), RULE)
    turned, turned_truth = orientation.volume(volume), orientation.array(truth)
    bench, memory = a_bench(turned, turned_truth)
    done = simulate(bench, memory, Workflow("ours"), RULE, np.random.default_rng(0))
    found = [(one.score.dsc, one.corrected, one.pixels) for one in done.slices]
    wanted = [(one.score.dsc, one.corrected, one.pixels) for one in expected.slices]
    assert found in (wanted, wanted[::-1])  # slice indices may run the other way
    np.testing.assert_array_equal(on_grid(done, bench), orientation.array(on_grid(expected, a_bench(volume, truth)[0])))


def on_grid(done, bench: Bench) -> np.ndarray:
    whole = np.zeros(bench.volume.grid.shape_kji, dtype=bool)
    for position, mask in done.masks.items():
        bench.stack.view(whole)[position] = mask
    return whole


def test_outward_goes_from_the_center_to_each_end():
    _, memory = a_bench(*a_scan())
    assert outward(memory.truth) == ([7, 6, 5, 4, 3], [9, 10, 11, 12, 13])


RULES = [Acceptance(dsc=t) for t in (0.0, 0.3, 0.7, 0.78, 0.9, 1.0)] + [Acceptance(nsd=t) for t in (0.2, 0.6, 1.0)]


@pytest.mark.parametrize("order", ["outward", "doubtful"])
def test_a_sweep_counts_what_each_simulation_alone_would(order):
    workflow = Workflow("ours", order=order)
    bench, memory = a_bench(*a_scan())
    counts = sweep(bench, memory, workflow, RULES, lambda: np.random.default_rng(5))
    alone = []
    for rule in RULES:
        fresh, own = a_bench(*a_scan())
        alone.append(simulate(fresh, own, workflow, rule, np.random.default_rng(5)).corrected)
    assert counts == alone
    assert counts[0] == 0
    assert counts[5] == 11
    assert len(set(counts)) >= 3


def test_a_sweep_encodes_every_picture_once_and_shares_predictions():
    bench, memory = a_bench(*a_scan())
    simulate(bench, memory, Workflow("ours"), RULE, np.random.default_rng(5))
    once = bench.engine.computed
    bench, memory = a_bench(*a_scan())
    rules = [Acceptance(dsc=t) for t in np.linspace(0.5, 0.99, 50)]
    sweep(bench, memory, Workflow("ours"), rules, lambda: np.random.default_rng(5))
    assert bench.engine.encoded == 3, "all slices look alike but for the leaking and the half-seen one"
    assert bench.engine.computed < 3 * once, "50 thresholds cost less than three of them"


def test_every_way_of_working_begins_with_finding_the_object_and_looks_at_all_of_it():
    costs = GestureSeconds(find=1000, box=0, point=0, look=1, accept=0, begin_correction=0, outline_mm_per_s=1e9)
    volume, truth = a_scan()
    for method in METHODS:
        bench, memory = a_bench(volume, truth, rules=ReaderRules(costs=costs))
        done = simulate(bench, memory, Workflow("m", method=method), Acceptance(), np.random.default_rng(0))
        assert done.effort.seconds == pytest.approx(1000 + 11, abs=1e-3)
    assert by_hand(memory).seconds == pytest.approx(1000 + 11, abs=1e-3)


def test_a_slice_drawn_as_prompt_counts_as_drawn_like_those_that_are_interpolated():
    done, _ = run(Workflow("m", prompt="mask"))
    drawn = [one for one in done.slices if one.corrected]
    assert [one.slice_index for one in drawn] == [8]
    assert drawn[0].pixels == drawn[0].truth_pixels == 14 * 16
    assert done.effort.outlines == 1
    assert done.effort.corrections == 0
