"""Scores and comparisons as CSV and Markdown. Imports statistics, nnunet.evaluation, nnunet.comparison, atomic_files, errors."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...atomic_files import write_text_atomically
from ...csv_cells import cell_as_it_was, safe_cell
from ...errors import InputError
from ...statistics import bootstrap_interval, summarize
from .comparison import Comparison
from .evaluation import METRICS, CaseScore, Evaluation

_CSV_HEADER = ("model", "case", "label", *METRICS, "nsd_tolerance_mm")


def write_scores_csv(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Every case's scores, one row a label; ``nan`` and ``inf`` as such. Raises OutputError."""
    rows = (
        (
            evaluation.model,
            score.case,
            score.label,
            *(f"{getattr(score, metric):.6g}" for metric in METRICS),
            f"{evaluation.tolerance_mm:g}",
        )
        for evaluation in evaluations
        for score in evaluation.scores
    )
    _write_csv(path, _CSV_HEADER, rows)


def read_scores_csv(path: Path) -> list[Evaluation]:
    """What `write_scores_csv` wrote, so that models can be compared without their predictions.

    Raises:
        InputError: if the file cannot be read or is no such table.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        models: dict[tuple[str, float], list[CaseScore]] = {}
        for row in rows:
            score = CaseScore(cell_as_it_was(row["case"]), cell_as_it_was(row["label"]), *(float(row[metric]) for metric in METRICS))
            models.setdefault((cell_as_it_was(row["model"]), float(row["nsd_tolerance_mm"])), []).append(score)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(f"'{path}' is no table of scores that `sam2annotate nnunet evaluate` wrote: {type(exc).__name__} {exc}.") from exc
    return [Evaluation(model, tuple(scores), tolerance) for (model, tolerance), scores in models.items()]


def write_summary_csv(path: Path, evaluations: Sequence[Evaluation], comparisons: Sequence[Comparison]) -> None:
    """Median, quartiles, interval and comparison of every model, label and metric, one row each. Raises OutputError."""
    header = (
        "model", "label", "metric", "cases", "left_out", "median", "lower_quartile", "upper_quartile", "mean", "median_ci95_lower",
        "median_ci95_upper", "reference", "median_difference", "difference_ci95_lower", "difference_ci95_upper", "wilcoxon_p", "holm_p",
    )  # fmt: skip
    compared = {(one.model, one.label, one.metric): one for one in comparisons}
    rows = []
    for evaluation, label, metric in _questions(evaluations):
        values = evaluation.values(metric, label)
        summary, interval = summarize(values), bootstrap_interval(values)
        numbers = (summary.median, summary.lower_quartile, summary.upper_quartile, summary.mean, interval.lower, interval.upper)
        row = [evaluation.model, label, metric, str(summary.count), str(summary.left_out), *(f"{number:.6g}" for number in numbers)]
        one = compared.get((evaluation.model, label, metric))
        if one is not None:
            gap = one.difference
            row += [one.reference, *(f"{x:.6g}" for x in (gap.estimate, gap.lower, gap.upper, one.test.p_value, one.adjusted_p))]
        rows.append(row + [""] * (len(header) - len(row)))
    _write_csv(path, header, rows)


def summary_markdown(evaluations: Sequence[Evaluation], comparisons: Sequence[Comparison]) -> str:
    """A table for people: median [quartiles] of each model and label, and how it compares with the reference."""
    tolerance = evaluations[0].tolerance_mm
    lines = [f"| model | label | n | DSC | NSD ({tolerance:g} mm) | HD95 (mm) |", "|---|---|---|---|---|---|"]
    compared = {(one.model, one.label, one.metric): one for one in comparisons}
    for evaluation in evaluations:
        for label in evaluation.labels:
            cells = [evaluation.model, label, str(summarize(evaluation.values("dsc", label)).count)]
            for metric in METRICS:
                decimals = 2 if metric == "hd95_mm" else 3
                summary = summarize(evaluation.values(metric, label))
                cell = f"{summary.median:.{decimals}f} [{summary.lower_quartile:.{decimals}f}, {summary.upper_quartile:.{decimals}f}]"
                one = compared.get((evaluation.model, label, metric))
                cells.append(cell if one is None else f"{cell} {_p_text(one)}")
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += ["", "Median [lower quartile, upper quartile] over the test cases, in 3-D; n cases have a defined DSC."]
    if comparisons:
        lines[-1] += (
            f" p: two-tailed Wilcoxon signed-rank test against '{comparisons[0].reference}', Holm-corrected over the models;"
            " *** < 0.001, ** < 0.01, * < 0.05, ns otherwise."
        )
    return "\n".join(lines) + "\n"


def write_markdown(path: Path, evaluations: Sequence[Evaluation], comparisons: Sequence[Comparison]) -> None:
    """`summary_markdown` as a file. Raises OutputError."""
    write_text_atomically(path, summary_markdown(evaluations, comparisons))


def _questions(evaluations: Sequence[Evaluation]) -> Iterable[tuple[Evaluation, str, str]]:
    return ((evaluation, label, metric) for evaluation in evaluations for label in evaluation.labels for metric in METRICS)


def _p_text(one: Comparison) -> str:
    p = "p < 0.001" if one.adjusted_p < 0.001 else f"p = {one.adjusted_p:.3f}"
    return f"({p} {one.mark})"


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    write_text_atomically(path, text.getvalue())
