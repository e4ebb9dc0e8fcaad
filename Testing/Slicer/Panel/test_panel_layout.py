"""The panel is steady: as wide at every step, all of it in reach on a small screen, its sections open as the work goes on, texts fit."""

from __future__ import annotations

import numpy as np
import pytest
import qt
import slicer
from panel_bench import makeBench, plainText, settle
from worlds import aVolume, markBall

from SAM2AnnotateLib.errors import EngineError
from SAM2AnnotateSlicer.Views.ReviewStrip import ReviewStrip
from SAM2AnnotateSlicer.Words import breakable, sentence, shortened
from slicer_host import look

LONG_NAME = "CT_thorax_abdomen_pelvis_venous_phase_reconstructed_B30f_2026-11-28_patient_000123456789"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


def area():
    return slicer.util.findChild(slicer.util.mainWindow(), "ScrollArea")


def inSight(widget) -> bool:
    """Whether all of a widget is seen in the panel without scrolling further."""
    viewport = area().viewport()
    top = widget.mapTo(viewport, qt.QPoint(0, 0)).y()
    return bool(widget.visible) and top >= 0 and top + widget.height <= viewport.height


def places():
    """Width of the panel, and where the views begin."""
    red = slicer.app.layoutManager().sliceWidget("Red")
    return area().width, red.mapTo(slicer.util.mainWindow(), qt.QPoint(0, 0)).x()


def opened(bench):
    names = ("image", "box", "propagate", "review", "save", "settings")
    return {name for name in names if not getattr(bench.ui, f"{name}Section").collapsed}


# -- width --------------------------------------------------------------------------------------------------------------------------


def test_the_panel_is_as_wide_at_every_step_and_the_images_stay(bench):
    settle()
    before = places()
    assert before[0] == 410
    bench.mark(aVolume(name=LONG_NAME))
    bench.annotated.labelmap.segment.SetName(LONG_NAME)
    bench.panel.refresh()
    for step in ("propagate", "accept", "correct", "eraseTool", "drawTool", "thresholdTool", "leave"):
        bench.click(step)
        assert places() == before, step
    bench.ui.settingsSection.collapsed = False
    settle()
    assert places() == before
    bench.panel.say("Saved to /home/somebody/" + "a-very-long-folder-name-without-any-space/" * 6 + "segmentation.seg.nrrd.")
    settle()
    assert places() == before


@pytest.mark.parametrize("size", [look.SMALL_SCREEN, look.LARGE_SCREEN])
def test_finish_and_leave_stand_above_the_tools_and_are_in_sight(bench, size):
    window = slicer.util.mainWindow()
    window.resize(*size)
    try:
        bench.propagated()
        bench.click("correct")
        for tool in ("paintTool", "eraseTool", "drawTool", "thresholdTool"):
            button = getattr(bench.ui, f"{tool}Button")
            if not button.checked:
                bench.click(tool)
            assert button.checked
            for name in ("finish", "leave", "paintTool", "thresholdTool"):
                assert inSight(getattr(bench.ui, f"{name}Button")), (tool, name)
        assert inSight(bench.ui.fillButton) and inSight(bench.ui.undoButton)
        finish, tools = bench.ui.finishButton, bench.ui.paintToolButton
        assert finish.mapToGlobal(qt.QPoint(0, 0)).y() < tools.mapToGlobal(qt.QPoint(0, 0)).y()
    finally:
        window.resize(*look.SMALL_SCREEN)


def test_the_first_screen_has_volume_box_propagate_and_review(bench):
    for reach in (lambda: None, lambda: bench.ui.volumeSelector.setCurrentNode(aVolume())):
        reach()
        settle()
        for name in ("volumeSelector", "trySampleButton", "drawBoxButton", "firstSliceButton", "propagateButton", "acceptButton"):
            assert inSight(getattr(bench.ui, name)), name
        assert inSight(bench.ui.correctButton) and inSight(bench.ui.nextDoubtfulButton)


def test_no_text_of_a_button_is_cut(bench):
    def look():
        settle()
        cut = [
            (button.name, button.width, button.sizeHint.width())
            for button in slicer.util.findChildren(bench.panel.widget, className="QPushButton")
            if button.visible and button.width < button.sizeHint.width()
        ]
        assert not cut

    bench.ui.settingsSection.collapsed = False  # with a scroll bar, which takes from the width
    look()
    bench.mark()
    look()
    bench.click("propagate")
    bench.ui.saveSection.collapsed = False
    look()
    bench.click("correct")
    look()


def test_a_name_that_is_cut_is_whole_in_the_tooltip(bench):
    bench.mark(aVolume(name=LONG_NAME))
    assert LONG_NAME in bench.ui.volumeSelector.toolTip and LONG_NAME in bench.ui.segmentationSelector.toolTip
    bench.ui.volumeSelector.setCurrentNode(aVolume(name="Another"))
    settle()
    assert LONG_NAME not in bench.ui.volumeSelector.toolTip and "Another" in bench.ui.volumeSelector.toolTip


