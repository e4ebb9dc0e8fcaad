"""The plan of a set-up, what it reads from disk and what it makes of pip's failures. No pip runs here; test_setup_with_pip.py runs it."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from patients import ROOT, names_in, run_python

from SAM2AnnotateLib.engine.models.checkpoints import CHECKPOINTS
from SAM2AnnotateLib.errors import Cancelled, CheckpointError, InputError, MissingPackageError
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.setup_plan import (
    REQUIREMENTS,
    SERVER_REQUIREMENTS,
    InstalledPackage,
    OfflineFolder,
    RequirementState,
    ResumeMarker,
    explain_pip_failure,
    inspect,
    installed_packages,
    missing,
    offline_folder,
    plan,
    replaced_packages,
    requirements,
    write_constraints,
)
from SAM2AnnotateLib.setup_plan.install_plan import CPU_TORCH_INDEX
from SAM2AnnotateLib.setup_plan.requirements import Requirement

# What Slicer 5.10 brings, by and large.
SLICER = {
    "numpy": "1.26.4",
    "requests": "2.32.3",
    "simpleitk": "2.5.0",
    "scipy": "1.13.1",
    "setuptools": "80.9.0",
    "wheel": "0.45.1",
    "pillow": "10.4.0",
    "packaging": "24.1",
    "typing-extensions": "4.12.2",
}
ALL_READY = {
    **SLICER,
    "torch": "2.13.0+cpu",
    "safetensors": "0.8.0",
    "tqdm": "4.70.1",
    "hydra-core": "1.3.8",
    "iopath": "0.1.10",
    "rf-sam-2": "1.0.3",
}


def packages(versions: dict[str, str], half_written: tuple[str, ...] = ()) -> dict[str, InstalledPackage]:
    return {name: InstalledPackage(name, version, name not in half_written) for name, version in versions.items()}


def write_package(folder: Path, name: str, version: str, record: bool = True, suffix: str = "dist-info") -> None:
    info = folder / f"{name}-{version}.{suffix}"
    info.mkdir(parents=True)
    metadata = "METADATA" if suffix == "dist-info" else "PKG-INFO"
    (info / metadata).write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nVersion: 0 in the text\n", encoding="utf-8")
    if record and suffix == "dist-info":
        (info / "RECORD").write_text("", encoding="utf-8")


# -- the plan -------------------------------------------------------------------------------------------------------------------


def test_a_fresh_slicer_gets_torch_first_and_sam2_last():
    assert [step.name for step in plan(packages(SLICER))] == ["torch", "wheels", "sam2-needs", "sam2"]


def test_nothing_is_planned_where_nothing_is_missing():
    assert missing(packages(ALL_READY)) == ()
    assert plan(packages(ALL_READY)) == []


@pytest.mark.parametrize("gone", ["torch", "safetensors", "hydra-core", "iopath", "rf-sam-2"])
def test_an_interrupted_set_up_goes_on_with_what_is_missing(gone):
    installed = packages({name: version for name, version in ALL_READY.items() if name != gone})
    steps = plan(installed)
    assert len(steps) == 1
    assert re.split("[<>=]", steps[0].pip_arguments[-1])[0] == gone


def test_no_step_names_a_package_that_slicer_has():
    asked = [re.split("[<>=]", one)[0].lower() for step in plan(packages(SLICER)) for one in step.pip_arguments if one[0].isalpha()]
    options = {"hydra-core,omegaconf,pyyaml,portalocker,packaging,typing_extensions,tqdm,pywin32,colorama"}  # of --only-binary
    assert set(asked) - options == {"torch", "safetensors", "tqdm", "hydra-core", "iopath", "rf-sam-2"}


def test_sam2_comes_as_a_wheel_and_brings_nothing_along():
    step = plan(packages(SLICER))[-1]
    assert {"--only-binary", "--no-deps", "rf-sam-2>=1.0.3,<2"} <= set(step.pip_arguments)


def test_sam2_from_source_serves_where_it_is_and_is_never_joined_by_the_wheel():
    installed = {name: version for name, version in ALL_READY.items() if name != "rf-sam-2"} | {"sam2": "1.1.0"}
    assert plan(packages(installed)) == []
    repairs = plan(packages(installed, half_written=("sam2",)))
    assert [step.pip_arguments[-1] for step in repairs] == ["sam2>=1.1,<2"]
    assert ("SAM2_BUILD_CUDA", "0") in repairs[0].variables and "--only-binary" not in repairs[0].pip_arguments


def test_only_what_is_published_as_source_alone_may_be_built():
    sources = {one.name for one in REQUIREMENTS if one.source_only}
    assert sources == {"iopath"}
    for step in plan(packages({})):
        named = {re.split("[<>=]", one)[0] for one in step.pip_arguments}
        if not named & sources:
            assert step.pip_arguments[:2] == ("--only-binary", ":all:"), step


def test_every_step_keeps_pip_from_asking_and_from_the_users_own_folder():
    for step in plan(packages({})):
        assert {("PIP_USER", "0"), ("PIP_NO_INPUT", "1")} <= set(step.variables)


def test_a_python_without_setuptools_gets_it_before_anything_is_built():
    assert plan(packages({}))[0].pip_arguments[-1].startswith("setuptools")


@pytest.mark.parametrize(("version", "wheel_step"), [("70.0.0", 1), ("70.1", 0), ("80.9.0", 0)])
def test_an_old_setuptools_gets_wheel_beside_it(version, wheel_step):
    installed = packages({**{name: one for name, one in SLICER.items() if name != "wheel"}, "setuptools": version})
    assert [step.name for step in plan(installed)].count("wheel") == wheel_step


def test_a_complete_python_needs_no_wheel_however_old_its_setuptools():
    assert plan(packages({**{name: one for name, one in ALL_READY.items() if name != "wheel"}, "setuptools": "70.0.0"})) == []


@pytest.mark.parametrize(("name", "from_source"), [("sympy", False), ("torch", False), ("antlr4-python3-runtime", True), ("sam2", True)])
def test_a_repair_builds_only_what_is_published_as_source(name, from_source):
    installed = packages({**ALL_READY, name: "1.1.0"}, half_written=(name,))
    assert ("--only-binary" not in plan(installed, interrupted=[name])[0].pip_arguments) == from_source


def test_torch_comes_from_the_index_that_was_chosen_and_nothing_else_does():
    steps = plan(packages(SLICER), torch="torch==2.13.0", torch_index=CPU_TORCH_INDEX)
    assert [step.name for step in steps if CPU_TORCH_INDEX in step.pip_arguments] == ["torch"]
    assert steps[0].pip_arguments[-1] == "torch==2.13.0"


def test_an_offline_plan_reaches_for_no_network():
    for step in plan(packages({}), offline_folder="/media/usb", torch_index=CPU_TORCH_INDEX):
        assert step.pip_arguments[:3] == ("--no-index", "--find-links", "/media/usb")
        assert "--index-url" not in step.pip_arguments
        assert "PIP_CONFIG_FILE" in dict(step.variables)


def test_a_half_written_torch_is_written_over_and_then_completed():
    steps = plan(packages(ALL_READY, half_written=("torch",)))
    assert [step.name for step in steps] == ["repair-torch", "torch"]
    assert {"--ignore-installed", "--no-deps", "torch>=2.5.1"} <= set(steps[0].pip_arguments)


def test_a_half_written_package_that_the_set_up_brought_along_is_written_over():
    installed = packages({**ALL_READY, "sympy": "1.14.0"}, half_written=("sympy",))
    assert plan(installed) == []  # whose it is, is not known
    assert plan(installed, interrupted=["sympy"])[0].pip_arguments[-1] == "sympy==1.14.0"


@pytest.mark.parametrize(("name", "version"), [("torch", "2.2.2"), ("sam2", "2.0"), ("sam2", "0.4.1"), ("setuptools", "58.1.0")])
def test_a_version_that_does_not_serve_is_refused_and_not_replaced(name, version):
    with pytest.raises(MissingPackageError, match=f"{name} {re.escape(version)} .expected.*never replaces"):
        plan(packages({**{one: at for one, at in ALL_READY.items() if (one, name) != ("rf-sam-2", "sam2")}, name: version}))


@pytest.mark.parametrize("version", ["2.5.1", "2.10.0", "2.13.0+cu126", "3.0"])
def test_a_torch_that_serves_is_left_alone(version):
    states = {status.requirement.name: status.state for status in inspect(packages({**ALL_READY, "torch": version}))}
    assert states["torch"] is RequirementState.READY


def test_a_torch_too_new_to_be_installed_serves_where_it_is():
    capped = Requirement("torch", "torch", "", None, oldest="2.5.1", install_below="2.13")
    assert capped.specifier == "torch>=2.5.1,<2.13"
    assert requirements._fits(capped, "2.13.0")


def test_names_and_bounds_agree_with_pyproject():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    engine = re.search(r"^engine = \[(.*)\]$", text, re.MULTILINE)[1]
    other = "==" if sys.platform != "win32" else "!="
    here = [one.partition(";")[0] for one in re.findall(r'"([^"]+)"', engine) if f"sys_platform {other} 'win32'" not in one]
    extras = dict(re.match(r"([\w-]+)(.*)", one).groups() for one in here)
    ours = {one.name: one for one in REQUIREMENTS}
    assert extras.keys() | {"numpy", "setuptools"} == ours.keys()
    for name, bounds in extras.items():
        if bounds:
            assert ours[name].specifier == name + bounds


def test_where_a_server_runs_the_model_only_websockets_is_added():
    (step,) = plan(packages(SLICER), requirements=SERVER_REQUIREMENTS)
    assert step.pip_arguments[-1] == "websockets>=15" and "--only-binary" in step.pip_arguments
    assert plan(packages({**SLICER, "websockets": "15.0.1"}), requirements=SERVER_REQUIREMENTS) == []
    assert [one.requirement.name for one in missing(packages(ALL_READY), SERVER_REQUIREMENTS)] == ["websockets"]
    remote = re.search(r"^remote = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert remote == '"websockets>=15"', "the bound agrees with pyproject's"


# -- what is installed ----------------------------------------------------------------------------------------------------------


def test_packages_are_read_from_their_metadata(tmp_path):
    write_package(tmp_path, "Hydra_Core", "1.3.8")
    write_package(tmp_path, "old-style", "0.9", suffix="egg-info")
    assert installed_packages([str(tmp_path)]) == {
        "hydra-core": InstalledPackage("hydra-core", "1.3.8"),
        "old-style": InstalledPackage("old-style", "0.9"),
    }


def test_a_package_without_record_is_half_written(tmp_path):
    write_package(tmp_path, "torch", "2.13.0", record=False)
    (tmp_path / "sympy-1.14.0.dist-info").mkdir()
    found = installed_packages([str(tmp_path)])
    assert [(one.name, one.version, one.complete) for one in found.values()] == [("sympy", "1.14.0", False), ("torch", "2.13.0", False)]


def test_what_pip_could_not_delete_does_not_count(tmp_path):
    write_package(tmp_path, "~orch", "2.2.0")
    assert installed_packages([str(tmp_path)]) == {}


def test_the_first_folder_that_has_a_package_counts(tmp_path):
    write_package(tmp_path / "first", "numpy", "1.26.4")
    write_package(tmp_path / "second", "numpy", "2.4.0")
    found = installed_packages([str(tmp_path / "missing"), str(tmp_path / "first"), str(tmp_path / "second")])
    assert found["numpy"].version == "1.26.4"


def test_this_python_has_numpy():
    assert installed_packages()["numpy"].complete


def test_every_complete_package_is_pinned(tmp_path):
    installed = packages({"numpy": "1.26.4", "torch": "2.13.0+cpu", "mine": "unknown", "sympy": "1.14.0"}, half_written=("sympy",))
    lines = write_constraints(tmp_path / "pins.txt", installed).read_text(encoding="utf-8").splitlines()
    assert lines[1:] == ["numpy==1.26.4", "torch==2.13.0+cpu"]  # pip cannot read "unknown", and sympy is to be repaired


def test_a_replaced_or_lost_package_is_noticed():
    before = packages({"numpy": "1.26.4", "requests": "2.32.3", "scipy": "1.13.1", "sympy": "1"}, half_written=("sympy",))
    after = packages({"numpy": "2.4.0", "scipy": "1.13.1", "torch": "2.13.0", "sympy": "2"})
    assert replaced_packages(before, after) == {"numpy": ("1.26.4", "2.4.0"), "requests": ("2.32.3", None)}


# -- what pip says --------------------------------------------------------------------------------------------------------------

CONFLICT = """ERROR: Cannot install torch==2.13.0+cpu because these package versions have conflicting dependencies.
The conflict is caused by:
    torch 2.13.0+cpu depends on typing-extensions>=4.10.0
    The user requested (constraint) typing-extensions==4.5.0
