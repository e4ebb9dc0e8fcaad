"""`sam2annotate score`: how well a segmentation fits the truth. Imports metrics, volume_io, geometry, atomic_files, errors."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from ..atomic_files import write_text_atomically
from ..errors import InputError, OutputError
from ..geometry.slicing import AXIS_NAMES
from ..metrics import ScoreReport, Scores, score_masks
from ..nnunet.data_sets.transaction import settle_around
from ..volume_io import read_volume
from ..volume_io.label_values import whole_labels
from .values import show_notes

_DESCRIPTION = """\
Compare a segmentation with the truth: Dice (DSC), Jaccard, normalized surface Dice
(NSD, the share of both surfaces that lies within the tolerance of the other), and the
95th percentile of the surface distance (HD95, in mm).

Both files are label maps on one grid. Which voxels count:

  without --label   every nonzero voxel, in both files
  with --label V    in TRUTH the voxels equal to V; V must occur there.
                    In PRED the voxels equal to V, or, if PRED holds 0 and 1 only and
                    V is not 1, its voxels equal to 1: a plain mask of one object.
                    If PRED holds several labels and V is none of them, the object is
                    missed (all scores 0). If its one label is neither V nor 1, nobody
                    can tell what is meant, and the command stops.

The output always says which voxels were counted.

Empty masks: if only one of the two is empty, DSC, Jaccard and NSD are 0 and HD95 is
infinite. If both are, no score is defined (nan). JSON has null for either; the voxel
counts beside it tell which.
"""

_EPILOG = """\
examples:
  sam2annotate score liver.nii.gz truth.nii.gz
  sam2annotate score liver.nii.gz all_organs.nii.gz --label 5 --tolerance 2
  sam2annotate score pred.nrrd truth.nrrd --per-slice --axis axial
  sam2annotate score pred.nii.gz truth.nii.gz --per-slice --json --output scores.json
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command to the parser of `sam2annotate`."""
    parser = subparsers.add_parser(
        "score",
        help="compare a segmentation with the truth (Dice, Jaccard, NSD, HD95)",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pred", metavar="PRED", type=Path, help="label map to judge (NIfTI, NRRD, MHA)")
    parser.add_argument("truth", metavar="TRUTH", type=Path, help="label map to judge it by, on the same grid")
    parser.add_argument("--label", metavar="V", type=int, help="score this label only (default: every nonzero voxel)")
    parser.add_argument("--axis", choices=AXIS_NAMES, default="k", help="what slices are stacked along, for --per-slice (default: k)")
    parser.add_argument("--tolerance", metavar="MM", type=float, default=1.0, help="tolerance of the NSD in mm (default: 1.0)")
    parser.add_argument("--per-slice", action="store_true", help="also score each slice that holds prediction or truth, in its plane")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--output", metavar="FILE.json", type=Path, help="write the JSON to a file as well")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read both label maps, score, print. Returns 0; library errors propagate.

    Raises:
        VolumeError: if a file cannot be read.
        GridMismatchError: if the two do not lie on one grid.
        InputError: if a file is no label map, the label does not fit, or axis or tolerance is not allowed.
        OutputError: if the JSON file cannot be written.
        MissingPackageError: if SimpleITK or scipy is not installed.
    """
    if options.output is not None and options.output.suffix.lower() != ".json":
        raise OutputError(f"Cannot write '{options.output}': expected a file name that ends in .json.")
    for path in (options.pred, options.truth):
        settle_around(path)
    pred, truth = read_volume(options.pred), read_volume(options.truth)
    show_notes(options.pred, pred.notes)
    show_notes(options.truth, truth.notes)
    pred.grid.require_same(truth.grid, f"The prediction '{options.pred}'", f"the truth '{options.truth}'")
    truth_mask, truth_counted = _truth_mask(whole_labels(truth.array_kji, str(options.truth)), options.truth, options.label)
    pred_mask, pred_counted = _pred_mask(whole_labels(pred.array_kji, str(options.pred)), options.pred, options.label)
    report = score_masks(pred_mask, truth_mask, truth.grid, options.axis, options.tolerance)

    content = {
        "prediction": str(options.pred),
        "prediction_counted": pred_counted,
        "truth": str(options.truth),
        "truth_counted": truth_counted,
        "label": options.label,
        **report.as_json_object(),
    }
    if not options.per_slice:
        del content["slice_axis"], content["per_slice"]
    # A NaN or infinity left in would not be JSON: better an exception here than a file that another program refuses.
    text = json.dumps(content, indent=2, allow_nan=False)
    if options.output is not None:
        write_text_atomically(options.output, text + "\n")
    if options.json:
        print(text)
    else:
        print(f"prediction  {options.pred}: {pred_counted}")
        print(f"truth       {options.truth}: {truth_counted}")
        print(_table(report, options.per_slice))
    return 0


def _truth_mask(labels_kji: np.ndarray, path: Path, label: int | None) -> tuple[np.ndarray, str]:
    """The voxels of the truth that count, and a phrase that says which."""
    present = _labels_of(labels_kji)
    if label is None:
        return labels_kji != 0, "every nonzero voxel"
    if label == 0:
        raise InputError("Label 0 is the background. Give the label of an object, or leave out --label to count every nonzero voxel.")
    if label not in present:
        raise InputError(f"The truth '{path}' has no voxel of label {label}; its labels are: {_listed(present)}.")
    return labels_kji == label, f"voxels of label {label}"


def _pred_mask(labels_kji: np.ndarray, path: Path, label: int | None) -> tuple[np.ndarray, str]:
    """The voxels of the prediction that count, and a phrase that says which."""
    present = _labels_of(labels_kji)
    if label is None:
        return labels_kji != 0, "every nonzero voxel"
    if label in present or not present:
        return labels_kji == label, f"voxels of label {label}" if present else "no voxel, the file is empty"
    if present == [1]:
        return labels_kji == 1, f"voxels of value 1, as a mask of label {label} (the file holds 0 and 1 only)"
    if len(present) == 1:
        raise InputError(
            f"The prediction '{path}' holds the single label {present[0]}, neither {label} nor 1, so it may be a mask of label {label} "
            f"or a label map without it. Store a mask with the value 1 or {label}."
        )
    return labels_kji == label, f"no voxel, label {label} is not among its labels: {_listed(present)}"


def _labels_of(labels_kji: np.ndarray) -> list[int]:
    """The nonzero labels in rising order."""
    return [int(value) for value in np.unique(labels_kji) if value != 0]


def _listed(labels: list[int]) -> str:
    if not labels:
        return "none, it is empty"
    return ", ".join(map(str, labels[:20])) + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")


def _table(report: ScoreReport, per_slice: bool) -> str:
    nsd = f"NSD@{report.tolerance_mm:g}mm"
    rows = [("", "DSC", "Jaccard", nsd, "HD95 mm", "pred voxels", "truth voxels"), _row("volume", report.volume)]
    if per_slice:
        rows += [_row(f"{report.axis}={index}", scores) for index, scores in report.per_slice]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))])
        for first, *rest in rows
    )
    return "\n".join(lines)


def _row(name: str, scores: Scores) -> tuple[str, ...]:
    fractions = (f"{value:.4f}" for value in (scores.dsc, scores.jaccard, scores.nsd))
    return name, *fractions, f"{scores.hd95_mm:.2f}", str(scores.voxels_pred), str(scores.voxels_truth)
