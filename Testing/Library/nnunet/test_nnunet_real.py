"""The real nnU-Net, CI-sized: a training stopped in the middle, taken up again, predicted with and evaluated; a few iterations each."""

from __future__ import annotations

import json

import numpy as np
import pytest

from SAM2AnnotateLib.errors import Cancelled
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.nnunet.runs.folders import NnunetFolders
from SAM2AnnotateLib.nnunet.runs.prediction import predict
from SAM2AnnotateLib.nnunet.runs.training import train
from SAM2AnnotateLib.nnunet.runs.training_options import TrainingOptions
from SAM2AnnotateLib.nnunet.scores.evaluation import MEAN, evaluate_folder, read_labels
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.volume_io import read_volume, write_volume

pytestmark = pytest.mark.slow

SHAPE_KJI = (16, 18, 20)
MATRIX = np.array([[-1.0, 0, 0, 40], [0, -1, 0, 50], [0, 0, 1.5, -60], [0, 0, 0, 1]])  # left-posterior-superior
OPTIONS = TrainingOptions(
    folds=("all",),
    epochs=3,
    iterations_per_epoch=12,
    validation_iterations=1,
    batch_size=2,
    device="cpu",
    mirroring=False,
    seed=0,
    checkpoint_every=1,
    processes=1,
    threads=2,
)


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    """Four training and two test cases: a bright and a dark ball in noise."""
    folder = tmp_path_factory.mktemp("nnunet") / "nnUNet_raw" / "Dataset012_Balls"
    rng = np.random.default_rng(0)
    k, j, i = np.indices(SHAPE_KJI)
    for number in range(6):
        part = "Tr" if number < 4 else "Ts"
        truth = np.zeros(SHAPE_KJI, np.uint8)
        for value, row in ((1, 5), (2, 13)):
            center = np.array([8, row, 10]) + rng.integers(-2, 3, 3)
            truth[(k - center[0]) ** 2 + (j - center[1]) ** 2 + (i - center[2]) ** 2 < 12] = value
        image = rng.normal(0, 20, SHAPE_KJI) + np.array([0, 400, -400])[truth]
        grid = VolumeGrid(SHAPE_KJI, MATRIX)
        for kind, name, voxels in (("images", f"case{number}_0000", image.astype(np.float32)), ("labels", f"case{number}", truth)):
            (folder / f"{kind}{part}").mkdir(parents=True, exist_ok=True)
            write_volume(Volume(grid, voxels), folder / f"{kind}{part}" / f"{name}.nii.gz")
    content = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "bright": 1, "dark": 2},
        "numTraining": 4,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def model(data_set):
    """Trained for two epochs, stopped, and trained to the end."""
    pytest.importorskip("nnunetv2", reason="nnU-Net is not installed")
    folders = NnunetFolders.of_data_set(data_set)
    cancel, told = CancelToken(), []

    def stop_after_two_epochs(event):
        told.append(event)
        if event.progress and event.progress.epoch == 1:
            cancel.cancel()

    with pytest.raises(Cancelled):
        train(folders, OPTIONS, on_event=stop_after_two_epochs, cancel=cancel)
    folder = folders.model_folder(OPTIONS.trainer, OPTIONS.configuration)
    assert not (folder / "fold_all" / "checkpoint_final.pth").exists()

    train(folders, OPTIONS, on_event=told.append)
    # An epoch is told before its checkpoint is written, so that the second may have been lost; the first was not.
    epochs = [event.progress.epoch for event in told if event.progress]
    assert epochs in ([0, 1, 2], [0, 1, 1, 2])
    return folder


def test_a_stopped_training_is_taken_up_again_and_finished(model):
    assert (model / "fold_all" / "checkpoint_final.pth").is_file()
    assert (model / "fold_all" / "validation" / "summary.json").is_file()
    assert not list(model.rglob("*.partial"))


def test_our_trainers_settings_reach_nnunet(model):
    debug = json.loads((model / "fold_all" / "debug.json").read_text())
    assert (debug["num_epochs"], debug["num_iterations_per_epoch"], debug["num_val_iterations_per_epoch"]) == ("3", "12", "1")
    assert (debug["batch_size"], debug["inference_allowed_mirroring_axes"]) == ("2", "None")


def test_the_stock_nnunet_can_load_the_weights(model):
    torch = pytest.importorskip("torch")
    checkpoint = torch.load(model / "fold_all" / "checkpoint_final.pth", map_location="cpu", weights_only=False)
    assert checkpoint["trainer_name"] == "nnUNetTrainer"
    assert checkpoint["current_epoch"] == 3


def test_predictions_lie_on_their_images_and_are_evaluated(model, data_set, tmp_path):
    cases = predict(model, data_set / "imagesTs", tmp_path / "predictions", device="cpu")
    assert [case.case for case in cases] == ["case4", "case5"]
    for case in cases:
        image = read_volume(data_set / "imagesTs" / f"{case.case}_0000.nii.gz")
        np.testing.assert_allclose(read_volume(case.path).grid.ijk_to_ras, image.grid.ijk_to_ras, rtol=0, atol=1e-6)
    table = read_labels(data_set / "dataset.json")
    evaluation = evaluate_folder("balls", tmp_path / "predictions", data_set / "labelsTs", table)
    assert evaluation.values("dsc", MEAN).min() > 0.8
