"""``python -m SAM2AnnotateLib.benchmark.series CASES``: corrections saved by learning, volume after volume, and inside one volume.

A simulated annotator goes through volumes of one object, one after another: a jittered box on the center slice, marked ends, every mask of
DSC 0.8 or less corrected. Once the model never learns; once it learns after each volume. CASES holds ``images`` and ``labels`` with files
of the same names, or one folder a case with ``image.*`` and ``label.*``. Imports the library; scipy for the test.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..adaptation import LearningOptions, LearningOutcome
from ..atomic_files import write_text_atomically
from ..engine import SegmentationEngine, load_engine
from ..errors import InputError
from ..simulated_learning import SeriesCase, annotate_series, annotate_with_learning
from ..simulation.acceptance import Acceptance
from ..simulation.bench import Bench
from ..simulation.embedding_files import EmbeddingFiles
from ..simulation.objects import StackedTruth, truth_objects
from ..simulation.reader import MaskMemory, ReaderRules
from ..simulation.simulate import simulate
from ..simulation.workflow import Workflow
from ..statistics import wilcoxon_signed_rank
from ..volume_io import read_volume, resample_nearest

RULE, WAY = Acceptance(dsc=0.8), Workflow("box and memory")
_FIRST_COUNTED = 3
_LARGEST_CACHE_BYTES = 20 << 30


@dataclass(frozen=True)
class SeriesRow:
    """One volume of a series.

    Args:
        series: which one, from 1.
        number: of the volume in it, from 1.
        without, learning: share of its slices that were accepted as proposed.
        dsc_without, dsc_learning: mean DSC of the slices as proposed.
        serves: kinds of prompt that what had been learned before it answers.
        cpu_seconds: processor time of learning after it.
    """

    case: str
    series: int
    number: int
    slices: int
    without: float
    learning: float
    dsc_without: float
    dsc_learning: float
    serves: tuple[str, ...]
    cpu_seconds: float


def found_cases(folder: Path, pattern: str) -> list[tuple[str, Path, Path]]:
    """(name, image, label map) of the cases in a folder, by name. Raises InputError if there are none."""
    if (folder / "images").is_dir():
        found = [(file.name.split(".")[0], file, folder / "labels" / file.name) for file in (folder / "images").glob(pattern)]
    else:
        one = [(case, sorted(case.glob("image.*")), sorted(case.glob("label.*"))) for case in folder.glob(pattern)]
        found = [(case.name, images[0], labels[0]) for case, images, labels in one if images and labels]
    if not found:
        raise InputError(f"'{folder}' holds no case '{pattern}': expected images/ and labels/, or folders with image.* and label.*.")
    return sorted(found)


def series_case(
    named: tuple[str, Path, Path],
    engine: SegmentationEngine,
    number: int,
    values: Sequence[int] = (),
    axis: str = "k",
    window: str = "auto",
    files: EmbeddingFiles | None = None,
) -> SeriesCase:
    """A case, its object made of these label values, or of all that are not 0."""
    name, image, label = named
    volume = read_volume(image)
    labels = resample_nearest(read_volume(label), volume.grid).array_kji
    mask = np.isin(labels, values) if values else labels > 0
    (one,), _ = truth_objects(mask.astype(np.uint8), [1], separate=False)
    bench = Bench(volume, engine, axis, window, files)
    memory = MaskMemory(StackedTruth.of(one, bench.stack), bench.stack.frame_spacing_rc_mm, ReaderRules())
    return SeriesCase(name, bench, memory, lambda: np.random.default_rng([number]))


def series_rows(
    cases: Sequence[SeriesCase], options: LearningOptions, series: int = 1
) -> Iterator[tuple[SeriesRow, LearningOutcome | None]]:
    """One row a volume, with what came of learning after it."""
    started = time.process_time()
    for volume in annotate_series(cases, WAY, RULE, options):
        seconds, case = time.process_time() - started, volume.case
        plain = simulate(case.bench, case.memory, WAY, RULE, case.new_rng())
        case.bench.engine.forget()
        accepted = [round(1 - done.corrected / len(done.slices), 4) for done in (plain, volume.done)]
        dsc = [round(float(np.nanmean([one.score.dsc for one in done.slices])), 4) for done in (plain, volume.done)]
        serves = () if volume.adapter is None else volume.adapter.card.serves
        row = SeriesRow(
            case.name, series, volume.number, len(plain.slices), accepted[0], accepted[1], dsc[0], dsc[1], serves, round(seconds, 1)
        )
        yield row, volume.lesson
        started = time.process_time()


def line_of(row: SeriesRow) -> str:
    """A row of the table."""
    shares = f"{100 * row.without:.1f} % | {100 * row.learning:.1f} % | {row.dsc_without:.3f} | {row.dsc_learning:.3f}"
    return f"| {row.series} | {row.number} | {row.case} | {row.slices} | {shares} | {', '.join(row.serves)} | {row.cpu_seconds:.0f} |"


def summary_of(rows: Sequence[SeriesRow]) -> str:
    """From the third volume on: shares accepted, their difference, and whether it is one by chance; paired by volume."""
    counted = [row for row in rows if row.number >= _FIRST_COUNTED]
    if not counted:
        return "No third volume yet."
    without, learning = (np.array([getattr(row, name) for row in counted]) for name in ("without", "learning"))
    gain = 100 * (learning - without)
    slices = np.array([row.slices for row in counted])
    by_slice = 100 * float(((learning - without) * slices).sum() / slices.sum())
    test = wilcoxon_signed_rank(list(learning), list(without))
    return (
        f"From volume {_FIRST_COUNTED} on, {len(counted)} volumes: accepted {100 * without.mean():.1f} % without learning, "
        f"{100 * learning.mean():.1f} % with; {gain.mean():+.1f} points (of all slices together {by_slice:+.1f}; worst volume "
        f"{gain.min():+.1f}, {int((gain > 0).sum())} gain, {int((gain < 0).sum())} lose), p = {test.p_value:.2g} (Wilcoxon, by volume)"
    )


def inside_line(
    case: SeriesCase, options: LearningOptions, learn_after: Sequence[int] = (3, 5), rule: Acceptance = RULE
) -> tuple[str, list[tuple[float, ...]]]:
    """A volume with learning inside it against never: rows of a table, and (DSC before, after, accepted before, after) of each moment."""
    counts = []
    for how in (None, options):
        done = annotate_with_learning(case, WAY, rule, how, learn_after)
        case.bench.engine.forget()
        counts.append(done.corrected)
    moments: list[tuple[float, ...]] = [
        (one.memory_dsc, one.learned_dsc, one.memory_accepted, one.learned_accepted, one.open_slices, one.corrections)
        for one in done.moments
    ]
    told = "; ".join(
        f"after {m[5]}: {m[4]} open, DSC {m[0]:.3f} -> {m[1]:.3f}, accepted {100 * m[2]:.0f} -> {100 * m[3]:.0f} %" for m in moments
    )
    total = len(case.memory.truth.extent)
    return f"| {case.name} | {total} | {counts[0]} | {counts[1]} | {told or 'never so many corrections'} |", moments


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m SAM2AnnotateLib.benchmark.series", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("cases", type=Path, help="folder of cases")
    add("--cases", dest="pattern", default="*", metavar="GLOB", help="which of them (default: all)")
    add("--values", type=int, nargs="+", default=[], help="label values of the object (default: all that are not 0)")
    add("--axis", default="k")
    add("--window", default="auto")
    add(
        "--series",
        type=int,
        default=10,
        metavar="N",
        help="volumes of each series; cases are dealt out in an order by --seed (default: 10)",
    )
    add("--steps", type=int, default=400, help="of each learning (default: 400)")
    add("--seed", type=int, default=0)
    add("--inside", action="store_true", help="learn inside each volume instead, after the 3rd and the 5th correction")
    add("--checkpoint", default="bundled")
    add("--embeddings", type=Path, metavar="FOLDER", help="keep embeddings there, for the next time")
    add("--json", type=Path, help="write the rows")
    options = parser.parse_args(arguments)
    engine = load_engine(options.checkpoint)
    files = None if options.embeddings is None else EmbeddingFiles(options.embeddings, _LARGEST_CACHE_BYTES)
    named = found_cases(options.cases, options.pattern)
    order = np.random.default_rng(options.seed).permutation(len(named)).tolist()
    how = LearningOptions(steps=options.steps, seed=options.seed)

    def cases(numbers: Sequence[int]) -> list[SeriesCase]:
        return [series_case(named[n], engine, n, options.values, options.axis, options.window, files) for n in numbers]

    if options.inside:
        _inside((case for number in order for case in cases([number])), how)
        return 0
    rows: list[SeriesRow] = []
    print(
        "| series | volume | case | slices | accepted without | with learning | DSC without | with | answers | CPU s |\n"
        + "|---" * 10
        + "|"
    )
    for start in range(0, len(order), options.series):
        dealt = order[start : start + options.series]
        if len(dealt) < _FIRST_COUNTED:
            break
        for row, _ in series_rows(cases(dealt), how, start // options.series + 1):
            rows.append(row)
            print(line_of(row), flush=True)
            if options.json:
                facts = {"engine": engine.describe(), "steps": options.steps, "volumes": [asdict(one) for one in rows]}
                write_text_atomically(options.json, json.dumps(facts, indent=1) + "\n")
        print(summary_of(rows), flush=True)
    return 0


def _inside(cases: Iterator[SeriesCase], how: LearningOptions) -> None:
    print("| case | slices | corrected without | with learning | open slices before and after learning |\n" + "|---" * 5 + "|")
    seen: list[tuple[float, ...]] = []
    for case in cases:
        line, moments = inside_line(case, how)
        seen += moments
        print(line, flush=True)
    if seen:
        memory, learned, accepted, then = np.mean(seen, axis=0)[:4]
        print(f"{len(seen)} times: DSC of open slices {memory:.3f} -> {learned:.3f}, accepted {100 * accepted:.1f} -> {100 * then:.1f} %")


if __name__ == "__main__":
    raise SystemExit(main())
