"""ServerPage: which server runs the model, whether it answers, and which of its models to use. Imports qt, slicer and the Installer.

Nothing is sent before a click, and nothing is kept before 'Use this model'. The page keeps no truth of its own but what is typed.
"""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SAM2AnnotateLib.errors import Cancelled, SAM2AnnotateError

from ..Event import Event
from ..Model.ServerSettings import Server, forgetServer, keepServer, readServer, settingsFile
from ..Notice import showText
from ..PageDialog import enable
from ..Told import told
from .Installer import Installer

_UI_FILE = Path(__file__).parents[2] / "Resources" / "UI" / "Server.ui"


class ServerPage:
    """The page; `widget` goes into a dialog.

    Args:
        installer: tests the connection, installs what that takes.

    Attributes:
        chosen: emitted with a model's name, once the user chose to work with it on the server; with "" once the server was forgotten.
    """

    def __init__(self, installer: Installer):
        self.installer = installer
        self.chosen = Event()
        self.widget = slicer.util.loadUI(str(_UI_FILE))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self._closed = False
        self._tested: tuple[Server, dict] | None = None  # a server that answered, and what it said
        ui = self.ui
        kept = _("Address and token are kept by Qt's settings in your user profile ({file}): who can read it has the token.")
        showText(ui.keptLabel, kept.format(file=settingsFile()))
        ui.testButton.connect("clicked()", self.onTest)
        ui.cancelButton.connect("clicked()", self.installer.cancel)
        ui.installButton.connect("clicked()", self.onInstall)
        ui.useButton.connect("clicked()", self.onUse)
        ui.forgetButton.connect("clicked()", self.onForget)
        for edit in (ui.addressEdit, ui.tokenEdit):
            edit.connect("textChanged(QString)", self._onTyped)
        ui.certificatesEdit.connect("currentPathChanged(QString)", self._onTyped)
        self._showKept()

    def refresh(self) -> None:
        """Show how things stand."""
        self._updateButtons()

    def cleanup(self) -> None:
        """End what runs. The widget may be gone afterwards."""
        self._closed = True
        self.installer.cleanup()

    def typed(self) -> Server:
        """What stands in the fields."""
        ui = self.ui
        return Server(ui.addressEdit.text.strip(), ui.tokenEdit.text.strip(), (ui.certificatesEdit.currentPath or "").strip())

    def onTest(self) -> None:
        """Connect, and show what the server is."""
        server = self.typed()
        self._tested = None
        self._fillTable({})
        self._say(_("Connecting to {address}...").format(address=server.address))
        try:
            self.installer.checkServer(server, lambda error, about: self._onTested(server, error, about))
        except SAM2AnnotateError as error:
            self._say(told(error), isError=True)
        self._updateButtons()

    def onInstall(self) -> None:
        """Install what speaking to a server takes."""
        self._say(_("Installing. Slicer shows pip's progress."))
        try:
            self.installer.install(onServer=True)
        except SAM2AnnotateError as error:
            self._say(told(error, ""), isError=True)
        else:
            self._say(_("Installed."))
        self._updateButtons()

    def onUse(self) -> None:
        """Keep the server, and work with the chosen model."""
        if self._tested is None:
            return
        server, about = self._tested
        keepServer(server, about["models"])
        self._say(_("The server computes from now on."))
        self._updateButtons()
        self.chosen.emit(self.ui.modelComboBox.currentText)

    def onForget(self) -> None:
        """Remove address and token."""
        forgetServer()
        self._showKept()
        self._say(_("Address and token were removed from this computer."))
        self.chosen.emit("")

    def _showKept(self) -> None:
        server = readServer() or Server("", "")
        ui = self.ui
        ui.addressEdit.text, ui.tokenEdit.text, ui.certificatesEdit.currentPath = server.address, server.token, server.caFile
        self._tested = None
        self._fillTable({})
        self._updateButtons()

    def _onTyped(self, _text: str) -> None:
        if self._tested is not None and self._tested[0] != self.typed():
            self._tested = None
            self._fillTable({})
            self._say("")
        self._updateButtons()

    def _onTested(self, server: Server, error: SAM2AnnotateError | None, about: dict | None) -> None:
        if self._closed:
            return
        if isinstance(error, Cancelled):
            self._say(_("The test was stopped."))
        elif error is not None:
            self._say(told(error), isError=True)
        elif about is None or about.get("type") != "server":
            self._say(_("The test ended without a result."), isError=True)
        elif server != self.typed():
            self._say(_("Address or token were changed meanwhile. Test again."))
        else:
            self._tested = (server, about)
            self._fillTable(about)
            self._say(_("The server answers."))
        self._updateButtons()

    def _fillTable(self, about: dict) -> None:
        ui = self.ui
        rows = []
        if about:
            encrypted = _("yes, certificate verified") if about["encrypted"] else _("no: it is this very computer")
            milliseconds = about["round_trip_ms"]
            rows = [
                (_("Version"), f"SAM2Annotate {about['version']}"),
                (_("Device"), about["device"] or _("not told")),
                (_("Models"), ", ".join(about["models"])),
                (_("Round trip"), _("under 1 ms") if milliseconds < 1 else _("{time:.0f} ms").format(time=milliseconds)),
                (_("Encrypted"), encrypted),
                (_("You are"), about["user"]),
            ]
        table = ui.serverTable
        table.setRowCount(len(rows))
        for position, texts in enumerate(rows):
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setFlags(qt.Qt.ItemIsEnabled)
                item.setToolTip(text)
                table.setItem(position, column, item)
        table.resizeColumnsToContents()
        table.visible = bool(rows)
        ui.modelComboBox.clear()
        for name in about.get("models", []):
            ui.modelComboBox.addItem(name)

    def _updateButtons(self) -> None:
        ui, missing = self.ui, self.installer.missing(onServer=True)
        names = ", ".join(status.requirement.name for status in missing)
        there = _("What speaking to a server takes is installed; PyTorch and SAM 2 are not needed here.")
        showText(ui.packagesLabel, _("Missing here: {names}. PyTorch and SAM 2 are not needed.").format(names=names) if names else there)
        ui.installButton.visible = bool(missing)
        running, busy = self.installer.commandRunning, ""
        if self.installer.busy:
            busy = _("Wait until the work has ended, or cancel it.")
        enable(ui.installButton, _("Install from the internet: {names}.").format(names=names), busy)
        typed = self.typed()
        noServer = _("Type address and token first.") if not (typed.address and typed.token) else ""
        whyNot = busy or (_("Install what is missing first.") if missing else noServer)
        enable(ui.testButton, _("Connect now, and say the server's version, device and models, and how long a round trip takes."), whyNot)
        ui.cancelButton.visible = running
        untested = _("Test the connection first.") if self._tested is None else ""
        enable(ui.modelComboBox, _("The models that the server lends."), untested)
        enable(ui.useButton, _("Let the server compute from now on, and keep address and token in your user profile."), untested)
        nothingKept = _("No server is kept.") if readServer() is None else ""
        enable(ui.forgetButton, _("Remove address and token from this computer."), nothingKept)
        for label, reason in ((ui.testHintLabel, whyNot), (ui.useHintLabel, "" if whyNot else untested)):
            showText(label, reason)
            label.visible = bool(reason)

    def _say(self, text: str, isError: bool = False) -> None:
        showText(self.ui.statusLabel, text, isError)
