"""What a whole threshold sweep of a case costs, in simulations of that case. Imports simulation, engine, geometry, volume_io, torch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ..engine import SegmentationEngine, load_engine
from ..geometry import Volume
from ..simulation.acceptance import Acceptance
from ..simulation.bench import Bench
from ..simulation.objects import StackedTruth, TruthObject, truth_objects
from ..simulation.reader import MaskMemory, ReaderRules
from ..simulation.simulate import simulate
from ..simulation.sweep import sweep
from ..simulation.workflow import Workflow
from ..volume_io import read_volume

_SAMPLE = Path(__file__).resolve().parents[1] / "sample_data" / "ct_sarcoma_003"
# Nineteen thresholds of each metric, from nearly nothing corrected to nearly everything.
_SWEPT = [round(0.60 + 0.02 * n, 2) for n in range(19)]
# The simulation that a sweep is compared with corrects about this share of slices, as the study's middle scenario.
_SHARE = 0.4


def sweep_cost(repeats: int) -> Iterator[tuple[str, dict]]:
    """(f) the sweep against one simulation, each from nothing but the loaded model, alternating; real CT, bundled model, one box.

    On one thread, as a study's workers compute. With a model whose encoder takes a larger part of the time, the ratio is smaller.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield _measured(repeats)
    finally:
        torch.set_num_threads(threads)


def _measured(repeats: int) -> tuple[str, dict]:
    image = read_volume(_SAMPLE / "image.nii.gz")
    objects, _ = truth_objects(read_volume(_SAMPLE / "label.nii.gz").array_kji, [1], separate=False)
    engine = load_engine("bundled", device="cpu", precision="fp32")
    rules = [Acceptance(dsc=t) for t in _SWEPT] + [Acceptance(nsd=t) for t in _SWEPT]
    counts, slices, _ = _sweep(image, objects[0], engine, rules)
    middle = rules[int(np.argmin([abs(count / slices - _SHARE) for count in counts]))]
    ratios, one_seconds, all_seconds = [], [], []
    for _ in range(repeats):
        started = time.perf_counter()
        alone = _one(image, objects[0], engine, middle)
        one_seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
        _, _, shared = _sweep(image, objects[0], engine, rules)
        all_seconds.append(time.perf_counter() - started)
        ratios.append(all_seconds[-1] / one_seconds[-1])
    return (
        "f sweep of all thresholds",
        {
            "one_simulation_seconds": round(statistics.median(one_seconds), 3),
            "sweep_seconds": round(statistics.median(all_seconds), 3),
            "ratio": round(statistics.median(ratios), 2),
            "thresholds": len(rules),
            "slices": slices,
            "encoded_by_one": alone.encoded,
            "encoded_by_sweep": shared.encoded,
            "predicted_by_one": alone.computed,
            "predicted_by_sweep": shared.computed,
            "runs": repeats,
        },
    )


def _sweep(image: Volume, one: TruthObject, engine: SegmentationEngine, rules: list[Acceptance]):
    bench, memory = _fresh(image, one, engine)
    counts = sweep(bench, memory, Workflow("box"), rules, lambda: np.random.default_rng(0))
    return counts, len(memory.truth.extent), bench.engine


def _one(image: Volume, one: TruthObject, engine: SegmentationEngine, rule: Acceptance):
    bench, memory = _fresh(image, one, engine)
    simulate(bench, memory, Workflow("box"), rule, np.random.default_rng(0))
    return bench.engine


def _fresh(image: Volume, one: TruthObject, engine: SegmentationEngine) -> tuple[Bench, MaskMemory]:
    bench = Bench(image, engine, "axial", "abdomen")
    return bench, MaskMemory(StackedTruth.of(one, bench.stack), bench.stack.frame_spacing_rc_mm, ReaderRules())
