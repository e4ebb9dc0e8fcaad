"""Shortcuts: keys of the panel on Slicer's main window, alive only between `install` and `remove`. Imports qt and slicer.

While the cursor is in a text or number field no key is taken: letters, Enter and the arrows belong to the field then. Single keys are given
up with `leave`, e.g. to the effect that is drawn with.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

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
        self._shortcuts: dict[str, qt.QShortcut] = {}
        self._left: frozenset[str] = frozenset()
        self._inField = False

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
            self._shortcuts[key] = shortcut
        slicer.app.connect("focusChanged(QWidget*,QWidget*)", self._onFocusChanged)
        self._onFocusChanged(None, qt.QApplication.focusWidget())

    def remove(self) -> None:
        """Give the keys back."""
        if not self._shortcuts:
            return
        slicer.app.disconnect("focusChanged(QWidget*,QWidget*)", self._onFocusChanged)
        for shortcut in self._shortcuts.values():
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts.clear()

    def press(self, key: str) -> None:
        """Do what a press of the key does when Qt hands it to the shortcut; for tests in Slicer, where nobody sits at the keyboard."""
        shortcut = self._shortcuts[key]
        qt.QApplication.sendEvent(shortcut, qt.QShortcutEvent(shortcut.key, shortcut.id()))

    def leave(self, keys: Collection[str]) -> None:
        """Leave these keys to others, and take all the rest; holds also for the next `install`."""
        if self._left != frozenset(keys):
            self._left = frozenset(keys)
            self._enable()

    def _onFocusChanged(self, _before, widget) -> None:
        self._inField = widget is not None and any(widget.inherits(name) for name in _FIELDS)
        self._enable()

    def _enable(self) -> None:
        for key, shortcut in self._shortcuts.items():
            shortcut.setEnabled(not self._inField and key not in self._left)
