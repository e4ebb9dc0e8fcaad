"""The plan carried out by a real pip, in a fresh Python without compiler and network; then the self-check runs there.

What is real: pip, its resolver and constraints, sam2 and what it brings along, the bundled model. Torch and numpy are lent by the Python
that runs the tests, by links, because copying 2 GB would take minutes; so this does not show that torch itself installs. The other packages
are made into wheels from what is installed here. With SAM2ANNOTATE_TEST_INDEX=1, one test more takes the sources from the package index and
builds them.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from patients import ROOT

from SAM2AnnotateLib.setup_plan import (
    InstallStep,
    explain_pip_failure,
    installed_packages,
    missing,
    plan,
    replaced_packages,
    write_constraints,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="lends packages by links, which Windows allows administrators only"),
]

LENT = ("torch", "filelock", "typing_extensions", "sympy", "mpmath", "networkx", "Jinja2", "MarkupSafe", "fsspec", "numpy", "setuptools")
IN_THE_FOLDER = ("safetensors", "pillow", "tqdm", "hydra-core", "omegaconf", "PyYAML", "antlr4-python3-runtime", "iopath", "portalocker")
IN_THE_FOLDER += ("packaging", "rf-sam-2")


class FreshPython:
    """A virtual environment whose pip finds neither network nor compiler."""

    def __init__(self, folder: Path):
        self.folder, self.log = folder, folder / "pip.log"
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        self.python = folder / "venv" / "bin" / "python"
        self.site = Path(self.run("-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").stdout.strip())
        for info in [*self.site.glob("setuptools*"), *self.site.glob("pkg_resources*")]:  # as old as Python itself; a newer one is lent
            info.rename(folder / info.name)

    def environment(self, **variables: str) -> dict[str, str]:
        nowhere = self.folder / "no programs here"
        return {
            "PATH": str(nowhere), "CC": str(nowhere / "cc"), "CXX": str(nowhere / "c++"), "HOME": str(self.folder / "home"),
            "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", **variables,
        }  # fmt: skip

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        command = [str(self.python), *arguments]
        return subprocess.run(
            command, env=self.environment(**variables), cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )

    def packages(self):
        return installed_packages(json.loads(self.run("-c", "import json, sys; print(json.dumps(sys.path))").stdout))

    def pip(self, step: InstallStep, constraints: Path, **variables: str) -> subprocess.CompletedProcess:
        self.log.unlink(missing_ok=True)
        arguments = ("--log", str(self.log), *step.pip_arguments, "-c", str(constraints))
        return self.run("-m", "pip", "install", *arguments, **{**variables, **dict(step.variables)})

    def explain_last_failure(self, title: str = "a package") -> str:
        return explain_pip_failure(title, self.log.read_text(encoding="utf-8"))

    def carry_out(self, steps: list[InstallStep], **variables: str) -> None:
        constraints = write_constraints(self.folder / "constraints.txt", self.packages())
        for step in steps:
            done = self.pip(step, constraints, **variables)
            assert done.returncode == 0, done.stdout + done.stderr

    def lend(self, *names: str) -> None:
        """Let it import packages of the Python that runs the tests."""
        lent = self.folder / "lent"
        lent.mkdir()
        for name in names:
            distribution = importlib.metadata.distribution(name)
            for top in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
                (lent / top).symlink_to(Path(distribution.locate_file(top)).resolve())
        (self.site / "lent.pth").write_text(f"{lent}\n", encoding="utf-8")


def make_wheel(folder: Path, name: str, version: str, requires: tuple[str, ...] = ()) -> None:
    """A wheel with one module that says its version."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = '{version}'\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def repack(name: str, folder: Path) -> None:
    """The wheel that an installed package came from."""
    distribution = importlib.metadata.distribution(name)
    info = next(file.parts[0] for file in distribution.files if file.parts[0].endswith(".dist-info"))
    tag = next(line.split()[1] for line in distribution.read_text("WHEEL").splitlines() if line.startswith("Tag:"))
    left_out = {f"{info}/{one}" for one in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")}
    files = [file for file in distribution.files if file.parts[0] != ".." and file.suffix != ".pyc" and str(file) not in left_out]
    with zipfile.ZipFile(folder / f"{info.removesuffix('.dist-info')}-{tag}.whl", "w") as wheel:
        for file in files:
            wheel.write(file.locate(), str(file))
        wheel.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"]))


def install(*arguments: str) -> InstallStep:
    return InstallStep("test", "a package", arguments)


@pytest.fixture(scope="module")
def a_fresh_python(tmp_path_factory) -> FreshPython:
    return FreshPython(tmp_path_factory.mktemp("fresh python"))


@pytest.fixture
def a_lending_python(tmp_path) -> FreshPython:
    fresh = FreshPython(tmp_path)
    fresh.lend(*LENT)
    make_wheel(tmp_path, "requests", "2.31.0")
    assert fresh.pip(install("--no-index", str(tmp_path / "requests-2.31.0-py3-none-any.whl")), os.devnull).returncode == 0
    return fresh


def require_working(fresh: FreshPython, before) -> None:
    """Everything is there, SAM 2 runs, nothing was replaced, and there is one torch, the lent one."""
    after = fresh.packages()
    assert missing(after) == ()
    assert replaced_packages(before, after) == {}
    assert after["requests"].version == "2.31.0"
    assert list(fresh.site.glob("torch*")) == []
    assert not {"torchvision", "simpleitk"} & after.keys()
    check = fresh.run("-m", "SAM2AnnotateLib", "self-check")
    assert check.stdout.startswith("ok, "), check.stdout + check.stderr
    assert check.returncode == 0


def test_an_offline_folder_is_enough(a_lending_python, tmp_path):
    folder = tmp_path / "an offline folder"
    folder.mkdir()
    for name in IN_THE_FOLDER:
        repack(name, folder)
    make_wheel(folder, "requests", "9.9")  # bait
    before = a_lending_python.packages()
    steps = plan(before, folder)
    assert [step.name for step in steps] == ["wheels", "sam2-needs", "sam2"]
    a_lending_python.carry_out(steps)
    require_working(a_lending_python, before)
    assert plan(a_lending_python.packages(), folder) == []


@pytest.mark.skipif(os.environ.get("SAM2ANNOTATE_TEST_INDEX") != "1", reason="takes packages from the index: set SAM2ANNOTATE_TEST_INDEX=1")
def test_the_sources_on_the_index_build_without_a_compiler(a_lending_python):
    before = a_lending_python.packages()
    reachable = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.lower().endswith("_proxy")}
    a_lending_python.carry_out(plan(before), **{"PIP_INDEX_URL": "https://pypi.org/simple", **reachable})
    require_working(a_lending_python, before)


