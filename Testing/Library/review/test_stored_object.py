"""A review as text in a segment's tag: it comes back as it was, and damage is told."""

from __future__ import annotations

import base64
import json
import zlib

import pytest
from nnunet_cases import a_review
from patients import an_anisotropic_volume

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.review.stored_object import pack_object, unpack_object


def packed(**changes) -> str:
    content = {"format": 1, "axis": "k", "about": {}, "session": a_review(an_anisotropic_volume().grid, (0, 2), {}).session.to_json()}
    return base64.b64encode(zlib.compress(json.dumps({**content, **changes}).encode())).decode()


def test_a_review_comes_back_as_it_was_stored():
    stored = a_review(an_anisotropic_volume().grid, (0, 3), {1: "accepted", 2: "corrected"}, "j")
    back = unpack_object(pack_object(stored), "tumor")
    assert (back.axis, back.about) == ("j", stored.about)
    assert back.session.to_json() == stored.session.to_json()


def test_the_text_holds_none_of_the_separators_of_a_segments_tags():
    text = pack_object(a_review(an_anisotropic_volume().grid, (0, 3), {1: "accepted"}))
    assert text.isascii()
    assert not set(text) & set("|:~^\n ")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is damaged"),
        ("no base64!", "is damaged"),
        (pack_object(a_review(an_anisotropic_volume().grid, (0, 3), {}))[:-8], "is damaged"),
        (packed(format=2), "another version of SAM2Annotate \\(format 2\\)"),
        (packed(axis="axial"), "is damaged"),
        (packed(about=3), "is damaged"),
        (packed(session={}), "is damaged"),
    ],
)
def test_damaged_text_is_refused_with_the_segments_name(text, complaint):
    with pytest.raises(InputError, match=f"of 'tumor' (was stored by )?.*{complaint}|the segment 'tumor' {complaint}"):
        unpack_object(text, "tumor")
