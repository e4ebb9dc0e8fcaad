"""Segments of a volume that came from DICOM, written as DICOM SEG by the panel: each voxel on its image, coded by the terminology."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import slicer
from data_set_worlds import aSegmentation, drawn, reviewed
from dicom_files import a_slice, write
from panel_bench import makeBench, settle
from worlds import waitFor

from SAM2AnnotateLib.errors import MissingPackageError
from SAM2AnnotateLib.nnunet.cases.masks import laid_onto
from SAM2AnnotateLib.nnunet.sources import read_segments
from SAM2AnnotateLib.volume_io import read_dicom
from SAM2AnnotateSlicer.Dicom.SeriesFiles import FOLDER, INSTANCES, slicersOwnExporter
from SAM2AnnotateSlicer.SetUp.Installer import Installer, SetUpRow

pytest.importorskip("highdicom")

SHAPE_KJI = (8, 20, 22)
LIVER = "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^~~^^~^^"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


@pytest.fixture
def series(tmp_path) -> Path:
    """Oblique, slices from the last to the first by name."""
    normal = np.array([0.0, -0.6, 0.8])
    stored = np.random.default_rng(0).integers(0, 999, SHAPE_KJI).astype(np.int16)
    for k, plane in enumerate(stored):
        image = a_slice(plane, k + 1, [round(float(mm), 6) for mm in 3.0 * k * normal], (1, 0, 0, 0, 0.8, 0.6))
        write(image, tmp_path / "ct" / f"{9 - k}.dcm")
    return tmp_path / "ct"


class Database:
    """What Slicer's DICOM database answers."""

    def __init__(self, folder: Path):
        from dicom_files import read_back

        self._files = {str(read_back(path).SOPInstanceUID): str(path) for path in folder.iterdir()}

    def fileForInstance(self, uid: str) -> str:
        return self._files.get(uid, "")


def blob(seed: int) -> np.ndarray:
    mask = np.zeros(SHAPE_KJI, dtype=bool)
    mask[2:6, 3:15, 4:18] = np.random.default_rng(seed).random((4, 12, 14)) > 0.4
    return mask


def aLoadedSeries(bench, series: Path, folder: bool, monkeypatch):
    """The volume as Slicer or the worklist loads it, with a reviewed segment and a drawn one."""
    image = read_dicom(series)
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(image.volume.grid.ijk_to_ras))
    slicer.util.updateVolumeFromArray(volume, image.volume.array_kji)
    volume.CreateDefaultDisplayNodes()
    volume.SetAttribute(INSTANCES, " ".join(one.sop_uid for one in image.slices))
    if folder:
        volume.SetAttribute(FOLDER, str(series))
    monkeypatch.setattr(slicer, "dicomDatabase", Database(series), raising=False)
    bench.ui.volumeSelector.setCurrentNode(volume)
    node = aSegmentation(volume)
    one = reviewed(bench.logic, node, volume, "Leber", blob(1), axis="j")
    node.GetSegmentation().GetSegment(one.segmentId).SetTerminology(LIVER)
    drawn(node, volume, "by hand", blob(2))
    node.GetSegmentation().AddEmptySegment("", "nothing")
    bench.logic.parameters.segmentation = node
    settle()
    return volume, node, image


def saved(bench, path: Path) -> str:
    """Press the button; what the panel says at the end."""
    bench.panel.dataSets.askDicomFile = lambda _suggested: str(path)
    bench.click("saveDicom")
    waitFor(lambda: not bench.panel.dataSets.dicom.busy, 60)
    settle()
    return bench.message


@pytest.mark.parametrize("folder", [False, True], ids=["by the DICOM database", "from the worklist"])
def test_every_voxel_is_written_on_its_image_with_the_terminology(folder, bench, series, tmp_path, monkeypatch):
    _, _, image = aLoadedSeries(bench, series, folder, monkeypatch)
    path = tmp_path / "mask.dcm"
    path.write_bytes(b"older")
    assert f"Written to {path}" in saved(bench, path)
    found = read_segments(path, annotated_grid=image.volume.grid, image_slices=image.slices)
    assert [one.name for one in found.segments] == ["Leber", "by hand"]  # an empty segment has no frames
    assert found.segments[0].terminology["type"] == ("SCT", "10200004", "Liver")
    assert found.patient_id == "P1"
    for segment, expected in zip(found.segments, (blob(1), blob(2)), strict=True):
        mask = np.zeros(SHAPE_KJI, dtype=bool)
        block, part = laid_onto(segment.mask, image.volume.grid)
        mask[block] = part != 0
        assert np.array_equal(mask, expected)
    from dicom_files import read_back

    kinds = [str(one.SegmentAlgorithmType) for one in read_back(path).SegmentSequence]
    assert kinds == ["SEMIAUTOMATIC", "MANUAL"]
    assert not list(Path(slicer.app.temporaryPath).glob("*dicom-seg*"))


