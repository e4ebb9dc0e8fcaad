"""A spreadsheet runs nothing that a CSV file holds."""

from __future__ import annotations

import pytest

from SAM2AnnotateLib.csv_cells import cell_as_it_was, safe_cell


@pytest.mark.parametrize(
    "text", ["=1+1", '=HYPERLINK("http://evil","x")', "@SUM(1+9)*cmd|x", "+cmd|' /C calc'!A0", "-2+3", "\t=1", " =1", "\r=1", "\uff1d1"]
)
def test_a_formula_is_text_and_comes_back(text):
    assert safe_cell(text) == f"'{text}"
    assert cell_as_it_was(safe_cell(text)) == text


@pytest.mark.parametrize("value", ["liver", "-0.5", "+1e3", "-inf", "nan", "", "a=b", "'quoted", 5, None, -2.5])
def test_numbers_and_names_stay_as_they_are(value):
    assert safe_cell(value) == value
    assert not isinstance(value, str) or cell_as_it_was(value) == value
