"""DataSetTools: the panel's doors to data sets: export, worklist, proposals. Imports qt, slicer, the pages and the logic."""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _

from SAM2AnnotateLib.errors import OutputError

from ..Nnunet.NnunetExport import NnunetExport
from ..Nnunet.NnunetPage import SETTINGS, NnunetPage
from ..Nnunet.Proposals import loadProposals
from ..PageDialog import PageDialog
from ..Review.Logic import AnnotationLogic
from ..Told import told
from ..Views.ViewNavigator import ViewNavigator
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

    Attributes:
        askPrediction, askDataSet: ask for a prediction's file, and for the folder of the data set that its model was trained on; "" if the
            user thought better of it.
    """

    def __init__(self, logic: AnnotationLogic, views: ViewNavigator, say: Callable, blocked: Callable[[], str], opened: Callable[[], None]):
        self._logic, self._views, self._say, self._blocked, self._opened = logic, views, say, blocked, opened
        self.worklist = Worklist(logic)
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

    def refresh(self) -> None:
        """Show in the windows how things stand."""
        if self.cases.page is not None and self.cases.dialog.visible:
            self.cases.page.refreshButtons()

    def cleanup(self) -> None:
        """Close the windows and end what runs."""
        self.export.cleanup()
        self.cases.cleanup()
        self.exporter.exported.disconnect(self._onExported)
        self.exporter.cleanup()

    def _makeWorklistPage(self) -> WorklistPage:
        return WorklistPage(self.worklist, self._blocked, self._onOpened)

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


def _askPrediction() -> str:
    title = _("Prediction of this volume")
    return qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, "", _PREDICTIONS)


def _askDataSet() -> str:
    folder = qt.QSettings().value(f"{SETTINGS}/RawFolder") or ""
    title = _("Data set that the model was trained on (DatasetNNN_Name)")
    return qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, folder)
