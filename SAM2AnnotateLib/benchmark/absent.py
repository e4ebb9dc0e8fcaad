"""``python -m SAM2AnnotateLib.benchmark.absent CASES``: prototypes of one case on volumes, and parts of volumes, without their object.

Right is *not found*, or a doubt above 0.5 on every slice. Beside them, volumes that hold the object: it is not merely never found.
Imports prototypes and the rest of this room.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..engine import SegmentationEngine, load_engine
from ..geometry import Volume
from ..prototypes import NotFound, ProposedObject, Prototype, PrototypeLearning, drained, learn_from_prototypes, prototype_from
from ..volume_io import read_volume, resample_nearest
from .prototypes import dice, parts_without, proposal

_DOUBTED = 0.5


@dataclass(frozen=True)
class Sought:
    """An object, the case that shows it, and where it is looked for.

    Args:
        without: cases that do not hold it, of the same modality.
        holding: (case, label values) that do.
        own_parts: whether the parts of its own case around it hold nothing like it; not so where there are two of a kind.
    """

    name: str
    case: str
    labels: tuple[int, ...]
    without: tuple[str, ...]
    holding: tuple[tuple[str, tuple[int, ...]], ...] = ()
    own_parts: bool = True


SOUGHT = (
    Sought("sarcoma, CT", "ct_sarcoma_003", (1,), ("ct_liver_chaos", "ct_torso_ts", "ct_lung_elastix")),
    Sought("liver", "ct_liver_chaos", (1,), ("ct_sarcoma_001", "ct_sarcoma_003"), (("ct_abdomen_ts", (5,)), ("ct_torso_ts", (5,)))),
    Sought("spleen", "ct_abdomen_ts", (1,), ("ct_sarcoma_001", "ct_sarcoma_003"), (("ct_torso_ts", (1,)),)),
    Sought("vertebra T12", "ct_abdomen_ts", (32,), ("ct_sarcoma_001", "ct_sarcoma_003"), own_parts=False),
    Sought("kidney, CT", "ct_torso_ts", (2,), ("ct_sarcoma_001", "ct_sarcoma_003", "ct_lung_elastix"), own_parts=False),
    Sought("lung", "ct_lung_elastix", (1,), ("ct_sarcoma_001", "ct_sarcoma_003"), own_parts=False),
    Sought(
        "left ventricle", "mr_cardiac_3", (1,),
        ("mr_sarcoma_001", "mr_brain_001", "mr_cord_t1", "mr_abdomen_ts", "mr_hippo_001"),
        (("mr_cardiac_1", (1,)), ("mr_cardiac_5", (1,))),
    ),
    Sought("sarcoma, MR", "mr_sarcoma_003", (1,), ("mr_cardiac_1", "mr_brain_001", "mr_abdomen_ts", "mr_cord_gm", "mr_hippo_001")),
    Sought("brain tumor", "mr_brain_001", (1,), ("mr_cardiac_1", "mr_sarcoma_001", "mr_abdomen_ts", "mr_cord_gm", "mr_hippo_001")),
    Sought(
        "kidney, MR", "mr_abdomen_ts", (2,), ("mr_cardiac_1", "mr_brain_001", "mr_sarcoma_001", "mr_cord_t1", "mr_hippo_001"),
        own_parts=False,
    ),
    Sought(
        "hippocampus", "mr_hippo_001", (1, 2), ("mr_cardiac_1", "mr_sarcoma_003", "mr_abdomen_ts", "mr_cord_t1", "mr_brain_001"),
        (("mr_hippo_105", (1, 2)), ("mr_hippo_154", (1, 2))),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class AbsentRow:
    """One object looked for on one volume.

    Args:
        there: whether the volume holds it.
        found: whether it was proposed.
        doubts: of the proposed slices.
        dsc: 3-D, where it is there.
        likeness: of what came closest.
    """

    name: str
    volume: str
    there: bool
    found: bool
    doubts: tuple[float, ...]
    dsc: float
    likeness: float
    why: str

    @property
    def right(self) -> bool:
        """Of a volume without the object: not found, or doubted everywhere; of one with it: found."""
        return self.found if self.there else all(doubt > _DOUBTED for doubt in self.doubts)


def image_of(cases: Path, case: str) -> Volume:
    """A case's image."""
    return read_volume(next(iter(sorted((cases / case).glob("image.*"))), cases / case / "dicom"))


