"""SAM2Annotate: the classes that Slicer looks up by name; each hands on to `SAM2AnnotateSlicer`, which is imported when needed."""

import sys
import unittest
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
        try:
            self.panel = Widget(self.layout, self.logic, moduleLogic.getParameterNode)
        except Exception as error:
            self._sayWhyNot(error)
            raise
        if getattr(self.parent, "isEntered", False):  # after a reload, which Slicer does not follow by `enter`
            self.enter()

    def _sayWhyNot(self, error: Exception) -> None:
        """Show in place of the panel why there is none."""
        import qt

        label = qt.QLabel(_("The panel of SAM2Annotate could not be set up: {error}. Slicer's error log says more.").format(error=error))
        label.wordWrap = True
        self.layout.addWidget(label)

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

    def propose(self, volumeNode, prototype, library=None, segmentationNode=None, **options):
        """Look for an object that was kept as a prototype; see `SAM2AnnotateSlicer.Console.Console.propose`."""
        return self._theConsole().propose(volumeNode, prototype, library, segmentationNode, **options)

    def close(self) -> None:
        """End the model's process that `annotate` and `review` use, unless it is the panel's."""
        self._theConsole().close()

    @staticmethod
    def _theConsole():
        from SAM2AnnotateSlicer.Console import theConsole

        return theConsole()


class SAM2AnnotateTest(ScriptedLoadableModuleTest):
    """The module's own tests, inside Slicer; the steps are in `SAM2AnnotateSlicer.SelfTest`, more tests in ``Testing/Slicer``."""

    def setUp(self):
        """Begin with an empty scene."""
        from SAM2AnnotateSlicer.SelfTest import SelfTest

        slicer.mrmlScene.Clear(False)
        self.steps = SelfTest(self)

    def tearDown(self):
        """Leave an empty scene."""
        slicer.mrmlScene.Clear(False)

    def runTest(self):
        """Run all tests, as 'Reload and Test' does."""
        for name in [name for name in dir(self) if name.startswith("test_")]:
            self.setUp()
            try:
                getattr(self, name)()
            except unittest.SkipTest as skipped:
                self.delayDisplay(f"{name} was left out: {skipped}")
            finally:
                self.tearDown()

    def test_the_panel_opens(self):
        """It has its controls, and takes the keys when it is entered."""
        self.steps.thePanelOpens()

    def test_reload_leaves_a_panel_that_works(self):
        """With keys and buttons."""
        self.steps.reloadLeavesAPanelThatWorks()

    def test_the_terminology_can_be_chosen(self):
        """Types are listed on first use."""
        self.steps.theTerminologyCanBeChosen()

    def test_the_panel_annotates_the_sample(self):
        """'Try it on a sample' with the bundled model: the mask is close to the experts' one."""
        self.steps.theSampleIsAnnotated()

    def test_a_scene_comes_back_with_its_masks_in_sight(self):
        """Saved, closed, loaded."""
        self.steps.aSceneComesBackWithItsMasksInSight()

    def test_the_worklist_opens_a_case(self):
        """And the keyboard is the panel's afterwards."""
        self.steps.theWorklistOpensACase()

    def test_the_export_page_opens(self):
        """Within the screen."""
        self.steps.theExportPageOpens()

    def test_an_object_is_annotated_by_keys(self):
        """From B to Shift+A, without a button."""
        self.steps.anObjectIsAnnotatedByKeys()
