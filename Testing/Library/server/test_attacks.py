"""What somebody may try who means ill, on a real server process: each is refused, and nobody else notices."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from serving import PATIENCE_SECONDS, Client, a_review, a_server, a_volume, local_masks
from websockets.exceptions import ConnectionClosed, InvalidStatus

from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.server.tokens import TokenFile
from SAM2AnnotateLib.worker import messages as m
from SAM2AnnotateLib.worker import wire

# The bounded number of CI; more by the variable.
MUTATIONS = int(os.environ.get("SAM2ANNOTATE_MUTATIONS", "1000"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    users = ("anna", "ben", "guessed", "revoked", "expired", "mallory")
    with a_server(tmp_path_factory.mktemp("server"), "--largest-volume-mb", "8", "--sessions", "64", users=users) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_went_wrong(server):
    """After each attack: no traceback, no fault, and another user works as before."""
    volume, review = a_volume(), a_review(a_volume())
    with server.connect("ben") as other:
        other.load()
        other.upload("v", volume)
        yield
        assert other.masks("v", review) == local_masks(volume, review)
        other.say(m.Shutdown(99))
    assert server.process.poll() is None
    assert server.metric("faults_total") == 0 and "Traceback" not in server.log and '"fault' not in server.log, server.log[-3000:]


def _refusal(server, token: str = "", **options) -> tuple[int, dict]:
    with pytest.raises(InvalidStatus) as refused:
        Client.open(server.port, token, **options)
    return refused.value.response.status_code, json.loads(refused.value.response.body)


@pytest.fixture
def mallory(server):
    with server.connect("mallory") as connected:
        yield connected
        with suppress(ConnectionClosed):  # the server has ended it: what the test is about
            connected.say(m.Shutdown(99))


# -- tokens -----------------------------------------------------------------------------------------------------------------------


def test_no_wrong_revoked_or_expired_token_opens_anything(server):
    tokens = TokenFile(server.token_file)
    revoked, expired, good = server.tokens["revoked"], server.tokens["expired"], server.tokens["anna"]
    assert server.get(wire.ABOUT, revoked)[0] == server.get(wire.ABOUT, expired)[0] == 200
    with server.connect("revoked") as open_still:
        tokens.revoke("revoked")
        entries = json.loads(server.token_file.read_text())
        for entry in entries["tokens"]:
            if entry["name"] == "expired":
                entry["expires"] = 1000.0
        server.token_file.write_text(json.dumps(entries))
        assert server.get(wire.ABOUT, revoked)[0] == 401
        for headers in ({"Authorization": None}, {"Authorization": f"Basic {good}"}, {"Authorization": good}):
            assert _refusal(server, headers=headers)[0] == 401
        for token in (good[:-1], good + "=", good.lower(), f"{good} {good}", revoked, expired):
            status, answer = _refusal(server, token)
            assert (status, answer["code"]) == (401, 4401) and "does not accept this token" in answer["problem"]
        with pytest.raises(ConnectionClosed) as closed:  # what was open under a token that is revoked ends, too
            while True:
                open_still.hear()
        assert closed.value.rcvd.code == wire.Refusal.TOKEN


def test_a_token_in_the_address_is_no_token(server):
    assert server.get(f"{wire.ABOUT}?token={server.tokens['anna']}")[0] in (401, 429)
    assert server.tokens["anna"] not in server.log


def test_guessing_is_limited_and_harms_who_has_a_token_of_his_own_only_by_his_own_mistakes(server):
    key = server.tokens["guessed"].split("_")[1]
    statuses = [_refusal(server, f"s2a_{key}_{n:043d}")[0] for n in range(15)]
    assert statuses[:10] == [401] * 10 and statuses[10:] == [429] * 5
    assert _refusal(server, server.tokens["guessed"])[0] == 429  # not even the right one is looked at now
    statuses = [_refusal(server, f"s2a_{n:08d}_{n:043d}")[0] for n in range(20)]
    assert statuses[-5:] == [429] * 5
    server.connect("anna").say(m.Shutdown(1))


def test_another_users_session_cannot_be_told_from_none(server, mallory):
    with server.connect("anna") as anna:
        theirs = _refusal(server, server.tokens["mallory"], session=anna.welcome.session)
        none = _refusal(server, server.tokens["mallory"], session="A" * 43)
        assert theirs == none and theirs[0] == 410
        for odd in ("../x", "x" * 5000, "%00"):
            assert _refusal(server, server.tokens["mallory"], session=odd)[0] == 410
        assert len(anna.load()) == 2  # undisturbed
        anna.say(m.Shutdown(99))


# -- volumes ----------------------------------------------------------------------------------------------------------------------


def _frame(request: int, index: int, packed: bytes, count: int, crc: int, packing: int = 1) -> bytes:
    return struct.pack(">4sQIIIB", b"S2A1", request, index, count, crc, packing) + packed


def _block(sides: int = 100) -> Volume:
    return Volume(VolumeGrid((10, 200, sides), np.diag([1.0, 1, 2, 1])), np.full((10, 200, sides), 7, dtype=np.uint8))


def test_a_volume_larger_than_the_limit_is_refused_before_it_comes(mallory):
    for shape in ([4096, 4096, 4096], [1, 1, 1 << 30], [1 << 62, 1, 1], [-5, 5, 5], [], [3] * 50_000):
        mallory.say(wire.UploadVolume(mallory.next(), "v", shape, np.eye(4).tolist(), "axial", "00" * 32))
        assert isinstance(mallory.hear(), m.Failed)


def test_chunks_that_are_oversized_cut_off_bombs_or_nonsense_are_refused(server, mallory):
    volume = _block()
    request, gray = mallory.announce("v", volume)
    assert mallory.hear().missing == [[0, 1]]
    flat = gray.tobytes()
    good, crc = zlib.compress(flat), zlib.crc32(flat)
    bomb = zlib.compress(bytes(300_000_000), 9)
    resident = _resident_bytes(server.process.pid)
    for frame in (
        b"",
        b"S2A1",
        os.urandom(100),
        _frame(request, 0, good[:-5], len(flat), crc),
        _frame(request, 0, good + b"more", len(flat), crc),
        _frame(request, 0, bomb, len(flat), crc),
        _frame(request, 0, bomb, 300_000_000, crc),
        _frame(request, 0, good, len(flat), crc ^ 1),
        _frame(request, 0, good, len(flat), crc, packing=7),
        _frame(request, 1, good, len(flat), crc),
        _frame(request, 1 << 31, good, len(flat), crc),
        _frame(request + 7, 0, good, len(flat), crc),
        _frame(request, 0, bytes(3 << 20), 3 << 20, crc, packing=0),
        b"PK\3\4" + bytes(100),
        b"\x93NUMPY" + bytes(100),
        b"\x80\x04cos\nsystem\n",
    ):
        mallory.socket.send(frame)
        failed = mallory.hear()
        assert isinstance(failed, m.Failed) and failed.kind == "WorkerError", frame[:20]
    if resident:
        assert _resident_bytes(server.process.pid) - resident < 60_000_000
    mallory.socket.send(_frame(request, 0, good, len(flat), crc))  # the true one is still taken
    assert isinstance(mallory.replies(request)[-1], m.Finished)
    mallory.socket.send(_frame(request, 0, good, len(flat), crc))
    assert "no upload" in mallory.hear().problem


def test_whoever_sends_nonsense_too_often_is_shown_out(server, mallory):
    with pytest.raises(ConnectionClosed) as closed:
        for _ in range(100):
            mallory.socket.send(b"nonsense")
        while True:
            mallory.hear()
    assert closed.value.rcvd.code == wire.Refusal.MALFORMED


def test_a_frame_larger_than_any_message_ends_the_connection(server, mallory):
    with pytest.raises(ConnectionClosed) as closed:
        mallory.socket.send(bytes(wire.LARGEST_FRAME_BYTES + 1))
        mallory.hear()
    assert closed.value.rcvd is None or closed.value.rcvd.code == 1009


def test_a_bomb_in_the_websockets_own_compression_ends_the_connection(server):
    resident = _resident_bytes(server.process.pid)
    with server.connect("mallory", compression="deflate") as packed, pytest.raises(ConnectionClosed) as closed:
        packed.say(" " * (wire.LARGEST_FRAME_BYTES + 1000))
        packed.hear()
    assert closed.value.rcvd is None or closed.value.rcvd.code == 1009
    if resident:
        assert _resident_bytes(server.process.pid) - resident < 3 * wire.LARGEST_FRAME_BYTES


def test_too_many_requests_at_once_end_the_session(server, mallory):
    with pytest.raises(ConnectionClosed) as closed:
        for _ in range(600):
            mallory.say(m.CloseVolume(mallory.next(), "v"))
        while True:
            mallory.hear()
    assert closed.value.rcvd is None or closed.value.rcvd.code == wire.Refusal.TOO_MANY


def test_masks_that_are_small_as_runs_and_large_in_memory_are_refused(server, mallory):
    """Runs are a compression, too: 60 letters say 25 million pixels."""
    mallory.load()
    mallory.upload("v", a_volume())
    bomb = {"mask": {"shape": [5000, 5000], "runs": [0, 25_000_000]}}
    resident = _resident_bytes(server.process.pid)
    for message in (
        m.Propagate(mallory.next(), "v", {str(n): bomb for n in range(400)}, [2, 9], "auto", [], [], None, [3], []),
        m.Propagate(mallory.next(), "v", {}, [2, 9], "auto", [], [], None, [3], [{**bomb, "position": n} for n in range(400)]),
        m.Learn(mallory.next(), [{"volume": "v", "position": n, **bomb} for n in range(400)], "x", "", "auto", None, 1),
        m.PredictSlice(mallory.next(), "v", 5, {"mask": {"shape": [8192, 8192], "runs": [0, 1 << 26]}}, "auto"),
    ):
        (refused,) = mallory.ask(message) if not isinstance(message, m.PredictSlice) else (mallory.say(message), [mallory.hear()])[1]
        assert isinstance(refused, m.Failed) and refused.kind == "WorkerError" and "pixels" in refused.problem, refused
    if resident:
        assert _resident_bytes(server.process.pid) - resident < 200_000_000


def test_more_points_or_lessons_than_a_person_makes_are_refused(mallory):
    many = {"points": [[1, 1, True]] * 2000}
    lesson = {"volume": "v", "position": 1, "mask": {"shape": [1, 1], "runs": [1]}}
    for message, what in (
        (m.PredictSlice(mallory.next(), "v", 5, many, "auto"), "2000 points"),
        (m.Learn(mallory.next(), [lesson] * 2000, "x", "", "auto", None, 1), "2000 slices"),
    ):
        mallory.say(message)
        assert what in mallory.hear().problem


def test_large_requests_do_not_pile_up(server, mallory):
    """Each is as large as one may be; the second has to wait outside."""
    mallory.load()
    mallory.announce("v", _block())  # whose voxels do not come yet: what is asked now waits
    mallory.hear()
    for _ in range(4):
        mallory.say(m.UseAdapter(mallory.next(), "A" * (40 << 20)))
    refused = [mallory.hear(), mallory.hear()]
    assert all("MB wait already" in one.problem for one in refused)


# -- names of files -----------------------------------------------------------------------------------------------------------------


def test_a_path_is_nowhere_taken_for_a_file(server, mallory, tmp_path):
    """Files that would be read, loaded or written if any name were taken for a path."""
    array, weights, new = tmp_path / "secret.npy", tmp_path / "weights.pt", tmp_path / "new"
    np.save(array, np.zeros((4, 5, 6), dtype=np.uint8))
    weights.write_bytes(b"\x80\x04cos\nsystem\n")
    before = {path: (path.stat().st_atime_ns, path.stat().st_mtime_ns) for path in (array, weights)}
    mallory.load()
    mallory.upload("v", a_volume())
    opened = m.OpenVolume(mallory.next(), "v2", str(array), np.eye(4).tolist(), "axial", 0.0, 1.0)
    (refused,) = mallory.ask(m.LoadModel(mallory.next(), str(weights)))
    assert refused.kind == "CheckpointError"
    mallory.say(opened)
    assert "no request that a client may send" in mallory.hear().problem
    names = [str(array), str(weights), str(new), "../../../etc/passwd", "file:///etc/passwd", f"\\\\host\\{new}", "con", "/dev/zero"]
    for name in names:
        for message in (
            m.LoadModel(mallory.next(), name),
            m.LoadModel(mallory.next(), "bundled", architecture=name),
            m.LoadModel(mallory.next(), "bundled", device=name),
            m.PredictSlice(mallory.next(), name, 3, {"box": [1, 9, 1, 9]}, "auto"),
            m.PredictSlice(mallory.next(), "v", 3, {"box": [1, 9, 1, 9]}, name),
            m.PredictSlice(mallory.next(), "v", 3, {"mask": name}, "auto"),
            wire.UploadVolume(mallory.next(), name, [1, 2, 2], np.eye(4).tolist(), name, "00" * 32),
        ):
            assert isinstance(mallory.ask(message)[-1], m.Failed), message
    for field in ("array_file", "adapter", "checkpoint_file", "path"):
        text = json.loads(wire.to_text(m.CloseVolume(mallory.next(), "v"))) | {field: str(array)}
        mallory.say(json.dumps(text))
        assert isinstance(mallory.hear(), m.Failed)
    assert not new.exists() and before == {path: (path.stat().st_atime_ns, path.stat().st_mtime_ns) for path in (array, weights)}


# -- anything at all ----------------------------------------------------------------------------------------------------------------


def _mutated(text: str, dice: random.Random) -> str | bytes:
    """One message, damaged somewhere: letters, numbers, kinds, names, nesting, length; or its bytes."""
    kind = dice.randrange(9)
    odd = [None, True, -1, 0, 1 << 40, 1e308, "", "x" * 2000, "/etc/passwd", [], [[]], {}, {"a": [1, {}]}, [None] * 40, "\u202e\0"]
    if kind < 5:
        content = json.loads(text)
        where = content
        for _ in range(dice.randrange(4)):
            inside = [one for one in (where.values() if isinstance(where, dict) else where) if isinstance(one, (dict, list)) and one]
            if not inside:
                break
            where = dice.choice(inside)
        keys = list(where) if isinstance(where, dict) else list(range(len(where)))
        key = dice.choice(keys)
        if kind == 0 and isinstance(where, dict):
            del where[key]
        elif kind == 1 and isinstance(where, dict):
            where[dice.choice(["array_file", "extra", "request", "mask", "0"])] = dice.choice(odd)
        elif kind == 2 and isinstance(where[key], (int, float)) and not isinstance(where[key], bool):
            where[key] = dice.choice([-where[key], where[key] * 1000, where[key] + 0.5, 1 << 31, -1])
        elif isinstance(where, dict) and key in ("version", "type"):
            where[key] = dice.choice([*odd, 1, 99, "Propagate", "Shutdown1", "OpenVolume", "Finished"])
        else:
            where[key] = dice.choice(odd)
        return json.dumps(content)
    if kind == 5:
        return text[: dice.randrange(len(text))]
    if kind == 6:
        at = dice.randrange(len(text))
        return text[:at] + dice.choice(['"', "{", "[", "\\", "\0", "é", "1e9999", ","]) + text[at + dice.randrange(3) :]
    if kind == 7:
        return text * dice.randrange(2, 4)
    return bytes(dice.randrange(256) for _ in range(dice.randrange(60)))


def test_a_thousand_damaged_messages_do_no_harm(server):
    """Whatever is damaged is answered or ignored; the session that sends it is asked now and then whether it is still alive."""
    dice, volume = random.Random(16), a_volume()
    review = a_review(volume)
    position, prompt = next(iter(review.due_work().prompts.items()))
    templates = [
        m.LoadModel(7, "server"),
        wire.UploadVolume(7, "v", [12, 40, 48], np.diag([1.0, 1.2, -2.5, 1.0]).tolist(), "axial", "ab" * 32),
        m.PredictSlice(7, "v", position, {**prompt.to_json(), "points": [[3, 4, True]]}, "auto", [0, 30, 0, 30]),
        m.PredictSlice(7, "v", position, {"mask": {"shape": [40, 48], "runs": [400, 20, 1500]}}, "20 mm"),
        m.Prefetch(7, "v", position, [2, 9], [0, 30, 0, 30]),
        m.CloseVolume(7, "other"),
        m.Cancel(7, 3),
        m.UseAdapter(7, "AAAA"),
        m.Learn(7, [{"volume": "v", "position": 5, "mask": {"shape": [40, 48], "runs": [400, 20, 1500]}}], "block", "", "auto", None, 2),
        m.Learn(7, [{"volume": "v", "position": 5, "mask": {"shape": [2, 2], "runs": [4]}}], "", "", "auto", None, 2, 0, "AAAA"),
        m.ProposeObject(7, "v", ["AAAA"], "auto"),
        m.ProposeExtent(7, "v", position, prompt.to_json(), "auto"),
        m.Propagate(7, "v", {}, [0, 1], "auto", [], [], None, [], []),  # the last is made anew for each session
    ]

    def begun() -> Client:
        client = server.connect("mallory")
        client.load()
        client.upload("v", volume)
        templates[-1] = client.propagate("v", review)
        for message in local_results:
            templates[-1].proposals.append(message)
        return client

    local_results: list[dict] = []
    client = begun()
    client.ask(client.propagate("v", review))
    local_results += [one.slice for one in client.heard if isinstance(one, m.SliceDone)]
    ended = answered = 0
    for number in range(MUTATIONS):
        damaged = _mutated(wire.to_text(dice.choice(templates)), dice)
        try:
            client.socket.send(damaged)
            if number % 10 == 9:
                for target in (7, 7000, 1 << 31, 1 << 40):  # an upload that came through waits for its voxels
                    client.say(m.Cancel(client.next(), target))
                alive = client.ask(m.CloseVolume(1_000_000 + number, "nothing"))
                assert isinstance(alive[-1], m.Finished)
                answered += 1
        except ConnectionClosed as exc:
            assert exc.rcvd is None or exc.rcvd.code in (1000, 1007, 1009, wire.Refusal.MALFORMED, wire.Refusal.TOO_MANY), exc
            ended += 1
            client = begun()
    assert answered > 5 and ended > 5
    client.say(m.Shutdown(99_999_999))


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # TLS to a server without
        b"GET /session HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: bad\r\n\r\n",
        b"GET /session HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /about HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xc3\xa9\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        b"POST /about HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n" + bytes(1000),
        b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\r\n\r\n\r\n",
        os.urandom(3000),
    ],
    ids=range(10),
)
def test_bytes_that_are_no_http_do_no_harm(server, sent):
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as raw:
        try:
            raw.sendall(sent)
            raw.shutdown(socket.SHUT_WR)
            answer = raw.recv(1000)
        except OSError:
            answer = b""  # it was cut off: a refusal, too
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer


def test_connections_that_say_nothing_are_closed_and_keep_nobody_out(server):
    half = b"GET /health HTTP/1.1\r\nHost: x\r\nX: "
    silent = [socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) for _ in range(300)]
    try:
        for number, one in enumerate(silent):
            if number % 2:
                one.sendall(half)
        assert server.get(wire.HEALTH)[0] == 200
        assert all(one.recv(1) == b"" for one in silent)
    finally:
        for one in silent:
            one.close()


def test_damaged_websocket_frames_do_no_harm(server):
    dice = random.Random(8)
    for _ in range(30):
        with server.connect("mallory") as client:
            raw = client.socket.socket
            head = bytes([dice.randrange(256), dice.randrange(256)])
            try:
                raw.sendall(head + bytes(dice.randrange(256) for _ in range(dice.randrange(40))))
                client.cut()
            except OSError:
                pass  # the server was quicker


def _resident_bytes(process: int) -> int:
    """Memory of a process; 0 where the system does not tell."""
    try:
        with open(f"/proc/{process}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096
    except OSError:
        return 0
