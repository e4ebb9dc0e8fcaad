"""The process pool of a study: what reaches a worker, what fails, dies or is stopped, and that nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import study_stand_ins
from patients import ends_soon
from processes import started
from study_stand_ins import named

from SAM2AnnotateLib.errors import Cancelled, InputError, OutputError, WorkerError
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.study.execution import executors
from SAM2AnnotateLib.study.execution.executors import Failures, TaskEvent, gpus_here, seats_for_cases, seats_for_models
from SAM2AnnotateLib.study.execution.process_pool import ProcessPool
from SAM2AnnotateLib.study.work.tasks import Task

posix = pytest.mark.skipif(os.name != "posix", reason="signals")


@pytest.fixture(autouse=True)
def stand_ins_are_found(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(study_stand_ins.HERE))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def run(tmp_path):
    """Run tasks given as (case, unit, unit...); the events."""

    def run_tasks(*tasks, execute=study_stand_ins.leave_traces, cancel=None, events=None, **options):
        events = [] if events is None else events
        options = {"workers": 1, "gpus": (), "log_file": tmp_path / "workers.log", **options}
        pool = ProcessPool(execute=named(execute), **options)
        pool.run([Task(str(tmp_path), case, units) for case, *units in tasks], events.append, cancel)
        return events

    return run_tasks


def traces_in(folder: Path) -> list[list[str]]:
    """What `leave_traces` wrote, by case and unit: case, unit, device, then the variables."""
    return sorted(path.read_text().split("|") for path in folder.glob("*.*.[0-9]*"))


def pids_in(folder: Path, count: int) -> list[int]:
    """The processes of `wait_for_the_end`, as soon as there are so many."""
    deadline = time.monotonic() + 20
    while len(found := list(folder.glob("pid-*"))) < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return [int(path.name[4:]) for path in found]


def test_every_unit_of_every_task_is_done_and_told_in_order(run, tmp_path):
    events = run(("a", "prompts", "sweep"), ("b", "sweep"))
    assert events == [TaskEvent("prompts", "a", 0.25), TaskEvent("sweep", "a", 0.25), TaskEvent("sweep", "b", 0.25)]
    assert [trace[:2] for trace in traces_in(tmp_path)] == [["a", "prompts"], ["a", "sweep"], ["b", "sweep"]]


def test_a_worker_computes_with_one_thread_from_the_beginning(run, tmp_path):
    run(("a", "sweep"))
    assert traces_in(tmp_path) == [["a", "sweep", "cpu", "1", "1", "1", ""]]


def test_as_many_tasks_as_there_are_workers_are_done_at_once(run):
    assert len(run(("2-a", "sweep"), ("2-b", "sweep"), execute=study_stand_ins.meet, workers=2)) == 2


def test_what_workers_print_goes_to_the_log_and_not_between_the_events(run, tmp_path):
    run(("a", "prompts", "sweep"))
    assert (tmp_path / "workers.log").read_text().splitlines() == ["noise that must not disturb"] * 2


def test_cases_take_the_gpus_in_turn(run, tmp_path):
    tasks = [(f"3-{name}", "sweep") for name in "abc"]
    run(*tasks, execute=study_stand_ins.meet, workers=3, gpus=("0", "1"))  # all three at once: one task a worker
    assert sorted(path.read_text() for path in tmp_path.glob("met-*")) == ["cuda:0", "cuda:0", "cuda:1"]


def test_a_model_sees_one_gpu_alone_under_its_name_and_is_not_held_to_one_thread(run, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run(("", "models/none"), ("", "models/low"), ("a", "sweep"), workers=2, gpus=("GPU-4f", "GPU-7a"), models_device="cuda")
    case, *models = sorted(traces_in(tmp_path), key=lambda trace: trace[0] == "")
    assert case == ["a", "sweep", "cuda:0", "1", "1", "1", ""]
    assert {(device, threads) for _, _, device, threads, *_ in models} == {("cuda", "")}
    assert {trace[-1] for trace in models} <= {"GPU-4f", "GPU-7a"}


@pytest.mark.parametrize(
    ("device", "workers", "gpus", "devices"),
    [
        ("auto", None, ("0", "1", "2"), ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda", 2, ("0",), ["cuda:0", "cuda:0"]),
        ("cuda:1", None, ("0", "1"), ["cuda:1"]),
        ("cuda", None, (), ["cuda"]),  # not NVIDIA's, but known to torch
        ("auto", 2, (), ["cpu", "cpu"]),
        ("mps", None, (), ["mps"]),
    ],
)
def test_seats_for_cases(device, workers, gpus, devices):
    assert [seat.device for seat in seats_for_cases(device, workers, gpus)] == devices


def test_on_a_cpu_there_is_a_seat_for_each_core(monkeypatch):
    monkeypatch.setattr(executors, "cores_here", lambda: 5)
    assert [seat.device for seat in seats_for_cases("auto", None, ())] == ["cpu"] * 5


@pytest.mark.parametrize(
    ("device", "gpus", "seats"),
    [
        ("auto", ("4", "7"), [("cuda", "4"), ("cuda", "7")]),
        ("cuda:1", ("4", "7"), [("cuda", "7")]),
        ("cpu", ("4", "7"), [("cpu", None)]),
        ("auto", (), [("cpu", None)]),
        ("mps", (), [("mps", None)]),
    ],
)
def test_seats_for_models(device, gpus, seats):
    found = seats_for_models(device, gpus)
    assert [(seat.device, seat.environment.get("CUDA_VISIBLE_DEVICES")) for seat in found] == seats


def test_gpus_that_were_chosen_are_those_that_there_are(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-4f")
    assert gpus_here() == ("2", "GPU-4f")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus_here() == ()


@posix
def test_gpus_are_counted_by_nvidias_own_program(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\n[ "$1" = -L ] && echo "GPU 0: A100 (UUID: GPU-1)" && echo "  MIG 1g" && echo "GPU 1: A100 (UUID: GPU-2)"\n'
    )
    program.chmod(0o755)
    assert gpus_here() == ("0", "1")
    program.write_text("#!/bin/sh\necho 'GPU 0: left from before'; exit 9\n")  # its driver does not answer
    assert gpus_here() == ()
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert gpus_here() == ()


def test_a_case_that_fails_stops_no_other_and_the_error_names_it_with_the_reason(run, tmp_path):
    events = []
    said = r"^1 of 3 tasks failed: case-fails. The first of them at sweep of case-fails: The image is no image. What is finished is kept"
    with pytest.raises(InputError, match=said):
        run(("a", "sweep"), ("case-fails", "prompts", "sweep", "joint"), ("z", "sweep"), events=events)
    assert [(event.unit, event.case, event.problem) for event in events] == [
        ("sweep", "a", ""),
        ("prompts", "case-fails", ""),
        ("sweep", "case-fails", "The image is no image."),
        ("sweep", "z", ""),
    ]
    assert "Traceback" in (tmp_path / "workers.log").read_text()


def test_an_error_that_is_none_of_ours_is_told_with_its_kind(run):
    with pytest.raises(WorkerError, match="sweep of case-breaks: ZeroDivisionError: division by zero What"):
        run(("case-breaks", "prompts", "sweep"))


def test_a_function_that_is_not_there_fails_the_task(run):
    with pytest.raises(WorkerError, match="AttributeError: .*no_such_function"):
        ProcessPool(1, gpus=(), execute="study_stand_ins:no_such_function").run([Task("", "a", ("sweep",))], [].append)


def test_many_failures_are_counted_and_the_first_ten_named():
    failures = Failures([TaskEvent("sweep", f"c{number:02d}", problem="bad.", kind="OutputError") for number in range(13)])
    with pytest.raises(OutputError, match=r"13 of 20 tasks failed: c00, .*, c09 and 3 more. The first of them at sweep of c00: bad."):
        failures.raise_if_any(20)
    Failures().raise_if_any(20)


def test_a_model_that_fails_is_named_by_its_unit():
    with pytest.raises(WorkerError, match="1 of 5 tasks failed: models/low. The first of them at models/low: bad."):
        Failures([TaskEvent("models/low", "", problem="bad.", kind="NoSuchKind")]).raise_if_any(5)


@posix
def test_a_task_at_which_workers_are_killed_twice_fails_and_another_worker_takes_the_next(run, tmp_path):
    events = []
    with pytest.raises(WorkerError, match=r"at sweep of case-dies: the worker died \(signal 9\), perhaps out of memory.*workers.log"):
        run(("case-dies", "prompts", "sweep"), ("z", "sweep"), events=events)
    assert [(event.case, event.unit, bool(event.problem), bool(event.note)) for event in events] == [
        ("case-dies", "prompts", False, False),
        ("case-dies", "sweep", False, True),
        ("z", "sweep", False, False),
        ("case-dies", "sweep", True, False),
    ]
    pids = {path.name.rsplit(".", 1)[1] for path in tmp_path.glob("*.*.[0-9]*")}
    assert len(pids) == 2


@posix
def test_a_task_whose_worker_was_killed_once_is_done_by_another_from_where_it_was(run):
    events = run(("case-dies-once", "prompts", "sweep", "joint"), ("z", "sweep"))
    assert [(event.unit, event.case) for event in events if not event.note] == [
        ("prompts", "case-dies-once"), ("sweep", "z"), ("sweep", "case-dies-once"), ("joint", "case-dies-once"),
    ]  # fmt: skip
    (note,) = [event.note for event in events if event.note]
    assert note.startswith("sweep of case-dies-once: the worker died (signal 9)")
    assert note.endswith("It is tried once more, after the others.")


@posix
def test_stopping_ends_the_workers(run, tmp_path):
    cancel = CancelToken()
    threading.Timer(0.0, lambda: (pids_in(tmp_path, 2), cancel.cancel())).start()
    with pytest.raises(Cancelled):
        run(("a", "sweep"), ("b", "sweep"), ("c", "sweep"), execute=study_stand_ins.wait_for_the_end, workers=2, cancel=cancel)
    assert all(ends_soon(pid) for pid in pids_in(tmp_path, 2))


@posix
def test_an_error_of_the_listener_ends_the_workers(tmp_path):
    def listen(event):
        raise OutputError("The disk is full.")

    with pytest.raises(OutputError, match="The disk is full"):
        pool = ProcessPool(1, gpus=(), execute=named(study_stand_ins.wait_for_the_end))
        pool.run([Task(str(tmp_path), "a", ("sweep",))], listen)
    assert all(ends_soon(pid) for pid in pids_in(tmp_path, 1))


@posix
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path, signal_number):
    code = f"""
