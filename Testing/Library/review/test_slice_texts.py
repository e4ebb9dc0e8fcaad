"""The text of a review is what JSON makes of it, and a slice that is as before is not told again."""

from __future__ import annotations

import json

import numpy as np

from SAM2AnnotateLib.geometry import Box2D, Extent
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.propagation import SliceResult
from SAM2AnnotateLib.review import ReviewSession
from SAM2AnnotateLib.review.journal import JournaledObject
from SAM2AnnotateLib.review.slice_texts import SliceTexts
from SAM2AnnotateLib.review.stored_object import pack_object, unpack_object


def result(position, seed):
    mask = np.random.default_rng(seed).random((12, 14)) > 0.5
    return SliceResult(position, mask, 0.9, 1.0, 0.1, Box2D(0, 12, 0, 14), position == 4)


def review():
    session = ReviewSession({4: SlicePrompt(box=Box2D(2, 9, 3, 11))}, Extent(0, 9), (12, 14))
    for position in range(10):
        session.add_result(result(position, position))
    return session


def test_the_text_is_the_states_json_after_every_kind_of_step():
    session = review()
    snapshot = session.snapshot()
    steps = [
        lambda: session.accept(3),
        lambda: session.correct(5, np.eye(12, 14, dtype=bool)),
        lambda: session.correct(5, ~np.eye(12, 14, dtype=bool)),
        lambda: session.unlock(3),
        lambda: session.add_result(result(3, 99)),
        lambda: session.set_extent(Extent(1, 9)),
        lambda: session.restore(snapshot),
    ]
    for step in steps:
        step()
        assert json.loads(session.to_text()) == session._state()
        again = unpack_object(pack_object(JournaledObject("k", session, {"a": 'quote " and ä'})), "one")
        assert again.session.to_json() == session.to_json() and again.about == {"a": 'quote " and ä'}


def test_a_slice_is_told_once_as_long_as_it_stays(monkeypatch):
    told = []
    to_json = SliceResult.to_json
    monkeypatch.setattr(SliceResult, "to_json", lambda self: told.append(self.position) or to_json(self))
    session = review()
    session.to_text()
    assert sorted(told) == list(range(10))
    told.clear()
    session.accept(3)
    session.add_result(result(7, 70))
    session.to_text()
    assert told == [7]


def test_texts_of_what_is_gone_are_forgotten():
    texts = SliceTexts()
    for n in range(5):
        assert texts.text_of({"results": {"1": {"n": n}}, "extent": [0, n]}) == f'{{"results":{{"1":{{"n":{n}}}}},"extent":[0,{n}]}}'
    assert len(texts._known) == 1
