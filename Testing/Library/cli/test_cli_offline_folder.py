"""``sam2annotate offline-folder`` and ``models import`` with a stand-in for pip. test_setup_with_pip.py uses such folders with real pip."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from patients import names_in

from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.engine.models.checkpoints import CHECKPOINTS
from SAM2AnnotateLib.errors import DownloadError, InputError
from SAM2AnnotateLib.setup_plan import OfflineFolder, collect, offline_folder
from SAM2AnnotateLib.setup_plan.collect import collect_offline_folder

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
OWN_TAG = {"Linux": "manylinux_2_28_x86_64", "Windows": "win_amd64", "Darwin": "macosx_11_0_arm64"}[platform.system()]
FOREIGN_TAG = "win_amd64" if platform.system() == "Linux" else "manylinux_2_28_x86_64"
WEIGHTS = b"weights " * 1000


class FakePip:
    """Notes its calls and leaves a file for each. `fail_at` names a word of the call that is to fail."""

    def __init__(self, fail_at: str = "", built: str = "iopath-0.1.10-py3-none-any.whl"):
        self.fail_at, self.built = fail_at, built
        self.calls: list[list[str]] = []
        self.variables: list[dict[str, str]] = []

    def __call__(self, arguments, variables):
        self.calls.append(list(arguments))
        self.variables.append(dict(variables))
        if self.fail_at and self.fail_at in arguments:
            return 1, "WARNING: something\nERROR: No matching distribution found for torch\n"
        option = "--wheel-dir" if arguments[0] == "wheel" else "--dest"
        folder = Path(arguments[arguments.index(option) + 1])
        name = self.built if arguments[0] == "wheel" else f"call{len(self.calls)}-1-py3-none-any.whl"
        (folder / name).write_bytes(b"a wheel")
        return 0, ""


@pytest.fixture
def a_pip(monkeypatch) -> FakePip:
    pip = FakePip()
    monkeypatch.setattr(collect, "run_pip", pip)
    return pip


@pytest.fixture
def a_checkpoint(monkeypatch):
    """A known checkpoint, small enough for a test."""
    name = "sam2.1_hiera_tiny"
    known = replace(CHECKPOINTS[name], size_bytes=len(WEIGHTS), sha256=hashlib.sha256(WEIGHTS).hexdigest())
    monkeypatch.setitem(CHECKPOINTS, name, known)
    monkeypatch.setattr(offline_folder, "CHECKPOINTS", {name: known})
    return known


def test_sources_are_built_then_torch_and_the_rest_are_downloaded(a_pip, tmp_path, capsys):
    folder = tmp_path / "new" / "offline"
    assert main(["offline-folder", str(folder), "--torch", "torch==2.13.0", "--torch-index", "https://index"]) == 0
    build, torch, sam2, rest = a_pip.calls
    assert build[:3] == ["wheel", "--no-deps", "--no-build-isolation"]
    assert {"iopath", "antlr4-python3-runtime==4.9.*"} <= set(build)
    assert sam2[-2:] == ["--no-deps", "rf-sam-2>=1.0.3,<2"]
    assert torch[-3:] == ["--index-url", "https://index", "torch==2.13.0"]
    assert {"hydra-core", "iopath", "safetensors", "Pillow", "tqdm", "setuptools>=61", "wheel"} <= set(rest)
    assert not {"numpy", "rf-sam-2>=1.0.3,<2"} & set(rest)
    for call in (torch, sam2, rest):
        assert call[call.index("--only-binary") + 1] == ":all:"
        assert "--python-version" not in call
    assert capsys.readouterr().out == f"{folder}: 4 files, 0 MB, for Python {HERE} on {platform.system()}\n"
    OfflineFolder.open(folder).verify()


def test_another_python_and_platform_are_handed_to_pip(a_pip, tmp_path):
    options = ["--python-version", "3.99", "--platform", OWN_TAG, "--without-torch"]
    assert main(["offline-folder", str(tmp_path / "offline"), *options]) == 0
    _, sam2, rest = a_pip.calls
    assert sam2[sam2.index("--platform") + 1] == OWN_TAG
    assert rest[rest.index("--python-version") + 1] == "3.99"
    assert rest[rest.index("--platform") + 1] == OWN_TAG
    with pytest.raises(InputError, match="made for Python 3.99"):
        OfflineFolder.open(tmp_path / "offline")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--platform", FOREIGN_TAG], "not of this system"),
        (["--python-version", "312"], "such as 3.12; got '312'"),
        (["--model", "no-such-model"], "Unknown model 'no-such-model'"),
    ],
)
def test_what_cannot_be_collected_is_refused_before_pip_runs(a_pip, tmp_path, capsys, options, said):
    assert main(["offline-folder", str(tmp_path / "offline"), *options]) == 2
    assert said in capsys.readouterr().err
    assert a_pip.calls == []


def test_a_folder_with_other_things_is_left_alone(a_pip, tmp_path, capsys):
    (tmp_path / "thesis.docx").write_bytes(b"dear")
    assert main(["offline-folder", str(tmp_path)]) == 2
    assert "holds something else (thesis.docx)" in capsys.readouterr().err
    assert names_in(tmp_path) == ["thesis.docx"]


def test_a_collection_that_failed_is_taken_up_again(tmp_path):
    folder = tmp_path / "offline"
    with pytest.raises(DownloadError, match="could not get PyTorch: ERROR: No matching.*Start the command again"):
        collect_offline_folder(folder, run=FakePip(fail_at="torch>=2.5.1"))
    assert not (folder / "manifest.json").exists()  # half a folder does not pass for a whole one
    collect_offline_folder(folder, run=FakePip())
    OfflineFolder.open(folder).verify()


def test_a_wheel_that_fits_this_computer_alone_is_refused(tmp_path):
    with pytest.raises(DownloadError, match="built for this computer alone"):
        collect_offline_folder(tmp_path / "offline", run=FakePip(built="iopath-0.1.10-cp311-cp311-linux_x86_64.whl"))


def test_models_come_along_and_are_imported_from_the_folder(a_pip, a_checkpoint, tmp_path, monkeypatch, capsys):
    def download(checkpoint, folder, *_):
        (folder / checkpoint.file_name).write_bytes(WEIGHTS)

    monkeypatch.setattr(collect, "download_checkpoint", download)
    monkeypatch.setenv("SAM2ANNOTATE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "offline"
    assert main(["offline-folder", str(folder), "--model", a_checkpoint.name]) == 0
    assert a_checkpoint.file_name in [one.name for one in OfflineFolder.open(folder).files]
    capsys.readouterr()
    assert main(["models", "import", str(folder)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'cache' / a_checkpoint.file_name}\n"
    assert (tmp_path / "cache" / a_checkpoint.file_name).read_bytes() == WEIGHTS


def test_a_folder_is_checked_on_request(a_pip, tmp_path, capsys):
    folder = tmp_path / "offline"
    assert main(["offline-folder", str(folder)]) == 0
    assert main(["offline-folder", str(folder), "--check"]) == 0
    (folder / "iopath-0.1.10-py3-none-any.whl").write_bytes(b"a-wheel")
    capsys.readouterr()
    assert main(["offline-folder", str(folder), "--check"]) == 2
    assert "iopath-0.1.10-py3-none-any.whl' has other content than when the folder was made" in capsys.readouterr().err


def test_a_program_hears_progress_and_result_as_json(a_pip, tmp_path, capsys):
    folder = tmp_path / "offline"
    assert main(["offline-folder", str(folder)]) == 0
    capsys.readouterr()
    assert main(["offline-folder", str(folder), "--check", "--json-lines"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["type"] for one in said] == ["progress"] * 4 + ["offline-folder"]
    assert (said[3]["done"], said[3]["total"]) == (28, 28)
    assert (said[-1]["files"], said[-1]["listed"]) == (4, True)


@pytest.mark.parametrize(
    ("options", "there"),
    [((), False), (("--model", "medsam2"), False), (("--model", "edgetam"), True), (("--package", "transformers"), True)],
)
def test_the_package_transformers_comes_along_where_a_model_takes_it(a_pip, tmp_path, monkeypatch, options, there):
    monkeypatch.setattr(collect, "download_checkpoint", lambda *_: None)
    assert main(["offline-folder", str(tmp_path / "offline"), *options]) == 0
    assert ("transformers>=5.20,<6" in a_pip.calls[-1]) is there
