"""A study runs from wherever it is to its report; what is finished is not done again, whatever happened in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import pytest
from patients import ROOT
from processes import started
from study_stand_ins import HERE, STUDY_YAML, UNITS, a_study, pretend

from SAM2AnnotateLib.errors import Cancelled, InputError, OutputError
from SAM2AnnotateLib.nnunet.scores.evaluation import MEAN, CaseScore, Evaluation
from SAM2AnnotateLib.nnunet.scores.evaluation_tables import read_scores_csv, write_scores_csv
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.study.execution import run
from SAM2AnnotateLib.study.execution.executors import Failures, TaskEvent, failure
from SAM2AnnotateLib.study.execution.run import run_study
from SAM2AnnotateLib.study.records.folder import Study
from SAM2AnnotateLib.study.records.status import is_running
from SAM2AnnotateLib.study.tables.provenance import runs_of


class InThisProcess:
    """An executor that does every task here, at once. Keeps the units that it was given, by task."""

    workers = 2

    def __init__(self, execute=pretend):
        self.given: list[tuple[str, tuple[str, ...]]] = []
        self._execute = execute

    def run(self, tasks, on_event, cancel=None):
        failures = Failures()
        for task in tasks:
            self.given.append((task.case, task.units))
            try:
                self._execute(task, None, lambda unit, case, seconds: on_event(TaskEvent(unit, case, seconds)))
            except InputError as exc:
                event = failure(task.units[0], task.case, exc)
                failures.note(event)
                on_event(event)
        failures.raise_if_any(len(tasks))


@pytest.fixture(autouse=True)
def no_scores_and_no_report(monkeypatch):
    """Both have their own tests; the files that they leave tell that they were asked for."""

    def write_report(study):
        (study.folder / "report.html").touch()
        return study.folder / "report.html"

    monkeypatch.setattr(run, "evaluate_models", lambda study, **_: (study.folder / "scores.csv").touch())
    monkeypatch.setattr(run, "write_report", write_report)


@pytest.fixture
def study(tmp_path):
    return a_study(tmp_path / "study")


def again(study: Study, executor=None, **options) -> tuple[InThisProcess, list[str]]:
    """Open the study anew and run it; the executor and the lines that were told."""
    executor, lines = executor or InThisProcess(), []
    run_study(Study.open(study.folder), executor, tell=lines.append, **options)
    return executor, lines


def log_of(study: Study) -> list[dict]:
    return [json.loads(line) for line in (study.folder / "log.jsonl").read_text().splitlines()]


def test_stages_follow_one_another_and_each_case_is_one_task(study):
    train = [case.case_id for case in study.training_cases]
    executor, _ = again(study)
    scenarios = UNITS[3:7]
    assert len(train) == 2
    assert executor.given == [
        *((case, ("prompts", "sweep")) for case in train),
        *((case, ("joint",)) for case in train),
        *((case, scenarios) for case in train),
        *(("", (unit,)) for unit in UNITS[7:]),
    ]


def test_a_run_returns_its_report_and_leaves_thresholds_scores_and_log(study):
    lines = []
    report = run_study(study, InThisProcess(), tell=lines.append)
    assert report == study.folder / "report.html"
    assert (study.folder / "scores.csv").exists()
    # A pair corrects 1.25 times its share: 20 % need the share 16 %, 60 % need 48 %. DSC corrects 40 % at 0.7 and 80 % at 0.9.
    thresholds = Study.open(study.folder).calibration().thresholds
    assert thresholds["low"].dsc == pytest.approx(0.5 + 0.2 * 0.16 / 0.4)
    assert thresholds["high"].dsc == pytest.approx(0.7 + 0.2 * 0.08 / 0.4)
    assert thresholds["high"].nsd == pytest.approx(0.4 + 0.2 * 0.08 / 0.4)
    assert "Calibrated: high, 60% of slices, DSC above 0.7400 and NSD above 0.4400." in lines
    events = Counter(event["event"] for event in log_of(study))
    assert events == {"run started": 1, "unit finished": 2 * 7 + 5, "run finished": 1}
    assert log_of(study)[0]["workers"] == 2


def test_the_report_of_a_run_tells_that_the_run_has_finished(study, monkeypatch):
    endings = []

    def write_report(study):
        endings.extend(one.ended for one in runs_of(log_of(study), is_running(study)))
        return study.folder / "report.html"

    monkeypatch.setattr(run, "write_report", write_report)
    again(study)
    assert endings == ["finished"]


def test_a_report_that_cannot_be_written_is_no_finished_run(study, monkeypatch):
    def write_report(study):
        raise OutputError("the disk is full")

    monkeypatch.setattr(run, "write_report", write_report)
    with pytest.raises(OutputError):
        again(study)
    assert [one.ended for one in runs_of(log_of(study))] == ["failed"]


def test_what_is_finished_is_not_done_again(study):
    again(study)
    (study.folder / "report.html").unlink()
    executor, lines = again(study)
    assert executor.given == []
    assert "Stage scenarios: all 8 units are finished." in lines
    assert (study.folder / "report.html").exists()


@pytest.mark.parametrize(
    ("until", "last", "calibrated"),
    [("first", "sweep", False), ("calibration", "joint", True), ("scenarios", "scenarios/high", True), ("models", "models/high", True)],
)
def test_a_run_ends_where_it_was_asked_to(study, until, last, calibrated):
    executor, _ = again(study, until=until)
    assert executor.given[-1][1][-1] == last
    assert (study.folder / "calibration.json").exists() == calibrated
    assert (study.folder / "scores.csv").exists() == (until == "models")
    assert not (study.folder / "report.html").exists()


def test_an_unknown_step_is_refused(study):
    with pytest.raises(InputError, match="Unknown step 'scenario': expected one of first, calibration, scenarios, models, report"):
        again(study, until="scenario")


def test_one_unit_that_was_lost_is_done_alone(study):
    again(study)
    case = study.training_cases[1].case_id
    study.unit_file("scenarios/low", case).write_text("{ half")
    executor, lines = again(study, until="scenarios")
    assert executor.given == [(case, ("scenarios/low",))]
    assert "Stage scenarios: 7 of 8 units are finished, the others take about 1.0 s." in lines  # 2 s each, two at once


def test_what_a_changed_configuration_touches_is_done_again_and_said(study):
    again(study)
    path = study.folder / "study.yaml"
    path.write_text(path.read_text() + "effort: {find: 20}\n")
    executor, lines = again(study, until="scenarios")
    assert [units for _, units in executor.given] == [UNITS[3:7]] * 2
    assert "8 units are done again because study.yaml or the data changed." in lines


def test_a_changed_target_leaves_the_sweeps_alone(study):
    again(study)
    path = study.folder / "study.yaml"
    path.write_text(path.read_text().replace("  joint:", "  targets: {low: 0.2, moderate: 0.4, high: 0.5}\n  joint:"))
    executor, lines = again(study, until="scenarios")
    assert executor.given == [(case.case_id, ("scenarios/high",)) for case in study.training_cases]
    assert "2 units are done again because study.yaml or the data changed." in lines


def test_embeddings_are_kept_until_the_scenarios_are_finished(study):
    (study.folder / "embeddings" / "a").mkdir(parents=True)
    again(study, until="calibration")
    assert (study.folder / "embeddings").exists()
    again(study, until="scenarios")
    assert not (study.folder / "embeddings").exists()


def test_a_comparison_alone_goes_over_all_cases_and_on_to_the_report(tmp_path):
    text = STUDY_YAML.partition("prompts")[0]
    text += "comparison: {workflows: [{name: ours}], rules: [{dsc: 0.8, nsd: 0.5}, {dsc: 0.9, nsd: 0.7}]}\n"
    study = a_study(tmp_path / "study", text)
    executor, _ = again(study)
    assert executor.given == [(case, ("comparison/ours/0", "comparison/ours/1")) for case in "abcd"]
    assert (study.folder / "report.html").exists()
    assert not (study.folder / "scores.csv").exists()


def test_a_case_that_fails_lets_the_others_finish_and_is_tried_again_by_the_next_run(study):
    bad, good = (case.case_id for case in study.training_cases)
    (study.folder / f"fail-{bad}").touch()
    lines = []
    with pytest.raises(InputError, match=f"1 of 2 tasks failed: {bad}. The first of them at prompts of {bad}: The image is no image."):
        run_study(study, InThisProcess(), tell=lines.append)
    assert f"prompts of {bad} failed: The image is no image." in lines
    assert study.is_finished("sweep", good)
    assert not (study.folder / "calibration.json").exists()
    events = [event["event"] for event in log_of(study)]
    assert events == ["run started", "unit failed", "unit finished", "unit finished", "run failed"]
    assert log_of(study)[1]["case"] == bad

    (study.folder / f"fail-{bad}").unlink()
    executor, _ = again(study, until="first")
    assert executor.given == [(bad, ("prompts", "sweep"))]


def test_a_target_that_no_threshold_meets_ends_the_run_before_the_scenarios(tmp_path):
    study = a_study(
        tmp_path / "study", STUDY_YAML.replace("  joint:", "  targets: {all: 0.95}\n  joint:").replace("to_target", "as_published")
    )
    with pytest.raises(InputError, match="95 % is not reached.*Widen calibration.dsc"):
        again(study)
    assert log_of(study)[-1]["event"] == "run failed"
    assert "95 % is not reached" in log_of(study)[-1]["problem"]


def test_a_configuration_that_changes_during_the_run_is_noticed(study):
    def change_and_pretend(task, device, on_unit, on_note=None):
        (study.folder / "study.yaml").write_text(STUDY_YAML + "seed: 7\n")
        pretend(task, device, on_unit)

    with pytest.raises(InputError, match="4 units of the stage 'first' are not what was asked for: study.yaml or the data changed"):
        again(study, InThisProcess(change_and_pretend))


def test_only_one_run_at_a_time(study):
    def run_too(task, device, on_unit, on_note=None):
        with pytest.raises(InputError, match="Another program writes to"):
            again(study)
        pretend(task, device, on_unit)

    executor, _ = again(study, InThisProcess(run_too), until="first")
    assert len(executor.given) == 2
    assert [event["event"] for event in log_of(study)].count("run started") == 1


@pytest.mark.parametrize("interruption", [Cancelled, KeyboardInterrupt])
def test_a_stopped_run_says_so_in_the_log_and_keeps_what_is_finished(study, interruption):
    def stop(task, device, on_unit, on_note=None):
        pretend(replace(task, units=task.units[:1]), device, on_unit)
        raise interruption

    with pytest.raises(interruption):
        again(study, InThisProcess(stop))
    assert [event["event"] for event in log_of(study)] == ["run started", "unit finished", "run stopped"]
    assert study.is_finished("prompts", study.training_cases[0].case_id)


def test_a_stop_is_noticed_between_stages(study):
    cancel = CancelToken()

    def finish_then_stop(task, device, on_unit, on_note=None):
        pretend(task, device, on_unit)
        cancel.cancel()

    with pytest.raises(Cancelled):
        again(study, InThisProcess(finish_then_stop), cancel=cancel)
    assert study.is_finished("sweep", study.training_cases[1].case_id)
    assert not (study.folder / "calibration.json").exists()


def test_each_unit_is_told_with_the_time_that_is_left(study):
    _, lines = again(study, until="first")
    first, second = (case.case_id for case in study.training_cases)
    told = [line for line in lines if " of " in line and line.startswith(("prompts", "sweep"))]
    assert told == [
        f"prompts of {first}: 2.0 s; 1 of 4",  # no sweep is finished yet: what it takes is not known
        f"sweep of {first}: 2.0 s; 2 of 4, about 2.0 s left",  # 2 units of 2 s, two at once
        f"prompts of {second}: 2.0 s; 3 of 4, about 1.0 s left",
        f"sweep of {second}: 2.0 s; 4 of 4, about 0.0 s left",
    ]


def test_an_error_of_another_package_is_no_kill_in_the_log(study):
    def break_down(task, device, on_unit, on_note=None):
        raise ZeroDivisionError("division by zero")

    with pytest.raises(ZeroDivisionError):
        again(study, InThisProcess(break_down))
    assert [(event["event"], event.get("problem")) for event in log_of(study)] == [
        ("run started", None), ("run failed", "ZeroDivisionError: division by zero"),
    ]  # fmt: skip


def test_what_a_kill_left_half_written_is_removed(study):
    folder = study.folder / "units" / "scenarios" / "low"
    folder.mkdir(parents=True)
    for name in (".0a1b2c3d.partial.a.nii.gz", ".0a1b2c3d.partial.a.json"):
        (folder / name).touch()
    again(study, until="first")
    assert list(folder.iterdir()) == []


def test_scores_of_a_model_that_is_trained_anew_do_not_outlive_a_kill(study):
    again(study)
    names = study.config.models
    path = study.folder / "downstream" / "scores.csv"
    write_scores_csv(path, [Evaluation(name, (CaseScore("c", MEAN, 0.9, 0.8, 1.0),), 1.0) for name in (*names, "of-before")])
    study.unit_file("models/low", "").write_text("{ half")

    def stop(task, device, on_unit, on_note=None):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        again(study, InThisProcess(stop))
    assert [one.model for one in read_scores_csv(path)] == [name for name in names if name != "low"]


def test_an_error_of_the_log_is_not_hidden(study):
    (study.folder / "log.jsonl").mkdir()
    with pytest.raises(OutputError, match="log.jsonl"):
        again(study)


# Runs a study to its end with the process pool.
_PROGRAM = """
import sys
from SAM2AnnotateLib.study.execution import run
from SAM2AnnotateLib.study.records.folder import Study
from SAM2AnnotateLib.study.execution.process_pool import ProcessPool
run.evaluate_models = run.write_report = lambda study, **_: None
pool = ProcessPool(2, gpus=(), execute="study_stand_ins:pretend")
run.run_study(Study.open(sys.argv[1]), pool, tell=print)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a group of processes")
def test_after_a_kill_of_everything_the_next_run_does_only_what_was_not_finished(tmp_path):
    study = a_study(tmp_path / "study", STUDY_YAML.partition("downstream")[0])
    (study.folder / "pace").write_text("0.2")
    command = [sys.executable, "-c", _PROGRAM, str(study.folder)]
    environment = {**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{ROOT}"}
    with started(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True) as first:
        deadline = time.monotonic() + 120
        log = study.folder / "log.jsonl"
        while not log.exists() or log.read_text().count("unit finished") < 8:  # in the scenarios: before them are 6
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(first.pid, signal.SIGKILL)
    finished = {path: path.stat().st_mtime_ns for path in (study.folder / "units").rglob("*.json")}
    assert 8 <= len(finished) < 14
    (study.folder / "pace").write_text("0")
    subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    told = Counter((event["unit"], event["case"]) for event in log_of(study) if event["event"] == "unit finished")
    assert set(told.values()) == {1}
    assert len(told) >= 14 - 2  # a kill between file and log can hide one unit a worker
    study = Study.open(study.folder)
    assert all(study.is_finished(unit, case_id) for unit in UNITS[:7] for case_id in study.case_ids_of(unit))
