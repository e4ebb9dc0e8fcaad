"""Sessions take turns on one device, and share one memory for embeddings."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from SAM2AnnotateLib.engine import Embedding, ScriptedEngine
from SAM2AnnotateLib.errors import Cancelled, EngineError
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.server.embeddings import SharedEmbeddings
from SAM2AnnotateLib.server.turns import OnDevice, Turns


@pytest.fixture
def turns():
    made = Turns()
    yield made
    made.close()


def _in_threads(*calls):
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)


def test_all_calls_run_in_one_thread(turns):
    seen = []
    _in_threads(*[lambda: seen.append(turns.do(threading.get_ident))] * 5)
    assert len(seen) == 5 and len(set(seen)) == 1 and seen[0] != threading.get_ident()


def test_who_asks_again_and_again_waits_for_who_asked_before(turns):
    order: list[str] = []
    gate, first = threading.Event(), threading.Event()

    def take(name):
        """A call that lasts until the three others have asked again; as long as all of them still do."""
        latest = time.monotonic() + 10
        while len(order) < 4 * 18 and turns._thread._work_queue.qsize() < 3 and time.monotonic() < latest:
            time.sleep(0.001)
        order.append(name)

    def ask(name):
        for _ in range(20):
            turns.do(take, name)

    def block():
        first.set()
        gate.wait(10)

    holder = threading.Thread(target=lambda: turns.do(block))
    holder.start()
    first.wait(10)
    names = ["a", "b", "c", "d"]
    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    while turns._thread._work_queue.qsize() < len(names):
        time.sleep(0.001)
    gate.set()
    for thread in (holder, *threads):
        thread.join(30)
    together = order[: 4 * 18]
    # Each asks for its next call while the others' are computed, so nobody has two turns while another waits.
    counts = {name: [together[: n + 1].count(name) for n in range(len(together))] for name in names}
    assert max(max(column) - min(column) for column in zip(*counts.values(), strict=True)) <= 1
    assert turns.calls == 81


def test_a_call_within_a_call_has_its_turn_already(turns):
    assert turns.do(lambda: turns.do(lambda: 7)) == 7


def test_a_call_that_waits_can_be_cancelled(turns):
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        turns.do(lambda: 1, cancel=cancel)
    assert turns.do(lambda: 1) == 1


def test_an_error_reaches_who_asked(turns):
    with pytest.raises(ZeroDivisionError):
        turns.do(lambda: 1 // 0)


def test_a_device_that_is_closed_says_so():
    turns = Turns()
    turns.close()
    with pytest.raises(EngineError, match="stopping"):
        turns.do(lambda: 1)


def test_a_model_computes_in_its_turn_and_so_does_what_it_gives(turns):
    threads = []

    class Watched(ScriptedEngine):
        def encode(self, frame):
            threads.append(threading.get_ident())
            return super().encode(frame)

    def note(_position):
        threads.append(threading.get_ident())

    model = OnDevice(Watched(fail_at=note), turns)
    frame = np.full((20, 20), 90, dtype=np.uint8)
    embedding = model.encode(frame)
    track = model.start_track((20, 20), 3, False)
    track.remember(0, embedding, frame > 0)
    assert track.step(1, embedding).mask.all() and isinstance(embedding, Embedding)
    assert model.fingerprint == ScriptedEngine().fingerprint and model.memory_reach == 6 and model.describe()["model"] == "scripted"
    assert len(set(threads)) == 1 and threads[0] != threading.get_ident()


def test_it_is_calm_when_nobody_waits_for_anything(turns):
    assert turns.is_calm()
    with turns.working(), turns.working():
        assert not turns.is_calm(0.01)
    assert turns.is_calm()


# -- embeddings ---------------------------------------------------------------------------------------------------------------------


def _bytes(count):
    return lambda: Embedding((np.zeros(count, dtype=np.uint8),))


def test_all_sessions_stay_within_one_limit_and_who_holds_most_gives_up_first():
    shared = SharedEmbeddings(1000)
    large, small = shared.of_session(), shared.of_session()
    small.get("a", _bytes(100))
    for key in range(50):
        large.get(key, _bytes(100))
        assert shared.nbytes <= 1000
    assert "a" in small and large.nbytes == 900 and shared.most_bytes == 1000
    small.get("b", _bytes(100))
    assert large.nbytes == 800 and {"a", "b"} <= small._kept.keys() and 49 in large and 0 not in large


def test_what_was_just_made_stays_though_it_is_large():
    shared = SharedEmbeddings(1000)
    one, other = shared.of_session(), shared.of_session()
    other.get("x", _bytes(600))
    one.get("a", _bytes(900))
    assert "a" in one and "x" not in other and shared.nbytes == 900
    one.get("b", _bytes(5000))
    assert one._kept.keys() == {"b"} and shared.nbytes == 5000


def test_an_embedding_is_made_once_and_never_seen_by_another_session():
    shared = SharedEmbeddings(1000)
    one, other = shared.of_session(), shared.of_session()
    first = one.get("k", _bytes(10))
    assert one.get("k", _bytes(10)) is first and other.get("k", _bytes(10)) is not first
    assert (one.encoded, one.hits, other.encoded) == (1, 1, 1)


def test_a_session_that_ends_gives_its_memory_back_and_takes_none_any_more():
    shared = SharedEmbeddings(1000)
    one, other = shared.of_session(), shared.of_session()
    other.get("k", _bytes(10))
    one.get("k", _bytes(500))
    one.close()
    assert shared.nbytes == 10
    one.get("late", _bytes(500))
    assert shared.nbytes == 10 and one.nbytes == 0


def test_many_sessions_at_once_keep_the_count_right():
    shared = SharedEmbeddings(5_000)
    stores = [shared.of_session() for _ in range(6)]

    def use(store):
        random = np.random.default_rng(id(store) % 1000)
        for key in random.integers(0, 40, 300).tolist():
            store.get(key, _bytes(100 + key))

    _in_threads(*[lambda store=store: use(store) for store in stores])
    assert shared.nbytes <= 5_000
    for store in stores:
        assert store.nbytes == sum(embedding.nbytes for embedding in store._kept.values())
