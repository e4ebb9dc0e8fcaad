"""Tables of the models that were trained on each scenario's labels. Imports nnunet, statistics, study.results, study.tables."""

from __future__ import annotations

from collections.abc import Sequence

from ...nnunet.scores.comparison import Comparison, compare
from ...nnunet.scores.evaluation import MEAN, Evaluation
from ...statistics import summarize
from ..configuration.config_calibration import REFERENCE
from ..records.results import ModelUnit
from .tables import Column, Table


def model_comparisons(models: Sequence[Evaluation]) -> list[Comparison]:
    """Every model against the reference; none without a reference or another model. Raises InputError if their cases differ."""
    return compare(models, REFERENCE) if len(models) > 1 and any(model.model == REFERENCE for model in models) else []


def model_table(models: Sequence[Evaluation], comparisons: Sequence[Comparison]) -> Table:
    """One row a model and label, the mean over labels first: test scores and the tests against the reference."""
    tested = {(one.model, one.label, one.metric): one for one in comparisons}
    labels = list(dict.fromkeys(label for model in models for label in model.labels))
    shown = [MEAN, *(label for label in labels if label != MEAN)] if len(labels) > 2 else [MEAN]
    rows: list[tuple[object, ...]] = []
    for label in shown:
        for model in models:
            cells: list[object] = [model.model, label, len(model.cases)]
            for metric in ("dsc", "nsd"):
                one = tested.get((model.model, label, metric))
                tests = (None, None, None) if one is None else (one.difference, one.adjusted_p, one.mark)
                cells += [summarize(model.values(metric, label)), *tests]
            rows.append((*cells, summarize(model.values("hd95_mm", label)).median))
    columns = (
        Column("model", "Trained on"),
        Column("label", "Label"),
        Column("cases", "Test cases", "count"),
        Column("dsc", "DSC", "summary"),
        Column("dsc_difference", "median difference [95 % CI]", "interval"),
        Column("dsc_holm_p", "p (Holm)", "p"),
        Column("dsc_mark", "", shown=False),
        Column("nsd", "NSD", "summary"),
        Column("nsd_difference", "median difference [95 % CI]", "interval"),
        Column("nsd_holm_p", "p (Holm)", "p"),
        Column("nsd_mark", "", shown=False),
        Column("hd95_mm_median", "HD95 (mm), median", "number"),
    )
    tolerance = f" (NSD at {models[0].tolerance_mm:g} mm)" if models else ""
    caption = (
        f"nnU-Nets on the test cases in 3-D{tolerance}: median [quartiles] over cases. Differences and two-tailed Wilcoxon signed-rank "
        "tests against the model trained on the truth, case by case, Holm-corrected over the models for each label and metric."
    )
    return Table("models", caption, columns, tuple(rows))


def training_table(units: Sequence[ModelUnit]) -> Table:
    """One row a model: cases and time."""
    rows = [(one.name, one.cases_train, one.cases_test, one.train_seconds / 60, one.predict_seconds / 60) for one in units]
    columns = (
        Column("model", "Trained on"),
        Column("cases_train", "Training cases", "count"),
        Column("cases_test", "Test cases", "count"),
        Column("train_minutes", "Training (minutes)", "minutes"),
        Column("predict_minutes", "Prediction (minutes)", "minutes"),
    )
    return Table("training", "What training took.", columns, tuple(rows))
