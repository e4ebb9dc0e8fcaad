"""ObjectSection: the controls of 'Image and object', from the parameter node and back. Imports qt, slicer, the logic and the installer."""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _

from SAM2AnnotateLib.errors import SAM2AnnotateError

from ..Model.ModelNames import onServer
from ..Model.ServerSettings import lentModels
from ..Notice import showText
from ..Review.AnnotatedSegment import tagOf
from ..Review.Logic import AnnotationLogic
from ..Scene.ParameterNode import Overlap
from ..SetUp.Installer import Installer
from ..Told import told
from ..Views.ViewNavigator import ViewNavigator
from . import TerminologyChooser
from .PanelState import PanelState
from .WidgetText import mappingText, modelText, windowChoices, windowText

ASK_FOR_SERVER = "server..."  # no model: the row of the choice that opens the page


class ObjectSection:
    """Volume, segment, gray window, model.

    Args:
        ui: the panel's widgets by name.
        logic: the steps.
        views: the slice views.
        installer: knows which models are here.
        attempt: calls a step and shows what goes wrong.

    Attributes:
        askTerminology: asks for a terminology entry, as `TerminologyChooser.choose` does.
        askServer: opens the page of the server that is to run the model.
    """

    def __init__(self, ui, logic: AnnotationLogic, views: ViewNavigator, installer: Installer, attempt: Callable):
        self._ui, self._logic, self._views, self._installer = ui, logic, views, installer
        self._attempt = attempt
        self.askTerminology: Callable = TerminologyChooser.choose
        self.askServer: Callable[[], None] = lambda: None
        for value, text in windowChoices():
            ui.windowComboBox.addItem(text, value)
        self.refreshModels()
        ui.volumeSelector.connect("nodeActivated(vtkMRMLNode*)", self._onVolume)
        ui.segmentationSelector.connect("nodeActivated(vtkMRMLNode*)", self._onSegmentation)
        ui.segmentComboBox.connect("activated(int)", self._onSegment)
        ui.segmentNameEdit.connect("returnPressed()", ui.segmentNameEdit.clearFocus)
        ui.windowComboBox.connect("activated(int)", self._onWindow)
        ui.modelComboBox.connect("activated(int)", self._onModel)
        ui.keepOffCheckBox.connect("clicked(bool)", self._onKeepOff)

    # -- showing ------------------------------------------------------------------------------------------------------------------

    def refreshModels(self) -> None:
        """Show which models are here; call it after a download."""
        box = self._ui.modelComboBox
        box.clear()
        states = {"ready": _("ready"), "not downloaded": _("not downloaded")}
        for row in self._installer.describeModels():
            box.addItem(f"{row.name} ({states[row.state]})" if row.state in states else row.name, row.name)
        for name in lentModels():
            box.addItem(modelText(onServer(name)), onServer(name))
        box.addItem(_("On a server..."), ASK_FOR_SERVER)

    def refresh(self, state: PanelState) -> None:
        """Show how things stand."""
        ui, parameters = self._ui, self._logic.parameters if state.hasScene else None
        for widget in (ui.segmentNameEdit, ui.terminologyButton, ui.segmentNameLabel):
            widget.visible = state.newSegment or not state.hasObject
        ui.showFedButton.visible = state.windowDiffers
        if parameters is None:
            return
        blocked = ui.segmentationSelector.blockSignals(True)
        ui.segmentationSelector.setCurrentNode(parameters.segmentation)
        ui.segmentationSelector.blockSignals(blocked)
        self._fillSegments(parameters)
        _choose(ui.windowComboBox, parameters.window, windowText)
        _choose(ui.modelComboBox, parameters.model, modelText)
        ui.keepOffCheckBox.checked = parameters.overlap is Overlap.KEEP_OFF
        self.refreshWindow(state.hasVolume)

    def refreshWindow(self, hasVolume: bool) -> None:
        """Show what is fed to the model."""
        label = self._ui.windowLabel
        label.visible = hasVolume
        try:
            showText(label, mappingText(self._logic.mapping()) if hasVolume else "")
        except SAM2AnnotateError as error:
            showText(label, told(error), isError=True)

    def showModelState(self, text: str, busy: bool) -> None:
        """Show what the model is doing."""
        service, where = self._logic.service, ""
        if service.description and service.description.get("device"):
            place = _(" on {device}") if service.choice.server is None else _(" on the server's {device}")
            where = place.format(device=service.description["device"])
        showText(self._ui.modelLabel, f"{text}{where}" + ("..." if busy else ""))

    def _fillSegments(self, parameters) -> None:
        box, node = self._ui.segmentComboBox, parameters.segmentation
        rows = [(_("New segment"), "")]
        if node is not None:
            segmentation = node.GetSegmentation()
            for segmentId in segmentation.GetSegmentIDs():
                name = segmentation.GetSegment(segmentId).GetName()
                rows.append((_("{name} (annotated)").format(name=name) if tagOf(node, segmentId) else name, segmentId))
        shown = [(box.itemText(row), box.itemData(row)) for row in range(box.count)]
        if rows != shown:
            box.clear()
            for text, segmentId in rows:
                box.addItem(text, segmentId)
        box.setCurrentIndex(max(box.findData(parameters.segmentId), 0))

    def chosenNames(self, state: PanelState) -> dict[str, str]:
        """Names of what is chosen, by control: a selector is no wider than the panel and may cut them, so its tooltip tells."""
        if not state.hasScene:
            return {}
        parameters, annotated = self._logic.parameters, self._logic.current
        nodes = {"volume": parameters.volume, "segmentation": parameters.segmentation}
        names = {control: node.GetName() for control, node in nodes.items() if node is not None}
        return names | ({"segment": annotated.name} if state.hasObject else {})

    # -- what the user does ---------------------------------------------------------------------------------------------------------

    def _onVolume(self, node) -> None:
        if node is not None and self._logic.hasParameters and self._attempt(self._logic.chooseVolume, node):
            self._views.showVolume(node)

    def _onSegmentation(self, node) -> None:
        if self._logic.hasParameters and node is not self._logic.parameters.segmentation:
            self._attempt(self._logic.selectSegment, node, "")

    def _onSegment(self, row: int) -> None:
        segmentId = self._ui.segmentComboBox.itemData(row)
        if segmentId:
            self._attempt(self._logic.selectSegment, self._logic.parameters.segmentation, segmentId)
        else:
            self._attempt(self._logic.nextObject)

    def _onWindow(self, row: int) -> None:
        self._attempt(self._setWindow, self._ui.windowComboBox.itemData(row))

    def _setWindow(self, window: str) -> None:
        self._logic.parameters.window = window
        self._logic.showWindow()
        self._previewAgain()

    def _onModel(self, row: int) -> None:
        model = self._ui.modelComboBox.itemData(row)
        if model == ASK_FOR_SERVER:
            _choose(self._ui.modelComboBox, self._logic.parameters.model, modelText)
            self.askServer()
            return
        self.useModel(model)

    def useModel(self, model: str) -> None:
        """Work with another model from now on."""
        self._logic.parameters.model = model
        self._attempt(self._previewAgain)

    def _onKeepOff(self, checked: bool) -> None:
        self._logic.parameters.overlap = Overlap.KEEP_OFF if checked else Overlap.ALLOW
        self._attempt(self._logic.followOverlap)

    def _previewAgain(self) -> None:
        if self._logic.current is not None:
            self._logic.preview()

    def chooseTerminology(self) -> None:
        """Ask for name and code of the next new segment."""
        parameters = self._logic.parameters
        choice = self.askTerminology(slicer.util.mainWindow(), parameters.newSegmentTerminology)
        if choice is not None:
            parameters.newSegmentTerminology, parameters.newSegmentName = choice[0], choice[1]
            parameters.newSegmentColor = ",".join(f"{part:.4f}" for part in choice[2])


def _choose(box: qt.QComboBox, value: str, textOf: Callable[[str], str]) -> None:
    """Select the row of a value; one that is not on offer, set from a script, gets a row."""
    row = box.findData(value)
    if row < 0:
        box.addItem(textOf(value), value)
        row = box.findData(value)
    box.setCurrentIndex(row)
