"""Figures of a study as PNG. Imports nnunet's box plots, simulation, study.results, the tables, (inside) Matplotlib.

Colors are those of Okabe and Ito, which people with a color vision deficiency tell apart.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...nnunet.scores.box_plots import box_plot_figure, draw_boxes
from ...nnunet.scores.comparison import Comparison, significance_mark
from ...nnunet.scores.evaluation import Evaluation
from ...optional_imports import import_for
from ...simulation.acceptance import Acceptance
from ..records.calibration import Calibration
from ..records.results import Annotation, PromptScore
from ..tables import worst_first_tables
from ..tables.case_means import mean_of
from ..tables.comparison_tables import rule_text, rules_of, workflows_of
from ..tables.doubt_tables import Groups, bins_of
from ..tables.prompt_tables import CENTER, FIRST_CLICK, REFERENCE, center_dsc, click_scores, prompt_kinds, prompt_tests
from ..tables.tables import Table
from ..tables.workload_tables import accepted_by_case, corrected_share, pixels_by_case, saved_by_case, share_at
from .report_page import PIXELS_PER_PIXEL

BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
COLORS = (BLUE, ORANGE, GREEN, PURPLE, VERMILLION, SKY)
MARKERS = "osD^vP"
_DPI = 100 * PIXELS_PER_PIXEL
GRID = {"color": "0.9", "linewidth": 0.8}


def prompt_figure(scores: Sequence[PromptScore]) -> bytes:
    """DSC on the prompted slice by prompt, with a bracket from the box to every other prompt that is tested."""
    kinds = prompt_kinds(scores)
    figure, (axes,) = new_figure(max(3.5, 1.1 * len(kinds) + 1), 4.4)
    brackets = [(kinds.index(REFERENCE), kinds.index(kind), significance_mark(p)) for kind, (_, p) in prompt_tests(scores, CENTER).items()]
    draw_boxes(axes, {kind: np.array(list(center_dsc(scores, kind).values())) for kind in kinds}, brackets)
    bottom, top = axes.get_ylim()
    axes.set_yticks([tick for tick in axes.get_yticks() if bottom <= tick <= 1])  # above 1 there are only brackets
    axes.set_ylim(bottom, top)
    axes.set_ylabel("DSC on the prompted slice")
    return png_of(figure)


def click_figure(scores: Sequence[PromptScore]) -> bytes:
    """Median DSC on the prompted slice by number of clicks, with the quartiles as a band."""
    figure, (axes,) = new_figure(5.2, 3.8)
    for number, kind in enumerate(kind for kind in prompt_kinds(scores) if kind in FIRST_CLICK):
        by_click = click_scores(scores, kind)
        if not by_click.size:
            continue
        clicks = np.arange(by_click.shape[1]) + FIRST_CLICK[kind]
        lower, median, upper = np.percentile(by_click, (25, 50, 75), axis=0)
        axes.fill_between(clicks, lower, upper, color=COLORS[number], alpha=0.2, linewidth=0)
        axes.plot(clicks, median, color=COLORS[number], marker=MARKERS[number], label=kind)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="Clicks", ylabel="DSC on the prompted slice")
    axes.legend(frameon=False, loc="lower right")
    axes.grid(**GRID)
    return png_of(figure)


def calibration_figure(calibration: Calibration) -> bytes:
    """Share of corrected slices by threshold, one panel a metric; targets as lines, calibrated thresholds as markers."""
    figure, panels = new_figure(7.6, 3.6, columns=2)
    for axes, metric in zip(panels, ("dsc", "nsd"), strict=True):
        curve = getattr(calibration, metric)
        axes.plot(
            [point.threshold for point in curve],
            [100 * point.share for point in curve],
            color=BLUE,
            marker=".",
            label="this threshold alone",
        )
        for number, (name, found) in enumerate(calibration.thresholds.items(), start=1):
            color, threshold = COLORS[number % len(COLORS)], getattr(found, metric)
            axes.axhline(100 * found.target, color=color, linestyle="--", linewidth=1)
            marker = MARKERS[number % len(MARKERS)]
            axes.plot(
                threshold,
                100 * share_at(curve, threshold),
                marker,
                color=color,
                markersize=8,
                label=f"{name}: {threshold:.3f} (target {100 * found.target:.0f} %)",
            )
        axes.set(xlabel=f"Threshold of {metric.upper()}", ylabel="Slices corrected (%)", ylim=(0, 100))
        axes.legend(frameon=False, fontsize=8)
        axes.grid(**GRID)
    return png_of(figure)


def scenario_figure(scenarios: Mapping[str, Sequence[Annotation]]) -> bytes:
    """Share of slices accepted unchanged and corrected, one bar a scenario."""
    figure, (axes,) = new_figure(max(3.6, 1.2 * len(scenarios) + 1), 3.8)
    corrected = np.array([100 * corrected_share(objects) for objects in scenarios.values()])
    places = np.arange(len(scenarios))
    axes.bar(places, 100 - corrected, 0.65, color=BLUE, label="accepted unchanged")
    axes.bar(places, corrected, 0.65, bottom=100 - corrected, color=ORANGE, label="corrected")
    for place, share in zip(places, corrected, strict=True):
        for value, middle, color in ((100 - share, (100 - share) / 2, "white"), (share, 100 - share / 2, "black")):
            if value >= 5:  # a lower bar has no room for its number
                axes.text(place, middle, f"{value:.0f} %", ha="center", va="center", color=color)
    axes.set_xticks(places, list(scenarios))
    axes.set(ylabel="Slices (%)", ylim=(0, 100))
    axes.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
    return png_of(figure)


def model_figure(models: Sequence[Evaluation], comparisons: Sequence[Comparison]) -> bytes:
    """Box plots of test DSC and NSD by model, with significance marks."""
    figure = box_plot_figure(models, comparisons)
    for axes in figure.axes:
        axes.set_title("")  # it names the label, which the caption does
    return png_of(figure)


def quality_figure(quality: Table) -> bytes:
    """DSC of labels and of models by the time that the labels took; from `workload_tables.quality_table`."""
    panels_of = [("label_dsc", "Label DSC (median)"), ("model_dsc", "Model DSC on test cases (median)")]
    there = {column.name for column in quality.columns}
    panels_of = [panel for panel in panels_of if panel[0] in there and any(value is not None for value in quality.column(panel[0]))]
    figure, panels = new_figure(3.9 * len(panels_of), 3.8, columns=len(panels_of))
    names, shares = quality.column("scenario"), [100 * share for share in quality.column("share_of_manual")]
    for axes, (column, text) in zip(panels, panels_of, strict=True):
        points = [(x, y, at) for at, (x, y) in enumerate(zip(shares, quality.column(column), strict=True)) if y is not None]
        axes.plot([x for x, _, _ in points], [y for _, y, _ in points], color="0.6", zorder=1)
        for x, y, at in points:  # names beside the points would lie over each other where two scenarios cost nearly the same
            color, marker = COLORS[at % len(COLORS)], MARKERS[at % len(MARKERS)]
            axes.plot(x, y, marker, color=color, markersize=9, label=names[at])
        axes.set(xlabel="Reckoned time, of drawing by hand (%)", ylabel=text)
        axes.legend(frameon=False, fontsize=9, loc="lower right")
        axes.grid(**GRID)
    return png_of(figure)


def comparison_figure(comparison: Mapping[tuple[str, int], Sequence[Annotation]], rules: Sequence[Acceptance]) -> bytes:
    """Means of cases, a bar for each workflow, a group for each rule: slices accepted, pixels corrected, time."""
    workflows, numbers = workflows_of(comparison), rules_of(comparison)
    figure, panels = new_figure(min(10.0, max(6.5, 0.35 * len(workflows) * len(numbers) + 1)), 8.0, rows=3)
    width, places = 0.8 / len(workflows), np.arange(len(numbers))
    measures = (
        ("Slices accepted\nunchanged (%)", accepted_by_case, 1),
        ("Corrected pixels,\nof the truth's (%)", pixels_by_case, 1),
        ("Reckoned time,\nof drawing by hand (%)", saved_by_case, -1),
    )
    for at, workflow in enumerate(workflows):
        spots = places + (at - (len(workflows) - 1) / 2) * width
        color, hatch = COLORS[at % len(COLORS)], None if at < len(COLORS) else "//"
        for axes, (_, by_case, sign) in zip(panels, measures, strict=True):
            means = [100 * mean_of(by_case(comparison.get((workflow, number), ()))) for number in numbers]
            heights = means if sign > 0 else [100 - mean for mean in means]
            axes.bar(spots, heights, 0.9 * width, color=color, hatch=hatch, label=workflow)
    for axes, (text, _, _) in zip(panels, measures, strict=True):
        axes.set_xticks(places, [rule_text(rules[number]) for number in numbers])
        axes.set_ylabel(text)
        axes.grid(axis="y", **GRID)
        axes.set_axisbelow(True)
    panels[0].set_ylim(0, 100)
    panels[2].axhline(100, color="0.3", linewidth=1, linestyle="--")
    panels[0].legend(frameon=False, ncols=min(6, len(workflows)), loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=9)
    return png_of(figure)


def doubt_figure(groups: Groups) -> bytes:
    """Actual DSC by the expected one, each with its mean interval; one line for each way in which slices were reviewed."""
    figure, (axes,) = new_figure(4.6, 4.2)
    axes.plot([0, 1], [0, 1], color="0.3", linewidth=1, linestyle="--", zorder=1)
    for at, (name, slices) in enumerate(groups.items()):
        found = bins_of(slices)
        color, marker, shift = COLORS[at % len(COLORS)], MARKERS[at % len(MARKERS)], 0.004 * (at - (len(groups) - 1) / 2)
        spots = [one.expected + shift for one in found]
        axes.vlines(spots, [one.low for one in found], [one.high for one in found], color=color, alpha=0.35, linewidth=2)
        axes.plot(spots, [one.dsc for one in found], f"{marker}-", color=color, markersize=6, label=name)
    axes.set(xlabel="Expected DSC", ylabel="DSC (mean)", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    axes.grid(**GRID)
    return png_of(figure)


def worst_first_figure(found: worst_first_tables.ByWorkflow) -> bytes:
    """Mean 3-D DSC by slices drawn, and by pixels changed for it, a line each workflow; from `worst_first_tables.alike`."""
    figure, panels = new_figure(7.8, 3.8, columns=2)
    table = worst_first_tables.worst_first_table(found)
    rows = list(zip(*(table.column(name) for name in ("workflow", "drawn", "pixels_of_truth", "dsc")), strict=True))
    for at, workflow in enumerate(found):
        own = [row for row in rows if row[0] == workflow]
        look = {"color": COLORS[at % len(COLORS)], "marker": MARKERS[at % len(MARKERS)], "markersize": 5, "label": workflow}
        for axes, places in ((panels[0], [row[1] for row in own]), (panels[1], [100 * row[2] for row in own])):
            axes.plot(places, [row[3] for row in own], **look)
    for axes, text in zip(panels, ("Slices drawn, the worst first", "Pixels changed, of the truth's (%)"), strict=True):
        axes.set(xlabel=text, ylabel="3-D DSC")
        axes.grid(**GRID)
    panels[0].xaxis.get_major_locator().set_params(integer=True)
    panels[0].legend(frameon=False, loc="lower right", fontsize=9)
    return png_of(figure)


def new_figure(width_in: float, height_in: float, *, rows: int = 1, columns: int = 1) -> tuple[Any, Sequence[Any]]:
    """A figure of this size, and its panels row by row."""
    # Not pyplot: it would keep the figure in a list of its own and could choose a window system.
    figure_module = import_for("Drawing the figures of a study", "matplotlib.figure", "pip install matplotlib")
    figure = figure_module.Figure(figsize=(width_in, height_in), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def png_of(figure: Any) -> bytes:
    """The bytes of its PNG; the same figure gives the same."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    return file.getvalue()
