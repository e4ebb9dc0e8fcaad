"""JSON that is wrong is one line."""

from __future__ import annotations

import json

import pytest

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.json_input import Fields, is_shallow, parse_json, read_json


@pytest.mark.parametrize(
    "text, reason",
    [
        ("{", "Expecting"), (b"\xff\xfe{", "no text"), ("[" * 200_000, "nested too deeply"), ("", "Expecting"),
        ("NaN", "no number of JSON"), ("[Infinity]", "no number of JSON"), ("\0" * 9, "Expecting"), ('{"a":1', "Expecting"),
    ],
)  # fmt: skip
def test_what_is_no_json_is_told_in_one_line(tmp_path, text, reason):
    with pytest.raises(InputError, match=f"Cannot read the plan: .*{reason}") as told:
        parse_json(text, "the plan")
    assert "\n" not in str(told.value)
    (tmp_path / "plan.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=f"Cannot read the plan '.*plan.json': .*{reason}"):
        read_json(tmp_path / "plan.json", "the plan")


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    for path in (tmp_path, tmp_path / "gone", tmp_path / "a\0b"):
        with pytest.raises(InputError, match="Cannot read the plan"):
            read_json(path, "the plan")


def test_a_byte_order_mark_is_passed_over():
    assert parse_json(b"\xef\xbb\xbf[1]", "the plan") == [1]


@pytest.mark.parametrize(
    "stated, ask, told",
    [
        ("[]", None, "expected an object of JSON, got a list"),
        ("{}", lambda one: one.text("name"), "'name' should be text, it is nothing"),
        ('{"name": 5}', lambda one: one.text("name"), "'name' should be text, it is 5"),
        ('{"name": "\\ud800"}', lambda one: one.text("name"), "'name' should be text"),
        ('{"n": 1.5}', lambda one: one.whole("n"), "'n' should be a whole number, it is 1.5"),
        ('{"n": true}', lambda one: one.whole("n"), "a whole number, it is true"),
        ('{"n": 9}', lambda one: one.whole("n", 0, 5), "from 0 to 5, it is 9"),
        ('{"n": ' + "9" * 400 + "}", lambda one: one.whole("n"), "a number out of bounds"),
        ('{"n": 1e999}', lambda one: one.number("n"), "should be a number"),
        ('{"n": 0}', lambda one: one.flag("n"), "should be true or false"),
        ('{"n": {}}', lambda one: one.items("n"), "should be a list, it is an object"),
        ('{"n": [1]}', lambda one: one.texts("n"), "should be a list of texts"),
        ('{"n": [1]}', lambda one: one.objects("n"), "'n': expected an object of JSON, got 1"),
        ('{"n": 1, "m": 2}', lambda one: one.require_only("n"), "'m' should be a field of one of the names n"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named_with_what_came(stated, ask, told):
    with pytest.raises(InputError, match=f"^The plan.*{told}"):
        ask(Fields(json.loads(stated), "the plan"))


def test_fields_that_may_be_left_out_have_their_default():
    fields = Fields({}, "the plan")
    assert fields.text("a", "x") == "x" and fields.whole("n", default=3) == 3 and fields.objects("o", []) == []


def test_depth_is_bounded():
    deep: list = []
    for _ in range(100):
        deep = [deep]
    assert not is_shallow(deep) and not is_shallow({"a": deep}) and is_shallow({"a": [[1], {"b": 2}]})
