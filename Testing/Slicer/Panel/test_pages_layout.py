"""The windows fit a small screen, say why a button cannot be used, and what they tell of a preview ends with it."""

from __future__ import annotations

import pytest
import qt
import slicer
from data_set_worlds import aSegmentation, reviewed
from panel_bench import makeBench, settle
from worlds import aVolume, waitFor

from slicer_host import look


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


def aCase(bench):
    volume = aVolume(name="CT 1")
    bench.ui.volumeSelector.setCurrentNode(volume)
    node = aSegmentation(volume, "CT 1 segmentation")
    reviewed(bench.logic, node, volume, "Ball", slicer.util.arrayFromVolume(volume) > 100)
    bench.logic.parameters.segmentation = node
    settle()


def openExport(bench, tmp_path):
    aCase(bench)
    bench.ui.saveSection.collapsed = False
    bench.click("exportNnunet")
    export = bench.panel.dataSets.export
    (tmp_path / "raw").mkdir()
    export.page.ui.rawFolderEdit.currentPath = str(tmp_path / "raw")
    export.page.ui.patientIdEdit.text = "P1"
    settle()
    return export.dialog, export.page


def inWindow(dialog, widget):
    """Whether all of a widget is seen in its window."""
    top = widget.mapTo(dialog, qt.QPoint(0, 0)).y()
    return bool(widget.visible) and top >= 0 and top + widget.height <= dialog.height


def preview(page):
    page.ui.previewButton.click()
    waitFor(lambda: not page.exporter.busy, 60)
    settle()


def test_every_window_fits_a_small_screen(bench, tmp_path):
    dialog, page = openExport(bench, tmp_path)
    bench.click("worklist")
    bench.click("setUp")
    for one in (dialog, bench.panel.dataSets.cases.dialog, bench.panel.setUp.dialog):
        assert one.width < look.SMALL_SCREEN[0] and one.height <= look.SMALL_SCREEN[1] - 60, one.windowTitle
    for name in ("previewButton", "exportButton", "cancelButton", "statusLabel", "hintLabel", "resultView"):
        assert inWindow(dialog, getattr(page.ui, name)), name
    assert page.ui.resultView.height >= 100 and page.ui.labelsTable.height >= 120
    page.ui.formArea.ensureWidgetVisible(page.ui.pythonEdit)
    settle()
    assert inWindow(dialog, page.ui.pythonEdit)


def test_a_window_that_is_made_very_small_scrolls(bench, tmp_path):
    dialog, page = openExport(bench, tmp_path)
    dialog.resize(500, 260)
    settle()
    area = slicer.util.findChildren(dialog, className="QScrollArea")[0]
    assert area.verticalScrollBar().maximum > 0
    area.ensureWidgetVisible(page.ui.resultView, 0, 0)
    settle()
    assert page.ui.resultView.mapTo(dialog, qt.QPoint(0, 0)).y() < dialog.height and page.ui.resultView.height >= 100


def test_why_preview_and_export_wait_stands_beside_them(bench, tmp_path):
    _dialog, page = openExport(bench, tmp_path)
    page.ui.nameEdit.text = ""
    settle()
    assert not page.ui.previewButton.enabled and page.ui.hintLabel.visible
    assert page.ui.hintLabel.text and page.ui.hintLabel.text in page.ui.previewButton.toolTip.replace("\u200b", "")
    page.ui.nameEdit.text = "Ball"
    settle()
    assert page.ui.previewButton.enabled and "Press 'Preview' first" in page.ui.hintLabel.text


def test_what_is_said_of_a_preview_ends_when_the_form_changes(bench, tmp_path):
    _dialog, page = openExport(bench, tmp_path)
    page.ui.nameEdit.text = "Ball"
    preview(page)
    assert page.ui.statusLabel.text == "This is what 'Export' will write." and "Ball" in page.ui.resultView.toPlainText()
    page.ui.testShareSpinBox.value = 40
    settle()
    assert "out of date" in page.ui.statusLabel.text and not page.ui.exportButton.enabled
    assert "Press 'Preview' first" in page.ui.hintLabel.text
    preview(page)
    assert page.ui.statusLabel.text == "This is what 'Export' will write." and page.ui.exportButton.enabled
    bench.logic.changed.emit()  # the scene changed, the form did not
    settle()
    assert "out of date" in page.ui.statusLabel.text


def test_worklist_and_set_up_say_why_not_beside_the_buttons(bench):
    bench.click("worklist")
    cases = bench.panel.dataSets.cases.page
    assert cases.ui.hintLabel.visible and cases.ui.hintLabel.text == "Choose a folder with volumes first."
    bench.click("setUp")
    page = bench.panel.setUp.page
    assert page.ui.downloadHintLabel.visible and page.ui.downloadHintLabel.text
    assert page.ui.installHintLabel.visible == (not page.ui.installButton.enabled or not page.ui.checkButton.enabled)
