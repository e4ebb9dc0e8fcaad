"""A study's tasks through Ray: the same results as from the process pool. Ray runs in a process of its own, as it warns a lot."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import study_stand_ins
from patients import ROOT, run_python
from processes import started
from study_stand_ins import named

from SAM2AnnotateLib.errors import InputError, MissingPackageError, SAM2AnnotateError
from SAM2AnnotateLib.study.execution import ray_pool
from SAM2AnnotateLib.study.execution.process_pool import ProcessPool
from SAM2AnnotateLib.study.execution.ray_pool import RayPool
from SAM2AnnotateLib.study.work.tasks import Task

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
# Prints the events and the error of tasks that are given as JSON.
_PROGRAM = """
import json, sys
from dataclasses import asdict
from SAM2AnnotateLib.errors import SAM2AnnotateError
from SAM2AnnotateLib.study.execution.ray_pool import RayPool
from SAM2AnnotateLib.study.work.tasks import Task

folder, execute, tasks = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
pool = RayPool("local", 2, "cpu", "cpu", execute=execute)
events, error = [], None
try:
    pool.run([Task(folder, case, tuple(units)) for case, *units in tasks], lambda event: events.append(asdict(event)))
except SAM2AnnotateError as exc:
    error = [type(exc).__name__, str(exc)]
print(json.dumps({"events": events, "error": error, "workers": pool.workers}))
"""


def start(folder: Path, execute, *tasks):
    environment = {**os.environ, "PYTHONPATH": f"{study_stand_ins.HERE}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", _PROGRAM, str(folder), named(execute), json.dumps(tasks)]
    return started(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def traces_in(folder: Path) -> list[list[str]]:
    return sorted(path.read_text().split("|") for path in folder.glob("*.*.[0-9]*"))


@needs_ray
@pytest.mark.slow
def test_ray_does_what_the_process_pool_does_with_the_same_failures(tmp_path, monkeypatch):
    tasks = [("a", "prompts", "sweep"), ("case-fails", "prompts", "sweep"), ("case-dies", "prompts", "sweep"), ("b", "sweep")]
    for name in ("ray", "pool"):
        (tmp_path / name).mkdir()
    with start(tmp_path / "ray", study_stand_ins.leave_traces, *tasks, ("", "models/none")) as process:
        said, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints
    by_ray = json.loads(said.splitlines()[-1])  # ray prints some warnings of its own

    monkeypatch.setenv("PYTHONPATH", str(study_stand_ins.HERE))
    events = []
    pool = ProcessPool(2, "cpu", "cpu", gpus=(), execute=named(study_stand_ins.leave_traces))
    with pytest.raises(SAM2AnnotateError, match="2 of 4 tasks failed"):
        pool.run([Task(str(tmp_path / "pool"), case, tuple(units)) for case, *units in tasks], events.append)

    model, *cases = sorted(traces_in(tmp_path / "ray"), key=lambda trace: trace[0] != "")
    assert cases == traces_in(tmp_path / "pool")
    assert cases[0] == ["a", "prompts", "cpu", "1", "1", "1", ""]
    assert model[:3] == ["", "models/none", "cpu"]
    assert by_ray["workers"] == 2

    finished = {(event["unit"], event["case"]) for event in by_ray["events"] if not event["problem"]}
    # A process that died cannot tell what it finished; the study's folder can.
    assert finished == {(e.unit, e.case) for e in events if not e.problem and not e.note} - {("prompts", "case-dies")} | {
        ("models/none", "")
    }
    problems = {event["case"]: event["problem"] for event in by_ray["events"] if event["problem"]}
    assert problems["case-fails"] == "The image is no image."
    assert problems["case-dies"].startswith("the worker died (")
    assert by_ray["error"][0] in ("InputError", "WorkerError")  # whichever failed first
    assert by_ray["error"][1].startswith("2 of 5 tasks failed: ")


@needs_ray
@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_stopping_ends_the_processes_of_a_local_cluster(tmp_path):
    with start(tmp_path, study_stand_ins.wait_for_the_end, ("a", "sweep"), ("b", "sweep")) as process:
        deadline = time.monotonic() + 200
        while len(found := list(tmp_path.glob("pid-*"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=200)
    assert "KeyboardInterrupt" in complaints
    deadline = time.monotonic() + 20
    while left := [path for path in found if Path(f"/proc/{path.name[4:]}").exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@needs_ray
def test_a_cluster_that_does_not_answer_is_named():
    code = """
from SAM2AnnotateLib.errors import WorkerError
from SAM2AnnotateLib.study.execution.ray_pool import RayPool
from SAM2AnnotateLib.study.work.tasks import Task
try:
    RayPool("127.0.0.1:9").run([Task("", "a", ("sweep",))], print)
except WorkerError as exc:
    print(exc)
"""
    assert run_python(code).startswith("No Ray cluster answers at '127.0.0.1:9' (")


def test_ray_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackageError, match=r"Running on a cluster needs the package 'ray'.*pip install .ray>=2.9."):
        RayPool("local").run([Task("", "a", ("sweep",))], [].append)


@pytest.mark.parametrize("unit", ["sweep", "models/low"])
def test_a_cluster_without_a_gpu_is_not_waited_for(monkeypatch, unit):
    ray = SimpleNamespace(cluster_resources=lambda: {"CPU": 4.0}, nodes=list, remote=lambda _: SimpleNamespace(options=lambda **_: None))
    monkeypatch.setattr(ray_pool, "cluster", lambda *_: nullcontext(ray))
    with pytest.raises(InputError, match="The cluster has no GPU, and one was asked for"):
        RayPool("local", 2, "cuda", "cuda").run([Task("", "a", (unit,))], [].append)


def test_nothing_to_do_starts_no_cluster(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    RayPool("local").run([], [].append)


def test_no_workers_are_refused():
    with pytest.raises(InputError, match="Expected 1 worker or more, got 0"):
        RayPool("local", 0)
