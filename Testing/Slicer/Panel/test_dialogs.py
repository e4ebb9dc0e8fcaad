"""The module's windows under a real keyboard: what Enter does in each of them, and where the next key goes."""

from __future__ import annotations

import numpy as np
import pytest
import qt
import slicer
from panel_bench import makeBench, settle
from test_terminology_chooser import LIVER_SCT, anEntry
from worlds import aVolume, ballArray, waitFor

from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.volume_io import write_volume
from slicer_host import pythonqt
from slicer_host.pythonqt import type_key


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


@pytest.fixture
def cases(tmp_path):
    """A folder with two cases."""
    path = tmp_path / "cases"
    path.mkdir()
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(Volume(VolumeGrid((24, 40, 44), np.diag([0.9, 1.3, 2.7, 1.0])), ballArray()), path / name)
    return path


def opened(bench, name):
    """One of the panel's windows, active, by what opens it."""
    bench.mark()
    windows = {"worklist": bench.panel.dataSets.cases, "exportNnunet": bench.panel.dataSets.export, "setUp": bench.panel.setUp}
    bench.click(name)
    dialog = windows[name].dialog
    waitFor(lambda: slicer.app.activeWindow() == dialog, 5, "an active window")
    return dialog, windows[name].page


def buttonsOf(dialog):
    return [child for child in slicer.util.findChildren(dialog) if child.inherits("QPushButton")]


def typeEverywhere(dialog):
    """Enter, with the cursor in each field, list and table of a window in turn."""
    kinds = ("QLineEdit", "QAbstractSpinBox", "QAbstractItemView", "QComboBox")
    places = [child for child in slicer.util.findChildren(dialog) if any(child.inherits(kind) for kind in kinds)]
    tried = 0
    for place in places:
        if place.isVisible() and place.enabled:
            place.setFocus()
            type_key("Return")
            type_key("Enter")
            tried += 1
    return tried


@pytest.mark.parametrize("name", ["worklist", "exportNnunet", "setUp"])
def test_enter_presses_no_button_of_a_window(bench, name):
    dialog, _page = opened(bench, name)
    pressed = []
    for button in buttonsOf(dialog):
        button.enabled = True
        button.connect("pressed()", lambda text=button.text: pressed.append(text))
    assert typeEverywhere(dialog) > 1
    assert pressed == [] and [button.text for button in buttonsOf(dialog) if button.isDefault() or button.autoDefault] == []
    assert dialog.isVisible()


def test_enter_in_the_search_of_the_terminology_takes_nothing(bench):
    from SAM2AnnotateSlicer.Panel.TerminologyChooser import TerminologyChooser

    chooser = TerminologyChooser(slicer.util.mainWindow(), anEntry(LIVER_SCT)[1])
    chooser.dialog.show()
    waitFor(lambda: slicer.app.activeWindow() == chooser.dialog, 5)
    search = slicer.util.findChildren(chooser.navigator, name="SearchBox_Type")[0]
    assert search.enabled
    search.setFocus()
    for key in "KID":
        type_key(key)
    type_key("Return")
    assert search.text.lower() == "kid" and chooser.dialog.isVisible()
    chooser.dialog.delete()


def test_after_a_case_was_opened_the_keys_are_the_panel_s(bench, cases):
    bench.click("worklist")
    page, dialog = bench.panel.dataSets.cases.page, bench.panel.dataSets.cases.dialog
    page.ui.folderEdit.currentPath = str(cases)
    waitFor(lambda: slicer.app.activeWindow() == dialog, 5)
    page.ui.nextButton.click()
    waitFor(lambda: slicer.app.activeWindow() == slicer.util.mainWindow(), 5, "the main window active")
    assert dialog.isVisible() and bench.logic.parameters.volume.GetName() == "a"
    assert not bench.panel.boxTool.active
    type_key("B")
    assert bench.panel.boxTool.active


def test_after_a_case_was_opened_the_cursor_is_in_no_field(bench, cases):
    """The name field had the cursor when the worklist was opened, so it would have it again, and B would be a letter."""
    bench.ui.volumeSelector.setCurrentNode(aVolume())
    settle()
    pythonqt.press_key(bench.ui.segmentNameEdit, "L")
    bench.panel.dataSets.cases.open()
    page, dialog = bench.panel.dataSets.cases.page, bench.panel.dataSets.cases.dialog
    waitFor(lambda: slicer.app.activeWindow() == dialog, 5)
    page.confirm = lambda _question: True
    page.ui.folderEdit.currentPath = str(cases)
    page.ui.nextButton.click()
    waitFor(lambda: slicer.app.activeWindow() == slicer.util.mainWindow(), 5)
    type_key("B")
    assert bench.panel.boxTool.active


def test_the_terminology_dialog_is_gone_after_its_answer(bench):
    """Only on the host: in the application it would take down what is still in use further up."""
    from SAM2AnnotateSlicer.Panel.TerminologyChooser import TerminologyChooser

    one = TerminologyChooser(slicer.util.mainWindow())
    qt.QTimer.singleShot(0, lambda: slicer.app.activeModalWidget().reject())
    assert one.choose() is None
    slicer.app.sendPostedEvents(None, qt.QEvent.DeferredDelete)
    slicer.app.processEvents()
    assert one.dialog == None  # noqa: E711 - PythonQt's wrappers of what is gone equal None


def test_a_question_of_a_window_lies_over_that_window(bench, monkeypatch):
    dialog, page = opened(bench, "worklist")
    export, exportPage = opened(bench, "exportNnunet")
    asked = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda _question, parent=None: asked.append(parent) or True)
    assert page.confirm("Go on?") and exportPage.confirm("Go on?")
    assert asked == [dialog, export]
