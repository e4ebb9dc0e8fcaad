"""One self-contained page of HTML from sections: no scripts, no network, readable on a phone and on paper. Imports study.tables."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ..tables.tables import Column, Table

PIXELS_PER_PIXEL = 1.5  # of a picture, so that it is sharp on fine screens and on paper
_MOST_UNFOLDED_ROWS = 40
_SHORT = 32  # characters of a cell that is not broken

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 70rem; margin: 0 auto; padding: 1rem 1.5rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin-bottom: 0.3rem; }
h2 { font-size: 1.3rem; margin: 3rem 0 0.8rem; padding-bottom: 0.2rem; border-bottom: 1px solid #ccc; }
p { max-width: 50rem; margin: 0.5rem 0; } nav { margin: 1rem 0; line-height: 1.9; } nav a { margin-right: 1.2rem; white-space: nowrap; }
a { color: #0b5a99; } .takeaway { border-left: 3px solid #0072B2; padding-left: 0.8rem; } .note { color: #8a4b00; }
.remark { color: #444; font-size: 0.9rem; }
.scroll { overflow-x: auto; margin: 1.2rem 0; } table { border-collapse: collapse; font-size: 0.8rem; }
caption { text-align: left; padding: 0.3rem 0; color: #444; } caption span { display: block; max-width: 60rem; }
th, td { padding: 0.25rem 0.4rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
th { vertical-align: bottom; font-weight: 600; border-bottom-color: #888; } .number { text-align: right; }
.number, .short { white-space: nowrap; font-variant-numeric: tabular-nums; } th.number { white-space: normal; }
tr.group td { border-top: 2px solid #999; } tbody tr:first-child td { border-top: 0; }
figure { margin: 1.5rem 0; } img { max-width: 100%; height: auto; }
figcaption { font-size: 0.85rem; color: #444; max-width: 50rem; } summary { cursor: pointer; color: #0b5a99; margin: 0.8rem 0; }
pre { overflow-x: auto; background: #f5f5f5; padding: 0.8rem; font-size: 0.8rem; }
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
    for kind, sentences in (("takeaway", section.takeaways), ("note", section.notes), ("remark", section.remarks)):
        parts += [f'<p class="{kind}">{escape(sentence)}</p>' for sentence in sentences]
    parts += [_picture_html(picture) for picture in section.pictures]
    parts += [_table_html(table) for table in section.tables if table.shown]
    hidden = [table for table in section.tables if not table.shown]
    if hidden:
        parts.append("<p>Beside this page: " + ", ".join(f"{_link(table)} ({escape(table.caption)})" for table in hidden) + "</p>")
    if section.text:
        parts.append(_folded("Show", f"<pre>{escape(section.text)}</pre>"))
    return "\n".join([*parts, "</section>"])


def _picture_html(picture: Picture) -> str:
    data, caption = base64.b64encode(picture.png).decode(), escape(picture.caption)
    width = round(int.from_bytes(picture.png[16:20], "big") / PIXELS_PER_PIXEL)  # where every PNG says it
    image = f'<img alt="{caption}" width="{width}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}\n<figcaption>{caption}</figcaption></figure>"


def _table_html(table: Table) -> str:
    shown = [at for at, column in enumerate(table.columns) if column.shown]
    columns = [table.columns[at] for at in shown]
    head = "".join(f'<th scope="col"{_mark(column, "")}>{escape(column.heading)}</th>' for column in columns)
    rows = [[cells[at] for at in shown] for cells in table.cells()]
    body = []
    for before, cells in zip([[], *rows], rows, strict=False):
        texts = "".join(f"<td{_mark(column, cell)}>{escape(cell)}</td>" for column, cell in zip(columns, cells, strict=True))
        begins = bool(before) and table.grouped and before[0] != cells[0]
        body.append(f'<tr class="group">{texts}</tr>' if begins else f"<tr>{texts}</tr>")
    caption = f"<caption><span>{escape(table.caption)} {_link(table)}</span></caption>"
    lines = "\n".join(body)
    text = f'<div class="scroll"><table>{caption}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody></table></div>'
    return text if len(rows) <= _MOST_UNFOLDED_ROWS else _folded(f"{table.caption} {len(rows)} rows", text)


def _mark(column: Column, cell: str) -> str:
    if column.is_number:
        return ' class="number"'
    return ' class="short"' if 0 < len(cell) <= _SHORT else ""


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>\n{text}\n</details>"


def _link(table: Table) -> str:
    return f'<a href="{escape(table.name)}.csv">{escape(table.name)}.csv</a>'
