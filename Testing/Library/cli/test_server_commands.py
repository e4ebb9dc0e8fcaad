"""``segment --server`` and ``server-check`` with a real server's process, where neither torch nor sam2 is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cutting_proxy import CuttingProxy
from lent_server import LentServer

import SAM2AnnotateLib
from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.volume_io import read_volume, write_volume
from SAM2AnnotateLib.worker import wire
from SAM2AnnotateLib.worker.messages import PROTOCOL_VERSION

sitk = pytest.importorskip("SimpleITK")
BOX = ["--slice", "6", "--box", "12,10,36,30", "--extent", "2,9", "--window", "0,200"]
WITHOUT_TORCH = """
import runpy, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "sam2", "hydra", "safetensors"):
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Absent())
sys.argv = ["sam2annotate", *sys.argv[1:]]
runpy.run_module("SAM2AnnotateLib", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def a_server(tmp_path_factory):
    with LentServer(tmp_path_factory.mktemp("server"), seconds_per_slice=0.02) as server:
        yield server


@pytest.fixture
def an_image(tmp_path):
    voxels = np.full((12, 44, 52), 10, dtype=np.int16)
    voxels[2:10, 12:28, 14:34] = 150
    path = tmp_path / "DOE^JANE.nii.gz"
    write_volume(Volume(VolumeGrid(voxels.shape, np.diag([1.0, 1.2, 2.5, 1.0])), voxels), path)
    return path


def without_torch(*arguments, token: str = "") -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "SAM2ANNOTATE_TOKEN": token}
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)


def test_a_mask_is_that_of_the_model_here_though_no_torch_is_installed(a_server, an_image, tmp_path, monkeypatch):
    import SAM2AnnotateLib.engine
    from SAM2AnnotateLib.engine import ScriptedEngine

    far, near = tmp_path / "far.nii.gz", tmp_path / "near.nii.gz"
    report = tmp_path / "far.json"
    done = without_torch("segment", an_image, "-o", far, *BOX, "--server", a_server.address, "--report", report, token=a_server.token)
    assert done.returncode == 0, done.stderr
    assert f"server {a_server.address}: model scripted on cpu" in done.stderr
    monkeypatch.setattr(SAM2AnnotateLib.engine, "load_engine", lambda *_a, **_o: ScriptedEngine())
    assert main(["segment", str(an_image), "-o", str(near), *BOX]) == 0
    mask = read_volume(far).array_kji
    assert np.array_equal(mask, read_volume(near).array_kji) and mask.sum() == 8 * 16 * 20
    assert json.loads(report.read_text())["engine"]["server"] == a_server.address
    assert "DOE" not in a_server.log and str(tmp_path) not in a_server.log


@pytest.mark.slow
def test_a_real_case_by_the_bundled_model_is_the_same_file_as_computed_here(tmp_path):
    pytest.importorskip("sam2")
    case = Path(SAM2AnnotateLib.__file__).parent / "sample_data" / "ct_sarcoma_003" / "image.nii.gz"
    marks = ["--slice", "25", "--box", "52,52,103,105", "--extent", "21,29"]
    with LentServer(tmp_path, seconds_per_slice=None) as server:
        far = without_torch("segment", case, "-o", tmp_path / "far.nii.gz", *marks, "--server", server.address, token=server.token)
    assert far.returncode == 0, far.stderr
    assert main(["segment", str(case), "-o", str(tmp_path / "near.nii.gz"), *marks]) == 0
    assert (tmp_path / "far.nii.gz").read_bytes() == (tmp_path / "near.nii.gz").read_bytes()
    assert read_volume(tmp_path / "far.nii.gz").array_kji.sum() > 10_000


def test_what_was_learned_goes_along(a_server, an_image, tmp_path, monkeypatch):
    import SAM2AnnotateLib.engine
    from SAM2AnnotateLib.engine import Adapter, AdapterCard, ScriptedEngine

    card = AdapterCard("Block", ScriptedEngine().weights_sha256, "scripted", window=(0.0, 200.0), window_name="explicit")
    learned = tmp_path / "block.safetensors"
    Adapter({"gray": np.array([191], np.float32), "size": np.array([40], np.float32)}, card).save(learned)
    far, near, report = tmp_path / "far.nii.gz", tmp_path / "near.nii.gz", tmp_path / "far.json"
    marks = ["--slice", "6", "--point", "22,18,+", "--extent", "2,9", "--adapter", str(learned)]
    command = ["--server", a_server.address, "--token-file", str(a_server.token_text), "--report", str(report)]
    assert main(["segment", str(an_image), "-o", str(far), *marks, *command]) == 0
    engine = ScriptedEngine().with_adapter(Adapter.load(learned))
    monkeypatch.setattr(SAM2AnnotateLib.engine, "load_engine", lambda *_a, **_o: engine)
    assert main(["segment", str(an_image), "-o", str(near), *marks]) == 0
    assert np.array_equal(read_volume(far).array_kji, read_volume(near).array_kji)
    assert json.loads(report.read_text())["engine"]["adapter"] == "Block"


