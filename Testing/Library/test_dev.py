"""dev.py without network: a stand-in takes the place of pip and of the virtual environment's interpreter."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

NO_NETWORK = (
    "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError: Failed to establish a new connection'\n"
    "ERROR: Could not find a version that satisfies the requirement torch\nERROR: No matching distribution found for torch\n"
)
NO_BUILD = "ERROR: Could not find a version that satisfies the requirement torch\nERROR: No matching distribution found for torch\n"


@pytest.fixture(scope="module")
def dev():
    spec = importlib.util.spec_from_file_location("dev", PROJECT / "dev.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["dev"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["dev"]


@pytest.fixture
def a_project(tmp_path):
    root = tmp_path / "a project"  # with a space in its path
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    return root


class FakeMachine:
    """Notes what is run. `failures` maps a part of a command to the standard error that it then fails with."""

    def __init__(self, root: Path, failures: dict[str, str] | None = None, version: str = "3.11 x86_64"):
        self.root, self.failures, self.version = root, failures or {}, version
        self.commands: list[list[str]] = []
        self.environments: list[dict[str, str]] = []
        self.lines: list[str] = []

    def run(self, command, environment):
        self.commands.append([str(part) for part in command])
        self.environments.append(dict(environment))
        for part, errors in self.failures.items():
            if part in command:
                return 1, errors
        if "venv" in command:
            (self.root / ".venv").mkdir()
        return 0, ""

    def probe(self, _python, _environment):
        return self.version if (self.root / ".venv").is_dir() else None

    def installs(self) -> list[str]:
        """The last argument of every call of pip."""
        return [command[-1] for command in self.commands if "pip" in command]

    def setup(self, dev, environ=None):
        return dev.Setup(self.root, environ or {}, run=self.run, probe=self.probe, say=self.lines.append)


def test_a_first_setup_runs_every_step_in_order(dev, a_project):
    machine = FakeMachine(a_project)
    machine.setup(dev).bring_up_to_date()
    assert machine.commands[0][1:] == ["-m", "venv", "--clear", str(a_project / ".venv")]
    assert machine.lines[0].startswith("[1/11] virtual environment")
    assert [line[: line.index("]") + 1] for line in machine.lines if line.startswith("[")] == [f"[{n}/11]" for n in range(1, 12)]
    installs = machine.installs()
    expected = [
        "wheel",
        "torch==2.13.0",
        dev.WHEELS[-1],
        dev.SLICER_TESTS[-1],
        "iopath",
        "rf-sam-2>=1.0.3,<2",
        dev.TRANSFORMERS,
        dev.NNUNET[-1],
        dev.CLUSTER,
        str(a_project),
    ]
    assert installs == expected


def test_pip_is_the_environments_own(dev, a_project):
    machine = FakeMachine(a_project)
    machine.setup(dev).bring_up_to_date()
    for command in machine.commands[1:]:
        assert command[:4] == [str(dev.venv_python(a_project)), "-m", "pip", "install"]


def test_sam2_comes_as_a_wheel_without_dependencies_in_place_of_the_source_package(dev, a_project):
    machine = FakeMachine(a_project)
    (a_project / ".venv" / "lib" / "python3.11" / "site-packages" / "sam2-1.1.0.dist-info").mkdir(parents=True)
    machine.setup(dev).bring_up_to_date()
    at = next(number for number, command in enumerate(machine.commands) if dev.SAM2 in command)
    assert {"--only-binary", "--no-deps"} <= set(machine.commands[at])
    assert machine.commands[at - 1][1:] == ["-m", "pip", "uninstall", "--yes", "sam2"]


def test_a_second_setup_runs_nothing(dev, a_project):
    FakeMachine(a_project).setup(dev).bring_up_to_date()
    machine = FakeMachine(a_project)
    machine.setup(dev).bring_up_to_date()
    assert machine.commands == []
    assert machine.lines == []


def test_a_working_environment_made_by_hand_is_kept_and_completed(dev, a_project):
    (a_project / ".venv").mkdir()
    machine = FakeMachine(a_project)
    machine.setup(dev).bring_up_to_date()
    assert not any("venv" in command for command in machine.commands)
    assert len(machine.installs()) == 10


def test_an_interrupted_setup_goes_on_at_the_step_it_was_in(dev, a_project):
    machine = FakeMachine(a_project)
    setup = machine.setup(dev)

    def run_until_sam2(command, environment):
        if dev.SAM2 in command:
            raise KeyboardInterrupt
        return machine.run(command, environment)

    setup.run = run_until_sam2
    with pytest.raises(KeyboardInterrupt):
        setup.bring_up_to_date()
    later = FakeMachine(a_project)
    later.setup(dev).bring_up_to_date()
    assert later.installs() == [dev.SAM2, dev.TRANSFORMERS, dev.NNUNET[-1], dev.CLUSTER, str(a_project)]
    assert later.lines[0].startswith("[7/11] SAM 2")


def test_a_changed_requirement_repeats_its_step_only(dev, a_project, monkeypatch):
    FakeMachine(a_project).setup(dev).bring_up_to_date()
    monkeypatch.setattr(dev, "SAM2_NEEDS", ("hydra-core", "iopath>=0.1.10"))
    machine = FakeMachine(a_project)
    machine.setup(dev).bring_up_to_date()
    assert machine.installs() == ["iopath>=0.1.10"]


def test_a_changed_pyproject_installs_the_project_again(dev, a_project):
    FakeMachine(a_project).setup(dev).bring_up_to_date()
    (a_project / "pyproject.toml").write_text("[project]\nname = 'other'\n", encoding="utf-8")
    machine = FakeMachine(a_project)
    machine.setup(dev).bring_up_to_date()
    assert machine.installs() == [str(a_project)]


def test_a_moved_project_is_installed_again_from_its_new_place(dev, a_project):
    FakeMachine(a_project).setup(dev).bring_up_to_date()
    moved = a_project.rename(a_project.with_name("moved"))
    machine = FakeMachine(moved)
    machine.setup(dev).bring_up_to_date()
    assert machine.installs() == [str(moved)]


def test_another_python_repeats_every_step(dev, a_project):
    FakeMachine(a_project).setup(dev).bring_up_to_date()
    machine = FakeMachine(a_project, version="3.12 x86_64")
    machine.setup(dev).bring_up_to_date()
    assert len(machine.installs()) == 10


@pytest.mark.parametrize("content", ["", "{", "[]", '{"torch": 1}'])
def test_damaged_stamps_count_as_none(dev, a_project, content):
    (a_project / ".venv").mkdir()
    (a_project / ".venv" / "setup-stamps.json").write_text(content, encoding="utf-8")
    machine = FakeMachine(a_project)
    machine.setup(dev).bring_up_to_date()
    assert len(machine.installs()) == 10


def test_torch_falls_back_where_the_pinned_release_has_no_build(dev, a_project):
    machine = FakeMachine(a_project, {"torch==2.13.0": NO_BUILD})
    machine.setup(dev).bring_up_to_date()
    assert machine.installs()[1:3] == ["torch==2.13.0", "torch>=2.5.1"]


def test_no_fallback_is_tried_without_network(dev, a_project):
    machine = FakeMachine(a_project, {"torch==2.13.0": NO_NETWORK})
    with pytest.raises(dev.SetupError, match=r"Step 'torch' failed: no network.*start the command again"):
        machine.setup(dev).bring_up_to_date()
    assert machine.installs()[-1] == "torch==2.13.0"
    assert list(json.loads((a_project / ".venv" / "setup-stamps.json").read_text("utf-8"))) == ["tools"]


@pytest.mark.parametrize(
    ("pip_errors", "remedy"),
    [
        (NO_NETWORK, "no network"),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: Read timed out.", "no network"),
        (NO_BUILD, "no build for this system and Python"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("SSLError: [SSL: CERTIFICATE_VERIFY_FAILED] ... Max retries exceeded", "certificate"),
        ("ERROR: [Errno 13] Permission denied: 'x'", "may not be written"),
        ("something else", "see pip's message above"),
    ],
)
def test_a_failed_step_is_one_line_with_a_remedy(dev, a_project, pip_errors, remedy):
    line = dev.explain_failure(dev.plan_steps(a_project)[0], pip_errors)
    assert line.startswith("Step 'tools' failed: ")
    assert remedy in line
    assert "\n" not in line


def test_a_missing_ensurepip_names_the_debian_package(dev, a_project, monkeypatch):
    monkeypatch.setattr(dev.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    machine = FakeMachine(a_project)
    with pytest.raises(dev.SetupError, match="apt install python3-venv"):
        machine.setup(dev).bring_up_to_date()
    assert machine.commands == []


def test_an_environment_that_cannot_be_made_is_an_error(dev, a_project):
    machine = FakeMachine(a_project, {"venv": ""})
    with pytest.raises(dev.SetupError, match="No virtual environment could be made"):
        machine.setup(dev).bring_up_to_date()


@pytest.mark.parametrize(("version", "old"), [((2, 7, 18), True), ((3, 9, 2), True), ((3, 10, 0), False), ((4, 0), False)])
def test_an_old_python_is_refused_by_name(dev, version, old):
    problem = dev.python_problem(version)
    assert (problem is not None) == old
    if old:
        assert f"This is Python {version[0]}.{version[1]}; SAM2Annotate needs 3.10" in problem


def test_foreign_variables_stay_outside(dev):
    cleaned = dev.clean_environment({"PYTHONPATH": "/slicer", "PYTHONHOME": "/slicer", "PIP_TARGET": "/x", "PIP_USER": "1", "PATH": "/bin"})
    assert not {"PYTHONPATH", "PYTHONHOME", "PIP_TARGET"} & cleaned.keys()
    assert cleaned["PIP_USER"] == "0"
    assert cleaned["PATH"] == "/bin"


def test_the_interpreter_lies_where_each_system_puts_it(dev):
    root = Path("a project")
    assert dev.venv_python(root, "win32") == root / ".venv" / "Scripts" / "python.exe"
    assert dev.venv_python(root, "linux") == dev.venv_python(root, "darwin") == root / ".venv" / "bin" / "python"


def test_the_probe_knows_this_interpreter_and_refuses_a_missing_one(dev, tmp_path):
    environment = dev.clean_environment(dict(dev.os.environ))
    assert dev.venv_version(Path(sys.executable), environment).startswith(f"{sys.version_info[0]}.{sys.version_info[1]} ")
    assert dev.venv_version(tmp_path / "python", environment) is None


def test_a_programs_errors_are_shown_and_kept(dev, capfd):
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    assert dev.run_showing([sys.executable, "-c", code], dict(dev.os.environ)) == (3, "err\n")
    shown = capfd.readouterr()
    assert (shown.out.strip(), shown.err.strip()) == ("out", "err")


class FakeCall:
    """Stands in for `subprocess.call`: notes modules and folders, answers by the module's name."""

    def __init__(self, codes: dict[str, int] | None = None):
        self.codes, self.modules, self.folders = codes or {}, [], []

    def __call__(self, command, env, cwd):
        assert "PYTHONPATH" not in env
        self.modules.append(command[2:])
        self.folders.append(cwd)
        return self.codes.get(command[2], 0)


