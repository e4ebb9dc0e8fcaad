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
    combination = _combination(keys)
    _activate(target.window())
    if target.focusPolicy() != QtCore.Qt.FocusPolicy.NoFocus:
        target.setFocus()
    QtTest.QTest.keyClick(target, combination.key(), combination.keyboardModifiers())
    QtWidgets.QApplication.processEvents()


def type_key(keys: str) -> None:
    """Press and release a key where the keyboard is: in the widget with the focus, of whichever window is active. Nothing is activated.

    Args:
        keys: as for `press_key`.

    Raises:
        ValueError: text that is no key.
        RuntimeError: no window is active.
    """
    target = QtWidgets.QApplication.focusWidget() or QtWidgets.QApplication.activeWindow()
    if target is None:
        raise RuntimeError(f"no window is active that could take the key {keys}")
    combination = _combination(keys)
    QtTest.QTest.keyClick(target, combination.key(), combination.keyboardModifiers())
    QtWidgets.QApplication.processEvents()


def _combination(keys: str) -> QtCore.QKeyCombination:
    sequence = QtGui.QKeySequence(keys)
    if sequence.count() != 1 or sequence[0].key() == QtCore.Qt.Key.Key_unknown:
        raise ValueError(f"expected one key such as 'Ctrl+Z', got {keys!r}")
    return sequence[0]


def _activate(window: QtWidgets.QWidget) -> None:
    if not window.isVisible():
        window.show()
    if QtWidgets.QApplication.activeWindow() is not window:
        window.activateWindow()
        QtTest.QTest.qWaitForWindowActive(window, 2000)
    if QtWidgets.QApplication.activeWindow() is not window:
        raise RuntimeError(f"the window {window.objectName() or window.windowTitle()!r} did not become active; a modal dialog may be open")