from SAM2AnnotateLib.study.execution.process_pool import ProcessPool
from SAM2AnnotateLib.study.work.tasks import Task
tasks = [Task({str(tmp_path)!r}, case, ("sweep",)) for case in "abc"]
ProcessPool(2, gpus=(), execute={named(study_stand_ins.wait_for_the_end)!r}).run(tasks, [].append)
"""
    with started([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as parent:
        pids = pids_in(tmp_path, 2)
        parent.send_signal(signal_number)
        parent.wait(60)
    assert all(ends_soon(pid) for pid in pids)


def test_a_log_that_cannot_be_written_is_named(run, tmp_path):
    with pytest.raises(OutputError, match="Cannot write the workers' log"):
        run(("a", "sweep"), log_file=tmp_path / "nowhere" / "workers.log")


def test_a_python_that_is_not_there_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no_python"))
    with pytest.raises(WorkerError, match="A worker cannot be started with"):
        run(("a", "sweep"))


def test_no_workers_are_refused():
    with pytest.raises(InputError, match="Expected 1 worker or more, got 0"):
        ProcessPool(0)


def test_what_a_long_unit_is_doing_is_told_and_counts_as_no_unit(run):
    events = run(("", "models/low", "models/high"), execute=study_stand_ins.say_what_it_does)
    assert [event.note or event.unit for event in events] == [
        "models/low: epoch 1 of 2", "models/low: epoch 2 of 2", "models/low",
        "models/high: epoch 1 of 2", "models/high: epoch 2 of 2", "models/high",
    ]  # fmt: skip
    assert {event.unit for event in events[3:]} == {"models/high"}