def test_tests_run_after_ruff_with_the_callers_arguments(dev, a_project):
    call = FakeCall()
    assert dev.run_command("test", ["-k", "boxes"], FakeMachine(a_project).setup(dev, {"PYTHONPATH": "/x"}), call) == 0
    assert call.modules == [["ruff", "check"], ["pytest", *dev.SIDE_BY_SIDE, "-k", "boxes"]]
    assert call.folders == [a_project, a_project]


def test_quick_leaves_out_what_takes_long(dev, a_project):
    call = FakeCall()
    assert dev.run_command("test", ["--quick", "-x"], FakeMachine(a_project).setup(dev), call) == 0
    assert call.modules == [["ruff", "check"], ["pytest", *dev.SIDE_BY_SIDE, *dev.QUICK, "-x"]]


def test_a_finding_of_ruff_fails_the_command_and_the_tests_still_run(dev, a_project, capsys):
    call = FakeCall({"ruff": 1})
    assert dev.run_command("test", [], FakeMachine(a_project).setup(dev), call) == 1
    assert call.modules[-1] == ["pytest", *dev.SIDE_BY_SIDE]
    assert "ruff check failed" in capsys.readouterr().out


def test_pytests_exit_code_is_passed_on(dev, a_project):
    assert dev.run_command("test", [], FakeMachine(a_project).setup(dev), FakeCall({"pytest": 5})) == 5


