"""What is tried on a GPU. Each part yields a name and plain numbers. Imports the rest of this room, engine, training and torch.

All weights are random but the bundled ones: times and memory do not depend on them, and the masks of two runs of the same weights can be
compared. On a CPU the parts run too, with small figures, so that the command can be rehearsed; those figures mean nothing.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..engine import Embedding, LearningSettings, Lesson, SegmentationEngine, SlicePrediction, load_engine
from ..engine.compute import Compute
from ..engine.models.model_configs import ARCHITECTURES
from ..engine.models.sam2_names import to_transformers
from ..errors import EngineError
from ..geometry import Box2D
from ..optional_imports import import_for
from ..prompts import SlicePrompt
from ..training.train import Stage, Trainer
from .parts import engine_of, random_weights
from .phantom import make_phantom
from .stock import StockPredictor, write_frames

Figures = Iterator[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Rig:
    """Where and how large.

    Args:
        device: torch device name.
        architectures: SAM 2's, the first for what is compared, all for what is timed.
        image_size: pixels per side for what is timed.
        small_size: pixels per side for what is compared.
        slices: of the stack.
        repeats: of what is timed.
    """

    device: str
    architectures: tuple[str, ...] = ("sam2.1_hiera_tiny", "sam2.1_hiera_large")
    image_size: int = 1024
    small_size: int = 512
    slices: int = 24
    repeats: int = 3

    @classmethod
    def rehearsal(cls) -> Rig:
        """The smallest figures, on the processor."""
        return cls("cpu", ("compact",), 128, 128, 4, 1)

    def frames(self) -> tuple[np.ndarray, Box2D, np.ndarray]:
        """(slices, rows, cols) uint8, the box on the first slice, and the object's mask there."""
        phantom = make_phantom(max(64, self.small_size), self.slices, self.slices)
        return phantom.volume.array_kji.astype(np.uint8), Box2D.around(phantom.mask(0)), phantom.mask(0)


def equality(rig: Rig) -> Figures:
    """fp32: ours against stock SAM 2, against this machine's processor, and through transformers."""
    architecture, size = rig.architectures[0], rig.small_size
    weights = random_weights(architecture, size)
    frames, box, _ = rig.frames()
    engine = engine_of(architecture, size, weights, "fp32", rig.device)
    ours = _pass(engine, _encoded(engine, frames), frames, SlicePrompt(box=box))
    stock = StockPredictor(architecture, size, weights, rig.device)
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder), frames, lossless=True)
        states = (stock.open(Path(folder)), stock.open(Path(folder)))
        theirs = stock.from_box(states, 0, box)
    unlike = sum(int((one.mask != theirs[position]).sum()) for position, one in enumerate(ours))
    yield "equality with stock SAM 2, fp32", {"pixels_that_differ": unlike, "of_pixels": frames.size, "equal": unlike == 0}
    on_cpu = engine_of(architecture, size, weights, "fp32")
    few = frames[:3]
    yield "GPU against processor, fp32", _difference(_pass(on_cpu, _encoded(on_cpu, few), few, SlicePrompt(box=box)), ours[:3])
    import_for("This part", "transformers", "pip install transformers")
    other = _by_transformers(architecture, size, weights, rig.device)
    yield "through transformers, fp32", _difference(_pass(other, _encoded(other, few), few, SlicePrompt(box=box)), ours[:3])
    bundled = [load_engine("bundled", device=rig.device, precision="fp32", package=package) for package in ("sam2", "transformers")]
    passes = [_pass(one, _encoded(one, frames), frames, SlicePrompt(box=box)) for one in bundled]
    yield "bundled model through both packages, fp32", _difference(*passes)


def half_precision(rig: Rig) -> Figures:
    """bf16 against fp32, on the bundled model, whose masks mean something, and on random weights."""
    frames, box, _ = rig.frames()
    engines = [load_engine("bundled", device=rig.device, precision=precision) for precision in ("fp32", "bf16")]
    yield "bf16 against fp32, bundled", _difference(*(_pass(one, _encoded(one, frames), frames, SlicePrompt(box=box)) for one in engines))
    architecture, size = rig.architectures[0], rig.small_size
    weights = random_weights(architecture, size)
    engines = [engine_of(architecture, size, weights, precision, rig.device) for precision in ("fp32", "bf16")]
    passes = [_pass(one, _encoded(one, frames), frames, SlicePrompt(box=box)) for one in engines]
    yield f"bf16 against fp32, {architecture}", _difference(*passes)


def speed(rig: Rig) -> Figures:
    """Seconds of ours and of stock by architecture and precision: the first pass, the first mask, the pass after a correction."""
    frames, box, _ = rig.frames()
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder), frames, lossless=True)
        for architecture in rig.architectures:
            weights = random_weights(architecture, rig.image_size)
            stock = StockPredictor(architecture, rig.image_size, weights, rig.device)
            for precision in ("bf16", "fp32"):
                engine = engine_of(architecture, rig.image_size, weights, precision, rig.device)
                name = f"{architecture} at {rig.image_size}, {precision}"
                yield f"speed, {name}", _Race(rig, engine, stock, Path(folder), precision == "bf16").medians()
            yield f"speed, {architecture} at {rig.image_size}, bf16, stock compiled", _compiled(stock, rig, box, Path(folder))


