"""Sessions on Ray actors: the masks of one process, also after an actor was killed."""

from __future__ import annotations

import os
import sys
import threading
import time

import numpy as np
import pytest
from serving import MAPPING, POLICY, a_review, a_server, a_volume, local_masks

from SAM2AnnotateLib.engine import ScriptedEngine, load_engine
from SAM2AnnotateLib.errors import InputError, WorkerError
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.ray_cluster import cluster
from SAM2AnnotateLib.server.ray_seats import RaySeat, RaySeats
from SAM2AnnotateLib.server.seats import GrayVolume
from SAM2AnnotateLib.worker import WorkerClient, wire
from SAM2AnnotateLib.worker import messages as m

pytest.importorskip("ray", reason="Ray has no build for some machines")


def _models() -> dict[str, ScriptedEngine]:
    """A model that takes a moment for each step, so that a slice is under way when its actor is killed."""
    return {"scripted": ScriptedEngine(fail_at=lambda _position: time.sleep(0.03))}


@pytest.fixture(scope="module")
def seats():
    with cluster("local", 3) as ray:
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # actors cannot import a test
        made = RaySeats(ray, _models, 64 << 20, devices=2)
        yield made
        made.close()


class _Session:
    def __init__(self, seats: RaySeats, volume, key: str = "v"):
        self.heard: list[m.Message] = []
        self.on_slice = lambda: None
        self.seat: RaySeat = seats.seat(self._hear, lambda: False)
        self.number = 0
        self.do(m.LoadModel(1, wire.THE_SERVERS_MODEL))
        gray = wire.gray_of(volume.array_kji, MAPPING)
        self.seat.open_volume(GrayVolume(key, gray, volume.grid.ijk_to_ras.tolist(), "axial"))

    def _hear(self, message: m.Message) -> None:
        self.heard.append(message)
        if isinstance(message, m.SliceDone):
            self.on_slice()

    def do(self, message: m.Message) -> list[m.Message]:
        self.heard.clear()
        self.seat.handle(message, CancelToken())
        return list(self.heard)

    def propagate(self, review, key: str = "v") -> dict[int, bytes]:
        lines: list[bytes] = []
        client = WorkerClient(lines.append)
        client.propagate(key, review.due_work(), POLICY)
        client.close()
        *slices, last = self.do(m.from_line(lines[0]))
        assert isinstance(last, m.Finished), last
        assert [one.done for one in slices] == list(range(1, len(slices) + 1)) and {one.total for one in slices} == {len(slices)}
        return {one.result().position: one.result().mask.tobytes() for one in slices}


def test_two_sessions_on_two_actors_give_the_masks_of_one_process(seats):
    volumes = [a_volume(1, slices=30), a_volume(2, slices=30)]
    sessions = [_Session(seats, volume) for volume in volumes]
    assert sessions[0].seat._actor is not sessions[1].seat._actor
    masks: dict[int, dict] = {}
    threads = [
        threading.Thread(target=lambda n=n: masks.__setitem__(n, sessions[n].propagate(a_review(volumes[n])))) for n in range(len(sessions))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for number, volume in enumerate(volumes):
        assert masks[number] == local_masks(volume, a_review(volume))
    for session in sessions:
        session.seat.close()


@pytest.mark.parametrize("at", [0, 3])
def test_an_actor_that_is_killed_costs_recomputation_only(seats, at):
    volume = a_volume(5, slices=40)
    session, review = _Session(seats, volume), a_review(volume)
    before = seats.figures()["devices_lost_total"]
    killed = []

    def kill():
        if not killed:
            seats.ray.kill(session.seat._at)
            killed.append(1)

    if at == 0:
        kill()
    else:
        session.on_slice = lambda: kill() if len(session.heard) == at else None
    masks = session.propagate(review)
    assert masks == local_masks(volume, review) and len(masks) == 36 and killed
    assert seats.figures()["devices_lost_total"] == before + 1
    session.seat.close()


def test_a_mask_too_long_for_one_answer_comes_in_parts(seats):
    """A chessboard, which no run describes well: its line is longer than what Ray sends within a call."""
    volume = a_volume()
    large = type(volume)(type(volume.grid)((3, 400, 400), volume.grid.ijk_to_ras), np.zeros((3, 400, 400), dtype=np.uint8))
    session = _Session(seats, large)
    board = (np.indices((400, 400)).sum(axis=0) % 2).astype(bool)
    request = m.PredictSlice(7, "v", 1, SlicePrompt(mask=board).to_json(), "full")
    done, last = session.do(request)
    assert isinstance(last, m.Finished) and len(m.to_line(done)) > 200_000
    assert done.result().mask.tobytes() == board.tobytes()
    session.seat.close()


def test_errors_come_through_as_they_are(seats):
    session = _Session(seats, a_volume())
    (failed,) = session.do(m.LoadModel(3, "/etc/passwd"))
    assert failed.kind == "CheckpointError" and "It lends: scripted." in failed.problem
    session.do(m.LoadModel(3, "scripted"))
    (failed,) = session.do(m.PredictSlice(4, "none", 0, {"box": [1, 2, 1, 2]}, "auto"))
    assert failed.kind == "WorkerError" and "not open" in failed.problem
    with pytest.raises(InputError, match="axis"):
        session.seat.open_volume(GrayVolume("w", np.zeros((2, 3, 4), dtype=np.uint8), np.eye(4).tolist(), "diagonal"))
    cancel = CancelToken()
    cancel.cancel()
    session.heard.clear()
    session.seat.handle(m.Prefetch(5, "v", 5, [2, 9], [0, 30, 0, 30]), cancel)
    assert session.heard[-1].kind == "Cancelled"
    session.seat.close()


def test_a_request_that_kills_each_actor_is_given_up(seats):
    session = _Session(seats, a_volume())
    real = session.seat._ask

    def deadly(message, *rest):
        if isinstance(message, m.CloseVolume):
            seats.ray.kill(session.seat._actor.handle)
        return real(message, *rest)

    session.seat._ask = deadly
    session.do(m.CloseVolume(2, "none"))
    (failed,) = session.heard
    assert isinstance(failed, m.Failed) and "ended 3 times" in failed.problem
    session.seat.close()


def test_more_gpus_than_there_are_cannot_be_had(seats):
    with pytest.raises(InputError, match="The cluster has 0 GPUs, 2 devices were asked for"):
        RaySeats(seats.ray, dict, 1, devices=2, gpus=1)
    with pytest.raises(InputError, match="1 device or more"):
        RaySeats(seats.ray, dict, 1, devices=0)
    with pytest.raises(InputError, match="The cluster has 3 CPUs, 9 devices were asked for"):
        RaySeats(seats.ray, dict, 1, devices=9)
    with pytest.raises((InputError, WorkerError), match="at least one model"):
        RaySeats(seats.ray, dict, 1, devices=1)


@pytest.mark.skipif("SAM2ANNOTATE_LONG" not in os.environ, reason="a whole server with two real models; by SAM2ANNOTATE_LONG=1")
def test_a_whole_server_on_two_actors_gives_the_real_models_masks(tmp_path):
    volumes, engine = {"anna": a_volume(3), "ben": a_volume(4)}, load_engine("bundled", device="cpu")
    with a_server(tmp_path, "--ray", "local", "--devices", "2", "--device", "cpu", scripted=False) as server:
        for user, volume in volumes.items():
            with server.connect(user) as client:
                client.load()
                client.upload("v", volume)
                assert client.masks("v", a_review(volume)) == local_masks(volume, a_review(volume), engine)
                client.say(m.Shutdown(99))
        assert server.metric("devices") == 2 and server.metric("faults_total") == 0