def truth_of(cases: Path, case: str, labels: Sequence[int], volume: Volume) -> np.ndarray:
    """(k, j, i) bool on the image's grid."""
    label = read_volume(next(iter(sorted((cases / case).glob("label.*")))))
    return np.isin(resample_nearest(label, volume.grid).array_kji, labels)


def places_of(cases: Path, sought: Sought, volume: Volume, truth: np.ndarray) -> Iterator[tuple[str, Volume, np.ndarray | None]]:
    """(name, volume, truth or None where it is not there)."""
    for case in sought.without:
        if (cases / case).is_dir():
            yield case, image_of(cases, case), None
    if sought.own_parts:
        for name, part in parts_without(sought.case, volume, truth):
            yield name, part, None
    for case, labels in sought.holding:
        if (cases / case).is_dir():
            other = image_of(cases, case)
            yield case, other, truth_of(cases, case, labels, other)


def rows_of(engine: SegmentationEngine, cases: Path, sought: Sought, steps: int) -> Iterator[AbsentRow]:
    """Look for one object everywhere; `steps` of learning, 0 for the pictures alone."""
    volume = image_of(cases, sought.case)
    truth = truth_of(cases, sought.case, sought.labels, volume)
    prototypes: list[Prototype] = [prototype_from(volume, truth, "object")]
    if steps:
        learned = drained(learn_from_prototypes(engine, prototypes, options=PrototypeLearning(steps=steps, seconds=None)))
        prototypes = [replace(one, adapter=learned) for one in prototypes]
    for name, place, there in places_of(cases, sought, volume, truth):
        answer, mask = proposal(engine, place, prototypes, bool(steps))
        doubts = tuple(answer.doubts.values()) if isinstance(answer, ProposedObject) else ()
        why = answer.reason if isinstance(answer, NotFound) else ""
        score = 0.0 if there is None else dice(mask, there)
        yield AbsentRow(sought.name, name, there is not None, bool(doubts), doubts, score, answer.likeness, why)


def line_of(row: AbsentRow) -> str:
    """One row of the list."""
    said = (
        f"{len(row.doubts)} slices, doubts {min(row.doubts):.2f} to {max(row.doubts):.2f}, median {np.median(row.doubts):.2f}"
        if row.doubts
        else f"not found: {row.why}"
    )
    holds = f"holds it, DSC {row.dsc:.2f}" if row.there else "without it"
    return f"{'right' if row.right else 'WRONG'} | {row.name} | {row.volume} ({holds}) | {said} | likeness {row.likeness:.2f}"


def summary_of(rows: Sequence[AbsentRow]) -> str:
    """Rates."""
    without, holding = ([row for row in rows if row.there is there] for there in (False, True))
    slices = [doubt for row in without for doubt in row.doubts]
    missed = sum(doubt <= _DOUBTED for doubt in slices)
    return (
        f"without the object: {sum(row.right for row in without)} of {len(without)} volumes right, {sum(not row.found for row in without)} "
        f"'not found', {missed} of {len(slices)} proposed slices not doubted; "
        f"holding it: {sum(row.found for row in holding)} of {len(holding)} found"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m SAM2AnnotateLib.benchmark.absent", description=__doc__)
    parser.add_argument("cases", type=Path, metavar="CASES")
    parser.add_argument("--checkpoint", default="bundled")
    parser.add_argument("--objects", type=int, nargs="+", default=list(range(len(SOUGHT))), help="numbers in the list (default: all)")
    parser.add_argument("--steps", type=int, default=0, help="of learning from each prototype; 0: its pictures alone (default)")
    options = parser.parse_args(arguments)
    engine = load_engine(options.checkpoint)
    rows: list[AbsentRow] = []
    for number in options.objects:
        for row in rows_of(engine, options.cases, SOUGHT[number], options.steps):
            rows.append(row)
            print(line_of(row), flush=True)
    print(summary_of(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
