"""(i) EdgeTAM against hiera tiny on the processor, random weights, in turn; and the bundled model. Imports `parts`, engine and torch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ..engine import Embedding, SegmentationEngine, load_engine
from ..engine.compute import Compute
from ..engine.models.transformers_models import build_model, released_shape, settle
from ..engine.transformers_engine import TransformersEngine
from ..geometry import Box2D
from ..prompts import SlicePrompt
from .parts import engine_of, random_weights
from .phantom import make_phantom

_TINY = "sam2.1_hiera_tiny"
# A step looks back at six slices and the prompted one; from here on it has them all.
_FULL_MEMORY = 7
_CORRECTED_STEPS = 4
_GOAL_SLICES, _GOAL_SECONDS = 100, 10


def model_speeds(
    repeats: int, image_size: int = 512, precisions: tuple[str, ...] = ("fp32", "bf16"), edgetam_sizes: tuple[int, ...] = (512, 1024)
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Medians of each one's seconds a slice and of the ratios, by precision and EdgeTAM's size; then the bundled model's own.

    Args:
        repeats: alternating rounds; one more warms up.
        image_size: pixels per side of hiera tiny.
        precisions: ``fp32``, ``bf16`` or both.
        edgetam_sizes: pixels per side of EdgeTAM, multiples of 256.
    """
    phantom = make_phantom(max(256, image_size, *edgetam_sizes), _FULL_MEMORY + 3, _FULL_MEMORY + 3)
    frames = phantom.volume.array_kji.astype(np.uint8)
    box, truth = Box2D.around(phantom.mask(0)), phantom.mask(0)
    weights = random_weights(_TINY, image_size)
    for precision in precisions:
        tiny = engine_of(_TINY, image_size, weights, precision)
        edges = {size: _edgetam(size, precision) for size in edgetam_sizes}
        rounds = [
            (_times(tiny, frames, box, truth), {size: _times(edge, frames, box, truth) for size, edge in edges.items()})
            for _ in range(repeats + 1)
        ][1:]
        for size in edgetam_sizes:
            figures: dict[str, Any] = {"hiera_tiny_size": image_size, "edgetam_size": size, "rounds": len(rounds)}
            for what in rounds[0][0]:
                figures[f"{what}_hiera_tiny_s"] = round(statistics.median(one[what] for one, _ in rounds), 3)
                figures[f"{what}_edgetam_s"] = round(statistics.median(others[size][what] for _, others in rounds), 3)
                figures[f"{what}_ratio"] = round(statistics.median(one[what] / others[size][what] for one, others in rounds), 2)
            for who in ("hiera_tiny", "edgetam"):
                for kind in ("", "_processor"):
                    figures[f"{who}_{_GOAL_SLICES}_slices{kind}_s"] = _whole(
                        figures[f"encode{kind}_{who}_s"], figures[f"step{kind}_{who}_s"]
                    )
            yield f"i EdgeTAM at {size} against hiera tiny, {precision}", figures
    bundled = load_engine("bundled", device="cpu")
    times = [_times(bundled, frames, box, truth) for _ in range(repeats + 1)][1:]
    own = {f"{what}_s": round(statistics.median(one[what] for one in times), 3) for what in times[0]}
    own[f"{_GOAL_SLICES}_slices_s"] = _whole(own["encode_s"], own["step_s"])
    own[f"{_GOAL_SLICES}_slices_processor_s"] = _whole(own["encode_processor_s"], own["step_processor_s"])
    yield "i bundled", {**own, "goal_s": _GOAL_SECONDS}


def _edgetam(size: int, precision: str) -> TransformersEngine:
    """As `load_engine` makes it, with random weights, and the object score set to "present"."""
    shape = released_shape("edgetam", size)
    torch.manual_seed(0)
    model = build_model(shape)
    torch.nn.init.constant_(model.mask_decoder.pred_obj_score_head.proj_out.bias, 5.0)
    settle(model, shape)
    compute = Compute("cpu", precision == "bf16", half_embeddings=precision == "bf16")
    return TransformersEngine(model, shape, "edgetam", "random", compute, "edgetam")


def _whole(encode_s: float, step_s: float) -> float:
    return round(_GOAL_SLICES * (encode_s + step_s), 1)


def _times(engine: SegmentationEngine, frames: np.ndarray, box: Box2D, truth: np.ndarray) -> dict[str, float]:
    """Seconds: a slice encoded, box to mask on an encoded slice, a step with its whole memory, a drawn mask and some steps after it.

    Each by the clock and, as ``..._processor``, of all threads together: that is the same on a machine that others use.
    """
    embeddings: list[Embedding] = []
    spent = _Spent()
    with spent.on("encode", len(frames)):
        embeddings.extend(engine.encode(frame) for frame in frames)
    track = engine.start_track(frames.shape[1:], len(frames), False)
    with spent.on("first_mask"):
        track.condition(0, embeddings[0], SlicePrompt(box=box))
    for position in range(1, len(frames)):
        if position < _FULL_MEMORY:
            track.step(position, embeddings[position])
            continue
        with spent.on("step"):
            track.step(position, embeddings[position])
    with spent.on("correction"):
        corrected = engine.start_track(frames.shape[1:], len(frames), False)
        corrected.condition(0, embeddings[0], SlicePrompt(mask=truth))
        for position in range(1, 1 + _CORRECTED_STEPS):
            corrected.step(position, embeddings[position])
    return {what: statistics.median(seconds) for what, seconds in spent.seconds.items()}


class _Spent:
    """Seconds by what they were spent on, by the clock and of the processor."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    @contextmanager
    def on(self, what: str, count: int = 1) -> Iterator[None]:
        clock, processor = time.perf_counter(), time.process_time()
        yield
        self.seconds.setdefault(what, []).append((time.perf_counter() - clock) / count)
        self.seconds.setdefault(f"{what}_processor", []).append((time.process_time() - processor) / count)
