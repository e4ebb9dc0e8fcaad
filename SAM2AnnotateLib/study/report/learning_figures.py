"""Figures of the chapters on learning as PNG. Imports the tables and the drawing of `figures`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..records.results import LearningVolume
from ..tables.learning_tables import FROM_VOLUME
from ..tables.tables import Table
from .figures import BLUE, COLORS, GRID, MARKERS, ORANGE, new_figure, png_of


def series_figure(series: Sequence[LearningVolume]) -> bytes:
    """Share of slices accepted as proposed, by volume of the series: never learning, and learning after each."""
    figure, (axes,) = new_figure(5.6, 3.8)
    numbers = sorted({one.number for one in series})
    for shift, (name, color, marker) in zip((-0.06, 0.06), (("never", ORANGE, "s"), ("learning", BLUE, "o")), strict=True):
        shares = [[100 * (1 - getattr(one, name) / one.slices) for one in series if one.number == number] for number in numbers]
        means = [float(np.mean(own)) for own in shares]
        errors = [1.96 * float(np.std(own, ddof=1)) / np.sqrt(len(own)) if len(own) > 1 else 0.0 for own in shares]
        label = "never learning" if name == "never" else "learning after each volume"
        axes.errorbar([n + shift for n in numbers], means, errors, color=color, marker=marker, capsize=3, label=label)
    axes.axvline(FROM_VOLUME - 0.5, color="0.6", linewidth=1, linestyle="--")
    axes.set_xticks(numbers)
    axes.set(xlabel="Volume of the series", ylabel="Slices accepted as proposed (%)")
    axes.legend(frameon=False)
    axes.grid(axis="y", **GRID)
    return png_of(figure)


def gain_figure(table: Table, clicks: int) -> bytes:
    """DSC by number of points, a line for each way to learn; with a box at the right. From `learning_tables.gain_table`."""
    figure, (axes,) = new_figure(6.4, 4.0)
    points = [table.column(f"points_{n + 1}") for n in range(clicks)]
    boxes, both = table.column("box"), table.column("both")
    for at, name in enumerate(table.column("setting")):
        look = {"color": COLORS[at % len(COLORS)], "marker": MARKERS[at % len(MARKERS)], "markersize": 5}
        axes.plot(range(1, clicks + 1), [column[at] for column in points], label=name, **look)
        axes.plot([clicks + 1, clicks + 2], [boxes[at], both[at]], linestyle=":", **look)
    axes.set_xticks([*range(1, clicks + 1), clicks + 1, clicks + 2], [*(str(n + 1) for n in range(clicks)), "box", "box and\npoints"])
    axes.set(xlabel="Points, at most", ylabel="DSC (mean of cases)")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    axes.grid(**GRID)
    return png_of(figure)
