"""Score predictions against the truth, case by case and label by label. Imports metrics, volume_io, nnunet.folders, errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...geometry import Volume
from ...metrics import Scores
from ...progress import CancelToken, Progress
from ...volume_io import read_volume
from ...volume_io.label_values import whole_labels
from ..data_sets.transaction import settle_around
from ..runs.folders import DataSetDescription

MEAN = "mean"  # the name of the row over all labels of a case
METRICS = ("dsc", "nsd", "hd95_mm")


@dataclass(frozen=True)
class EvaluatedLabel:
    """Something that is scored.

    Args:
        name: for tables.
        values: voxel values that belong to it; several for a region of nnU-Net.
    """

    name: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class LabelTable:
    """What a data set's `dataset.json` says about labels.

    Args:
        labels: what is scored, in its order, without the background.
        ignore: value of voxels that nobody has labeled, or None. They count neither for nor against a prediction.
        ending: of the data set's files, ``.nii.gz``.
    """

    labels: tuple[EvaluatedLabel, ...]
    ignore: int | None
    ending: str


@dataclass(frozen=True)
class CaseScore:
    """Scores of one label in one case, in 3-D.

    Both empty gives NaN, one empty DSC and NSD 0 and an infinite HD95, see `SAM2AnnotateLib.metrics`.

    Args:
        case: name.
        label: name, or `MEAN` for the mean over the case's labels: NaN left out, infinite if an HD95 is.
        dsc: Dice, 0..1.
        nsd: normalized surface Dice, 0..1.
        hd95_mm: 95th percentile of the surface distance in mm.
    """

    case: str
    label: str
    dsc: float
    nsd: float
    hd95_mm: float


@dataclass(frozen=True)
class Evaluation:
    """A model's scores.

    Args:
        model: its name.
        scores: of every case and label, the mean behind the labels of a case.
        tolerance_mm: of the NSD.
    """

    model: str
    scores: tuple[CaseScore, ...]
    tolerance_mm: float

    @property
    def cases(self) -> list[str]:
        """The cases in their order."""
        return list(dict.fromkeys(score.case for score in self.scores))

    @property
    def labels(self) -> list[str]:
        """The labels in their order, the mean last."""
        return list(dict.fromkeys(score.label for score in self.scores))

    def values(self, metric: str, label: str = MEAN) -> np.ndarray:
        """(cases,) one metric of one label, in the order of `cases`."""
        return np.array([getattr(score, metric) for score in self.scores if score.label == label])


def read_labels(dataset_json: Path) -> LabelTable:
    """The labels of a data set.

    Raises:
        InputError: if the file is missing, or not nnU-Net's.
    """
    description = DataSetDescription(dataset_json)
    named = dict(description.labels)
    ignore = named.pop("ignore", (None,))[0]
    labels = tuple(EvaluatedLabel(name, values) for name, values in named.items() if values != (0,))
    return LabelTable(labels, ignore, description.ending)


def evaluate_case(case: str, prediction: Volume, truth: Volume, table: LabelTable, tolerance_mm: float = 1.0) -> list[CaseScore]:
    """Score one prediction: every label, then their mean.

    Where the truth is the ignore label, both are taken as background, so that a surface cut off there is cut off in both.

    Raises:
        GridMismatchError: if the two do not lie on one grid.
        InputError: if the tolerance is not allowed.
        MissingPackageError: if scipy is not installed.
    """
    prediction.grid.require_same(truth.grid, f"The prediction of case '{case}'", "its truth")
    predicted_kji = whole_labels(prediction.array_kji, f"the prediction of case {case}")
    true_kji = whole_labels(truth.array_kji, f"the truth of case {case}")
    known = None if table.ignore is None else true_kji != table.ignore
    rows = []
    for label in table.labels:
        predicted, true = (np.isin(labels, label.values) for labels in (predicted_kji, true_kji))
        if known is not None:
            predicted, true = predicted & known, true & known
        scores = Scores.of(predicted, true, truth.grid.spacing_kji_mm, tolerance_mm)
        rows.append(CaseScore(case, label.name, scores.dsc, scores.nsd, scores.hd95_mm))
    return [*rows, CaseScore(case, MEAN, *(_mean([getattr(row, metric) for row in rows]) for metric in METRICS))]


def evaluate_folder(
    model: str,
    predictions: Path,
    truths: Path,
    table: LabelTable,
    *,
    cases: Sequence[str] | None = None,
    tolerance_mm: float = 1.0,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: CancelToken | None = None,
) -> Evaluation:
    """Score the predictions in a folder against the truths of the same names in another.

    Args:
        model: name for tables.
        cases: which ones; None takes every case with a truth. A prediction that is missing is an error, never left out.

    Raises:
        InputError: if there is no truth, or a prediction is missing.
        VolumeError, GridMismatchError, MissingPackageError: as `evaluate_case` and `read_volume`.
        Cancelled: on request.
    """
    for folder in (truths, predictions):
        settle_around(folder)
    wanted = (
        list(cases) if cases is not None else [path.name.removesuffix(table.ending) for path in sorted(truths.glob(f"*{table.ending}"))]
    )
    if not wanted:
        raise InputError(f"There is no truth in '{truths}': expected label maps that end in {table.ending}.")
    for folder, what in ((truths, "truth"), (predictions, "prediction")):
        missing = [case for case in wanted if not (folder / f"{case}{table.ending}").is_file()]
        if missing:
            listed = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            raise InputError(f"'{folder}' has no {what} of: {listed}. All {len(wanted)} cases count, or the models could not be compared.")
    scores: list[CaseScore] = []
    for number, case in enumerate(wanted):
        if cancel is not None:
            cancel.raise_if_cancelled()
        prediction, truth = (read_volume(folder / f"{case}{table.ending}") for folder in (predictions, truths))
        scores += evaluate_case(case, prediction, truth, table, tolerance_mm)
        if on_progress is not None:
            on_progress(Progress(number + 1, len(wanted), f"Scoring {model} (cases)"))
    return Evaluation(model, tuple(scores), float(tolerance_mm))


def _mean(values: Sequence[float]) -> float:
    kept = [value for value in values if not np.isnan(value)]
    return float(np.mean(kept)) if kept else float("nan")
