"""What is learned on a server, and used there: other requests than masks pass the relay too, and hold though the connection breaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from remote_bench import KEY, MAPPING, POLICY, asked, opened, review_of, session_on
from stand_in_server import close_at_slice

from SAM2AnnotateLib.engine import Adapter
from SAM2AnnotateLib.errors import SAM2AnnotateError
from SAM2AnnotateLib.geometry import Extent
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.worker import WorkerClient
from SAM2AnnotateLib.worker import messages as m
from SAM2AnnotateLib.worker.serve import Worker


@pytest.fixture
def requests(a_volume):
    """As the panel's client makes them: learn from five slices, propose what is due."""
    lines: list[bytes] = []
    client = WorkerClient(lines.append)
    truth = a_volume.array_kji > 100
    from SAM2AnnotateLib.geometry import SliceStack

    masks = SliceStack.along(a_volume.grid, "k").view(truth)
    lessons = [(KEY, position, masks[position], Extent(4, 19), True) for position in (6, 9, 12, 15, 0)]
    client.learn(lessons, POLICY, object_name="Ball", steps=6)
    client.propose_slices(KEY, review_of(a_volume).due_work(), POLICY)
    client.close()
    return [m.from_line(line) for line in lines]


def answered_here(a_volume, requests) -> tuple[m.Learned, dict[int, np.ndarray]]:
    from SAM2AnnotateLib.engine import ScriptedEngine

    replies: list[m.Message] = []
    worker = Worker(replies.append, load=lambda *_a, **_o: ScriptedEngine())
    client = WorkerClient(lambda line: worker.handle(m.from_line(line), CancelToken()))
    client.load_model("scripted")
    client.open_volume(KEY, a_volume, "k", MAPPING)
    worker.handle(requests[0], CancelToken())
    (learned,) = [one for one in replies if isinstance(one, m.Learned)]
    worker.handle(m.UseAdapter(8, learned.data), CancelToken())
    worker.handle(requests[1], CancelToken())
    client.close()
    return learned, {one.result().position: one.result().mask for one in replies if isinstance(one, m.SliceDone)}


def test_learning_and_what_was_learned_are_as_here_though_the_server_forgets(a_server, a_volume, requests):
    expected, masks = answered_here(a_volume, requests)
    session = opened(session_on(a_server.port), a_volume)
    replies: list[m.Message] = []
    session.request(requests[0], replies.append, CancelToken())
    (learned,) = [one for one in replies if isinstance(one, m.Learned)]
    assert (learned.data, learned.text, learned.after) == (expected.data, expected.text, expected.after), "name and window on its card, too"
    assert learned.request == requests[0].request
    described: list[m.Message] = []
    session.set(m.UseAdapter(9, learned.data), described.append, CancelToken())
    assert [type(one) for one in described] == [m.ModelLoaded] and described[0].request == 9
    assert described[0].engine["adapter"] == "Ball"
    a_server.remembers, a_server.before_reply = False, close_at_slice(3)
    replies.clear()
    session.request(requests[1], replies.append, CancelToken())
    found = {one.result().position: one.result().mask for one in replies if isinstance(one, m.SliceDone)}
    assert found.keys() == masks.keys() and all(np.array_equal(found[position], masks[position]) for position in masks)
    assert len([one for one in replies if isinstance(one, m.SliceDone)]) == len(masks), "each slice once"
    assert [one.data for one in asked(a_server, m.UseAdapter)] == 2 * [learned.data], "the server that forgot it was told again"
    assert len(described) == 1, "and nobody else"
    session.close()


def test_learning_on_the_server_goes_on_from_what_was_learned_before_and_it_goes_without_its_name(a_server, a_volume, requests):
    expected, _masks = answered_here(a_volume, requests)
    session = opened(session_on(a_server.port), a_volume)
    replies: list[m.Message] = []
    session.request(replace(requests[0], start=expected.data), replies.append, CancelToken())
    (learned,) = [one for one in replies if isinstance(one, m.Learned)]
    sent = Adapter.from_bytes(m.unpack([asked(a_server, m.Learn)[0].start])[0])
    own = Adapter.from_bytes(m.unpack([expected.data])[0])
    assert sent.card == replace(own.card, object_name="") and {n: a.tobytes() for n, a in sent.tensors.items()} == {
        n: a.tobytes() for n, a in own.tensors.items()
    }
    assert Adapter.from_bytes(m.unpack([learned.data])[0]).card.object_name == "Ball"
    with pytest.raises(SAM2AnnotateError, match="adapter"):
        session.request(replace(requests[0], start=m.pack([b"nonsense"])[0]), replies.append, CancelToken())
    session.close()


def test_the_server_hears_neither_the_volumes_name_nor_the_objects(a_server, a_volume, requests):
    session = opened(session_on(a_server.port), a_volume)
    session.request(requests[0], lambda _: None, CancelToken())
    (learn,) = asked(a_server, m.Learn)
    assert {lesson["volume"] for lesson in learn.lessons}.isdisjoint({KEY}) and learn.object_name == ""
    assert not any(KEY.encode() in frame for frame in a_server.heard)
    session.close()


def test_a_setting_that_is_refused_does_not_stand_in_the_way(a_server, a_volume, requests):
    session = opened(session_on(a_server.port), a_volume)
    with pytest.raises(SAM2AnnotateError):
        session.set(m.UseAdapter(9, "bm90IGFuIGFkYXB0ZXI="), lambda _: None, CancelToken())
    replies: list[m.Message] = []
    session.request(requests[0], replies.append, CancelToken())
    assert any(isinstance(one, m.Learned) for one in replies)
    session.close()
