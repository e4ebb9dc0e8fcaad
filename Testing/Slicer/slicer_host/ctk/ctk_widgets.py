"""Stand-ins for CTK's buttons and boxes; importing this registers those of numbers and paths too. Imports PySide6 and the registry."""

from __future__ import annotations

from PySide6.QtCore import QSettings, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPaintEvent, QPixmap
from PySide6.QtWidgets import (
    QCheckBox,
    QColorDialog,
    QComboBox,
    QFrame,
    QMessageBox,
    QPushButton,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)

from ..registry import stand_in
from . import ctk_collapsible, ctk_paths, ctk_ranges, ctk_sliders

__all__ = ["ctk_collapsible", "ctk_paths", "ctk_ranges", "ctk_sliders"]


@stand_in("ctkComboBox")
class CtkComboBox(QComboBox):
    """A combo box that shows a default text while nothing is selected."""

    returnRelease = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._default_text, self._default_icon, self._forced = "", QIcon(), False
        self._elide_mode, self._scroll_wheel_effect = Qt.TextElideMode.ElideNone, 1

    def defaultText(self) -> str:
        return self._default_text

    def setDefaultText(self, text: str) -> None:
        self._default_text = text
        self.update()

    def defaultIcon(self) -> QIcon:
        return self._default_icon

    def setDefaultIcon(self, icon: QIcon) -> None:
        self._default_icon = icon

    def forceDefault(self) -> bool:
        return self._forced

    def setForceDefault(self, forced: bool) -> None:
        self._forced = forced
        self.update()

    def elideMode(self) -> Qt.TextElideMode:
        return self._elide_mode

    def setElideMode(self, mode: Qt.TextElideMode) -> None:
        self._elide_mode = mode

    def scrollWheelEffect(self) -> int:
        return self._scroll_wheel_effect

    def setScrollWheelEffect(self, effect: int) -> None:
        self._scroll_wheel_effect = effect

    def currentUserDataAsString(self) -> str:
        data = self.currentData()
        return "" if data is None else str(data)

    def setCurrentUserDataAsString(self, text: str) -> None:
        self.setCurrentIndex(next((row for row in range(self.count()) if str(self.itemData(row)) == text), -1))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QStylePainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        if self.currentIndex() < 0 or self._forced:
            option.currentText, option.currentIcon = self._default_text, self._default_icon  # type: ignore[attr-defined]
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()


@stand_in("ctkPushButton")
class CtkPushButton(QPushButton):
    """A push button; the alignments are kept and have no effect on the picture."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text_alignment = self._icon_alignment = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignVCenter
        self._elide_mode = Qt.TextElideMode.ElideNone

    def buttonTextAlignment(self) -> Qt.AlignmentFlag:
        return self._text_alignment

    def setButtonTextAlignment(self, alignment: Qt.AlignmentFlag) -> None:
        self._text_alignment = alignment

    def iconAlignment(self) -> Qt.AlignmentFlag:
        return self._icon_alignment

    def setIconAlignment(self, alignment: Qt.AlignmentFlag) -> None:
        self._icon_alignment = alignment

    def elideMode(self) -> Qt.TextElideMode:
        return self._elide_mode

    def setElideMode(self, mode: Qt.TextElideMode) -> None:
        self._elide_mode = mode


@stand_in("ctkCheckablePushButton")
class CtkCheckablePushButton(CtkPushButton):
    """A push button with a check box in it."""

    checkBoxToggled = Signal(object)
    checkStateChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = QCheckBox(self)
        self._box.move(4, 4)
        self._box.toggled.connect(lambda checked: self.checkBoxToggled.emit(checked))
        self._box.checkStateChanged.connect(lambda state: self.checkStateChanged.emit(state))
        self._controls, self._controls_toggle = True, True
        self._box.toggled.connect(self._on_toggled)

    def sizeHint(self) -> QSize:
        return super().sizeHint() + QSize(20, 0)

    def checkState(self) -> Qt.CheckState:
        return self._box.checkState()

    def setCheckState(self, state: Qt.CheckState) -> None:
        self._box.setCheckState(state)

    def checkBoxControlsButton(self) -> bool:
        return self._controls

    def setCheckBoxControlsButton(self, controls: bool) -> None:
        self._controls = controls

    def checkBoxControlsButtonToggleState(self) -> bool:
        return self._controls_toggle

    def setCheckBoxControlsButtonToggleState(self, controls: bool) -> None:
        self._controls_toggle = controls

    def isCheckBoxUserCheckable(self) -> bool:
        return self._box.isEnabled()

    def checkBoxUserCheckable(self) -> bool:
        return self._box.isEnabled()

    def setCheckBoxUserCheckable(self, enable: bool) -> None:
        self._box.setEnabled(enable)

    def _on_toggled(self, checked: bool) -> None:
        if self._controls:
            self.setCheckable(checked)
            if self._controls_toggle:
                self.setChecked(checked)


@stand_in("ctkMenuButton")
class CtkMenuButton(QPushButton):
    """A push button whose menu opens from its right end."""


@stand_in("ctkCheckBox")
class CtkCheckBox(QCheckBox):
    """A check box with an icon for its indicator, which is kept and not drawn."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon, self._icon_size = QIcon(), QSize(16, 16)

    def indicatorIcon(self) -> QIcon:
        return self._icon

    def setIndicatorIcon(self, icon: QIcon) -> None:
        self._icon = icon

    def indicatorIconSize(self) -> QSize:
        return self._icon_size

    def setIndicatorIconSize(self, size: QSize) -> None:
        self._icon_size = size


