"""Stand-ins for CTK's widgets that hide their contents. Imports PySide6 and the registry."""

from __future__ import annotations

from PySide6.QtCore import QChildEvent, QEvent, QObject, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QFrame, QGroupBox, QSizePolicy, QStyle, QStyleOption, QWidget

from ..registry import stand_in

_UNLIMITED = 16777215  # QWIDGETSIZE_MAX
_MARGIN = 4


class _HiddenChildren:
    """Hides the children of a widget, and shows again those that would be visible."""

    def __init__(self, owner: QWidget) -> None:
        self._owner = owner
        self._shown_again: list[QWidget] = []
        self._working = False

    def hide(self) -> None:
        for child in self._owner.children():
            if isinstance(child, QWidget):
                self.take(child)

    def take(self, child: QWidget) -> None:
        """Hide one child until `show`, unless it is hidden for a reason of its own."""
        if not child.isHidden() and not child.isWindow():
            self._shown_again.append(child)
            self._working = True
            child.hide()
            child.setAttribute(Qt.WidgetAttribute.WA_WState_ExplicitShowHide, False)  # so that hiding it meanwhile is noticed, as CTK does
            self._working = False

    def show(self) -> None:
        waiting, self._shown_again = self._shown_again, []
        for child in waiting:
            child.show()

    def forget(self, child: QWidget) -> None:
        """The script hid this child itself: it stays hidden when the others come back."""
        if not self._working and child in self._shown_again:
            self._shown_again.remove(child)


@stand_in("ctkCollapsibleButton")
class CtkCollapsibleButton(QAbstractButton):
    """A title with an arrow above its contents; clicking it, or setting ``collapsed``, hides them."""

    contentsCollapsed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._collapsed, self._collapsed_height, self._flat = False, 10, False
        self._frame_shape, self._frame_shadow = QFrame.Shape.NoFrame, QFrame.Shadow.Plain
        self._line_width, self._mid_line_width = 1, 0
        self._text_alignment = self._indicator_alignment = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        self._hidden = _HiddenChildren(self)
        self.setCheckable(True)
        self.setChecked(True)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.setContentsMargins(0, self._title_height(), 0, 0)
        self.toggled.connect(lambda checked: self.setCollapsed(not checked))

    def collapsed(self) -> bool:
        return self._collapsed

    def setCollapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self.setChecked(not collapsed)
        if collapsed:
            self._hidden.hide()
        else:
            self._hidden.show()
        self._limit_height()
        self.contentsCollapsed.emit(collapsed)

    def collapsedHeight(self) -> int:
        return self._collapsed_height

    def setCollapsedHeight(self, height: int) -> None:
        self._collapsed_height = height
        self._limit_height()

    def isFlat(self) -> bool:
        return self._flat

    def setFlat(self, flat: bool) -> None:
        self._flat = flat
        self.update()

    def contentsFrameShape(self) -> QFrame.Shape:
        return self._frame_shape

    def setContentsFrameShape(self, shape: QFrame.Shape) -> None:
        self._frame_shape = shape
        self.update()

    def contentsFrameShadow(self) -> QFrame.Shadow:
        return self._frame_shadow

    def setContentsFrameShadow(self, shadow: QFrame.Shadow) -> None:
        self._frame_shadow = shadow

    def contentsLineWidth(self) -> int:
        return self._line_width

    def setContentsLineWidth(self, width: int) -> None:
        self._line_width = width

    def contentsMidLineWidth(self) -> int:
        return self._mid_line_width

    def setContentsMidLineWidth(self, width: int) -> None:
        self._mid_line_width = width

    def buttonTextAlignment(self) -> Qt.AlignmentFlag:
        return self._text_alignment

    def setButtonTextAlignment(self, alignment: Qt.AlignmentFlag) -> None:
        self._text_alignment = alignment
        self.update()

    def indicatorAlignment(self) -> Qt.AlignmentFlag:
        return self._indicator_alignment

    def setIndicatorAlignment(self, alignment: Qt.AlignmentFlag) -> None:
        self._indicator_alignment = alignment

    def sizeHint(self) -> QSize:
        title = QSize(self.fontMetrics().horizontalAdvance(self.text()) + self._title_height() + 2 * _MARGIN, self._title_height())
        if self._collapsed or self.layout() is None:
            return title + QSize(0, self._collapsed_height if self._collapsed else 0)
        return title.expandedTo(self.layout().totalSizeHint())

    def minimumSizeHint(self) -> QSize:
        title = QSize(self._title_height() * 3, self._title_height())
        return title if self._collapsed or self.layout() is None else title.expandedTo(self.layout().totalMinimumSize())

    def hitButton(self, position: QPoint) -> bool:
        return self._title().contains(position)

    def childEvent(self, event: QChildEvent) -> None:
        child = event.child()
        if event.added() and isinstance(child, QWidget):
            child.installEventFilter(self)
        super().childEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(watched, QWidget) and self._collapsed:
            if event.type() == QEvent.Type.ShowToParent:
                self._hidden.take(watched)
            elif event.type() == QEvent.Type.HideToParent:
                self._hidden.forget(watched)
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        title = self._title()
        if not self._flat:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self.palette().button().color().darker(115 if self.isDown() or self.underMouse() else 106))
            painter.drawRoundedRect(title, 3, 3)
        arrow = QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QRect(title.left() + _MARGIN, title.top() + _MARGIN, title.height() - 2 * _MARGIN, title.height() - 2 * _MARGIN)
        element = QStyle.PrimitiveElement.PE_IndicatorArrowRight if self._collapsed else QStyle.PrimitiveElement.PE_IndicatorArrowDown
        self.style().drawPrimitive(element, arrow, painter, self)
        text_area = title.adjusted(title.height(), 0, -_MARGIN, 0)
        group = self.palette().ColorGroup.Active if self.isEnabled() else self.palette().ColorGroup.Disabled
        painter.setPen(self.palette().color(group, self.palette().ColorRole.ButtonText))
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, text_area.width())
        painter.drawText(text_area, int(self._text_alignment), text)
        if self._frame_shape != QFrame.Shape.NoFrame and not self._collapsed:
            painter.setPen(self.palette().mid().color())
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(0, title.height(), -1, -1))
        painter.end()

    def _title_height(self) -> int:
        return self.fontMetrics().height() + 2 * _MARGIN

    def _title(self) -> QRect:
        return QRect(0, 0, self.width(), self._title_height())

    def _limit_height(self) -> None:
        self.setMaximumHeight(self._title_height() + self._collapsed_height if self._collapsed else _UNLIMITED)
        self.updateGeometry()
        self.update()


@stand_in("ctkCollapsibleGroupBox")
class CtkCollapsibleGroupBox(QGroupBox):
    """A group box whose check box hides its contents instead of disabling them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._collapsed_height = 14
        self._hidden = _HiddenChildren(self)
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(self._on_toggled)

    def collapsed(self) -> bool:
        return not self.isChecked()

    def setCollapsed(self, collapsed: bool) -> None:
        self.setChecked(not collapsed)

    def collapsedHeight(self) -> int:
        return self._collapsed_height

    def setCollapsedHeight(self, height: int) -> None:
        self._collapsed_height = height

    def _on_toggled(self, checked: bool) -> None:
        if checked:
            self._hidden.show()
        else:
            self._hidden.hide()
        self.setMaximumHeight(_UNLIMITED if checked else self.fontMetrics().height() + self._collapsed_height)
        self.updateGeometry()
