"""The real engine on the real sam2 package, against stock SAM2VideoPredictor on the same weights and frames."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from SAM2AnnotateLib.annotator import Annotator  # noqa: E402
from SAM2AnnotateLib.benchmark.parts import engine_of, random_weights  # noqa: E402
from SAM2AnnotateLib.benchmark.phantom import make_phantom  # noqa: E402
from SAM2AnnotateLib.benchmark.stock import StockPredictor, write_frames  # noqa: E402
from SAM2AnnotateLib.engine import load_engine  # noqa: E402
from SAM2AnnotateLib.engine.loading import _read_tensors  # noqa: E402

BUNDLED = ("compact", 256)
TINY = ("sam2.1_hiera_tiny", 512)


@pytest.fixture(scope="module")
def weights():
    """Bundled weights, and random ones of hiera tiny whose object score says "present"."""
    bundled = load_engine("bundled", device="cpu")
    from SAM2AnnotateLib.engine.models.checkpoints import find_checkpoint, require_local_file

    tensors = _read_tensors(torch, require_local_file(find_checkpoint("bundled")))
    assert bundled.image_size == BUNDLED[1]
    return {BUNDLED: {name: value.float() for name, value in tensors.items()}, TINY: random_weights(*TINY)}


@pytest.fixture
def a_phantom():
    """Six slices of 96 x 96, stored upright (LPS)."""
    return make_phantom(96, 6, 6)


def _frames(tmp_path, phantom):
    write_frames(tmp_path, phantom.volume.array_kji.astype(np.uint8), lossless=True)
    return tmp_path


def _corners(box):
    return ((box.col_start, box.row_start), (box.col_stop, box.row_stop))


@pytest.mark.parametrize("model", [BUNDLED, TINY], ids=["bundled", "hiera tiny at 512"])
@pytest.mark.parametrize("prompt", ["box", "points", "mask"])
def test_whole_slices_at_fp32_give_the_masks_of_stock_sam2(model, prompt, weights, a_phantom, tmp_path):
    engine = engine_of(*model, weights[model], "fp32")
    stock = StockPredictor(*model, weights[model])
    folder = _frames(tmp_path, a_phantom)
    states = (stock.open(folder), stock.open(folder))
    annotator = Annotator(a_phantom.volume, engine, window="0,255", roi="full")
    center, extent = a_phantom.center, (0, 5)
    if prompt == "box":
        item = annotator.new_object(center, box=_corners(a_phantom.box), extent=extent)
        expected = stock.from_box(states, center, a_phantom.box)
    elif prompt == "points":
        item = annotator.new_object(center, points=[(48, 48, True), (40, 52, True), (8, 8, False)], extent=extent)
        points = np.array([[48.5, 48.5], [40.5, 52.5], [8.5, 8.5]], dtype=np.float32)
        expected = stock.from_points(states, center, points, np.array([1, 1, 0], dtype=np.int32))
    else:
        truth = a_phantom.mask(center)
        item = annotator.new_object(center, mask=truth, extent=extent)
        expected = stock.from_mask(states, center, truth)
        expected[center] = truth  # stock gives it back through a quarter of the resolution; ours as it was drawn
    found = {result.position: result.mask for result in item.propagate()}
    assert sorted(found) == sorted(expected) == list(range(6))
    assert any(mask.any() for position, mask in found.items() if position != center), "an empty comparison would prove nothing"
    for position, mask in found.items():
        assert np.array_equal(mask, expected[position]), f"slice {position}: {(mask != expected[position]).sum()} pixels differ"


def test_forgetting_old_slices_changes_nothing_on_a_long_stack(weights, tmp_path):
    phantom = make_phantom(48, 40, 40)
    engine, stock = engine_of(*BUNDLED, weights[BUNDLED], "fp32"), StockPredictor(*BUNDLED, weights[BUNDLED])
    folder = _frames(tmp_path, phantom)
    expected = stock.from_box((stock.open(folder), stock.open(folder)), 2, phantom.box)
    item = Annotator(phantom.volume, engine, window="0,255", roi="full").new_object(2, box=_corners(phantom.box), extent=(0, 39))
    for result in item.propagate():
        assert np.array_equal(result.mask, expected[result.position]), f"slice {result.position}"


def test_stock_sam2_loses_a_correction_and_ours_keeps_it(weights, a_phantom, tmp_path):
    corrected = a_phantom.mask(a_phantom.center + 1)
    corrected[:, :48] = False  # half of the object: nothing that the model would say by itself
    stock = StockPredictor(*BUNDLED, weights[BUNDLED])
    state = stock.open(_frames(tmp_path, a_phantom))
    stock.from_box((state, state), a_phantom.center, a_phantom.box)
    where = a_phantom.center + 1
    stock.predictor.reset_state(state)
    corners = np.array([a_phantom.box.col_start, a_phantom.box.row_start, a_phantom.box.col_stop, a_phantom.box.row_stop])
    stock.predictor.add_new_points_or_box(state, a_phantom.center, 1, box=corners.astype(np.float32))
    for _ in stock.predictor.propagate_in_video(state, start_frame_idx=a_phantom.center):
        pass
    stock.predictor.add_new_mask(state, where, 1, corrected)
    again = {
        found: logits[0, 0].numpy() > 0 for found, _, logits in stock.predictor.propagate_in_video(state, start_frame_idx=a_phantom.center)
    }
    assert _iou(again[where], corrected) < 0.9, "stock keeps corrections now: the reason for locks may be gone"

    item = Annotator(a_phantom.volume, engine_of(*BUNDLED, weights[BUNDLED], "fp32"), window="0,255", roi="full").new_object(
        a_phantom.center, box=_corners(a_phantom.box), extent=(0, 5)
    )
    for _ in item.propagate():
        pass
    before = {k: item.slice_mask(k).copy() for k in range(6)}
    recomputed = [item.slice_index(result) for result in item.correct(where, corrected)]
    assert np.array_equal(item.slice_mask(where), corrected)
    assert where not in recomputed and set(recomputed) == set(range(where + 1, 6)), "up to the prompted slice"
    assert _iou(item.slice_mask(where + 1), corrected) > _iou(before[where + 1], corrected), "the neighbor follows the correction"


def test_sixteen_bit_embeddings_change_few_pixels(weights, a_phantom):
    masks = {}
    for precision in ("fp32", "auto"):
        annotator = Annotator(a_phantom.volume, engine_of(*BUNDLED, weights[BUNDLED], precision), window="0,255")
        item = annotator.new_object(a_phantom.center, box=_corners(a_phantom.box), extent=(0, 5))
        for _ in item.propagate():
            pass
        masks[precision] = item.mask_kji()
        kept = {array.dtype for embedding in annotator.store._kept.values() for array in embedding.arrays}
        assert kept == {np.dtype(np.float32 if precision == "fp32" else np.float16)}
    assert (masks["fp32"] != masks["auto"]).mean() < 0.002


def test_scores_are_probabilities_and_a_mask_prompt_is_certain(weights, a_phantom):
    engine = engine_of(*BUNDLED, weights[BUNDLED], "fp32")
    item = Annotator(a_phantom.volume, engine, window="0,255").new_object(a_phantom.center, mask=a_phantom.mask(2), extent=(0, 5))
    for result in item.propagate():
        assert 0 <= result.predicted_iou <= 1 and 0 <= result.object_score <= 1
        assert not result.prompted or (result.predicted_iou, result.object_score) == (1.0, 1.0)


def test_out_of_memory_is_told_as_such(weights, a_phantom, monkeypatch):
    from SAM2AnnotateLib.errors import EngineError

    engine = engine_of(*BUNDLED, weights[BUNDLED], "fp32")

    def exhausted(*_args, **_kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(engine._model, "forward_image", exhausted)
    item = Annotator(a_phantom.volume, engine, window="0,255").new_object(a_phantom.center, box=_corners(a_phantom.box), extent=(0, 5))
    with pytest.raises(EngineError, match=r"Out of memory on cpu .* choose a smaller image size"):
        item.preview()


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))
