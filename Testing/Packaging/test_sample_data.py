"""The sample case's entry in Slicer's Sample Data module, against a stand-in with that module's signature."""

from __future__ import annotations

import hashlib
import logging
import sys
import types
import urllib.request
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from extension_build import ROOT

THUMBNAIL = ROOT / "SAM2Annotate" / "Resources" / "Icons" / "SampleCtSarcoma.png"


@pytest.fixture
def sample_data() -> types.ModuleType:
    """The module's own file. It needs nothing of Slicer, so it is loaded without the package around it."""
    spec = spec_from_file_location("sample_data_under_test", ROOT / "SAM2Annotate" / "SAM2AnnotateSlicer" / "Panel" / "SampleData.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The parameters of Slicer's SampleDataLogic.registerCustomSampleDataSource.
PARAMETERS = {
    "category",
    "sampleName",
    "uris",
    "fileNames",
    "nodeNames",
    "customDownloader",
    "thumbnailFileName",
    "loadFileType",
    "loadFiles",
    "loadFileProperties",
    "checksums",
}


@pytest.fixture
def registered(monkeypatch) -> list[dict]:
    """Stands in for Slicer's Sample Data module; the list gets the arguments of each registration."""
    calls: list[dict] = []

    def register(**arguments):
        unknown = arguments.keys() - PARAMETERS
        if unknown:
            raise TypeError(f"unexpected keyword arguments {unknown}")
        calls.append(arguments)

    logic = types.SimpleNamespace(registerCustomSampleDataSource=register)
    monkeypatch.setitem(sys.modules, "SampleData", types.SimpleNamespace(SampleDataLogic=logic))
    return calls


def test_the_case_is_registered_with_a_picture_that_exists(sample_data, registered):
    assert sample_data.registerSampleData(str(THUMBNAIL))
    (call,) = registered
    assert call["sampleName"] == "CT sarcoma"
    assert call["loadFileType"] == "VolumeFile"
    assert Path(call["thumbnailFileName"]).is_file()


def test_the_registered_address_gives_the_image_with_the_registered_checksum(sample_data, registered, tmp_path):
    sample_data.registerSampleData(str(THUMBNAIL))
    (call,) = registered
    assert call["uris"].startswith("file:///")
    copy, _ = urllib.request.urlretrieve(call["uris"], tmp_path / call["fileNames"])  # as Sample Data fetches it
    assert call["checksums"] == f"SHA256:{hashlib.sha256(Path(copy).read_bytes()).hexdigest()}"
    assert call["fileNames"].endswith(".nii.gz")


def test_an_address_with_a_space_is_fetched_too(sample_data, registered, tmp_path, monkeypatch):
    folder = tmp_path / "Programs and Data" / "ct_sarcoma_003"
    folder.mkdir(parents=True)
    (folder / "image.nii.gz").write_bytes(b"voxels")
    monkeypatch.setattr(sample_data, "sampleFolder", lambda: folder)
    assert sample_data.registerSampleData(str(THUMBNAIL))
    copy, _ = urllib.request.urlretrieve(registered[0]["uris"], tmp_path / "copy")
    assert Path(copy).read_bytes() == b"voxels"


def test_without_slicer_s_sample_data_module_nothing_fails(sample_data, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "SampleData", None)  # import raises ImportError
    with caplog.at_level(logging.INFO):
        assert not sample_data.registerSampleData(str(THUMBNAIL))
    assert "no Sample Data module" in caplog.text


def test_a_case_that_was_not_installed_is_not_offered(sample_data, registered, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sample_data, "sampleFolder", lambda: tmp_path)
    assert not sample_data.registerSampleData(str(THUMBNAIL))
    assert registered == []
    assert "Install the extension again" in caplog.text