ERROR: ResolutionImpossible: for help visit https://pip.pypa.io"""


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (CONFLICT, "typing-extensions==4.5.0.*never replaces.*Nothing was changed"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("SSLError: CERTIFICATE_VERIFY_FAILED", "PIP_CERT"),
        ("WARNING: NewConnectionError\nERROR: No matching distribution found for torch", "no network"),
        ("ERROR: No matching distribution found for torch>=2.5.1", "no torch for this system"),
        ("PermissionError: [WinError 5] Access is denied: 'c10.dll'", "Restart Slicer"),
        ("ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied", "may not be written"),
        (
            "OSError: [WinError 5] Access is denied: 'C:\\Program Files\\Slicer\\torch'\nConsider the `--user` option",
            "takes an administrator",
        ),
        ("OSError: [WinError 5] Access is denied: 'D:\\Slicer\\c10.dll'\nConsider the `--user` option", "Restart Slicer.*an administrator"),
        ("OSError: [WinError 225] the file contains a virus", "virus scanner"),
        ("ProxyError('Cannot connect to proxy.', OSError('407 Proxy Authentication Required'))", "proxy refused the connection \\(407\\)"),
        ("HTTPError: 403 Forbidden", "proxy refused"),
        ("HINT: this system does not have Windows Long Path support enabled", "path is longer than Windows allows"),
        ("error: Microsoft Visual C++ 14.0 or greater is required", "compiled"),
        ("something new", "see pip's message in the log"),
    ],
)
def test_a_failure_is_told_with_its_remedy(log, said):
    assert re.match(f"Could not install PyTorch: .*{said}", explain_pip_failure("PyTorch", log))


