"""``python -m SAM2AnnotateLib.benchmark.learning CASES``: what learning from a few slices does to the others, before and after.

Cases that the bundled model was not trained on. Each object is learned from slices spread over it, as a user would have it (held out in
turn, kept only where better), and asked on slices that were not annotated: one click deep inside, a tight box, and no prompt. Imports the
library; scipy not needed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..adaptation import AnnotatedSlice, LearningOptions, learn, learned
from ..adaptation.held_out import mean_by_kind, scores_of
from ..annotator import Annotator
from ..atomic_files import write_text_atomically
from ..engine import SegmentationEngine, load_engine
from ..errors import InputError
from ..geometry import Box2D, Extent
from ..volume_io import read_volume, resample_nearest

OBJECTS = (
    ("ct_liver_chaos", 1, "liver"),
    ("ct_abdomen_ts", 1, "spleen"),
    ("ct_abdomen_ts", 5, "liver"),
    ("ct_abdomen_ts", 6, "stomach"),
    ("ct_abdomen_ts", 32, "vertebra T12"),
    ("ct_abdomen_ts", 52, "aorta"),
    ("ct_sarcoma_003", 1, "sarcoma, CT"),
    ("mr_sarcoma_003", 1, "sarcoma, MR"),
    ("mr_cardiac_3", 1, "left ventricle"),
    ("mr_cardiac_3", 2, "myocardium"),
    ("ct_lung_elastix", 1, "lung"),
    ("mr_brain_001", 1, "brain tumor"),
    ("mr_gbm_001_dicom", 1, "enhancing tumor"),
    ("mr_gbm_006", 1, "enhancing tumor"),
    ("mr_hippo_001", 1, "hippocampus, head"),
    ("mr_hippo_067", 2, "hippocampus, body"),
)
# Few enough that a hundred slices of a lung count no longer than ten of a heart.
MOST_ASKED = 12


@dataclass(frozen=True)
class LearningRow:
    """One object, learned once.

    Args:
        before, after: mean DSC of the slices asked, by kind of prompt; after: as a user has it, the model as it came where learning was not
            kept. ``none`` only where it is offered.
        held_out_before, held_out_after: of the slices held out while learning.
        serves: kinds of prompt that the adapter answers; none: nothing was kept.
        blend: share of what was learned in the answer to a kind, where it is not all.
        cpu_seconds: processor time of learning, holding out, encoding and all.
    """

    case: str
    label: int
    meaning: str
    annotated: int
    asked: int
    before: dict[str, float]
    after: dict[str, float]
    held_out_before: dict[str, float]
    held_out_after: dict[str, float]
    serves: tuple[str, ...]
    blend: dict[str, float]
    steps: int
    cpu_seconds: float


@dataclass(frozen=True, eq=False)
class LearningCase:
    """An object's slices, ready to be learned from and asked about."""

    annotator: Annotator
    slices: tuple[AnnotatedSlice, ...]

    @classmethod
    def of(cls, engine: SegmentationEngine, folder: Path, case: str, label: int) -> LearningCase:
        """Read a case; a label on another grid is resampled onto the image's."""
        image_file = next(iter(sorted((folder / case).glob("image.*"))), folder / case / "dicom")
        image = read_volume(image_file)
        truth = resample_nearest(read_volume(next(iter(sorted((folder / case).glob("label.*"))))), image.grid).array_kji == label
        annotator = Annotator(image, engine)
        frames = annotator.stack.view(truth)
        positions = [position for position in range(len(frames)) if frames[position].any()]
        if not positions:
            raise InputError(f"The case {case} has no object of the value {label}.")
        middle, extent = positions[len(positions) // 2], Extent(positions[0], positions[-1])
        encoder = annotator.encoder_for(middle, Box2D.around(frames[middle]))
        return cls(annotator, tuple(AnnotatedSlice(encoder, position, frames[position], extent) for position in positions))

    def divided(self, count: int) -> tuple[list[AnnotatedSlice], list[AnnotatedSlice]]:
        """`count` slices spread over the object, and at most `MOST_ASKED` of the others, spread too."""
        total = len(self.slices)
        chosen = {round((n + 0.5) * total / count - 0.5) for n in range(count)}
        others = [one for number, one in enumerate(self.slices) if number not in chosen]
        asked = sorted({round(n) for n in np.linspace(0, len(others) - 1, min(MOST_ASKED, len(others)))}) if others else []
        return [self.slices[number] for number in sorted(chosen)], [others[number] for number in asked]


def learn_object(
    engine: SegmentationEngine, folder: Path, named: tuple[str, int, str], count: int, options: LearningOptions
) -> LearningRow:
    """Learn one object from `count` slices and ask about the others."""
    case, label, meaning = named
    prepared = LearningCase.of(engine, folder, case, label)
    annotated, asked = prepared.divided(count)
    policy = prepared.annotator.policy
    before = mean_by_kind(scores_of(asked, engine, policy, annotated))
    started = time.process_time()
    outcome = learned(learn(annotated, object_name=meaning, policy=policy, options=options))
    seconds = time.process_time() - started
    after = dict(before)
    if outcome.adapter is not None:
        after |= mean_by_kind(scores_of(asked, engine.with_adapter(outcome.adapter), policy, annotated))
    serves: tuple[str, ...] = () if outcome.adapter is None else outcome.adapter.card.serves
    blend = {} if outcome.adapter is None else dict(outcome.adapter.card.blend)
    if "none" not in serves:
        after.pop("none", None)
    scores = (_rounded(before), _rounded(after), _rounded(outcome.before), _rounded(outcome.after))
    return LearningRow(
        case, label, meaning, len(annotated), len(asked), *scores,
        serves, blend, outcome.steps, round(seconds, 1),
    )  # fmt: skip


def line_of(row: LearningRow) -> str:
    """A row of the table."""
    named, seconds = f"{row.case} {row.label} | {row.meaning} | {row.annotated}", f"{row.cpu_seconds:.0f}"
    point, box = (f"{row.before[kind]:.2f} -> {row.after[kind]:.2f}" for kind in ("point", "box"))
    none = f"{row.after['none']:.2f}" if "none" in row.after else "-"
    kinds = ", ".join(f"{kind} by {row.blend[kind]:g}" if kind in row.blend else kind for kind in row.serves)
    return f"| {named} | {point} | {box} | {none} | {kinds} | {seconds} |"


def summary_of(rows: Sequence[LearningRow]) -> str:
    """Means over objects, and the largest loss."""
    gains = {kind: [row.after[kind] - row.before[kind] for row in rows] for kind in ("point", "box")}
    means = ", ".join(f"{kind} {np.mean(values):+.3f} (worst {min(values):+.3f})" for kind, values in gains.items())
    return f"{len(rows)} objects: mean gain {means}"


def rows_of(
    engine: SegmentationEngine, folder: Path, chosen: Sequence[int], counts: Sequence[int], options: LearningOptions
) -> Iterator[LearningRow]:
    """Learn each of the chosen objects from each of these numbers of slices."""
    for count in counts:
        for number in chosen:
            yield learn_object(engine, folder, OBJECTS[number], count, options)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m SAM2AnnotateLib.benchmark.learning", description=__doc__)
    parser.add_argument("cases", type=Path, help="folder with one folder a case")
    parser.add_argument("--checkpoint", default="bundled")
    parser.add_argument("--objects", type=int, nargs="+", default=list(range(len(OBJECTS))), help="numbers in the list (default: all)")
    parser.add_argument("--slices", type=int, nargs="+", default=[5, 2], help="slices to learn from (default: 5 2)")
    parser.add_argument("--steps", type=int, default=360, help="of training, holding out included (default: 360)")
    parser.add_argument("--trained", default="decoder", choices=("decoder", "prompt_encoder"))
    parser.add_argument("--json", type=Path, help="write the figures")
    options = parser.parse_args(arguments)
    engine = load_engine(options.checkpoint)
    rows = []
    print("| case | object | slices | one click | box | no prompt | serves | CPU s |\n|---|---|---|---|---|---|---|---|", flush=True)
    how = LearningOptions(steps=options.steps, trained=options.trained)
    for row in rows_of(engine, options.cases, options.objects, options.slices, how):
        rows.append(row)
        print(line_of(row), flush=True)
        if options.json:
            facts = {"engine": engine.describe(), "steps": options.steps, "objects": [asdict(one) for one in rows]}
            write_text_atomically(options.json, json.dumps(facts, indent=1) + "\n")
    for count in options.slices:
        part = [row for row in rows if row.annotated == count]
        if part:
            print(f"from {count} slices, {summary_of(part)}")
    return 0


def _rounded(scores) -> dict[str, float]:
    return {kind: round(float(value), 4) for kind, value in scores.items()}


if __name__ == "__main__":
    raise SystemExit(main())
