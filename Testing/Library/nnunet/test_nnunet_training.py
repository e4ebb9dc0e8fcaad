"""Training with a stand-in for nnU-Net: what is done once, what goes on after a kill, which options reach it, what is refused."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import nnunet_stand_in
import numpy as np
import pytest

from SAM2AnnotateLib.errors import Cancelled, EngineError, InputError, WorkerError
from SAM2AnnotateLib.file_locks import locked
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.nnunet.runs.folders import NnunetFolders
from SAM2AnnotateLib.nnunet.runs.preparation import Preparation
from SAM2AnnotateLib.nnunet.runs.process import NnunetRunner
from SAM2AnnotateLib.nnunet.runs.training import train
from SAM2AnnotateLib.nnunet.runs.training_options import TrainingOptions
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.volume_io import read_volume, write_volume

MATRIX = np.array([[-1.0, 0, 0, 10], [0, -2, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]])
OPTIONS = TrainingOptions(folds=(0,), epochs=4, device="cpu", processes=1, checkpoint_every=1)


@pytest.fixture
def folders(tmp_path):
    """A raw data set of two cases: bright noise, an object at k 2..3, j 3..5, i 4..8."""
    data_set = tmp_path / "nnUNet_raw" / "Dataset012_Liver"
    for sub in ("imagesTr", "labelsTr"):
        (data_set / sub).mkdir(parents=True)
    rng = np.random.default_rng(1)
    for case in ("a", "b"):
        labels = np.zeros((6, 8, 10), np.uint8)
        labels[2:4, 3:6, 4:9] = 1
        grid = VolumeGrid(labels.shape, MATRIX)
        write_volume(Volume(grid, rng.integers(-900, 900, labels.shape).astype(np.int16)), data_set / "imagesTr" / f"{case}_0000.nii.gz")
        write_volume(Volume(grid, labels), data_set / "labelsTr" / f"{case}.nii.gz")
    description = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    (data_set / "dataset.json").write_text(json.dumps(description))
    (data_set / "splits_final.json").write_text(json.dumps([{"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["a"]}]))
    return NnunetFolders.of_data_set(data_set)


@pytest.fixture
def runner(tmp_path):
    return NnunetRunner(environment=nnunet_stand_in.install(tmp_path / "stand_in"))


def with_trouble(runner, **variables):
    return replace(runner, environment={**runner.environment, **variables})


def epochs_done(model, fold=0):
    return (model / f"fold_{fold}" / "epochs_done").read_text().split()


def calls(model, fold=0):
    return (model / f"fold_{fold}" / "calls").read_text().splitlines()


def test_every_epoch_is_told_and_the_models_folder_returned(folders, runner):
    told = []
    model = train(folders, OPTIONS, runner=runner, on_event=told.append)
    assert model == folders.results / "Dataset012_Liver" / "SAM2AnnotateTrainer__nnUNetPlans__3d_fullres"
    epochs = [event.progress.epoch for event in told if event.progress]
    assert epochs == [0, 1, 2, 3]
    assert told[0].what == "Preprocessing"
    assert "epoch 4 of 4" in told[-1].what


def test_what_is_finished_is_not_done_again(folders, runner):
    model = train(folders, OPTIONS, runner=runner)
    told = []
    train(folders, replace(OPTIONS, folds=(0, 1)), runner=runner, on_event=told.append)
    assert (folders.preprocessed_data_set / "times_preprocessed").read_text() == "x"
    assert epochs_done(model, 0) == epochs_done(model, 1) == ["0", "1", "2", "3"]
    assert told[0].what == "Fold 0 is trained"


def test_a_changed_data_set_is_preprocessed_again_and_an_older_fold_named(folders, runner):
    train(folders, OPTIONS, runner=runner)
    changed = folders.raw_data_set / "labelsTr" / "a.nii.gz"
    labels = read_volume(changed)
    write_volume(Volume(labels.grid, np.ones_like(labels.array_kji)), changed)
    told = []
    train(folders, OPTIONS, runner=runner, on_event=told.append)
    assert (folders.preprocessed_data_set / "times_preprocessed").read_text() == "xx"
    assert [event.what.split(".")[0] for event in told[1:]] == ["Fold 0 was begun before the data set changed", "Fold 0 is trained"]


def test_a_preprocessing_that_failed_is_done_again(folders, runner):
    with pytest.raises(EngineError, match="Preprocessing failed with exit code 1: RuntimeError: the images are strange"):
        train(folders, OPTIONS, runner=with_trouble(runner, STAND_IN_FAILS="preprocessing"))
    train(folders, OPTIONS, runner=runner)
    assert (folders.preprocessed_data_set / "times_preprocessed").read_text() == "xx"


def test_folds_by_patient_reach_nnunet(folders, runner):
    train(folders, OPTIONS, runner=runner)
    ours = json.loads((folders.raw_data_set / "splits_final.json").read_text())
    assert json.loads((folders.preprocessed_data_set / "splits_final.json").read_text()) == ours


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_killed_training_goes_on_from_its_last_checkpoint(folders, runner):
    with pytest.raises(WorkerError, match="Training of fold 0 was killed.*Call again"):
        train(folders, OPTIONS, runner=with_trouble(runner, STAND_IN_FAILS="epoch 2"))
    model = train(folders, OPTIONS, runner=runner)
    assert epochs_done(model) == ["0", "1", "2", "3"]
    assert calls(model) == ["", "--c"]


def test_a_stopped_training_goes_on_from_its_last_checkpoint(folders, runner):
    cancel, slow = CancelToken(), with_trouble(runner, STAND_IN_SLEEPS="0.4")
    with pytest.raises(Cancelled):
        train(folders, OPTIONS, runner=slow, cancel=cancel, on_event=lambda event: event.progress and cancel.cancel())
    model = train(folders, OPTIONS, runner=runner)
    assert epochs_done(model) == ["0", "1", "2", "3"]
    assert calls(model) == ["", "--c"]


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_training_killed_while_validating_only_validates(folders, runner):
    with pytest.raises(WorkerError):
        train(folders, OPTIONS, runner=with_trouble(runner, STAND_IN_FAILS="validation"))
    model = train(folders, OPTIONS, runner=runner)
    assert epochs_done(model) == ["0", "1", "2", "3"]
    assert calls(model) == ["", "--val"]


def test_other_options_for_a_model_that_was_begun_are_refused_and_a_restart_takes_them(folders, runner):
    train(folders, OPTIONS, runner=runner)
    other = replace(OPTIONS, batch_size=8)
    with pytest.raises(InputError, match="fold_0 was begun with batch_size None instead of 8"):
        train(folders, other, runner=runner)
    model = train(folders, other, runner=runner, restart=True)
    assert calls(model) == [""]
    assert epochs_done(model) == ["0", "1", "2", "3"]


def test_a_restart_with_other_options_must_take_all_folds(folders, runner):
    train(folders, replace(OPTIONS, folds=(0, 1)), runner=runner)
    with pytest.raises(InputError, match="fold_1 was begun with"):
        train(folders, replace(OPTIONS, batch_size=8), runner=runner, restart=True)


def test_options_of_a_training_that_never_began_bind_nobody(folders, runner):
    with pytest.raises(EngineError):
        train(folders, OPTIONS, runner=with_trouble(runner, STAND_IN_FAILS="preprocessing"))
    model = train(folders, replace(OPTIONS, epochs=2), runner=runner)
    assert epochs_done(model) == ["0", "1"]


def test_what_does_not_change_the_model_may_differ_when_it_goes_on(folders, runner):
    train(folders, OPTIONS, runner=runner)
    train(folders, replace(OPTIONS, processes=0, threads=2, checkpoint_every=3), runner=runner)


def test_augmentation_without_helper_processes_does_not_break_preprocessing(folders, runner):
    model = train(folders, replace(OPTIONS, processes=0), runner=runner)
    assert (model / "fold_0" / "checkpoint_final.pth").is_file()


def test_a_fold_that_does_not_exist_is_refused(folders, runner):
    with pytest.raises(InputError, match="no fold 2: the data set is split into 2"):
        train(folders, replace(OPTIONS, folds=(2,)), runner=runner)


def test_images_are_clipped_and_cropped_before_nnunet_sees_them(folders, runner, tmp_path):
    options = replace(OPTIONS, preparation=Preparation((-55.0, 155.0), crop=True, margin_mm=3.0))
    train(folders, options, runner=runner, organ_masks=folders.raw_data_set / "labelsTr")
    prepared = folders.preprocessed / "sam2annotate_prepared" / "Dataset012_Liver"
    image, whole = (read_volume(data_set / "imagesTr" / "a_0000.nii.gz") for data_set in (prepared, folders.raw_data_set))
    # 3 mm are one slice (k), two rows (j, 2 mm, rounded up) and three columns (i), as far as the volume reaches.
    box = slice(1, 5), slice(1, 8), slice(1, 10)
    np.testing.assert_array_equal(image.array_kji, np.clip(whole.array_kji[box], -55, 155))
    np.testing.assert_allclose(image.grid.ras_from_ijk([0, 0, 0]), whole.grid.ras_from_ijk([1, 1, 1]))
    labels = read_volume(prepared / "labelsTr" / "a.nii.gz")
    np.testing.assert_array_equal(labels.array_kji, read_volume(folders.raw_data_set / "labelsTr" / "a.nii.gz").array_kji[box])
    assert json.loads((prepared / "dataset.json").read_text())["channel_names"] == {"0": "CT"}


def test_a_missing_organ_mask_is_named_and_leaves_nothing_half_prepared(folders, runner, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    shutil.copy(folders.raw_data_set / "labelsTr" / "a.nii.gz", masks)
    with pytest.raises(InputError, match="for case 'b'.*b.nii.gz' does not exist"):
        train(folders, replace(OPTIONS, preparation=Preparation(crop=True)), runner=runner, organ_masks=masks)
    assert list((folders.preprocessed / "sam2annotate_prepared").iterdir()) == []


def test_the_study_has_its_published_settings():
    study = TrainingOptions.study(device="cpu")
    assert (study.configuration, study.epochs, study.batch_size, study.mirroring, len(study.folds)) == ("3d_fullres", 150, 8, False, 5)
    assert study.device == "cpu"


def test_settings_reach_our_trainer_as_json():
    environment = TrainingOptions(epochs=3, mirroring=False, seed=5).trainer_environment()
    settings = json.loads(environment["SAM2ANNOTATE_TRAINER"])
    assert (settings["epochs"], settings["mirroring"], settings["seed"], settings["batch_size"]) == (3, False, 5, None)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"configuration": "4d"}, "one of 2d, 3d_fullres, 3d_lowres"),
        ({"device": "gpu"}, "one of cpu, cuda, mps"),
        ({"folds": ()}, "different numbers from 0, or 'all'"),
        ({"folds": (1, 1)}, "different numbers"),
        ({"folds": (-1,)}, "different numbers"),
        ({"epochs": 0}, "Epochs: expected a whole number of 1 or more, got 0"),
        ({"batch_size": 0}, "Batch size: expected a whole number of 1 or more, got 0"),
        ({"processes": -1}, "0 or more, got -1"),
        ({"trainer": "nnUNetTrainerNoMirroring", "epochs": 5}, "does not take epochs"),
    ],
)
def test_an_option_out_of_its_range_is_refused(options, complaint):
    with pytest.raises(InputError, match=complaint):
        TrainingOptions(**options)


@pytest.mark.parametrize("options", [{"window": (5.0, 5.0)}, {"margin_mm": -1.0, "crop": True}, {"margin_mm": 2.0}])
def test_a_preparation_that_makes_no_sense_is_refused(options):
    with pytest.raises(InputError):
        Preparation(**options)


def test_a_second_program_may_train_another_fold_but_not_the_same(folders, runner):
    """Two programs that write the same checkpoints would leave neither's."""
    model = train(folders, OPTIONS, runner=runner)
    with locked(model / ".fold_0.lock"):
        with pytest.raises(InputError, match="Another program writes to fold 0 of .* now"):
            train(folders, OPTIONS, runner=runner)
        train(folders, replace(OPTIONS, folds=(1,)), runner=runner)
    with locked(folders.preprocessed / ".Dataset012_Liver.lock"), pytest.raises(InputError, match="preprocessed data of Dataset012_Liver"):
        train(folders, OPTIONS, runner=runner)
