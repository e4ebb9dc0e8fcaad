"""Tables of calibration, of the scenarios' workload, and of the quality it buys. Imports statistics, study.results and study.tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..nnunet.evaluation import MEAN, Evaluation
from ..simulation.effort import Effort
from ..statistics import summarize
from .calibration import Calibration
from .calibration_curve import CurvePoint
from .results import Annotation
from .tables import Column, Table

ALL_LABELS = "all"
BY_HAND = "by hand"


def total(efforts: Sequence[Effort]) -> Effort:
    """The efforts of several objects together."""
    return sum(efforts, Effort())


def corrected_share(objects: Sequence[Annotation]) -> float:
    """Share of slices that the annotator changed; NaN without slices."""
    slices = sum(one.slices for one in objects)
    return sum(one.corrected for one in objects) / slices if slices else float("nan")


def saved_share(objects: Sequence[Annotation]) -> float:
    """Share of the seconds of drawing by hand that was saved; NaN if that takes none."""
    by_hand = total([one.manual for one in objects]).seconds
    return 1 - total([one.effort for one in objects]).seconds / by_hand if by_hand else float("nan")


def calibration_table(calibration: Calibration, scenarios: Mapping[str, Sequence[Annotation]]) -> Table:
    """One row a scenario with a target: its thresholds, and the share of slices that they correct alone and together."""
    rows = []
    for name, threshold in calibration.thresholds.items():
        reached = corrected_share(scenarios[name]) if name in scenarios else None
        alone = [share_at(getattr(calibration, metric), getattr(threshold, metric)) for metric in ("dsc", "nsd")]
        off = None if reached is None else reached - threshold.target
        rows.append((name, threshold.target, threshold.dsc, threshold.nsd, *alone, reached, off))
    columns = (
        Column("scenario", "Scenario"),
        Column("target", "Target", "share"),
        Column("dsc_threshold", "DSC above", "score"),
        Column("nsd_threshold", "NSD above", "score"),
        Column("share_by_dsc", "Corrected by DSC alone", "share"),
        Column("share_by_nsd", "Corrected by NSD alone", "share"),
        Column("share_reached", "Corrected by both", "share"),
        Column("off_target", "Off target (points)", "points"),
    )
    caption = (
        f"Calibrated thresholds, from {calibration.slices:,} slices. Alone: the calibration curve at the threshold, with the other "
        "metric's at 0. Both: what the scenario's simulation corrected."
    )
    return Table("calibration", caption, columns, tuple(rows))


def share_at(curve: Sequence[CurvePoint], threshold: float) -> float:
    """Corrected share on a calibration curve, linear between its points."""
    return float(np.interp(threshold, [point.threshold for point in curve], [point.share for point in curve]))


def curve_table(calibration: Calibration) -> Table:
    """The calibration curves, point by point; only as CSV."""
    rows = [(metric, point.threshold, point.share) for metric in ("dsc", "nsd") for point in getattr(calibration, metric)]
    columns = (Column("metric", "Metric"), Column("threshold", "Threshold", "score"), Column("corrected_share", "Corrected", "share"))
    return Table("calibration_curves", "Share of slices corrected at each threshold.", columns, tuple(rows), shown=False)


def scenario_table(scenarios: Mapping[str, Sequence[Annotation]]) -> Table:
    """One row a scenario, over all labels, and one a scenario and label value if there are several."""
    names = list(dict.fromkeys(one.key.name for objects in scenarios.values() for one in sorted(objects, key=_by_label)))
    rows = []
    for label in (ALL_LABELS, *(names if len(names) > 1 else ())):
        for scenario, objects in scenarios.items():
            kept = [one for one in objects if label in (ALL_LABELS, one.key.name)]
            if kept:
                rows.append((scenario, label, *workload(kept)))
    columns = (Column("scenario", "Scenario"), Column("label", "Label"), *WORKLOAD_COLUMNS)
    caption = (
        "Workload and quality of the labels: sums over objects, and median [quartiles] over objects of DSC and NSD of the finished volume. "
        "Minutes by the stated seconds a gesture; saved: against drawing every slice by hand."
    )
    return Table("scenarios", caption, columns, tuple(rows))


WORKLOAD_COLUMNS = (
    Column("cases", "Cases", "count"),
    Column("objects", "Objects", "count"),
    Column("slices", "Slices", "count"),
    Column("accepted_share", "Accepted unchanged", "share"),
    Column("corrected_share", "Corrected", "share"),
    Column("prompts", "Prompts", "count"),
    Column("corrections", "Corrections", "count"),
    Column("corrected_pixels", "Corrected pixels", "count"),
    Column("slices_viewed", "Slices viewed", "count"),
    Column("minutes", "Minutes", "minutes"),
    Column("minutes_by_hand", "Minutes by hand", "minutes"),
    Column("saved_share", "Time saved", "share"),
    Column("dsc", "Label DSC", "summary"),
    Column("nsd", "Label NSD", "summary"),
)


def workload(objects: Sequence[Annotation]) -> tuple[object, ...]:
    """Values of `WORKLOAD_COLUMNS`."""
    effort, manual = total([one.effort for one in objects]), total([one.manual for one in objects])
    corrected = corrected_share(objects)
    return (
        len({one.key.case for one in objects}),
        len(objects),
        sum(one.slices for one in objects),
        1 - corrected,
        corrected,
        effort.boxes + effort.points,
        effort.corrections,
        effort.corrected_pixels,
        effort.slices_viewed,
        effort.seconds / 60,
        manual.seconds / 60,
        saved_share(objects),
        summarize([one.dsc for one in objects]),
        summarize([one.nsd for one in objects]),
    )


def quality_table(scenarios: Mapping[str, Sequence[Annotation]], models: Sequence[Evaluation]) -> Table:
    """One row a scenario, and one for drawing by hand: work, and the quality of labels and of the model trained on them."""
    model_dsc = {model.model: summarize(model.values("dsc", MEAN)).median for model in models}
    rows: list[tuple[object, ...]] = []
    for name, objects in scenarios.items():
        minutes = total([one.effort for one in objects]).seconds / 60
        label_dsc = summarize([one.dsc for one in objects]).median
        rows.append((name, corrected_share(objects), minutes, 1 - saved_share(objects), label_dsc, model_dsc.get(name)))
    if scenarios:
        fullest = max(scenarios.values(), key=len)  # the same objects in all of them, once all are finished
        by_hand = total([one.manual for one in fullest]).seconds / 60
        rows.append((BY_HAND, 1.0, by_hand, 1.0, 1.0, model_dsc.get("reference")))
    columns = (
        Column("scenario", "Labels"),
        Column("corrected_share", "Slices drawn or corrected", "share"),
        Column("minutes", "Minutes", "minutes"),
        Column("share_of_manual", "Of the time by hand", "share"),
        Column("label_dsc", "Label DSC (median)", "score"),
        Column("model_dsc", "Model DSC (median)", "score"),
    )
    caption = (
        "Workload against quality. Labels by hand are the truth itself, and their model is the reference. Model: median over test cases."
    )
    return Table("workload_quality", caption, columns, tuple(rows))


def _by_label(annotation: Annotation) -> int:
    return annotation.key.label
