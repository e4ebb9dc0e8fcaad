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
from ..engine import load_engine
from ..simulated_learning import SeriesCase, annotate_series
from ..simulation.acceptance import Acceptance
from ..simulation.embedding_files import EmbeddingFiles
from ..simulation.simulate import simulate
from ..simulation.workflow import Workflow
from ..statistics import wilcoxon_signed_rank
from .inside import add_arguments, measured
from .series_cases import found_cases, series_case

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
    add("--inside", action="store_true", help="learn inside each volume instead, as benchmark.inside does")
    add_arguments(parser)
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
        one_by_one = [(named[number][0], lambda number=number: cases([number])[0]) for number in order]
        measured(one_by_one, how, Acceptance(dsc=options.accept), options.order, options.json, engine)
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


if __name__ == "__main__":
    raise SystemExit(main())
