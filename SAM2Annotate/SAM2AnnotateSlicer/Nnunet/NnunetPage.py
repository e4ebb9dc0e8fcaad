"""NnunetPage: the form of an export to nnU-Net: what goes where, preview, export, check. Imports qt, slicer and NnunetExport.

The page keeps no truth of its own: a data set's plan is in the data set, what becomes of the case is what the preview says.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SAM2AnnotateLib.errors import SAM2AnnotateError
from SAM2AnnotateLib.nnunet.cases.plan import UNREVIEWED_RULES, channel_name

from ..Notice import Notice, showText
from ..PageDialog import confirmOver, enable
from ..Review.Logic import AnnotationLogic
from ..Scene.SceneBridge import volumeFromNode
from ..Scrolling import reveal
from ..Told import told
from .NnunetCase import defaultCaseId, patientIdOf
from .NnunetExport import ExportForm, NnunetExport
from .NnunetPlan import dataSetsIn, defaultRows, freeNumber, planText
from .NnunetTables import ChannelsTable, LabelsTable
from .NnunetText import previewText, verifiedText

_UI_FILE = Path(__file__).parents[2] / "Resources" / "UI" / "NnunetExport.ui"
SETTINGS = "SAM2Annotate/Nnunet"


class NnunetPage:
    """The page; `widget` goes into a dialog.

    Args:
        logic: knows the scene's objects.
        exporter: does the work.

    Attributes:
        confirm: asks whether to go on.
        openFolder: shows a folder in the file manager.
    """

    def __init__(self, logic: AnnotationLogic, exporter: NnunetExport):
        self._logic, self.exporter = logic, exporter
        self.openFolder: Callable[[str], object] = _openFolder
        self._previewed: ExportForm | None = None  # what a preview that still holds is of
        self._listed: ExportForm | None = None  # what the preview below is of; None if something else stands there
        self._replaces = False
        self._volumeId = ""  # of the volume that the form was made for
        self._isNew = False  # whether the tables are those of a new data set
        self.widget = slicer.util.loadUI(str(_UI_FILE))
        self.confirm: Callable[[str], bool] = confirmOver(self.widget)
        ui = self.ui = slicer.util.childWidgetVariables(self.widget)
        self._notice = Notice(ui.statusLabel)
        ui.segmentationSelector.setMRMLScene(logic.scene)
        self._channels = ChannelsTable(ui.channelsTable, logic.scene, self._onEdited)
        self._labels = LabelsTable(ui.labelsTable)
        for rule, text in zip(UNREVIEWED_RULES, _unreviewedTexts(), strict=True):
            ui.unreviewedComboBox.addItem(text, rule)
        self._showSettings()
        self._connect()

    def refresh(self) -> None:
        """Show how things stand; another volume than last time gets a form of its own."""
        volumeNode = self._logic.parameters.volume if self._logic.hasParameters else None
        volumeId = "" if volumeNode is None else volumeNode.GetID()
        if volumeNode is not None and volumeId != self._volumeId:
            self.ui.caseIdEdit.text = defaultCaseId(volumeNode)
            self.ui.patientIdEdit.text = patientIdOf(volumeNode)
            self.ui.segmentationSelector.setCurrentNode(self._logic.parameters.segmentation)
        self._volumeId = volumeId
        self._fillDataSets()
        self._fillPlan()

    def cleanup(self) -> None:
        """The page goes."""
        self._logic.changed.disconnect(self._onLogicChanged)
        self._logic.objectChanged.disconnect(self._onObject)
        self.exporter.cleanup()

    def form(self) -> ExportForm:
        """What the widgets say."""
        ui = self.ui
        segmentationNode = ui.segmentationSelector.currentNode()
        return ExportForm(
            ui.rawFolderEdit.currentPath,
            ui.dataSetComboBox.currentData or "",
            ui.numberSpinBox.value,
            ui.nameEdit.text.strip(),
            ui.caseIdEdit.text.strip(),
            ui.patientIdEdit.text.strip(),
            self._channels.channels(),
            "" if segmentationNode is None else segmentationNode.GetID(),
            () if ui.dataSetComboBox.currentData else self._labels.rows(),
            ui.ignoreCheckBox.isChecked(),
            ui.unreviewedComboBox.currentData,
            ui.testShareSpinBox.value / 100,
            ui.resampleCheckBox.isChecked(),
        )

    # -- what the user does -----------------------------------------------------------------------------------------------------------

    def onPreview(self) -> None:
        """Find out what would be written."""
        form = self.form()

        def show(error: SAM2AnnotateError | None, answer: dict) -> None:
            if error is None:
                self._previewed, self._replaces = form, bool(answer["replaces"])
                self._list(previewText(answer), form)
            self._end(_("This is what 'Export' will write.") if error is None else told(error), error is not None)

        self._begin(_("Finding out what would be written..."), lambda: self.exporter.preview(form, show))

    def onExport(self) -> None:
        """Write the case; ask before one is replaced."""
        form = self.form()
        if self._replaces and not self.confirm(
            _("The case '{case}' is in '{name}' already. It will be replaced. Go on?").format(case=form.caseId, name=form.folder.name)
        ):
            return

        def show(error: SAM2AnnotateError | None, answer: dict) -> None:
            if error is None:
                self._keepSettings(Path(answer["folder"]))
                self._list("\n".join(answer["lines"]))
                self._fillDataSets()
                self._fillPlan()
            done = _("Exported '{case}' to {folder}.").format(case=form.caseId, folder=form.folder)
            self._end(done if error is None else _("Nothing was changed: {error}").format(error=told(error)), error is not None)

        self._begin(_("Writing the case..."), lambda: self.exporter.export(form, self._replaces, show))

    def onVerify(self) -> None:
        """Check the data set."""

        def show(error: SAM2AnnotateError | None, answer: dict) -> None:
            if error is None:
                self._list(verifiedText(answer))
            problems = len(answer.get("problems", ()))
            found = _("{count} problems, see below.").format(count=problems) if problems else _("No problems.")
            self._end(found if error is None else told(error), error is not None or bool(problems))

        folder, python = self.form().folder, self.ui.pythonEdit.currentPath
        self._begin(_("Checking the data set..."), lambda: self.exporter.verify(folder, python, show))

    def onOpenFolder(self) -> None:
        """Show the data set in the file manager."""
        self.openFolder(str(self.form().folder))

    # -- within -----------------------------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        ui = self.ui
        ui.rawFolderEdit.connect("currentPathChanged(QString)", self._onFolder)
        ui.dataSetComboBox.connect("currentIndexChanged(int)", self._onDataSet)
        ui.segmentationSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onSegmentation)
        for edit in (ui.nameEdit, ui.caseIdEdit, ui.patientIdEdit):
            edit.connect("textChanged(QString)", self._onText)
        ui.numberSpinBox.connect("valueChanged(int)", self._onNumber)
        ui.testShareSpinBox.connect("valueChanged(int)", self._onNumber)
        ui.unreviewedComboBox.connect("currentIndexChanged(int)", self._onNumber)
        ui.ignoreCheckBox.connect("toggled(bool)", self._onToggled)
        ui.resampleCheckBox.connect("toggled(bool)", self._onToggled)
        ui.channelsTable.connect("itemChanged(QTableWidgetItem*)", self._onItem)
        ui.labelsTable.connect("itemChanged(QTableWidgetItem*)", self._onItem)
        ui.addChannelButton.connect("clicked()", self._addChannel)
        ui.removeChannelButton.connect("clicked()", self._removeChannel)
        ui.previewButton.connect("clicked()", self.onPreview)
        ui.exportButton.connect("clicked()", self.onExport)
        ui.verifyButton.connect("clicked()", self.onVerify)
        ui.openFolderButton.connect("clicked()", self.onOpenFolder)
        ui.cancelButton.connect("clicked()", self.exporter.cancel)
        self._logic.changed.connect(self._onLogicChanged)
        self._logic.objectChanged.connect(self._onObject)

    def _onFolder(self, _path: str) -> None:
        self._fillDataSets()
        self._fillPlan()

    def _onDataSet(self, _index: int) -> None:
        self._fillPlan()

    def _onSegmentation(self, _node) -> None:
        self._fillPlan()

    def _onText(self, _text: str) -> None:
        self._onEdited()

    def _onNumber(self, _value: int) -> None:
        self._onEdited()

    def _onToggled(self, _on: bool) -> None:
        self._onEdited()

    def _onItem(self, _item) -> None:
        if not self.ui.dataSetComboBox.currentData:
            self._labels.refreshValues()
        self._onEdited()

    def _onEdited(self) -> None:
        """The form or the scene changed: what was previewed is out of date."""
        self._previewed = None
        self._updateButtons()

    def _onLogicChanged(self) -> None:
        self._previewed = None
        if self.widget.visible:  # else each decision in the panel would look into the data set
            self._updateButtons()

    def _onObject(self) -> None:
        if not self._logic.hasParameters:
            self._volumeId = ""  # the scene is closed: the next volume may have the same ID
            self._onEdited()

    def _addChannel(self) -> None:
        self._channels.fill((*self._channels.channels(), (_("channel {n}").format(n=self.ui.channelsTable.rowCount), "")), fixedNames=False)
        self._onEdited()

    def _removeChannel(self) -> None:
        self._channels.fill(self._channels.channels()[:-1], fixedNames=False)
        self._onEdited()

    def _fillDataSets(self) -> None:
        box = self.ui.dataSetComboBox
        chosen = box.currentData or qt.QSettings().value(f"{SETTINGS}/DataSet") or ""
        blocked = box.blockSignals(True)
        box.clear()
        for path in dataSetsIn(self.ui.rawFolderEdit.currentPath):
            box.addItem(path.name, path.name)
        box.addItem(_("New data set"), "")
        at = box.findData(chosen)
        box.setCurrentIndex(at if at >= 0 else box.count - 1)
        box.blockSignals(blocked)

    def _fillPlan(self) -> None:
        """Show the plan of the chosen data set, or a form for a new one."""
        ui, form = self.ui, self.form()
        isNew = not form.dataSet
        for widget in (ui.numberSpinBox, ui.nameEdit, ui.ignoreCheckBox, ui.testShareSpinBox):
            widget.enabled = isNew
        volumeIds = [nodeId for _name, nodeId in form.channels] or [self._volumeId]
        if self._logic.scene.GetNodeByID(volumeIds[0] or "none") is None:
            volumeIds[0] = self._volumeId
        if isNew:
            if not self._isNew:
                ui.numberSpinBox.setValue(freeNumber(form.rawFolder))
            named = form.channels if self._isNew and form.channels else [(self._channelName(), "")]
            volumeIds += [""] * (len(named) - len(volumeIds))
            self._channels.fill([(name, nodeId) for (name, _old), nodeId in zip(named, volumeIds, strict=False)], fixedNames=False)
            edited = {row.segment: row for row in self._labels.rows()} if self._isNew else {}
            self._labels.fillRows([edited.get(row.segment, row) for row in defaultRows(self._segmentNames())])
            showText(ui.planLabel, _("The plan is kept with the data set, and holds for all of its cases."))
        else:
            self._showPlan(form, volumeIds)
        self._isNew = isNew
        self._onEdited()

    def _showPlan(self, form: ExportForm, volumeIds: list[str]) -> None:
        ui = self.ui
        try:
            plan = self.exporter.planOf(form)
        except SAM2AnnotateError as error:
            showText(ui.planLabel, told(error), isError=True)
            ui.labelsTable.setRowCount(0)
            return
        ui.numberSpinBox.setValue(plan.number)
        ui.nameEdit.text = plan.name
        ui.ignoreCheckBox.checked = plan.ignore
        ui.testShareSpinBox.setValue(round(100 * plan.split.test_share))
        ui.unreviewedComboBox.setCurrentIndex(ui.unreviewedComboBox.findData(plan.unreviewed))
        volumeIds += [""] * (len(plan.channels) - len(volumeIds))
        self._channels.fill(zip(plan.channels, volumeIds, strict=False), fixedNames=True)
        self._labels.fillPlan(plan)
        showText(ui.planLabel, planText(plan))

    def _segmentNames(self) -> list[str]:
        node = self.ui.segmentationSelector.currentNode()
        if node is None:
            return []
        segmentation = node.GetSegmentation()
        return [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]

    def _channelName(self) -> str:
        node = self._logic.scene.GetNodeByID(self._volumeId) if self._volumeId else None
        try:
            return "image" if node is None else channel_name(volumeFromNode(node).modality)
        except SAM2AnnotateError:  # a volume that cannot be exported; 'Preview' says why
            return "image"

    def _updateButtons(self) -> None:
        ui, form = self.ui, self.form()
        busy = _("Wait until the work below has ended, or cancel it.") if self.exporter.busy else ""
        reason = self.exporter.whyNot(form)
        stale = "" if self._previewed == form else _("Press 'Preview' first: it lists what will be written and what is left out.")
        noFolder = "" if form.dataSet or form.folder.is_dir() else _("There is no such data set yet.")
        planned = _("The channels are those of the data set.") if form.dataSet else ""
        enable(ui.previewButton, _("List what will be written and what is left out; nothing is written."), reason)
        enable(ui.exportButton, _("Write the case. Image and labels are written in the image's own frame."), reason or stale)
        enable(ui.verifyButton, _("Check the data set: our checks, and nnU-Net's own where it is installed."), busy or noFolder)
        enable(ui.openFolderButton, _("Show the data set in the file manager."), noFolder)
        enable(ui.addChannelButton, _("Add an image of the same patient, such as another MR sequence."), planned)
        last = _("A case needs an image.") if len(form.channels) < 2 else ""
        enable(ui.removeChannelButton, _("Remove the last channel."), planned or last)
        enable(ui.cancelButton, _("Stop it; the data set stays as it was."), "" if self.exporter.busy else _("Nothing is running."))
        why = reason or stale or noFolder
        showText(ui.hintLabel, why)
        ui.hintLabel.visible = bool(why)
        outdated = self._listed is not None and self._previewed != form
        self._notice.settle(
            _("The form or the scene changed, so the list below is out of date. Press 'Preview' again.") if outdated else ""
        )

    def _begin(self, text: str, start: Callable[[], None]) -> None:
        self._say(text)
        try:
            start()
        except SAM2AnnotateError as error:
            self._end(told(error), isError=True)
            return
        self.ui.progressBar.setRange(0, 0)
        self._updateButtons()

    def _end(self, text: str, isError: bool = False) -> None:
        """Tell how it ended; what tells of a preview ends with the preview."""
        self.ui.progressBar.setRange(0, 1)
        ofPreview = self._listed is not None and not isError
        self._say(text, isError, (lambda: self._previewed == self._listed == self.form()) if ofPreview else None)
        self._updateButtons()
        reveal(self.ui.resultView)

    def _list(self, text: str, form: ExportForm | None = None) -> None:
        """Show a result below the buttons; `form` if it is a preview of it."""
        self._listed = form
        self.ui.resultView.setPlainText(text)

    def _say(self, text: str, isError: bool = False, holds: Callable[[], bool] | None = None) -> None:
        self._notice.tell(text, isError, holds)

    def _showSettings(self) -> None:
        settings = qt.QSettings()
        self.ui.rawFolderEdit.currentPath = settings.value(f"{SETTINGS}/RawFolder") or ""
        self.ui.pythonEdit.currentPath = settings.value(f"{SETTINGS}/Python") or ""

    def _keepSettings(self, folder: Path) -> None:
        settings = qt.QSettings()
        settings.setValue(f"{SETTINGS}/RawFolder", str(folder.parent))
        settings.setValue(f"{SETTINGS}/DataSet", folder.name)
        settings.setValue(f"{SETTINGS}/Python", self.ui.pythonEdit.currentPath)


def _unreviewedTexts() -> tuple[str, ...]:
    """In the order of `UNREVIEWED_RULES`."""
    return (
        _("Leave the object out"),
        _("Write nnU-Net's ignore label on these slices"),
        _("Write them as they are"),
        _("Refuse the case"),
    )


def _openFolder(folder: str) -> None:
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(folder))
