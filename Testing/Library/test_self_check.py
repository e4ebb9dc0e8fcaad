"""The self-check: one line that says whether SAM 2 runs, with the real model in the real worker, and with workers that fail."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from patients import ROOT

from SAM2AnnotateLib import self_check as module
from SAM2AnnotateLib.benchmark.phantom import make_phantom
from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.errors import Cancelled
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.self_check import GOOD_DSC, self_check


def a_python_that(tmp_path, code: str) -> list[str]:
    """An interpreter in which `code` runs before the worker does."""
    file = tmp_path / "start.py"
    file.write_text(f"import sys\n{code}\nfrom SAM2AnnotateLib.worker.serve import main\nraise SystemExit(main())\n", encoding="utf-8")
    # What follows ("-u -m SAM2AnnotateLib.worker") become arguments that nobody reads.
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); exec(open({str(file)!r}).read())"]


@pytest.mark.slow
def test_where_all_is_well_it_says_so():
    result = self_check(device="cpu")
    assert result.ok, result.line
    assert result.line == f"ok, {result.seconds:.1f} s, DSC {result.dsc:.2f}, cpu"
    assert result.dsc > GOOD_DSC
    assert result.problem == ""


@pytest.mark.slow
def test_a_poor_mask_is_no_success(monkeypatch):
    monkeypatch.setattr(module, "GOOD_DSC", 1.01)
    result = self_check(device="cpu")
    assert not result.ok
    assert result.problem == "PoorResult"
    assert "its mask is wrong: DSC 0." in result.line


def test_a_python_without_torch_is_told_to_install_it(tmp_path):
    result = self_check(a_python_that(tmp_path, "sys.modules['torch'] = None"))
    assert (result.ok, result.problem) == (False, "MissingPackageError")
    assert result.line.startswith("Running SAM 2 needs the package 'torch'")
    assert result.line.endswith("Open the Set-up page and install what is missing.")
    assert "pip install" not in result.line


@pytest.mark.slow
def test_a_python_without_sam2_is_told_to_install_it(tmp_path):  # nor transformers, which would serve in its place
    result = self_check(a_python_that(tmp_path, "sys.modules['sam2'] = sys.modules['transformers'] = None"))
    assert result.line.startswith("Running SAM 2 needs the package 'sam2'")


def test_a_python_that_lacks_what_the_worker_itself_needs_is_told_so(tmp_path):
    result = self_check(a_python_that(tmp_path, "sys.modules['numpy'] = None"))
    assert not result.ok
    assert "The model's process does not start: ModuleNotFoundError" in result.line
    assert "install what is missing" in result.line
    assert "Traceback" in result.log


@pytest.mark.slow
def test_damaged_weights_are_told(tmp_path):
    file = tmp_path / "damaged.safetensors"
    file.write_bytes(b"\x10\0\0\0\0\0\0\0" + b"{" * 16)
    result = self_check(checkpoint=str(file))
    assert (result.ok, result.problem) == (False, "CheckpointError")
    assert "damaged.safetensors" in result.line


@pytest.mark.slow
def test_a_model_that_runs_out_of_memory_is_told_what_to_close(tmp_path):
    code = (
        "from SAM2AnnotateLib.worker import serve\n"
        "def load(*arguments, **options):\n"
        "    from SAM2AnnotateLib.errors import EngineError\n"
        "    raise EngineError('CUDA out of memory.')\n"
        "serve.serve.__defaults__ = (load,)"
    )
    result = self_check(a_python_that(tmp_path, code))
    assert (result.ok, result.problem) == (False, "EngineError")
    assert result.line == "CUDA out of memory. Close other programs, or choose the device 'cpu'."


def test_a_worker_that_is_killed_is_told(tmp_path):
    result = self_check(a_python_that(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"))
    assert (result.ok, result.problem) == (False, "WorkerError")
    assert "ended unexpectedly" in result.line
    assert "Restart Slicer" in result.line


def test_a_python_that_is_not_there_is_told():
    result = self_check(["/no/such/python"])
    assert (result.ok, result.problem) == (False, "WorkerError")
    assert "cannot be started" in result.line


def test_it_can_be_stopped():
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        self_check(cancel=cancel)


def test_the_phantom_is_not_empty_and_not_full():
    phantom = make_phantom(96, 9, 5)
    shares = [phantom.mask(position).mean() for position in phantom.extent.indices]
    assert len(shares) == 5
    assert all(0.02 < share < 0.3 for share in shares)


def test_the_command_says_the_line_and_fails_with_the_check(capsys, monkeypatch):
    poor = module.SelfCheckResult(False, "torch is missing", "MissingPackageError", 1.0)
    monkeypatch.setattr(module, "self_check", lambda **_: poor)
    assert main(["self-check"]) == 2
    assert capsys.readouterr().out == "torch is missing\n"


@pytest.mark.slow
def test_a_program_gets_the_result_as_json():
    command = [sys.executable, "-m", "SAM2AnnotateLib", "self-check", "--device", "cpu", "--json-lines"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        lines = process.stdout.read().splitlines()  # standard input stays open meanwhile
    result = json.loads(lines[-1])
    assert result["type"] == "self-check"
    assert result["ok"] is True
    assert process.returncode == 0


def test_a_command_ends_when_the_program_that_asked_is_gone():
    command = [sys.executable, "-m", "SAM2AnnotateLib", "self-check", "--json-lines"]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130
    assert done.stdout == ""


def test_an_adapter_that_cannot_be_read_is_told(tmp_path):
    file = tmp_path / "liver.safetensors"
    file.write_bytes(b"no adapter")
    result = self_check(adapter=file, python=[sys.executable, "-c", "raise SystemExit('no process is needed for this')"])
    assert (result.ok, result.problem) == (False, "CheckpointError") and "liver.safetensors" in result.line