def test_a_name_without_suffix_gets_one_and_asks_before_it_replaces(bench, series, tmp_path, monkeypatch):
    aLoadedSeries(bench, series, True, monkeypatch)
    (tmp_path / "mask.dcm").write_bytes(b"older")
    asked = []
    bench.panel.dataSets.confirm = lambda question: asked.append(question)
    saved(bench, tmp_path / "mask")
    assert "exists already" in asked[0] and (tmp_path / "mask.dcm").read_bytes() == b"older"


def reasonOf(bench) -> str:
    bench.panel.refresh()
    return "" if bench.ui.saveDicomButton.enabled else bench.ui.saveDicomButton.toolTip


def test_a_volume_from_elsewhere_cannot_be_exported_and_the_button_says_why(bench, series, monkeypatch):
    volume, _, _ = aLoadedSeries(bench, series, False, monkeypatch)
    assert reasonOf(bench) == ""
    volume.RemoveAttribute(INSTANCES)
    assert "loaded from no DICOM series" in reasonOf(bench)


def test_where_slicers_own_exporter_is_installed_the_button_leads_there(bench, series, monkeypatch):
    aLoadedSeries(bench, series, False, monkeypatch)
    assert slicersOwnExporter() == ""
    monkeypatch.setattr("SAM2AnnotateSlicer.Panel.PanelState.slicersOwnExporter", lambda: "QuantitativeReporting is there")
    assert "QuantitativeReporting is there" in reasonOf(bench)


@pytest.mark.parametrize("what", ["file", "database", "folder"])
def test_a_series_that_is_gone_is_told_in_one_line(what, bench, series, tmp_path, monkeypatch):
    aLoadedSeries(bench, series, what == "folder", monkeypatch)
    if what == "database":
        monkeypatch.delattr(slicer, "dicomDatabase")
    elif what == "file":
        (series / "5.dcm").unlink()
    else:
        shutil.rmtree(series)
    told = {"file": "does not know 1 of the 8 images", "database": "does not know 8 of the 8 images", "folder": "is gone"}[what]
    assert told in saved(bench, tmp_path / "mask.dcm") and not (tmp_path / "mask.dcm").exists()


def test_a_volume_that_was_moved_or_cut_since_is_refused(bench, series, tmp_path, monkeypatch):
    volume, _, _ = aLoadedSeries(bench, series, False, monkeypatch)
    volume.SetSpacing(1, 2, 2.5)
    assert "not that of its DICOM series any more" in saved(bench, tmp_path / "mask.dcm")
    assert not (tmp_path / "mask.dcm").exists()


def test_without_highdicom_it_is_offered_and_nothing_is_installed_unasked(bench, series, tmp_path, monkeypatch):
    aLoadedSeries(bench, series, True, monkeypatch)
    state, installed = ["missing"], []
    row = lambda _self: [SetUpRow("highdicom", "writes", state[0], "", "4 MB", "here")]  # noqa: E731
    monkeypatch.setattr(Installer, "describeOptional", row)
    monkeypatch.setattr(Installer, "installOptional", lambda _self, name: installed.append(name))
    asked = []
    bench.panel.dataSets.confirm = lambda question: asked.append(question) or False
    assert "highdicom is not installed" in saved(bench, tmp_path / "mask.dcm")
    assert "takes the package highdicom (4 MB)" in asked[0] and installed == [] and not (tmp_path / "mask.dcm").exists()
    bench.panel.dataSets.confirm = lambda _question: True
    assert "Written to" in saved(bench, tmp_path / "mask.dcm") and installed == ["highdicom"]

    def fails(_self, _name):
        raise MissingPackageError("No network.")

    monkeypatch.setattr(Installer, "installOptional", fails)
    assert "highdicom could not be installed. No network." in saved(bench, tmp_path / "mask.dcm")
