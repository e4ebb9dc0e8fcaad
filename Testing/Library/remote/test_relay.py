"""The relay as a process: a worker to whoever drives it, though no model and no torch is there."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("websockets")

from remote_bench import KEY, MAPPING, POLICY, asked, masks_here, review_of
from stand_in_server import close_at_slice

from SAM2AnnotateLib.errors import InputError, ServerError, WorkerError
from SAM2AnnotateLib.remote.address import TOKEN_VARIABLE
from SAM2AnnotateLib.worker import SubprocessWorker, wire
from SAM2AnnotateLib.worker.messages import Connection, LoadModel, ModelLoaded, SliceDone

WITHOUT_TORCH = """
import runpy, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "sam2", "hydra", "safetensors"):
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Absent())
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def relay_to(port: int, tmp_path, token: str = "a-token") -> SubprocessWorker:
    module = ("SAM2AnnotateLib.remote", f"http://127.0.0.1:{port}")
    return SubprocessWorker(log_file=tmp_path / "relay.log", module=module, environment={**os.environ, TOKEN_VARIABLE: token})


def segmented(worker: SubprocessWorker, volume, review, said: list) -> dict[int, np.ndarray]:
    worker.wait(worker.client.load_model(wire.THE_SERVERS_MODEL))
    worker.wait(worker.client.open_volume(KEY, volume, "k", MAPPING))
    masks = {}
    for message in worker.replies(worker.client.propagate(KEY, review.due_work(), POLICY)):
        if isinstance(message, SliceDone):
            masks[message.result().position] = message.result().mask
        else:
            said.append(message)
    return masks


def test_the_relay_is_a_worker_to_whoever_drives_it(a_server, a_volume, tmp_path):
    review, said = review_of(a_volume), []
    expected = masks_here(a_volume, review)
    a_server.before_reply = close_at_slice(4)
    with relay_to(a_server.port, tmp_path) as worker:
        masks = segmented(worker, a_volume, review, said)
        described = [one for one in worker.wait(worker.client.load_model(wire.THE_SERVERS_MODEL)) if isinstance(one, ModelLoaded)]
    assert masks.keys() == expected.keys() and all(np.array_equal(masks[position], expected[position]) for position in expected)
    assert [one.state for one in said if isinstance(one, Connection)] == ["reconnecting", "ready"]
    assert described[0].engine["model"] == "scripted"
    assert "a-token" not in (tmp_path / "relay.log").read_text() and KEY not in (tmp_path / "relay.log").read_text()
    assert b'"type":"Shutdown"' in a_server.heard[-1], "the server need not keep the session of one who left"


def test_it_asks_for_the_servers_model_and_leaves_the_device_to_it(a_server, tmp_path):
    with relay_to(a_server.port, tmp_path) as worker:
        worker.wait(worker.client.load_model("sam2.1_hiera_large", device="cuda:3", precision="fp32", image_size=512))
    (asked_for,) = asked(a_server, LoadModel)
    assert (asked_for.checkpoint, asked_for.device, asked_for.precision, asked_for.image_size) == (
        "sam2.1_hiera_large",
        "auto",
        "auto",
        None,
    )


def test_what_is_wrong_with_address_or_token_is_the_answer_to_a_request(a_server, tmp_path):
    with relay_to(a_server.port, tmp_path, token="two words") as worker, pytest.raises(InputError, match="one word"):
        worker.wait(worker.client.load_model(wire.THE_SERVERS_MODEL))
    a_server.refuse = lambda _headers: (401, wire.Refusal.TOKEN.body())
    with relay_to(a_server.port, tmp_path) as worker, pytest.raises(ServerError, match="does not accept this token"):
        worker.wait(worker.client.load_model(wire.THE_SERVERS_MODEL))


def test_a_killed_relay_costs_no_slice(a_server, a_volume, tmp_path):
    review = review_of(a_volume)
    expected = masks_here(a_volume, review)
    with relay_to(a_server.port, tmp_path) as worker:
        worker.wait(worker.client.load_model(wire.THE_SERVERS_MODEL))
        worker.wait(worker.client.open_volume(KEY, a_volume, "k", MAPPING))
        with pytest.raises(WorkerError, match="ended unexpectedly"):
            for message in worker.replies(worker.client.propagate(KEY, review.due_work(), POLICY)):
                review.add_result(message.result())
                worker.process.kill()
    came = {position for position in expected if position not in review.due_work().due}
    with relay_to(a_server.port, tmp_path) as worker:
        masks = segmented(worker, a_volume, review, [])
    assert came and masks.keys() == expected.keys() - came
    assert all(np.array_equal(masks[position], expected[position]) for position in masks)


def test_it_runs_where_no_torch_is(tmp_path):
    (tmp_path / "run.py").write_text(WITHOUT_TORCH)
    command = [sys.executable, str(tmp_path / "run.py"), "SAM2AnnotateLib.remote", "--help"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert done.returncode == 0 and "--ca-file" in done.stdout, done.stderr


def test_nothing_but_the_relay_imports_websockets():
    imports = "import sys, SAM2AnnotateLib, SAM2AnnotateLib.worker, SAM2AnnotateLib.cli.main, SAM2AnnotateLib.remote.relay"
    code = f"{imports}; print([m for m in sys.modules if m.split('.')[0] in ('websockets', 'torch')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
