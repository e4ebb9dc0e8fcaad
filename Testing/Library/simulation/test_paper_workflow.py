"""The study's workflow "paper" is study A's on stock SAM 2, to the bit: the same masks, the same decisions, the same corrections."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from SAM2AnnotateLib.benchmark.parts import engine_of  # noqa: E402
from SAM2AnnotateLib.benchmark.phantom import make_phantom  # noqa: E402
from SAM2AnnotateLib.benchmark.stock import StockPredictor, write_frames  # noqa: E402
from SAM2AnnotateLib.engine.loading import _read_tensors  # noqa: E402
from SAM2AnnotateLib.engine.models.checkpoints import find_checkpoint, require_local_file  # noqa: E402
from SAM2AnnotateLib.simulation.acceptance import Acceptance, SliceScore  # noqa: E402
from SAM2AnnotateLib.simulation.bench import Bench  # noqa: E402
from SAM2AnnotateLib.simulation.correction import correct_by_hand  # noqa: E402
from SAM2AnnotateLib.simulation.gestures import jittered_box  # noqa: E402
from SAM2AnnotateLib.simulation.objects import StackedTruth, truth_objects  # noqa: E402
from SAM2AnnotateLib.simulation.reader import MaskMemory, ReaderRules  # noqa: E402
from SAM2AnnotateLib.simulation.simulate import outward, simulate  # noqa: E402
from SAM2AnnotateLib.simulation.workflow import Workflow  # noqa: E402

BUNDLED = ("compact", 256)


@pytest.fixture(scope="module")
def weights():
    tensors = _read_tensors(torch, require_local_file(find_checkpoint("bundled")))
    return {name: value.float() for name, value in tensors.items()}


def by_stock_sam2(stock: StockPredictor, folder, truth: StackedTruth, box, rule: Acceptance):
    """Study A by hand: propagate from the box; on each side take or correct slice after slice; a correction resets SAM 2 and is its only
    prompt for the slices beyond."""
    states = (stock.open(folder), stock.open(folder))
    masks, corrected = stock.from_box(states, truth.center, box), set()

    def judge(position):
        frame = truth.frame(position)
        if rule.accepts(SliceScore.of(masks[position], frame, (1.0, 1.0), 1.0)):
            return False
        masks[position] = correct_by_hand(masks[position], frame, (1.0, 1.0)).mask
        corrected.add(position)
        return True

    def re_prompt(position, beyond):
        again = stock.from_mask(states, position, masks[position])
        masks.update({other: again[other] for other in beyond})

    below, above = outward(truth)
    if judge(truth.center):
        re_prompt(truth.center, [*below, *above])
    for side in (below, above):
        for n, position in enumerate(side):
            if judge(position):
                re_prompt(position, side[n + 1 :])
    return masks, corrected


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.93, 0.985])
def test_the_papers_workflow_repeats_stock_sam2(threshold, weights, tmp_path):
    phantom = make_phantom(96, 11, 9)
    truth_kji = np.stack([phantom.mask(k) for k in range(11)]) & (np.arange(11) >= phantom.extent.first)[:, None, None]
    truth_kji[phantom.extent.last + 1 :] = False
    truth_kji[phantom.center + 2 :, :, 52:] = False  # what the annotator wants ends earlier than what the picture shows
    (one,), _ = truth_objects(truth_kji.astype(np.uint8), [1])
    bench = Bench(phantom.volume, engine_of(*BUNDLED, weights, "fp32"), "k", "0,255")
    truth = StackedTruth.of(one, bench.stack)
    memory, rule = MaskMemory(truth, (1.0, 1.0), ReaderRules()), Acceptance(dsc=threshold)
    done = simulate(bench, memory, Workflow("paper", roi="full"), rule, np.random.default_rng(4))

    write_frames(tmp_path, phantom.volume.array_kji.astype(np.uint8), lossless=True)
    box = jittered_box(truth.tight_box(truth.center), (1.0, 1.0), bench.stack.frame_shape_rc, np.random.default_rng(4))
    masks, corrected = by_stock_sam2(StockPredictor(*BUNDLED, weights), tmp_path, truth, box, rule)

    found = {bench.stack.position_of(row.slice_index) for row in done.slices if row.corrected}
    assert found == corrected
    assert 0 < len(corrected) < len(truth.extent), "a comparison without both decisions would prove little"
    for position in truth.extent.indices:
        assert np.array_equal(done.masks[position], masks[position]), f"slice {position}"
