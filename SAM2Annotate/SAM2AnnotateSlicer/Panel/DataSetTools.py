"""DataSetTools: the panel's doors to data sets: export, worklist, proposals. Imports qt, slicer, the pages and the logic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SAM2AnnotateLib.errors import MissingPackageError, OutputError, SAM2AnnotateError

from ..Dicom.DicomSegExport import DicomSegExport
from ..Nnunet.NnunetExport import NnunetExport
from ..Nnunet.NnunetPage import SETTINGS, NnunetPage
from ..Nnunet.Proposals import loadProposals
from ..PageDialog import PageDialog
from ..Review.Logic import AnnotationLogic
from ..Scene.SegmentationFile import storedPath, withoutSuffix
from ..SetUp.Installer import Installer
from ..Told import told
from ..Views.ViewNavigator import ViewNavigator
from ..Worklist.CaseLearning import CaseLearning
from ..Worklist.LearnEachCase import LearnEachCase
from ..Worklist.ProposeForAll import ProposeForAll
from ..Worklist.Worklist import Worklist
from ..Worklist.WorklistPage import WorklistPage

_EXPORT_SIZE, _WORKLIST_SIZE = (760, 880), (600, 480)
_PREDICTIONS = "(*.nii.gz *.nii *.nrrd *.mha)"


class DataSetTools:
    """Opens windows and asks for files.

    Args:
        logic: the steps.
        views: the slice views.
        say: shows a message in the panel.
        blocked: says why the scene cannot be left now; empty if it can.
        opened: told when a case was opened, with the objects that its file holds.
        installer: knows whether highdicom is there, and gets it.

    Attributes:
        askDicomFile: asks for the DICOM SEG to write, given a name to begin with; "" if the user thought better of it.
        confirm: asks whether to go on.
        askPrediction, askDataSet: ask for a prediction's file, and for the folder of the data set that its model was trained on; "" if the
            user thought better of it.
    """

    def __init__(
        self,
        logic: AnnotationLogic,
        views: ViewNavigator,
        say: Callable,
        blocked: Callable[[], str],
        opened: Callable[[], None],
        installer: Installer,
    ):
        self._installer = installer
        self.dicom = DicomSegExport()
        self.askDicomFile: Callable[[str], str] = _askDicomFile
        self.confirm: Callable[[str], bool] = slicer.util.confirmOkCancelDisplay
        self._logic, self._views, self._say, self._blocked, self._opened = logic, views, say, blocked, opened
        self.worklist = Worklist(logic)
        self.learning = CaseLearning(logic, self.worklist)
        self.learnEach = LearnEachCase(logic, self.worklist, self.learning)
        self.proposer = ProposeForAll(logic, self.worklist, learning=self.learning)
        self.exporter = NnunetExport(logic)
        self.exporter.exported.connect(self._onExported)
        self.export = PageDialog(lambda: NnunetPage(logic, self.exporter), _("SAM2Annotate: Export to nnU-Net"), _EXPORT_SIZE)
        self.cases = PageDialog(self._makeWorklistPage, _("SAM2Annotate: Worklist"), _WORKLIST_SIZE)
        self.askPrediction: Callable[[], str] = _askPrediction
        self.askDataSet: Callable[[], str] = _askDataSet

    def loadProposals(self) -> None:
        """Bring a trained model's prediction of the chosen volume as objects to review."""
        prediction = self.askPrediction()
        dataSet = self.askDataSet() if prediction else ""
        if not dataSet:
            return
        slicer.app.setOverrideCursor(qt.Qt.WaitCursor)
        try:
            objects = loadProposals(self._logic, prediction, dataSet)
        finally:
            slicer.app.restoreOverrideCursor()
        self._views.goTo(objects[0], objects[0].center)
        names = ", ".join(one.name for one in objects)
        self._say(_("Proposed: {names}. Look at each slice: accept (A) or correct (C).").format(names=names))

    def saveDicom(self) -> None:
        """Write the segments as DICOM SEG; get what that takes first, if the user wants it.

        Raises:
            SAM2AnnotateError: if the segments cannot be handed over, or the package is not to be had.
        """
        if self.dicom.busy:
            raise OutputError("A DICOM segmentation is being written. Wait until it has ended.")
        if not self._hasHighdicom():
            return
        node = self._logic.parameters.segmentation
        path = self.askDicomFile(withoutSuffix(storedPath(node) or node.GetName()) + ".dcm")
        if not path:
            return
        if not path.lower().endswith(".dcm"):
            path += ".dcm"
            question = _("The file '{path}' exists already. Replace it?").format(path=path)
            if Path(path).exists() and not self.confirm(question):  # the dialog asked about another name
                return
        self._logic.storeNow()
        self.dicom.start(self._logic.parameters.volume, node, self._logic.keeper, path, self._onDicomWritten)
        self._say(_("Writing {path}...").format(path=path))

    def _hasHighdicom(self) -> bool:
        """Whether highdicom is there, or is now. Raises SAM2AnnotateError if it could not be installed."""
        row = next(row for row in self._installer.describeOptional() if row.name == "highdicom")
        if row.state == "ready":
            return True
        question = _(
            "Writing DICOM segmentations takes the package highdicom ({size}), which is not installed. Install it into Slicer's Python "
            "now? Nothing that is installed is replaced."
        )
        if not self.confirm(question.format(size=row.size)):
            self._say(_("Nothing was written: highdicom is not installed."))
            return False
        slicer.app.setOverrideCursor(qt.Qt.WaitCursor)
        try:
            self._installer.installOptional("highdicom")
        except MissingPackageError as error:
            raise MissingPackageError(f"highdicom could not be installed. {error.problem}", error.remedy) from error
        finally:
            slicer.app.restoreOverrideCursor()
        return True

    def _onDicomWritten(self, error: SAM2AnnotateError | None, answer: dict) -> None:
        if error is not None:
            self._say(told(error), error=True)
            return
        names = ", ".join(f"{one['name']} ({one['slices']})" for one in answer["segments"])
        self._say(_("Written to {path}, segments and their slices: {names}.").format(path=answer["file"], names=names))

    def refresh(self) -> None:
        """Show in the windows how things stand."""
        if self.cases.page is not None and self.cases.dialog.visible:
            self.cases.page.refreshButtons()

    def cleanup(self) -> None:
        """Close the windows and end what runs."""
        self.export.cleanup()
        self.cases.cleanup()
        self.proposer.cleanup()
        self.learnEach.cleanup()
        self.learning.cleanup()
        self.exporter.exported.disconnect(self._onExported)
        self.exporter.cleanup()
        self.dicom.cleanup()

    def _makeWorklistPage(self) -> WorklistPage:
        return WorklistPage(self.worklist, self._blocked, self._onOpened, self.proposer, self.learnEach)

    def _onOpened(self) -> None:
        volumeNode = self._logic.parameters.volume
        self._views.showVolume(volumeNode)
        if self._logic.current is not None:
            self._views.goTo(self._logic.current, self._logic.current.center)
        self._opened()

    def _onExported(self, volumeNode, dataSet: str) -> None:
        try:
            self.worklist.noteExported(volumeNode, dataSet)
        except OutputError as error:
            self._say(told(error), error=True)
        if self.cases.page is not None:
            self.cases.page.refresh()


def _askDicomFile(suggested: str) -> str:
    return qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Save as DICOM SEG"), suggested, "(*.dcm)")


def _askPrediction() -> str:
    title = _("Prediction of this volume")
    return qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, "", _PREDICTIONS)


def _askDataSet() -> str:
    folder = qt.QSettings().value(f"{SETTINGS}/RawFolder") or ""
    title = _("Data set that the model was trained on (DatasetNNN_Name)")
    return qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, folder)
