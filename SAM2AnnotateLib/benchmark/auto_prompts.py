"""``python -m SAM2AnnotateLib.benchmark.auto_prompts CASES``: proposals without a prompt, three methods and the ladder of study B.

``CASES`` holds one folder a case with ``image.*`` and ``label.*``, and for the hippocampi of several patients ``hippo_study/images`` and
``labels``. Three parts: the rest of a volume of which some slices are annotated; other patients; what is not there. Imports the library.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from ..adaptation import AnnotatedSlice
from ..auto_prompts import (
    AutoPrompter,
    AutoProposal,
    DecoderOptions,
    LearnedDecoder,
    SapOptions,
    SapPrompter,
    ThresholdCarrying,
)
from ..auto_prompts.looks import whole_look
from ..engine import EmbeddingStore, SegmentationEngine, load_engine
from ..errors import InputError
from ..geometry import SliceStack
from ..intensity.mapping import choose_mapping
from ..metrics import dice
from ..propagation import RegionPolicy, SliceEncoder
from ..volume_io import read_volume, resample_nearest

# None of these trained the bundled model.
OBJECTS = (
    ("ct_liver_chaos", 1), ("ct_sarcoma_003", 1), ("mr_sarcoma_003", 1), ("mr_cardiac_3", 1), ("mr_cardiac_3", 2), ("ct_abdomen_ts", 1),
)  # fmt: skip
TEACHERS = ("hippocampus_015", "hippocampus_052", "hippocampus_060", "hippocampus_065", "hippocampus_070")
PUPILS = "mr_hippo_*"
# Nothing like a hippocampus, and nothing like a liver, is on these (case, label whose slices are left out, 0 for none).
WITHOUT_HIPPOCAMPUS = (("mr_cardiac_3", 0), ("mr_brain_001", 0), ("mr_abdomen_ts", 0), ("ct_abdomen_ts", 0))
WITHOUT_LIVER = (("ct_torso_ts", 5), ("ct_sarcoma_003", 0))
# The ladder: what each rung adds to the one before.
LADDER: dict[str, SapOptions] = {
    "PANet": SapOptions(network={"sigma": None, "false_positive_share": None}, keep_parts=None, final="model"),
    "+ position": SapOptions(network={"false_positive_share": None}, keep_parts=None, final="model"),
    "+ biased Dice": SapOptions(keep_parts=None, final="model"),
    "+ top K": SapOptions(final="model"),
    "the better mask": SapOptions(),
}
METHODS = ("threshold", "sap-net", "decoder")
DECODERS = {
    "learned decoder, slice by slice": DecoderOptions(anchors=0, neighbors=False),
    "learned decoder, with neighbors": DecoderOptions(anchors=0),
    "learned decoder, with neighbors and memory": DecoderOptions(),
}
_MOST_ABSENT_SLICES = 24


@dataclass(frozen=True)
class AutoRow:
    """One method on one volume.

    Args:
        part: ``volume`` (other slices of the annotated volume), ``patients`` (other volumes) or ``absent``.
        case, label: the object; label 0 is every voxel that is not 0.
        taught: annotated slices, or patients.
        method: by name; of SAP-Net the rung, ``coarse`` for its coarse mask alone.
        slice_dsc: mean over the slices in question that hold the object; NaN where there is none.
        volume_dsc: 3-D DSC over the slices in question.
        present, absent: slices with and without the object.
        missed: of those with it, share that was not found.
        refused: of those without it, share that was not found or doubted by more than 0.5.
        seconds_fit, seconds_slice: processor time.
    """

    part: str
    case: str
    label: int
    taught: int
    method: str
    slice_dsc: float
    volume_dsc: float
    present: int
    absent: int
    missed: float
    refused: float
    seconds_fit: float
    seconds_slice: float


@dataclass(frozen=True, eq=False)
class Case:
    """A volume as the model sees it, with its truth.

    Args:
        name: of its folder.
        encoder: shows the volume to the model.
        truth: (slice, rows, cols) bool.
    """

    name: str
    encoder: SliceEncoder
    truth: np.ndarray

    @classmethod
    def read(cls, engine: SegmentationEngine, image_file: Path, label_file: Path, label: int) -> Case:
        """Read image and label map; label 0 takes all that is not 0."""
        image = read_volume(image_file)
        labels = resample_nearest(read_volume(label_file), image.grid).array_kji
        stack = SliceStack.along(image.grid, "k")
        truth = np.ascontiguousarray(stack.view((labels > 0) if label == 0 else (labels == label)))
        inside = stack.view(image.array_kji)[truth] if truth.any() else None
        encoder = SliceEncoder(engine, image, stack, choose_mapping(image, "auto", inside), EmbeddingStore(1 << 28))
        return cls(image_file.parent.name if image_file.name.startswith("image") else image_file.name.split(".")[0], encoder, truth)

    @property
    def holding(self) -> list[int]:
        """Positions with the object."""
        return np.flatnonzero(self.truth.any(axis=(1, 2))).tolist()

    def annotated(self, count: int) -> list[AnnotatedSlice]:
        """`count` slices spread over the object, and one without it beyond each end, as a person marks the ends."""
        holding = self.holding
        chosen = [holding[round((n + 0.5) * len(holding) / count - 0.5)] for n in range(count)]
        beyond = [p for p in ((holding[0] - 1) // 2, (holding[-1] + len(self.truth)) // 2) if 0 <= p < len(self.truth)]
        chosen += [p for p in beyond if not self.truth[p].any()]
        return [AnnotatedSlice(self.encoder, position, self.truth[position]) for position in sorted(set(chosen))]


@dataclass(frozen=True, eq=False)
class Asked:
    """What is to be compared.

    Args:
        engine: the model.
        cases: folder of the cases.
        methods: some of `METHODS`.
        rungs: of the ladder.
    """

    engine: SegmentationEngine
    cases: Path
    methods: Sequence[str]
    rungs: Sequence[str]

    def each_method(
        self, slices: Sequence[AnnotatedSlice], *, whole_ladder: bool, elsewhere: bool
    ) -> Iterator[tuple[str, AutoPrompter, float]]:
        """Each method by name, fitted, and the processor time that took; those that share what was learnt are fitted once.

        Args:
            slices: annotated.
            whole_ladder: whether all rungs are wanted, or the last alone.
            elsewhere: whether other volumes will be asked for.
        """
        if "threshold" in self.methods:
            carrying = ThresholdCarrying()
            yield "threshold", carrying, _fitted(carrying, slices)
        networks: dict[tuple, tuple[SapPrompter, float]] = {}
        for rung in (self.rungs if whole_ladder else self.rungs[-1:]) if "sap-net" in self.methods else ():
            options = replace(LADDER[rung], elsewhere=elsewhere)
            key = tuple(sorted(options.network.items()))
            if key not in networks:
                prompter = SapPrompter(options=options)
                networks[key] = prompter, _fitted(prompter, slices)
            prompter, seconds = networks[key]
            yield f"SAP-Net: {rung}", prompter.with_options(options), seconds
        if "decoder" in self.methods:
            decoder = LearnedDecoder(options=DecoderOptions(elsewhere=elsewhere))
            seconds = _fitted(decoder, slices)
            for name, variant in DECODERS.items():
                yield name, decoder.with_options(variant), seconds


def measured(
    part: str, case: Case, label: int, taught: int, name: str, method: AutoPrompter, positions: Sequence[int], seconds_fit: float
) -> Iterator[AutoRow]:
    """Propose and compare; of SAP-Net the coarse masks too."""
    for position in positions:  # encoded once, for all methods
        case.encoder.embedding(position, whole_look(case.encoder, RegionPolicy()))
    started = time.process_time()
    proposals = list(method.propose(case.encoder, positions))
    seconds = (time.process_time() - started) / max(1, len(positions))
    yield _row(part, case, label, taught, name, proposals, seconds_fit, seconds)
    if isinstance(method, SapPrompter) and not name.endswith("better mask"):
        coarse = method.coarse_masks(case.encoder, positions)
        masks = {position: one.mask for position, one in coarse.items()}
        yield _row(part, case, label, taught, f"{name}, coarse mask", proposals, seconds_fit, seconds, masks)


def _row(
    part: str, case: Case, label: int, taught: int, name: str, proposals: Sequence[AutoProposal], seconds_fit: float, seconds: float,
    masks: dict[int, np.ndarray] | None = None,
) -> AutoRow:  # fmt: skip
    found = {one.position: one.result.mask for one in proposals} if masks is None else masks
    present = [one for one in proposals if case.truth[one.position].any()]
    absent = [one for one in proposals if not case.truth[one.position].any()]
    scores = [dice(found[one.position], case.truth[one.position]) for one in present]
    whole = dice(np.stack(list(found.values())), np.stack([case.truth[position] for position in found])) if present else float("nan")
    return AutoRow(
        part, case.name, label, taught, name, float(np.mean(scores)) if scores else float("nan"), whole, len(present), len(absent),
        float(np.mean([not one.found for one in present])) if present else float("nan"),
        float(np.mean([not one.found for one in absent])) if absent else float("nan"), seconds_fit, seconds,
    )  # fmt: skip


def _fitted(method: AutoPrompter, slices: Sequence[AnnotatedSlice]) -> float:
    started = time.process_time()
    for _ in method.fit(slices):
        pass
    return time.process_time() - started


def rest_of_volume(asked: Asked, objects: Sequence[tuple[str, int]], counts: Sequence[int]) -> Iterator[AutoRow]:
    """Annotate some slices of a volume, propose all others of it."""
    for name, label in objects:
        case = Case.read(asked.engine, only_file(asked.cases / name, "image.*"), only_file(asked.cases / name, "label.*"), label)
        for count in counts:
            slices = case.annotated(count)
            rest = [position for position in range(len(case.truth)) if position not in {one.position for one in slices}]
            for method_name, method, seconds in asked.each_method(slices, whole_ladder=count == max(counts), elsewhere=False):
                yield from measured("volume", case, label, count, method_name, method, rest, seconds)


def other_patients(asked: Asked, counts: Sequence[int]) -> Iterator[AutoRow]:
    """Hippocampi: annotate all slices of some patients, propose those of others, and of volumes that have none."""
    engine, cases = asked.engine, asked.cases
    study = cases / "hippo_study"
    teachers = [Case.read(engine, study / f"images/{n}.nii.gz", study / f"labels/{n}.nii.gz", 0) for n in TEACHERS[: max(counts)]]
    pupils = [Case.read(engine, only_file(f, "image.*"), only_file(f, "label.*"), 0) for f in sorted(cases.glob(PUPILS))]
    absent = [_without(engine, cases, name, label) for name, label in WITHOUT_HIPPOCAMPUS]
    for count in counts:
        slices = [AnnotatedSlice(one.encoder, p, one.truth[p]) for one in teachers[:count] for p in range(len(one.truth))]
        for method_name, method, seconds in asked.each_method(slices, whole_ladder=count == max(counts), elsewhere=True):
            for case in pupils:
                yield from measured("patients", case, 0, count, method_name, method, range(len(case.truth)), seconds)
            for case, positions in absent:
                yield from measured("absent", case, 0, count, method_name, method, positions, seconds)


def liver_elsewhere(asked: Asked) -> Iterator[AutoRow]:
    """A liver learnt from five slices, looked for where there is none."""
    engine, cases = asked.engine, asked.cases
    liver = Case.read(engine, only_file(cases / "ct_liver_chaos", "image.*"), only_file(cases / "ct_liver_chaos", "label.*"), 1)
    for method_name, method, seconds in asked.each_method(liver.annotated(5), whole_ladder=False, elsewhere=True):
        for name, label in WITHOUT_LIVER:
            case, positions = _without(engine, cases, name, label)
            yield from measured("absent", case, 1, 5, method_name, method, positions, seconds)


def _without(engine: SegmentationEngine, cases: Path, name: str, label: int) -> tuple[Case, list[int]]:
    """A case and its slices that do not hold a label; its truth is taken for empty."""
    case = Case.read(engine, only_file(cases / name, "image.*"), only_file(cases / name, "label.*"), label or -1)
    empty = [position for position in range(len(case.truth)) if not case.truth[position].any()]
    step = -(-len(empty) // _MOST_ABSENT_SLICES)
    return Case(case.name, case.encoder, np.zeros_like(case.truth)), empty[::step]


def table(rows: Sequence[AutoRow]) -> str:
    """Markdown tables: DSC by method, and what was refused."""
    columns = "part | taught | method | volumes | mean slice DSC | mean 3-D DSC | lowest | with it, not found | without it, refused"
    lines = [f"| {columns} |", "|---" * 9 + "|"]
    for part, taught, method in dict.fromkeys((row.part, row.taught, row.method) for row in rows):
        some = [row for row in rows if (row.part, row.taught, row.method) == (part, taught, method)]
        slice_dsc, volume_dsc = ([getattr(row, name) for row in some] for name in ("slice_dsc", "volume_dsc"))
        lines.append(
            f"| {part} | {taught} | {method} | {len(some)} | {_mean(slice_dsc)} | {_mean(volume_dsc)} | "
            f"{'-' if np.isnan(volume_dsc).all() else f'{np.nanmin(volume_dsc):.3f}'} | {_share(some, 'missed', 'present')} | "
            f"{_share(some, 'refused', 'absent')} |"
        )
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    return "-" if np.isnan(values).all() else f"{np.nanmean(values):.3f}"


def _share(rows: Sequence[AutoRow], share: str, count: str) -> str:
    """Over all slices of all rows."""
    total = sum(getattr(row, count) for row in rows)
    return "-" if not total else f"{sum(getattr(row, share) * getattr(row, count) for row in rows if getattr(row, count)) / total:.2f}"


def only_file(folder: Path, pattern: str) -> Path:
    """The one file of a folder that matches. Raises InputError if there is none or more."""
    files = sorted(folder.glob(pattern))
    if len(files) != 1:
        raise InputError(f"Expected one file '{pattern}' in '{folder}', found {len(files)}.")
    return files[0]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m SAM2AnnotateLib.benchmark.auto_prompts", description="Proposals without a prompt: three methods and a ladder."
    )
    parser.add_argument("cases", type=Path, help="folder with one folder a case, which holds image.* and label.*")
    parser.add_argument("--parts", nargs="+", choices=("volume", "patients", "liver"), default=["volume", "patients", "liver"])
    parser.add_argument("--objects", nargs="+", metavar="CASE:VALUE", help="of the part 'volume'; value 0 takes every voxel that is not 0")
    parser.add_argument("--slices", nargs="+", type=int, default=[2, 5], help="annotated slices of a volume")
    parser.add_argument("--patients", nargs="+", type=int, choices=(1, 2, 3, 4, 5), default=[1, 5], help="annotated patients")
    parser.add_argument("--rungs", nargs="+", choices=tuple(LADDER), default=list(LADDER))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--checkpoint", default="bundled")
    parser.add_argument("--csv", type=Path, help="write a row for each volume, as it is done")
    options = parser.parse_args(arguments)
    objects = [(c, int(v)) for c, _, v in (one.rpartition(":") for one in options.objects)] if options.objects else OBJECTS
    asked = Asked(load_engine(options.checkpoint), options.cases, options.methods, options.rungs)
    work: dict[str, Callable[[], Iterator[AutoRow]]] = {
        "volume": lambda: rest_of_volume(asked, objects, options.slices),
        "patients": lambda: other_patients(asked, options.patients),
        "liver": lambda: liver_elsewhere(asked),
    }
    rows: list[AutoRow] = []
    for part in options.parts:
        for row in work[part]():
            rows.append(row)
            sys.stderr.write(f"{row.part} {row.case}:{row.label} {row.taught} {row.method}: {row.slice_dsc:.3f} {row.volume_dsc:.3f}\n")
            if options.csv:
                with options.csv.open("w", newline="", encoding="utf-8") as stream:
                    writer = csv.DictWriter(stream, [one.name for one in fields(AutoRow)])
                    writer.writeheader()
                    writer.writerows(asdict(one) for one in rows)
    sys.stdout.write(table(rows) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
