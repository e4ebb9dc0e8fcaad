"""The export page, driven by its fields and buttons: from a reviewed object to a data set, and the next case by the same plan."""

from __future__ import annotations

import json

import numpy as np
import pytest
import qt
import slicer
from data_set_worlds import aSegmentation, drawn, reviewed, written
from panel_bench import makeBench, settle
from worlds import aVolume, waitFor

from SAM2AnnotateLib.nnunet import DataSet


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def ball(volume):
    return slicer.util.arrayFromVolume(volume) > 100


def cored(volume):
    """The middle of the ball."""
    core = np.zeros(ball(volume).shape, bool)
    core[10:14, 16:24, 18:26] = True
    return core


def aCase(bench, name, *segments):
    """A volume with these reviewed segments, chosen in the panel; (segment name, mask, undecided slices)."""
    volume = aVolume(name=name)
    bench.ui.volumeSelector.setCurrentNode(volume)
    node = aSegmentation(volume, f"{name} segmentation")
    for segment, mask, undecided in segments:
        reviewed(bench.logic, node, volume, segment, mask(volume), undecided=undecided)
    bench.logic.parameters.segmentation = node
    settle()
    return volume, node


def openPage(bench, raw):
    bench.click("exportNnunet")
    page = bench.panel.dataSets.export.page
    page.ui.rawFolderEdit.currentPath = str(raw)
    settle()
    return page


def press(page, name):
    button = getattr(page.ui, f"{name}Button")
    assert button.enabled, (name, button.toolTip)
    button.click()
    waitFor(lambda: not page.exporter.busy, 60, name)
    settle()


def test_a_reviewed_object_goes_into_a_new_data_set_and_the_next_case_follows_its_plan(bench, raw):
    volume, _node = aCase(bench, "Ball one", ("Ball", ball, 0), ("Core", cored, 0))
    page = openPage(bench, raw)
    ui = page.ui
    assert ui.caseIdEdit.text == "Ball_one" and ui.patientIdEdit.text == ""
    assert not ui.previewButton.enabled and "patient's id" in ui.previewButton.toolTip
    ui.patientIdEdit.text = "P1"
    ui.nameEdit.text = "Balls"
    ui.channelsTable.item(0, 0).setText("CT")
    assert ui.previewButton.enabled and not ui.exportButton.enabled and "Press 'Preview' first" in ui.exportButton.toolTip
    press(page, "preview")
    assert "1 Ball <- Ball" in ui.resultView.toPlainText() and "2 Core <- Core" in ui.resultView.toPlainText()
    assert not list(raw.glob("Dataset*"))
    press(page, "export")
    assert "Exported 'Ball_one'" in ui.statusLabel.text and "added (train, patient P1)" in ui.resultView.toPlainText()
    folder = raw / "Dataset001_Balls"
    _images, labels = written(folder, "Ball_one")
    assert np.array_equal(labels.array_kji, np.where(cored(volume), 2, ball(volume).astype(int)))

    second, _node = aCase(bench, "Ball two", ("core", cored, 0), ("Vessel", cored, 0), ("BALL", ball, 0))
    bench.click("exportNnunet")
    assert ui.caseIdEdit.text == "Ball_two" and ui.dataSetComboBox.currentText == "Dataset001_Balls"
    assert not ui.nameEdit.enabled and not ui.addChannelButton.enabled and "those of the data set" in ui.addChannelButton.toolTip
    assert [ui.labelsTable.item(row, 2).text() for row in range(ui.labelsTable.rowCount)] == ["Ball", "Core"]
    ui.patientIdEdit.text = "P2"
    press(page, "preview")
    assert "Vessel: the plan has no label for it" in ui.resultView.toPlainText()
    press(page, "export")
    _images, again = written(folder, "Ball_two")
    assert np.array_equal(again.array_kji, np.where(cored(second), 2, ball(second).astype(int)))
    assert set(DataSet.open(folder).cases()) == {"Ball_one", "Ball_two"}


def test_replacing_a_case_asks_first(bench, raw):
    aCase(bench, "Ball", ("Ball", ball, 0))
    page = openPage(bench, raw)
    page.ui.patientIdEdit.text, page.ui.nameEdit.text = "P1", "Balls"
    press(page, "preview")
    press(page, "export")
    asked = []
    page.confirm = lambda question: asked.append(question) or len(asked) > 1
    press(page, "preview")
    assert "Replaces the case" in page.ui.resultView.toPlainText()
    file = raw / "Dataset001_Balls" / "provenance" / "Ball.json"
    before = file.stat().st_mtime_ns
    press(page, "export")
    assert len(asked) == 1 and "will be replaced" in asked[0] and file.stat().st_mtime_ns == before
    press(page, "export")
    assert len(asked) == 2 and file.stat().st_mtime_ns > before and "Ball: replaced" in page.ui.resultView.toPlainText()


