"""The parts of the benchmark. Each returns plain numbers. Imports the rest of this room, the library and torch."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from hydra.utils import instantiate

from ..annotator import Annotator
from ..engine import load_engine
from ..engine.compute import Compute
from ..engine.loading import _choose_bf16
from ..engine.models.model_configs import ARCHITECTURES, model_config
from ..engine.models.position_codes import keep_hiera_codes
from ..engine.sam2_engine import Sam2Engine
from .phantom import Phantom, make_phantom
from .stock import StockPredictor, write_frames

_TINY = "sam2.1_hiera_tiny"
_Result = TypeVar("_Result")


def torch_version() -> str:
    """For the record."""
    return str(torch.__version__)


def thread_count() -> int:
    """CPU threads that both sides compute with."""
    return torch.get_num_threads()


def random_weights(architecture: str, image_size: int) -> dict[str, torch.Tensor]:
    """Seeded random weights; the object score is set to "present", so that the masks are not all empty."""
    torch.manual_seed(0)
    model = instantiate(model_config(ARCHITECTURES[architecture], image_size))
    torch.nn.init.constant_(model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias, 5.0)
    return model.state_dict()


def engine_of(architecture: str, image_size: int, weights: dict[str, torch.Tensor], precision: str, device: str = "cpu") -> Sam2Engine:
    """Our engine on given weights."""
    shape = ARCHITECTURES[architecture]
    model = instantiate(model_config(shape, image_size)).eval()
    model.load_state_dict(weights)
    keep_hiera_codes(model)
    bf16 = _choose_bf16(torch, precision, device, shape.width)
    return Sam2Engine(model.to(device), architecture, "random", Compute(device, bf16, half_embeddings=precision != "fp32"))


def propagation(repeats: int, slices: int, image_size: int) -> Iterator[tuple[str, dict]]:
    """(a) the first propagation and (b) the one after a correction, matched settings: hiera tiny, fp32, whole slices, same frames."""
    weights = random_weights(_TINY, image_size)
    engine, stock = engine_of(_TINY, image_size, weights, "fp32"), StockPredictor(_TINY, image_size, weights)
    phantom = make_phantom(512, slices, slices)
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder), phantom.volume.array_kji.astype(np.uint8), lossless=True)
        rounds = [_propagation_round(engine, stock, phantom, Path(folder)) for _ in range(repeats)]
    facts = {"model": _TINY, "weights": "random", "image_size": image_size, "precision": "fp32", "slices": slices}
    yield "a first propagation", {**facts, **_ratio([one["first"] for one in rounds]), "masks_equal": all(one["equal"] for one in rounds)}
    yield "b after a correction", {**facts, **_ratio([one["after"] for one in rounds])}


def _propagation_round(engine: Sam2Engine, stock: StockPredictor, phantom: Phantom, folder: Path) -> dict:
    """Ours and stock once each: (ours, stock) seconds of both propagations, and whether the first gave the same masks."""
    item = _marked(Annotator(phantom.volume, engine, window="0,255", roi="full"), phantom)
    ours_first, results = _timed(lambda: list(item.propagate()))
    opening, states = _timed(lambda: (stock.open(folder), stock.open(folder)))
    stock_first, theirs = _timed(lambda: stock.from_box(states, phantom.center, phantom.box))
    corrected = phantom.center + max(1, len(phantom.extent) // 4)
    truth = phantom.mask(corrected)
    ours_after, _ = _timed(lambda: list(item.correct(corrected, truth)))
    stock_after, _ = _timed(lambda: stock.from_mask(states, corrected, truth))
    equal = all(np.array_equal(result.mask, theirs[result.position]) for result in results)
    return {"first": (ours_first, opening + stock_first), "after": (ours_after, stock_after), "equal": equal}


def first_mask(repeats: int) -> Iterator[tuple[str, dict]]:
    """(c) from box to mask on a slice that is encoded: the time a person waits for the preview."""
    for name, engine in (
        ("bundled", load_engine("bundled", device="cpu")),
        ("hiera tiny", engine_of(_TINY, 512, random_weights(_TINY, 512), "fp32")),
    ):
        phantom = make_phantom(512, 3, 3)
        item = _marked(Annotator(phantom.volume, engine, window="0,255"), phantom)
        encoding, _ = _timed(item.preview)
        times = [_timed(item.preview)[0] for _ in range(max(5, repeats))]
        yield (
            f"c box to first mask, {name}",
            {
                "image_size": engine.image_size,
                "milliseconds": round(1000 * statistics.median(times), 1),
                "milliseconds_not_encoded": round(1000 * encoding, 1),
            },
        )


def whole_volume(stock_slices: int | None) -> Iterator[tuple[str, dict]]:
    """(d) ours with its CPU defaults against stock as the peers use it: 1024 pixels, the whole volume through JPEG files.

    Args:
        stock_slices: how far stock propagates on each side, None for the whole volume. Less is scaled up by slices, and said so.
    """
    phantom = make_phantom(512, 120, 40)
    weights = random_weights(_TINY, 1024)
    engine = engine_of(_TINY, 512, weights, "auto")
    ours, _ = _timed(lambda: list(_marked(Annotator(phantom.volume, engine, window="0,255"), phantom).propagate()))
    stock = StockPredictor(_TINY, 1024, weights)
    with tempfile.TemporaryDirectory() as folder:
        writing, _ = _timed(lambda: write_frames(Path(folder), phantom.volume.array_kji.astype(np.uint8), lossless=False))
        opening, state = _timed(lambda: stock.open(Path(folder)))
        propagating, done = _timed(lambda: stock.from_box((state, state), phantom.center, phantom.box, stock_slices))
    scale = 120 / len(done)
    theirs = writing + opening + scale * propagating
    yield (
        "d whole job",
        {
            "ours": f"512 px {engine.describe()['precision']}, 40 slices of the extent",
            "stock": "1024 px fp32, 120 slices through JPEG"
            + ("" if scale == 1 else f", {len(done)} slices measured, scaled by {scale:.2f}"),
            "ours_seconds": round(ours, 2),
            "stock_seconds": round(theirs, 2),
            "ratio": round(theirs / ours, 2),
        },
    )


def memory() -> Iterator[tuple[str, dict]]:
    """(e) peak memory of hiera tiny, each case in a process of its own, less what the volume itself takes."""
    ours = {"who": "ours", "image_size": 512}
    cases = {
        "e ours, 120 slices, extent 20": {**ours, "slices": 120, "object_slices": 20},
        "e ours, 600 slices, extent 20": {**ours, "slices": 600, "object_slices": 20},
        "e ours, 120 slices, extent 100": {**ours, "slices": 120, "object_slices": 100},
        "e ours, extent 100, cache 50 MB": {**ours, "slices": 120, "object_slices": 100, "cache_mb": 50},
        "e stock, 120 slices, 512 px": {"who": "stock", "slices": 120, "object_slices": 20, "image_size": 512},
        "e stock, 120 slices, 1024 px": {"who": "stock", "slices": 120, "object_slices": 20, "image_size": 1024},
    }
    for name, case in cases.items():
        command = [sys.executable, "-m", "SAM2AnnotateLib.benchmark.memory_of_one", json.dumps(case)]
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
        yield name, json.loads(finished.stdout.splitlines()[-1])


def _marked(annotator: Annotator, phantom: Phantom):
    box = phantom.box
    corners = ((box.col_start, box.row_start), (box.col_stop, box.row_stop))
    return annotator.new_object(phantom.center, box=corners, extent=(phantom.extent.first, phantom.extent.last))


def _timed(work: Callable[[], _Result]) -> tuple[float, _Result]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def _ratio(pairs: list[tuple[float, float]]) -> dict:
    return {
        "ours_seconds": round(statistics.median(ours for ours, _ in pairs), 3),
        "stock_seconds": round(statistics.median(stock for _, stock in pairs), 3),
        "ratio": round(statistics.median(stock / ours for ours, stock in pairs), 2),
        "runs": len(pairs),
    }
