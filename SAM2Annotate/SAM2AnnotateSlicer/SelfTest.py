"""SelfTest: the module used as a user uses it, inside Slicer itself: what SAM2AnnotateTest does. Imports the panel and what it is made of.

Nothing here knows the tests' stand-in for Slicer. Keys are sent to the panel's shortcuts, the mouse to the views' interactors.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import slicer
import vtk

from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.volume_io import read_volume

from .Panel.PanelControls import controls
from .Panel.SampleData import sampleFolder
from .Panel.SampleRun import loadSample, sampleMarking
from .Panel.TerminologyChooser import TerminologyChooser
from .Scene.SceneBridge import jumpToSlice, sliceAxis
from .SetUp.Installer import Installer

_LONGEST_SECONDS = 600  # on a slow computer without a graphics card
_SHORT_SECONDS = 20
_LEAST_DSC = 0.7
_TERMINOLOGY = "Segmentation category and type - 3D Slicer General Anatomy list"


class SelfTest:
    """The steps of the tests.

    Args:
        case: the `unittest.TestCase` whose assertions are used.
    """

    def __init__(self, case):
        self._case = case

    # -- tests ------------------------------------------------------------------------------------------------------------------------

    def thePanelOpens(self) -> None:
        """The panel is made, has all its controls, takes the keys when it is entered, and gives them back."""
        panel, widget = self._panel(), slicer.modules.SAM2AnnotateWidget
        for control in controls():
            for name in control.objectNames:
                self._case.assertTrue(hasattr(panel.ui, name), name)
        self._case.assertTrue(panel.ui.trySampleButton.enabled, panel.ui.trySampleButton.toolTip)
        if slicer.util.mainWindow() is None:
            return
        self._case.assertTrue(panel.shortcuts.installed)
        widget.exit()
        self._case.assertFalse(panel.shortcuts.installed)
        widget.enter()
        self._case.assertTrue(panel.shortcuts.installed)

    def reloadLeavesAPanelThatWorks(self) -> None:
        """After a reload and another scene the new panel has its keys and its buttons."""
        before = self._panel()
        slicer.util.reloadScriptedModule("SAM2Annotate")
        panel = slicer.modules.SAM2AnnotateWidget.panel
        self._case.assertIsNot(panel, before)
        slicer.mrmlScene.Clear(False)
        self._settle()
        self._case.assertTrue(panel.ui.trySampleButton.enabled, panel.ui.trySampleButton.toolTip)
        if slicer.util.mainWindow() is not None:
            self._case.assertTrue(panel.shortcuts.installed)

    def theTerminologyCanBeChosen(self) -> None:
        """The dialog lists types on first use; without a choice there is no OK, with one there is a name."""
        chooser = TerminologyChooser(slicer.util.mainWindow())
        try:
            types = slicer.util.findChildren(chooser.navigator, name="tableWidget_Type")[0]
            self._case.assertGreater(types.rowCount if types.inherits("QTableWidget") else types.count, 1)
            self._case.assertFalse(chooser.okButton.enabled)
            chooser.navigator.setTerminologyEntry(_anEntry())
            self._case.assertTrue(chooser.okButton.enabled)
            text, name, color = chooser.chosen()
            self._case.assertTrue(text and name and len(color) == 3)
        finally:
            chooser.dialog.deleteLater()

    def theSampleIsAnnotated(self) -> None:
        """'Try it on a sample': the mask is close to the experts' one; a slice is accepted, and that is taken back."""
        panel = self._sample()
        annotated = panel.logic.current
        truth = read_volume(sampleFolder() / "label.nii.gz").array_kji != 0
        found = slicer.util.arrayFromSegmentBinaryLabelmap(annotated.segmentationNode, annotated.segmentId, annotated.volumeNode) > 0
        dsc = 2 * (found & truth).sum() / (int(found.sum()) + int(truth.sum()))
        self._case.assertGreater(dsc, _LEAST_DSC, panel.ui.messageLabel.text)
        self._acceptCenter(panel)
        self._case.assertEqual(annotated.session.status(annotated.center), SliceStatus.ACCEPTED)
        panel.ui.undoButton.click()
        self._case.assertEqual(annotated.session.status(annotated.center), SliceStatus.PROPOSED)

    def aSceneComesBackWithItsMasksInSight(self) -> None:
        """Saved, closed and loaded, the scene has the decisions, and the mask is shown."""
        panel = self._sample()
        self._acceptCenter(panel)
        center = panel.logic.current.center
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "SAM2AnnotateTest.mrb")
            self._case.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear(False)
            self._case.assertIsNone(panel.logic.current)
            slicer.util.loadScene(path)
        self._wait(lambda: panel.logic.current is not None, _SHORT_SECONDS)
        self._settle()  # the views' controllers speak after the scene is there
        back = panel.logic.current
        self._case.assertEqual(back.session.status(center), SliceStatus.ACCEPTED)
        display = back.segmentationNode.GetDisplayNode()
        self._case.assertTrue(display.GetVisibility() and display.GetSegmentVisibility(back.segmentId))
        self._discard(panel)

    def theWorklistOpensACase(self) -> None:
        """A case is opened from the worklist's window; Enter can press no button there, and the keyboard is the panel's afterwards."""
        panel = self._panel()
        with tempfile.TemporaryDirectory() as folder:
            for name in ("first.nii.gz", "second.nii.gz"):
                shutil.copy(sampleFolder() / "image.nii.gz", Path(folder) / name)
            panel.ui.worklistButton.click()
            window = panel.dataSets.cases
            try:
                self._pressesNothing(window.dialog)
                window.page.ui.folderEdit.currentPath = folder
                self._wait(lambda: window.page.ui.casesTable.rowCount == 2, _SHORT_SECONDS)
                window.page.ui.nextButton.click()
                self._wait(lambda: panel.logic.hasParameters and panel.logic.parameters.volume is not None, _SHORT_SECONDS)
                self._wait(lambda: slicer.app.activeWindow() != window.dialog, _SHORT_SECONDS)
            finally:
                window.cleanup()
                slicer.mrmlScene.Clear(False)

    def theExportPageOpens(self) -> None:
        """The export's window opens within the screen; Enter can press no button there."""
        panel = self._panel()
        loadSample(slicer.mrmlScene)
        self._settle()
        window = panel.dataSets.export
        window.open()
        try:
            self._pressesNothing(window.dialog)
            self._case.assertLessEqual(window.dialog.height, window.dialog.screen().availableGeometry.height())
            self._case.assertTrue(window.page.ui.channelsTable.rowCount >= 1)
        finally:
            window.dialog.close()

    def anObjectIsAnnotatedByKeys(self) -> None:
        """B and a drag, F and L, Enter, A, Shift+A, Z, C and Escape, N: a whole object without a button."""
        if slicer.util.mainWindow() is None:
            self._case.skipTest("Keys need a main window.")
        self._requirePackages()
        panel, volumeNode = self._panel(), loadSample(slicer.mrmlScene)
        panel.logic.keeper.journals.discard(volumeNode)
        panel.logic.chooseVolume(volumeNode)
        panel.views.showVolume(volumeNode)
        self._settle()
        axis, center, bounds = sampleMarking(volumeNode)
        view, sliceNode = self._viewAlong(volumeNode, axis)
        jumpToSlice(sliceNode, volumeNode, axis, center)
        self._settle()

        self._key("B")
        self._drag(view, sliceNode, volumeNode, axis, center, bounds)
        annotated = panel.logic.current
        self._case.assertIsNotNone(annotated, panel.ui.messageLabel.text)
        self._idle()
        first, last = (annotated.stack.position_of(int(end)) for end in (bounds["ijk".index(axis)][0], bounds["ijk".index(axis)][1] - 1))
        for end, key in ((min(first, last), "F"), (max(first, last), "L")):
            self._stepTo(end)
            self._key(key)
        self._idle()
        self._key("Return")
        self._idle()
        self._case.assertEqual(sorted(annotated.session.results), list(annotated.session.extent.indices), panel.ui.messageLabel.text)

        self._stepTo(annotated.center)
        self._key("A")
        self._case.assertEqual(annotated.session.status(annotated.center), SliceStatus.ACCEPTED)
        self._key("Z")
        self._case.assertEqual(annotated.session.status(annotated.center), SliceStatus.PROPOSED)
        self._stepTo(annotated.center)
        self._key("C")
        self._case.assertTrue(panel.logic.editor.active)
        for _ in range(2):
            self._key("Escape")
        self._case.assertFalse(panel.logic.editor.active)
        self._key("N")
        self._stepTo(annotated.session.extent.last)
        self._key("Shift+A")
        self._case.assertGreater(len(annotated.session.locked), 1)
        self._discard(panel)

    # -- means ------------------------------------------------------------------------------------------------------------------------

    def _panel(self):
        """The panel, entered."""
        slicer.util.selectModule("SAM2Annotate")
        panel = slicer.modules.SAM2AnnotateWidget.panel
        self._case.assertIsNotNone(panel, "The panel could not be set up; Slicer's log says why.")
        return panel

    def _requirePackages(self) -> None:
        missing = [requirement.requirement.name for requirement in Installer().missing()]
        if missing:
            self._case.skipTest(f"Not installed: {', '.join(missing)}. Press 'Set-up...' on the panel.")

    def _sample(self):
        """The panel after 'Try it on a sample'."""
        self._requirePackages()
        panel = self._panel()
        panel.ui.trySampleButton.click()
        self._case.assertIsNotNone(panel.logic.current, panel.ui.messageLabel.text)
        self._idle()
        return panel

    def _acceptCenter(self, panel) -> None:
        """Accept the center slice; the views may have followed the propagation to its end."""
        panel.ui.goToCenterButton.click()
        self._settle()
        panel.ui.acceptButton.click()

    def _discard(self, panel) -> None:
        """Remove the journal of the sample: the next user of this Slicer is to be asked nothing."""
        panel.logic.keeper.journals.discard(panel.logic.volumeNode)

    def _pressesNothing(self, dialog) -> None:
        buttons = [child for child in slicer.util.findChildren(dialog) if child.inherits("QPushButton")]
        self._case.assertEqual([button.text for button in buttons if button.isDefault() or button.autoDefault], [])

    def _key(self, key: str) -> None:
        """What a key press does when it reaches the panel's shortcut."""
        slicer.modules.SAM2AnnotateWidget.panel.shortcuts.press(key)
        self._settle(0.03 if key in ("Up", "Down") else 0.25)

    def _stepTo(self, position: int) -> None:
        """Go to a slice by the arrow keys."""
        at = slicer.modules.SAM2AnnotateWidget.currentPosition()
        for _ in range(0 if at is None else abs(position - at)):
            before = slicer.modules.SAM2AnnotateWidget.currentPosition()
            self._key("Up" if position > before else "Down")
        self._case.assertEqual(slicer.modules.SAM2AnnotateWidget.currentPosition(), position)

    def _viewAlong(self, volumeNode, axis: str) -> tuple:
        """A shown slice view along an axis of the volume, and its node."""
        layoutManager = slicer.app.layoutManager()
        for name in layoutManager.sliceViewNames():
            widget = layoutManager.sliceWidget(name)
            if widget.visible and sliceAxis(widget.mrmlSliceNode(), volumeNode) == (axis, True):
                return widget.sliceView(), widget.mrmlSliceNode()
        raise AssertionError(f"No slice view shows the volume along {axis}: choose a layout with axial, sagittal and coronal views.")

    def _drag(self, view, sliceNode, volumeNode, axis: str, center: int, bounds: np.ndarray) -> None:
        """Press, move and release the left mouse button from one corner of the box to the other."""
        toRas, toXy = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
        volumeNode.GetIJKToRASMatrix(toRas)
        vtk.vtkMatrix4x4.Invert(sliceNode.GetXYToRAS(), toXy)
        corners = np.array([bounds[:, 0], bounds[:, 1] - 1], float)
        corners[:, "ijk".index(axis)] = center
        points = [toXy.MultiplyPoint(toRas.MultiplyPoint((*corner, 1.0)))[:2] for corner in corners]
        interactor = view.interactor()
        events = ("MouseMoveEvent", "LeftButtonPressEvent", "MouseMoveEvent", "LeftButtonReleaseEvent")
        for event, (x, y) in zip(events, (points[0], points[0], points[1], points[1]), strict=True):
            interactor.SetEventInformation(round(x), round(y), 0, 0, chr(0), 0, None)
            interactor.InvokeEvent(event)
        self._settle()

    def _idle(self) -> None:
        logic = slicer.modules.SAM2AnnotateWidget.panel.logic
        self._wait(lambda: not logic.running and not logic.service.busy, _LONGEST_SECONDS)

    def _settle(self, seconds: float = 0.25) -> None:
        """Let Slicer do what it put off for a moment."""
        end = time.monotonic() + seconds
        self._wait(lambda: time.monotonic() > end, _SHORT_SECONDS)

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        """Let Slicer work until the condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            self._case.assertLess(time.monotonic(), end, f"not done after {seconds} s")
            slicer.app.processEvents()
            time.sleep(0.01)


def _anEntry():
    """The first type of the general terminology's second category, as an entry."""
    logic, entry = slicer.modules.terminologies.logic(), slicer.vtkSlicerTerminologyEntry()
    entry.SetTerminologyContextName(_TERMINOLOGY)
    logic.GetNthCategoryInTerminology(_TERMINOLOGY, 0, entry.GetCategoryObject())
    logic.GetNthTypeInTerminologyCategory(_TERMINOLOGY, entry.GetCategoryObject(), 0, entry.GetTypeObject())
    return entry
