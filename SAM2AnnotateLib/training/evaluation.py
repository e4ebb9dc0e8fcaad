"""``python -m SAM2AnnotateLib.training.evaluation``: the model card's figures, on cases that never entered training.

Each object gets one jittered box on its center slice and its true extent (the gestures of study A, see `simulation`), with the command
line's defaults. Imports the library; reads cases from a folder given by path.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..annotator import Annotator
from ..atomic_files import write_text_atomically
from ..engine import SegmentationEngine, load_engine
from ..metrics import Scores
from ..simulation import gestures_from_truth
from ..volume_io import read_volume, resample_nearest
from .real_cases import only_file

# (case, label value, meaning); the first seven are those that the project's target is stated on.
TARGET_OBJECTS = (
    ("ct_liver_chaos", 1, "liver"),
    ("ct_sarcoma_003", 1, "sarcoma"),
    ("mr_sarcoma_003", 1, "sarcoma"),
    ("mr_cardiac_3", 1, "left ventricle"),
    ("ct_lung_elastix", 1, "lung"),
    ("ct_abdomen_ts", 5, "liver"),
    ("ct_abdomen_ts", 1, "spleen"),
)
OTHER_OBJECTS = (
    ("ct_abdomen_ts", 6, "stomach"),
    ("ct_abdomen_ts", 52, "aorta"),
    ("ct_abdomen_ts", 32, "vertebra T12"),
    ("mr_cardiac_3", 2, "myocardium"),
    ("mr_brain_001", 1, "brain tumor"),
    *((f"mr_hippo_{n}", value, part) for n in ("001", "067", "105") for value, part in ((1, "head"), (2, "body and tail"))),
)


@dataclass(frozen=True)
class ObjectScores:
    """What one object scored, as means over the draws of the box's jitter."""

    case: str
    label: int
    meaning: str
    dsc: float
    nsd: float
    center_dsc: float
    worst_dsc: float


def evaluate_object(engine: SegmentationEngine, folder: Path, case: str, label: int, meaning: str, draws: int) -> ObjectScores:
    """Annotate one object `draws` times from jittered boxes (seeds 0, 1, ...) and score it.

    Args:
        folder: holds one folder a case with ``image.*`` and ``label.*``; a label on another grid is resampled onto the image's.
    """
    image = read_volume(only_file(folder / case, "image.*"))
    truth = resample_nearest(read_volume(only_file(folder / case, "label.*")), image.grid).array_kji == label
    volume_scores, center_scores = [], []
    for seed in range(draws):
        annotator = Annotator(image, engine)
        stack = annotator.stack
        gestures = gestures_from_truth(truth, stack, np.random.default_rng(seed))
        extent = (stack.index_of(gestures.extent.first), stack.index_of(gestures.extent.last))
        item = annotator.new_object(stack.index_of(gestures.center), stack.box_to_indices(gestures.box), extent=extent)
        for _ in item.propagate():
            pass
        mask = item.mask_kji()
        volume_scores.append(Scores.of(mask, truth, image.grid.spacing_kji_mm))
        pred_frame, truth_frame = (np.ascontiguousarray(stack.frame(array, gestures.center)) for array in (mask, truth))
        center_scores.append(Scores.of(pred_frame, truth_frame, stack.frame_spacing_rc_mm))
    return ObjectScores(
        case,
        label,
        meaning,
        dsc=_mean(scores.dsc for scores in volume_scores),
        nsd=_mean(scores.nsd for scores in volume_scores),
        center_dsc=_mean(scores.dsc for scores in center_scores),
        worst_dsc=min(scores.dsc for scores in volume_scores),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m SAM2AnnotateLib.training.evaluation", description=__doc__)
    parser.add_argument("--cases", type=Path, required=True, help="folder with the evaluation cases")
    parser.add_argument("--checkpoint", default="bundled")
    parser.add_argument("--adapter", type=Path, help="what was learned of the object")
    parser.add_argument("--draws", type=int, default=5, help="jittered boxes an object (default: 5)")
    parser.add_argument("--target-only", action="store_true", help="only the seven objects that the target is stated on")
    parser.add_argument("--json", type=Path, help="write the figures")
    options = parser.parse_args(arguments)
    engine = load_engine(options.checkpoint, adapter=options.adapter)
    rows = []
    print("| case | object | DSC 3-D | worst draw | NSD (1 mm) | DSC center slice |\n|---|---|---|---|---|---|")
    for case, label, meaning in TARGET_OBJECTS + (() if options.target_only else OTHER_OBJECTS):
        row = evaluate_object(engine, options.cases, case, label, meaning, options.draws)
        rows.append(row)
        print(f"| {case} | {label} {meaning} | {row.dsc:.3f} | {row.worst_dsc:.3f} | {row.nsd:.3f} | {row.center_dsc:.3f} |", flush=True)
    target, others = rows[: len(TARGET_OBJECTS)], rows[len(TARGET_OBJECTS) :]
    for name, part in ((f"the first {len(target)}", target), (f"the other {len(others)}", others), (f"all {len(rows)}", rows)):
        if part and (part is target or others):
            print(
                f"| **mean of {name}** | | **{_mean(row.dsc for row in part):.3f}** | | "
                f"{_mean(row.nsd for row in part):.3f} | **{_mean(row.center_dsc for row in part):.3f}** |"
            )
    if options.json:
        write_text_atomically(options.json, json.dumps({"engine": engine.describe(), "objects": [asdict(row) for row in rows]}, indent=1))
    return 0


def _mean(values) -> float:
    return float(np.mean(list(values)))


if __name__ == "__main__":
    raise SystemExit(main())
