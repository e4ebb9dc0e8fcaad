"""Box plots of models with significance marks. Imports nnunet.evaluation, nnunet.comparison, atomic_files and (inside) Matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...atomic_files import replaced_atomically
from ...errors import OutputError
from ...optional_imports import import_for
from .comparison import Comparison
from .evaluation import MEAN, Evaluation

FORMATS = (".png", ".svg", ".pdf")
_BRACKET_STEP = 0.07  # between two brackets, in heights of the plot
_AXIS_NAMES = {"dsc": "DSC", "nsd": "NSD", "hd95_mm": "HD95 (mm)"}


def write_box_plots(
    path: Path,
    evaluations: Sequence[Evaluation],
    comparisons: Sequence[Comparison],
    metrics: Sequence[str] = ("dsc", "nsd"),
    label: str = MEAN,
) -> None:
    """One panel a metric, one box a model: median, quartiles, whiskers to the furthest case within 1.5 IQR, every case as a dot.

    A bracket joins a model with the reference it was compared with and bears the mark of the adjusted p-value. Undefined scores are left
    out; infinite ones too, and the number of either stands under the model's name.

    Args:
        path: ends in one of `FORMATS`.
        label: which label; the mean over all by default.

    Raises:
        OutputError: if the name ends otherwise, or the file cannot be written.
        MissingPackageError: if Matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"Cannot write '{path.name}': expected a file name that ends in {', '.join(FORMATS)}.")
    figure = box_plot_figure(evaluations, comparisons, metrics, label)
    with replaced_atomically(path) as partial:
        figure.savefig(partial, dpi=150)


def box_plot_figure(
    evaluations: Sequence[Evaluation], comparisons: Sequence[Comparison], metrics: Sequence[str] = ("dsc", "nsd"), label: str = MEAN
) -> Any:
    """The Matplotlib figure that `write_box_plots` writes. Raises MissingPackageError."""
    # Not pyplot: it would keep the figure in a list of its own and could choose a window system.
    figure_module = import_for("Drawing box plots", "matplotlib.figure", "pip install matplotlib")
    figure = figure_module.Figure(figsize=(max(2.6, 0.9 * len(evaluations) + 1.2) * len(metrics), 4.2), layout="constrained")
    for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        names = [evaluation.model for evaluation in evaluations]
        compared = [one for one in comparisons if one.metric == metric and one.label == label]
        brackets = [(names.index(one.reference), names.index(one.model), one.mark) for one in compared]
        draw_boxes(axes, {evaluation.model: evaluation.values(metric, label) for evaluation in evaluations}, brackets)
        tolerance = f" ({evaluations[0].tolerance_mm:g} mm)" if metric == "nsd" else ""
        axes.set_ylabel(_AXIS_NAMES[metric] + tolerance)
        axes.set_title(label)
    return figure


def draw_boxes(axes: Any, values: Mapping[str, np.ndarray], brackets: Sequence[tuple[int, int, str]]) -> None:
    """One box a name, every value as a dot, brackets above them.

    Args:
        axes: of Matplotlib.
        values: (n,) by name; those that are not finite are left out, and their number stands under the name.
        brackets: numbers of the two boxes that each joins, and its mark.
    """
    shown, names = [], []
    for name, given in values.items():
        shown.append(given[np.isfinite(given)])
        hidden = given.size - shown[-1].size
        names.append(f"{name}\n({hidden} not shown)" if hidden else name)
    places = np.arange(len(shown))
    axes.boxplot(shown, positions=places, widths=0.55, showfliers=False, medianprops={"color": "tab:red"})
    rng = np.random.default_rng(0)  # sideways, so that dots of one height stay apart
    for place, heights in zip(places, shown, strict=True):
        axes.plot(place + rng.uniform(-0.12, 0.12, heights.size), heights, ".", color="tab:blue", alpha=0.5, markersize=4)
    axes.set_xticks(places, names)
    _draw_brackets(axes, brackets)


def _draw_brackets(axes: Any, brackets: Sequence[tuple[int, int, str]]) -> None:
    """Above the data, the narrowest lowest."""
    bottom, top = axes.get_ylim()
    height = top - bottom
    spans = sorted(brackets, key=lambda span: abs(span[0] - span[1]))
    for level, (start, end, mark) in enumerate(spans):
        y = top + (level + 0.3) * _BRACKET_STEP * height
        drop = 0.2 * _BRACKET_STEP * height
        axes.plot([start, start, end, end], [y - drop, y, y, y - drop], color="black", linewidth=0.8, clip_on=False)
        axes.text((start + end) / 2, y, mark, ha="center", va="bottom", fontsize=8)
    axes.set_ylim(bottom, top + (len(spans) + 0.5) * _BRACKET_STEP * height if spans else top)