# -- folding ------------------------------------------------------------------------------------------------------------------------


def test_what_is_done_closes_and_what_comes_next_opens(bench):
    assert opened(bench) == {"image", "box", "propagate", "review"}
    annotated = bench.mark()
    assert opened(bench) == {"box", "propagate"}
    bench.service.held = True
    bench.click("propagate")
    assert opened(bench) == {"propagate", "review"}
    bench.service.letThrough(None)
    settle()
    assert opened(bench) == {"review"}
    bench.click("correct")
    assert opened(bench) == {"review"}
    bench.click("leave")
    for end in (annotated.session.extent.first, annotated.session.extent.last):
        bench.show(end)
        bench.click("acceptUpTo")
    assert opened(bench) == {"review", "save"} and inSight(bench.ui.saveButton)
    bench.click("nextObject")
    assert opened(bench) == {"image", "box", "propagate", "review"}


def test_a_section_that_the_user_opened_or_closed_stays_so(bench):
    bench.ui.reviewSection.click()  # closes it
    bench.mark()
    bench.ui.imageSection.click()  # opens it
    bench.click("propagate")
    assert opened(bench) == {"image"}
    bench.ui.reviewSection.click()
    bench.ui.imageSection.click()
    bench.click("accept")
    bench.click("nextObject")
    assert "image" in opened(bench)  # closed by the user as the panel would have done: it follows the work again


def test_a_section_that_the_user_keeps_open_does_not_hide_finish(bench):
    bench.propagated()
    for name in ("image", "box", "propagate"):
        getattr(bench.ui, f"{name}Section").click()
    bench.click("correct")
    assert opened(bench) == {"image", "box", "propagate", "review"}
    assert inSight(bench.ui.finishButton) and inSight(bench.ui.leaveButton)


def test_a_closed_section_says_what_is_in_it_within_the_panels_width(bench):
    bench.mark(aVolume(name=LONG_NAME))
    bench.click("propagate")
    assert bench.ui.boxSection.text == "2. Box and extent: slices 4 to 20" and bench.ui.propagateSection.text == "3. Propagate: done"
    assert "..." in bench.ui.imageSection.text and LONG_NAME in bench.ui.imageSection.toolTip
    assert bench.ui.reviewSection.text == "4. Review"


def test_a_view_with_another_gray_window_opens_the_settings_where_it_can_be_put_right(bench):
    annotated = bench.propagated()
    annotated.volumeNode.GetDisplayNode().SetWindowLevel(40, 40)
    settle(150)
    assert "settings" in opened(bench) and bench.ui.showFedButton.visible


# -- why not ------------------------------------------------------------------------------------------------------------------------


def test_why_not_stands_beside_the_buttons(bench):
    assert bench.ui.boxHintLabel.visible and "Choose a volume first" in bench.ui.boxHintLabel.text
    assert "Mark an object first" in bench.ui.propagateHintLabel.text and "Mark an object first" in bench.ui.reviewHintLabel.text
    bench.ui.saveSection.collapsed = False
    settle()
    assert bench.ui.saveHintLabel.visible and "no segmentation" in bench.ui.saveHintLabel.text
    annotated = bench.propagated()
    assert not bench.ui.reviewHintLabel.visible
    bench.show(annotated.session.extent.last)
    bench.key("Up")
    assert bench.ui.reviewHintLabel.visible and "outside the object's first and last slice" in bench.ui.reviewHintLabel.text
    bench.show(annotated.center)
    bench.click("acceptUpTo")
    assert not bench.ui.reviewHintLabel.visible and bench.ui.sliceLabel.text.startswith("slice 12: accepted")


# -- messages end with what they tell of --------------------------------------------------------------------------------------------


def test_a_refusal_ends_when_its_reason_does(bench):
    bench.panel.trigger("save")
    assert "no segmentation" in bench.message
    bench.ui.volumeSelector.setCurrentNode(aVolume())
    settle()
    assert "no segmentation" in bench.message
    markBall(bench.logic)  # as a script may; no button is pressed
    settle()
    assert "no segmentation" not in bench.message and "first slice" in bench.message


@pytest.mark.parametrize("how", ["Escape", "drawn"])
def test_what_to_do_with_the_mouse_is_told_only_while_it_can_be_done(bench, how):
    from orientations import directions

    volume = aVolume(directions()["oblique flipped"])
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    bench.ui.volumeSelector.setCurrentNode(volume)
    bench.click("drawBox")
    assert "Drag a box" in bench.message
    if how == "Escape":
        bench.key("Escape")
    else:
        bench.panel.boxTool.cancel()
        markBall(bench.logic)
        settle()
    assert "Drag a box" not in bench.message


