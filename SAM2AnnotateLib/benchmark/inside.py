"""``python -m SAM2AnnotateLib.benchmark.inside CASES``: what learning inside a volume does to its open slices, and corrections saved.

A simulated annotator reviews an object from a jittered box on its center slice. Once the model never learns; once it learns from the locked
slices after the 3rd and the 5th correction. The open slices are scored right before, as SAM 2's memory has them, and right after: those
between locked slices and those beyond, apart. Objects that the bundled model was not trained on. Imports the library; scipy for the test.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..adaptation import LearningOptions
from ..atomic_files import write_text_atomically
from ..engine import SegmentationEngine, load_engine
from ..errors import InputError
from ..simulated_learning import LearningMoment, OpenSlice, SeriesCase, annotate_with_learning
from ..simulation.acceptance import Acceptance
from ..simulation.embedding_files import EmbeddingFiles
from ..simulation.workflow import ORDERS, Workflow
from ..statistics import wilcoxon_signed_rank
from .series_cases import found_cases, series_case

LEARN_AFTER = (3, 5)
LARGEST_CACHE_BYTES = 20 << 30
_LARGE_LOSS = 0.02
_HEAD = "| object | slices | corrected without | with learning | after | open: between, beyond | DSC between | DSC beyond | accepted |"


@dataclass(frozen=True)
class NamedObject:
    """An object of the shared cases.

    Args:
        case: folder, or ``hippo_study/NAME`` for a file of that folder's images and labels.
        values: label values that make it; empty for all that are not 0.
        name: for the table.
        aside: whether it was left aside while the rules were chosen.
        axis, window: as of `Annotator`.
    """

    case: str
    values: tuple[int, ...]
    name: str
    aside: bool
    axis: str = "k"
    window: str = "auto"

    def read(self, folder: Path, engine: SegmentationEngine, files: EmbeddingFiles | None = None) -> SeriesCase:
        """The object on its volume, before anybody has annotated it. Raises InputError if `folder` does not hold it."""
        inner, _, pattern = self.case.rpartition("/")
        (found,) = found_cases(folder / inner, f"{pattern}.*" if inner else pattern)
        return series_case((self.name, *found[1:]), engine, 0, self.values, self.axis, self.window, files)


def _hippocampi(numbers: str, aside: bool, value: int = 0) -> tuple[NamedObject, ...]:
    name, values = {0: ("hippocampus", ()), 1: ("hippocampus, head", (1,)), 2: ("hippocampus, body", (2,))}[value]
    return tuple(
        NamedObject(f"hippo_study/hippocampus_{number}", values, f"{name} {number}", aside, "coronal", "mr") for number in numbers.split()
    )


def _ribs(*values: int) -> tuple[NamedObject, ...]:
    return tuple(NamedObject("ct_abdomen_ts", (value,), f"rib {value}", True) for value in values)


OBJECTS = (
    NamedObject("ct_liver_chaos", (1,), "liver", False),
    NamedObject("mr_sarcoma_003", (1,), "sarcoma, MR", False),
    NamedObject("mr_cardiac_3", (2,), "myocardium", False),
    NamedObject("ct_lung_elastix", (1,), "lung", False),
    NamedObject("ct_abdomen_ts", (6,), "stomach", False),
    NamedObject("ct_abdomen_ts", (7,), "pancreas", False),
    NamedObject("ct_abdomen_ts", (8,), "adrenal gland", False),
    NamedObject("ct_abdomen_ts", (20,), "colon", False),
    NamedObject("ct_abdomen_ts", (32,), "vertebra T12", False),
    NamedObject("ct_abdomen_ts", (33,), "vertebra T11", False),
    NamedObject("ct_abdomen_ts", (63,), "vena cava", False),
    NamedObject("ct_abdomen_ts", (117,), "costal cartilages", False),
    NamedObject("mr_gbm_006", (1,), "enhancing tumor 006", False),
    *_hippocampi("015 052 060 065", False),
    NamedObject("ct_sarcoma_003", (1,), "sarcoma, CT", True),
    NamedObject("ct_abdomen_ts", (64,), "portal vein", True),
    NamedObject("mr_brain_001", (1,), "brain tumor", True),
    NamedObject("mr_gbm_001_dicom", (1,), "enhancing tumor 001", True),
    NamedObject("mr_cardiac_3", (1,), "left ventricle", True),
    NamedObject("ct_abdomen_ts", (1,), "spleen", True),
    NamedObject("ct_abdomen_ts", (5,), "liver, 20 slices", True),
    NamedObject("ct_abdomen_ts", (52,), "aorta", True),
    NamedObject("ct_abdomen_ts", (69,), "humerus, left", True),
    NamedObject("ct_abdomen_ts", (70,), "humerus, right", True),
    NamedObject("ct_abdomen_ts", (79,), "spinal cord", True),
    NamedObject("ct_abdomen_ts", (86,), "back muscles, left", True),
    NamedObject("ct_abdomen_ts", (87,), "back muscles, right", True),
    NamedObject("ct_lung_elastix", (1,), "lung, coronal", True, "coronal"),
    NamedObject("ct_lung_elastix", (1,), "lung, sagittal", True, "sagittal"),
    NamedObject("ct_liver_chaos", (1,), "liver, coronal", True, "coronal"),
    NamedObject("ct_sarcoma_003", (1,), "sarcoma, CT, coronal", True, "coronal"),
    NamedObject("mr_sarcoma_003", (1,), "sarcoma, MR, coronal", True, "coronal"),
    NamedObject("mr_sarcoma_003", (1,), "sarcoma, MR, sagittal", True, "sagittal"),
    NamedObject("ct_abdomen_ts", (97, 98, 99, 100, 101, 102, 103), "ribs of the left side", True),
    NamedObject("ct_abdomen_ts", (109, 110, 111, 112, 113, 114, 115), "ribs of the right side", True),
    NamedObject("ct_abdomen_ts", (86, 87), "back muscles, both sides", True),
    NamedObject("ct_abdomen_ts", (32, 33), "vertebrae T11 and T12", True),
    NamedObject("ct_abdomen_ts", (52, 63, 64), "large vessels", True),
    NamedObject("ct_abdomen_ts", (69, 70), "humeri, both sides", True),
    *_ribs(98, 99, 100),
    *_hippocampi("235 253 277 279", True),
    *_hippocampi("235 253", True, 1),
    *_hippocampi("235 253 277", True, 2),
)


@dataclass(frozen=True)
class InsideRow:
    """One object, annotated without and with learning.

    Args:
        slices: of the object.
        without, learning: slices that were corrected in all.
        moments: when something was learned.
    """

    name: str
    slices: int
    without: int
    learning: int
    moments: tuple[LearningMoment, ...]

    def open_slices(self, where: bool | None = None, after: int | None = None) -> list[list[OpenSlice]]:
        """The open slices of each moment that has some: all, or those between locked slices (True) or beyond them (False)."""
        moments = [one for one in self.moments if after in (None, one.corrections)]
        chosen = [[one for one in moment.slices if where in (None, one.between)] for moment in moments]
        return [slices for slices in chosen if slices]


def inside_row(
    case: SeriesCase, options: LearningOptions, rule: Acceptance, order: str = ORDERS[0], learn_after: Sequence[int] = LEARN_AFTER
) -> InsideRow:
    """Annotate an object without and with learning inside its volume."""
    way = Workflow("box and memory", order=order)
    counts: list[int] = []
    moments: tuple[LearningMoment, ...] = ()
    for how in (None, options):
        done = annotate_with_learning(case, way, rule, how, learn_after)
        case.bench.engine.forget()
        counts.append(done.corrected)
        moments = done.moments
    return InsideRow(case.name, len(case.memory.truth.extent), counts[0], counts[1], moments)


def lines_of(row: InsideRow) -> list[str]:
    """Its rows of the table: one for each moment."""
    named = f"| {row.name} | {row.slices} | {row.without} | {row.learning} |"
    lines = []
    for moment in row.moments:
        parts = [[one for one in moment.slices if one.between is between] for between in (True, False)]
        dsc = " | ".join(_from_to([one.memory_dsc for one in part], [one.learned_dsc for one in part]) for part in parts)
        accepted = f"{100 * moment.memory_accepted:.0f} to {100 * moment.learned_accepted:.0f} %"
        kept = "" if moment.kept else " (nothing was kept)"
        lines.append(f"{named} {moment.corrections} | {len(parts[0])}, {len(parts[1])} | {dsc} | {accepted}{kept} |")
        named = "| | | | |"
    return lines or [f"{named} - | | | | |"]


def _from_to(before: Sequence[float], after: Sequence[float]) -> str:
    return f"{np.mean(before):.3f} to {np.mean(after):.3f}" if before else "-"


def summary_of(rows: Iterable[InsideRow], learn_after: Sequence[int] = LEARN_AFTER) -> list[str]:
    """What learning did, paired by object: open slices after so many corrections, between and beyond locked ones; corrections."""
    rows = list(rows)
    lines = []
    for after in (*learn_after, None):
        for where, words in ((None, "all open slices"), (True, "between locked slices"), (False, "beyond them")):
            told = _gains([row.open_slices(where, after) for row in rows])
            if told:
                lines.append(f"{'all' if after is None else f'after {after}'}: {words}: {told}")
    reached = [row for row in rows if row.moments]
    if reached:
        without, learning = ([getattr(row, name) for row in reached] for name in ("without", "learning"))
        more, fewer = (sum(sign * (b - a) > 0 for a, b in zip(without, learning, strict=True)) for sign in (1, -1))
        lines.append(
            f"corrections of the {len(reached)} objects that learned: {sum(without)} without, {sum(learning)} with learning "
            f"({fewer} objects need fewer, {more} more), p = {_chance(learning, without)}"
        )
    return lines


def _gains(objects: Sequence[Sequence[Sequence[OpenSlice]]]) -> str:
    """The means over objects, each the mean of its moments; empty if there are none."""
    found = [one for one in objects if one]
    if not found:
        return ""

    def means(name: str) -> np.ndarray:
        return np.array([np.mean([np.mean([float(getattr(one, name)) for one in moment]) for moment in each]) for each in found])

    dsc, learned, accepted, then = (means(name) for name in ("memory_dsc", "learned_dsc", "memory_accepted", "learned_accepted"))
    gain = learned - dsc
    slices = sum(len(moment) for each in found for moment in each)
    gains, losses, large = (int(np.count_nonzero(which)) for which in (gain > 0, gain < 0, gain < -_LARGE_LOSS))
    return (
        f"{len(found)} objects, {sum(map(len, found))} moments, {slices} slices: DSC {dsc.mean():.3f} to {learned.mean():.3f} "
        f"({gain.mean():+.3f}; {gains} gain, {losses} lose, {large} of them more than {_LARGE_LOSS}, worst {gain.min():+.3f}), "
        f"p = {_chance(learned, dsc)}; accepted {100 * accepted.mean():.1f} to {100 * then.mean():.1f} % "
        f"({100 * (then - accepted).mean():+.1f} points), p = {_chance(then, accepted)}"
    )


def _chance(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> str:
    return f"{wilcoxon_signed_rank(first, second).p_value:.2g}"


def measured(
    cases: Iterable[tuple[str, Callable[[], SeriesCase]]],
    options: LearningOptions,
    rule: Acceptance,
    order: str = ORDERS[0],
    json_file: Path | None = None,
    engine: SegmentationEngine | None = None,
) -> list[InsideRow]:
    """Measure objects one after another; print the table as it grows, then the summary.

    Args:
        cases: name of each object, and what reads it.
        options: of learning.
        rule: when a mask is taken as it is.
        order: of the review.
        json_file: written after each object. What it holds already stays; an object of it, measured in the same way, is not measured again.
        engine: for the record.
    """
    facts = {"engine": engine.describe() if engine else None, "options": asdict(options), "rule": asdict(rule), "order": order}
    known = _known_rows(json_file, facts)
    print(f"{_HEAD}\n{'|---' * (_HEAD.count('|') - 1)}|")
    rows: list[InsideRow] = []
    for name, read in cases:
        row = known.get(name) or inside_row(read(), options, rule, order)
        rows.append(row)
        print("\n".join(lines_of(row)), flush=True)
        known[name] = row
        if json_file:
            told = {"objects": [asdict(one) for one in known.values()], "summary": summary_of(known.values())}
            write_text_atomically(json_file, json.dumps({**facts, **told}, indent=1) + "\n")
    print("\n".join(summary_of(rows)))
    return rows


def _known_rows(json_file: Path | None, facts: dict) -> dict[str, InsideRow]:
    """By name, the rows of a file that were measured so; none if it is not there."""
    if json_file is None or not json_file.is_file():
        return {}
    try:
        stored = json.loads(json_file.read_text(encoding="utf-8"))
        measured_so = {name: stored.get(name) for name in facts} == json.loads(json.dumps(facts))
        rows = {one["name"]: _row(one) for one in stored["objects"]}
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise InputError(f"'{json_file}' holds no rows of this command ({exc!r}). Remove it, or name another file.") from exc
    if not measured_so:
        raise InputError(f"'{json_file}' holds what was measured by another model, order, rule or number of steps. Name another file.")
    return rows


def _row(stored: dict) -> InsideRow:
    moments = (LearningMoment(**{**one, "slices": tuple(OpenSlice(**each) for each in one["slices"])}) for one in stored["moments"])
    return InsideRow(**{**stored, "moments": tuple(moments)})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command shares with ``benchmark.series --inside``."""
    add = parser.add_argument
    add("--accept", type=float, default=0.8, metavar="DSC", help="masks above are accepted (default: 0.8)")
    add("--order", choices=ORDERS, default=ORDERS[0], help="in which slices are reviewed (default: outward)")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m SAM2AnnotateLib.benchmark.inside", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("cases", type=Path, help="folder with the shared cases")
    add("--objects", choices=("all", "chosen_on", "aside"), default="all", help="those that rules were chosen on, or those left aside")
    add("--named", nargs="+", default=[""], metavar="WORD", help="only objects whose name holds one of these words")
    add("--steps", type=int, default=240, help="of each learning (default: 240)")
    add("--seed", type=int, default=0)
    add_arguments(parser)
    add("--checkpoint", default="bundled")
    add("--embeddings", type=Path, metavar="FOLDER", help="keep embeddings there, for the next time")
    add("--json", type=Path, help="write the rows; those that it holds already, measured in the same way, are not measured again")
    options = parser.parse_args(arguments)
    engine = load_engine(options.checkpoint)
    files = None if options.embeddings is None else EmbeddingFiles(options.embeddings, LARGEST_CACHE_BYTES)
    groups = [one for one in OBJECTS if options.objects == "all" or one.aside is (options.objects == "aside")]
    chosen = [one for one in groups if any(word in one.name for word in options.named)]
    cases = [(one.name, lambda one=one: one.read(options.cases, engine, files)) for one in chosen]
    how = LearningOptions(steps=options.steps, seed=options.seed)
    measured(cases, how, Acceptance(dsc=options.accept), options.order, options.json, engine)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