@stand_in("ctkColorPickerButton")
class CtkColorPickerButton(QPushButton):
    """A push button that shows a color and asks for another one when clicked."""

    colorChanged = Signal(object)
    colorNameChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._color, self._name, self._name_shown, self._options = QColor("black"), "", True, 0
        self.setColor(QColor("white"))
        self.clicked.connect(self.changeColor)

    def color(self) -> QColor:
        return self._color

    def setColor(self, color: QColor) -> None:
        if color == self._color:
            return
        self._color = QColor(color)
        picture = QPixmap(16, 16)
        picture.fill(self._color)
        self.setIcon(QIcon(picture))
        self._show_name()
        self.colorChanged.emit(self._color)

    def colorName(self) -> str:
        return self._name

    def setColorName(self, name: str) -> None:
        self._name = name
        self._show_name()
        self.colorNameChanged.emit(name)

    def displayColorName(self) -> bool:
        return self._name_shown

    def setDisplayColorName(self, shown: bool) -> None:
        self._name_shown = shown
        self._show_name()

    def dialogOptions(self) -> int:
        return self._options

    def setDialogOptions(self, options: int) -> None:
        self._options = options

    def changeColor(self) -> None:
        chosen = QColorDialog.getColor(self._color, self)
        if chosen.isValid():
            self.setColor(chosen)

    def _show_name(self) -> None:
        self.setText((self._name or self._color.name()) if self._name_shown else "")


@stand_in("ctkExpandableWidget")
class CtkExpandableWidget(QFrame):
    """A frame that the user could resize by a grip; here it keeps the size of its layout."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._orientations = Qt.Orientation.Horizontal | Qt.Orientation.Vertical
        self._grip_inside, self._grip_margins = True, QSize()

    def orientations(self) -> Qt.Orientation:
        return self._orientations

    def setOrientations(self, orientations: Qt.Orientation) -> None:
        self._orientations = orientations

    def isSizeGripInside(self) -> bool:
        return self._grip_inside

    def sizeGripInside(self) -> bool:
        return self._grip_inside

    def setSizeGripInside(self, inside: bool) -> None:
        self._grip_inside = inside

    def sizeGripMargins(self) -> QSize:
        return self._grip_margins

    def setSizeGripMargins(self, margins: QSize) -> None:
        self._grip_margins = margins

    def updateSizeHint(self) -> None:
        self.updateGeometry()


@stand_in("ctkMessageBox")
class CtkMessageBox(QMessageBox):
    """A message box with "don't show this message again"."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._key = ""
        self._roles: list[QMessageBox.ButtonRole] = []

    def dontShowAgain(self) -> bool:
        box = self.checkBox()
        return box is not None and box.isChecked()

    def setDontShowAgain(self, dont_show: bool) -> None:
        self.setDontShowAgainVisible(True)
        self.checkBox().setChecked(dont_show)

    def isDontShowAgainVisible(self) -> bool:
        return self.checkBox() is not None

    def setDontShowAgainVisible(self, visible: bool) -> None:
        if visible and self.checkBox() is None:
            self.setCheckBox(QCheckBox("Don't show this message again", self))

    def dontShowAgainSettingsKey(self) -> str:
        return self._key

    def setDontShowAgainSettingsKey(self, key: str) -> None:
        self._key = key
        if key:
            self.setDontShowAgain(QSettings().value(key, False, bool))

    def dontShowAgainButtonRoles(self) -> list[QMessageBox.ButtonRole]:
        return self._roles

    def setDontShowAgainButtonRoles(self, roles: list[QMessageBox.ButtonRole]) -> None:
        self._roles = list(roles)

    def addDontShowAgainButtonRole(self, role: QMessageBox.ButtonRole) -> None:
        self._roles.append(role)

    def onFinished(self, result: int) -> None:
        if self._key:
            QSettings().setValue(self._key, self.dontShowAgain())
