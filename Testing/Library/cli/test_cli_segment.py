"""``sam2annotate segment`` and the entry point: what works, and one clear line with exit code 2 for all that does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sam2")
sitk = pytest.importorskip("SimpleITK")

from SAM2AnnotateLib.cli.main import main  # noqa: E402
from SAM2AnnotateLib.geometry import Volume, VolumeGrid  # noqa: E402
from SAM2AnnotateLib.volume_io import read_volume, write_volume  # noqa: E402

_C, _S = np.cos(0.1), np.sin(0.1)
GRID = VolumeGrid((8, 48, 56), np.array([[-0.9, 0, 0, 40], [0, -1.2 * _C, 3 * _S, 10], [0, 1.2 * _S, 3 * _C, -5], [0, 0, 0, 1.0]]))


@pytest.fixture(scope="module")
def an_image(tmp_path_factory):
    """A file with an ellipsoid on slices 1..6, oblique and anisotropic."""
    rng = np.random.default_rng(0)
    voxels = rng.normal(60, 6, GRID.shape_kji)
    k, j, i = np.ogrid[:8, :48, :56]
    voxels[((k - 3.5) / 3.2) ** 2 + ((j - 22) / 12) ** 2 + ((i - 30) / 15) ** 2 < 1] += 100
    path = tmp_path_factory.mktemp("image") / "image.nii.gz"
    write_volume(Volume(GRID, voxels.astype(np.float32)), path)
    return path


def _command(image, tmp_path, **changes):
    options = {"slice": "3", "box": "14,9,46,35", "extent": "1,6", "device": "cpu"} | changes
    command = ["segment", str(image), "-o", str(tmp_path / "mask.nii.gz")]
    for name, value in options.items():
        if value is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    return command


def test_a_box_gives_a_mask_on_the_images_grid_a_report_and_a_preview(an_image, tmp_path, capsys):
    report_file, preview = tmp_path / "report.json", tmp_path / "preview.png"
    assert main(_command(an_image, tmp_path, report=report_file, preview=preview)) == 0
    mask = read_volume(tmp_path / "mask.nii.gz")
    mask.grid.require_same(GRID, "mask", "image")
    assert set(np.unique(mask.array_kji)) == {0, 1}
    assert np.flatnonzero(mask.array_kji.any(axis=(1, 2))).tolist()[0] >= 1 and not mask.array_kji[7].any()
    report = json.loads(report_file.read_text())
    assert report["prompts"] == [{"slice": 3, "axes": ["i", "j"], "box": [14, 9, 46, 35]}]
    assert report["extent"] == [1, 6] and [row["slice"] for row in report["slices"]] == [1, 2, 3, 4, 5, 6]
    assert report["mapping"]["name"] == "mr" and "taken for MR" in report["mapping"]["reason"]
    assert len(report["engine"]["weights_sha256"]) == 64 and report["engine"]["model"] == "bundled"
    assert all({"predicted_iou", "object_score", "seconds", "pixels"} <= row.keys() for row in report["slices"])
    assert preview.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "6 of 6 slices" in capsys.readouterr().out


def test_negative_window_bounds_points_and_any_axis_are_understood(an_image, tmp_path):
    command = _command(an_image, tmp_path, box=None, axis="sagittal", slice="30", extent="20,40", window="-20,250")
    assert main([*command, "--point", "22,3,+", "--point", "2,1,-"]) == 0
    mask = read_volume(tmp_path / "mask.nii.gz").array_kji
    assert not mask[:, :, :20].any() and not mask[:, :, 41:].any()


def test_a_mask_can_be_the_prompt(an_image, tmp_path):
    start = np.zeros(GRID.shape_kji, dtype=np.uint8)
    start[3, 12:32, 18:42] = 1
    write_volume(Volume(GRID, start), tmp_path / "start.nii.gz")
    assert main(_command(an_image, tmp_path, box=None, mask=tmp_path / "start.nii.gz")) == 0
    assert np.array_equal(read_volume(tmp_path / "mask.nii.gz").array_kji[3], start[3])


def _one_line_error(capsys) -> str:
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("sam2annotate: error: "), captured.err
    return lines[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box": "14,9,46"}, "--box takes two corners, I0,J0,I1,J1 (4 whole numbers"),
        ({"box": "14,9,46,3x"}, "--box takes two corners"),
        ({"box": "14,9,14,35"}, "The box is empty along i"),
        ({"box": "60,9,80,35"}, "The box lies outside the slice: i is 60..80, the volume has i 0..56"),
        ({"box": "46,9,14,35"}, "The corners of --box are swapped along i (46 comes before 14). Give the lower one first, as I0,J0,I1,J1."),
        ({"box": "14,35,46,9"}, "The corners of --box are swapped along j"),
        ({"box": "14,9,57,35"}, "--box reaches past the image along i: it takes 14..57, the image has i 0..56"),
        ({"box": "14,-1,46,35"}, "--box reaches past the image along j: it takes -1..35, the image has j 0..48"),
        ({"extent": "6,1"}, "--extent takes the first slice before the last one, got 6,1"),
        ({"box": None}, "Nothing marks the object"),
        ({"slice": "8"}, "Slice 8 does not exist: the volume has slices 0..7 along k"),
        ({"extent": "4,6"}, "The extent 4..6 does not hold the prompted slice 3"),
        ({"extent": "1,9"}, "Slice 9 does not exist"),
        ({"extent": "1"}, "--extent takes the first and the last slice"),
        ({"window": "lever"}, "Unknown window 'lever'"),
        ({"window": "50,50"}, "lower below upper"),
        ({"roi": "big"}, "Unknown region of interest 'big'"),
        ({"checkpoint": "sam3"}, "sam3"),
        ({"checkpoint": "sam2.1_hiera_large"}, "sam2annotate models download sam2.1_hiera_large"),
        ({"device": "toaster"}, "Unknown device 'toaster'"),
        ({"device": "xpu"}, "The device 'xpu' is not supported"),
        ({"image_size": "100"}, "multiple of 32"),
        ({"preview": "picture.jpg"}, "must end in .png"),
        ({"report": "no/such/folder/r.json"}, "no/such/folder"),
    ],
)
def test_bad_values_get_one_line_and_exit_code_2_and_write_nothing(an_image, tmp_path, capsys, monkeypatch, changes, message):
    monkeypatch.setenv("SAM2ANNOTATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert main(_command(an_image, tmp_path, **changes)) == 2
    assert message in _one_line_error(capsys)
    assert not (tmp_path / "mask.nii.gz").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box": "14,9,57,35"}, "reaches past the image"),
        ({"window": "lever"}, "Unknown window"),
        ({"roi": "big"}, "Unknown region"),
        ({"slice": "8"}, "Slice 8 does not exist"),
        ({"checkpoint": "sam3"}, "sam3"),
        ({"device": "toaster"}, "Unknown device"),
        ({"preview": "picture.jpg"}, "must end in .png"),
        ({}, "mask.nii.gz' exists already"),
    ],
)
def test_what_is_wrong_with_a_command_is_told_before_that_its_output_exists(an_image, tmp_path, capsys, changes, message):
    (tmp_path / "mask.nii.gz").write_bytes(b"kept")
    assert main(_command(an_image, tmp_path, **changes)) == 2
    assert message in _one_line_error(capsys)
    assert (tmp_path / "mask.nii.gz").read_bytes() == b"kept"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["segment", "i.nii.gz", "-o", "m.nii.gz", "--slice", "3"],
         "'sam2annotate segment' needs --extent A,B (first and last slice of the object, both included). See"),
        (["segment"], "'sam2annotate segment' needs IMAGE, --output MASK, --slice K, --extent A,B."),
        (["score", "one.nii.gz"], "'sam2annotate score' needs TRUTH (label map to judge it by, on the same grid)."),
        (["nnunet", "export"], "'sam2annotate nnunet export' needs DATASET (the folder DatasetNNN_Name, in nnU-Net's folder of raw data)."),
        (["study", "run"], "'sam2annotate study run' needs FOLDER (of the study)."),
        (["study", "run", "f", "--workers", "many"], "Argument --workers: invalid int value: 'many'."),
        (["segmnt"], "Argument COMMAND: invalid choice: 'segmnt'"),
        (["models", "--loud"], "Unrecognized arguments: --loud."),
        ([], "'sam2annotate' needs COMMAND."),
    ],
)  # fmt: skip
def test_a_command_line_that_is_not_understood_gets_one_line_and_exit_code_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert message in _one_line_error(capsys)


def _write_array(array, path, pixel_vector=False):
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=pixel_vector), str(path))
    return path


def _bad_image(kind, tmp_path):
    cube = np.zeros((8, 48, 56), dtype=np.float32)
    if kind == "missing":
        return tmp_path / "nowhere.nii.gz"
    if kind == "corrupt":
        path = tmp_path / "corrupt.nii.gz"
        path.write_bytes(b"this is no image")
        return path
    if kind == "truncated":
        rng = np.random.default_rng(0)
        path = _write_array(rng.normal(size=cube.shape), tmp_path / "whole.nrrd")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path
    if kind == "2-D":
        return _write_array(cube[0], tmp_path / "flat.nii.gz")
    if kind == "4-D":
        return _write_array(np.stack([cube, cube]), tmp_path / "film.nii.gz")
    if kind == "color":
        return _write_array(np.zeros((8, 48, 56, 3), dtype=np.uint8), tmp_path / "color.nrrd", pixel_vector=True)
    cube[2, 3, 4] = np.nan if kind == "NaN" else np.inf
    return _write_array(cube, tmp_path / "holes.nii.gz")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "There is no file or folder"),
        ("corrupt", "could not be read"),
        ("truncated", "is incomplete"),
        ("2-D", "has 2 dimensions"),
        ("4-D", "has 4 dimensions"),
        ("color", "3 values per voxel"),
        ("NaN", "1 NaN or infinite voxels"),
        ("inf", "1 NaN or infinite voxels"),
    ],
)
def test_images_that_cannot_be_used_get_one_line_and_exit_code_2(tmp_path, capsys, kind, message):
    assert main(_command(_bad_image(kind, tmp_path), tmp_path)) == 2
    assert message in _one_line_error(capsys)
    assert not (tmp_path / "mask.nii.gz").exists()


def test_a_mask_on_another_grid_is_refused(an_image, tmp_path, capsys):
    moved = np.array(GRID.ijk_to_ras)
    moved[0, 3] += 2
    write_volume(Volume(VolumeGrid(GRID.shape_kji, moved), np.ones(GRID.shape_kji, dtype=np.uint8)), tmp_path / "moved.nii.gz")
    assert main(_command(an_image, tmp_path, mask=tmp_path / "moved.nii.gz")) == 2
    assert "differ in space" in _one_line_error(capsys)


def test_weights_that_were_tampered_with_or_cut_off_are_refused(an_image, tmp_path, capsys):
    from SAM2AnnotateLib.engine.models.checkpoints import find_checkpoint, require_local_file

    content = require_local_file(find_checkpoint("bundled")).read_bytes()
    for name, damaged in {
        "cut.safetensors": content[: len(content) // 2],
        "text.pt": b"not weights",
        "header.safetensors": b"\xff" * 64 + content[64:],
    }.items():
        (tmp_path / name).write_bytes(damaged)
        assert main(_command(an_image, tmp_path, checkpoint=tmp_path / name)) == 2
        line = _one_line_error(capsys)
        assert name in line and "Traceback" not in line


def test_weights_of_another_model_are_refused_with_what_is_missing(an_image, tmp_path, capsys):
    import torch
    from safetensors.torch import save_file

    save_file({"image_encoder.something": torch.zeros(3)}, tmp_path / "other.safetensors", metadata={"architecture": "compact"})
    assert main(_command(an_image, tmp_path, checkpoint=tmp_path / "other.safetensors")) == 2
    assert "do not fit the architecture compact" in _one_line_error(capsys)


def test_an_existing_mask_is_not_replaced_unless_asked(an_image, tmp_path, capsys):
    (tmp_path / "mask.nii.gz").write_text("precious")
    assert main(_command(an_image, tmp_path)) == 2
    assert "exists already" in _one_line_error(capsys)
    assert (tmp_path / "mask.nii.gz").read_text() == "precious"
    assert main([*_command(an_image, tmp_path), "--overwrite"]) == 0
    assert read_volume(tmp_path / "mask.nii.gz").array_kji.any()


def test_no_result_ever_replaces_what_was_read_or_another_result(an_image, tmp_path, capsys):
    before = an_image.read_bytes()
    command = ["segment", str(an_image), "-o", str(an_image), "--slice", "3", "--box", "14,9,46,35", "--extent", "1,6", "--overwrite"]
    assert main(command) == 2
    assert "would replace" in _one_line_error(capsys)
    assert an_image.read_bytes() == before
    assert main(_command(an_image, tmp_path, report=tmp_path / "mask.nii.gz")) == 2
    assert "would replace" in _one_line_error(capsys)


def test_a_stopped_run_writes_the_slices_that_were_finished(an_image, tmp_path, capsys, monkeypatch):
    from SAM2AnnotateLib.engine.sam2_engine import Sam2Track

    real, calls = Sam2Track.step, []

    def interrupted(self, position, embedding):
        calls.append(position)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, position, embedding)

    monkeypatch.setattr(Sam2Track, "step", interrupted)
    assert main(_command(an_image, tmp_path)) == 130
    captured = capsys.readouterr()
    assert "on 3 of 6 slices" in captured.out and "stopped" in captured.err
    assert read_volume(tmp_path / "mask.nii.gz").array_kji.any(axis=(1, 2)).sum() <= 3


def test_a_name_that_is_too_long_or_cannot_be_shown_is_no_traceback(an_image, tmp_path, capsys):
    assert main(_command(an_image, tmp_path / ("x" * 300))) == 2
    _one_line_error(capsys)
    assert (
        main(["segment", "y" * 300 + ".nii.gz", "-o", str(tmp_path / "m.nii.gz"), "--slice", "1", "--box", "1,1,2,2", "--extent", "1,1"])
        == 2
    )
    _one_line_error(capsys)
    command = [sys.executable, "-m", "SAM2AnnotateLib", *_command(an_image, tmp_path)]
    command[command.index("-o") + 1] = str(tmp_path / "Ünï.nii.gz")
    finished = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert finished.returncode == 0, finished.stderr


def test_an_object_that_is_not_found_is_told(an_image, tmp_path, capsys, monkeypatch):
    from SAM2AnnotateLib.engine.sam2_engine import Sam2Track

    real = Sam2Track._prediction
    monkeypatch.setattr(Sam2Track, "_prediction", lambda self, outputs: replace(real(self, outputs), logits=np.full(self._shape_rc, -9.0)))
    assert main(_command(an_image, tmp_path)) == 0
    assert "warning: the model found nothing on slice 3" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
def test_a_full_disk_leaves_no_half_written_file_and_the_old_mask_untouched(an_image, tmp_path):
    (tmp_path / "mask.nii.gz").write_text("precious")
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "from SAM2AnnotateLib.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", limited, *_command(an_image, tmp_path), "--overwrite"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 2, finished.stderr
    assert finished.stderr.strip().splitlines()[-1].startswith("sam2annotate: error: Cannot write")
    assert [path.name for path in tmp_path.iterdir()] == ["mask.nii.gz"]
    assert (tmp_path / "mask.nii.gz").read_text() == "precious"


def test_an_output_folder_that_cannot_be_written_is_told_before_the_work(an_image, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert (
        main(
            ["segment", str(an_image), "-o", str(tmp_path / "file" / "mask.nii.gz"), "--slice", "3", "--box", "1,1,9,9", "--extent", "2,4"]
        )
        == 2
    )
    assert "does not exist" in _one_line_error(capsys)


def test_help_shows_examples_and_every_command_is_listed(capsys):
    for command in ("segment", "score", "models", "benchmark"):
        with pytest.raises(SystemExit) as stopped:
            main([command, "--help"])
        assert stopped.value.code == 0
    assert "examples:" in capsys.readouterr().out


def test_models_lists_what_is_known_and_what_is_here(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("SAM2ANNOTATE_CACHE", str(tmp_path))
    assert main(["models"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert " yes " in rows["bundled"] and " no " in rows["sam2.1_hiera_tiny"]
    assert {"sam2_hiera_large", "sam2.1_hiera_base_plus", "medsam2"} <= rows.keys()


def test_a_license_that_is_not_permissive_is_shown_and_agreed_to_before_a_download(capsys, monkeypatch, tmp_path):
    from dataclasses import replace

    from SAM2AnnotateLib.engine.models import checkpoints

    monkeypatch.setenv("SAM2ANNOTATE_CACHE", str(tmp_path))
    gone = replace(checkpoints.CHECKPOINTS["medsam2"], url="http://127.0.0.1:9/MedSAM2_latest.pt")
    monkeypatch.setitem(checkpoints.CHECKPOINTS, "medsam2", gone)
    for json_lines in ([], ["--json-lines"]):
        assert main(["models", "download", "medsam2", *json_lines]) == 2
        said = capsys.readouterr().err
        assert "research and education only" in said and "--agree" in said and "127.0.0.1" not in said  # nothing was asked of the network
    assert main(["models", "download", "medsam2", "--agree"]) == 2
    said = capsys.readouterr().err
    assert "127.0.0.1" in said and said.startswith("medsam2: license CC-BY-SA-4.0")


def test_downloading_without_internet_says_how_to_install_by_hand(capsys, monkeypatch, tmp_path):
    from dataclasses import replace

    from SAM2AnnotateLib.engine.models import checkpoints

    monkeypatch.setenv("SAM2ANNOTATE_CACHE", str(tmp_path))
    gone = replace(checkpoints.CHECKPOINTS["sam2.1_hiera_tiny"], url="http://127.0.0.1:9/sam2.1_hiera_tiny.pt")
    monkeypatch.setitem(checkpoints.CHECKPOINTS, "sam2.1_hiera_tiny", gone)
    assert main(["models", "download", "sam2.1_hiera_tiny", "--json-lines"]) == 2
    line = _one_line_error(capsys)
    assert str(tmp_path) in line and "127.0.0.1" in line
