"""ServerDialog: the page of the server that runs the model, in a window of its own, made when it is asked for. Imports the page."""

from __future__ import annotations

from collections.abc import Callable

from slicer.i18n import tr as _

from ..PageDialog import PageDialog
from .Installer import Installer
from .ServerPage import ServerPage

_SIZE = (600, 520)


class ServerDialog(PageDialog):
    """The window.

    Args:
        installer: tests the connection.
        chosen: told the name of the model that the user chose, "" if the server was forgotten.
    """

    def __init__(self, installer: Installer, chosen: Callable[[str], None]):
        def make() -> ServerPage:
            page = ServerPage(installer)
            page.chosen.connect(chosen)
            return page

        super().__init__(make, _("SAM2Annotate: The model on a server"), _SIZE)
