"""Many users at once: equal masks, fair turns, memory within its limit; TLS; and the real model once."""

from __future__ import annotations

import shutil
import ssl
import statistics
import subprocess
import threading
import time
from itertools import pairwise

import pytest
from serving import a_review, a_server, a_volume, local_masks

from SAM2AnnotateLib.engine import load_engine
from SAM2AnnotateLib.worker import messages as m

CLIENTS = 8
STEP_SECONDS = 0.02


class _Arrivals:
    """Which client's slice came as which of all: waits are counted in slices, so a machine that stands still does not matter."""

    def __init__(self, users):
        self.users, self.order, self._lock = list(users), [], threading.Lock()

    def note(self, user: str) -> None:
        with self._lock:
            self.order.append(user)

    def waits(self, user: str) -> list[int]:
        """Slices of all clients from each of its own to the next."""
        own = [-1, *(number for number, who in enumerate(self.order) if who == user)]
        return [later - earlier for earlier, later in pairwise(own)]


def _segment(server, user: str, volume, arrivals: _Arrivals, masks: dict, together: threading.Barrier) -> None:
    review = a_review(volume)
    with server.connect(user) as client:
        client.load()
        client.upload("v", volume)
        request = client.propagate("v", review)
        together.wait(60)
        client.say(request)
        got = {}
        while not isinstance(message := client.hear(), m.Finished):
            assert isinstance(message, m.SliceDone), message
            arrivals.note(user)
            got[message.result().position] = message.result().mask.tobytes()
        masks[user] = got
        client.say(m.Shutdown(99))


def _at_once(server, users, volumes) -> tuple[_Arrivals, dict]:
    arrivals, together = _Arrivals(users), threading.Barrier(len(users))
    masks: dict[str, dict[int, bytes]] = {}
    threads = [
        threading.Thread(target=_segment, args=(server, user, volume, arrivals, masks, together))
        for user, volume in zip(users, volumes, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return arrivals, masks


def test_eight_clients_at_once_get_equal_masks_none_starves_and_memory_stays_in_its_limit(tmp_path):
    users = [f"user{n}" for n in range(CLIENTS)]
    volumes = [a_volume(n, slices=30) for n in range(CLIENTS)]
    with a_server(tmp_path, "--cache-mb", "1", users=users, seconds=STEP_SECONDS) as server:
        arrivals, masks = _at_once(server, users, volumes)
        assert server.metric("embeddings_most_bytes") <= 1 << 20 == server.metric("embeddings_limit_bytes")
        assert server.metric("faults_total") == 0
    for user, volume in zip(users, volumes, strict=True):
        assert masks[user] == local_masks(volume, a_review(volume)) and len(masks[user]) == 26
    waits = [wait for user in users for wait in arrivals.waits(user)]
    assert statistics.mean(waits) > CLIENTS / 2 and max(waits) <= 3 * statistics.mean(waits), sorted(waits)


def test_a_prefetch_waits_while_anybody_waits_for_a_mask(tmp_path):
    volume, review = a_volume(slices=60), a_review(a_volume(slices=60))
    with a_server(tmp_path, seconds=0.02) as server, server.connect("ben") as idle, server.connect("anna") as busy:
        for client in (idle, busy):
            client.load()
            client.upload("v", volume)
        extent = [review.extent.first, review.extent.last]
        busy.say(busy.propagate("v", review))
        assert isinstance(busy.hear(), m.SliceDone)
        prefetch = m.Prefetch(idle.next(), "v", 30, extent, [0, 40, 0, 48])
        idle.say(prefetch)
        done: list[float] = []
        waiting = threading.Thread(target=lambda: (idle.replies(prefetch.request), done.append(time.monotonic())))
        waiting.start()
        while not isinstance(busy.hear(), m.Finished):
            assert not done
        waiting.join(60)
        assert done


def test_a_request_ends_a_prefetch_of_its_own_session(tmp_path):
    volume, review = a_volume(slices=60), a_review(a_volume(slices=60))
    with a_server(tmp_path) as server, server.connect("ben") as client:
        client.load()
        client.upload("v", volume)
        client.say(m.Prefetch(client.next(), "v", 30, [0, 59], [0, 40, 0, 48]))
        assert client.masks("v", review) == local_masks(volume, review)


@pytest.mark.slow
def test_the_real_model_gives_two_clients_the_masks_of_the_local_worker(tmp_path):
    users, volumes = ("anna", "ben"), (a_volume(3), a_volume(4))
    with a_server(tmp_path, "--device", "cpu", users=users, scripted=False) as server:
        _, masks = _at_once(server, users, volumes)
        assert server.metric("faults_total") == 0
    engine = load_engine("bundled", device="cpu")
    for user, volume in zip(users, volumes, strict=True):
        assert masks[user] == local_masks(volume, a_review(volume), engine) and len(masks[user]) == 8


@pytest.fixture(scope="module")
def a_certificate(tmp_path_factory):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2"]
    subprocess.run([*command, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return certificate, key


def test_with_a_certificate_the_server_speaks_tls_and_nothing_else(tmp_path, a_certificate):
    certificate, key = a_certificate
    volume, review = a_volume(), a_review(a_volume())
    with a_server(tmp_path, "--certificate", str(certificate), "--key", str(key), "--host", "0.0.0.0") as server:
        trusting = ssl.create_default_context(cafile=certificate)
        with server.connect(scheme="wss", ssl=trusting) as client:
            client.load()
            client.upload("v", volume)
            assert client.masks("v", review) == local_masks(volume, review)
        with pytest.raises(ssl.SSLCertVerificationError):
            server.connect(scheme="wss", ssl=ssl.create_default_context())
        with pytest.raises(Exception, match="valid HTTP response"):
            server.connect()
