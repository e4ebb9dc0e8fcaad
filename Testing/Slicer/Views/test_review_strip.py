"""The strip of the review: what its pixels say of each slice, and which slice a click means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import qt
import slicer

from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Views.ReviewStrip import Cell, ReviewStrip
from SAM2AnnotateSlicer.Views.StatusColors import DOUBT_RGB, EMPTIED_LOOK, LOOKS, legend, nameOf

WIDTH = 380
CELLS_ROW = 28  # within the lower part of the cells, which every filled status fills
DOUBT_ROWS = slice(34, 48)
FIRST_POSITION = 5
FILLED = [status for status in SliceStatus if status is not SliceStatus.EMPTY]
INK = (10, 20, 30)
PAPER = (250, 250, 250)


@pytest.fixture
def strip():
    one = ReviewStrip()
    palette = qt.QPalette()
    palette.setColor(qt.QPalette.Window, qt.QColor(*PAPER))
    palette.setColor(qt.QPalette.WindowText, qt.QColor(*INK))
    one.setPalette(palette)
    one.resize(WIDTH, one.height)
    one.show()
    slicer.app.processEvents()
    yield one
    one.deleteLater()
    slicer.app.processEvents()


def aCell(index, status=SliceStatus.PROPOSED, **about):
    return Cell(FIRST_POSITION + index, 100 + index, status, **about)


def pixels(widget, part=None):
    """(rows, columns, 3) of what the widget shows, or of a QRect of it, row 0 on top."""
    path = Path(slicer.app.temporaryPath) / "strip.ppm"
    image = (widget.grab() if part is None else widget.grab(part)).toImage()
    assert image.save(str(path))
    content = path.read_bytes()
    return np.frombuffer(content[-3 * image.width() * image.height() :], dtype=np.uint8).reshape(image.height(), image.width(), 3)


def isColor(pixels, rgb):
    return np.all(pixels == rgb, axis=-1)


def middle(index, count):
    return int((index + 0.5) * WIDTH / count)


def press(strip, x, y=CELLS_ROW):
    where = qt.QPointF(x, y)
    event = qt.QMouseEvent(qt.QEvent.MouseButtonPress, where, where, qt.Qt.LeftButton, qt.Qt.LeftButton, qt.Qt.NoModifier)
    slicer.app.sendEvent(strip, event)


def moveTo(strip, x, y=CELLS_ROW):
    where = qt.QPointF(x, y)
    event = qt.QMouseEvent(qt.QEvent.MouseMove, where, where, qt.Qt.NoButton, qt.Qt.NoButton, qt.Qt.NoModifier)
    slicer.app.sendEvent(strip, event)


# -- what is seen --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [5, 7, 48])
def test_a_cell_has_the_color_of_its_status(strip, count):
    cells = [aCell(index, [*SliceStatus][index % 5]) for index in range(count)]
    strip.setCells(cells)
    seen = pixels(strip)
    for index, cell in enumerate(cells):
        inside = seen[12:30, middle(index, count) - 2 : middle(index, count) + 3]
        for status in FILLED:
            assert isColor(inside, LOOKS[status].rgb).any() == (status is cell.status), cell


def test_a_slice_said_to_show_no_object_looks_different_from_a_drawn_one(strip):
    strip.setCells([aCell(0, SliceStatus.CORRECTED, emptied=True), aCell(1, SliceStatus.CORRECTED)])
    seen = pixels(strip)[CELLS_ROW]
    assert isColor(seen[: WIDTH // 2], EMPTIED_LOOK.rgb).mean() > 0.8
    assert isColor(seen[WIDTH // 2 :], LOOKS[SliceStatus.CORRECTED].rgb).mean() > 0.8


def test_emptied_counts_only_for_corrected_slices(strip):
    assert aCell(0, SliceStatus.PROPOSED, emptied=True).look is LOOKS[SliceStatus.PROPOSED]


@pytest.mark.parametrize("count", [9, 54, 380, 600])
def test_every_status_has_a_shape_of_its_own(strip, count):
    """Without color: the statuses differ in where a cell is filled, however narrow it is."""
    shapes = set()
    for status, emptied in [*((status, False) for status in SliceStatus), (SliceStatus.CORRECTED, True)]:
        strip.setCells([aCell(index, status, emptied=emptied) for index in range(count)])
        width = max(WIDTH // count - 1, 12)
        cell = pixels(strip)[11:31, 4 * WIDTH // 9 : 4 * WIDTH // 9 + width]
        shapes.add(isColor(cell, aCell(0, status, emptied=emptied).look.rgb).tobytes())
    assert len(shapes) == len(SliceStatus) + 1


@pytest.mark.parametrize("doubt", [0.0, 0.3, 1.0])
def test_the_doubt_is_the_height_of_a_bar(strip, doubt):
    strip.setCells([aCell(0), aCell(1, doubt=doubt)])
    seen = isColor(pixels(strip)[DOUBT_ROWS], DOUBT_RGB)
    assert not seen[:, : WIDTH // 2 - 1].any()
    column = seen[:, middle(1, 2)]
    assert column.sum() == pytest.approx(14 * doubt, abs=0.5)
    assert doubt == 0 or column[-1], "bars stand on the bottom"


def test_the_current_slice_has_a_frame(strip):
    strip.setCells([aCell(index, SliceStatus.ACCEPTED) for index in range(10)])
    strip.setCurrent(FIRST_POSITION + 3)
    columns = np.flatnonzero(isColor(pixels(strip)[CELLS_ROW], INK))
    assert (columns.min(), columns.max()) == pytest.approx((3 * 38, 4 * 38 - 1), abs=1)
    assert len(columns) == 4
    strip.setCurrent(None)
    assert not isColor(pixels(strip)[CELLS_ROW], INK).any()
    strip.setCurrent(FIRST_POSITION + 100)
    assert not isColor(pixels(strip)[CELLS_ROW], INK).any()


def test_the_frame_is_seen_at_both_ends_of_hundreds_of_slices(strip):
    strip.setCells([aCell(index) for index in range(600)])
    for position, expected in ((FIRST_POSITION, 0), (FIRST_POSITION + 599, WIDTH - 1)):
        strip.setCurrent(position)
        columns = np.flatnonzero(isColor(pixels(strip)[CELLS_ROW], INK))
        assert len(columns) == 4
        assert abs(columns - expected).min() <= 1


def test_a_prompted_slice_has_a_dot_over_it(strip):
    strip.setCells([aCell(0), aCell(1, prompted=True), aCell(2)])
    columns = np.flatnonzero(isColor(pixels(strip)[0:8], INK).any(axis=0))
    assert columns.mean() == pytest.approx(middle(1, 3), abs=1.5)
    assert len(columns) <= 8


def test_of_several_slices_in_a_pixel_the_most_urgent_is_seen(strip):
    cells = [aCell(index, SliceStatus.ACCEPTED) for index in range(600)]
    for index in (301, 306):  # pixels 190 and 193 show two slices each
        cells[index - 1] = aCell(index - 1, SliceStatus.ACCEPTED, doubt=0.9)
        cells[index] = aCell(index, SliceStatus.PROPOSED, doubt=0.1)
    strip.setCells(cells)
    row = isColor(pixels(strip)[CELLS_ROW], LOOKS[SliceStatus.PROPOSED].rgb)
    assert list(np.flatnonzero(row)) == [301 * WIDTH // 600, 306 * WIDTH // 600]


def test_of_equally_urgent_slices_in_a_pixel_the_most_doubtful_is_seen(strip):
    cells = [aCell(index, doubt=1.0 if index in (17, 300, 599) else 0.0) for index in range(600)]
    strip.setCells(cells)
    expected = [index * WIDTH // 600 for index in (17, 300, 599)]
    assert list(np.flatnonzero(isColor(pixels(strip)[DOUBT_ROWS][4], DOUBT_RGB))) == expected


@pytest.mark.parametrize("count", [7, 48, 600])
def test_a_part_painted_alone_is_that_part_of_the_whole(strip, count):
    statuses = [status for status in SliceStatus if status is not SliceStatus.STALE]  # hatching begins where the grabbed part begins
    strip.setCells([aCell(index, statuses[index % 4], doubt=index / count, prompted=index == 2) for index in range(count)])
    strip.setCurrent(FIRST_POSITION + count // 2)
    whole = pixels(strip)
    for left in (0, 50, 185, 190, 195, 379):
        part = pixels(strip, qt.QRect(left, 0, WIDTH - left, 48))
        assert np.array_equal(part, whole[:48, left:])
        part = pixels(strip, qt.QRect(0, 0, left + 1, 48))
        assert np.array_equal(part, whole[:48, : left + 1])


def test_a_cell_that_changes_changes_no_other(strip):
    cells = [aCell(index) for index in range(30)]
    strip.setCells(cells)
    before = pixels(strip)
    strip.updateCell(aCell(11, SliceStatus.ACCEPTED))
    slicer.app.processEvents()
    changed = np.flatnonzero((pixels(strip) != before).any(axis=(0, 2)))
    assert changed.min() >= 11 * WIDTH // 30
    assert changed.max() <= 12 * WIDTH // 30


def test_what_is_as_before_is_not_painted_again(strip, monkeypatch):
    cells = [aCell(index) for index in range(60)]
    strip.setCells(cells)
    strip.setCurrent(aCell(5).position)
    slicer.app.processEvents()
    painted = []
    paint = type(strip)._paintCell
    monkeypatch.setattr(
        type(strip), "_paintCell", lambda self, *arguments: painted.append(arguments[1].position) or paint(self, *arguments)
    )
    strip.setCells(cells)
    slicer.app.processEvents()
    assert not painted
    strip.setCurrent(aCell(40).position)
    strip.setCells([aCell(index, SliceStatus.ACCEPTED) if index == 20 else cell for index, cell in enumerate(cells)])
    slicer.app.processEvents()
    expected = {aCell(index).position for index in (5, 20, 40)}
    assert expected <= set(painted) and len(painted) <= 12


def test_an_unknown_cell_cannot_be_updated(strip):
    strip.setCells([aCell(0)])
    with pytest.raises(KeyError):
        strip.updateCell(aCell(1))


@pytest.mark.parametrize("count", [0, 1, 2, 379, 380, 381, 600])
def test_any_number_of_slices_can_be_painted(strip, count):
    strip.setCells([aCell(index, doubt=0.5) for index in range(count)])
    strip.setCurrent(FIRST_POSITION)
    seen = pixels(strip)[CELLS_ROW, 8:-8]
    assert isColor(seen, LOOKS[SliceStatus.PROPOSED].rgb).any() == (count > 0)
    if count > 2:
        assert isColor(seen, LOOKS[SliceStatus.PROPOSED].rgb).mean() > 0.9


def test_the_legend_stays_inside_at_any_width(strip):
    strip.setCells([aCell(0)])
    heights = []
    for width in (130, 380, 900):
        strip.resize(width, strip.height)
        slicer.app.processEvents()
        strip.resize(width, strip.height)
        heights.append(strip.height)
        bottom = pixels(strip)[-2:]
        assert isColor(bottom, PAPER).mean() > 0.9, "the last line is not cut"
    assert len(set(heights)) == 1, "nothing below it moves"


def test_every_status_has_a_name():
    names = [nameOf(look) for look in legend()]
    assert len(set(names)) == len(SliceStatus) + 1
    assert all(names)


# -- the mouse ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 7, 48, 380])
def test_a_click_goes_to_the_slice_under_it(strip, count):
    clicked = []
    strip.clicked.connect(clicked.append)
    strip.setCells([aCell(index) for index in range(count)])
    for index in range(count):
        press(strip, middle(index, count))
    assert clicked == [FIRST_POSITION + index for index in range(count)]


def test_a_click_between_hundreds_of_slices_goes_to_one_of_its_pixel(strip):
    clicked = []
    strip.clicked.connect(clicked.append)
    strip.setCells([aCell(index, doubt=0.9 if index % 2 else 0.1) for index in range(600)])
    for x in range(WIDTH):
        press(strip, x)
        index = clicked[-1] - FIRST_POSITION
        assert index * WIDTH // 600 == x
    assert clicked == sorted(clicked)
    assert {FIRST_POSITION + index for index in range(1, 600, 2)} <= set(clicked), "the doubtful one of two in a pixel"


def test_clicks_beside_the_cells_mean_nothing(strip):
    clicked = []
    strip.clicked.connect(clicked.append)
    press(strip, 50)
    strip.setCells([aCell(index) for index in range(7)])
    press(strip, 50, strip.height - 3)
    assert not clicked


def test_the_tooltip_tells_of_the_slice_under_the_mouse(strip):
    strip.setCells([aCell(0), aCell(1, doubt=0.4, reason="area differs by 30 % from the slice before", prompted=True)])
    general = strip.toolTip
    assert "Click a cell" in general
    moveTo(strip, middle(1, 2))
    assert "slice 101: proposed; prompted; doubt 40 %: area differs by 30 % from the slice before" in strip.toolTip
    moveTo(strip, middle(0, 2))
    assert "slice 100: proposed" in strip.toolTip
    slicer.app.sendEvent(strip, qt.QEvent(qt.QEvent.Leave))
    assert strip.toolTip == general


def test_the_tooltip_is_set_once_a_cell_however_the_mouse_moves(strip):
    class Counter(qt.QObject):
        def __init__(self):
            qt.QObject.__init__(self)
            self.count = 0

        def eventFilter(self, _watched, event):
            self.count += event.type() == qt.QEvent.ToolTipChange
            return False

    strip.setCells([aCell(0), aCell(1)])
    counter = Counter()
    strip.installEventFilter(counter)
    for shift in (-4, 0, 4):
        moveTo(strip, middle(1, 2) + shift)
    assert counter.count == 1


def test_the_strip_never_takes_the_keyboard(strip):
    assert strip.focusPolicy == qt.Qt.NoFocus
