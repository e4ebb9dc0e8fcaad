"""SetUpPage: what is missing, what it weighs and where it goes, and the buttons that get it. Imports qt, slicer and the Installer.

Nothing is installed or downloaded before a click. The page keeps no truth of its own: it shows what the `Installer` says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SAM2AnnotateLib.errors import SAM2AnnotateError
from SAM2AnnotateLib.progress import Progress

from ..Event import Event
from ..Model.ModelNames import isOnServer
from ..Model.ServerSettings import readServer
from ..Notice import showText
from ..PageDialog import confirmOver, enable
from ..Told import told
from .Installer import Installer, SetUpRow

_UI_FILE = Path(__file__).parents[2] / "Resources" / "UI" / "SetUp.ui"
_BAR_STEPS = 1000


class SetUpPage:
    """The page; `widget` goes into a layout or a dialog.

    Args:
        installer: does the work.
        askFolder: asks for a folder and gives its path, or "" if the user thought better of it.

    Attributes:
        confirm: asks whether to go on.
        changed: emitted when packages or models may be there that were not.
    """

    def __init__(self, installer: Installer, askFolder: Callable[[], str] | None = None):
        self.installer = installer
        self._askFolder = askFolder if askFolder is not None else self._chooseFolder
        self.changed = Event()
        self.widget = slicer.util.loadUI(str(_UI_FILE))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.confirm: Callable[[str], bool] = confirmOver(self.widget)
        self._closed = False
        self._onServer = False  # whether a server runs the model that is worked with
        self._packages: list[SetUpRow] = []
        self._models: list[SetUpRow] = []
        ui = self.ui
        ui.installButton.connect("clicked()", self.onInstall)
        ui.offlineButton.connect("clicked()", self.onOfflineFolder)
        ui.checkButton.connect("clicked()", self.onCheck)
        ui.downloadButton.connect("clicked()", self.onDownload)
        ui.cancelButton.connect("clicked()", self.onCancel)
        ui.modelsTable.connect("itemSelectionChanged()", self._updateButtons)
        self.refresh()
        self._tellPending()

    def refresh(self) -> None:
        """Show how things stand."""
        self._packages = self.installer.describe(self._onServer)
        optional = [replace(row, state="optional" if row.state == "missing" else row.state) for row in self.installer.describeOptional()]
        _fill(self.ui.packagesTable, [*self._packages, *optional], lambda row: [row.name, _stateText(row), row.size, row.where])
        chosen = self._chosenModel()
        self._models = self.installer.describeModels()
        _fill(self.ui.modelsTable, self._models, lambda row: [row.name, _stateText(row), row.size, row.purpose])
        if chosen is not None:
            self._selectRow(chosen.name)
        here = _("SAM 2 runs in a process of its own, on Slicer's Python. These packages are needed; what is installed is never replaced.")
        there = _("A server runs the model: no more than these packages is needed here. What is installed is never replaced.")
        showText(self.ui.introductionLabel, there if self._onServer else here)
        self._updateButtons()

    @property
    def _ready(self) -> bool:
        return all(row.state == "ready" for row in self._packages)

    def chooseModel(self, name: str) -> None:
        """Select a model's row. Where it is a server's, less needs to be here."""
        if isOnServer(name) is not self._onServer:
            self._onServer = isOnServer(name)
            self.refresh()
        self._selectRow(name)

    def _selectRow(self, name: str) -> None:
        for position, row in enumerate(self._models):
            if row.name == name:
                self.ui.modelsTable.selectRow(position)

    def cleanup(self) -> None:
        """End what runs. The widget may be gone afterwards, also while pip is still at work: the page no longer touches it."""
        self._closed = True
        self.installer.cleanup()

    def onInstall(self) -> None:
        """Install what is missing from the internet, then check."""
        self._install(None)

    def onOfflineFolder(self) -> None:
        """Install from a folder, copy the weights that lie in it, then check."""
        folder = self._askFolder()
        if folder:
            self._install(folder)

    def onCheck(self) -> None:
        """Run the bundled model on a phantom, or connect to the server that runs the model."""
        server = readServer() if self._onServer else None
        if server is not None:
            self._say(_("Checking: connecting to {address}...").format(address=server.address))
            self._showBusy()
            self._begin(lambda: self.installer.checkServer(server, self._serverChecked))
            return
        self._say(_("Checking: the bundled model is run on a small phantom..."))
        self._showBusy()
        self._begin(lambda: self.installer.check(self._checked))

    def onDownload(self) -> None:
        """Download the chosen model, once its license is agreed to and the package that it runs on is there."""
        row = self._chosenModel()
        if row is None or not self._agreed(row):
            return
        try:
            if not self._hasPackageFor(row.name):
                return
        except SAM2AnnotateError as error:
            self._say(told(error, ""))
            return
        self._say(_("Downloading {name}...").format(name=row.name))
        self._begin(lambda: self.installer.downloadModel(row.name, self._showProgress, self._downloaded))

    def _agreed(self, row: SetUpRow) -> bool:
        """Whether the weights may be used by anybody, or the person agrees to their license."""
        terms = self.installer.licenseToAgreeTo(row.name)
        question = _("The weights of {name} come under this license: {terms}. Do you agree to it, and download them ({size})?")
        if not terms or self.confirm(question.format(name=row.name, terms=terms, size=row.size)):
            return True
        self._say(_("Nothing was downloaded: the license was not agreed to."))
        return False

    def _hasPackageFor(self, name: str) -> bool:
        """Whether the package that a model runs on is there, or is now. Raises SAM2AnnotateError if it could not be installed."""
        package = self.installer.packageFor(name)
        if package is None:
            return True
        question = _(
            "{name} runs on the package {package} ({size}), which is not installed. Install it into Slicer's Python now? Nothing that is "
            "installed is replaced."
        )
        if not self.confirm(question.format(name=name, package=package.name, size=package.size)):
            self._say(_("Nothing was downloaded: {package} is not installed.").format(package=package.name))
            return False
        slicer.app.setOverrideCursor(qt.Qt.WaitCursor)
        try:
            self.installer.installOptional(package.name)
        finally:
            slicer.app.restoreOverrideCursor()
        self.refresh()
        self.chooseModel(name)
        return True

    def onCancel(self) -> None:
        """Stop the download, copy or check."""
        self.installer.cancel()

    def _install(self, folder: str | None) -> None:
        self._say(_("Installing. Slicer shows pip's progress; this may take some minutes."))
        self._setButtonsBusy(_("Packages are being installed."), canCancel=False)
        problem = remedy = ""
        try:
            self.installer.install(self._showStep, folder, cpuTorch=bool(self.ui.cpuTorchCheckBox.checked), onServer=self._onServer)
        except SAM2AnnotateError as error:
            problem = told(
                error, _("Update or remove the extension that brought it, restart Slicer, then install again. The log says more.")
            )
            remedy = error.remedy
        finally:  # also after an error that nobody foresaw, the buttons come back
            if not self._closed:
                self._log("\n".join(text for text in (self.installer.log, remedy) if text))
                self._end(problem)
                self.changed.emit()
        if problem or self._closed:
            return
        if folder is not None:
            self._say(_("Copying the models of the offline folder..."))
            self._begin(lambda: self.installer.importWeights(folder, self._showProgress, self._imported))
        else:
            self.onCheck()

    def _imported(self, error: SAM2AnnotateError | None) -> None:
        if error is not None:
            self._failed(error)
            return
        self.refresh()
        self.onCheck()

    def _downloaded(self, error: SAM2AnnotateError | None) -> None:
        if error is not None:
            self._failed(error)
            return
        self._end(_("The model is ready."))
        self.changed.emit()

    def _checked(self, ok: bool, line: str) -> None:
        self._log(self.installer.commandLog)
        text = _("Check: {line}").format(line=line)
        if ok and self.installer.restartNeeded:
            text += " " + _("Restart Slicer before you use other modules that need PyTorch.")
        self._end(text)

    def _serverChecked(self, error: SAM2AnnotateError | None, about: dict | None) -> None:
        line = told(error, "") if error is not None else (about or {}).get("line", _("The check ended without a result."))
        self._end(_("Check: {line}").format(line=line))

    def _failed(self, error: SAM2AnnotateError) -> None:
        self._log(self.installer.commandLog)
        self._end(told(error, ""))
        self.changed.emit()

    def _begin(self, start: Callable[[], None]) -> None:
        try:
            start()
        except SAM2AnnotateError as error:
            self._end(told(error, ""))
            return
        self._updateButtons()

    def _end(self, text: str) -> None:
        self.ui.progressBar.setRange(0, _BAR_STEPS)
        self.ui.progressBar.value = 0
        self._say(text)
        self.refresh()

    def _tellPending(self) -> None:
        pending = self.installer.pending()
        if self.installer.restartNeeded:
            self._say(_("Restart Slicer, then come back: the set-up goes on where it stopped."))
        elif pending is not None and not self._ready:
            self._say(_("A set-up stopped at '{step}'. Click 'Install what is missing' to go on.").format(step=pending.step))

    def _updateButtons(self) -> None:
        if self.installer.commandRunning:
            self._setButtonsBusy(_("Wait until the work below has ended, or cancel it."), canCancel=True)
            return
        ui, row = self.ui, self._chosenModel()
        allThere = _("Everything is installed.") if self._ready else ""
        if self.installer.restartNeeded and not self._ready:
            allThere = _("Slicer must be restarted first.")
        enable(ui.installButton, _("Install the missing packages from the internet. Nothing that is installed is replaced."), allThere)
        enable(ui.offlineButton, _("Install from a folder made with 'sam2annotate offline-folder', and copy the models in it."), "")
        missing = "" if self._ready else _("Packages are missing; install them first.")
        check = _("Run the bundled model on a small phantom, and say in one line whether all is well.")
        noServer = _("No server is kept on this computer.") if self._onServer and readServer() is None else ""
        enable(ui.checkButton, _("Connect to the server that runs the model.") if self._onServer else check, missing or noServer)
        if row is None:
            reason = _("Choose a model in the list first.")
        elif row.state != "not downloaded":
            reason = _("The weights of this model are here.")
        else:
            reason = ""
        enable(ui.downloadButton, _("Download the weights of the chosen model. A broken download is taken up again."), reason)
        noDownload = reason
        byExtension = _("Slicer's PyTorch extension chooses the build.") if self.installer.usesPyTorchExtension() else ""
        torchThere = any(one.name == "torch" and one.state == "ready" for one in self._packages)
        notNeeded = _("A server runs the model: PyTorch is not needed here.") if self._onServer else byExtension
        reason = _("PyTorch is installed.") if torchThere else notNeeded
        enable(ui.cpuTorchCheckBox, _("Take the smaller PyTorch without CUDA (about 200 MB). SAM 2 then runs on the processor."), reason)
        enable(ui.cancelButton, _("Stop the download or check."), _("Nothing is running."))
        self._explain(allThere or missing, noDownload)

    def _setButtonsBusy(self, reason: str, canCancel: bool) -> None:
        ui = self.ui
        for button in (ui.installButton, ui.offlineButton, ui.checkButton, ui.downloadButton, ui.cpuTorchCheckBox):
            enable(button, "", reason)
        self._explain(reason, "")
        enable(
            ui.cancelButton, _("Stop it. What a download has received is kept."), "" if canCancel else _("pip cannot be stopped safely.")
        )

    def _explain(self, *reasons: str) -> None:
        """Say beside the buttons why they cannot be used."""
        for label, reason in zip((self.ui.installHintLabel, self.ui.downloadHintLabel), reasons, strict=True):
            showText(label, reason)
            label.visible = bool(reason)

    def _showStep(self, progress: Progress) -> None:
        if self._closed:
            return
        self._showProgress(progress)
        if progress.what:
            self._log(progress.what)

    def _showProgress(self, progress: Progress) -> None:
        if progress.total:
            self.ui.progressBar.setRange(0, _BAR_STEPS)
            self.ui.progressBar.value = int(_BAR_STEPS * progress.done / progress.total)
        else:
            self._showBusy()

    def _showBusy(self) -> None:
        self.ui.progressBar.setRange(0, 0)

    def _say(self, text: str) -> None:
        showText(self.ui.statusLabel, text)
        self._log(text)

    def _log(self, text: str) -> None:
        if text.strip():
            self.ui.logView.appendPlainText(text.strip())

    def _chosenModel(self) -> SetUpRow | None:
        position = self.ui.modelsTable.currentRow()
        return self._models[position] if 0 <= position < len(self._models) else None

    def _chooseFolder(self) -> str:
        return qt.QFileDialog.getExistingDirectory(self.widget, _("Offline folder"))


def _fill(table, rows: list[SetUpRow], texts: Callable[[SetUpRow], list[str]]) -> None:
    table.setRowCount(len(rows))
    for position, row in enumerate(rows):
        for column, text in enumerate(texts(row)):
            item = qt.QTableWidgetItem(text)
            item.setFlags(qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled)
            item.setToolTip(f"{row.purpose}\n{row.where}" if column == 0 else text)
            table.setItem(position, column, item)
    table.resizeColumnsToContents()


def _stateText(row: SetUpRow) -> str:
    texts = {
        "ready": _("ready"),
        "missing": _("missing"),
        "damaged": _("incomplete, will be repaired"),
        "unfit": _("version does not fit"),
        "optional": _("not needed; what needs it offers it"),
        "bundled": _("bundled"),
        "not downloaded": _("not downloaded"),
    }
    return f"{texts[row.state]} ({row.detail})" if row.detail else texts[row.state]
