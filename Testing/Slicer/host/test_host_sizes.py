"""The host's widgets are as large as those of a real Slicer 5.12.3, its panel as wide, its screen as small; it has both styles."""

from __future__ import annotations

import ctk
import pytest
import qt
import slicer

from slicer_host import look

# Text, whether there is an icon -> sizeHint (width, height) in pixels, as the real application told.
BUTTONS = {
    ("Save segmentation...", False): (147, 25),
    ("Accept up to here (Shift+A)", False): (187, 25),
    ("Next object", False): (83, 25),
    ("Undo (Z)", False): (80, 25),
    ("Next doubtful (N)", True): (149, 30),
    ("Draw box (B)", True): (121, 30),
}
LABELS = {"Segmentation:": (96, 17), "Slice": (31, 17), "Not started": (74, 17)}


def near(size, expected):
    return abs(size.width() - expected[0]) <= 3 and abs(size.height() - expected[1]) <= 2


@pytest.mark.parametrize(("what", "expected"), BUTTONS.items())
def test_buttons_are_as_large_as_in_slicer(what, expected):
    text, hasIcon = what
    button = qt.QPushButton(text)
    if hasIcon:
        pixmap = qt.QPixmap(32, 32)
        pixmap.fill(qt.QColor(0, 0, 0))
        button.icon = qt.QIcon(pixmap)
    assert near(button.sizeHint, expected), button.sizeHint


@pytest.mark.parametrize(("text", "expected"), LABELS.items())
def test_labels_are_as_large_as_in_slicer(text, expected):
    assert near(qt.QLabel(text).sizeHint, expected)


def test_the_screen_is_a_small_one_and_the_panel_begins_at_410_pixels():
    geometry = slicer.util.mainWindow().screen().availableGeometry
    assert (geometry.width(), geometry.height()) == look.SMALL_SCREEN
    area = slicer.util.findChild(slicer.util.mainWindow(), "ScrollArea")
    assert area.width == 410 and abs(area.viewport().height - 577) <= 10


def test_a_node_selector_becomes_wider_with_its_names():
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.setMRMLScene(slicer.mrmlScene)
    assert selector.minimumSizeHint.width() == 136
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT thorax and abdomen, venous phase, reconstructed with kernel B30f")
    assert selector.minimumSizeHint.width() > 400


def test_the_segment_editors_effects_want_more_than_a_panel_has():
    editor = slicer.qMRMLSegmentEditorWidget()
    editor.setEffectNameOrder(("Paint", "Erase", "Draw", "Threshold"))
    editor.unorderedEffectsVisible = False
    editor.effectColumnCount = 5
    editor.setMRMLScene(slicer.mrmlScene)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    editor.setMRMLSegmentEditorNode(node)
    node.SetActiveEffectName("Paint")
    assert editor.minimumSizeHint.width() > 600


def test_the_dark_style_is_slicers():
    window = slicer.util.mainWindow()
    look.set_dark(True)
    slicer.app.processEvents()
    try:
        assert window.palette.color(qt.QPalette.Window).name() == "#323232"
        assert window.palette.color(qt.QPalette.WindowText).name() == "#ffffff"
    finally:
        look.set_dark(False)
    slicer.app.processEvents()
    assert window.palette.color(qt.QPalette.Window).name() == "#ffffff"


def test_what_is_hidden_in_a_closed_section_stays_hidden_when_it_opens():
    section = ctk.ctkCollapsibleButton()
    layout = qt.QVBoxLayout(section)
    kept, hidden = qt.QLabel("kept"), qt.QLabel("hidden")
    layout.addWidget(kept)
    layout.addWidget(hidden)
    section.show()
    section.collapsed = True
    hidden.visible = False
    section.collapsed = False
    assert kept.visible and not hidden.visible