def test_the_demo_runs_where_the_caller_stands(dev, a_project):
    call = FakeCall()
    assert dev.run_command("demo", ["--output", "x"], FakeMachine(a_project).setup(dev), call) == 0
    assert call.modules == [["SAM2AnnotateLib", "demo", "--output", "x"]]
    assert call.folders == [None]


def test_lint_runs_all_four_checks(dev, a_project):
    call = FakeCall()
    dev.run_command("lint", [], FakeMachine(a_project).setup(dev), call)
    assert call.modules == [["ruff", "check"], ["ruff", "format", "--check"], ["bandit", *dev.SCANNED], ["mypy"]]


def test_an_unknown_command_names_the_known_ones(dev, capsys):
    assert dev.main(["tset"]) == 2
    assert re.search(r"unknown command 'tset'. Choose from demo, test, lint, setup", capsys.readouterr().err)


def test_no_command_explains_all_of_them(dev, capsys):
    assert dev.main([]) == 0
    shown = capsys.readouterr().out
    assert all(f"dev.py {name}" in shown for name in dev.COMMANDS)


def test_a_stopped_setup_says_how_to_go_on(dev, monkeypatch, capsys):
    def stop(_setup):
        raise KeyboardInterrupt

    monkeypatch.setattr(dev.Setup, "bring_up_to_date", stop)
    assert dev.main(["setup"]) == 130
    assert "Start the same command again to go on" in capsys.readouterr().err


