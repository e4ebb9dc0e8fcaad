"""Cells of a CSV file that a spreadsheet takes as text and nothing else. Imports the standard library only.

A cell that begins with ``=``, ``+``, ``-`` or ``@`` is a formula to a spreadsheet, which may call programs or send what stands beside it. A
name that somebody else chose, such as that of a label or a patient, gets an apostrophe in front then; numbers stay as they are.
"""

from __future__ import annotations

from typing import Any

_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four are their full-width forms


def safe_cell(value: Any) -> Any:
    """The value as it may stand in a CSV file."""
    if not isinstance(value, str) or not _looks_like_formula(value):
        return value
    return f"'{value}"


def cell_as_it_was(text: str) -> str:
    """The inverse of `safe_cell` for text."""
    return text[1:] if text.startswith("'") and _looks_like_formula(text[1:]) else text


def _looks_like_formula(text: str) -> bool:
    if not text.lstrip(" ").startswith(_BEGINNINGS):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False