def memory(rig: Rig) -> Figures:
    """Peak memory of the device for one pass."""
    if not rig.device.startswith("cuda"):
        yield "memory", {"skipped": "only a CUDA device counts its memory"}
        return
    frames, box, _ = rig.frames()
    for architecture in rig.architectures:
        weights = random_weights(architecture, rig.image_size)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        engine = engine_of(architecture, rig.image_size, weights, "bf16", rig.device)
        _pass(engine, _encoded(engine, frames), frames, SlicePrompt(box=box))
        ours = torch.cuda.max_memory_allocated()
        del engine
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        stock = StockPredictor(architecture, rig.image_size, weights, rig.device)
        with tempfile.TemporaryDirectory() as folder, _autocast(rig.device, True):
            write_frames(Path(folder), frames, lossless=True)
            state = stock.open(Path(folder))
            stock.from_box((state, state), 0, box)
        theirs = torch.cuda.max_memory_allocated()
        del stock, state
        gigabytes = {"ours_gb": round(ours / 1e9, 3), "stock_gb": round(theirs / 1e9, 3)}
        yield f"memory, {architecture}, bf16, {len(frames)} slices", gigabytes


def out_of_memory(rig: Rig) -> Figures:
    """A device that is too small must be told in one line, and the engine must work again once there is room."""
    if not rig.device.startswith("cuda"):
        yield "out of memory", {"skipped": "only a CUDA device can be limited"}
        return
    frames, box, _ = rig.frames()
    architecture = rig.architectures[-1]
    engine = engine_of(architecture, rig.image_size, random_weights(architecture, rig.image_size), "fp32", rig.device)
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_allocated() + (32 << 20)) / whole))
    told = ""
    try:
        engine.encode(frames[0])
    except EngineError as error:
        told = str(error)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    again = _pass(engine, _encoded(engine, frames[:2]), frames[:2], SlicePrompt(box=box))
    yield "out of memory", {"told": told, "is_told": "Out of memory" in told, "works_again": bool(np.isfinite(again[-1].logits).all())}


def training(rig: Rig) -> Figures:
    """Steps a second of training the bundled architecture, and of learning an object."""
    size = 256 if rig.device.startswith("cuda") else 64
    for bf16 in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            clips, stage = (8, 4) if rig.device.startswith("cuda") else (1, 2)
            trainer = Trainer([], Path(folder), (Stage(1 << 20, size, clips, (stage,), bf16),), pool=4, device=rig.device)
            one_step = partial(trainer._train_step, trainer.stages[0])
            one_step()
            seconds = [_seconds(one_step, rig.device) for _ in range(2 + 3 * rig.repeats)]
            loss, _, _ = one_step()
        figures = {"clips": clips, "slices": stage, "image_size": size, "seconds_a_step": round(statistics.median(seconds), 4)}
        yield f"training, {'bf16' if bf16 else 'fp32'}", figures | {"loss_is_finite": bool(np.isfinite(loss))}
    engine = load_engine("bundled", device=rig.device, precision="fp32")
    frames, _, truth = rig.frames()
    run = engine.start_learning([Lesson(engine.encode(frames[0]), truth)], LearningSettings())
    run.step()
    seconds = [_seconds(run.step, rig.device) for _ in range(2 + 10 * rig.repeats)]
    yield "learning an object, bundled", {"seconds_a_step": round(statistics.median(seconds), 4)}


# In the order of what is most worth knowing, should time run out.
PARTS: tuple[Callable[[Rig], Figures], ...] = (equality, half_precision, out_of_memory, memory, training, speed)


def _encoded(engine: SegmentationEngine, frames: np.ndarray) -> list[Embedding]:
    return [engine.encode(frame) for frame in frames]


def _pass(engine: SegmentationEngine, embeddings: list[Embedding], frames: np.ndarray, prompt: SlicePrompt) -> list[SlicePrediction]:
    """From the first slice to the last."""
    track = engine.start_track(frames.shape[1:], len(frames), False)
    first = track.condition(0, embeddings[0], prompt)
    return [first, *(track.step(position, embeddings[position]) for position in range(1, len(frames)))]


def _difference(some: list[SlicePrediction], others: list[SlicePrediction]) -> dict[str, Any]:
    logits = max(float(np.abs(a.logits - b.logits).max()) for a, b in zip(some, others, strict=True))
    both = sum(int((a.mask & b.mask).sum()) for a, b in zip(some, others, strict=True))
    all_of = sum(int(a.mask.sum()) + int(b.mask.sum()) for a, b in zip(some, others, strict=True))
    unlike = sum(int((a.mask != b.mask).sum()) for a, b in zip(some, others, strict=True))
    dsc = round(2 * both / all_of, 5) if all_of else None
    return {"largest_difference_of_logits": round(logits, 6), "pixels_that_differ": unlike, "dsc": dsc}