def test_a_message_about_one_object_ends_with_it(bench):
    bench.propagated()
    bench.panel.say("Something about this object.")
    bench.panel.refresh()
    assert bench.message == "Something about this object."
    bench.ui.volumeSelector.setCurrentNode(aVolume(name="Another"))
    settle()
    assert "Something" not in bench.message


def test_a_box_that_was_refused_is_forgotten_once_it_fits(bench):
    from SAM2AnnotateSlicer.Scene.RoiBox import setRoi

    annotated = bench.propagated()
    bench.show(annotated.session.extent.last)
    bench.click("accept")
    bounds = annotated.boundsIjk()
    setRoi(bench.logic.parameters.roi, annotated.volumeNode, bounds - np.array([[0, 0], [0, 0], [0, 2]]))
    settle()
    assert "would leave out" in bench.message
    bench.panel.refresh()
    assert "would leave out" in bench.message
    setRoi(bench.logic.parameters.roi, annotated.volumeNode, bounds + np.array([[1, 0], [0, 0], [0, 0]]))
    settle()
    assert "would leave out" not in bench.message


def test_a_failure_stays_until_the_user_does_the_next_thing(bench):
    bench.mark()
    bench.service.fault = EngineError("The graphics card is gone")
    bench.click("propagate")
    assert bench.message.startswith("The graphics card is gone. 0 of 16 slices are done")
    bench.panel.refresh()
    assert "graphics card" in bench.message
    bench.click("goToCenter")
    assert "graphics card" not in bench.message


# -- texts --------------------------------------------------------------------------------------------------------------------------


def test_a_long_text_wraps_is_cut_and_is_whole_in_the_tooltip(bench):
    text = "The file /a/b/" + "x" * 90 + " was not written. " + "It is so. " * 60
    bench.panel.say(text)
    label = bench.ui.messageLabel
    assert plainText(label).endswith("...") and text.strip() in label.toolTip
    settle()
    assert label.minimumSizeHint.width() < 200 and label.height <= 7 * label.fontMetrics().lineSpacing()


def test_words_get_places_to_break_and_nothing_else_changes():
    text = "Saved 'x' to /home/somebody/study/case-000001/segmentation.seg.nrrd, at last."
    assert breakable(text).replace("\u200b", "") == text and max(map(len, breakable(text).split("\u200b"))) < 40
    assert breakable("short words stay as they are") == "short words stay as they are"


@pytest.mark.parametrize(("text", "expected"), [("No room", "No room."), ("Why?", "Why?"), ("Done. ", "Done."), ("", "")])
def test_a_sentence_has_an_end(text, expected):
    assert sentence(text) == expected


def test_a_long_name_keeps_its_ends():
    assert shortened("abcdefghij", 7) == "ab...ij" and shortened("abc", 7) == "abc"


@pytest.mark.parametrize("dark", [False, True])
def test_an_error_can_be_read_in_both_styles(bench, dark):
    look.set_dark(dark)
    try:
        slicer.app.processEvents()
        bench.panel.say("This failed.", error=True)
        color = qt.QColor(bench.ui.messageLabel.styleSheet.split("color:")[1].split(";")[0].strip())
        assert contrast(color, bench.ui.messageLabel.palette.color(qt.QPalette.Window)) > 4.5
    finally:
        look.set_dark(False)


@pytest.mark.parametrize("dark", [False, True])
def test_the_tool_that_is_active_is_seen_in_both_styles(bench, dark):
    look.set_dark(dark)
    try:
        slicer.app.processEvents()
        bench.propagated()
        bench.click("correct")
        active, other = bench.ui.paintToolButton.palette, bench.ui.eraseToolButton.palette
        assert contrast(active.color(qt.QPalette.Button), other.color(qt.QPalette.Button)) > 1.5
        assert contrast(active.color(qt.QPalette.Button), active.color(qt.QPalette.ButtonText)) > 2
        bench.click("eraseTool")
        one, two = (button.palette.color(qt.QPalette.Button).name() for button in (bench.ui.paintToolButton, bench.ui.drawToolButton))
        assert one == two
    finally:
        look.set_dark(False)


def contrast(one, other) -> float:
    """Contrast ratio of two colors, as WCAG defines it."""

    def luminance(color):
        channels = [value / 255 for value in (color.red(), color.green(), color.blue())]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_legend_keeps_its_height_whatever_the_width():
    strip = ReviewStrip()
    heights = set()
    for width in (150, 366, 402, 900):
        strip.resize(width, 120)
        strip.resizeEvent(None)
        heights.add(strip.minimumHeight)
        items = strip._legendItems()
        metrics = strip.fontMetrics()
        assert len({y for _item, _text, _x, y in items}) == 2
        assert all(x + 15 + metrics.horizontalAdvance(text) <= width + 8 for _item, text, x, _y in items)
        assert width < 366 or not any("\u2026" in text for _item, text, _x, _y in items)
    assert len(heights) == 1
