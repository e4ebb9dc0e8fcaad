"""``sam2annotate prototype`` and ``propose``: a library from annotated cases, an object found without a prompt, one line for faults."""

from __future__ import annotations

import json

import numpy as np
import pytest
from prototype_balls import WINDOW, a_ball

pytest.importorskip("SimpleITK")

from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.cli.prototypes import propose, prototype
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import EngineError
from SAM2AnnotateLib.geometry import Volume
from SAM2AnnotateLib.prototypes import PrototypeLibrary
from SAM2AnnotateLib.volume_io import read_volume, write_volume


@pytest.fixture(autouse=True)
def _a_scripted_model(monkeypatch):
    for command in (propose, prototype):
        monkeypatch.setattr(command, "engine_from", lambda _options: ScriptedEngine())


@pytest.fixture
def cases(tmp_path):
    """Files of two annotated cases, a third to find the object on, and one without it."""
    for name, center, seed in (("one", (8, 40, 30), 0), ("two", (9, 45, 35), 1), ("three", (11, 60, 50), 5)):
        volume, mask = a_ball(center, seed=seed)
        write_volume(Volume(volume.grid, volume.array_kji.astype(np.float32)), tmp_path / f"{name}.nii.gz")
        write_volume(Volume(volume.grid, (mask * 3).astype(np.uint8)), tmp_path / f"{name}_labels.nii.gz")
        write_volume(Volume(volume.grid, np.where(mask, 20, volume.array_kji).astype(np.float32)), tmp_path / f"{name}_without.nii.gz")
    return tmp_path


def _add(cases, name, *more):
    command = ["prototype", "add", "ball", "--image", str(cases / f"{name}.nii.gz"), "--mask", str(cases / f"{name}_labels.nii.gz")]
    return main([*command, "--window", WINDOW, "--library", str(cases / "library"), *more])


def _propose(cases, name, *more, prototype="ball"):
    command = ["propose", str(cases / f"{name}.nii.gz"), "--prototype", prototype, "--library", str(cases / "library")]
    return main([*command, "-o", str(cases / "mask.nii.gz"), "--report", str(cases / "report.json"), *more])


def _one_line_error(capsys):
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("sam2annotate: error: "), captured.err
    return lines[0]


def test_an_object_of_two_cases_is_found_on_a_third(cases, capsys):
    assert _add(cases, "one") == 0 and _add(cases, "two", "--label", "3") == 0
    out = capsys.readouterr().out
    assert "as case 2 in" in out and "pictures of a patient" in out
    assert _propose(cases, "three") == 0
    mask, truth = read_volume(cases / "mask.nii.gz"), read_volume(cases / "three_labels.nii.gz")
    mask.grid.require_same(truth.grid, "mask", "truth")
    assert np.array_equal(mask.array_kji > 0, truth.array_kji > 0)
    report = json.loads((cases / "report.json").read_text())
    assert report["found"] and report["extent"] == [7, 15] and report["prototypes"] == 2 and report["engine"]["model"] == "scripted"
    assert [row["slice"] for row in report["slices"]] == list(range(7, 16)) and all(0 <= row["doubt"] <= 1 for row in report["slices"])
    assert "Proposed 'ball' on slices 7..15 of axis k" in capsys.readouterr().out


def test_what_is_not_there_is_not_found_with_exit_code_0_and_an_empty_mask(cases, capsys):
    _add(cases, "one")
    assert _propose(cases, "three_without") == 0
    assert "'ball' was not found" in capsys.readouterr().out
    assert not read_volume(cases / "mask.nii.gz").array_kji.any()
    report = json.loads((cases / "report.json").read_text())
    assert not report["found"] and report["reason"].startswith("not found: ") and report["slices"] == []


def test_what_is_learned_on_the_cases_is_kept_and_used(cases, capsys):
    assert _add(cases, "one", "--adapt", "--steps", "60") == 0 and _add(cases, "two", "--adapt", "--steps", "60") == 0
    assert "Learned 'ball' from 2 cases in" in capsys.readouterr().out
    assert (cases / "library" / "ball" / "adapter.safetensors").is_file()
    assert _propose(cases, "three") == 0
    report = json.loads((cases / "report.json").read_text())
    assert report["found"] and len(report["adapter_sha256"]) == 64
    assert _propose(cases, "three", "--without-learned", "--overwrite") == 0
    assert json.loads((cases / "report.json").read_text())["adapter_sha256"] is None


