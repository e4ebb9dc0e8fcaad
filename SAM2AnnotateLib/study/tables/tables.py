"""Table: rows of results, for CSV and for people, from the same values. Imports statistics and the standard library."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...csv_cells import safe_cell
from ...statistics import Interval, Summary

NOTHING = "\N{EN DASH}"
# A table with more rows, such as one of all cases of a large study, is not shown on the page.
MOST_SHOWN_ROWS = 120
_CSV_ENDINGS = {
    "summary": ("_median", "_lower_quartile", "_upper_quartile"),
    "interval": ("", "_ci95_lower", "_ci95_upper"),
    "points_interval": ("", "_ci95_lower", "_ci95_upper"),
}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        name: in the CSV.
        heading: for people.
        kind: key of `KINDS`; says what the values are and how they are shown.
        shown: whether people see it on the page; otherwise only in the CSV.
    """

    name: str
    heading: str
    kind: str = "text"
    shown: bool = True

    @property
    def is_number(self) -> bool:
        """Whether people see it aligned to the right."""
        return self.kind not in ("text", "digest")

    @property
    def csv_names(self) -> tuple[str, ...]:
        """A summary and an interval take three columns."""
        return tuple(f"{self.name}{ending}" for ending in _CSV_ENDINGS.get(self.kind, ("",)))


@dataclass(frozen=True)
class Table:
    """Rows and what they mean.

    Args:
        name: of its CSV file, without the suffix.
        caption: one sentence: what a row is.
        columns: as many as a row has values.
        rows: values; None where a column does not apply, NaN where a number cannot be said.
        shown: whether people see it on the page; otherwise only as CSV.
        grouped: whether rows with the same first value belong together.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    shown: bool = True
    grouped: bool = False

    def column(self, name: str) -> list:
        """All values of one column."""
        at = [column.name for column in self.columns].index(name)
        return [row[at] for row in self.rows]

    def csv_text(self) -> str:
        """Header and rows with six digits; shares as 0..1, nothing for None."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([name for column in self.columns for name in column.csv_names])
        for row in self.rows:
            writer.writerow(
                [cell for column, value in zip(self.columns, row, strict=True) for cell in map(safe_cell, _csv_cells(column, value))]
            )
        return text.getvalue()

    @property
    def shown_columns(self) -> tuple[Column, ...]:
        """What people see."""
        return tuple(column for column in self.columns if column.shown)

    def cells(self) -> list[list[str]]:
        """The rows as people read them, all columns."""
        return [[KINDS[column.kind](value) for column, value in zip(self.columns, row, strict=True)] for row in self.rows]

    def shown_cells(self) -> list[list[str]]:
        """The same of the shown columns."""
        return [[cell for column, cell in zip(self.columns, cells, strict=True) if column.shown] for cells in self.cells()]


def share_text(value: float) -> str:
    """``79.3 %`` for 0.793."""
    return f"{100 * value:.1f} %"


def score_text(value: float) -> str:
    """``0.945``."""
    return f"{value:.3f}"


def p_text(value: float) -> str:
    """``< 0.001`` or ``0.012``."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _known(show: Callable) -> Callable[[object], str]:
    def text(value: object) -> str:
        return NOTHING if value is None or (isinstance(value, float) and math.isnan(value)) else show(value)

    return text


def _summary_text(summary: Summary) -> str:
    if math.isnan(summary.median):
        return NOTHING
    return f"{summary.median:.3f} [{summary.lower_quartile:.3f}, {summary.upper_quartile:.3f}]"


def _interval_text(interval: Interval, factor: float, digits: int) -> str:
    if math.isnan(interval.estimate):
        return NOTHING
    shown = f"{factor * interval.estimate:+.{digits}f}"
    if math.isnan(interval.lower):  # of a single case
        return shown
    return f"{shown} [{factor * interval.lower:+.{digits}f}, {factor * interval.upper:+.{digits}f}]"


# How a value is shown, by kind of column.
KINDS: dict[str, Callable[[object], str]] = {
    "text": _known(str),
    "count": _known(lambda value: f"{value:,}"),
    "score": _known(score_text),
    "signed_score": _known(lambda value: f"{value:+.3f}"),
    "share": _known(share_text),
    "points": _known(lambda value: f"{100 * value:+.1f}"),
    "minutes": _known(lambda value: f"{value:,.1f}"),
    "number": _known(lambda value: f"{value:,.2f}"),
    "p": _known(p_text),
    "summary": _known(_summary_text),
    "interval": _known(lambda value: _interval_text(value, 1, 3)),
    "points_interval": _known(lambda value: _interval_text(value, 100, 1)),
    "digest": _known(lambda value: value if len(value) <= 16 else f"{value[:12]}..."),
}


def _csv_cells(column: Column, value: object) -> Sequence[str]:
    if value is None:
        return [""] * len(column.csv_names)
    if isinstance(value, Summary):
        return [f"{number:.6g}" for number in (value.median, value.lower_quartile, value.upper_quartile)]
    if isinstance(value, Interval):
        return [f"{number:.6g}" for number in (value.estimate, value.lower, value.upper)]
    return [f"{value:.6g}" if isinstance(value, float) else str(value)]
