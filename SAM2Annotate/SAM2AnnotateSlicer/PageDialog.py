"""PageDialog: a page in a window of its own, made when it is asked for, open beside the panel; its buttons. Imports qt and slicer."""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _

_WINDOW_FRAME = (24, 64)  # pixels for the window's title and border, and a taskbar that does not tell of itself


class PageDialog:
    """The window.

    Args:
        makePage: makes the page: `widget`, `refresh()` when it is shown, `cleanup()` when it goes.
        title: of the window.
        size: (width, height) to begin with.
    """

    def __init__(self, makePage: Callable, title: str, size: tuple[int, int]):
        self._makePage, self._title, self._size = makePage, title, size
        self.page = self.dialog = None

    def open(self) -> None:
        """Show the window, with the page as things stand."""
        if self.dialog is None:
            self.page = self._makePage()
            self.dialog = windowOf(self.page.widget, self._title, self._size)
        self.page.refresh()
        self.dialog.show()
        self.dialog.raise_()

    def cleanup(self) -> None:
        """Close the window and end what runs."""
        if self.dialog is not None:
            self.page.cleanup()
            self.dialog.close()
            self.dialog.deleteLater()
            self.page = self.dialog = None


def windowOf(page, title: str, size: tuple[int, int]):
    """A window with a page in it, never larger than the screen: the page scrolls then."""
    dialog = qt.QDialog(slicer.util.mainWindow())
    dialog.setWindowTitle(title)
    area = qt.QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(qt.QFrame.NoFrame)
    area.setWidget(page)
    layout = qt.QVBoxLayout(dialog)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(area)
    fit(dialog, size)
    leaveEnterAlone(dialog)
    return dialog


def fit(dialog, size: tuple[int, int]) -> None:
    """Give a window a size, (width, height), as far as the screen has room."""
    room = dialog.screen().availableGeometry
    dialog.resize(min(size[0], room.width() - _WINDOW_FRAME[0]), min(size[1], room.height() - _WINDOW_FRAME[1]))


def leaveEnterAlone(dialog) -> None:
    """Let Enter press no button of a dialog, wherever the cursor is.

    Qt would make a default of the first button that comes, and what it does would happen to who ends a field or a choice with Enter.
    """
    for button in slicer.util.findChildren(dialog):
        if button.inherits("QPushButton"):
            button.autoDefault = False
            button.default = False


def confirmOver(widget) -> Callable[[str], bool]:
    """What asks whether to go on, over the window that a widget is in, which has the keyboard again after the answer."""
    return lambda question: slicer.util.confirmOkCancelDisplay(question, parent=widget.window())


def enable(widget, toolTip: str, reasonAgainst: str) -> None:
    """Enable a button of a page, or disable it with the reason in its tooltip; both texts may be empty."""
    widget.enabled = not reasonAgainst
    why = f"{_('Not now:')} {reasonAgainst}" if reasonAgainst else ""
    widget.toolTip = "\n".join(text for text in (toolTip, why) if text)
