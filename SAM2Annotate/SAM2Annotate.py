"""SAM2Annotate: the classes that Slicer looks up by name; each hands on to `SAM2AnnotateSlicer`, which is imported when needed."""

import sys
import time
from importlib.util import find_spec
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

_LONGEST_SECONDS = 600  # of the smoke test, on a slow computer without a graphics card


def makeLibraryImportable() -> None:
    """Let `import SAM2AnnotateLib` work from a source checkout, where it lies beside the module's folder; elsewhere it does already."""
    if find_spec("SAM2AnnotateLib") is None:
        sys.path.append(str(Path(__file__).resolve().parents[1]))


makeLibraryImportable()


class SAM2Annotate(ScriptedLoadableModule):
    """Describes the module to Slicer."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("SAM2Annotate")
        parent.categories = ["Segmentation"]
        parent.dependencies = []
        parent.contributors = ["The SAM2Annotate founders"]
        parent.helpText = _("Draw one box around an object; SAM 2 carries the mask through the slices, and each slice is reviewed.")
        parent.helpText += ' <a href="https://github.com/SAM2Annotate/SlicerSAM2Annotate">github.com/SAM2Annotate/SlicerSAM2Annotate</a>'
        parent.acknowledgementText = _(
            "SAM 2: Ravi et al., 'SAM 2: Segment Anything in Images and Videos' (Meta, Apache-2.0). "
            "The way of working follows Misera et al. on SAM 2 for CT and MR."
        )
        slicer.app.connect("startupCompleted()", self._onStartupCompleted)

    def _onStartupCompleted(self) -> None:
        from SAM2AnnotateSlicer.Panel.SampleData import registerSampleData

        registerSampleData(self.resourcePath("Icons/SampleCtSarcoma.png"))


class SAM2AnnotateWidget(ScriptedLoadableModuleWidget):
    """The panel; all of it is in `SAM2AnnotateSlicer.Panel.Widget`."""

    panel = logic = None

    def setup(self) -> None:
        """Called once, before the first visit."""
        ScriptedLoadableModuleWidget.setup(self)
        from SAM2AnnotateSlicer.Panel.Widget import Widget

        moduleLogic = SAM2AnnotateLogic()
        self.logic = moduleLogic.makeSteps()
        self.panel = Widget(self.layout, self.logic, moduleLogic.getParameterNode)
        if getattr(self.parent, "isEntered", False):  # after a reload, which Slicer does not follow by `enter`
            self.enter()

    def currentPosition(self):
        """Position, in the object's stack, of the slice that the views show; None if there is none."""
        return self.panel.views.position(self.logic.current)

    def enter(self) -> None:
        """Called whenever the user comes to the module; also if setup failed, which Slicer has told by then."""
        if self.panel is not None:
            self.panel.enter()

    def exit(self) -> None:
        """Called whenever the user leaves it."""
        if self.panel is not None:
            self.panel.exit()

    def cleanup(self) -> None:
        """Called on reload and at the end of Slicer, then for a reloaded panel once more; also if setup failed."""
        panel, self.panel = self.panel, None
        if panel is not None:
            panel.cleanup()
        elif self.logic is not None:  # no panel came about, so nobody owns the model
            from SAM2AnnotateSlicer.Model import SharedService

            SharedService.scriptDone()


class SAM2AnnotateLogic(ScriptedLoadableModuleLogic):
    """What scripts use: `SAM2AnnotateLogic().annotate(...)` and `.review(...)`, without a widget."""

    def getParameterNode(self):
        """The module's parameter node, typed."""
        from SAM2AnnotateSlicer.Scene.ParameterNode import SAM2AnnotateParameterNode

        return SAM2AnnotateParameterNode(ScriptedLoadableModuleLogic.getParameterNode(self))

    def makeSteps(self):
        """The steps of the work for a panel; the model's process, which is not started yet, is that panel's."""
        from SAM2AnnotateSlicer.Model import SharedService
        from SAM2AnnotateSlicer.ModuleLogic import ModuleLogic
        from SAM2AnnotateSlicer.Review import JournalKeeper

        journals = Path(slicer.app.slicerUserSettingsFilePath).parent / "SAM2Annotate" / "journals"
        service = SharedService.theService(slicer.app.temporaryPath)
        return ModuleLogic(slicer.mrmlScene, service, JournalKeeper.JournalKeeper(journals))

    def annotate(self, volumeNode, box, firstSlice=None, lastSlice=None, segmentationNode=None, segmentId=None, **options):
        """Carry one box through the slices of an object; see `SAM2AnnotateSlicer.Console.Console.annotate` for arguments and errors."""
        return self._theConsole().annotate(volumeNode, box, firstSlice, lastSlice, segmentationNode, segmentId, **options)

    def review(self, segmentationNode, segmentId, **options):
        """Go on with a segment that was annotated before; see `SAM2AnnotateSlicer.Console.Console.review`."""
        return self._theConsole().review(segmentationNode, segmentId, **options)

    def close(self) -> None:
        """End the model's process that `annotate` and `review` use, unless it is the panel's."""
        self._theConsole().close()

    @staticmethod
    def _theConsole():
        from SAM2AnnotateSlicer.Console import theConsole

        return theConsole()


class SAM2AnnotateTest(ScriptedLoadableModuleTest):
    """The module's own smoke test; the others are in the repository, see ``Testing/Slicer``."""

    def setUp(self):
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear(False)

    def runTest(self):
        """Run the test, as 'Reload and Test' does."""
        self.setUp()
        self.test_the_panel_annotates_the_sample()

    def test_the_panel_annotates_the_sample(self):
        """Press 'Try it on a sample' with the bundled model and accept a slice: the mask must be close to the experts' one."""
        from SAM2AnnotateLib.review import SliceStatus
        from SAM2AnnotateLib.volume_io import read_volume
        from SAM2AnnotateSlicer.Panel.SampleData import sampleFolder
        from SAM2AnnotateSlicer.SetUp.Installer import Installer

        missing = [requirement.requirement.name for requirement in Installer().missing()]
        if missing:
            self.skipTest(f"Not installed: {', '.join(missing)}. Press 'Set-up...' on the panel.")
        slicer.util.selectModule("SAM2Annotate")
        panel = slicer.modules.SAM2AnnotateWidget.panel
        panel.ui.trySampleButton.click()
        self._wait(lambda: not panel.logic.running and not panel.logic.service.busy)
        annotated = panel.logic.current
        truth = read_volume(sampleFolder() / "label.nii.gz").array_kji != 0
        found = slicer.util.arrayFromSegmentBinaryLabelmap(annotated.segmentationNode, annotated.segmentId, annotated.volumeNode) > 0
        self.assertGreater(2 * (found & truth).sum() / (int(found.sum()) + int(truth.sum())), 0.7, panel.ui.messageLabel.text)
        panel.ui.acceptButton.click()
        self.assertEqual(annotated.session.status(annotated.center), SliceStatus.ACCEPTED)
        panel.ui.undoButton.click()
        self.assertEqual(annotated.session.status(annotated.center), SliceStatus.PROPOSED)

    def _wait(self, condition) -> None:
        """Let Slicer work until the condition holds."""
        end = time.monotonic() + _LONGEST_SECONDS
        while not condition():
            self.assertLess(time.monotonic(), end, f"not done after {_LONGEST_SECONDS} s")
            slicer.app.processEvents()
            time.sleep(0.01)