def test_a_file_that_the_offline_folder_lacks_is_named():
    text = explain_pip_failure("PyTorch", "ERROR: No matching distribution found for torch>=2.5.1", offline=True)
    assert "offline folder holds no torch" in text
    assert "sam2annotate offline-folder" in text


# -- going on after a restart ---------------------------------------------------------------------------------------------------


@pytest.fixture
def a_cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SAM2ANNOTATE_CACHE", str(folder))
    return folder


def test_a_set_up_that_was_begun_is_remembered(a_cache):
    marker = ResumeMarker("/slicer/python", ("numpy", "scipy"), "/media/usb", "PyTorch")
    marker.write()
    assert ResumeMarker.read("/slicer/python") == marker
    assert ResumeMarker.read("/another/python") is None
    ResumeMarker.clear()
    assert ResumeMarker.read("/slicer/python") is None


@pytest.mark.parametrize(
    "content", ["", "[]", '{"version": 2}', '{"version": 1, "python_folder": "/p"}', '{"version": 1, "python_folder": "/p", "x": 1}']
)
def test_a_note_that_cannot_be_read_is_none(a_cache, content):
    a_cache.mkdir()
    (a_cache / "set-up.json").write_text(content, encoding="utf-8")
    assert ResumeMarker.read("/p") is None


