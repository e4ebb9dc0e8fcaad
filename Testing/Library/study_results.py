"""A made-up study folder, whose tables can be worked out by hand. No model is run; volumes are tiny.

Four training and eight test cases with two objects each: object n = 0..7 of the training cases is label 1 + n % 2 of case n // 2.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.nnunet.scores.evaluation import MEAN, CaseScore, Evaluation
from SAM2AnnotateLib.nnunet.scores.evaluation_tables import write_scores_csv
from SAM2AnnotateLib.study.records.calibration import Calibration, Thresholds
from SAM2AnnotateLib.study.records.calibration_curve import CurvePoint
from SAM2AnnotateLib.study.records.folder import Study
from SAM2AnnotateLib.volume_io import write_volume

EVIL = "tail <b>&\"'"
NAMES = {1: "head", 2: EVIL}
SLICES = 10

CONFIGURATION = """# made up <script>alert(1)</script>
name: made-up
data:
  table: cases.csv
  values: {1: head, 2: "tail <b>&\\"'"}
window: "0,100"
prompts: [box, dot, clicks]
clicks: 3
calibration:
  dsc: [0.8, 0.9, 1.0]
  nsd: [0.5, 0.7, 0.9]
  targets: {low: 0.2, high: 0.6}
comparison:
  workflows:
    - {name: ours}
    - {name: paper, roi: full}
  rules:
    - {dsc: 0.8, nsd: 0.5}
    - {dsc: 0.9}
  worst_first: 2
downstream:
  channel: MR
  seed: 3
"""
# Slices corrected of ten: by scenario for head and tail.
CORRECTED = {"none": (0, 0), "low": (1, 3), "high": (6, 6)}
LABEL_DSC = {"none": 0.80, "low": 0.90, "high": 0.92}  # of object 0; each next one is 0.01 better
MODEL_DSC = {"reference": 0.90, "none": 0.70, "low": 0.85, "high": 0.90}


def a_study(folder: Path, *stages: str) -> Study:
    """A study with these stages finished: ``prompts``, ``calibration``, ``scenarios``, ``comparison``, ``models``."""
    folder.mkdir(parents=True)
    rows = ["case,image,label,part"]
    for number in range(12):
        name = f"case_{number:02d}"
        for kind, volume in zip(("image", "label"), _volumes(number), strict=True):
            write_volume(volume, folder / f"{name}_{kind}.nii.gz")
        rows.append(f"{name},{name}_image.nii.gz,{name}_label.nii.gz,{'train' if number < 4 else 'test'}")
    (folder / "cases.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    study = Study.create(folder, CONFIGURATION)
    for stage in ("prompts", "calibration", "scenarios", "comparison", "models"):
        if stage in stages:
            globals()[f"finish_{stage}"](study)
    return study


def finish_prompts(study: Study) -> None:
    """Box 0.90 + 0.01 n; a dot is worse by 0.1 (n + 1); clicks differ by 0.001 (n + 1), to either side in turn."""
    for case_id in study.case_ids_of("prompts"):
        objects = []
        for label in NAMES:
            n = _number(case_id, label)
            box = round(0.90 + 0.01 * n, 6)
            last = round(box + (-1) ** n * 0.001 * (n + 1), 6)
            rounds = {"rounds": [last] if n == 7 else [0.5, 0.7 - 0.01 * n, last]}
            prompts = {
                "box": _prompt(box),
                "dot": _prompt(round(box - 0.1 * (n + 1), 6)),
                "clicks": {**_prompt(last), **rounds},
            }
            objects.append({**_key(label), "center": 5, "prompts": prompts})
        study.write("prompts", case_id, {"objects": objects, "encoded": 3}, 1.5)


def finish_calibration(study: Study) -> None:
    """Curves with 0, 40 and 80 % for DSC, and 0, 30 and 90 % for NSD."""
    curves = [
        tuple(CurvePoint(threshold, share) for threshold, share in points)
        for points in (((0.8, 0.0), (0.9, 0.4), (1.0, 0.8)), ((0.5, 0.0), (0.7, 0.3), (0.9, 0.9)))
    ]
    thresholds = {"low": Thresholds(0.2, 0.85, 0.6), "high": Thresholds(0.6, 0.95, 0.8)}
    dsc, nsd = curves
    study.write_calibration(Calibration(80, dsc, nsd, thresholds=thresholds, problems=("A <made up> problem.",)))


def finish_scenarios(study: Study, names: tuple[str, ...] = tuple(CORRECTED), most_cases: int = 4) -> None:
    """As `CORRECTED` and `LABEL_DSC` say; 30 s an object and 15 s a correction, by hand 240 s an object."""
    for name in names:
        unit = f"scenarios/{name}"
        for case_id in study.case_ids_of(unit)[:most_cases]:
            path = study.unit_file(unit, case_id).with_suffix(".nii.gz")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_volume(_label_map(case_id, name), path)
            objects = [annotated(label, CORRECTED[name][label - 1], LABEL_DSC[name] + 0.01 * _number(case_id, label)) for label in NAMES]
            study.write(unit, case_id, {"objects": objects, "labels": {"file": path.name, "sha256": ""}, "encoded": 0}, 2.0)


def finish_comparison(study: Study) -> None:
    """Ours corrects 2 of 10 slices and the paper's way 4; under rule 0 in case_05 ours corrects 5, under rule 1 both the same 4."""
    for workflow in ("ours", "paper"):
        for rule in (0, 1):
            unit = f"comparison/{workflow}/{rule}"
            for case_id in study.case_ids_of(unit):
                corrected = 4 if workflow == "paper" or rule == 1 else 5 if case_id == "case_05" else 2
                objects = [annotated(label, corrected, 0.95) for label in NAMES]
                study.write(unit, case_id, {"objects": objects, "encoded": 0}, 2.0)

    for workflow, first in (("ours", 0.7), ("paper", 0.6)):
        unit = f"worst_first/{workflow}"
        for case_id in study.case_ids_of(unit):
            steps = worst_first_steps(first, fell=workflow == "paper" and case_id == "case_05")
            study.write(unit, case_id, {"objects": [{**_key(label), "steps": steps} for label in NAMES], "encoded": 0}, 1.0)


def worst_first_steps(first: float, fell: bool) -> list[dict]:
    """The worst slice drawn twice, 10 pixels each: the DSC rises by 0.1, or falls by 0.05 first and rises by 0.25 then."""
    gains = (0.0, -0.05, 0.2) if fell else (0.0, 0.1, 0.2)
    return [{"drawn": at, "pixels": 10 * at, "dsc": round(first + gain, 6)} for at, gain in enumerate(gains)]


def finish_models(study: Study) -> None:
    """Eight test cases; a model is worse than `MODEL_DSC` says by 0.001 times the number of the case, so that differences differ."""
    evaluations = []
    for place, name in enumerate(MODEL_DSC):
        result = {"model": "m", "predictions": "p", "data_set": "d", "cases_train": 4, "cases_test": 8, "options": {}}
        study.write(f"models/{name}", "", {**result, "train_seconds": 120.0, "predict_seconds": 30.0}, 150.0)
        scores = []
        for number, case in enumerate(study.test_cases):
            dsc = MODEL_DSC[name] - 0.001 * place * number * (-1 if name == "high" and number % 2 else 1)
            scores += [CaseScore(case.case_id, label, dsc, dsc - 0.05, 2.0) for label in (*NAMES.values(), MEAN)]
        evaluations.append(Evaluation(name, tuple(scores), 1.0))
    write_scores_csv(study.folder / "downstream" / "scores.csv", evaluations)


def write_log(study: Study, *events: dict) -> None:
    """The log as lines of JSON."""
    (study.folder / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")


def annotated(label: int, corrected: int, dsc: float) -> dict:
    """An object with ten slices of 50 pixels, a correction of 10 pixels."""
    slices = [
        {
            "slice": at,
            "dsc": 0.8,
            "nsd": 0.7,
            "corrected": at < corrected,
            "pixels": 10 if at < corrected else 0,
            "truth_pixels": 50,
            "seen": True,
            "expected": [0.92, 0.7 if at else 0.85, 0.96] if at < 5 else [0.7, 0.5, 0.9],
        }
        for at in range(SLICES)
    ]
    effort = {
        "boxes": 1, "points": 0, "outlines": 0, "corrections": corrected, "corrected_pixels": 10 * corrected, "outline_mm": 5.0 * corrected,
        "slices_viewed": SLICES, "accepted": SLICES - corrected, "seconds": 30.0 + 15.0 * corrected,
    }  # fmt: skip
    manual = {**dict.fromkeys(effort, 0), "outlines": SLICES, "corrected_pixels": 50 * SLICES, "seconds": 240.0}
    final = {"dsc": round(dsc, 6), "nsd": round(dsc - 0.1, 6), "hd95_mm": None, "salient_dsc": None}
    return {**_key(label), "center": 5, "extent": [1, 10], "slices": slices, "effort": effort, "manual": manual, "final": final}


def _key(label: int) -> dict:
    return {"label": label, "name": NAMES[label], "instance": 1, "voxels": 500}


def _prompt(dsc: float) -> dict:
    return {
        "center": {"dsc": dsc, "nsd": round(dsc - 0.1, 6)},
        "volume": {"dsc": round(dsc - 0.2, 6), "nsd": None, "hd95_mm": None},
        "salient": {"slices": 0, "dsc": None, "nsd": None},
    }


def _number(case_id: str, label: int) -> int:
    return 2 * int(case_id[-2:]) + label - 1


def _grid() -> VolumeGrid:
    return VolumeGrid((12, 40, 30), np.diag([-1.0, -0.7, 2.5, 1.0]))


def _volumes(number: int) -> tuple[Volume, Volume]:
    labels = np.zeros(_grid().shape_kji, dtype=np.uint8)
    labels[1:11, 5:18, 6:16] = 1
    labels[1:11, 22:36, 8:26] = 2
    image = np.random.default_rng(number).integers(0, 30, labels.shape) + 40 * (labels > 0)
    return Volume(_grid(), image.astype(np.int16)), Volume(_grid(), labels)


def _label_map(case_id: str, scenario: str) -> Volume:
    """The truth, moved by as many columns as the scenario is bad."""
    _, truth = _volumes(int(case_id[-2:]))
    return Volume(_grid(), np.roll(truth.array_kji, {"none": 4, "low": 2, "high": 1}[scenario], axis=2))