def test_readme_says_what_every_package_is_for():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = chain(project["project"]["dependencies"], *project["project"]["optional-dependencies"].values())
    wanted = {re.split(r"[<>=!\[ ;]", name)[0].lower() for name in listed} - {"sam2annotate"}
    table = (PROJECT / "README.md").read_text(encoding="utf-8").partition("## Dependencies")[2].partition("\n## ")[0].lower()
    assert not {name for name in wanted if name not in table}


def test_dev_and_pyproject_ask_for_the_same_packages(dev):
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = chain(project["project"]["dependencies"], *project["project"]["optional-dependencies"].values())
    in_pyproject = {requirement for requirement in listed if not requirement.startswith("sam2annotate[")}
    on_windows, elsewhere = f"{dev.TORCH_ON_WINDOWS}; sys_platform == 'win32'", "torch>=2.5.1; sys_platform != 'win32'"
    assert {on_windows, elsewhere} <= in_pyproject
    in_pyproject = in_pyproject - {on_windows, elsewhere} | {dev.TORCH_ANY}
    in_dev = {*dev.WHEELS, *dev.SLICER_TESTS, *dev.NNUNET, *dev.SAM2_NEEDS, dev.SAM2, dev.TORCH_ANY, dev.TRANSFORMERS, dev.CLUSTER}
    assert in_pyproject == in_dev
    assert set(project["build-system"]["requires"]) <= set(dev.PACKAGING_TOOLS)


def test_dev_py_still_parses_on_an_old_python_that_must_be_told_so(dev):
    """Newer syntax would hide the message behind a SyntaxError."""
    ast.parse((PROJECT / "dev.py").read_text(encoding="utf-8"), feature_version=(3, 7))


