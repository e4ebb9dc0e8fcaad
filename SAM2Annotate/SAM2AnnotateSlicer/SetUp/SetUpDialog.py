"""SetUpDialog: the set-up page in a window of its own, made when it is asked for. Imports slicer and the page."""

from __future__ import annotations

from collections.abc import Callable

from slicer.i18n import tr as _

from ..PageDialog import windowOf
from .Installer import Installer
from .SetUpPage import SetUpPage

_SIZE = (760, 704)  # so that all columns of both tables are seen


class SetUpDialog:
    """The window.

    Args:
        installer: does the work.
        changed: told when packages or models may be there that were not.
    """

    def __init__(self, installer: Installer, changed: Callable[[], None]):
        self._installer, self._changed = installer, changed
        self.page: SetUpPage | None = None
        self.dialog = None

    def open(self, model: str) -> None:
        """Show the window, with a model selected."""
        if self.page is None:
            self.page = SetUpPage(self._installer)
            self.dialog = windowOf(self.page.widget, _("SAM2Annotate: Set-up"), _SIZE)
            self.page.changed.connect(self._changed)
        self.page.refresh()
        self.page.chooseModel(model)
        self.dialog.show()
        self.dialog.raise_()

    def cleanup(self) -> None:
        """Close the window and end what runs."""
        if self.page is not None:
            self.page.changed.disconnect(self._changed)
            self.page.cleanup()
            self.dialog.close()
            self.dialog.deleteLater()
            self.page = self.dialog = None
        self._installer.cleanup()
