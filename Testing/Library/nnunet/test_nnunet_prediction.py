"""Prediction with a stand-in for nnU-Net: results on the grids of the images, prepared as in training; what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import nnunet_stand_in
import numpy as np
import pytest
from patients import names_in

from SAM2AnnotateLib.errors import GridMismatchError, InputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.nnunet.runs.prediction import predict
from SAM2AnnotateLib.nnunet.runs.process import NnunetRunner
from SAM2AnnotateLib.volume_io import read_volume, write_volume

SHAPE_KJI = (6, 8, 10)
NIFTI_MM = 1e-6  # NIfTI stores a rotation in 32 bits


@pytest.fixture
def model(tmp_path):
    """A trained fold of a model with one channel."""
    folder = tmp_path / "model"
    (folder / "fold_0").mkdir(parents=True)
    (folder / "fold_0" / "checkpoint_final.pth").write_text("weights")
    (folder / "dataset.json").write_text(json.dumps({"channel_names": {"0": "CT"}, "file_ending": ".nii.gz"}))
    return folder


@pytest.fixture
def an_image(tmp_path, a_patient):
    """A case `x` on an anisotropic, upright or oblique grid off the origin; the stand-in takes values above 100 for the object."""
    folder = tmp_path / "imagesTs"
    folder.mkdir()
    grid = VolumeGrid(SHAPE_KJI, a_patient.grid.ijk_to_ras)
    volume = Volume(grid, np.random.default_rng(3).integers(-500, 500, SHAPE_KJI).astype(np.int16))
    write_volume(volume, folder / "x_0000.nii.gz")
    return read_volume(folder / "x_0000.nii.gz")


@pytest.fixture
def predicted(model, an_image, tmp_path):
    """Predict the case and read the result back."""
    runner = NnunetRunner(environment=nnunet_stand_in.install(tmp_path / "stand_in"))

    def run(**options):
        trouble = options.pop("trouble", {})
        used = replace(runner, environment={**runner.environment, **trouble})
        (case,) = predict(model, tmp_path / "imagesTs", tmp_path / "out", runner=used, device="cpu", **options)
        assert (case.case, case.path) == ("x", tmp_path / "out" / "x.nii.gz")
        return read_volume(case.path)

    return run


def prepared_with(model, **preparation):
    content = {"window": None, "crop": False, "margin_mm": 0.0, **preparation}
    (model / "sam2annotate_training.json").write_text(json.dumps({"preparation": content}))


def test_a_prediction_lies_on_the_grid_of_its_image(predicted, an_image, tmp_path):
    labels = predicted()
    np.testing.assert_allclose(labels.grid.ijk_to_ras, an_image.grid.ijk_to_ras, rtol=0, atol=NIFTI_MM)
    np.testing.assert_array_equal(labels.array_kji, an_image.array_kji > 100)
    assert labels.array_kji.dtype == np.uint8
    assert names_in(tmp_path / "out") == ["x.nii.gz"]
    assert (tmp_path / "out_prediction.log").is_file()


def test_images_are_clipped_as_in_training(predicted, model):
    prepared_with(model, window=[-55.0, 99.0])
    lines = []
    labels = predicted(on_line=lines.append)
    assert not labels.array_kji.any()  # nothing is above 100 any more
    assert any(line.startswith("Predicting x_0000.nii.gz -55.0 99.0") for line in lines)


def test_a_prediction_of_a_crop_is_put_back_where_it_was(predicted, model, an_image, tmp_path):
    prepared_with(model, crop=True)
    organ = np.zeros(SHAPE_KJI, np.uint8)
    organ[1:4, 2:7, 3:8] = 1
    (tmp_path / "masks").mkdir()
    write_volume(Volume(an_image.grid, organ), tmp_path / "masks" / "x.nii.gz")
    labels = predicted(organ_masks=tmp_path / "masks")
    np.testing.assert_array_equal(labels.array_kji, (an_image.array_kji > 100) & (organ == 1))
    np.testing.assert_allclose(labels.grid.ijk_to_ras, an_image.grid.ijk_to_ras, rtol=0, atol=NIFTI_MM)


def test_a_model_of_crops_asks_for_organ_masks(predicted, model):
    prepared_with(model, crop=True)
    with pytest.raises(InputError, match="cropped to an organ, but for case 'x' no folder of organ masks was given"):
        predicted()


def test_an_organ_mask_of_another_grid_is_refused(predicted, model, tmp_path):
    prepared_with(model, crop=True)
    (tmp_path / "masks").mkdir()
    write_volume(Volume(VolumeGrid(SHAPE_KJI, np.eye(4)), np.ones(SHAPE_KJI, np.uint8)), tmp_path / "masks" / "x.nii.gz")
    with pytest.raises(GridMismatchError, match="organ mask"):
        predicted(organ_masks=tmp_path / "masks")


def test_a_prediction_that_lies_elsewhere_is_not_handed_on(predicted, tmp_path):
    with pytest.raises(GridMismatchError, match="The prediction of case 'x'"):
        predicted(trouble={"STAND_IN_FAILS": "grid"})
    assert names_in(tmp_path / "out") == []


def test_a_case_without_a_channel_is_named(predicted, model):
    (model / "dataset.json").write_text(json.dumps({"channel_names": {"0": "T1", "1": "T2"}, "file_ending": ".nii.gz"}))
    with pytest.raises(InputError, match="Case 'x'.* lacks x_0001.nii.gz: expected one file for each of 2 channels"):
        predicted()


def test_a_folder_without_images_says_how_they_must_be_named(predicted, tmp_path):
    (tmp_path / "imagesTs" / "x_0000.nii.gz").rename(tmp_path / "imagesTs" / "x.nii.gz")
    with pytest.raises(InputError, match="names like CASE_0000.nii.gz"):
        predicted()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"folds": (3,)}, "Fold 3 .* has no final checkpoint"),
        ({"checkpoint": "best"}, "has a best checkpoint. Train it first"),
        ({"checkpoint": "newest"}, "expected .* final, best, latest"),
    ],
)
def test_a_model_that_is_not_trained_is_refused(predicted, options, complaint):
    with pytest.raises(InputError, match=complaint):
        predicted(**options)
