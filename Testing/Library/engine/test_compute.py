"""How a model computes: attention in bfloat16 on a processor, threads, and what is computed once."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
import torch.nn.functional as F

from SAM2AnnotateLib.engine import compute as computing_room
from SAM2AnnotateLib.engine import load_engine, loading
from SAM2AnnotateLib.engine.compute import Compute, computing
from SAM2AnnotateLib.engine.models.position_codes import Kept
from SAM2AnnotateLib.engine.models.repvit import RepVitBackbone
from SAM2AnnotateLib.geometry import Box2D
from SAM2AnnotateLib.prompts import SlicePrompt

QUERIES, KEYS, WIDTH = 40, 130, 64


def heads(dtype=torch.bfloat16):
    torch.manual_seed(1)
    return [torch.randn(2, 3, count, WIDTH, dtype=torch.float32).to(dtype) for count in (QUERIES, KEYS, KEYS)]


def asked_within(compute, *arguments, **options):
    with computing(compute, "a model", 256, torch.inference_mode):
        return F.scaled_dot_product_attention(*arguments, **options)


@pytest.mark.parametrize("options", [{}, {"scale": 0.3}, {"attn_mask": None, "dropout_p": 0.0, "is_causal": False, "scale": None}])
def test_attention_in_bfloat16_says_the_same_as_torch(options):
    query, key, value = heads()
    given = asked_within(Compute("cpu", True, True), query, key, value, **options)
    expected = F.scaled_dot_product_attention(query.double(), key.double(), value.double(), **options)
    assert given.dtype == torch.bfloat16
    assert float((given.double() - expected).abs().max()) < 0.02 * float(expected.abs().max())


def test_attention_takes_the_gradient_through():
    query, key, value = (one.float().requires_grad_() for one in heads())
    with computing(Compute("cpu", True, True), "a model", 256, torch.enable_grad):
        F.scaled_dot_product_attention(query, key, value).float().sum().backward()
    again = value.detach().clone().requires_grad_()
    F.scaled_dot_product_attention(query.detach(), key.detach(), again).sum().backward()
    assert torch.allclose(value.grad, again.grad, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("options", [{"is_causal": True}, {"attn_mask": torch.ones(QUERIES, KEYS).tril().bool()}])
def test_what_is_more_than_plain_attention_is_left_to_torch(options):
    query, key, value = heads()
    given = asked_within(Compute("cpu", True, True), query, key, value, **options)
    assert torch.equal(given, F.scaled_dot_product_attention(query, key, value, **options))


def test_in_float32_nothing_is_replaced():
    query, key, value = heads(torch.float32)
    assert torch.equal(asked_within(Compute("cpu", False, False), query, key, value), F.scaled_dot_product_attention(query, key, value))


def test_the_bundled_model_gives_the_same_mask_in_bfloat16():
    pytest.importorskip("sam2")
    rows, cols = np.mgrid[:256, :256]
    disk = (rows - 120) ** 2 + (cols - 130) ** 2 < 45**2
    frame = np.where(disk, 170, 60).astype(np.uint8)
    masks = []
    for precision in ("fp32", "bf16"):
        engine = load_engine("bundled", device="cpu", precision=precision)
        track = engine.start_track(frame.shape, 3, False)
        track.condition(0, engine.encode(frame), SlicePrompt(box=Box2D(70, 170, 80, 180)))
        masks.append(track.step(1, engine.encode(frame)).mask)
    exact, rounded = masks
    assert exact.any()
    assert 2 * (exact & rounded).sum() / (exact.sum() + rounded.sum()) > 0.98


@pytest.mark.parametrize(
    ("device", "width", "variable", "threads"),
    [("cpu", 64, None, 1), ("cpu", 256, None, None), ("cpu", 64, "4", None), ("cuda", 64, None, None)],
)
def test_a_narrow_model_computes_with_one_thread_unless_the_user_says_otherwise(device, width, variable, threads, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert loading._compute(torch, "fp32", device, width).threads == threads


def test_the_number_of_threads_is_set_where_it_differs_and_does_not_change_the_fingerprint(monkeypatch):
    asked = []
    monkeypatch.setattr(computing_room.torch, "get_num_threads", lambda: asked[-1] if asked else 7)
    monkeypatch.setattr(computing_room.torch, "set_num_threads", asked.append)
    for threads in (None, 3, 3, None):
        with computing(Compute("cpu", False, False, threads), "a model", 256, torch.inference_mode):
            pass
    assert asked == [3]
    assert str(Compute("cpu", False, False, 3)) == str(Compute("cpu", False, False))


def test_folded_convolutions_give_the_same_features():
    torch.manual_seed(0)
    backbone = RepVitBackbone((16, 24, 32, 48), (1, 1, 2, 1)).eval()
    for one in backbone.modules():
        if isinstance(one, torch.nn.BatchNorm2d):  # as trained ones are: no two channels alike
            for tensor, low, high in ((one.running_mean, -1, 1), (one.running_var, 0.3, 3), (one.weight, 0.3, 2), (one.bias, -1, 1)):
                torch.nn.init.uniform_(tensor, low, high)
    picture = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        before = [level.clone() for level in backbone(picture).last_hidden_state]
    backbone.fold()
    with torch.inference_mode():
        after = backbone(picture).last_hidden_state
    for one, other in zip(before, after, strict=True):
        assert one.shape == other.shape
        assert float((one - other).abs().max()) < 1e-5 * float(one.abs().max())
    assert not any(isinstance(one, torch.nn.BatchNorm2d) for one in backbone.modules())


def test_what_is_kept_is_computed_once_for_each_size():
    asked = []
    kept = Kept(lambda size, kind: asked.append((size, kind)) or torch.zeros(size))
    first = kept([2, 3], "a")
    assert kept([2, 3], "a") is first and kept((2, 3), "a") is first
    assert kept([3, 2], "a").shape == (3, 2)
    assert asked == [([2, 3], "a"), ([3, 2], "a")]
