"""One self-contained page of HTML from sections: no scripts, no network, readable on a phone and on paper. Imports study.tables."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .tables import Table

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
nav a { margin-right: 1rem; } .takeaway { font-weight: 600; } .note { color: #8a4b00; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.85rem; margin: 0.5rem 0; }
caption { text-align: left; padding: 0.3rem 0; color: #444; }
th, td { padding: 0.2rem 0.6rem; border-bottom: 1px solid #ddd; text-align: left; }
th { vertical-align: bottom; } .number { text-align: right; font-variant-numeric: tabular-nums; } td.number { white-space: nowrap; }
td { overflow-wrap: anywhere; min-width: 3.5rem; } figure { margin: 1.5rem 0; } img { max-width: 100%; height: auto; }
figcaption { font-size: 0.85rem; color: #444; } pre { overflow-x: auto; background: #f5f5f5; padding: 0.8rem; font-size: 0.8rem; }
@media print {
  body { max-width: none; font-size: 10pt; } nav { display: none; } .scroll { overflow: visible; } table { font-size: 7pt; }
  figure, tr { break-inside: avoid; } h2 { break-after: avoid; } pre { white-space: pre-wrap; }
}
"""


@dataclass(frozen=True)
class Picture:
    """A figure of the page.

    Args:
        png: the picture's bytes.
        caption: what it shows, and of how many.
    """

    png: bytes
    caption: str


@dataclass(frozen=True)
class Section:
    """A chapter of the page.

    Args:
        title: heading.
        takeaways: what the numbers say, a sentence each.
        notes: what a reader must know, such as that it is not finished.
        pictures: in their order.
        tables: in their order, behind the pictures; those that are not shown are written as CSV alone.
        text: shown as it is, in a fixed width.
    """

    title: str
    takeaways: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    text: str = ""


def page_html(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The whole page; every text is escaped."""
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
        f"<h1>{escape(title)}</h1>\n<p>{escape(lead)}</p>",
        "<nav>" + " ".join(f'<a href="#s{number}">{escape(one.title)}</a>' for number, one in enumerate(sections)) + "</nav>",
        *(_section_html(number, section) for number, section in enumerate(sections)),
        "</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _section_html(number: int, section: Section) -> str:
    parts = [f'<section id="s{number}">\n<h2>{escape(section.title)}</h2>']
    parts += [f'<p class="takeaway">{escape(sentence)}</p>' for sentence in section.takeaways]
    parts += [f'<p class="note">{escape(sentence)}</p>' for sentence in section.notes]
    parts += [_picture_html(picture) for picture in section.pictures]
    parts += [_table_html(table) for table in section.tables if table.shown]
    hidden = [table for table in section.tables if not table.shown]
    if hidden:
        parts.append("<p>Beside this page: " + ", ".join(f"{_link(table)} ({escape(table.caption)})" for table in hidden) + "</p>")
    if section.text:
        parts.append(f"<pre>{escape(section.text)}</pre>")
    return "\n".join([*parts, "</section>"])


def _picture_html(picture: Picture) -> str:
    data, caption = base64.b64encode(picture.png).decode(), escape(picture.caption)
    return f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">\n<figcaption>{caption}</figcaption></figure>'


def _table_html(table: Table) -> str:
    marks = [' class="number"' if column.is_number else "" for column in table.columns]
    head = "".join(f'<th scope="col"{mark}>{escape(column.heading)}</th>' for column, mark in zip(table.columns, marks, strict=True))
    rows = "\n".join(
        "<tr>" + "".join(f"<td{mark}>{escape(cell)}</td>" for cell, mark in zip(cells, marks, strict=True)) + "</tr>"
        for cells in table.cells()
    )
    caption = f"<caption>{escape(table.caption)} {_link(table)}</caption>"
    return f'<div class="scroll"><table>{caption}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>'


def _link(table: Table) -> str:
    return f'<a href="{escape(table.name)}.csv">{escape(table.name)}.csv</a>'