def _by_transformers(architecture: str, size: int, weights: dict[str, torch.Tensor], device: str) -> SegmentationEngine:
    from ..engine.models.transformers_models import build_model, sam2_shape
    from ..engine.transformers_engine import TransformersEngine

    shape = sam2_shape(ARCHITECTURES[architecture], size)
    model = build_model(shape)
    model.load_state_dict(to_transformers(weights))
    return TransformersEngine(model.to(device), shape, architecture, "random", Compute(device, False, False), architecture)


class _Race:
    """Ours and stock in turn, on the same frames. Stock's first pass includes reading them, ours encoding them."""

    def __init__(self, rig: Rig, engine: SegmentationEngine, stock: StockPredictor, folder: Path, bf16: bool):
        self._rig, self._engine, self._stock, self._folder, self._bf16 = rig, engine, stock, folder, bf16
        self._frames, self._box, self._truth = rig.frames()

    def medians(self) -> dict[str, Any]:
        """Seconds, and stock's share of ours by what a person waits for. The first round warms up and does not count."""
        rounds = [{**self._ours(), **self._theirs()} for _ in range(self._rig.repeats + 1)][1:]
        medians = {f"{name}_s": round(statistics.median(one[name] for one in rounds), 4) for name in rounds[0]}
        ratios = {
            f"ratio_{what}": round(statistics.median(one[f"stock_{what}"] / one[f"ours_{what}"] for one in rounds), 2)
            for what in ("first_pass", "first_mask", "correction")
        }
        return {"slices": len(self._frames), "rounds": len(rounds)} | medians | ratios

    def _ours(self) -> dict[str, float]:
        engine, frames, device = self._engine, self._frames, self._rig.device
        by_box, by_mask = SlicePrompt(box=self._box), SlicePrompt(mask=self._truth)
        embeddings: list[Embedding] = []
        encoding = _seconds(lambda: embeddings.extend(_encoded(engine, frames)), device)
        passing = _seconds(lambda: _pass(engine, embeddings, frames, by_box), device)
        preview = engine.start_track(frames.shape[1:], len(frames), False)
        return {
            "ours_encode_a_slice": encoding / len(frames),
            "ours_first_pass": encoding + passing,
            "ours_first_mask": _seconds(lambda: preview.condition(0, embeddings[0], by_box), device),
            "ours_correction": _seconds(lambda: _pass(engine, embeddings, frames, by_mask), device),
        }

    def _theirs(self) -> dict[str, float]:
        stock, device, box = self._stock, self._rig.device, self._box
        corners = np.array([box.col_start, box.row_start, box.col_stop, box.row_stop], dtype=np.float32)
        with _autocast(device, self._bf16):
            states: list[dict] = []
            opening = _seconds(lambda: states.append(stock.open(self._folder)), device)
            state = states[0]
            return {
                "stock_first_mask": _seconds(lambda: stock.predictor.add_new_points_or_box(state, 0, 1, box=corners), device),
                "stock_first_pass": opening + _seconds(lambda: stock.from_box((state, state), 0, box), device),
                "stock_correction": _seconds(lambda: stock.from_mask((state, state), 0, self._truth), device),
            }


def _compiled(stock: StockPredictor, rig: Rig, box: Box2D, folder: Path) -> dict[str, Any]:
    """Stock with its image encoder and memory encoder compiled (memory attention would be compiled anew for each length)."""
    if not rig.device.startswith("cuda"):
        return {"skipped": "compiled on CUDA devices only"}
    encoder, memory_encoder = stock.predictor.image_encoder, stock.predictor.memory_encoder
    plain = encoder.forward, memory_encoder.forward
    try:
        encoder.forward = torch.compile(encoder.forward, dynamic=False)
        memory_encoder.forward = torch.compile(memory_encoder.forward, dynamic=False)
        with _autocast(rig.device, True):
            state = stock.open(folder)
            compiling = _seconds(lambda: stock.from_box((state, state), 0, box), rig.device)
            seconds = [_seconds(lambda: stock.from_box((state, state), 0, box), rig.device) for _ in range(rig.repeats)]
    except RuntimeError as error:  # no compiler on this machine, or one that does not fit: the other figures are still worth having
        return {"failed": " ".join(str(error).split())[:200]}
    finally:
        encoder.forward, memory_encoder.forward = plain
    return {"stock_pass_after_opening_s": round(statistics.median(seconds), 4), "first_time_s": round(compiling, 1)}


def _seconds(work: Callable[[], Any], device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - started


@contextlib.contextmanager
def _autocast(device: str, bf16: bool) -> Iterator[None]:
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16):
        yield
