"""A stored review is checked whole: no hang, no memory for what is made up, no decision more or less than was made."""

from __future__ import annotations

import base64
import json
import time
import zlib

import numpy as np
import pytest

from SAM2AnnotateLib.errors import InputError, PromptError
from SAM2AnnotateLib.geometry import Box2D, Extent
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.propagation import SliceResult
from SAM2AnnotateLib.review import ReviewSession
from SAM2AnnotateLib.review.stored_object import unpack_object
from SAM2AnnotateLib.review.stored_session import require_fits


@pytest.fixture
def stored():
    session = ReviewSession({3: SlicePrompt(box=Box2D(1, 7, 2, 8))}, Extent(1, 5), (8, 10))
    session.add_result(SliceResult(2, np.eye(8, 10, dtype=bool), 0.9, 0.8, 0.1, Box2D(0, 8, 0, 10), False))
    session.correct(4, np.ones((8, 10), dtype=bool))
    return json.loads(json.dumps(session.to_json()))


def packed(session, about=None) -> str:
    content = {"format": 1, "axis": "k", "session": session, "about": about or {}}
    return base64.b64encode(zlib.compress(json.dumps(content).encode())).decode()


def _set(*keys):
    *path, value = keys

    def change(stored):
        for key in path[:-1]:
            stored = stored[key]
        stored[path[-1]] = value

    return change


def _large(stored):
    stored["frame_shape"] = [16384, 16384]
    stored["extent"] = [0, 60_000]
    mask = {"shape": [16384, 16384], "runs": [0, 1 << 28]}
    stored["prompts"] = {"3": {"box": [1, 2, 3, 4]}}
    stored["results"], stored["final"] = {}, {str(position): mask for position in range(60_000)}
    stored["status"] = {str(position): "corrected" for position in range(60_000)}


MADE_UP = {
    "a long extent": _set("extent", [1, 99_999_999_999]),
    "an extent of five crores": _set("extent", [1, 50_000_000]),
    "an extent below zero": _set("extent", [-5, 5]),
    "an extent of fractions": _set("extent", [1.0, 5.0]),
    "one end": _set("extent", [1]),
    "a large frame": _set("frame_shape", [70_000, 70_000]),
    "a frame below zero": _set("frame_shape", [-8, -10]),
    "a frame of texts": _set("frame_shape", ["8", "10"]),
    "another frame": _set("frame_shape", [10, 8]),
    "memory": _large,
    "accepted without a mask": _set("status", "3", "accepted"),
    "corrected without a mask": lambda s: s["final"].clear(),
    "a status lost": lambda s: s["status"].pop("4"),
    "proposed, with a final mask": _set("status", "4", "proposed"),
    "proposed, without a result": _set("status", "1", "proposed"),
    "a result without a status": lambda s: s["status"].pop("2"),
    "a status outside": _set("status", "99", "accepted"),
    "an unknown status": _set("status", "2", "perfect"),
    "a status of another type": _set("status", "2", ["proposed"]),
    "a slice by another name": _set("status", "02", "proposed"),
    "a huge slice": _set("status", "9" * 5000, "proposed"),
    "no position": _set("results", "2", "position", 3),
    "a score of text": _set("results", "2", "predicted_iou", "high"),
    "an endless score": _set("results", "2", "object_score", float("inf")),
    "no mask": _set("results", "2", "mask", None),
    "a huge crop": _set("results", "2", "crop", [0, 10**30, 0, 1]),
    "a field too many": _set("results", "2", "extra", 1.0),
    "a run below zero": _set("final", "4", "runs", [-1, 81]),
    "a huge run": _set("final", "4", "runs", [0, 10**30]),
    "runs that wrap around": _set("final", "4", "runs", [2**63, 80, 2**63]),
    "a run of true": _set("final", "4", "runs", [True, 79]),
    "another mask": _set("final", "4", "shape", [10, 8]),
    "no runs": _set("final", "4", "runs", []),
    "no prompt": lambda s: s["prompts"].clear(),
    "a prompt of nothing": _set("prompts", "3", {}),
    "an empty box": _set("prompts", "3", "box", [1, 1, 1, 1]),
    "a box outside": _set("prompts", "3", "box", [100, 120, 0, 5]),
    "a huge point": _set("prompts", "3", "points", [[10**400, 1, True]]),
    "a mask as prompt": _set("prompts", "3", "mask", {"shape": [70_000, 70_000], "runs": [4_900_000_000]}),
    "no final": lambda s: s.pop("final"),
    "results as a list": _set("results", []),
    "an old proposal of none": _set("old", [5]),
}


@pytest.mark.parametrize("change", MADE_UP.values(), ids=MADE_UP)
def test_what_is_made_up_is_one_line_at_once(stored, change):
    change(stored)
    began = time.process_time()
    for read in (lambda: ReviewSession.from_json(stored), lambda: unpack_object(packed(stored), "liver")):
        with pytest.raises((PromptError, InputError)) as told:
            read()
        assert "\n" not in str(told.value) and len(str(told.value)) < 600
    assert time.process_time() - began < 30  # a hang, not a speed


def test_what_is_right_is_taken(stored):
    assert ReviewSession.from_json(stored).to_json() == stored | {"version": 1} if "version" in stored else True
    assert unpack_object(packed(stored), "liver").session.locked == {4}


@pytest.mark.parametrize("about", [[1], {"a": float("nan")}, {"a": 10**400}, json.loads('{"a":' * 60 + "1" + "}" * 60)])
def test_what_is_kept_about_an_object_is_plain(stored, about):
    with pytest.raises(InputError, match="damaged"):
        unpack_object(packed(stored, about), "liver")


@pytest.mark.parametrize("text", ["", "%%", base64.b64encode(b"abc").decode(), base64.b64encode(zlib.compress(b"[" * 200_000)).decode()])
def test_a_tag_that_is_none_is_one_line(text):
    with pytest.raises(InputError, match="The stored review of the segment 'liver' is damaged"):
        unpack_object(text, "liver")


def test_a_tag_that_unpacks_to_gigabytes_is_refused_before():
    zeros = zlib.compressobj(9)
    content = zeros.compress(b'{"format":1,"axis":"') + b"".join(zeros.compress(b"a" * (1 << 20)) for _ in range(300)) + zeros.flush()
    with pytest.raises(InputError, match="unpacks to more than any review holds"):
        unpack_object(base64.b64encode(content).decode(), "liver")


def test_slices_must_be_those_of_the_volume():
    require_fits("k", (8, 10), 6, (7, 8, 10))
    require_fits("i", (8, 7), 9, (7, 8, 10))
    for axis, frame, last in (("k", (8, 10), 7), ("k", (8, 11), 3), ("i", (8, 10), 3), ("z", (8, 10), 3)):
        with pytest.raises(PromptError, match="are none of a volume of"):
            require_fits(axis, frame, last, (7, 8, 10))
