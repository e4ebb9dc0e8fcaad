"""Figures of the chapter on crowds as PNG. Imports the tables and the drawing of `figures`."""

from __future__ import annotations

from ..configuration.config_crowd import CROWD_WAYS, NONE_MISSING
from ..tables.crowd_tables import WAY_NAMES
from ..tables.tables import Table
from .figures import COLORS, GRID, MARKERS, new_figure, png_of


def crowd_figure(table: Table, first_every: int, people: int) -> bytes:
    """Volume DSC of each way by the number of people where the most slices are asked, and by the step for one number of people."""
    figure, panels = new_figure(9.4, 3.9, columns=2)
    asked = [row for row in _rows(table) if row["missing"] == NONE_MISSING]
    for axes, name, own in (
        (panels[0], "people", [row for row in asked if row["every"] == first_every]),
        (panels[1], "every", [row for row in asked if row["people"] == people]),
    ):
        at = range(len(own))
        for n, way in enumerate(CROWD_WAYS):
            look = {"color": COLORS[n % len(COLORS)], "marker": MARKERS[n % len(MARKERS)], "markersize": 5}
            axes.plot(at, [row[f"volume_dsc_{way}"] for row in own], label=WAY_NAMES[way], **look)
        axes.set_xticks(list(at), [str(row[name]) for row in own])
        axes.grid(axis="y", **GRID)
    step = f" (one slice in {first_every})" if first_every > 1 else ""
    panels[0].set(xlabel=f"People for each slice{step}", ylabel="Volume DSC (mean of cases)")
    panels[1].set(xlabel=f"One slice in n is asked ({people} people for each)")
    panels[1].legend(frameon=False, fontsize=8, loc="lower left")
    return png_of(figure)


def _rows(table: Table) -> list[dict]:
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]
