"""What can be used on the panel in which state, why not, by which key, and who gets the keys."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import qt
import slicer
from panel_bench import MODULE, makeBench

from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Panel.PanelControls import controls, whyNot
from SAM2AnnotateSlicer.Panel.PanelState import PanelState
from slicer_host.modules import util_functions
from slicer_host.modules.scripted_module import leave_module
from slicer_host.pythonqt import press_key

UI_FILE = MODULE.parent / "Resources" / "UI" / "SAM2Annotate.ui"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


# -- what is enabled ----------------------------------------------------------------------------------------------------------------

EMPTY = PanelState()
VOLUME = PanelState(hasVolume=True, newSegment=True)
OBJECT = {"hasVolume": True, "hasSegmentation": True, "hasObject": True, "onSlice": True, "due": 9, "open": 1}
MARKED = PanelState(status=SliceStatus.PROPOSED, acceptable=1, **OBJECT)
ACCEPTED = PanelState(status=SliceStatus.ACCEPTED, lockedCount=1, undoLabel="accept", **OBJECT)
RUNNING = PanelState(status=SliceStatus.EMPTY, running=True, **OBJECT)
CORRECTING = PanelState(status=SliceStatus.PROPOSED, correcting=True, **OBJECT)
OUTSIDE = PanelState(**OBJECT)
DICOM = PanelState(fromDicom=True, status=SliceStatus.PROPOSED, acceptable=1, **OBJECT)
OWN_EXPORTER = PanelState(fromDicom=True, ownExporter="Use Slicer's own.", **OBJECT)
RECOVERABLE = PanelState(status=SliceStatus.PROPOSED, acceptable=1, recoverable=True, **OBJECT)
ALWAYS = {"setUp", "follow", "worklist"}
SCENE = ALWAYS | {"volume", "model", "learned", "keepOff", "afterAccept", "trySample"}
CHOOSING = SCENE | {"segmentation", "segment", "window", "showFed", "loadProposals", "prototype", "proposeObject"}
DRAWN = {"showMask", "outlineOnly", "fainter", "stronger", "show3D"}
WITH_OBJECT = (
    CHOOSING
    | DRAWN
    | {
        *("addPositive", "addNegative", "firstSlice", "lastSlice", "extent", "goToCenter", "nextObject"),
        *("nextDoubtful", "sliceUp", "sliceDown", "save", "exportNnunet"),
    }
)
ENABLED = {
    "closing": (PanelState(hasScene=False), ALWAYS),
    "empty": (EMPTY, SCENE),
    "volume": (VOLUME, CHOOSING | {"segmentName", "terminology", "drawBox"}),
    "marked": (MARKED, WITH_OBJECT | {"drawBox", "propagate", "accept", "acceptUpTo", "correct", "noObject"}),
    "from DICOM": (DICOM, WITH_OBJECT | {"saveDicom", "drawBox", "propagate", "accept", "acceptUpTo", "correct", "noObject"}),
    "accepted": (ACCEPTED, WITH_OBJECT | {"propagate", "correct", "noObject", "unlock", "undo", "keepPrototype"}),
    "running": (RUNNING, WITH_OBJECT | {"drawBox", "cancel", "correct", "noObject"}),
    "correcting": (
        CORRECTING,
        ALWAYS
        | {
            "keepOff",
            "afterAccept",
            "showFed",
            "goToCenter",
            "nextDoubtful",
            "sliceUp",
            "sliceDown",
            "undo",
            "redo",
            "finish",
            "leave",
            "save",
        }
        | {"paintTool", "eraseTool", "drawTool", "thresholdTool", "brush", "range", "nearBox", "fill"},
    ),
    "outside": (OUTSIDE, WITH_OBJECT | {"drawBox", "propagate"}),
    "recoverable": (
        RECOVERABLE,
        ALWAYS
        | DRAWN
        | {
            "recover",
            "discard",
            "window",
            "showFed",
            "model",
            "keepOff",
            "afterAccept",
            "goToCenter",
            "nextDoubtful",
            "sliceUp",
            "sliceDown",
            "save",
        },
    ),
}


@pytest.mark.parametrize("name", ENABLED)
def test_exactly_the_controls_that_make_sense_are_enabled(name):
    state, expected = ENABLED[name]
    assert {control.name for control in controls() if not whyNot(control, state)} == expected


@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        ("drawBox", EMPTY, "Choose a volume first"),
        ("drawBox", ACCEPTED, "accepted or corrected. Drag its box"),
        ("drawBox", RECOVERABLE, "Press 'Recover' or 'Discard'"),
        ("propagate", VOLUME, "Mark an object first"),
        ("propagate", RUNNING, "being computed"),
        ("accept", OUTSIDE, "outside the object's first and last slice"),
        ("accept", RUNNING, "no mask yet"),
        ("accept", ACCEPTED, "already"),
        ("accept", CORRECTING, "Finish it"),
        ("accept", PanelState(status=SliceStatus.STALE, **OBJECT), "out of date"),
        ("acceptUpTo", ACCEPTED, "no slice is proposed"),
        ("unlock", MARKED, "neither accepted nor corrected"),
        ("finish", MARKED, "No slice is being corrected"),
        ("cancel", MARKED, "Nothing is being computed"),
        ("undo", MARKED, "nothing to take back"),
        ("save", EMPTY, "no segmentation"),
        ("nextVolume", MARKED, "only volume"),
        ("saveDicom", MARKED, "loaded from no DICOM series"),
        ("saveDicom", OWN_EXPORTER, "Use Slicer's own."),
        ("recover", MARKED, "nothing to recover"),
    ],
)
def test_a_disabled_control_has_a_reason(name, state, reason):
    control = next(control for control in controls() if control.name == name)
    assert reason in whyNot(control, state)


def interactive(bench):
    """The widgets of the .ui file that a person can use, by name."""
    kinds = ("QPushButton", "QCheckBox", "QComboBox", "QLineEdit", "qMRMLNodeComboBox", "ctkRangeWidget", "QProgressBar")
    wanted = [element.get("name") for element in ElementTree.parse(UI_FILE).iter("widget") if element.get("class") in kinds]
    return {name: getattr(bench.ui, name) for name in wanted}


def test_every_control_has_a_tooltip_and_a_disabled_one_says_why(bench):
    states = [lambda: None, bench.mark, lambda: bench.click("propagate"), lambda: bench.click("accept"), lambda: bench.click("correct")]
    seen = set()
    for reach in states:
        reach()
        found = interactive(bench)
        assert len(found) >= 40
        for name, widget in found.items():
            assert widget.toolTip, name
            assert widget.enabled != ("Not now:" in widget.toolTip), (name, widget.toolTip)
            seen.add((name, bool(widget.enabled)))
    assert {name for name, enabled in seen if enabled} >= {"drawBoxButton", "propagateButton", "acceptButton", "finishButton"}
    assert bench.panel.review.strip.toolTip


def test_keys_are_told_in_the_tooltips_and_why_undo_is_not_the_usual_one(bench):
    assert "(B)" in bench.ui.drawBoxButton.toolTip and "(Shift+A)" in bench.ui.acceptUpToButton.toolTip
    assert "Not Ctrl+Z" in bench.ui.undoButton.toolTip


# -- keys ---------------------------------------------------------------------------------------------------------------------------


def test_keys_belong_to_a_text_field_while_the_cursor_is_in_it(bench):
    bench.mark()
    bench.click("nextObject")
    edit = bench.ui.segmentNameEdit
    edit.setFocus()
    for key in ("A", "B", "X"):
        press_key(edit, key)
    assert edit.text.lower() == "abx" and not bench.panel.boxTool.active
    bench.service.asked.clear()
    press_key(edit, "Return")
    assert bench.service.asked == []
    bench.key("B")
    assert bench.panel.boxTool.active


def test_enter_in_the_number_field_of_the_slider_does_not_propagate(bench):
    bench.mark()
    bench.service.asked.clear()
    field = slicer.util.findChildren(bench.ui.extentRange, name="MinimumSpinBox")[0]
    spinBox = field.spinBox() if hasattr(field, "spinBox") else field
    spinBox.setFocus()
    press_key(spinBox, "Return")
    assert "propagate" not in bench.service.asked


def test_keys_are_dead_after_the_module_is_left_and_alive_when_it_is_entered(bench):
    annotated = bench.propagated()
    leave_module("SAM2Annotate")
    for key in ("A", "B", "Return", "Escape", "Up"):
        bench.key(key)
    assert not annotated.session.locked and not bench.panel.boxTool.active and not bench.panel.shortcuts.installed
    bench.enter()
    bench.key("A")
    assert annotated.session.locked


def test_no_key_is_taken_twice(bench):
    bench.mark()
    names = [shortcut.key.toString() for shortcut in slicer.util.mainWindow().findChildren(qt.QShortcut)]
    assert len(names) == len(set(names)) == 23
    assert not {"Ctrl+Z", "Ctrl+Y"} & set(names)


def test_a_key_that_cannot_be_used_now_says_why(bench):
    for key, text in (("A", "Mark an object first"), ("B", "Choose a volume first"), ("Return", "Mark an object first")):
        bench.key(key)
        assert text in bench.message
    assert not util_functions.shown_messages
