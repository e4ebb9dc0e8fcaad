"""The model of a study: loaded once, and the same on every device."""

from __future__ import annotations

import pytest

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.study.configuration.config_parts import ModelConfig
from SAM2AnnotateLib.study.work import model
from SAM2AnnotateLib.study.work.model import study_engine


@pytest.fixture
def loads(monkeypatch):
    """What `load_engine` is asked for; nothing is loaded."""
    asked = []
    monkeypatch.setattr(model, "load_engine", lambda checkpoint, **settings: asked.append((checkpoint, settings)) or object())
    study_engine.cache_clear()
    yield asked
    study_engine.cache_clear()


def test_it_runs_at_its_own_size_on_a_cpu_too(loads):
    study_engine(ModelConfig("sam2_hiera_tiny"), "cpu")
    study_engine(ModelConfig("sam2_hiera_tiny", image_size=512), "cpu")
    fixed = {"architecture": None, "device": "cpu", "precision": "fp32", "adapter": None}
    assert loads == [("sam2_hiera_tiny", {**fixed, "image_size": size}) for size in (1024, 512)]


def test_a_run_s_device_wins_over_the_configuration_s(loads):
    study_engine(ModelConfig("sam2_hiera_tiny", device="cuda"), None)
    study_engine(ModelConfig("sam2_hiera_tiny", device="cuda"), "cpu")
    assert [settings["device"] for _, settings in loads] == ["cuda", "cpu"]


def test_the_same_model_is_loaded_once(loads):
    first = study_engine(ModelConfig("sam2_hiera_tiny"), "cpu")
    assert study_engine(ModelConfig("sam2_hiera_tiny"), "cpu") is first
    assert len(loads) == 1


def test_weights_that_do_not_tell_a_size_need_one_in_the_configuration(loads, tmp_path):
    weights = tmp_path / "own.pt"
    weights.write_bytes(b"weights")
    with pytest.raises(InputError, match=r"own.pt' do not tell their image size. Name it in study.yaml as model.image_size"):
        study_engine(ModelConfig(str(weights)), "cpu")
    study_engine(ModelConfig(str(weights), image_size=768), "cpu")
    assert loads[-1][1]["image_size"] == 768
