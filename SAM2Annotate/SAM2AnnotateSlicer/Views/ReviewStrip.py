"""ReviewStrip: a picture of the review, one cell a slice, to read and to click. Imports qt, Event and StatusColors.

From top to bottom: dots over slices that were prompted, the cells, the doubt as bars, slice numbers, the legend. Where there are more
slices than pixels, a pixel stands for the most urgent of its slices, in the picture and in the click.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import qt
from slicer.i18n import tr as _

from SAM2AnnotateLib.review import SliceStatus

from ..Event import Event
from .StatusColors import DOUBT_RGB, LOOKS, Fill, StatusLook, legend, lookOf, nameOf

_DOTS_TOP, _CELLS_TOP, _CELLS_HEIGHT, _DOUBT_TOP, _DOUBT_HEIGHT, _NUMBERS_TOP = 1, 9, 24, 34, 14, 50  # pixels
_LOW_SHARE = 0.6  # of the height, for cells that are not full
_OUTLINED_FROM = 4  # pixels of width; narrower cells have one outline together
_CROSSED_FROM = 7
_CURRENT_WIDTH = 6  # pixels that the frame has at least
_SWATCH, _GAP, _LEAST_GAP = 11, 9, 2  # pixels
_LEGEND_LINES = 2
_LIGHT = (255, 255, 255)
_DOUBT, _DOT = "doubt", "dot"  # what the legend explains besides looks


@dataclass(frozen=True)
class Cell:
    """What the strip shows of a slice.

    Args:
        position: of the slice in its stack, by which it is clicked and updated.
        label: the slice number that the user knows it by.
        status: what is known about it.
        emptied: whether it was corrected to show nothing of the object.
        prompted: whether a box or points are on it.
        doubt: 0..1, None if there is none to tell.
        reason: of the doubt, for the user.
        expected: DSC that is expected of its mask, with an interval, for the user; empty if nothing is.
    """

    position: int
    label: int
    status: SliceStatus
    emptied: bool = False
    prompted: bool = False
    doubt: float | None = None
    reason: str = ""
    expected: str = ""

    @property
    def look(self) -> StatusLook:
        """How it looks."""
        return lookOf(self.status, self.emptied)

    def describe(self) -> str:
        """One line for the user."""
        text = _("slice {number}: {status}").format(number=self.label, status=nameOf(self.look))
        if self.prompted:
            text += _("; prompted")
        if self.doubt is not None:
            doubt = _("; expected DSC {dsc}").format(dsc=self.expected) if self.expected else _("; doubt {percent} %")
            text += doubt.format(percent=round(100 * self.doubt))
            text += f": {self.reason}" if self.reason else ""
        return text


class ReviewStrip(qt.QWidget):
    """The strip; it takes the width that it gets.

    Attributes:
        clicked: emitted with the position of the slice that was clicked.
    """

    def __init__(self, parent=None):
        qt.QWidget.__init__(self, parent)
        self.clicked = Event()
        self._cells: list[Cell] = []
        self._told = ""  # by the tooltip
        self._indexOf: dict[int, int] = {}  # position -> index in cells
        self._current: int | None = None  # position
        self.setMouseTracking(True)
        self.setFocusPolicy(qt.Qt.NoFocus)
        self.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
        self.setMinimumWidth(120)
        self._fitHeight()
        self._hover(None)

    # -- what it shows ------------------------------------------------------------------------------------------------------------

    def setCells(self, cells: list[Cell]) -> None:
        """Show these slices, in the order of the stack; an empty list shows that there are none. What is as before is not painted."""
        before, self._cells = self._cells, list(cells)
        self._hover(None)
        if [cell.position for cell in before] != [cell.position for cell in self._cells]:
            self._indexOf = {cell.position: index for index, cell in enumerate(self._cells)}
            self.update()
            return
        for index, cell in enumerate(self._cells):
            if cell != before[index]:
                self._updateIndex(index)

    def updateCell(self, cell: Cell) -> None:
        """Show one slice anew; cheap. Raises KeyError if no cell has its position."""
        index = self._indexOf[cell.position]
        if self._cells[index] != cell:
            self._cells[index] = cell
            self._updateIndex(index)

    def setCurrent(self, position: int | None) -> None:
        """Frame the slice that the views show; None, or one that has no cell, for none."""
        if position != self._current:
            before, self._current = self._current, position
            for one in (before, position):
                if one in self._indexOf:
                    start, width = self._frame(self._indexOf[one])
                    self.update(start - 1, 0, width + 2, _NUMBERS_TOP)
            self.update(0, _NUMBERS_TOP, self.width, self._legendTop() - _NUMBERS_TOP)

    # -- where the cells are -----------------------------------------------------------------------------------------------------

    def _span(self, index: int) -> tuple[int, int]:
        """First pixel of a cell and the one after its last."""
        count, width = len(self._cells), self.width
        if count > width:
            return index * width // count, index * width // count + 1
        return -(-index * width // count), -(-(index + 1) * width // count)

    def _indexAt(self, x: int) -> int | None:
        """The cell that a pixel shows; of several the most urgent, then the most doubtful."""
        count, width = len(self._cells), self.width
        if not count or not 0 <= x < width:
            return None
        if count <= width:
            return x * count // width
        ofPixel = range(-(-x * count // width), -(-(x + 1) * count // width))
        return max(ofPixel, key=lambda index: (self._cells[index].look.urgency, self._cells[index].doubt or 0.0))

    def _frame(self, index: int) -> tuple[int, int]:
        """First pixel and width of the frame around a cell."""
        start, end = self._span(index)
        width = max(end - start, _CURRENT_WIDTH)
        return min(max((start + end - width) // 2, 0), self.width - width), width

    def _updateIndex(self, index: int) -> None:
        left, right = self._span(index)
        margin = _CURRENT_WIDTH
        self.update(left - margin, 0, right - left + 2 * margin, _NUMBERS_TOP)

    # -- mouse -------------------------------------------------------------------------------------------------------------------

    def mousePressEvent(self, event):
        index = self._indexAtMouse(event)
        if index is not None:
            self.clicked.emit(self._cells[index].position)

    def mouseMoveEvent(self, event):
        self._hover(self._indexAtMouse(event))

    def leaveEvent(self, _event):
        self._hover(None)

    def _indexAtMouse(self, event) -> int | None:
        return self._indexAt(event.x()) if event.y() < self._legendTop() else None

    def _hover(self, index: int | None) -> None:
        """Have the tooltip tell of a cell."""
        text = _("One cell for each slice of the object, from first to last. Click a cell to go to its slice.")
        if index is not None:
            text = self._cells[index].describe() + "\n" + _("Click to go there.")
        if self._told != text:  # what Slicer gives back is rich text
            self.toolTip = self._told = text

    # -- painting ----------------------------------------------------------------------------------------------------------------

    def resizeEvent(self, _event):
        self._fitHeight()

    def paintEvent(self, event):
        painter = qt.QPainter(self)
        ink = self.palette.color(qt.QPalette.WindowText)
        if self._cells:
            self._paintCells(painter, ink, event.region())
            if event.rect().bottom() >= _NUMBERS_TOP:
                self._paintNumbers(painter, ink)
        else:
            _paintOutline(painter, 0, _CELLS_TOP, self.width, _CELLS_HEIGHT)
            painter.setPen(qt.QPen(_outlineColor()))
            painter.drawText(6, _CELLS_TOP, self.width - 12, _CELLS_HEIGHT, qt.Qt.AlignCenter, _("No object is marked yet."))
        if event.rect().bottom() >= self._legendTop():
            self._paintLegend(painter, ink)
        painter.end()

    def _paintCells(self, painter, ink, region) -> None:
        """Paint the cells that lie in a region; with a hundred cells the others are most of the time it takes."""
        bounds, everything = region.boundingRect(), region.rectCount() == 1
        x = max(0, bounds.left() - _CURRENT_WIDTH)
        while x <= min(self.width - 1, bounds.right() + _CURRENT_WIDTH):
            index = self._indexAt(x)
            start, end = self._span(index)
            if everything or region.intersects(qt.QRect(start, 0, end - start, _NUMBERS_TOP)):
                self._paintCell(painter, self._cells[index], start, end - start)
            x = end
        _paintOutline(painter, 0, _CELLS_TOP, self.width, _CELLS_HEIGHT)
        painter.fillRect(0, _DOUBT_TOP + _DOUBT_HEIGHT, self.width, 1, _outlineColor())
        for index, cell in enumerate(self._cells):
            if cell.prompted:
                _paintDot(painter, ink, sum(self._span(index)) // 2, _DOTS_TOP + 3)
        if self._current in self._indexOf:
            start, width = self._frame(self._indexOf[self._current])
            painter.setPen(qt.QPen(qt.QBrush(ink), 2.0))
            painter.setBrush(qt.QBrush(qt.Qt.NoBrush))
            painter.drawRect(start + 1, _CELLS_TOP, width - 2, _DOUBT_TOP + _DOUBT_HEIGHT - _CELLS_TOP)

    def _paintCell(self, painter, cell: Cell, x: int, width: int) -> None:
        _paintFill(painter, cell.look, x, _CELLS_TOP, width, _CELLS_HEIGHT)
        if width >= _OUTLINED_FROM:
            painter.fillRect(x, _CELLS_TOP, 1, _CELLS_HEIGHT, _outlineColor())
        if cell.doubt is not None:
            height = round(cell.doubt * _DOUBT_HEIGHT)
            gap = int(width >= _OUTLINED_FROM)
            painter.fillRect(x + gap, _DOUBT_TOP + _DOUBT_HEIGHT - height, width - gap, height, _color(DOUBT_RGB))

    def _paintNumbers(self, painter, ink) -> None:
        """The slice numbers of both ends and of the current slice; this one has its place, the others make room."""
        count, current = len(self._cells), self._indexOf.get(self._current)
        metrics, taken = painter.fontMetrics(), []
        painter.setPen(qt.QPen(ink))
        for index in dict.fromkeys([current, 0, count - 1]):
            if index is None:
                continue
            text = str(self._cells[index].label)
            width = metrics.horizontalAdvance(text)
            middle = sum(self._span(index)) // 2 if index == current else index * self.width  # the ends are pushed in from the sides
            left = min(max(middle - width // 2, 0), self.width - width)
            if all(left > end + _GAP or left + width < start - _GAP for start, end in taken):
                painter.drawText(left, _NUMBERS_TOP, width + 2, self._lineHeight(), qt.Qt.AlignLeft, text)
                taken.append((left, left + width))

    # -- legend ------------------------------------------------------------------------------------------------------------------

    def _legendItems(self) -> list[tuple[StatusLook | str, str, int, int]]:
        """(look, or what else it is; text; x, y of its swatch) of every item."""
        metrics = self.fontMetrics()
        named = [*((look, nameOf(look)) for look in legend()), (_DOUBT, _("doubt")), (_DOT, _("prompted"))]
        count = -(-len(named) // _LEGEND_LINES)
        items = []
        for line in range(_LEGEND_LINES):
            x, y = 0, self._legendTop() + line * self._lineHeight()
            row = named[line * count : (line + 1) * count]
            widths = [metrics.horizontalAdvance(text) for _item, text in row]
            room = self.width - len(row) * (_SWATCH + 4)
            gap = min(max((room - sum(widths)) // (len(row) - 1), _LEAST_GAP), _GAP)
            room -= gap * (len(row) - 1)
            for (item, text), width in zip(row, widths, strict=True):
                share = width if sum(widths) <= room else width * room // sum(widths)
                shown = text if share >= width else metrics.elidedText(text, qt.Qt.ElideRight, max(share, 0))
                items.append((item, shown, x, y))
                x += _SWATCH + 4 + share + gap
        return items

    def _paintLegend(self, painter, ink) -> None:
        height = self._lineHeight()
        for item, text, x, y in self._legendItems():
            top = y + (height - _SWATCH) // 2
            if item == _DOT:
                _paintDot(painter, ink, x + _SWATCH // 2, top + _SWATCH // 2)
            elif item == _DOUBT:
                painter.fillRect(x + 3, top + 3, _SWATCH - 6, _SWATCH - 3, _color(DOUBT_RGB))
            else:
                _paintFill(painter, item, x, top, _SWATCH, _SWATCH)
                _paintOutline(painter, x, top, _SWATCH, _SWATCH)
            painter.setPen(qt.QPen(ink))
            painter.drawText(x + _SWATCH + 4, y, self.width, height, qt.Qt.AlignLeft | qt.Qt.AlignVCenter, text)

    def _lineHeight(self) -> int:
        return self.fontMetrics().height() + 1

    def _legendTop(self) -> int:
        return _NUMBERS_TOP + self._lineHeight() + 2

    def _fitHeight(self) -> None:
        """Be as high as the font needs; the same at any width, so that nothing below moves."""
        height = self._legendTop() + _LEGEND_LINES * self._lineHeight() + 1
        if height != self.minimumHeight:
            self.setFixedHeight(height)


@lru_cache(maxsize=32)
def _color(rgb):
    return qt.QColor(*rgb)


def _outlineColor():
    return _color(LOOKS[SliceStatus.EMPTY].rgb)


def _paintOutline(painter, x: int, y: int, width: int, height: int) -> None:
    """Paint the border pixels of a rectangle."""
    for left, top, across, down in ((x, y, width, 1), (x, y + height - 1, width, 1), (x, y, 1, height), (x + width - 1, y, 1, height)):
        painter.fillRect(left, top, across, down, _outlineColor())


def _paintDot(painter, ink, x: int, y: int) -> None:
    painter.setPen(qt.QPen(qt.Qt.NoPen))
    painter.setBrush(qt.QBrush(ink))
    painter.drawEllipse(x - 3, y - 3, 6, 6)


def _paintFill(painter, look: StatusLook, x: int, y: int, width: int, height: int) -> None:
    """Paint a status into a rectangle, by color and shape."""
    if look.fill is Fill.OUTLINE:
        return
    color, light = _color(look.rgb), _color(_LIGHT)
    top = y
    if look.fill in (Fill.LOW, Fill.LOW_HATCHED):
        top = y + height - round(_LOW_SHARE * height)
    painter.fillRect(x, top, width, y + height - top, color)
    if look.fill is Fill.LOW_HATCHED:
        painter.fillRect(x, top, width, y + height - top, qt.QBrush(light, qt.Qt.BDiagPattern))
    elif look.fill is Fill.FULL_BARRED:
        painter.fillRect(x, y + height // 4, width, 2, light)
    elif look.fill is Fill.FULL_CROSSED and width < _CROSSED_FROM:
        painter.fillRect(x, y + height // 4, width, 2, light)
        painter.fillRect(x, y + height - height // 4 - 2, width, 2, light)
    elif look.fill is Fill.FULL_CROSSED:
        painter.setPen(qt.QPen(light))
        middle, half = y + height // 2, min(width, height) // 2 - 2
        painter.drawLine(x + width // 2 - half, middle - half, x + width // 2 + half, middle + half)
        painter.drawLine(x + width // 2 - half, middle + half, x + width // 2 + half, middle - half)
