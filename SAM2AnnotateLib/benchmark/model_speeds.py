"""(i) EdgeTAM against hiera tiny on the processor, random weights, in turn. Imports `parts`, engine and torch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ..engine import Embedding, SegmentationEngine
from ..engine.compute import Compute
from ..engine.transformers_engine import TransformersEngine
from ..engine.transformers_models import build_model, released_shape
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
    repeats: int, image_size: int = 512, precisions: tuple[str, ...] = ("fp32", "bf16")
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Medians of each one's seconds a slice and of the ratios, by precision.

    Args:
        repeats: alternating rounds; one more warms up.
        image_size: pixels per side, a multiple of 256.
        precisions: ``fp32``, ``bf16`` or both.
    """
    phantom = make_phantom(max(256, image_size), _FULL_MEMORY + 3, _FULL_MEMORY + 3)
    frames = phantom.volume.array_kji.astype(np.uint8)
    box, truth = Box2D.around(phantom.mask(0)), phantom.mask(0)
    weights = random_weights(_TINY, image_size)
    shape = released_shape("edgetam", image_size)
    torch.manual_seed(0)
    model = build_model(shape)
    torch.nn.init.constant_(model.mask_decoder.pred_obj_score_head.proj_out.bias, 5.0)
    for precision in precisions:
        compute = Compute("cpu", precision == "bf16", half_embeddings=precision == "bf16")
        tiny = engine_of(_TINY, image_size, weights, precision)
        edge = TransformersEngine(model, shape, "edgetam", "random", compute, "edgetam")
        rounds = [(_times(tiny, frames, box, truth), _times(edge, frames, box, truth)) for _ in range(repeats + 1)][1:]
        figures: dict[str, Any] = {"image_size": image_size, "rounds": len(rounds)}
        for what in rounds[0][0]:
            figures[f"{what}_hiera_tiny_s"] = round(statistics.median(one[what] for one, _ in rounds), 3)
            figures[f"{what}_edgetam_s"] = round(statistics.median(one[what] for _, one in rounds), 3)
            figures[f"{what}_ratio"] = round(statistics.median(one[what] / other[what] for one, other in rounds), 2)
        figures[f"edgetam_{_GOAL_SLICES}_slices_s"] = round(_GOAL_SLICES * (figures["encode_edgetam_s"] + figures["step_edgetam_s"]), 1)
        figures["goal_s"] = _GOAL_SECONDS
        yield f"i EdgeTAM against hiera tiny, {precision}", figures


def _times(engine: SegmentationEngine, frames: np.ndarray, box: Box2D, truth: np.ndarray) -> dict[str, float]:
    """Seconds: a slice encoded, box to mask on an encoded slice, a step with its whole memory, a drawn mask and some steps after it."""
    embeddings: list[Embedding] = []
    started = time.perf_counter()
    embeddings.extend(engine.encode(frame) for frame in frames)
    encoding = (time.perf_counter() - started) / len(frames)
    track = engine.start_track(frames.shape[1:], len(frames), False)
    started = time.perf_counter()
    track.condition(0, embeddings[0], SlicePrompt(box=box))
    first_mask = time.perf_counter() - started
    steps = []
    for position in range(1, len(frames)):
        started = time.perf_counter()
        track.step(position, embeddings[position])
        steps.append(time.perf_counter() - started)
    started = time.perf_counter()
    corrected = engine.start_track(frames.shape[1:], len(frames), False)
    corrected.condition(0, embeddings[0], SlicePrompt(mask=truth))
    for position in range(1, 1 + _CORRECTED_STEPS):
        corrected.step(position, embeddings[position])
    correction = time.perf_counter() - started
    return {"encode": encoding, "first_mask": first_mask, "step": statistics.median(steps[_FULL_MEMORY - 1 :]), "correction": correction}
