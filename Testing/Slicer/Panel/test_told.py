"""What the panel says of an error: what is to be done here, never a command for a terminal; and it keeps saying so."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from panel_bench import makeBench, settle
from worlds import waitFor

import SAM2AnnotateLib
from SAM2AnnotateLib.engine.models.checkpoints import CHECKPOINTS, require_local_file
from SAM2AnnotateLib.errors import CheckpointError, EngineError, MissingPackageError, VolumeError
from SAM2AnnotateLib.optional_imports import import_for
from SAM2AnnotateSlicer.Model.CommandProcess import CommandProcess
from SAM2AnnotateSlicer.Model.WorkerProcess import WorkerProcess
from SAM2AnnotateSlicer.Nnunet.NnunetText import verifiedText
from SAM2AnnotateSlicer.Told import told

_COMMANDS = r"pip install|sam2annotate (models|segment|nnunet (export|verify|train))|SAM2_BUILD_CUDA"
TERMINAL = re.compile(_COMMANDS + r"|[ (]--(series|volume|device|image|cache)")
TORCH = MissingPackageError("Running SAM 2 needs the package 'torch' (No module named 'torch').", "Install it with: pip install torch")


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


def raised(kind, call, *arguments):
    with pytest.raises(kind) as caught:
        call(*arguments)
    return caught.value


def test_a_missing_package_sends_to_the_set_up():
    error = raised(MissingPackageError, import_for, "Running SAM 2", "no_such_package", "pip install no_such_package")
    assert "pip install" in str(error) and "no_such_package" in told(error)
    assert not TERMINAL.search(told(error)) and "Set-up" in told(error)


def test_a_model_that_is_not_here_sends_to_the_set_up(tmp_path, monkeypatch):
    monkeypatch.setenv("SAM2ANNOTATE_CACHE", str(tmp_path))
    error = raised(CheckpointError, require_local_file, CHECKPOINTS["sam2.1_hiera_tiny"])
    assert TERMINAL.search(str(error)) and not TERMINAL.search(told(error)) and "Set-up" in told(error)


def test_an_error_that_says_the_same_everywhere_is_told_as_it_is():
    assert told(VolumeError("The volume has NaN voxels. Replace them.")) == "The volume has NaN voxels. Replace them."
    assert told(EngineError("Out of memory.", "Use --device cpu.")).endswith("choose a smaller model.")


def test_no_error_of_the_library_has_a_command_in_its_problem():
    """Studies, benchmarks, simulations and training are never run from the panel."""
    folder = Path(SAM2AnnotateLib.__file__).parent
    elsewhere = {"study", "benchmark", "cli", "training", "simulation"}
    found = []
    for path in folder.rglob("*.py"):
        if path.relative_to(folder).parts[0] in elsewhere:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error") and node.args:
                problem = "".join(
                    part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant) and type(part.value) is str
                )
                if TERMINAL.search(problem):
                    found.append(f"{path.name}: {problem}")
    assert found == [], "\n".join(found)


def test_a_preview_that_fails_says_so_until_it_is_tried_again(bench):
    bench.service.fault = TORCH
    bench.mark()
    assert "Set-up" in bench.message and "pip" not in bench.message
    bench.panel.messages.forget()  # as the next click does
    bench.panel.refresh()
    assert "Set-up" in bench.message and "comes in a moment" not in bench.message
    bench.panel.setUp._changed()  # packages were installed
    settle()
    assert bench.logic.failure is None and bench.annotated.session.results
    bench.panel.messages.forget()
    bench.panel.refresh()
    assert "Propagate" in bench.message


def test_a_propagation_that_fails_for_a_missing_package_sends_to_the_set_up(bench):
    bench.mark()
    bench.service.fault = TORCH
    bench.click("propagate")
    assert "Set-up" in bench.message and not TERMINAL.search(bench.message)


def test_the_failure_of_one_object_is_not_told_of_the_next(bench):
    bench.service.fault = TORCH
    bench.mark()
    bench.click("nextObject")
    assert bench.logic.failure is None and "Set-up" not in bench.message


def test_a_command_that_fails_tells_problem_and_remedy_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("SAM2ANNOTATE_CACHE", str(tmp_path))
    ended = []
    process = CommandProcess(lambda _report: None, ended.append)
    process.start(["self-check", "--checkpoint", str(tmp_path / "none.pt")])
    waitFor(lambda: ended, 60)
    process.start(["nnunet", "verify", str(tmp_path)])
    waitFor(lambda: len(ended) > 1, 60)
    assert type(ended[1]).__name__ != "SAM2AnnotateError" and ended[1].problem and ended[1].remedy == ""


def test_a_check_without_nnunet_says_where_to_name_a_python_that_has_it():
    answer = {"training": 1, "test": 0, "nnunet": False, "missing": "nnU-Net is not installed.", "problems": []}
    assert "'Python with nnU-Net'" in verifiedText(answer)


def test_a_process_of_the_model_that_dies_at_its_start_sends_to_the_check(tmp_path):
    ended = []
    process = WorkerProcess(lambda _message: None, ended.append, tmp_path / "log", [sys.executable, "-c", "import no_such_package"])
    process.start()
    waitFor(lambda: ended, 20)
    assert "'Check now'" in told(ended[0]) and "slices are kept" not in told(ended[0])
    process.close()
