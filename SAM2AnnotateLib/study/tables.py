"""Table: rows of results, for CSV and for people, from the same values. Imports statistics and the standard library."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..statistics import Summary

NOTHING = "\N{EN DASH}"
# A table with more rows, such as one of all cases of a large study, is not shown on the page.
MOST_SHOWN_ROWS = 120


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        name: in the CSV.
        heading: for people.
        kind: key of `KINDS`; says what the values are and how they are shown.
    """

    name: str
    heading: str
    kind: str = "text"

    @property
    def is_number(self) -> bool:
        """Whether people see it aligned to the right."""
        return self.kind != "text"

    @property
    def csv_names(self) -> tuple[str, ...]:
        """A summary takes three columns."""
        if self.kind != "summary":
            return (self.name,)
        return f"{self.name}_median", f"{self.name}_lower_quartile", f"{self.name}_upper_quartile"


@dataclass(frozen=True)
class Table:
    """Rows and what they mean.

    Args:
        name: of its CSV file, without the suffix.
        caption: one sentence: what a row is.
        columns: as many as a row has values.
        rows: values; None where a column does not apply, NaN where a number cannot be said.
        shown: whether people see it on the page; otherwise only as CSV.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    shown: bool = True

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
            writer.writerow([cell for column, value in zip(self.columns, row, strict=True) for cell in _csv_cells(column, value)])
        return text.getvalue()

    def cells(self) -> list[list[str]]:
        """The rows as people read them."""
        return [[KINDS[column.kind](value) for column, value in zip(self.columns, row, strict=True)] for row in self.rows]


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
}


def _csv_cells(column: Column, value: object) -> Sequence[str]:
    if value is None:
        return [""] * len(column.csv_names)
    if isinstance(value, Summary):
        return [f"{number:.6g}" for number in (value.median, value.lower_quartile, value.upper_quartile)]
    return [f"{value:.6g}" if isinstance(value, float) else str(value)]
