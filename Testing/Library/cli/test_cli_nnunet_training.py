"""`sam2annotate nnunet train` and `predict`, called in process, with a stand-in for nnU-Net."""

from __future__ import annotations

import argparse
import json

import nnunet_stand_in
import numpy as np
import pytest

from SAM2AnnotateLib.cli.nnunet.training import add_parsers, parse_folds, parse_window
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.volume_io import read_volume, write_volume

GRID = VolumeGrid((4, 5, 6), np.diag([1.0, 2.0, 3.0, 1.0]))


def run(*arguments):
    parser = argparse.ArgumentParser()
    add_parsers(parser.add_subparsers())
    options = parser.parse_args([str(argument) for argument in arguments])
    return options.run(options)


@pytest.fixture
def data_set(tmp_path, monkeypatch):
    """One training and one test case, bright in one half, in nnU-Net's folders; nnU-Net is the stand-in."""
    folder = tmp_path / "nnUNet_raw" / "Dataset012_Half"
    voxels = np.zeros(GRID.shape_kji, np.int16)
    voxels[:2] = 500
    for part in ("Tr", "Ts"):
        for kind, ending, array in (("images", "_0000", voxels), ("labels", "", (voxels > 0).astype(np.uint8))):
            (folder / f"{kind}{part}").mkdir(parents=True)
            write_volume(Volume(GRID, array), folder / f"{kind}{part}" / f"a{ending}.nii.gz")
    content = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "half": 1}, "numTraining": 1, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(content))
    for name, value in nnunet_stand_in.install(tmp_path / "stand_in").items():
        monkeypatch.setenv(name, value)
    return folder


def test_a_model_is_trained_predicts_and_is_evaluated_on_the_command_line(data_set, tmp_path, capsys):
    assert run("train", data_set, "--device", "cpu", "--folds", "all", "--epochs", 2, "--results", tmp_path / "models") == 0
    captured = capsys.readouterr()
    model = tmp_path / "models" / "Dataset012_Half" / "SAM2AnnotateTrainer__nnUNetPlans__3d_fullres"
    assert captured.out == f"{model}\n"
    assert "Fold all, epoch 2 of 2" in captured.err

    assert run("predict", model, data_set / "imagesTs", tmp_path / "predictions", "--device", "cpu") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'predictions' / 'a.nii.gz'}\n"
    assert read_volume(tmp_path / "predictions" / "a.nii.gz").array_kji.any()

    assert run("evaluate", data_set, f"ours={tmp_path / 'predictions'}") == 0
    assert "| ours | half | 1 | 1.000 [1.000, 1.000] |" in capsys.readouterr().out


def test_options_beside_the_studys_settings_win(data_set, capsys):
    run("train", data_set, "--study", "--device", "cpu", "--folds", "all", "--epochs", 2, "--window=-55,155")
    model = capsys.readouterr().out.strip()
    with open(f"{model}/sam2annotate_training.json") as file:
        options = json.load(file)
    assert (options["epochs"], options["batch_size"], options["mirroring"]) == (2, 8, False)
    assert options["preparation"]["window"] == [-55, 155]


@pytest.mark.parametrize(("text", "folds"), [("0,1, 2", (0, 1, 2)), ("all", ("all",))])
def test_folds_are_read(text, folds):
    assert parse_folds(text) == folds


@pytest.mark.parametrize("text", ["", "one", "-1", "0;1"])
def test_other_folds_are_refused(text):
    with pytest.raises(InputError, match="--folds takes numbers"):
        parse_folds(text)


@pytest.mark.parametrize("text", ["5", "a,b", "1,2,3"])
def test_a_window_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="--window takes two numbers"):
        parse_window(text)