def test_labels_and_channels_are_edited_in_the_tables(bench, raw):
    volume, node = aCase(bench, "Ball", ("Tumor 1", ball, 0))
    drawn(node, volume, "Tumor 2", cored(volume))
    drawn(node, volume, "Helper", cored(volume))
    other = aVolume(name="Other sequence")
    page = openPage(bench, raw)
    ui = page.ui
    values = [ui.labelsTable.item(row, 1).text() for row in range(3)]
    labels = [ui.labelsTable.item(row, 2).text() for row in range(3)]
    assert (values, labels) == (["1", "1", "2"], ["Tumor", "Tumor", "Helper"])
    assert ui.labelsTable.item(0, 3).checkState() == qt.Qt.Checked
    ui.labelsTable.item(2, 2).setText("")
    assert ui.labelsTable.item(2, 1).text() == "left out"
    ui.channelsTable.item(0, 0).setText("T1")
    press(page, "addChannel")
    assert not ui.previewButton.enabled
    ui.channelsTable.item(1, 0).setText("T2")
    chooser = ui.channelsTable.cellWidget(1, 1)
    chooser.setCurrentIndex(chooser.findData(other.GetID()))
    ui.patientIdEdit.text, ui.nameEdit.text = "P1", "Balls"
    bench.click("exportNnunet")
    assert ui.labelsTable.item(2, 1).text() == "left out" and ui.channelsTable.rowCount == 2, "what was typed stays"
    press(page, "preview")
    press(page, "export")
    stored = json.loads((raw / "Dataset001_Balls" / "dataset.json").read_text())
    assert stored["channel_names"] == {"0": "T1", "1": "T2"} and stored["labels"] == {"background": 0, "Tumor": 1}
    provenance = json.loads((raw / "Dataset001_Balls" / "provenance" / "Ball.json").read_text())
    assert provenance["left_out"] == [{"name": "Helper", "reason": "the plan has no label for it"}]
    assert provenance["frame"] == "local to the first image" and provenance["segments"][0]["review"]["unreviewed"] == 0


def test_a_change_of_form_or_review_asks_for_a_new_preview(bench, raw):
    _volume, _node = aCase(bench, "Ball", ("Ball", ball, 2))
    page = openPage(bench, raw)
    page.ui.patientIdEdit.text, page.ui.nameEdit.text = "P1", "Balls"
    press(page, "preview")
    assert "2 of 17 slices are neither accepted nor corrected" in page.ui.resultView.toPlainText() and page.ui.exportButton.enabled
    page.ui.unreviewedComboBox.setCurrentIndex(page.ui.unreviewedComboBox.findData("keep"))
    assert not page.ui.exportButton.enabled
    press(page, "preview")
    assert "2 not reviewed" in page.ui.resultView.toPlainText() and page.ui.exportButton.enabled
    bench.logic.changed.emit()
    assert not page.ui.exportButton.enabled


def test_what_goes_wrong_is_shown_in_the_page_and_the_data_set_stays(bench, raw):
    _volume, _node = aCase(bench, "Ball", ("Ball", ball, 1))
    page = openPage(bench, raw)
    page.ui.patientIdEdit.text, page.ui.nameEdit.text = "P1", "Balls"
    page.ui.unreviewedComboBox.setCurrentIndex(page.ui.unreviewedComboBox.findData("refuse"))
    press(page, "preview")
    assert "Finish the review first" in page.ui.statusLabel.text and "c0392b" in page.ui.statusLabel.styleSheet
    assert not page.ui.exportButton.enabled and not list(raw.glob("Dataset*"))


def test_verify_and_the_folder_are_at_hand_once_there_is_a_data_set(bench, raw, tmp_path):
    aCase(bench, "Ball", ("Ball", ball, 0))
    page = openPage(bench, raw)
    assert not page.ui.verifyButton.enabled and "no such data set" in page.ui.verifyButton.toolTip
    page.ui.patientIdEdit.text, page.ui.nameEdit.text = "P1", "Balls"
    press(page, "preview")
    press(page, "export")
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'nnunetv2'\" >&2\nexit 1\n")
    python.chmod(0o755)
    page.ui.pythonEdit.currentPath = str(python)
    press(page, "verify")
    assert page.ui.statusLabel.text == "No problems."
    found = page.ui.resultView.toPlainText()
    assert "our own checks only" in found and "'Python with nnU-Net'" in found and "pip install" not in found
    opened = []
    page.openFolder = opened.append
    page.ui.openFolderButton.click()
    assert opened == [str(raw / "Dataset001_Balls")]


def test_every_control_of_the_page_has_a_tooltip_and_a_disabled_button_says_why(bench, raw):
    aCase(bench, "Ball", ("Ball", ball, 0))
    page = openPage(bench, raw)
    for name in dir(page.ui):
        widget = getattr(page.ui, name)
        if name.endswith(("Button", "Edit", "ComboBox", "SpinBox", "CheckBox", "Table", "Selector", "View")):
            assert widget.toolTip, name
        if name.endswith("Button"):
            assert widget.enabled or "Not now:" in widget.toolTip, name


def test_the_page_survives_the_end_of_its_scene_and_of_the_module(bench, raw):
    aCase(bench, "Ball", ("Ball", ball, 0))
    page = openPage(bench, raw)
    slicer.mrmlScene.Clear(False)
    settle()
    assert not page.ui.previewButton.enabled
    aCase(bench, "Ball two", ("Ball", ball, 0))
    bench.click("exportNnunet")
    assert page.ui.caseIdEdit.text == "Ball_two"
    bench.panel.cleanup()
    assert bench.panel.dataSets.export.page is None
