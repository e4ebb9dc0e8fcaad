"""What the page of a report is made of; how it looks is in ``page.html.jinja`` beside this file. Imports tables and (inside) Jinja."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...optional_imports import import_for
from ..tables.tables import Table

PIXELS_PER_PIXEL = 1.5  # of a picture, so that it is sharp on fine screens and on paper
_MOST_UNFOLDED_ROWS = 40
_SHORT = 32  # characters of a cell that is not broken
_TEMPLATE = Path(__file__).with_name("page.html.jinja")
INSTALL_HINT = "pip install jinja2"


@dataclass(frozen=True)
class Picture:
    """A figure of the page.

    Args:
        png: the picture's bytes.
        caption: what it shows, and of how many.
    """

    png: bytes
    caption: str

    @property
    def base64(self) -> str:
        """For the page, which stands alone."""
        return base64.b64encode(self.png).decode()

    @property
    def shown_width(self) -> int:
        """In pixels of the page."""
        return round(int.from_bytes(self.png[16:20], "big") / PIXELS_PER_PIXEL)  # where every PNG says it


@dataclass(frozen=True)
class Section:
    """A chapter of the page.

    Args:
        title: heading.
        summary: what of it stands in the summary of the page, a sentence each.
        takeaways: what the numbers say, a sentence each.
        notes: what a reader must be warned of, such as that it is not finished.
        remarks: how the numbers came about.
        pictures: in their order.
        tables: in their order, behind the pictures; a long one is folded; those that are not shown are written as CSV alone.
        text: shown as it is, in a fixed width, folded.
    """

    title: str
    summary: tuple[str, ...] = ()
    takeaways: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    text: str = ""


def page_html(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The whole page; every text is escaped. Raises MissingPackageError if Jinja is not installed."""
    jinja2 = import_for("A study's report", "jinja2", INSTALL_HINT)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(title=title, lead=lead, sections=sections, most_unfolded_rows=_MOST_UNFOLDED_ROWS, short=_SHORT)
