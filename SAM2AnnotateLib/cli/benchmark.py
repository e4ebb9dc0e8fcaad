"""``sam2annotate benchmark``: ours against stock SAM 2, as ratios. Imports the benchmark inside functions."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path

_PARTS = ("propagation", "first-mask", "whole-volume", "memory", "sweep", "busy", "learning", "models")
_EXPLANATION = """parts:
  propagation   (a) first propagation and (b) the one after a correction; hiera tiny, fp32, same frames, alternating runs
  first-mask    (c) from box to mask on an encoded slice
  whole-volume  (d) ours with its CPU defaults against stock at 1024 px on the whole volume through JPEG files (minutes)
  memory        (e) peak memory, each case in its own process
  sweep         (f) a study's sweep of 38 thresholds on a case against one simulation of it; bundled model, real CT,
                one thread, as a study's workers
  busy          (g) segment on the sample while as many programs as there are cores keep them busy, against the same without;
                with OMP_WAIT_POLICY=ACTIVE set it shows what threads that spin where they wait would cost
  learning      (h) learning from five slices with the defaults, slices held out in turn, all of them encoded before
  models        (i) EdgeTAM at 512 and 1024 px against hiera tiny at --image-size, fp32 and bf16: encode, first mask, step,
                correction of 4 slices; and the bundled model. Needs transformers
Official weights cannot be downloaded everywhere, so hiera tiny runs with random ones: times do not depend on them.

examples:
  sam2annotate benchmark --json figures.json                   everything; about 20 minutes on 2 cores
  sam2annotate benchmark --parts propagation first-mask        a few minutes
  sam2annotate benchmark --parts whole-volume --stock-slices 5 stock measured on 11 of 120 slices, and scaled
"""


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "benchmark", help="measure speed and memory against stock SAM 2", epilog=_EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter, description="Measure speed and memory against stock SAM 2 on the CPU.",
    )  # fmt: skip
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS))
    parser.add_argument("--repeats", type=int, default=3, help="alternating runs; the median of their ratios counts (default: 3)")
    parser.add_argument("--slices", type=int, default=13, help="slices of the propagation part (default: 13)")
    parser.add_argument("--image-size", type=int, default=512, help="pixels per side of the parts propagation and models (default: 512)")
    parser.add_argument("--stock-slices", type=int, metavar="N", help="(d): stock goes N slices each way, scaled up (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ..adaptation import LearningOptions
    from ..atomic_files import write_text_atomically
    from ..benchmark import parts
    from ..benchmark.busy import busy_cores
    from ..benchmark.learning_cost import learning_cost
    from ..benchmark.sweep_cost import sweep_cost

    work = {
        "propagation": lambda: parts.propagation(options.repeats, options.slices, options.image_size),
        "first-mask": lambda: parts.first_mask(options.repeats),
        "whole-volume": lambda: parts.whole_volume(options.stock_slices),
        "memory": parts.memory,
        "sweep": lambda: sweep_cost(options.repeats),
        "learning": lambda: learning_cost(LearningOptions().seconds),
        "busy": lambda: busy_cores(options.repeats),
        "models": lambda: _model_speeds(options.repeats, options.image_size),
    }
    machine = {"processor": platform.processor() or platform.machine(), "threads": parts.thread_count(), "torch": parts.torch_version()}
    results = {}
    print(f"machine: {machine}", file=sys.stderr)
    for part in options.parts:
        for name, figures in work[part]():
            results[name] = figures
            print(f"{name:34s} " + "  ".join(f"{key} {value}" for key, value in figures.items()), flush=True)
    if options.json:
        write_text_atomically(options.json, json.dumps({"machine": machine, "results": results}, indent=1) + "\n")
    return 0


def _model_speeds(repeats: int, image_size: int):
    from ..benchmark.model_speeds import model_speeds

    return model_speeds(repeats, image_size)
