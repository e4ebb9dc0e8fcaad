"""A real server process on the loopback: masks, turns of the conversation, what ends a session, and what is kept and told."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest
from serving import MAPPING, POLICY, Client, a_review, a_server, a_volume, local_masks
from websockets.exceptions import ConnectionClosed, InvalidStatus

from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.prompts.mask_runs import mask_to_runs
from SAM2AnnotateLib.worker import messages as m
from SAM2AnnotateLib.worker import wire


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with a_server(tmp_path_factory.mktemp("server"), "--also", "faulty", seconds=0.02) as running:
        yield running


@pytest.fixture
def client(server):
    with server.connect() as connected:
        yield connected
        connected.say(m.Shutdown(connected.next()))


def _ready(client: Client, volume=None) -> Client:
    assert isinstance(client.load()[-1], m.Finished)
    assert isinstance(client.upload("v", volume or a_volume())[-1], m.Finished)
    return client


def test_masks_are_the_local_workers_byte_for_byte(client):
    volume = a_volume(1)
    window = IntensityMapping(-20.5, 170.3, "explicit", "test")
    assert isinstance(client.load()[0], m.ModelLoaded)
    client.upload("ct", volume, window)
    review = a_review(volume)
    assert len(review.extent) == 8
    first = client.masks("ct", review)
    assert first == local_masks(volume, review, mapping=window) and len(first) == 8
    for message in client.heard:
        if isinstance(message, m.SliceDone):
            review.add_result(message.result())
    drawn = np.zeros(review.frame_shape_rc, dtype=bool)
    drawn[13:20, 16:24] = True
    review.correct(review.extent.first + 1, drawn)
    again = client.masks("ct", review)
    assert 0 < len(again) < 8 and again == local_masks(volume, review, mapping=window)


def test_learning_goes_through_the_server_as_through_the_local_worker(client):
    """What was learned in one session is its own: the model that others use stays as it came."""
    volume, review = a_volume(), a_review(a_volume())
    position, prompt = next(iter(review.due_work().prompts.items()))
    masks = {p: np.frombuffer(one, dtype=bool).reshape(40, 48) for p, one in local_masks(volume, review).items()}
    lessons = [
        {"volume": "v", "position": p, "mask": mask_to_runs(masks[p]), "extent": [review.extent.first, review.extent.last]}
        for p in sorted(masks)[:5]
    ]
    _ready(client, volume)
    client.ask(m.PredictSlice(client.next(), "v", position, prompt.to_json(), str(POLICY)))
    heard = client.ask(m.Learn(client.next(), lessons, "block", "", str(POLICY), None, 5))
    learned = [one for one in heard if isinstance(one, m.Learned)]
    assert isinstance(heard[-1], m.Finished) and len(learned) == 1 and learned[0].text, heard
    loaded, last = client.ask(m.UseAdapter(client.next(), learned[0].data))
    assert isinstance(last, m.Finished) and loaded.engine["adapter"] == "block"
    ends = client.ask(m.ProposeExtent(client.next(), "v", position, prompt.to_json(), str(POLICY)))
    assert any(isinstance(one, m.ExtentProposed) for one in ends) and isinstance(ends[-1], m.Finished)
    reloaded = client.load()[0]
    assert "adapter" not in reloaded.engine


def test_only_the_slices_that_are_due_come_back_and_they_are_small(client):
    volume = a_volume()
    review = a_review(volume)
    _ready(client, volume)
    before = client.received_bytes
    masks = client.masks("v", review)
    assert (client.received_bytes - before) / len(masks) < 1000 < volume.array_kji[0].nbytes


def test_a_preview_and_a_prefetch_are_answered(client):
    volume = a_volume()
    review = a_review(volume)
    _ready(client, volume)
    position, prompt = next(iter(review.due_work().prompts.items()))
    done = client.ask(m.PredictSlice(client.next(), "v", position, prompt.to_json(), str(POLICY)))
    assert done[0].result().mask.any()
    extent = [review.extent.first, review.extent.last]
    assert isinstance(client.ask(m.Prefetch(client.next(), "v", position, extent, [0, 40, 0, 40]))[-1], m.Finished)


def test_a_request_can_be_cancelled(client):
    volume = a_volume(slices=60)
    _ready(client, volume)
    request = client.propagate("v", a_review(volume))
    client.say(request)
    assert isinstance(client.hear(), m.SliceDone)
    client.say(m.Cancel(client.next(), request.request))
    *some, last = client.replies(request.request)
    assert last.kind == "Cancelled" and len(some) < 50


def test_requests_wait_for_a_volume_that_is_still_coming(client):
    client.load()
    volume = a_volume()
    request, gray = client.announce("v", volume)
    asked = client.propagate("v", a_review(volume))
    client.say(asked)
    wanted = client.hear()
    for frame in wire.pack_chunks(request, gray, wanted.indices):
        client.socket.send(frame)
    assert isinstance(client.replies(request)[-1], m.Finished)
    assert len(client.replies(asked.request)) == 9


def test_the_same_voxels_travel_once(client):
    volume = a_volume()
    _ready(client, volume)
    before = client.sent_bytes
    wanted, _ = client.upload("other axis", volume, axis="sagittal")
    assert wanted.missing == [] and client.sent_bytes - before < 1000


def test_a_session_goes_on_after_its_connection_broke(server):
    volume, review = a_volume(slices=40), a_review(a_volume(slices=40))
    first = _ready(server.connect(), volume)
    first.say(first.propagate("v", review))
    assert isinstance(first.hear(), m.SliceDone)
    first.cut()  # no goodbye
    with server.connect(session=first.welcome.session) as second:
        assert second.welcome.resumed and second.welcome.session == first.welcome.session
        second.number = 2  # the number of the request that broke is used again
        assert second.masks("v", review) == local_masks(volume, review)
        second.say(m.Shutdown(99))


def test_an_upload_goes_on_where_it_broke(server):
    volume = a_volume()
    big = type(volume)(type(volume.grid)((60, 400, 180), volume.grid.ijk_to_ras), np.zeros((60, 400, 180), dtype=np.uint8))
    first = server.connect()
    request, gray = first.announce("v", big)
    wanted = first.hear()
    assert wanted.missing == [[0, 5]]
    for frame in wire.pack_chunks(request, gray, [0, 1, 3]):
        first.socket.send(frame)
    while server.metric("received_bytes_total") < 3 * 900:
        time.sleep(0.05)
    time.sleep(0.3)
    first.cut()
    with server.connect(session=first.welcome.session) as second:
        request, gray = second.announce("v", big)
        assert second.hear().missing == [[2, 3], [4, 5]]
        for frame in wire.pack_chunks(request, gray, [4, 2]):
            second.socket.send(frame)
        assert isinstance(second.replies(request)[-1], m.Finished)
        second.say(m.Shutdown(99))


def test_another_connection_takes_a_session_over(server):
    first = server.connect()
    with server.connect(session=first.welcome.session) as second:
        with pytest.raises(ConnectionClosed) as closed:
            first.hear()
        assert closed.value.rcvd.code == wire.Refusal.TAKEN_OVER
        _ready(second).say(m.Shutdown(99))


def test_goodbye_ends_a_session_for_good(server):
    first = server.connect()
    first.say(m.Shutdown(first.next()))
    with pytest.raises(ConnectionClosed) as closed:
        first.hear()
    assert closed.value.rcvd.code == 1000
    with pytest.raises(InvalidStatus) as refused:
        server.connect(session=first.welcome.session)
    assert refused.value.response.status_code == 410 and b"finished slices are kept" in refused.value.response.body


def test_heartbeats_come_while_nothing_is_asked(client):
    heard = threading.Event()
    end = time.monotonic() + 30
    while not heard.is_set() and time.monotonic() < end:
        if isinstance(wire.from_text(client.socket.recv(30)), m.Heartbeat):
            heard.set()
    assert heard.is_set()


def test_versions_that_do_not_fit_are_told(server):
    for theirs in ("9.9", "", "<script>", "1"):
        with pytest.raises(InvalidStatus) as refused:
            server.connect(headers={wire.VERSIONS_HEADER: theirs})
        answer = json.loads(refused.value.response.body)
        assert refused.value.response.status_code == 409 and answer["code"] == 4409
        assert wire.versions() in answer["problem"] and "Update" in answer["remedy"] and "<" not in answer["problem"]


def test_a_model_is_one_that_the_server_was_started_with(client):
    assert client.load("faulty")[0].engine["model"] == "scripted"
    for name in ("sam2.1_hiera_large", "/etc/passwd", "../weights.pt", "faulty/../bundled", "C:\\weights.pt", "", "file:///etc/passwd"):
        (failed,) = client.load(name)
        assert failed.kind == "CheckpointError" and "It lends: bundled, faulty." in failed.problem
    (failed,) = client.ask(m.LoadModel(client.next(), "bundled", image_size=1024))
    assert "image_size 256" in failed.problem


def test_a_model_that_was_refused_changes_nothing(client):
    volume = a_volume()
    _ready(client, volume)
    client.load("/etc/passwd")
    client.load()
    assert client.masks("v", a_review(volume)) == local_masks(volume, a_review(volume))


def test_a_fault_in_one_session_is_told_logged_without_content_and_harms_no_other(server):
    volume, review = a_volume(), a_review(a_volume())
    faults = server.metric("faults_total")
    with server.connect("ben") as other, server.connect() as broken:
        _ready(other, volume)
        broken.load("faulty")
        broken.upload("v", volume)
        last = broken.ask(broken.propagate("v", review))[-1]
        assert isinstance(last, m.Failed) and last.kind == "ZeroDivisionError"
        assert other.masks("v", review) == local_masks(volume, review)
        for one in (other, broken):
            one.say(m.Shutdown(99))
    assert server.metric("faults_total") == faults + 1
    faulty = [json.loads(line) for line in server.log.splitlines() if '"fault"' in line]
    assert any(line["error"] == "ZeroDivisionError" for line in faulty) and "Mustermann" not in server.log


def test_three_addresses_of_http_and_no_other(server):
    status, headers, body = server.get(wire.HEALTH)
    assert status == 200 and json.loads(body) == {"status": "ok", "version": json.loads(body)["version"], "wire": wire.versions()}
    for name, value in {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    }.items():
        assert {key.lower(): one for key, one in headers.items()}[name.lower()] == value
    assert "server" not in {key.lower() for key in headers}
    assert server.get(wire.ABOUT)[0] == 401
    status, _, body = server.get(wire.ABOUT, server.tokens["ben"])
    about = json.loads(body)
    assert status == 200 and about["user"] == "ben" and [one["name"] for one in about["models"]] == ["bundled", "faulty"]
    assert about["models"][0]["device"] == "cpu" and about["wire_version"] == wire.WIRE_VERSION
    for path in ("/", "/docs", "/openapi.json", "/redoc", "/static/../../etc/passwd", "/session", "/about/../metrics"):
        assert server.get(path, server.tokens["ben"])[0] == 404, path


def test_a_web_page_gets_nothing(server):
    origin = {"Origin": "https://example.org"}
    headers = {key.lower() for key in server.get(wire.HEALTH, headers=origin)[1]}
    assert not any(name.startswith("access-control") for name in headers)
    with pytest.raises(InvalidStatus) as refused:
        server.connect(headers=origin)
    assert refused.value.response.status_code == 403


def test_figures_for_prometheus(server, client):
    _ready(client)
    client.masks("v", a_review(a_volume()))
    status, headers, text = server.get(wire.METRICS)
    assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in text.splitlines():
        assert line.startswith("# ") or float(line.rsplit(" ", 1)[1]) >= 0
    assert server.metric("slices_total") >= 8 and server.metric("sessions") >= 1
    assert 0 < server.metric("embeddings_bytes") <= server.metric("embeddings_limit_bytes")


def test_the_log_tells_who_came_and_nothing_of_what_was_sent(server):
    with server.connect() as one:
        _ready(one)
        one.upload("Mustermann^Max 1970", a_volume(4))
        one.say("Mustermann^Max, no message")
        assert one.hear().kind == "WorkerError"
        one.say(m.Shutdown(99))
    with pytest.raises(InvalidStatus):
        Client.open(server.port, "wrong")
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert {line["event"] for line in lines} >= {"listening", "session_began", "session_ended", "refused"}
    assert any(line.get("user") == "anna" for line in lines)
    assert "without completing handshake" not in server.log, "a refusal is no fault of the server's"
    secrets = [one.welcome.session, *(token.split("_", 2)[2] for token in server.tokens.values())]
    for secret in ("Mustermann", "Traceback", *secrets):
        assert secret not in server.log


def test_behind_a_proxy_the_proxy_says_who_comes_and_figures_take_a_token(tmp_path):
    with a_server(tmp_path, "--behind-proxy", "--host", "0.0.0.0") as server:
        assert server.get(wire.METRICS)[0] == 401 and server.get(wire.METRICS, server.tokens["ben"])[0] == 200
        for _ in range(11):
            status = server.get(wire.ABOUT, "wrong", {"X-Forwarded-For": "192.0.2.1"})[0]
        assert status == 429
        assert server.get(wire.ABOUT, "wrong", {"X-Forwarded-For": "192.0.2.2"})[0] == 401
        assert '"192.0.2.1"' in server.log


def test_without_a_proxy_nobody_says_that_he_comes_from_elsewhere(server):
    server.get(wire.ABOUT, "wrong", {"X-Forwarded-For": "192.0.2.77"})
    assert "192.0.2.77" not in server.log


def test_a_session_ends_when_nothing_is_asked_or_nobody_comes_back(tmp_path):
    options = ("--idle-minutes", "0.03", "--resume-minutes", "0.03", "--sessions-per-user", "2")
    with a_server(tmp_path, *options) as server:
        idle, gone = server.connect(), server.connect()
        _ready(gone)
        assert server.metric("volumes_bytes") > 0
        gone.cut()
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                idle.hear()
        assert closed.value.rcvd.code == wire.Refusal.IDLE and "finished slices are kept" not in closed.value.rcvd.reason
        end = time.monotonic() + 60
        while server.metric("sessions") > 0 and time.monotonic() < end:
            time.sleep(0.1)
        assert server.metric("sessions") == server.metric("volumes_bytes") == server.metric("embeddings_bytes") == 0
        for session in (idle, gone):
            with pytest.raises(InvalidStatus) as refused:
                server.connect(session=session.welcome.session)
            assert refused.value.response.status_code == 410


def test_limits_of_sessions_and_memory(tmp_path):
    with a_server(tmp_path, "--sessions", "3", "--sessions-per-user", "2", "--volumes-mb", "1", "--largest-volume-mb", "1") as server:
        first, second = server.connect(), server.connect()
        with pytest.raises(InvalidStatus) as refused:
            server.connect()
        assert refused.value.response.status_code == 429 and b"as many as one user may have" in refused.value.response.body
        third = server.connect("ben")
        with pytest.raises(InvalidStatus) as refused:
            server.connect("ben")
        assert refused.value.response.status_code == 429 and b"as many as it takes" in refused.value.response.body
        grid = type(a_volume().grid)
        volumes = [
            type(a_volume())(grid((10, 300, sides), np.diag([1.0, 1, 2, 1])), np.full((10, 300, sides), sides % 256, np.uint8))
            for sides in (200, 201, 400)
        ]
        assert isinstance(first.upload("a", volumes[0])[-1], m.Finished)
        assert "memory for volumes is taken" in second.upload("b", volumes[1])[-1].problem
        assert "million voxels" in third.upload("c", volumes[2])[-1].problem
        first.ask(m.CloseVolume(first.next(), "a"))
        assert isinstance(second.upload("b", volumes[1])[-1], m.Finished)
        second.cut()
        end = time.monotonic() + 30
        while server.metric("connections") > 2 and time.monotonic() < end:
            time.sleep(0.05)
        assert isinstance(_ready(server.connect("anna")).heard[-1], m.Finished)  # who waits for nobody makes room
        assert MAPPING.lower == 0