def test_dev_py_starts_by_its_path_from_anywhere(tmp_path):
    shown = subprocess.run([sys.executable, str(PROJECT / "dev.py"), "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "python3 dev.py demo" in shown.stdout


def test_a_package_that_does_not_fit_torch_is_found_and_taken_away(dev, a_project):
    machine = FakeMachine(a_project)
    faults = ["torchvision RuntimeError: operator torchvision::nms does not exist", ""]
    dev.Setup(a_project, {}, machine.run, machine.probe, machine.lines.append, lambda *_: faults.pop(0)).bring_up_to_date()
    assert machine.commands[-1][1:] == ["-m", "pip", "uninstall", "--yes", "torchvision"]
    assert any("torchvision was built for another torch" in line for line in machine.lines)
    dev.Setup(a_project, {}, machine.run, machine.probe, machine.lines.append, lambda *_: 1 / 0).bring_up_to_date()  # looked at once


def test_a_package_that_we_need_and_that_does_not_load_stops_the_setup(dev, a_project):
    machine = FakeMachine(a_project)
    setup = dev.Setup(a_project, {}, machine.run, machine.probe, machine.lines.append, lambda *_: "scipy ImportError: no")
    with pytest.raises(dev.SetupError, match="A package does not load: scipy ImportError: no. Delete the folder .venv"):
        setup.bring_up_to_date()


def test_a_fault_is_told_with_its_package(dev, tmp_path):
    for name in (*dev.MUST_LOAD, "torchvision"):  # light ones in their place
        (tmp_path / f"{name}.py").touch()
    (tmp_path / "torchaudio.py").write_text("raise RuntimeError('built for\\nanother')")
    code = dev.load_fault(Path(sys.executable), {**os.environ, "PYTHONPATH": str(tmp_path)})
    assert code == "torchaudio RuntimeError: built for another"


def test_the_gpu_check_installs_only_what_runs_models_and_gets_its_arguments(dev, a_project, monkeypatch):
    machine = FakeMachine(a_project)
    setup = machine.setup(dev)
    monkeypatch.setattr(dev, "Setup", lambda *_: setup)
    called = []
    monkeypatch.setattr(dev.subprocess, "call", lambda command, **more: called.append((command, more["cwd"])) or 0)
    monkeypatch.setattr(dev.run_command, "__defaults__", (dev.subprocess.call,))
    assert dev.main(["gpu-check", "--minutes", "3"]) == 0
    assert machine.installs() == [
        "wheel",
        "torch==2.13.0",
        dev.WHEELS[-1],
        "iopath",
        "rf-sam-2>=1.0.3,<2",
        dev.TRANSFORMERS,
        str(a_project),
    ]
    assert called == [([str(setup.python), "-m", "SAM2AnnotateLib.benchmark.gpu_check", "--minutes", "3"], None)]


def bring_browser(dev, machine, programs, root=True):
    """Ask for the browser on a machine with some programs."""
    (machine.root / ".venv").mkdir(exist_ok=True)
    dev.bring_browser(machine.setup(dev), find=lambda name: name if name in programs else None, may_install=lambda: root)


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_a_browser_that_is_there_is_taken(dev, a_project, name):
    machine = FakeMachine(a_project)
    bring_browser(dev, machine, {name, "apt-get"})
    assert (machine.commands, machine.lines) == ([], [])


def test_a_browser_is_installed_where_that_may_be_done(dev, a_project):
    machine = FakeMachine(a_project)
    bring_browser(dev, machine, {"apt-get"})
    assert machine.commands == [[*dev.APT_INSTALL, "chromium"]]
    assert machine.environments[0]["DEBIAN_FRONTEND"] == "noninteractive"
    assert len(machine.lines) == 1


def test_old_lists_of_packages_are_renewed_for_the_browser(dev, a_project):
    machine = FakeMachine(a_project)
    failing = iter([100, 0, 0])
    machine.run = lambda command, _environment: machine.commands.append(list(command)) or (next(failing), "")
    bring_browser(dev, machine, {"apt-get"})
    assert [command[1] for command in machine.commands] == ["install", "update", "install"]
    assert len(machine.lines) == 1
    assert not (a_project / ".venv" / "browser-tried").exists()


def test_a_browser_that_cannot_be_installed_is_told_once_and_stops_nothing(dev, a_project):
    machine = FakeMachine(a_project, {"apt-get": "E: Unable to locate package chromium"})
    bring_browser(dev, machine, {"apt-get"})
    assert [command[1] for command in machine.commands] == ["install", "update", "install"]
    assert "apt-get could not install Chromium (see above): tests of the page will be skipped" in machine.lines[-1]
    later = FakeMachine(a_project)
    bring_browser(dev, later, {"apt-get"})
    assert (later.commands, later.lines) == ([], [])


@pytest.mark.parametrize(("programs", "root"), [({"apt-get"}, False), (set(), True), (set(), False)])
def test_nothing_of_the_system_is_touched_by_who_may_not(dev, a_project, programs, root):
    machine = FakeMachine(a_project)
    bring_browser(dev, machine, programs, root)
    assert machine.commands == []
    [line] = machine.lines
    assert "no Chromium here" in line
    assert "apt-get install chromium" in line


@pytest.mark.parametrize(("command", "asked"), [("test", 1), ("setup", 0), ("lint", 0), ("demo", 0)])
def test_only_tests_ask_for_a_browser(dev, a_project, monkeypatch, command, asked):
    setup = FakeMachine(a_project).setup(dev)
    calls = []
    monkeypatch.setattr(dev, "Setup", lambda *_: setup)
    monkeypatch.setattr(dev, "bring_browser", calls.append)
    monkeypatch.setattr(dev, "run_command", lambda *_: 0)
    assert dev.main([command]) == 0
    assert len(calls) == asked
