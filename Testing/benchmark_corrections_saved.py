"""Corrections saved: what was learned from some volumes, on others that an annotator reviews with and without it.

    .venv/bin/python Testing/benchmark_corrections_saved.py IMAGES LABELS --axis coronal --window mr --learn-from 3 --then 16 --steps 400

IMAGES and LABELS are folders whose files have the same names; all voxels that are not 0 are the object. The annotator is the study's
(`simulation`): a jittered box on the center slice, marked ends, every mask of DSC 0.8 or less corrected. It prints a line a volume and
the paired test at the end; so far as it got, if it is stopped.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from SAM2AnnotateLib.adaptation import AnnotatedSlice, LearningOptions, learn, learned
from SAM2AnnotateLib.engine import load_engine
from SAM2AnnotateLib.simulated_learning import SeriesCase, taught_slices
from SAM2AnnotateLib.simulation.acceptance import Acceptance
from SAM2AnnotateLib.simulation.bench import Bench
from SAM2AnnotateLib.simulation.objects import StackedTruth, truth_objects
from SAM2AnnotateLib.simulation.reader import MaskMemory, ReaderRules
from SAM2AnnotateLib.simulation.simulate import SimulatedObject, simulate
from SAM2AnnotateLib.simulation.workflow import Workflow
from SAM2AnnotateLib.statistics import wilcoxon_signed_rank
from SAM2AnnotateLib.volume_io import read_volume

RULE, WAY = Acceptance(dsc=0.8), Workflow("box and memory")


def main() -> None:
    options = parsed()
    engine = load_engine("bundled", precision="fp32", device="cpu")
    files = [
        options.images / name for name in np.random.default_rng(options.seed).permutation(sorted(p.name for p in options.images.iterdir()))
    ]
    cases = (case_of(file, options, engine, number) for number, file in enumerate(files))
    slices: list[AnnotatedSlice] = []
    for _ in range(options.learn_from):
        case = next(cases)
        done = reviewed(case, case.bench)
        drawn = [case.bench.stack.position_of(one.slice_index) for one in done.slices if one.corrected]
        slices += taught_slices(case, done.masks, WAY.roi, drawn)
        say(f"learned from {case.name}: {done.corrected} of {len(done.slices)} slices corrected")
    outcome = learned(learn(slices, options=LearningOptions(steps=options.steps)))
    say(outcome.text)
    if outcome.adapter is None:
        return
    say(f"serves {', '.join(outcome.adapter.card.serves)}; held out: {dict(outcome.before)} -> {dict(outcome.after)}")
    rows: list[tuple[float, float]] = []
    for case in (next(cases) for _ in range(options.then)):
        plain, taught = (reviewed(case, bench) for bench in (case.bench, case.bench.with_adapter(outcome.adapter)))
        rows.append((1 - plain.corrected / len(plain.slices), 1 - taught.corrected / len(taught.slices)))
        without, with_it = np.mean(rows, axis=0)
        p = wilcoxon_signed_rank([b for _, b in rows], [a for a, _ in rows]).p_value
        say(
            f"{case.name}: accepted {rows[-1][0]:.3f} without, {rows[-1][1]:.3f} with; mean of {len(rows)}: {without:.3f}, {with_it:.3f} "
            f"({100 * (with_it - without):+.1f} points, p = {p:.4f})"
        )


def reviewed(case: SeriesCase, bench: Bench) -> SimulatedObject:
    done = simulate(bench, case.memory, WAY, RULE, case.new_rng())
    bench.engine.forget()
    return done


def case_of(file: Path, options: argparse.Namespace, engine, number: int) -> SeriesCase:
    volume, labels = read_volume(file), read_volume(options.labels / file.name)
    bench = Bench(volume, engine, options.axis, options.window)
    (one,), _ = truth_objects((labels.array_kji > 0).astype(np.uint8), [1], separate=False)
    memory = MaskMemory(StackedTruth.of(one, bench.stack), bench.stack.frame_spacing_rc_mm, ReaderRules())
    return SeriesCase(file.name.split(".")[0], bench, memory, lambda: np.random.default_rng([options.seed, number]))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("labels", type=Path)
    for name, kind, default in (
        ("axis", str, "k"),
        ("window", str, "auto"),
        ("learn-from", int, 3),
        ("then", int, 10),
        ("steps", int, 400),
        ("seed", int, 0),
    ):
        parser.add_argument(f"--{name}", type=kind, default=default)
    return parser.parse_args()


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M')} {time.process_time():4.0f} s  {text}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
