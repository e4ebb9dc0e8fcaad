"""Shortcuts: keys of the panel on Slicer's main window, alive only between `install` and `remove`. Imports qt and slicer.

While the cursor is in a text or number field no key is taken: letters, Enter and the arrows belong to the field then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import qt
import slicer

_FIELDS = ("QLineEdit", "QAbstractSpinBox", "QTextEdit", "QPlainTextEdit")
_REPEATING = ("Up", "Down")


class Shortcuts:
    """Keys and what they do.

    Args:
        slots: key, as QKeySequence reads it -> what to call.
    """

    def __init__(self, slots: Mapping[str, Callable[[], None]]):
        self._slots = dict(slots)
        self._shortcuts: list[qt.QShortcut] = []

    @property
    def installed(self) -> bool:
        """Whether the keys are alive."""
        return bool(self._shortcuts)

    def install(self) -> None:
        """Take the keys; without a main window nothing happens."""
        mainWindow = slicer.util.mainWindow()
        if self._shortcuts or mainWindow is None:
            return
        for key, slot in self._slots.items():
            shortcut = qt.QShortcut(qt.QKeySequence(key), mainWindow)
            shortcut.setAutoRepeat(key in _REPEATING)
            shortcut.connect("activated()", slot)
            self._shortcuts.append(shortcut)
        slicer.app.connect("focusChanged(QWidget*,QWidget*)", self._onFocusChanged)
        self._onFocusChanged(None, qt.QApplication.focusWidget())

    def remove(self) -> None:
        """Give the keys back."""
        if not self._shortcuts:
            return
        slicer.app.disconnect("focusChanged(QWidget*,QWidget*)", self._onFocusChanged)
        for shortcut in self._shortcuts:
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts.clear()

    def _onFocusChanged(self, _before, widget) -> None:
        inField = bool(widget) and any(widget.inherits(name) for name in _FIELDS)
        for shortcut in self._shortcuts:
            shortcut.setEnabled(not inField)