def test_what_is_pinned_is_not_replaced_and_pip_says_so(a_fresh_python, tmp_path):
    make_wheel(tmp_path, "pinned", "1.0")
    make_wheel(tmp_path, "pinned", "2.0")
    make_wheel(tmp_path, "wants_newer", "1.0", requires=("pinned>=2",))
    source = ("--no-index", "--find-links", str(tmp_path))
    assert a_fresh_python.pip(install(*source, "pinned==1.0"), os.devnull).returncode == 0
    before = a_fresh_python.packages()
    failed = a_fresh_python.pip(install(*source, "wants_newer"), write_constraints(tmp_path / "pins.txt", before))
    assert failed.returncode != 0
    assert "pinned==1.0), which the set-up never replaces" in a_fresh_python.explain_last_failure()
    assert a_fresh_python.packages() == before


def test_a_package_that_pip_was_stopped_in_is_written_anew(a_fresh_python, tmp_path):
    make_wheel(tmp_path, "half", "1.0")
    source = ("--no-index", "--find-links", str(tmp_path))
    constraints = write_constraints(tmp_path / "pins.txt", a_fresh_python.packages())
    assert a_fresh_python.pip(install(*source, "half"), constraints).returncode == 0
    (a_fresh_python.site / "half-1.0.dist-info" / "RECORD").unlink()  # pip writes it last
    (a_fresh_python.site / "half.py").unlink()
    broken = a_fresh_python.packages()
    assert not broken["half"].complete
    again = a_fresh_python.pip(install(*source, "half"), constraints)
    assert again.returncode == 0, "pip takes it for installed"
    assert a_fresh_python.run("-c", "import half").returncode != 0
    repair = next(step for step in plan(broken, tmp_path, interrupted=["half"]) if step.name == "repair-half")
    assert a_fresh_python.pip(repair, write_constraints(tmp_path / "pins.txt", broken)).returncode == 0
    assert a_fresh_python.packages()["half"].complete
    assert a_fresh_python.run("-c", "import half; print(half.version)").stdout.strip() == "1.0"


def test_without_network_and_folder_the_message_says_so(a_fresh_python, tmp_path):
    step = plan({})[0]
    failed = a_fresh_python.pip(step, write_constraints(tmp_path / "pins.txt", a_fresh_python.packages()))
    assert failed.returncode != 0
    assert "no network" in a_fresh_python.explain_last_failure(step.title)