def test_a_restart_is_pending_until_the_program_was_started_anew(a_cache):
    ResumeMarker("/p", (), restart_needed=True).write()
    assert ResumeMarker.read("/p").restart_pending
    code = "from SAM2AnnotateLib.setup_plan import ResumeMarker; print(ResumeMarker.read('/p').restart_pending)"
    assert run_python(code).strip() == "False"


def test_only_half_written_packages_that_were_not_there_before_are_the_set_ups_own():
    marker = ResumeMarker("/p", ("scipy",))
    assert marker.interrupted_packages(packages({"scipy": "1", "sympy": "1", "torch": "2"}, half_written=("scipy", "sympy"))) == ["sympy"]


# -- the offline folder ---------------------------------------------------------------------------------------------------------

WEIGHTS = b"weights " * 1000


@pytest.fixture
def a_checkpoint(monkeypatch):
    """A known checkpoint, small enough for a test."""
    name = "sam2.1_hiera_tiny"
    small = replace(CHECKPOINTS[name], size_bytes=len(WEIGHTS), sha256=hashlib.sha256(WEIGHTS).hexdigest())
    monkeypatch.setattr(offline_folder, "CHECKPOINTS", {name: small})
    return small


@pytest.fixture
def an_offline_folder(tmp_path, a_checkpoint) -> Path:
    folder = tmp_path / "usb stick"
    folder.mkdir()
    (folder / "sam2-1.1.0-py3-none-any.whl").write_bytes(b"a wheel")
    (folder / "renamed.pt").write_bytes(WEIGHTS)
    (folder / ".hidden").write_bytes(b"")
    here = run_python("import platform, sys; print('%d.%d' % sys.version_info[:2], platform.system())").split()
    OfflineFolder.write_manifest(folder, *here)
    return folder


