"""WorklistPage: a folder of volumes, how far each is, and going from one to the next. Imports qt, slicer and the Worklist."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SAM2AnnotateLib.errors import SAM2AnnotateError

from ..Notice import Notice, showText
from ..PageDialog import confirmOver, enable
from ..Told import told
from ..Words import sentence
from . import CaseProposals
from .LearnEachCase import LearnEachCase
from .ProposeForAll import ProposeForAll
from .Worklist import Worklist
from .WorklistFolder import CaseState, WorklistCase

_UI_FILE = Path(__file__).parents[2] / "Resources" / "UI" / "Worklist.ui"
_SETTING, _LEARN_SETTING = "SAM2Annotate/WorklistFolder", "SAM2Annotate/WorklistLearns"
_UNTILT_SETTING = "SAM2Annotate/WorklistUntilt"


class WorklistPage:
    """The page; `widget` goes into a dialog.

    Args:
        worklist: opens and saves.
        blocked: says why the scene cannot be left now; empty if it can.
        opened: told of the volume's node after a case was opened.
        proposer: looks for an object in all cases that are left.
        learnEach: learns after each reviewed case, if the user wants it.

    Attributes:
        confirm: asks whether to go on.
    """

    def __init__(
        self,
        worklist: Worklist,
        blocked: Callable[[], str],
        opened: Callable[[], None],
        proposer: ProposeForAll,
        learnEach: LearnEachCase,
    ):
        self._worklist, self._blocked, self._opened, self._proposer = worklist, blocked, opened, proposer
        self._learnEach, self._learning = learnEach, proposer.learning
        self._cases: list[WorklistCase] = []
        self.widget = slicer.util.loadUI(str(_UI_FILE))
        self.confirm: Callable[[str], bool] = confirmOver(self.widget)
        ui = self.ui = slicer.util.childWidgetVariables(self.widget)
        self._notice = Notice(ui.statusLabel, lambda _isError: (worklist.current,))
        self._found = ""  # what the folder holds, in words
        ui.folderEdit.currentPath = qt.QSettings().value(_SETTING) or ""
        ui.untiltCheckBox.checked = worklist.untilt = qt.QSettings().value(_UNTILT_SETTING) == "1"
        ui.untiltCheckBox.connect("toggled(bool)", self._onUntilt)
        ui.folderEdit.connect("currentPathChanged(QString)", self._onFolder)
        ui.casesTable.connect("itemSelectionChanged()", self.refreshButtons)
        ui.casesTable.connect("cellDoubleClicked(int,int)", self._onDoubleClick)
        ui.nextButton.connect("clicked()", self.onNext)
        ui.openButton.connect("clicked()", self.onOpen)
        ui.saveButton.connect("clicked()", self.onSave)
        ui.refreshButton.connect("clicked()", self.refresh)
        ui.proposeButton.connect("clicked()", self.onPropose)
        ui.stopButton.connect("clicked()", proposer.cancel)
        proposer.changed.connect(self._onProposed)
        ui.learnCheckBox.checked = str(qt.QSettings().value(_LEARN_SETTING)).lower() == "true"
        learnEach.on = bool(ui.learnCheckBox.checked)
        ui.learnCheckBox.connect("clicked(bool)", self._onLearnEach)
        ui.stopLearningButton.connect("clicked()", learnEach.cancel)
        self._learning.changed.connect(self.refreshButtons)
        self._shownCounts: tuple[int, int] | None = None

    def refresh(self) -> None:
        """Look into the folder, and show how things stand."""
        self._listPrototypes()
        self._onFolder(self.ui.folderEdit.currentPath)

    def refreshButtons(self) -> None:
        """Show what can be done now."""
        ui, current = self.ui, self._worklist.current
        noFolder = _("Choose a folder with volumes first.") if not self._cases else ""
        blocked = self._blocked()
        chosen = self._chosen()
        noChoice = _("Choose another case in the list first.") if chosen is None or chosen == current else ""
        noNext = _("All other cases are reviewed or exported.") if not noFolder and self._next() is None else ""
        noCase = _("The chosen volume is none of the worklist. Open a case first.") if current is None else ""
        enable(
            ui.nextButton, _("Save this case, close the scene, and load the next one that is not reviewed."), noFolder or blocked or noNext
        )
        enable(ui.openButton, _("Save this case, close the scene, and load the chosen one."), noFolder or blocked or noChoice)
        enable(ui.saveButton, _("Write the segmentation beside its volume."), noFolder or blocked or noCase)
        running = self._proposer.running
        noPrototype = _("Keep an object as a prototype first: in the panel, under 'Save'.") if ui.prototypeComboBox.count == 0 else ""
        already = _("The cases are being looked into.") if running else ""
        tip = _("Look for this object in every case that nobody has begun, in the background. Each is proposed, and none is decided.")
        enable(ui.proposeButton, tip, noFolder or noPrototype or already)
        enable(ui.prototypeComboBox, _("An object that was kept as a prototype."), noPrototype or already)
        enable(ui.stopButton, _("Stop looking. What was proposed stays."), "" if running else _("Nothing is being looked for."))
        showText(ui.proposeLabel, self._proposeText())
        ui.proposeLabel.visible = bool(ui.proposeLabel.text)
        learns = _(
            "The model learns this list's objects after each case that is reviewed, from all of them, while it has nothing else to do."
        )
        enable(ui.learnCheckBox, learns + " " + _("The next case begins with what was learned; 'Forget' goes back."), noFolder)
        enable(ui.stopLearningButton, _("Stop learning. It begins again after the next case."), self._noLearning())
        showText(ui.learnLabel, self._learning.text)
        ui.learnLabel.visible = bool(ui.learnLabel.text) and not running
        why = noFolder or blocked or noNext or noChoice
        showText(ui.hintLabel, why)
        ui.hintLabel.visible = bool(why)
        self._notice.settle(self._found)
        enable(ui.refreshButton, _("Look into the folder again."), "")

    def cleanup(self) -> None:
        """The page goes."""
        self._proposer.changed.disconnect(self._onProposed)
        self._learning.changed.disconnect(self.refreshButtons)

    # -- what the user does -----------------------------------------------------------------------------------------------------------

    def onNext(self) -> None:
        """Go on with the next case."""
        self._goTo(self._next())

    def onOpen(self) -> None:
        """Go on with the chosen case."""
        self._goTo(self._chosen())

    def onPropose(self) -> None:
        """Look for the chosen prototype's object in all cases that are left."""
        try:
            self._proposer.start(self.ui.prototypeComboBox.currentText)
        except SAM2AnnotateError as error:
            self._say(told(error), isError=True)
        self.refreshButtons()

    def onSave(self) -> None:
        """Write the segmentation."""
        try:
            path = self._worklist.save()
        except SAM2AnnotateError as error:
            self._say(told(error), isError=True)
            return
        self.refresh()
        if path is None:
            self._say(_("There is no segment to save yet."), holds=lambda: not slicer.util.getNodesByClass("vtkMRMLSegmentationNode"))
        else:
            self._say(_("Saved {path}.").format(path=path))

    def _goTo(self, case: WorklistCase | None) -> None:
        if case is None:
            return
        try:
            unsaved = self._worklist.unsaved()
            if unsaved and not self.confirm(
                _("The scene also holds what is not saved: {names}. It is lost when the scene is closed. Go on?").format(
                    names=", ".join(unsaved)
                )
            ):
                return
            before = self._worklist.current
            notes = self._worklist.goTo(case)
        except SAM2AnnotateError as error:
            self.refresh()
            self._say(told(error), isError=True)
            return
        self._opened()
        self.refresh()
        saved = _("Saved '{name}'. ").format(name=before.name) if before is not None else ""
        settled = [sentence(note[:1].upper() + note[1:]) for note in notes]
        self._say(" ".join([saved + _("This is '{name}'.").format(name=case.name), *settled]))

    # -- learning -----------------------------------------------------------------------------------------------------------------------

    def _onLearnEach(self, wanted: bool) -> None:
        qt.QSettings().setValue(_LEARN_SETTING, "true" if wanted else "false")
        self._learnEach.turn(bool(wanted))
        self.refreshButtons()

    def _noLearning(self) -> str:
        return "" if self._learning.running and not self._proposer.running else _("Nothing is being learned.")

    # -- proposals ----------------------------------------------------------------------------------------------------------------------

    def _listPrototypes(self) -> None:
        combo = self.ui.prototypeComboBox
        try:
            names = self._proposer.names()
        except SAM2AnnotateError as error:
            names = []
            self._say(told(error), isError=True)
        chosen = combo.currentText
        combo.clear()
        combo.addItems(names)
        combo.setCurrentIndex(max(0, combo.findText(chosen)))

    def _proposeText(self) -> str:
        told = {**self._learning.problems, **self._proposer.problems}
        problems = "; ".join(f"{name}: {text}" for name, text in list(told.items())[:3])
        return f"{self._proposer.text} {problems}".strip()

    def _onProposed(self) -> None:
        """It went on: the text at once, the list when a case is done."""
        counts = (*self._proposer.counts, self._proposer.running)
        if counts != self._shownCounts:
            self._shownCounts = counts
            self._showCases()
        self.refreshButtons()

    # -- within -----------------------------------------------------------------------------------------------------------------------

    def _onFolder(self, path: str) -> None:
        self._cases = []
        try:
            if path:
                self._worklist.openFolder(path)
                self._cases = self._worklist.folder.cases()
                qt.QSettings().setValue(_SETTING, path)
            self._found = self._foundText() if path else ""
            self._notice.forget()
        except SAM2AnnotateError as error:
            self._say(told(error), isError=True)
        self._showCases()
        self.refreshButtons()

    def _onUntilt(self, on: bool) -> None:
        self._worklist.untilt = on
        qt.QSettings().setValue(_UNTILT_SETTING, "1" if on else "0")

    def _showCases(self) -> None:
        table, chosen, current = self.ui.casesTable, self.ui.casesTable.currentRow(), self._worklist.current
        table.setRowCount(len(self._cases))
        for row, case in enumerate(self._cases):
            state = self._stateText(case)
            name = _("{name} (open)").format(name=case.name) if case == current else case.name
            for column, text in enumerate((name, state, case.path.name)):
                item = qt.QTableWidgetItem(text)
                item.setFlags(qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled)
                item.setToolTip(str(case.path))
                table.setItem(row, column, item)
        table.resizeColumnsToContents()
        if 0 <= chosen < len(self._cases):
            table.selectRow(chosen)

    def _foundText(self) -> str:
        text = _("{count} volumes.").format(count=len(self._cases))
        names = ", ".join(self._worklist.folder.unreadable)
        return text + " " + _("These folders may not be looked into: {names}.").format(names=names) if names else text

    def _onDoubleClick(self, _row: int, _column: int) -> None:
        if self.ui.openButton.enabled:
            self.onOpen()

    def _stateText(self, case: WorklistCase) -> str:
        texts = {
            CaseState.NOT_STARTED: _("not started"),
            CaseState.IN_WORK: _("in work"),
            CaseState.REVIEWED: _("reviewed"),
            CaseState.EXPORTED: _("exported"),
        }
        try:
            state = self._worklist.folder.state(case)
            proposal = CaseProposals.find(case)
            if proposal is None or case.segmentation.is_file():
                return texts[state]
            found = _("proposed, doubt {doubt:.2f}").format(doubt=proposal.doubt) if proposal.found else _("not found")
            return found if state is CaseState.NOT_STARTED else f"{texts[state]}, {found}"
        except SAM2AnnotateError as error:
            self._say(told(error), isError=True)
            return _("cannot be read")

    def _next(self) -> WorklistCase | None:
        try:
            return self._worklist.next()
        except SAM2AnnotateError as error:
            self._say(told(error), isError=True)
            return None

    def _chosen(self) -> WorklistCase | None:
        row = self.ui.casesTable.currentRow()
        return self._cases[row] if 0 <= row < len(self._cases) else None

    def _say(self, text: str, isError: bool = False, holds: Callable[[], bool] | None = None) -> None:
        self._notice.tell(text, isError, holds)