def test_the_library_is_listed_shown_and_emptied(cases, capsys):
    library = ["--library", str(cases / "library")]
    assert main(["prototype", "list", *library]) == 0 and "It is empty" in capsys.readouterr().out
    _add(cases, "one")
    _add(cases, "two")
    capsys.readouterr()
    assert main(["prototype", "list", *library]) == 0 and "ball  2 cases, not learned" in capsys.readouterr().out
    assert main(["prototype", "show", "ball", *library]) == 0
    out = capsys.readouterr().out
    assert "case 2  MR, axial, " in out and "object 19 mm wide and 27 mm across the slices" in out and "learned  nothing yet" in out
    assert main(["prototype", "remove", "ball", "--case", "1", *library]) == 0
    assert main(["prototype", "remove", "ball", *library]) == 0
    assert main(["prototype", "remove", "ball", *library]) == 2


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--label", "4"], "has no voxel of label 4; its labels are: 3."),
        (["--label", "0"], "Label 0 is the background"),
        (["--window", "lever"], "Unknown window 'lever'"),
        (["--steps", "0"], "Learning takes 1 to 100000 steps"),
        (["--mask", "three.nii.gz"], "three.nii.gz"),
    ],
)
def test_a_case_that_cannot_be_kept_gets_one_line_and_nothing_is_kept(cases, capsys, monkeypatch, more, message):
    monkeypatch.chdir(cases)
    assert _add(cases, "one", *more) == 2
    assert message in _one_line_error(capsys)
    assert not (cases / "library" / "ball").exists()


def test_a_name_that_leads_elsewhere_is_refused(cases, capsys):
    command = ["prototype", "add", "../ball", "--image", str(cases / "one.nii.gz"), "--mask", str(cases / "one_labels.nii.gz")]
    assert main([*command, "--library", str(cases / "library")]) == 2 and "cannot name a file" in _one_line_error(capsys)


def test_a_proposal_that_cannot_be_made_gets_one_line_and_writes_nothing(cases, capsys):
    assert _propose(cases, "three") == 2 and "There is no prototype 'ball'" in _one_line_error(capsys)
    _add(cases, "one")
    capsys.readouterr()
    assert _propose(cases, "three", prototype="liver") == 2
    assert "There is no prototype 'liver' in" in _one_line_error(capsys)
    card = cases / "library" / "ball" / "case_1" / "card.json"
    card.write_text(card.read_text().replace('"axial"', '"coronal"'))
    assert _propose(cases, "three") == 2 and "was changed after it was written" in _one_line_error(capsys)
    assert not (cases / "mask.nii.gz").exists() and not (cases / "report.json").exists()
    (cases / "mask.nii.gz").write_bytes(b"kept")
    main(["prototype", "remove", "ball", "--library", str(cases / "library")])
    _add(cases, "one")
    capsys.readouterr()
    assert _propose(cases, "three") == 2 and "exists already" in _one_line_error(capsys)
    assert (cases / "mask.nii.gz").read_bytes() == b"kept"


def test_learning_that_is_stopped_leaves_the_cases_and_what_was_learned_before(cases, capsys, monkeypatch):
    _add(cases, "one", "--adapt", "--steps", "60")
    before = (cases / "library" / "ball" / "adapter.safetensors").read_bytes()

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ScriptedEngine, "start_learning", stopped)
    assert _add(cases, "two", "--adapt") == 130
    assert capsys.readouterr().err.strip().endswith("sam2annotate: stopped.")
    library = PrototypeLibrary(cases / "library")
    assert len(library.prototypes("ball")) == 2 and (library.folder / "ball" / "adapter.safetensors").read_bytes() == before


def test_a_model_that_fails_while_proposing_gets_one_line_and_leaves_nothing(cases, capsys, monkeypatch):
    _add(cases, "one")
    capsys.readouterr()

    def fails(_position):
        raise EngineError("Out of memory on cpu.", "Close other programs.")

    monkeypatch.setattr(propose, "engine_from", lambda _options: ScriptedEngine(fail_at=fails))
    assert _propose(cases, "three") == 2 and "Out of memory on cpu. Close other programs." in _one_line_error(capsys)
    assert not (cases / "mask.nii.gz").exists() and len(PrototypeLibrary(cases / "library").prototypes("ball")) == 1


@pytest.mark.parametrize("content", [b"", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", b"\xff" * 64])
def test_a_damaged_adapter_in_the_library_gets_one_line(cases, capsys, content):
    _add(cases, "one")
    capsys.readouterr()
    (cases / "library" / "ball" / "adapter.safetensors").write_bytes(content)
    assert _propose(cases, "three") == 2 and "adapter.safetensors" in _one_line_error(capsys)


def test_a_damaged_case_is_not_counted_as_whole(cases, capsys):
    library = ["--library", str(cases / "library")]
    _add(cases, "one")
    capsys.readouterr()
    assert main(["prototype", "list", *library]) == 0 and "ball  1 case, not learned" in capsys.readouterr().out
    _add(cases, "two")
    next((cases / "library" / "ball" / "case_2").glob("mask_*.png")).write_bytes(b"no picture")
    capsys.readouterr()
    assert main(["prototype", "list", *library]) == 0
    out = capsys.readouterr().out
    assert "ball  1 case and 1 damaged (case 2), not learned" in out and "prototype remove NAME --case N" in out


def test_what_was_learned_from_one_case_is_told_in_the_singular(cases, capsys):
    assert _add(cases, "one", "--adapt", "--steps", "2") == 0
    assert "Learned 'ball' from 1 case in" in capsys.readouterr().out
    assert main(["prototype", "show", "ball", "--library", str(cases / "library")]) == 0
    assert "of 1 case, on" in capsys.readouterr().out
