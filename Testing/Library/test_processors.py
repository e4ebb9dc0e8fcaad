"""Threads that leave the processor to others while they wait, and no more of them than there are cores for this process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from SAM2AnnotateLib.engine import loading
from SAM2AnnotateLib.nnunet.runs.process import NnunetCall, NnunetRunner
from SAM2AnnotateLib.processors import cores_here, wait_patiently

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "SAM2AnnotateLib/sample_data/ct_sarcoma_003/image.nii.gz"
SEGMENT = ["segment", str(SAMPLE), "--slice", "25", "--box", "60,60,90,90", "--extent", "25,25", "-o"]
LOADS_A_MODEL = """
from SAM2AnnotateLib.engine import load_engine
load_engine("bundled", device="cpu")
import torch
print(torch.get_num_threads())
"""
STARTS_A_WORKER = """
from SAM2AnnotateLib.worker import SubprocessWorker
with SubprocessWorker(log_file="/dev/stderr") as worker:
    worker.wait(worker.client.load_model("bundled", device="cpu"))
"""


def _environment(**added: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "KMP_", "MKL_"))}
    return {**kept, **added}


def _policy_told_by(*arguments: str, **added: str) -> str:
    """What GNU's OpenMP says when torch loads it in a new process: the policy that it took, empty if it was never loaded."""
    environment = _environment(OMP_DISPLAY_ENV="TRUE", **added)
    done = subprocess.run([sys.executable, *arguments], env=environment, cwd=ROOT, capture_output=True, check=False)
    told = [line for line in done.stderr.decode().splitlines() if "OMP_WAIT_POLICY" in line]
    return told[0].split("=")[1].strip() if told else ""


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP alone tells what it took")
@pytest.mark.parametrize("door", ["command line", "worker", "library"])
def test_threads_sleep_where_they_wait_through_every_door(door, tmp_path):
    arguments = {
        "command line": ["-m", "SAM2AnnotateLib", *SEGMENT, str(tmp_path / "mask.nrrd")],
        "worker": ["-c", STARTS_A_WORKER],
        "library": ["-c", LOADS_A_MODEL],
    }[door]
    assert _policy_told_by(*arguments) == "'PASSIVE'"


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP alone tells what it took")
def test_what_the_user_has_set_stays():
    assert _policy_told_by("-c", LOADS_A_MODEL, OMP_WAIT_POLICY="ACTIVE") == "'ACTIVE'"


def test_an_nnunet_and_its_helpers_wait_patiently_too(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    told = "os.environ['OMP_WAIT_POLICY'], os.environ['KMP_BLOCKTIME']"
    (tmp_path / "tells.py").write_text(f"import os\ndef main(): print('policy', {told})\n")
    lines: list[str] = []
    runner = NnunetRunner(environment={"PYTHONPATH": str(tmp_path)})
    runner.run(NnunetCall("tells", "main", (), "A test"), None, tmp_path / "log.txt", lines.append)
    assert "policy PASSIVE 0" in lines


def test_an_environment_keeps_what_it_has():
    environment = {"OMP_WAIT_POLICY": "ACTIVE"}
    wait_patiently(environment)
    assert environment == {"OMP_WAIT_POLICY": "ACTIVE", "KMP_BLOCKTIME": "0"}


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "9900000 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
    ],
)
def test_a_container_may_use_no_more_cores_than_its_share_is_worth(files, cores, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cores_here(tmp_path) == cores


class _TorchWithNineThreads:
    threads = 9

    def get_num_threads(self) -> int:
        return self.threads

    def set_num_threads(self, threads: int) -> None:
        self.threads = threads


@pytest.mark.parametrize(("cores", "spared", "threads"), [(8, 1, 7), (8, 0, 8), (2, 1, 2), (1, 1, 1), (64, 1, 9)])
def test_a_model_leaves_cores_to_others(cores, spared, threads, monkeypatch):
    monkeypatch.setattr(loading, "cores_here", lambda: cores)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch = _TorchWithNineThreads()
    for _ in range(2):  # a second model spares no further ones
        loading._leave_cores(torch, spared)
        assert torch.threads == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "9")
    torch.threads = 9
    loading._leave_cores(torch, spared)
    assert torch.threads == 9
