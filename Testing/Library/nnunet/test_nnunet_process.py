"""nnU-Net's process: its folders, its log, its failures in words, its end; with stand-ins in place of nnU-Net."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from patients import ends_soon
from processes import started

from SAM2AnnotateLib.errors import Cancelled, EngineError, InputError, MissingPackageError, OutputError, WorkerError
from SAM2AnnotateLib.nnunet.runs.folders import NnunetFolders
from SAM2AnnotateLib.nnunet.runs.process import NnunetCall, NnunetRunner
from SAM2AnnotateLib.progress import CancelToken

STAND_IN = """
import json, multiprocessing, os, sys, time

def say_environment():
    names = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", "nnUNet_n_proc_DA", "nnUNet_def_n_proc")
    print(json.dumps({"arguments": sys.argv[1:], **{name: os.environ.get(name) for name in names}}))

def draw_a_bar():
    sys.stderr.write("first\\rsecond\\rthird\\nlast without an end")

def fail():
    print(sys.argv[1])
    sys.exit(1)

def raise_an_error():
    raise RuntimeError("labels do not fit")

def miss_a_package():
    import a_package_that_is_nowhere

def be_killed():
    os.kill(os.getpid(), 9)

def sleep_with_a_helper():
    helper = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    helper.start()
    print("pids", os.getpid(), helper.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def runner(tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "stand_in.py").write_text(STAND_IN)
    return NnunetRunner(environment={"PYTHONPATH": str(tmp_path / "modules")})


@pytest.fixture
def call(runner, tmp_path):
    """Run a function of the stand-in; the lines that it printed."""

    def run(function, *arguments, runner=runner, folders=None, **options):
        lines = []
        what = NnunetCall("stand_in", function, arguments, "The work")
        runner.run(what, folders, tmp_path / "logs" / "run.log", lines.append, **options)
        return lines

    return run


def test_folders_and_processes_are_set_for_its_process_only(call, runner, tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", "of somebody else")
    folders = NnunetFolders(tmp_path / "r", tmp_path / "p", tmp_path / "s", "Dataset012_Liver")
    two = NnunetRunner(runner.python, 2, runner.environment)
    said = json.loads(call("say_environment", "-d", "12", runner=two, folders=folders)[-1])
    assert said["arguments"] == ["-d", "12"]
    assert [said[f"nnUNet_{name}"] for name in ("raw", "preprocessed", "results")] == [str(tmp_path / name) for name in "rps"]
    assert (said["nnUNet_n_proc_DA"], said["nnUNet_def_n_proc"]) == ("2", "2")
    assert os.environ["nnUNet_raw"] == "of somebody else"  # noqa: SIM112 - nnU-Net's name


def test_every_line_is_told_and_kept_in_the_log(call, tmp_path):
    lines = call("draw_a_bar")
    assert lines == ["first", "second", "third", "last without an end"]
    call("draw_a_bar")
    assert (tmp_path / "logs" / "run.log").read_text().splitlines() == lines * 2


@pytest.mark.parametrize(
    ("printed", "error", "advice"),
    [
        ("ModuleNotFoundError: No module named 'nnunetv2'", MissingPackageError, 'pip install "nnunetv2>='),
        ("ModuleNotFoundError: No module named 'blosc2'", MissingPackageError, "pip install blosc2"),
        ("ModuleNotFoundError: No module named 'distutils'", MissingPackageError, "pip install setuptools"),
        ("RuntimeError: Could not find requested nnunet trainer MyTrainer in ...", MissingPackageError, "'MyTrainer'"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", EngineError, "smaller batch size"),
        ("RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried", EngineError, "ran out of memory"),
        ("RuntimeError: Background workers died. One or more background workers are no longer alive.", EngineError, "fewer processes"),
        ("OSError: [Errno 28] No space left on device", OutputError, "disk is full"),
        ("AssertionError: Torch not compiled with CUDA enabled", EngineError, "device 'cpu'"),
        ("nothing known", EngineError, "exit code 1: nothing known"),
    ],
)
def test_a_failure_is_told_in_words_with_the_place_of_the_log(call, tmp_path, printed, error, advice):
    with pytest.raises(error) as caught:
        call("fail", printed)
    assert str(caught.value).startswith("The work failed")
    assert advice in str(caught.value)
    assert str(tmp_path / "logs" / "run.log") in str(caught.value)


def test_an_exception_of_its_own_is_quoted(call):
    with pytest.raises(EngineError, match="RuntimeError: labels do not fit"):
        call("raise_an_error")


def test_nnunet_that_is_not_installed_is_named_with_the_command_that_installs_it(runner, tmp_path):
    bare = NnunetRunner((sys.executable, "-S"))  # without site-packages
    with pytest.raises(MissingPackageError, match='Training failed. nnU-Net is not installed. Get it: pip install "nnunetv2>='):
        bare.run(NnunetCall("nnunetv2.run.run_training", "run_training_entry", (), "Training"), None, tmp_path / "run.log")


def test_a_package_that_nnunet_lacks_is_named(call):
    with pytest.raises(MissingPackageError, match="pip install a_package_that_is_nowhere"):
        call("miss_a_package")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_killed_process_is_told_from_a_failed_one(call):
    with pytest.raises(WorkerError, match="was killed, perhaps for lack of memory. Call again"):
        call("be_killed")


def test_a_python_that_is_not_there_is_named(tmp_path):
    runner = NnunetRunner((str(tmp_path / "no_python"),))
    with pytest.raises(WorkerError, match="cannot be started with"):
        runner.run(NnunetCall("json", "dumps", (), "The work"), None, tmp_path / "run.log")


def test_a_log_that_cannot_be_written_stops_before_anything_starts(call, tmp_path):
    (tmp_path / "logs").write_text("a file, not a folder")
    with pytest.raises(OutputError, match="Cannot write nnU-Net's log"):
        call("say_environment")


@pytest.mark.skipif(os.name != "posix", reason="looks at process ids")
def test_stopping_ends_the_process_and_its_helpers(runner, tmp_path):
    cancel, pids = CancelToken(), []

    def on_line(line):
        pids.extend(map(int, line.split()[1:]))
        cancel.cancel()

    with pytest.raises(Cancelled):
        runner.run(NnunetCall("stand_in", "sleep_with_a_helper", (), "The work"), None, tmp_path / "run.log", on_line, cancel)
    assert len(pids) == 2
    assert all(ends_soon(pid) for pid in pids)


@pytest.mark.skipif(os.name != "posix", reason="looks at process ids")
def test_it_ends_with_its_starter_even_if_that_is_killed(runner, tmp_path):
    code = f"""
from pathlib import Path
from SAM2AnnotateLib.nnunet.runs.process import NnunetCall, NnunetRunner
runner = NnunetRunner(environment={dict(runner.environment)!r})
call = NnunetCall("stand_in", "sleep_with_a_helper", (), "The work")
runner.run(call, None, Path({str(tmp_path / "run.log")!r}), lambda line: print(line, flush=True))
"""
    with started([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as starter:
        pids = [int(pid) for pid in starter.stdout.readline().split()[1:]]
        starter.send_signal(signal.SIGKILL)
    assert len(pids) == 2
    assert all(ends_soon(pid) for pid in pids)


@pytest.mark.parametrize("name", ["Liver", "Dataset12_Liver", "Dataset012", "Dataset012_Li/ver"])
def test_a_folder_that_is_no_data_set_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="like Dataset012_Liver"):
        NnunetFolders(tmp_path, tmp_path, tmp_path, name)


def test_folders_lie_beside_the_raw_data_unless_given(tmp_path):
    data_set = tmp_path / "nnUNet_raw" / "Dataset012_Liver"
    data_set.mkdir(parents=True)
    with pytest.raises(InputError, match="holds no dataset.json"):
        NnunetFolders.of_data_set(data_set)
    (data_set / "dataset.json").write_text("{}")
    folders = NnunetFolders.of_data_set(data_set, results=tmp_path / "elsewhere")
    assert (folders.preprocessed, folders.results) == (tmp_path / "nnUNet_preprocessed", tmp_path / "elsewhere")
    assert folders.data_set_id == 12
