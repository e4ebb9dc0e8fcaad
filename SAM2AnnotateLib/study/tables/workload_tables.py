"""Tables of calibration, of the scenarios' workload, and of the quality it buys. Imports simulation, nnunet, statistics, study."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from ...nnunet.scores.evaluation import MEAN, Evaluation
from ...simulation.effort import Effort, GestureSeconds
from ...statistics import summarize
from ..configuration.config_calibration import REFERENCE
from ..records.calibration import Calibration
from ..records.calibration_curve import CurvePoint
from ..records.results import Annotation
from .case_means import case_means, mean_of
from .tables import Column, Table

_NAN = float("nan")
Key = TypeVar("Key", bound=Hashable)
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


def accepted_by_case(objects: Sequence[Annotation]) -> dict[str, float]:
    """Share of slices that nobody changed, by case: mean over its objects."""
    return case_means((one.key, 1 - one.corrected / one.slices if one.slices else _NAN) for one in objects)


def pixels_by_case(objects: Sequence[Annotation]) -> dict[str, float]:
    """Corrected pixels in units of the truth's, by case: mean over its objects."""
    return case_means((one.key, one.effort.corrected_pixels / one.truth_pixels if one.truth_pixels else _NAN) for one in objects)


def saved_by_case(objects: Sequence[Annotation]) -> dict[str, float]:
    """Share of the seconds by hand that was saved, by case: mean over its objects."""
    return case_means((one.key, saved_share([one])) for one in objects)


def seconds_text(costs: GestureSeconds) -> str:
    """Where minutes come from."""
    return (
        f"Minutes and time saved are reckoned, not measured: {costs.find:g} s to find an object, {costs.box:g} s a box, {costs.point:g} s "
        f"a point, {costs.look:g} s to look at a slice, {costs.accept:g} s to accept it, {costs.begin_correction:g} s to begin a "
        f"correction or an outline, and {costs.outline_mm_per_s:g} mm of outline a second. Of the defaults only the box's 3.3 s are "
        "measured (study C). By hand means every slice outlined from nothing, by the same seconds. Waiting for the model is not counted."
    )


def common_objects(by_name: Mapping[Key, Sequence[Annotation]]) -> dict[Key, tuple[Annotation, ...]]:
    """Only the objects that all of them have, so that a study that is not finished compares like with like."""
    shared = set.intersection(*({one.key for one in objects} for objects in by_name.values())) if by_name else set()
    return {name: tuple(one for one in objects if one.key in shared) for name, objects in by_name.items()}


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
        "Workload and quality of the labels: sums over objects, and median [quartiles] over objects of the DSC and NSD "
        "of the finished labels in 3-D. Corrected of the truth's pixels: mean over cases. Time saved: against drawing "
        "every slice by hand, reckoned."
    )
    return Table("scenarios", caption, columns, tuple(rows))


WORKLOAD_COLUMNS = (
    Column("cases", "Cases", "count"),
    Column("objects", "Objects", "count"),
    Column("slices", "Slices", "count"),
    Column("accepted_share", "Accepted unchanged", "share"),
    Column("accepted_case_mean", "Accepted unchanged", "share", shown=False),
    Column("corrected_share", "Corrected", "share", shown=False),
    Column("prompts", "Prompts", "count", shown=False),
    Column("corrections", "Corrections", "count", shown=False),
    Column("corrected_pixels", "Corrected pixels", "count"),
    Column("corrected_of_truth", "Corrected, of the truth's pixels", "share"),
    Column("slices_viewed", "Slices viewed", "count", shown=False),
    Column("minutes", "Minutes", "minutes"),
    Column("minutes_by_hand", "by hand", "minutes"),
    Column("saved_share", "Time saved", "share"),
    Column("saved_case_mean", "Time saved", "share", shown=False),
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
        mean_of(accepted_by_case(objects)),
        corrected,
        effort.boxes + effort.points,
        effort.corrections,
        effort.corrected_pixels,
        mean_of(pixels_by_case(objects)),
        effort.slices_viewed,
        effort.seconds / 60,
        manual.seconds / 60,
        saved_share(objects),
        mean_of(saved_by_case(objects)),
        summarize([one.dsc for one in objects]),
        summarize([one.nsd for one in objects]),
    )


def quality_table(scenarios: Mapping[str, Sequence[Annotation]], models: Sequence[Evaluation]) -> Table:
    """One row a scenario, and one for drawing by hand: work, and the quality of labels and, if there are any, of the models on them."""
    model_dsc = {model.model: summarize(model.values("dsc", MEAN)).median for model in models}
    rows: list[tuple[object, ...]] = []
    for name, objects in scenarios.items():
        minutes = total([one.effort for one in objects]).seconds / 60
        label_dsc = summarize([one.dsc for one in objects]).median
        rows.append((name, corrected_share(objects), minutes, 1 - saved_share(objects), label_dsc, model_dsc.get(name)))
    if scenarios:
        fullest = max(scenarios.values(), key=len)  # the same objects in all of them, once all are finished
        by_hand = total([one.manual for one in fullest]).seconds / 60
        rows.append((BY_HAND, 1.0, by_hand, 1.0, 1.0, model_dsc.get(REFERENCE)))
    columns = [
        Column("scenario", "Labels"),
        Column("corrected_share", "Slices drawn or corrected", "share"),
        Column("minutes", "Minutes", "minutes"),
        Column("share_of_manual", "Of the time by hand", "share"),
        Column("label_dsc", "Label DSC (median)", "score"),
    ]
    caption = "Workload against quality. Labels by hand are the truth itself{}. Labels: median over objects{}. Minutes are reckoned."
    if not models:
        return Table("workload_quality", caption.format("", ""), tuple(columns), tuple(row[:-1] for row in rows))
    columns.append(Column("model_dsc", "Model DSC (median)", "score"))
    caption = caption.format(", and their model is the reference", "; model: median over test cases")
    return Table("workload_quality", caption, tuple(columns), tuple(rows))


def _by_label(annotation: Annotation) -> int:
    return annotation.key.label
