"""From case to case of a folder: every decision is found again, whatever fails in between."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import slicer
from dicom_files import a_slice, write
from orientations import directions
from panel_bench import makeBench, settle
from worlds import ballArray, markBall

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.nnunet.sources import read_image
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.volume_io import write_volume
from SAM2AnnotateSlicer.Dicom.SeriesFiles import seriesFiles
from SAM2AnnotateSlicer.Nnunet.NnunetCase import patientIdOf
from SAM2AnnotateSlicer.Scene.SceneBridge import volumeFromNode
from SAM2AnnotateSlicer.Scene.SegmentationFile import writeSegmentation
from SAM2AnnotateSlicer.Worklist.WorklistFolder import LIST_FILE, CaseState, WorklistFolder, storedSessions
from slicer_host.modules import util_functions


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


@pytest.fixture
def folder(tmp_path):
    """Three balls: a NIfTI, a NRRD and an oblique MHA file; and files that are no volumes."""
    path = tmp_path / "cases"
    path.mkdir()
    for name, direction in (("a.nii.gz", "LPS"), ("b.nrrd", "RAS"), ("c.mha", "oblique")):
        matrix = np.eye(4)
        matrix[:3, :3] = directions()[direction] * (0.9, 1.3, 2.7)
        write_volume(Volume(VolumeGrid((24, 40, 44), matrix), ballArray()), path / name)
    (path / "notes.txt").write_text("no volume")
    (path / "old").mkdir()
    return path


def openPage(bench, folder):
    bench.click("worklist")
    page = bench.panel.dataSets.cases.page
    page.ui.folderEdit.currentPath = str(folder)
    return page


def states(page):
    table = page.ui.casesTable
    return {table.item(row, 0).text(): table.item(row, 1).text() for row in range(table.rowCount)}


def press(page, name):
    button = getattr(page.ui, f"{name}Button")
    assert button.enabled, (name, button.toolTip)
    button.click()
    settle()


def annotate(bench, accept=None):
    """Mark the ball, propagate, accept the first slices (all by default); returns masks by position."""
    bench.logic.parameters.window = "0,255"
    annotated = markBall(bench.logic)
    bench.click("propagate")
    for position in list(annotated.session.extent.indices)[:accept]:
        bench.logic.accept(position)
    return {position: annotated.session.mask(position).copy() for position in annotated.session.extent.indices}


def test_three_volumes_are_annotated_one_after_another_and_all_is_found_again(bench, folder):
    page = openPage(bench, folder)
    assert states(page) == {"a": "not started", "b": "not started", "c": "not started"}
    masks = {}
    for name, accept in (("a", None), ("b", 3), ("c", None)):
        press(page, "next")
        assert bench.logic.parameters.volume.GetName() == name and f"This is '{name}'" in page.ui.statusLabel.text
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1
        masks[name] = annotate(bench, accept)
    press(page, "save")
    assert states(page) == {"a": "reviewed", "b": "in work", "c (open)": "reviewed"}
    press(page, "next")
    annotated = bench.annotated
    assert bench.logic.parameters.volume.GetName() == "b" and len(annotated.session.locked) == 3
    assert all(np.array_equal(annotated.session.mask(p), mask) for p, mask in masks["b"].items())
    for position in annotated.session.extent.indices:
        bench.logic.accept(position)
    page.ui.casesTable.selectRow(0)
    press(page, "open")
    annotated = bench.annotated
    assert bench.logic.parameters.volume.GetName() == "a" and bench.position() == annotated.center
    assert all(np.array_equal(annotated.session.mask(p), mask) for p, mask in masks["a"].items())
    found = annotated.stack.view(
        slicer.util.arrayFromSegmentBinaryLabelmap(annotated.segmentationNode, annotated.segmentId, annotated.volumeNode) > 0
    )
    assert all(np.array_equal(found[p], mask) for p, mask in masks["a"].items())
    assert states(page) == {"a (open)": "reviewed", "b": "reviewed", "c": "reviewed"}
    assert not page.ui.nextButton.enabled and "reviewed or exported" in page.ui.nextButton.toolTip
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []
    assert not util_functions.shown_messages


def test_a_case_goes_on_with_the_object_that_has_the_most_doubtful_slice(bench, folder):
    page = openPage(bench, folder)
    press(page, "next")
    annotate(bench, 3)
    bench.click("nextObject")
    annotate(bench, 3)
    doubtful = bench.annotated
    poor = doubtful.session.results[max(doubtful.session.extent.indices)]
    doubtful.session.add_result(replace(poor, predicted_iou=0.2))
    assert doubtful.name != bench.logic.keeper.all()[0].name
    press(page, "next")
    page.ui.casesTable.selectRow(0)
    press(page, "open")
    assert len(bench.logic.keeper.all()) == 2 and bench.annotated.name == doubtful.name


def test_when_saving_fails_the_case_stays_open_and_the_last_file_stands(bench, folder, monkeypatch):
    page = openPage(bench, folder)
    press(page, "next")
    annotate(bench, 3)
    press(page, "save")
    before = (folder / "a.seg.nrrd").read_bytes()
    bench.logic.accept(bench.annotated.session.extent.last)
    volume, annotated = bench.logic.parameters.volume, bench.annotated

    def writesHalf(_node, path, *_properties):
        Path(path).write_bytes(b"half")
        return False

    for failing in (lambda *_arguments: False, writesHalf):
        monkeypatch.setattr(slicer.util, "saveNode", failing)
        press(page, "next")
        assert "was not written" in page.ui.statusLabel.text
        assert bench.logic.parameters.volume is volume and bench.annotated is annotated and len(annotated.session.locked) == 4
        assert (folder / "a.seg.nrrd").read_bytes() == before
        assert sorted(path.name for path in folder.glob(".*")) == []
        assert annotated.segmentationNode.GetStorageNode().GetFileName() == str(folder / "a.seg.nrrd")
    monkeypatch.undo()


def test_when_the_next_volume_cannot_be_loaded_the_saved_one_is_on_the_disk(bench, folder):
    page = openPage(bench, folder)
    press(page, "next")
    annotate(bench)
    (folder / "b.nrrd").write_bytes(b"NRRD0004\nno volume")
    press(page, "next")
    assert "cannot be loaded" in page.ui.statusLabel.text
    assert states(page) == {"a": "reviewed", "b": "not started", "c": "not started"}
    page.ui.casesTable.selectRow(0)
    press(page, "open")
    assert len(bench.annotated.session.locked) == 17


def test_a_crash_between_saving_and_loading_leaves_the_right_states(bench, folder, monkeypatch):
    page = openPage(bench, folder)
    press(page, "next")
    annotate(bench)

    class Crash(BaseException):
        """Nothing that any code here would catch."""

    def crash(*_arguments):
        raise Crash

    worklist = bench.panel.dataSets.worklist
    for place in ("noteBegun", "clear"):
        with monkeypatch.context() as patch:
            if place == "noteBegun":
                patch.setattr(worklist.folder, "noteBegun", crash)
            else:
                patch.setattr(worklist, "_segmentationOf", crash)
            with pytest.raises(Crash):
                worklist.goTo(worklist.folder.find("b"))
        fresh = WorklistFolder(folder)
        assert [fresh.state(case) for case in fresh.cases()] == [CaseState.REVIEWED, CaseState.NOT_STARTED, CaseState.NOT_STARTED]
    assert len(bench.annotated.session.locked) == 17


def test_what_else_is_in_the_scene_is_not_lost_without_a_question(bench, folder):
    page = openPage(bench, folder)
    press(page, "next")
    annotate(bench, 2)
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Landmarks")
    points.AddControlPoint(1, 2, 3)
    asked = []
    page.confirm = lambda question: asked.append(question) or len(asked) > 1
    press(page, "next")
    assert len(asked) == 1 and "Landmarks" in asked[0] and bench.logic.parameters.volume.GetName() == "a"
    press(page, "next")
    assert bench.logic.parameters.volume.GetName() == "b"


def test_work_outside_the_worklist_is_asked_about_before_the_first_case_is_opened(bench, folder):
    bench.mark()
    page = openPage(bench, folder)
    asked = []
    page.confirm = lambda question: asked.append(question)
    press(page, "next")
    assert "Ball segmentation" in asked[0] and bench.logic.parameters.volume.GetName() == "Ball"


def test_exported_stays_until_the_review_changes(bench, folder):
    page = openPage(bench, folder)
    press(page, "next")
    annotate(bench)
    tools = bench.panel.dataSets
    tools.exporter.exported.emit(bench.logic.parameters.volume, "/raw/Dataset001_Balls")
    press(page, "save")
    assert states(page)["a (open)"] == "exported"
    stored = json.loads((folder / LIST_FILE).read_text())
    assert stored["cases"]["a"]["exported"]["data_set"] == "/raw/Dataset001_Balls"
    bench.logic.unlock(bench.annotated.center)
    press(page, "save")
    assert states(page)["a (open)"] == "in work"
    bench.logic.accept(bench.annotated.center)
    press(page, "save")
    assert states(page)["a (open)"] == "exported"  # word for word the review that was exported


def test_the_scene_cannot_be_left_while_a_slice_is_corrected(bench, folder):
    page = openPage(bench, folder)
    press(page, "next")
    annotate(bench, 2)
    bench.click("goToCenter")
    bench.click("correct")
    assert not page.ui.nextButton.enabled and "being corrected" in page.ui.nextButton.toolTip
    bench.click("leave")
    assert page.ui.nextButton.enabled


def test_a_folder_that_cannot_be_used_says_why(bench, tmp_path, folder):
    page = openPage(bench, tmp_path / "missing")
    assert "no folder" in page.ui.statusLabel.text and not page.ui.nextButton.enabled
    (folder / LIST_FILE).write_text("{")
    page.ui.folderEdit.currentPath = str(folder)
    assert "is damaged" in page.ui.statusLabel.text
    with pytest.raises(InputError, match="only which cases were exported is forgotten"):
        WorklistFolder(folder)


def test_files_that_are_volumes_are_listed_by_names_of_their_own(tmp_path):
    for name in ("x.nii.gz", "x.nrrd", "y.mha", "y.seg.nrrd", ".hidden.nii", "z.txt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "1.dcm").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "other").mkdir()
    cases = WorklistFolder(tmp_path).cases()
    assert [case.name for case in cases] == ["series", "x.nii.gz", "x.nrrd", "y"]
    assert cases[0].segmentation == tmp_path / "series.seg.nrrd" and cases[3].segmentation == tmp_path / "y.seg.nrrd"


def test_a_folder_with_a_dicom_series_is_a_case_with_its_patient(bench, tmp_path):
    series = Path(__file__).resolve().parents[4] / "shared" / "data" / "mr_gbm_001_dicom" / "dicom"
    if not series.is_dir():
        pytest.skip("needs the shared data")
    folder = tmp_path / "cases"
    folder.mkdir()
    (folder / "mr").symlink_to(series)
    page = openPage(bench, folder)
    press(page, "next")
    volume, expected = bench.logic.parameters.volume, read_image(series)
    assert np.array_equal(slicer.util.arrayFromVolume(volume), expected.volume.array_kji)
    assert volumeFromNode(volume).grid.is_close(expected.volume.grid) and volumeFromNode(volume).modality == "MR"
    assert patientIdOf(volume) == expected.patient_id and expected.patient_id
    bench.logic.parameters.window = "0,255"
    depth = volume.GetImageData().GetDimensions()[2] // 2
    bench.logic.markObject("k", depth, [(40, 60), (40, 60), (depth, depth + 2)])
    press(page, "save")
    assert (folder / "mr.seg.nrrd").is_file() and states(page) == {"mr (open)": "in work"}


def aTiltedSeries(folder):
    """Ten slices of a bright block, each shifted by 1.5 mm against the one before, as by a tilted gantry."""
    for k in range(10):
        stored = np.full((24, 20), 20, dtype=np.int16)
        stored[8:16, 6:14] = 400
        write(a_slice(stored, k + 1, (-5, 7 + 1.5 * k, 3 * k)), folder / f"{k}.dcm")
    return folder


def test_a_series_of_a_tilted_gantry_is_opened_with_its_slices_shifted_back_where_one_wants_it(bench, folder):
    expected = read_image(aTiltedSeries(folder / "Head"), untilt=True)
    page = openPage(bench, folder)
    assert not page.ui.untiltCheckBox.checked
    press(page, "next")
    assert "tick 'Shift back slices of a tilted gantry'" in page.ui.statusLabel.toolTip  # whole there
    assert not bench.logic.hasParameters or bench.logic.parameters.volume is None
    page.ui.untiltCheckBox.click()
    press(page, "next")
    volume = bench.logic.parameters.volume
    assert "This is 'Head'. The gantry was tilted by 26.6 degrees;" in page.ui.statusLabel.text
    assert np.array_equal(slicer.util.arrayFromVolume(volume), expected.volume.array_kji)
    assert volumeFromNode(volume).grid.is_close(expected.volume.grid)
    bench.logic.parameters.window = "0,255"
    bench.logic.markObject("k", 4, [(6, 14), (11, 19), (3, 6)])
    bench.click("propagate")
    session = bench.annotated.session
    for position in session.extent.indices:
        bench.logic.accept(position)
    masks = {position: session.mask(position).copy() for position in session.extent.indices}
    assert len(masks) == 3 and all(mask.any() for mask in masks.values())
    bench.panel.refresh()
    assert not bench.ui.saveDicomButton.enabled and "were shifted back" in bench.ui.saveDicomButton.toolTip
    with pytest.raises(InputError, match="refers to the images as they are"):
        seriesFiles(volume)
    press(page, "next")
    assert states(page)["Head"] == "reviewed" and "tilted" not in page.ui.statusLabel.text
    page.ui.casesTable.selectRow(0)
    press(page, "open")
    assert all(np.array_equal(bench.annotated.session.mask(position), mask) for position, mask in masks.items())
    page.ui.untiltCheckBox.click()
    assert bench.panel.dataSets.worklist.untilt is False


def test_a_segmentation_that_is_opened_again_is_called_as_it_was(bench, folder):
    page = openPage(bench, folder)
    press(page, "next")
    annotate(bench, 3)
    name = bench.annotated.segmentationNode.GetName()
    press(page, "next")
    press(page, "back") if hasattr(page.ui, "backButton") else page.ui.casesTable.selectRow(0)
    press(page, "open")
    assert bench.annotated.segmentationNode.GetName() == name == f"{bench.annotated.volumeNode.GetName()} segmentation"


def test_statuses_of_a_file_are_read_from_its_header(bench, folder):
    page = openPage(bench, folder)
    press(page, "next")
    annotate(bench, 4)
    bench.logic.nextObject()
    press(page, "save")
    fresh = WorklistFolder(folder)
    assert fresh.state(fresh.find("a")) is CaseState.IN_WORK
    annotated = bench.logic.keeper.all()[0]
    assert annotated.counts()[SliceStatus.ACCEPTED] == 4


def test_the_journal_of_a_case_that_was_saved_is_gone(bench, folder):
    page = openPage(bench, folder)
    press(page, "next")
    annotate(bench, 3)
    journals = bench.logic.keeper.journals
    assert journals.candidates(bench.logic.volumeNode) != []
    press(page, "save")
    assert journals.candidates(bench.logic.volumeNode) == []
    bench.logic.accept(bench.annotated.session.extent.last)
    assert journals.candidates(bench.logic.volumeNode) != []  # what was decided since is not in the file


def test_a_file_that_the_segmentation_did_not_come_from_is_not_replaced(bench, folder):
    (folder / "a.seg.nrrd").write_bytes(b"damaged, but somebody may mend it")
    page = openPage(bench, folder)
    page.ui.casesTable.selectRow(0)
    press(page, "open")
    assert "cannot be loaded" in page.ui.statusLabel.text
    volume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    bench.ui.volumeSelector.setCurrentNode(volume)
    annotated = annotate(bench, 2) and bench.annotated
    for button in ("save", "next"):
        press(page, button)
        assert "holds another segmentation" in page.ui.statusLabel.text and bench.annotated is annotated
    assert (folder / "a.seg.nrrd").read_bytes() == b"damaged, but somebody may mend it"
    (folder / "a.seg.nrrd").unlink()
    press(page, "save")
    bench.logic.accept(annotated.session.extent.last)
    press(page, "save")  # its own file by now
    assert "Saved" in page.ui.statusLabel.text and WorklistFolder(folder).state(page._worklist.current) is CaseState.IN_WORK


def test_a_segmentation_that_was_saved_elsewhere_too_is_still_the_case_s_own(bench, folder, tmp_path):
    page = openPage(bench, folder)
    press(page, "next")
    annotate(bench, 2)
    press(page, "save")
    assert writeSegmentation(bench.annotated.segmentationNode, str(tmp_path / "copy.seg.nrrd")) == ""
    bench.logic.accept(bench.annotated.session.extent.last)
    press(page, "save")
    assert "Saved" in page.ui.statusLabel.text and len(storedSessions(folder / "a.seg.nrrd")[0].locked) == 3


def test_a_folder_within_that_may_not_be_looked_into_is_told_and_hides_no_case(bench, folder, monkeypatch):
    real = Path.iterdir

    def refused(path):
        if path.name in ("old", "secret"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "iterdir", refused)
    page = openPage(bench, folder)
    assert len(states(page)) == 3 and "may not be looked into: old" in page.ui.statusLabel.text
    (folder / "secret").mkdir()
    page.ui.folderEdit.currentPath = str(folder / "secret")
    assert "cannot be read: Permission denied" in page.ui.statusLabel.text and states(page) == {}
