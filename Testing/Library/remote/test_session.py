"""RemoteSession against a server that misbehaves on purpose: what breaks, is forgotten, refused, and what nobody may hear."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest
from cutting_proxy import CuttingProxy

pytest.importorskip("websockets")

from remote_bench import KEY, MAPPING, QUICK, asked, masks_here, opened, request_for, require_same, review_of, run, session_on
from stand_in_server import close_at_slice
from websockets.exceptions import ConnectionClosed

from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import Cancelled, ServerError, WorkerError
from SAM2AnnotateLib.geometry import SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.remote.address import ServerAccess, ServerAddress
from SAM2AnnotateLib.remote.link import Link
from SAM2AnnotateLib.remote.session import CANCEL_SECONDS, Patience, RemoteSession
from SAM2AnnotateLib.remote.upload import State, Upload, uploading
from SAM2AnnotateLib.worker import wire
from SAM2AnnotateLib.worker.messages import Cancel, LoadModel, PredictSlice, Propagate, SliceDone


def test_masks_are_those_of_the_model_here(a_server, a_volume):
    review = review_of(a_volume)
    session = opened(session_on(a_server.port), a_volume)
    require_same(run(session, request_for(review)), masks_here(a_volume, review))
    session.close()


@pytest.mark.parametrize("at", [1, 2, 5, 9, 12])
@pytest.mark.parametrize("remembers", [True, False])
def test_a_connection_that_breaks_is_made_again_and_only_what_is_due_is_asked_for(a_server, a_volume, at, remembers):
    review, said = review_of(a_volume), []
    expected = masks_here(a_volume, review)
    session = opened(session_on(a_server.port, said), a_volume)
    a_server.remembers, a_server.before_reply = remembers, close_at_slice(at)
    require_same(run(session, request_for(review)), expected)
    first, second = asked(a_server, Propagate)
    assert set(first.due) - set(second.due) and len(second.due) == len(expected) - (at - 1) if at > 1 else first.due == second.due
    assert len(asked(a_server, wire.UploadVolume)) == (1 if remembers else 2)
    assert [one.state for one in said if one.state in ("reconnecting", "lost")] == (
        ["reconnecting"] if remembers else ["reconnecting", "lost"]
    )
    assert all("kept" in one.text for one in said if one.state in ("reconnecting", "lost"))
    session.close()


def test_a_session_that_was_forgotten_while_nothing_was_asked_is_told_and_seeded_anew(a_server, a_volume):
    review, said = review_of(a_volume), []
    session = opened(session_on(a_server.port, said), a_volume)
    a_server.before_reply = close_at_slice(1)
    a_server.forget()
    require_same(run(session, request_for(review)), masks_here(a_volume, review))
    assert "lost" in [one.state for one in said]
    session.close()


def test_a_broken_upload_goes_on_where_it_broke(a_server, a_volume):
    noise = np.random.default_rng(5).integers(0, 200, a_volume.grid.shape_kji).astype(np.int16)  # does not shrink
    volume, said = Volume(a_volume.grid, noise), []
    with CuttingProxy(a_server.port, bytes_per_second=20e6) as proxy:
        session = session_on(proxy.port, said)
        session.load_model(LoadModel(1, wire.THE_SERVERS_MODEL), CancelToken())
        proxy.cut_after(1_300_000)
        session.open_volume(KEY, volume, "k", MAPPING, CancelToken())
        session.close()
    chunks = [wire.Chunk.of(frame).index for frame in a_server.heard if not frame.startswith(b"{")]
    assert chunks == [0, 1], "the first one came, so that only the second was sent again"
    sent = [one for one in said if one.state == "uploading"]
    assert sent and sent[-1].done == wire.CHUNK_BYTES and sent[-1].total == noise.size and "of 1 MB" in sent[-1].text


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "of 52 MB"), (0.2, "about 1 s left"), (44.6, "about 45 s left"), (420.0, "about 7 min left")]
)
def test_how_far_an_upload_is_and_how_long_it_takes(seconds, words):
    state = uploading(12_000_000, 52_000_000, seconds)
    assert state.text.startswith("Sending the volume to the server: 12 of 52 MB") and state.text.endswith(words)
    assert (state.done, state.total, state.seconds_left) == (12_000_000, 52_000_000, seconds)


def test_the_time_left_of_an_upload_counts_what_is_sent_now_and_not_what_was_there(a_volume):
    upload = Upload("x", Volume(VolumeGrid((40, 512, 512), np.eye(4)), np.zeros((40, 512, 512), np.uint8)), "k", MAPPING)
    gray, clock = upload.gray(), iter(range(100))
    wanted = wire.ChunksWanted(1, [[4, 10]])  # of ten, four are there; each takes a second
    states = [state for _, state in upload.frames(wanted, gray, lambda: float(next(clock)))]
    assert [state.done >> 20 for state in states] == [4, 5, 6, 7, 8, 9] and states[0].seconds_left is None
    assert states[-1].seconds_left == pytest.approx(6 / 5)


def test_nothing_tells_whose_pictures_they_are(a_server, a_volume):
    review = review_of(a_volume)
    run(opened(session_on(a_server.port), a_volume), request_for(review))
    everything = b"\n".join(a_server.heard) + json.dumps(a_server.headers).encode()
    assert b"DOE" not in everything and b"vtkMRML" not in everything and b".npy" not in everything and b"/tmp" not in everything
    (upload,) = asked(a_server, wire.UploadVolume)
    assert [row[3] for row in upload.ijk_to_ras] == [0, 0, 0, 1], "where in the patient it lies is nobody's business"
    assert np.linalg.norm(np.array(upload.ijk_to_ras)[:3, :3] - a_volume.grid.ijk_to_ras[:3, :3]) == 0


def test_two_volumes_have_names_that_cannot_be_guessed(a_server, a_volume):
    session = opened(session_on(a_server.port), a_volume)
    session.open_volume("other", a_volume, "k", MAPPING, CancelToken())
    names = [upload.volume for upload in asked(a_server, wire.UploadVolume)]
    assert len(set(names)) == 2 and all(len(name) >= 24 for name in names)
    session.close()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, wire.Refusal.TOKEN.body(), "does not accept this token"),
        (409, wire.Refusal.VERSIONS.body("The server speaks 9.9, this one 1.2."), "speaks 9.9.*Update both sides"),
        (413, wire.Refusal.TOO_LARGE.body(), "of this size"),
        (404, b"<html>Not found</html>", "no SAM2Annotate server.*404"),
        (401, b"<html>Log in</html>", "no SAM2Annotate server.*401"),
        (429, wire.Refusal.TOO_MANY.body(), "too much to do"),
        (503, b"<html>Bad gateway</html>", "its proxy says 503"),
    ],
)
def test_a_refusal_is_told_with_its_reason(a_server, status, body, words):
    a_server.refuse = lambda _headers: (status, body)
    began = time.monotonic()
    with pytest.raises(ServerError, match=words):
        session_on(a_server.port).load_model(LoadModel(1, wire.THE_SERVERS_MODEL), CancelToken())
    assert time.monotonic() - began < 10
    tries = len(a_server.headers)
    assert (tries > 1) == (status in (429, 503)), "what does not help is not tried again"
    assert a_server.headers[0]["authorization"] == "Bearer a-token" and a_server.headers[0][wire.VERSIONS_HEADER.lower()] == wire.versions()


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "nonsense://127.0.0.1", "http://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_told(monkeypatch, proxy):
    for name in ("https_proxy", "wss_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    access = ServerAccess(ServerAddress.parse("https://sam.hospital.example"), "a-token")
    with pytest.raises(ServerError, match=r"proxy that is set.*NO_PROXY=sam.hospital.example|cannot be reached"):
        RemoteSession(lambda session: Link.open(access, session), patience=QUICK).load_model(LoadModel(1, "server"), CancelToken())


def test_a_server_that_is_not_there_is_told_soon():
    with pytest.raises(ServerError, match="cannot be reached"):
        session_on(9).load_model(LoadModel(1, wire.THE_SERVERS_MODEL), CancelToken())


def test_a_server_that_does_not_come_back_is_told_and_what_was_finished_stands(a_server, a_volume):
    review, replies = review_of(a_volume), []
    with CuttingProxy(a_server.port) as proxy:
        session = opened(session_on(proxy.port, patience=Patience(0.3, 0.5, 0.05, 0.1)), a_volume)

        def before(message, _connection):
            if isinstance(message, SliceDone) and message.done == 5:
                time.sleep(0.3)  # what was sent before arrives
                proxy.refusing = True
                proxy.cut()
                raise ConnectionClosed(None, None)

        a_server.before_reply = before
        with pytest.raises(ServerError, match="did not come back within.*Finished slices and locks are kept"):
            session.request(request_for(review), replies.append, CancelToken())
    assert len(replies) == 4


def test_another_model_does_not_go_on_with_the_first_ones_work(a_server, a_volume):
    review = review_of(a_volume)
    session = opened(session_on(a_server.port), a_volume)
    a_server.remembers, a_server.before_reply = False, close_at_slice(3)
    a_server.makes_engine = lambda: ScriptedEngine(tolerance=7)
    with pytest.raises(ServerError, match="another model"):
        run(session, request_for(review))
    assert session.engine == ScriptedEngine(tolerance=7).describe()
    assert run(session, request_for(review)), "whoever asks again gets the model that is there now"
    session.close()


def test_stopping_does_not_wait_for_a_slow_slice(a_server, a_volume):
    review, cancel = review_of(a_volume), CancelToken()
    session = opened(session_on(a_server.port), a_volume)
    a_server.before_reply = lambda message, _: time.sleep(3.0) if isinstance(message, SliceDone) else None
    threading.Timer(0.2, cancel.cancel).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        run(session, request_for(review), cancel)
    assert time.monotonic() - began < 0.2 + CANCEL_SECONDS + 1.5
    a_server.before_reply = lambda *_: None
    require_same(run(session, request_for(review)), masks_here(a_volume, review))  # late replies are not taken for its own
    session.close()


def test_stopping_while_the_server_is_away_is_at_once(a_server, a_volume):
    review, cancel = review_of(a_volume), CancelToken()
    with CuttingProxy(a_server.port) as proxy:
        session = opened(session_on(proxy.port), a_volume)
        proxy.refusing = True
        proxy.cut()
        threading.Timer(0.3, cancel.cancel).start()
        with pytest.raises(Cancelled):
            run(session, request_for(review), cancel)


def test_a_server_that_falls_silent_is_left(a_server, a_volume, monkeypatch):
    from SAM2AnnotateLib.remote import link

    review = review_of(a_volume)
    monkeypatch.setattr(link, "SILENCE_SECONDS", 2.5)
    with CuttingProxy(a_server.port) as proxy:
        said: list = []
        session = opened(session_on(proxy.port, said), a_volume)
        proxy.stop()
        threading.Timer(3.5, proxy.go_on).start()
        require_same(run(session, request_for(review)), masks_here(a_volume, review))
        assert any("silent for" in one.text for one in said)
        session.close()


def test_a_volume_that_is_not_open_is_told_without_asking(a_server):
    session = session_on(a_server.port)
    with pytest.raises(WorkerError, match="not open"):
        session.request(PredictSlice(1, "no", 3, {}, "auto"), lambda _: None, CancelToken())
    assert not a_server.headers


def test_what_the_server_refuses_comes_back_as_the_librarys_error(a_server, a_volume):
    session = opened(session_on(a_server.port), a_volume)
    outside = SlicePrompt(box=SliceStack.along(a_volume.grid, "k").box_of((0, 0), (9, 9))).to_json()
    with pytest.raises(Exception, match="extent") as refused:
        run(session, Propagate(3, KEY, {"4": outside}, [4, 99], "auto", [], [], None, [4], []))
    assert type(refused.value).__name__ == "PromptError"
    session.close()


def test_an_upload_that_is_stopped_is_stopped_on_the_server_too(a_server, a_volume):
    shape = (12, 512, 512)
    noise = np.random.default_rng(5).integers(0, 200, shape).astype(np.int16)
    volume, cancel, said = Volume(VolumeGrid(shape, np.eye(4)), noise), CancelToken(), []

    def note(state: State) -> None:
        said.append(state)
        if state.state == "uploading" and state.done:
            cancel.cancel()

    session = session_on(a_server.port, said)
    session._tell = note
    session.load_model(LoadModel(1, wire.THE_SERVERS_MODEL), CancelToken())
    with pytest.raises(Cancelled):
        session.open_volume(KEY, volume, "k", MAPPING, cancel)
    end = time.monotonic() + 10
    while not asked(a_server, Cancel) and time.monotonic() < end:
        time.sleep(0.02)
    (announced,), (stopped,) = asked(a_server, wire.UploadVolume), asked(a_server, Cancel)
    assert stopped.target == announced.request, "else the server waits a minute for the rest, and what is asked next waits with it"
    chunks = [frame for frame in a_server.heard if not frame.startswith(b"{")]
    assert 1 <= len(chunks) < wire.chunk_count(noise.size)
    session.close()
