"""Stand-ins for CTK's widgets that ask for a file or folder. Imports PySide6 and the registry."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSettings, Qt, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QStyle, QToolButton, QWidget

from ..registry import stand_in


class _Browser(QWidget):
    """A widget that asks for a path."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._options = 0

    def options(self) -> int:
        return self._options

    def setOptions(self, options: int) -> None:
        self._options = options

    def _row(self, *widgets: QWidget) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in widgets:
            layout.addWidget(widget)
        layout.setStretch(0, 1)


@stand_in("ctkDirectoryButton")
class CtkDirectoryButton(_Browser):
    """A button with a folder on it, which asks for another one when clicked."""

    directoryChanged = Signal(object)
    directorySelected = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._directory, self._caption, self._text = str(Path.cwd()), "", ""
        self._accept_mode, self._elide_mode = QFileDialog.AcceptMode.AcceptOpen, Qt.TextElideMode.ElideRight
        self._button = QPushButton(self._directory, self)
        self._button.setIcon(self.style().standardIcon(QStyle.StandardPixmap.SP_DirIcon))
        self._button.clicked.connect(self.browse)
        self._row(self._button)

    def directory(self) -> str:
        return self._directory

    def setDirectory(self, directory: str) -> None:
        if directory != self._directory:
            self._directory = directory
            self._button.setText(self._text or directory)
            self.directoryChanged.emit(directory)

    def browse(self) -> str:
        chosen = QFileDialog.getExistingDirectory(self, self._caption, self._directory)
        if chosen:
            self.setDirectory(chosen)
            self.directorySelected.emit(chosen)
        return self._directory

    def caption(self) -> str:
        return self._caption

    def setCaption(self, caption: str) -> None:
        self._caption = caption

    def text(self) -> str:
        return self._text

    def setText(self, text: str) -> None:
        self._text = text
        self._button.setText(text or self._directory)

    def icon(self) -> QIcon:
        return self._button.icon()

    def setIcon(self, icon: QIcon) -> None:
        self._button.setIcon(icon)

    def acceptMode(self) -> QFileDialog.AcceptMode:
        return self._accept_mode

    def setAcceptMode(self, mode: QFileDialog.AcceptMode) -> None:
        self._accept_mode = mode

    def elideMode(self) -> Qt.TextElideMode:
        return self._elide_mode

    def setElideMode(self, mode: Qt.TextElideMode) -> None:
        self._elide_mode = mode


_DIRECTORIES, _FILES = 1, 2  # ctkPathLineEdit::Filter


@stand_in("ctkPathLineEdit")
class CtkPathLineEdit(_Browser):
    """A line for a path with its history, and a button that asks for one."""

    currentPathChanged = Signal(object)
    validInputChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label, self._key = "", ""
        self._filters, self._name_filters = 7, []
        self._size_adjust_policy, self._contents_length = 2, 0
        self._valid = False
        self._combo = QComboBox(self)
        self._combo.setEditable(True)
        self._button = QToolButton(self)
        self._button.setText("...")
        self._button.clicked.connect(self.browse)
        self._row(self._combo, self._button)
        self._combo.currentTextChanged.connect(self._on_edited)

    def currentPath(self) -> str:
        return self._combo.currentText()

    def setCurrentPath(self, path: str) -> None:
        self._combo.setCurrentText(path)

    def comboBox(self) -> QComboBox:
        return self._combo

    def browse(self) -> None:
        if self._filters & _FILES and not self._filters & _DIRECTORIES:
            chosen, _ = QFileDialog.getOpenFileName(self, self._label, self.currentPath(), ";;".join(self._name_filters))
        else:
            chosen = QFileDialog.getExistingDirectory(self, self._label, self.currentPath())
        if chosen:
            self.setCurrentPath(chosen)

    def retrieveHistory(self) -> None:
        history = QSettings().value(self._key or "PathLineEdit/history", [], list)
        self._combo.addItems([path for path in history if self._combo.findText(path) < 0])

    def addCurrentPathToHistory(self) -> None:
        if self.currentPath() and self._combo.findText(self.currentPath()) < 0:
            self._combo.insertItem(0, self.currentPath())
            QSettings().setValue(self._key or "PathLineEdit/history", [self._combo.itemText(row) for row in range(self._combo.count())])

    def label(self) -> str:
        return self._label

    def setLabel(self, label: str) -> None:
        self._label = label

    def filters(self) -> int:
        return self._filters

    def setFilters(self, filters: int) -> None:
        self._filters = int(filters)
        self._on_edited(self.currentPath())

    def nameFilters(self) -> list[str]:
        return self._name_filters

    def setNameFilters(self, filters: list[str]) -> None:
        self._name_filters = list(filters)

    def settingKey(self) -> str:
        return self._key

    def setSettingKey(self, key: str) -> None:
        self._key = key
        self.retrieveHistory()

    def showBrowseButton(self) -> bool:
        return not self._button.isHidden()

    def setShowBrowseButton(self, show: bool) -> None:
        self._button.setVisible(show)

    def sizeAdjustPolicy(self) -> int:
        return self._size_adjust_policy

    def setSizeAdjustPolicy(self, policy: int) -> None:
        self._size_adjust_policy = policy

    def minimumContentsLength(self) -> int:
        return self._contents_length

    def setMinimumContentsLength(self, length: int) -> None:
        self._contents_length = length
        self._combo.setMinimumContentsLength(length)

    def _on_edited(self, text: str) -> None:
        path = Path(text)
        valid = bool(text) and ((bool(self._filters & _DIRECTORIES) and path.is_dir()) or (bool(self._filters & _FILES) and path.is_file()))
        if valid != self._valid:
            self._valid = valid
            self.validInputChanged.emit(valid)
        self.currentPathChanged.emit(text)
