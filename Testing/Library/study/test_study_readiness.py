"""What a study lacks is said when it begins, not after hours."""

from __future__ import annotations

import importlib.util

import pytest
from study_stand_ins import STUDY_YAML, a_study

from SAM2AnnotateLib.errors import CheckpointError, InputError, MissingPackageError
from SAM2AnnotateLib.study.work.readiness import require_ready


@pytest.fixture
def without(monkeypatch):
    """Makes packages look as if they were not installed."""
    find = importlib.util.find_spec

    def hide(*missing: str) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in missing else find(name, *rest))

    return hide


def test_a_study_that_can_go_to_its_end_is_ready(tmp_path):
    require_ready(a_study(tmp_path), models=True, here=True)


def test_weights_that_are_not_here_are_named_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("SAM2ANNOTATE_CACHE", str(tmp_path / "none"))
    study = a_study(tmp_path / "study", STUDY_YAML.replace("name: ", "model: {checkpoint: sam2_hiera_large}\nname: ", 1))
    with pytest.raises(CheckpointError, match="sam2_hiera_large"):
        require_ready(study, models=False, here=True)
    require_ready(study, models=False, here=False)  # the machines of a cluster have their own


@pytest.mark.parametrize("package", ["torch", "sam2"])
def test_a_missing_package_of_the_simulation(package, tmp_path, without):
    without(package, "transformers")  # which serves in sam2's place
    with pytest.raises(MissingPackageError, match=f"needs the package '{package}', which is not installed. Install it with: pip install"):
        require_ready(a_study(tmp_path), models=False, here=True)


def test_transformers_serves_where_sam2_is_not_installed(tmp_path, without):
    pytest.importorskip("transformers")
    without("sam2")
    require_ready(a_study(tmp_path), models=False, here=True)


def test_nnunet_is_asked_for_only_if_models_are_to_be_trained(tmp_path, without):
    without("nnunetv2")
    study = a_study(tmp_path)
    require_ready(study, models=False, here=True)
    with pytest.raises(MissingPackageError, match="Training the models of a study needs the package 'nnunetv2'"):
        require_ready(study, models=True, here=True)


def test_missing_organ_masks_are_named_before_anything_runs(tmp_path):
    (tmp_path / "livers").mkdir()
    text = STUDY_YAML.replace("downstream: {", f"downstream: {{crop_to: {tmp_path / 'livers'}, ", 1)
    assert text != STUDY_YAML
    with pytest.raises(InputError, match="downstream.crop_to: .* has no organ mask of "):
        require_ready(a_study(tmp_path / "study", text), models=True, here=False)
