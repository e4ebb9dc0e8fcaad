"""An answer that is partly what was learned, and partly the model as it came."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SAM2AnnotateLib.engine import Adapter, AdapterCard, ScriptedEngine, SlicePrediction, blended
from SAM2AnnotateLib.geometry import Box2D
from SAM2AnnotateLib.prompts import Point, SlicePrompt


def _of(*logits: float) -> SlicePrediction:
    return SlicePrediction(np.array([logits], dtype=np.float32), 0.5 * max(logits) / 10, float(max(logits) > 0))


def test_the_mean_of_the_chances_counts_and_not_of_the_logits():
    both = blended(_of(2.0, 1.0, -1024.0), _of(-1.0, -3.0, 0.5), 0.5)
    chances = [(0.8808 + 0.2689) / 2, (0.7311 + 0.0474) / 2, 0.6225 / 2]
    assert 1 / (1 + np.exp(-both.logits[0])) == pytest.approx(chances, abs=1e-4)
    assert both.logits.dtype == np.float32 and both.mask.tolist() == [[True, False, False]]


def test_no_object_in_one_answer_leaves_the_other_to_decide_by_its_share():
    absent, present = _of(-1024.0, -1024.0), _of(8.0, -8.0)
    assert blended(absent, present, 0.25).mask.tolist() == [[True, False]]
    assert not blended(absent, present, 0.75).mask.any()
    assert np.isfinite(blended(absent, absent, 0.5).logits).all()


def test_estimates_are_shared_likewise_and_all_of_one_is_that_one():
    learned, as_it_came = _of(8.0), _of(-4.0)
    assert blended(learned, as_it_came, 1.0) is learned
    mixed = blended(learned, as_it_came, 0.75)
    assert (mixed.predicted_iou, mixed.object_score) == (pytest.approx(0.75 * 0.4 - 0.25 * 0.2), 0.75)


def _adapter(**blend: float) -> Adapter:
    engine = ScriptedEngine()
    card = AdapterCard("bar", engine.weights_sha256, engine.architecture, serves=("box", "point"), blend=blend)
    return Adapter({"gray": np.array([150], np.float32), "size": np.array([40], np.float32)}, card)


def _frame() -> np.ndarray:
    """Gray 150 on the left and in one spot, 120 on the right, where a box is centered."""
    frame = np.full((20, 40), 120, np.uint8)
    frame[:, :10] = 150
    frame[10, 25] = 135
    return frame


@pytest.mark.parametrize(
    "share, left, right, both", [(1.0, True, False, True), (0.75, True, False, True), (0.5, False, False, True), (0.25, False, True, True)]
)
def test_the_scripted_model_blends_by_the_card(share, left, right, both):
    """Learned: gray 130 to 170. As it came: 100 to 140, that of the box's center."""
    prompt = SlicePrompt(box=Box2D(2, 18, 0, 40))
    engine = ScriptedEngine().with_adapter(_adapter(box=share))
    said = engine.start_track((20, 40), 1, False).condition(0, engine.encode(_frame()), prompt)
    assert (said.mask[10, 5], said.mask[10, 35], said.mask[10, 25]) == (left, right, both)


def test_each_kind_of_prompt_has_a_share_of_its_own():
    engine = ScriptedEngine()
    adapter = _adapter(box=0.25)
    embedding, click = engine.encode(_frame()), SlicePrompt(points=(Point(10, 5),))
    alone = Adapter(adapter.tensors, replace(adapter.card, blend={}))
    masks = [engine.with_adapter(one).start_track((20, 40), 1, False).condition(0, embedding, click).mask for one in (adapter, alone)]
    assert np.array_equal(*masks) and masks[0].any()