def test_a_whole_folder_is_accepted(an_offline_folder):
    seen = []
    folder = OfflineFolder.open(an_offline_folder)
    folder.verify(seen.append)
    assert [one.name for one in folder.files] == ["renamed.pt", "sam2-1.1.0-py3-none-any.whl"]
    assert seen[-1].done == seen[-1].total == len(WEIGHTS) + len(b"a wheel")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "renamed.pt").write_bytes(WEIGHTS[::-1]), "other content"),
        (lambda folder: (folder / "renamed.pt").write_bytes(WEIGHTS[:-1]), "7999 bytes instead of 8000"),
        (lambda folder: (folder / "sam2-1.1.0-py3-none-any.whl").rename(folder / "x.whl"), "does not name: x.whl"),
        (lambda folder: (folder / "renamed.pt").unlink(), "cannot be read"),
    ],
)
def test_a_damaged_folder_is_refused(an_offline_folder, damage, said):
    damage(an_offline_folder)
    with pytest.raises(InputError, match=said):
        OfflineFolder.open(an_offline_folder).verify()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"python": "3.8"}, "made for Python 3.8"),
        ({"system": "Plan9"}, "made for Plan9"),
        ({"version": 2}, "format 2"),
        ({"files": [{"name": "../x", "size_bytes": 1, "sha256": "0"}]}, "outside its folder"),
        ({"files": 3}, "damaged"),
    ],
)
def test_a_folder_for_another_computer_or_with_a_strange_list_is_refused(an_offline_folder, change, said):
    file = an_offline_folder / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **change}), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        OfflineFolder.open(an_offline_folder)


def test_a_folder_without_packages_or_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="no packages"):
        OfflineFolder.open(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        OfflineFolder.open(tmp_path / "missing")


def test_a_folder_put_together_by_hand_needs_no_list(tmp_path):
    (tmp_path / "sam2-1.1.0.tar.gz").write_bytes(b"")
    folder = OfflineFolder.open(tmp_path)
    folder.verify()
    assert folder.files is None


def test_weights_are_recognized_whatever_their_name_and_copied_into_the_cache(an_offline_folder, a_cache, a_checkpoint):
    (an_offline_folder / "other.pt").write_bytes(b"of another length")
    paths = OfflineFolder.open(an_offline_folder).import_weights()
    assert paths == [a_cache / a_checkpoint.file_name]
    assert paths[0].read_bytes() == WEIGHTS
    written = paths[0].stat().st_mtime_ns
    assert OfflineFolder.open(an_offline_folder).import_weights() == paths  # a second time there is nothing to do
    assert paths[0].stat().st_mtime_ns == written


def test_altered_weights_are_refused_and_leave_nothing_behind(an_offline_folder, a_cache):
    (an_offline_folder / "renamed.pt").write_bytes(WEIGHTS[::-1])
    with pytest.raises(CheckpointError, match="altered"):
        OfflineFolder.open(an_offline_folder).import_weights()
    assert names_in(a_cache) == []


def test_a_copy_that_was_stopped_leaves_nothing_behind(an_offline_folder, a_cache):
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        OfflineFolder.open(an_offline_folder).import_weights(cancel=cancel)
    assert names_in(a_cache) == []


def test_what_is_optional_is_installed_from_an_offline_folder_that_holds_it(tmp_path):
    assert "transformers" not in [step.name for step in plan(packages({}), offline_folder=tmp_path)]
    (tmp_path / "transformers-5.24.0-py3-none-any.whl").write_bytes(b"a wheel")
    steps = plan(packages(ALL_READY), offline_folder=tmp_path)
    assert [step.name for step in steps] == ["transformers"]
    assert steps[0].pip_arguments[:3] == ("--no-index", "--find-links", str(tmp_path))
    assert steps[0].pip_arguments[-1] == "transformers>=5.20,<6"
    assert "PIP_CONFIG_FILE" in dict(steps[0].variables)
    assert plan(packages({**ALL_READY, "transformers": "5.24.0"}), offline_folder=tmp_path) == []
    assert plan(packages(ALL_READY)) == []