def test_versions_that_do_not_fit_are_both_named(a_server, monkeypatch, capsys):
    monkeypatch.setattr(wire, "versions", lambda: "9.99")
    assert main(["server-check", a_server.address, "--token-file", str(a_server.token_text)]) == 2
    told = capsys.readouterr().err
    assert "9.99" in told and f"{wire.WIRE_VERSION}.{PROTOCOL_VERSION}" in told and "Update" in told


def test_without_torch_and_without_a_server_it_is_said_what_is_missing(an_image, tmp_path):
    done = without_torch("segment", an_image, "-o", tmp_path / "mask.nii.gz", *BOX)
    assert done.returncode == 2 and "needs the package 'torch'" in done.stderr


def test_a_network_that_breaks_changes_nothing(a_server, an_image, tmp_path, capsys, monkeypatch):
    with CuttingProxy(a_server.port) as proxy:
        proxy.cut_after(3000, way=1)
        command = ["segment", str(an_image), "-o", str(tmp_path / "m.nii.gz"), *BOX, "--server", f"http://127.0.0.1:{proxy.port}"]
        assert main([*command, "--token-file", str(a_server.token_text)]) == 0
        assert proxy.connections == 2
    told = capsys.readouterr()
    assert "note: Connecting again" in told.err and "on 8 of 8 slices" in told.out
    assert read_volume(tmp_path / "m.nii.gz").array_kji.sum() == 8 * 16 * 20


def test_the_check_says_what_the_server_is(a_server, capsys):
    command = ["server-check", a_server.address, "--token-file", str(a_server.token_text)]
    assert main(command) == 0
    assert "on cpu; models: bundled; round trip" in capsys.readouterr().out
    assert main([*command, "--json-lines"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["type"] == "server" and told["user"] == "anna" and told["round_trip_ms"] > 0 and told["models"] == ["bundled"]


def test_a_proxy_of_the_environment_does_not_catch_this_machine(a_server, capsys, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "WS_PROXY", "ws_proxy", "SOCKS_PROXY", "socks_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert main(["server-check", a_server.address, "--token-file", str(a_server.token_text)]) == 0


@pytest.mark.parametrize("json_lines", [False, True])
@pytest.mark.parametrize(
    ("address", "token", "words"),
    [
        ("{server}", "wrong-token", "does not accept this token"),
        ("http://127.0.0.1:9", "any", "cannot be reached"),
        ("http://example.com", "any", "not encrypted"),
        ("{server}", "", "none was given"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(a_server, capsys, monkeypatch, address, token, words, json_lines):
    monkeypatch.setenv("SAM2ANNOTATE_TOKEN", token)
    address = address.format(server=a_server.address)
    assert main(["server-check", address, *(["--json-lines"] if json_lines else [])]) == 2
    told = capsys.readouterr()
    assert words in told.err and told.err.count("\n") == 1
    assert not json_lines or json.loads(told.out)["type"] == "failed"
    assert token not in told.err + told.out or not token or token == "any"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--server", "http://127.0.0.1:9", "--device", "cuda"], "--device is the server's business"),
        (["--server", "http://127.0.0.1:9", "--image-size", "512"], "--image-size is the server's business"),
        (["--token-file", "x"], "name it with --server"),
        (["--server", "ftp://somewhere"], "begins with 'ftp://'"),
    ],
)
def test_options_that_do_not_go_together(an_image, tmp_path, capsys, options, words):
    assert main(["segment", str(an_image), "-o", str(tmp_path / "m.nii.gz"), *BOX, *options]) == 2
    assert words in capsys.readouterr().err


def test_another_model_than_the_server_lends_is_told(a_server, an_image, tmp_path, capsys):
    command = ["segment", str(an_image), "-o", str(tmp_path / "m.nii.gz"), *BOX, "--server", a_server.address]
    assert main([*command, "--token-file", str(a_server.token_text), "--checkpoint", "sam2.1_hiera_large"]) == 2
    assert "does not lend that model. It lends: bundled" in capsys.readouterr().err
