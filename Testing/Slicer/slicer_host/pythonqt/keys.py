"""Key presses as the window system delivers them, for tests of shortcuts. Imports PySide6."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtTest, QtWidgets

from .conversion import unwrap


def press_key(widget: Any, keys: str) -> None:
    """Press and release a key with its modifiers, as if the user did, with the focus in a widget.

    Shortcuts are looked up first, as in an application: one that fits fires; of two that fit none fires, one is told that it is ambiguous.

    Args:
        widget: the proxy, or PySide6 widget, that gets the key if no shortcut takes it; its window is shown and made active.
        keys: as in Qt, one key with modifiers: ``"A"``, ``"Ctrl+Z"``, ``"Return"``, ``"Shift+Up"``.

    Raises:
        ValueError: no widget, or text that is no key.
        RuntimeError: the window does not become active.
    """
    target = unwrap(widget)
    if not isinstance(target, QtWidgets.QWidget):
        raise ValueError(f"expected a widget to press {keys} in, got {widget!r}")
    sequence = QtGui.QKeySequence(keys)
    if sequence.count() != 1 or sequence[0].key() == QtCore.Qt.Key.Key_unknown:
        raise ValueError(f"expected one key such as 'Ctrl+Z', got {keys!r}")
    _activate(target.window())
    if target.focusPolicy() != QtCore.Qt.FocusPolicy.NoFocus:
        target.setFocus()
    combination = sequence[0]
    QtTest.QTest.keyClick(target, combination.key(), combination.keyboardModifiers())
    QtWidgets.QApplication.processEvents()


def _activate(window: QtWidgets.QWidget) -> None:
    if not window.isVisible():
        window.show()
    if QtWidgets.QApplication.activeWindow() is not window:
        window.activateWindow()
        QtTest.QTest.qWaitForWindowActive(window, 2000)
    if QtWidgets.QApplication.activeWindow() is not window:
        raise RuntimeError(f"the window {window.objectName() or window.windowTitle()!r} did not become active; a modal dialog may be open")
