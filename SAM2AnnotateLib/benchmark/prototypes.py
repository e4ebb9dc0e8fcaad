"""``python -m SAM2AnnotateLib.benchmark.prototypes CASES``: the figures of prototypes/README.md. Imports prototypes, simulation and below.

CASES holds one folder a case with ``image.*`` and ``label.*``, and ``hippo_study`` with ``images`` and ``labels``.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..annotator import Annotator
from ..csv_cells import safe_cell
from ..engine import SegmentationEngine, load_engine
from ..geometry import SliceStack, Volume, VolumeGrid
from ..prototypes import (
    NotFound,
    ProposalOptions,
    ProposedObject,
    Prototype,
    PrototypeLearning,
    PrototypeLibrary,
    drained,
    encoder_for,
    learn_from_prototypes,
    modality_of,
    propose,
    prototype_from,
)
from ..simulation import gestures_from_truth
from ..volume_io import read_volume

FIRST = 5
# Prototypes of five patients or of one, with what was learned on them or by their pictures alone; and a box on a slice, with the true ends.
WAYS = ("few learned", "few", "one learned", "one", "box")
OTHERS = (
    "mr_cardiac_1", "mr_cardiac_3", "mr_cardiac_5", "mr_sarcoma_001", "mr_sarcoma_003", "mr_abdomen_ts", "mr_cord_t1", "mr_cord_gm",
    "mr_brain_001", "mr_gbm_006", "ct_sarcoma_003", "ct_abdomen_ts", "ct_liver_chaos",
)  # fmt: skip
# A part of a volume without the object has at least this many slices, rows and columns.
_LEAST_SLICES, _LEAST_SIDE = 4, 14


def study_prototypes(cases: Path, count: int) -> list[Prototype]:
    """The first cases of hippo_study, by number, whole hippocampus."""
    found = []
    for image in sorted((cases / "hippo_study" / "images").glob("*.nii.gz"))[:count]:
        labels = read_volume(cases / "hippo_study" / "labels" / image.name)
        found.append(prototype_from(read_volume(image), labels.array_kji > 0, "hippocampus"))
    return found


def patients(cases: Path) -> Iterator[tuple[str, Volume, np.ndarray]]:
    """The twenty patients that nothing was chosen on."""
    for folder in sorted(cases.glob("mr_hippo_*")):
        image, label = (next(iter(folder.glob(f"{name}.*"))) for name in ("image", "label"))
        yield folder.name, read_volume(image), read_volume(label).array_kji > 0


def proposal(engine: SegmentationEngine, volume: Volume, prototypes: Sequence[Prototype], learned: bool):
    """What is proposed, and its mask (k, j, i)."""
    encoder = encoder_for(volume, engine, prototypes)
    answer = drained(propose(encoder, prototypes, options=ProposalOptions(use_adapter=learned), modality=modality_of(volume)))
    mask = np.zeros(volume.grid.shape_kji, dtype=bool)
    if isinstance(answer, ProposedObject):
        frames = encoder.stack.view(mask)
        for position, result in answer.results.items():
            frames[position] = result.mask
    return answer, mask


def one_box(engine: SegmentationEngine, volume: Volume, truth: np.ndarray) -> np.ndarray:
    """The existing way: a box on the center slice and the true extent, jittered as in study A."""
    annotator = Annotator(volume, engine)
    stack = annotator.stack
    gestures = gestures_from_truth(truth, stack, np.random.default_rng(0))
    extent = (stack.index_of(gestures.extent.first), stack.index_of(gestures.extent.last))
    item = annotator.new_object(stack.index_of(gestures.center), stack.box_to_indices(gestures.box), extent=extent)
    for _ in item.propagate():
        pass
    return item.mask_kji()


def parts_without(name: str, volume: Volume, truth: np.ndarray) -> Iterator[tuple[str, Volume]]:
    """Parts of a volume that the object is not in: below, above, and beside it in the slices."""
    stack = SliceStack.along(volume.grid, "k")
    shown = np.flatnonzero(stack.view(truth).any(axis=(1, 2)))
    sizes = volume.grid.shape_kji
    box = [np.flatnonzero(truth.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    wanted = {"below": (0, slice(0, shown[0])), "above": (0, slice(shown[-1] + 1, sizes[0]))}
    for axis, word in ((1, "row"), (2, "column")):
        wanted[f"{word}s before"] = (axis, slice(0, int(box[axis][0])))
        wanted[f"{word}s behind"] = (axis, slice(int(box[axis][-1]) + 1, sizes[axis]))
    for word, (axis, part) in wanted.items():
        if len(range(*part.indices(sizes[axis]))) >= (_LEAST_SLICES if axis == 0 else _LEAST_SIDE):
            index = tuple(part if a == axis else slice(None) for a in range(3))
            array = volume.array_kji[index]
            yield f"{name}, {word}", Volume(VolumeGrid(array.shape, volume.grid.ijk_to_ras), array, volume.modality)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """DSC of two masks."""
    return 2.0 * int((one & other).sum()) / max(1, int(one.sum()) + int(other.sum()))


def patient_rows(
    engine: SegmentationEngine, cases: Path, few: Sequence[Prototype], one: Sequence[Prototype], ways: Sequence[str]
) -> Iterator[dict]:
    """A row a patient: 3-D DSC of each way, and of proposals how far their ends are off."""
    for name, volume, truth in patients(cases):
        row: dict = {"case": name}
        shown = np.flatnonzero(truth.any(axis=(1, 2)))
        for way in ways:
            if way == "box":
                row[way] = dice(one_box(engine, volume, truth), truth)
                continue
            answer, mask = proposal(engine, volume, one if way.startswith("one") else few, way.endswith("learned"))
            row[way] = dice(mask, truth)
            row[f"{way}, found"] = isinstance(answer, ProposedObject)
            row[f"{way}, likeness"] = answer.likeness
            row[f"{way}, seconds"] = answer.seconds
            if isinstance(answer, ProposedObject):
                row[f"{way}, first off"] = abs(answer.extent.first - int(shown[0]))
                row[f"{way}, last off"] = abs(answer.extent.last - int(shown[-1]))
                row[f"{way}, mean doubt"] = float(np.mean(list(answer.doubts.values())))
        yield row


def absent_rows(engine: SegmentationEngine, cases: Path, few: list[Prototype]) -> Iterator[dict]:
    """A row a volume, or part of one, without the object."""
    volumes = [(name, read_volume(next(iter((cases / name).glob("image.*"))))) for name in OTHERS if (cases / name).is_dir()]
    parts = [part for name, volume, truth in patients(cases) for part in parts_without(name, volume, truth)]
    for name, volume in [*volumes, *parts]:
        answer, _ = proposal(engine, volume, few, True)
        doubts = list(answer.doubts.values()) if isinstance(answer, ProposedObject) else []
        right = isinstance(answer, NotFound) or all(doubt > 0.5 for doubt in doubts)
        why = answer.reason if isinstance(answer, NotFound) else f"{len(doubts)} slices, least doubt {min(doubts):.2f}"
        yield {"case": name, "right": right, "not found": isinstance(answer, NotFound), "likeness": answer.likeness, "why": why}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m SAM2AnnotateLib.benchmark.prototypes", description=__doc__)
    parser.add_argument("cases", type=Path, metavar="CASES")
    parser.add_argument("--checkpoint", default="bundled")
    parser.add_argument("--parts", nargs="+", default=["patients", "absent"], choices=("patients", "absent"))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS, help="of the part 'patients'")
    parser.add_argument("--steps", type=int, default=PrototypeLearning().steps, help="of learning, each time")
    parser.add_argument("--few", type=Path, metavar="LIBRARY", help="a library that holds the prototypes of 5 patients, learned")
    parser.add_argument("--one", type=Path, metavar="LIBRARY", help="the same of 1 patient")
    parser.add_argument("--csv", type=Path, help="write the rows of the last part")
    options = parser.parse_args(arguments)
    engine = load_engine(options.checkpoint)
    few = _prototypes(engine, options, options.few, FIRST)
    for part in options.parts:
        one = _prototypes(engine, options, options.one, 1) if part == "patients" and any("one" in way for way in options.ways) else []
        rows = []
        found = (
            patient_rows(engine, options.cases, few, one, options.ways) if part == "patients" else absent_rows(engine, options.cases, few)
        )
        for row in found:
            rows.append(row)
            print(
                "  ".join(f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()), flush=True
            )
        for key in [key for key in rows[0] if key != "case"]:
            values = [row[key] for row in rows if isinstance(row.get(key), (bool, int, float))]
            if values:
                print(f"{key}: mean {np.mean(values):.3f}, least {np.min(values):.3f}, median {np.median(values):.3f}, n {len(values)}")
        if options.csv:
            with open(options.csv, "w", newline="", encoding="utf-8") as stream:
                csv.writer(stream).writerows([list(rows[0]), *([safe_cell(row.get(key, "")) for key in rows[0]] for row in rows)])
    return 0


def _prototypes(engine: SegmentationEngine, options: argparse.Namespace, library: Path | None, count: int) -> list[Prototype]:
    if library is not None:
        kept = PrototypeLibrary(library)
        return kept.prototypes(kept.names()[0])
    found = study_prototypes(options.cases, count)
    learned = drained(learn_from_prototypes(engine, found, options=PrototypeLearning(steps=options.steps, seconds=None)))
    print(f"learned from {count}: {learned.sha256[:12]}", file=sys.stderr, flush=True)
    return [replace(one, adapter=learned) for one in found]


if __name__ == "__main__":
    raise SystemExit(main())
