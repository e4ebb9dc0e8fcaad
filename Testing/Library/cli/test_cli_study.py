"""``sam2annotate study``: what is written, said and returned; with stand-ins for the units' work."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from patients import ROOT
from processes import started
from study_stand_ins import HERE, STUDY_YAML, a_study, named, pretend, result_of

from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.cli.study import with_data
from SAM2AnnotateLib.study.execution import process_pool, ray_pool, run
from SAM2AnnotateLib.study.presets import preset_names, preset_text
from SAM2AnnotateLib.study.records.folder import Study
from SAM2AnnotateLib.study.report import report
from SAM2AnnotateLib.yaml_config.yaml_file import parse_yaml


@pytest.fixture
def data(tmp_path):
    """Folders of images and labels whose files hold nothing, two pairs."""
    for sub, names in (("one", "abcde"), ("two", "vwxyz")):
        for kind in ("ct", "seg"):
            (tmp_path / sub / kind).mkdir(parents=True)
            for name in names:
                (tmp_path / sub / kind / f"{name}.nii.gz").touch()
    return tmp_path


@pytest.fixture
def made(monkeypatch):
    """What an executor is made with, then the options of the run; nothing runs."""
    calls = []

    for module, name in ((process_pool, "ProcessPool"), (ray_pool, "RayPool")):
        monkeypatch.setattr(module, name, lambda *arguments, **options: calls.append((*arguments, options)))
    monkeypatch.setattr(run, "run_study", lambda *_, **options: calls.append(options))
    return calls


def study(*arguments: object) -> int:
    return main(["study", *map(str, arguments)])


def test_init_writes_the_preset_with_the_data_filled_in(data, monkeypatch, capsys):
    monkeypatch.chdir(data)
    assert study("init", "new", "--images", "one/ct", "--labels", "one/seg") == 0
    captured = capsys.readouterr()
    assert captured.out == f"{data / 'new' / 'study.yaml'}\n"
    assert "5 cases: 3 for training, 2 for testing." in captured.err
    assert "sam2annotate study run new" in captured.err
    text = (data / "new" / "study.yaml").read_text()
    assert f'\n  images: "{data.as_posix()}/one/ct"\n  labels: "{data.as_posix()}/one/seg"\n' in text
    kept = [line for line in preset_text("mini-hippocampus").splitlines() if not re.match("  (images|labels):", line)]
    assert [line for line in text.splitlines() if not re.match("  (images|labels):", line)] == kept
    assert [case.case_id for case in Study.open("new").cases] == list("abcde")


def test_init_takes_several_pairs_of_folders(data, capsys):
    pairs = [f"--{what}={data / sub / kind}" for sub in ("one", "two") for what, kind in (("images", "ct"), ("labels", "seg"))]
    assert study("init", data / "new", "--preset", "misera-liver", *pairs) == 0
    assert "10 cases: 6 for training, 4 for testing." in capsys.readouterr().err
    assert [case.case_id for case in Study.open(data / "new").cases] == [*"abcdevwxyz"]


def test_init_takes_a_table(data, capsys):
    with open(data / "cases.csv", "w", newline="") as file:
        csv.writer(file).writerows([("case", "image", "label", "values"), ("a", "one/ct/a.nii.gz", "one/seg/a.nii.gz", "1=liver")])
    assert study("init", data / "new", "--preset", "comparison", "--table", data / "cases.csv") == 0
    assert Study.open(data / "new").cases[0].values == {1: "liver"}


def test_init_without_data_says_where_to_put_them(tmp_path, capsys):
    assert study("init", tmp_path / "new", "--preset", "misera-femur") == 0
    assert "Say in it where the data lie, then: sam2annotate study run" in capsys.readouterr().err
    assert (tmp_path / "new" / "study.yaml").read_text() == preset_text("misera-femur")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--preset", "mini"], "Unknown preset 'mini': expected one of comparison, crowd, learning, mini-hippocampus"),
        (["--images", "one/ct"], "Give --labels for each --images; got 1 of images and 0 of labels"),
        (["--images", "one/ct", "--labels", "one/seg", "--table", "t.csv"], "Give either --table, or --images and --labels"),
        (["--images", "one/ct", "--labels", "two/seg"], "no file of the same name in"),
        (["--images", "none/ct", "--labels", "one/seg"], "does not exist"),
    ],
)
def test_what_init_cannot_use_is_refused_and_nothing_is_written(data, monkeypatch, capsys, options, said):
    monkeypatch.chdir(data)
    assert study("init", "new", *options) == 2
    assert said in capsys.readouterr().err
    assert not (data / "new").exists()


def test_init_leaves_a_study_that_is_there_alone(tmp_path, capsys):
    a_study(tmp_path)
    assert study("init", tmp_path) == 2
    assert "holds a study already" in capsys.readouterr().err
    assert (tmp_path / "study.yaml").read_text() == STUDY_YAML


@pytest.mark.parametrize("name", preset_names())
def test_in_every_preset_the_data_can_be_replaced(name):
    before = parse_yaml(preset_text(name), name)
    after = parse_yaml(with_data(preset_text(name), ["  folders:", "    - {images: x, labels: y}"]), name)
    assert after["data"].pop("folders") == [{"images": "x", "labels": "y"}]
    for key in ("images", "labels", "table"):
        before["data"].pop(key, None)
    assert after == before


def test_data_are_replaced_wherever_they_stand_and_comments_stay():
    text = (
        "name: x\ndata:\n  # which values\n  values:\n    1: a\n  # several\n  folders:\n    - {images: i,\n       labels: l}\n"
        "  - images: i\n    labels: l\n  # kept\n  test_share: 0.4\n\n# axis\naxis: k\n"
    )
    assert with_data(text, ["  table: t"]) == (
        "name: x\ndata:\n  # which values\n  values:\n    1: a\n  # several\n  table: t\n  # kept\n  test_share: 0.4\n\n# axis\naxis: k\n"
    )
    assert with_data("name: x\ndata:\n  test_share: 0.4\n", ["  table: t"]) == "name: x\ndata:\n  table: t\n  test_share: 0.4\n"


def test_the_help_names_every_preset(capsys):
    with pytest.raises(SystemExit):
        study("init", "--help")
    said = capsys.readouterr().out
    assert all(re.search(rf"^  {name}  +\w", said, re.MULTILINE) for name in preset_names())


def test_run_makes_an_executor_of_options_and_configuration(tmp_path, made):
    folder = a_study(tmp_path / "s", STUDY_YAML + "model: {device: 'cuda:1'}\ncompute: {workers: 3}\n").folder
    assert study("run", folder, "--until", "scenarios") == 0
    assert made.pop(0) == (3, "cuda:1", "cpu", {"log_file": folder / "workers.log"})
    assert made.pop(0)["until"] == "scenarios"
    assert study("run", folder, "--workers", 7, "--device", "cpu") == 0
    assert made[0][:3] == (7, "cpu", "cpu")
    made.clear()
    assert study("run", folder, "--ray", "10.0.0.1:6379", "--device", "cuda") == 0
    assert made[0] == ("10.0.0.1:6379", 3, "cuda", "cuda", {})


def test_by_default_the_machine_decides_how_many_workers_there_are(tmp_path, made):
    assert study("run", a_study(tmp_path / "s").folder) == 0
    assert made[0][:3] == (None, "auto", "cpu")


@pytest.mark.parametrize(("options", "said"), [(["--workers", "0"], "Expected 1 worker or more"), (["--until", "x"], "Unknown step 'x'")])
def test_a_run_that_cannot_be_is_refused(tmp_path, capsys, options, said):
    assert study("run", a_study(tmp_path / "s").folder, *options) == 2
    assert said in capsys.readouterr().err


def test_a_folder_without_a_study_is_named(tmp_path, capsys):
    for command in ("run", "status", "report"):
        assert study(command, tmp_path) == 2
        assert "holds no study" in capsys.readouterr().err


def test_run_tells_every_step_and_prints_the_folder_or_the_report(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setitem(process_pool.ProcessPool.__init__.__kwdefaults__, "execute", named(pretend))
    monkeypatch.setattr(run, "evaluate_models", lambda *_, **__: None)
    monkeypatch.setattr(run, "write_report", lambda study: study.folder / "report" / "report.html")
    folder = a_study(tmp_path / "s").folder
    assert study("run", folder, "--until", "first", "--workers", 1) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{folder}\n"
    assert "Study 'trial': 2 cases for training, 2 for testing, 1 at once." in captured.err
    assert "4 of 4" in captured.err
    assert study("run", folder, "--workers", 2) == 0
    assert capsys.readouterr().out == f"{folder / 'report' / 'report.html'}\n"


def test_report_prints_its_path(tmp_path, monkeypatch, capsys):
    folder = a_study(tmp_path / "s").folder
    monkeypatch.setattr(report, "write_report", lambda study: study.folder / "report" / "report.html")
    assert study("report", folder) == 0
    assert capsys.readouterr().out == f"{folder / 'report' / 'report.html'}\n"


def test_status_is_told_in_lines(tmp_path, capsys):
    one = a_study(tmp_path / "s")
    for number in range(2):
        one.write("prompts", one.training_cases[number].case_id, result_of(one, "prompts"), 90.0)
    one.write("sweep", one.training_cases[0].case_id, result_of(one, "sweep"), 30.0)
    assert study("status", one.folder) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"Study 'trial' in {one.folder}",
        "",
        "stage             finished   mean of one     time left",
        "prompts             2 of 2         2 min",
        "sweep               1 of 2          30 s          30 s",
        "joint               0 of 2                   not known",
        "scenarios           0 of 8                   not known",
        "models              0 of 5                   not known",
        "",
        "Time left is reckoned with 1 worker.",
    ]


def test_status_for_programs_holds_the_same(tmp_path, capsys):
    one = a_study(tmp_path / "s")
    one.write("sweep", one.training_cases[0].case_id, result_of(one, "sweep"), 30.0)
    with one.lock():
        assert study("status", one.folder, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["folder"], said["name"], said["running"], said["thresholds"]) == (str(one.folder), "trial", True, {})
    sweep = {"stage": "sweep", "finished": 1, "total": 2, "outdated": 0, "mean_seconds": 30.0, "seconds_left": 30.0}
    assert sweep in said["stages"]


# The command itself, whose workers never end by themselves.
_PROGRAM = """
import sys
from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.study.execution import process_pool
process_pool.ProcessPool.__init__.__kwdefaults__["execute"] = "study_stand_ins:wait_for_the_end"
sys.exit(main(["study", "run", sys.argv[1], "--workers", "2", "--device", "cpu"]))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_workers_and_the_command_says_that_it_stopped(tmp_path, signal_number):
    folder = a_study(tmp_path / "s").folder
    environment = {**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", _PROGRAM, str(folder)]
    with started(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while len(found := list(folder.glob("pid-*"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal_number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.endswith("sam2annotate: stopped.\n")
    assert "Traceback" not in said
    assert not [path for path in found if Path(f"/proc/{path.name[4:]}").exists()]
    assert json.loads((folder / "log.jsonl").read_text().splitlines()[-1])["event"] == "run stopped"
