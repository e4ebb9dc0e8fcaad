"""Widget: the panel, built and bound: what is clicked or pressed goes to the logic, what the logic says is shown. Imports the sections.

It keeps no truth of its own: that is in the parameter node, in the logic, and in the segments.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ..Learning.LearningSection import LearningSection
from ..Model import SharedService
from ..Model.ModelNames import isOnServer, onServer
from ..Notice import showText
from ..Review.AnnotatedSegment import AnnotatedSegment
from ..Review.Logic import AnnotationLogic
from ..Scene.OneRendering import oneRendering
from ..SetUp.Installer import Installer
from ..SetUp.ServerDialog import ServerDialog
from ..SetUp.SetUpDialog import SetUpDialog
from ..Turns import forget, inTurnOnce, waits
from ..Views.BoxTool import BoxTool
from ..Views.PointTool import PointTool
from ..Views.ViewNavigator import ViewNavigator
from .BoxSection import BoxSection
from .CorrectionSection import THRESHOLD
from .DataSetTools import DataSetTools
from .Folding import BOX, IMAGE, PROPAGATE, REVIEW, SAVE, SETTINGS, Folding, openSections
from .MaskSection import MaskSection
from .Messages import Messages
from .ObjectSection import ObjectSection
from .PanelControls import ASKING, DECISIONS, MOVES, Control, controls, hints, keysOfEffect, toolTipOf, whyNot
from .PanelState import PanelState, readState
from .ReviewSection import ReviewSection
from .SaveSection import SaveSection
from .SceneEvents import SceneEvents
from .Shortcuts import Shortcuts
from .WidgetText import hintText, summaries

_UI_FILE = Path(__file__).parents[2] / "Resources" / "UI" / "SAM2Annotate.ui"
_ICONS = {"drawBox": "DrawBox", "accept": "Accept", "correct": "Correct", "noObject": "Empty", "nextDoubtful": "NextDoubtful"}


class Widget:
    """The panel.

    Args:
        layout: takes it.
        logic: the steps; the panel lets go of its service in `cleanup`.
        getParameters: gives the typed parameter node of the scene.
        installer: knows packages and models; a new one by default.
        dialogs: whether failures of what the user did are also shown in a dialog, and questions are asked.
    """

    def __init__(
        self,
        layout,
        logic: AnnotationLogic,
        getParameters: Callable,
        installer: Installer | None = None,
        dialogs: bool = True,
    ):
        self.logic, self._getParameters = logic, getParameters
        installer = installer if installer is not None else Installer()
        self._entered, self._guiTag = False, None
        self._newest: int | None = None  # position of the slice that the views are to follow when their turn comes
        self._triggering = False  # whether a step of the user is being done
        self._reasons: dict[str, str] = {}  # what the controls show, so that only what changes is set
        self._chosenNames: dict[str, str] = {}
        self._hints: dict[str, str] = {}
        self.widget = slicer.util.loadUI(str(_UI_FILE))
        self.widget.setMRMLScene(logic.scene)
        layout.addWidget(self.widget)
        ui = self.ui = slicer.util.childWidgetVariables(self.widget)
        self.messages = Messages(ui.messageLabel, dialogs, self._situation)
        self.say, self.attempt = self.messages.say, self.messages.attempt
        self.setUp = SetUpDialog(installer, self._onSetUpChanged)
        self.server = ServerDialog(installer, self._onServerChosen)
        self.boxTool = BoxTool(self._onBox, self.say)
        self.points = PointTool(logic)
        self.views = ViewNavigator(self.boxTool.currentSliceNode)
        self.object = ObjectSection(ui, logic, self.views, installer, self.attempt)
        self.object.askServer = self.server.open
        self.box = BoxSection(ui, logic, self.views, self.boxTool, self.points, self.attempt, self.say)
        self.review = ReviewSection(ui, logic, self.views, self.attempt, self.say, self.box.following, self._leaveKeys)
        self.masks = MaskSection(ui, logic, self.say)
        self.saving = SaveSection(ui, logic, self.views, self.say)
        self.learning = LearningSection(ui, logic, self.attempt, self.say)
        self.dataSets = DataSetTools(logic, self.views, self.say, self._whySceneStays, self._onCaseOpened, installer)
        if not dialogs:
            self.saving.confirm = self.dataSets.confirm = self.learning.confirm = lambda _question: True
        sections = (IMAGE, BOX, PROPAGATE, REVIEW, SAVE, SETTINGS)
        self.folding = Folding({name: getattr(ui, f"{name}Section") for name in sections})
        self._controls = {control.name: control for control in controls()}
        self._steps = self._makeSteps()
        self._widgets = {name: self._widgetsOf(control) for name, control in self._controls.items()}
        self.shortcuts = Shortcuts(self._keys())
        self._connectButtons()
        self.events = SceneEvents(
            logic,
            self.attempt,
            self.refresh,
            self.refreshViews,
            self._refreshWindow,
            parametersChanged=self._onParametersChanged,
            closing=self.sceneClosing,
            closed=self.sceneClosed,
            importing=self.sceneImporting,
            imported=self.sceneImported,
            saving=self._onSceneSave,
            saved=self._onSceneSaved,
            addressed=self._onSceneAddressed,
            viewMoved=self._onViewMoved,
            segmentationCame=self.masks.segmentationCame,
            segmentationLeaves=self.masks.segmentationLeaves,
            nodeRemoved=self.nodeRemoved,
            segmentRemoved=self._onSegmentRemoved,
        )
        self._connectLogic()
        self.events.start()
        try:
            self.takeParameters()
        except Exception:  # half a panel must not hear of the scene
            self.events.stop()
            raise
        SharedService.panelCame(logic.service)

    # -- life -----------------------------------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """The panel is shown."""
        self._entered = True
        if not self.logic.hasParameters:
            self.takeParameters()
        if self.logic.hasParameters and self.logic.parameters.volume is None:
            self.logic.chooseVolume(self.saving.nextVolumeNode())
        self.object.refreshModels()
        self.learning.enter()
        self.boxTool.install()
        self.shortcuts.install()
        self.review.enter()
        self.refresh()

    def exit(self) -> None:
        """Another module is shown. What is being computed goes on."""
        self._entered = False
        self.shortcuts.remove()
        self.boxTool.remove()
        self.review.exit()
        if self.logic.hasParameters:
            self.points.stop()

    def cleanup(self) -> None:
        """The panel goes, by reload or at the end of Slicer."""
        self.box.following.stop()
        self.shortcuts.remove()
        self.boxTool.remove()
        self.review.exit()
        self._keepDrawing()
        self._disconnectLogic()
        for work in (self._onRunOver, self._followNewest):
            forget(work)
        self.events.stop()
        if self.logic.hasParameters:
            if not self.saving.recoverable:  # it would write its journal over the one that waits for a decision
                self.attempt(self.logic.leaveObject)
            self._disconnectGui()
        self.logic.setParameters(None)
        self.logic.keeper.journals.close()
        self.learning.cleanup()
        SharedService.panelGone(self.logic.service)
        self.masks.cleanup()
        self.setUp.cleanup()
        self.server.cleanup()
        self.dataSets.cleanup()

    def takeParameters(self) -> None:
        """Work with the scene's parameter node, and with the objects that the scene keeps."""
        self._disconnectGui()
        parameters = self._getParameters()
        self.logic.setParameters(parameters)  # first, as widgets speak while they are connected
        self._guiTag = (parameters, parameters.connectGui(self.ui))
        self.attempt(self.logic.restoreObjects)
        self.masks.reveal()
        self._lookForJournal()

    def _disconnectGui(self) -> None:
        if self._guiTag is not None:
            parameters, tag = self._guiTag
            parameters.disconnectGui(tag)
            self._guiTag = None

    # -- the scene ------------------------------------------------------------------------------------------------------------------

    def sceneClosing(self) -> None:
        """Let go of every node; what was being drawn goes into the journal first."""
        self._keepDrawing()
        self.boxTool.cancel()
        self.events.release()
        self.masks.release()
        self._disconnectGui()
        self.logic.sceneClosing()
        self._lookForJournal()

    def sceneClosed(self) -> None:
        """Begin anew on the empty scene."""
        if self._entered:
            self.takeParameters()

    def sceneImporting(self) -> None:
        """Another scene is about to be read into this one: it may bring a parameter node."""
        self._keepDrawing()
        if self.logic.hasParameters and not self.saving.recoverable:
            self.attempt(self.logic.leaveObject)

    def sceneImported(self) -> None:
        """Take what was read."""
        self.takeParameters()

    def nodeRemoved(self, node) -> None:
        """A node is leaving the scene."""
        if node is self.review.correction.node:
            self.review.correction.close()
        if self.logic.hasParameters:
            self.attempt(self.logic.nodeRemoved, node)
            self._lookForJournal()

    def _onSegmentRemoved(self, node, segmentId: str) -> None:
        self.attempt(self.logic.segmentRemoved, node, segmentId)
        self._lookForJournal()

    def _onSceneSave(self) -> None:
        self.logic.editor.unhide()  # a scene that is loaded again must not have an invisible segment
        if self.logic.hasParameters and not self.saving.recoverable:
            self.attempt(self.logic.storeNow)

    def _onSceneSaved(self) -> None:
        self.logic.editor.hideAgain()
        self.attempt(self.logic.keeper.noticeSaved)

    def _onSceneAddressed(self) -> None:
        """The scene is being written, it may be by a script: what is written must be up to date and visible; then all is as before."""
        self.attempt(self.logic.keeper.storeTags)
        self.logic.editor.unhide()
        qt.QTimer.singleShot(0, self.logic.editor.hideAgain)

    def _keepDrawing(self) -> None:
        """End a correction because what it is drawn in goes; what was drawn becomes the correction."""
        self.review.correction.close()
        editor = self.logic.editor
        if self.logic.hasParameters and editor.changed():
            number = editor.annotated.stack.index_of(editor.position)
            if self.attempt(self.logic.finishCorrection):
                self.say(_("The drawing on slice {number} was taken as its correction.").format(number=number))
        if editor.active:  # nothing was drawn, or it was refused, which the panel has said
            editor.leave()

    def _onCaseOpened(self) -> None:
        """A case was opened in the worklist's window: the next key press is meant for the panel."""
        self._lookForJournal()
        mainWindow = slicer.util.mainWindow()
        if mainWindow is not None:
            mainWindow.activateWindow()
            self.ui.drawBoxButton.setFocus()  # no field, in which the panel's keys would be letters

    def _onParametersChanged(self) -> None:
        logic = self.logic
        logic.setParameters(logic.parameters)
        if logic.current is not None and logic.current.volumeNode is not logic.parameters.volume:
            self.attempt(logic.chooseVolume, logic.parameters.volume)
        self.attempt(logic.followOverlap)
        self.refresh()

    def _lookForJournal(self) -> None:
        self.attempt(self.saving.lookForJournal)
        self.refresh()

    # -- doing ----------------------------------------------------------------------------------------------------------------------

    def trigger(self, name: str) -> None:
        """Do what a button or key stands for; if it cannot be done now, say why."""
        self.messages.forget()
        wasFollowing = name in DECISIONS | MOVES and self.box.following.stop()
        reason = whyNot(self._controls[name], self.state())
        if wasFollowing and name in DECISIONS:
            self.say(_("The views were following the propagation; look at this slice, then press again."))
        elif reason:
            self.say(reason, holds=lambda: whyNot(self._controls[name], self.state()) == reason)
        elif name in ASKING:
            self.attempt(self._steps[name], clicked=True, asks=True)
        else:
            self._step(self._steps[name], clicked=True)
            return
        self.refresh()

    def _step(self, step: Callable, *arguments, clicked: bool = False) -> None:
        """A step of the user: panel and views are brought up to date once, when it is over, however many things it changes."""
        with self.messages.dialogsLater(), oneRendering():
            triggering, self._triggering = self._triggering, True
            try:
                self.attempt(step, *arguments, clicked=clicked)
            finally:
                self._triggering = triggering
                self.refresh()

    def _makeSteps(self) -> dict[str, Callable[[], object]]:
        logic, box, review, saving = self.logic, self.box, self.review, self.saving
        return {
            "recover": saving.recover,
            "discard": saving.discard,
            "terminology": self.object.chooseTerminology,
            "showFed": logic.showWindow,
            "setUp": self._openSetUp,
            "trySample": self.trySample,
            "drawBox": self._drawBox,
            "addPositive": lambda: box.addPoints(True),
            "addNegative": lambda: box.addPoints(False),
            "firstSlice": lambda: box.endHere(last=False),
            "lastSlice": lambda: box.endHere(last=True),
            "takeExtent": self.learning.offer.take,
            "proposeObject": self.learning.proposeObject,
            "stopProposing": self.learning.prototypes.cancel,
            "goToCenter": self._goToCenter,
            "nextObject": logic.nextObject,
            "propagate": box.propagate,
            "cancel": box.cancel,
            "accept": review.here(review.accept),
            "acceptUpTo": review.here(logic.acceptUpTo),
            "acceptTogether": review.acceptTogether,
            "correct": review.here(review.correct),
            "noObject": review.here(logic.noObjectHere),
            "unlock": review.here(logic.unlock),
            "nextDoubtful": review.nextDoubtful,
            "sliceUp": lambda: review.step(1),
            "sliceDown": lambda: review.step(-1),
            "undo": review.undo,
            "redo": review.redo,
            "paintTool": lambda: review.correction.use("Paint"),
            "eraseTool": lambda: review.correction.use("Erase"),
            "drawTool": lambda: review.correction.use("Draw"),
            "thresholdTool": lambda: review.correction.use(THRESHOLD),
            "fill": review.correction.fill,
            "finish": review.finish,
            "leave": review.leave,
            "learn": self.learning.learn,
            "stopLearning": self.learning.learner.cancel,
            "forget": self.learning.learner.forget,
            "showMask": self.masks.toggleShown,
            "outlineOnly": self.masks.toggleOutlined,
            "fainter": lambda: self.masks.fill(-1),
            "stronger": lambda: self.masks.fill(1),
            "show3D": self.masks.toggle3D,
            "save": saving.save,
            "nextVolume": saving.nextVolume,
            "worklist": self.dataSets.cases.open,
            "exportNnunet": self.dataSets.export.open,
            "saveDicom": self.dataSets.saveDicom,
            "keepPrototype": self.learning.keepPrototype,
            "loadProposals": self.dataSets.loadProposals,
        }

    def _connectButtons(self) -> None:
        for name in self._steps:
            for button in self._widgets[name]:
                button.connect("clicked()", self._slot(name))
        for name, icon in _ICONS.items():
            self._widgets[name][0].icon = qt.QIcon(str(_UI_FILE.parents[1] / "Icons" / f"{icon}.svg"))

    def _keys(self) -> dict[str, Callable[[], None]]:
        keys = {key: self._slot(name) for name, control in self._controls.items() for key in control.keys}
        return keys | {"Return": self.onEnterKey, "Enter": self.onEnterKey, "Escape": self.onEscapeKey}

    def _slot(self, name: str) -> Callable[[], None]:
        return lambda: self.trigger(name)

    def onEnterKey(self) -> None:
        """Enter finishes a correction, else it propagates."""
        self.trigger("finish" if self.logic.editor.active else "propagate")

    def onEscapeKey(self) -> None:
        """Escape ends what the mouse is doing, an effect too, else it leaves a correction."""
        if self.boxTool.active:
            self.boxTool.cancel()
        elif self.logic.hasParameters and self.points.placing is not None:
            self.points.stop()
            self.refreshViews()
        elif self.logic.editor.active and not self.review.correction.putEffectAway():
            self.trigger("leave")

    def _drawBox(self) -> None:
        self.points.stop()
        self.box.drawBox()

    def _onBox(self, sliceNode, cornersWorld) -> None:
        self._step(self.logic.drawBox, sliceNode, cornersWorld)

    def trySample(self) -> None:
        """Load the sample, mark it, propagate."""
        from .SampleRun import loadSample, sampleMarking  # here, because only this button needs the simulation

        volumeNode = loadSample(self.logic.scene)
        self.logic.nextObject()
        self.logic.keeper.journals.discard(volumeNode)  # the sample begins anew; a journal of it is nothing to ask about
        self.logic.chooseVolume(volumeNode)
        self.saving.lookForJournal()  # it was offered already if the volume was chosen while it was loaded
        self.logic.parameters.newSegmentName = _("Sarcoma")
        self.views.showVolume(volumeNode)
        self.logic.markObject(*sampleMarking(volumeNode))
        self.box.goToCenter()
        self.box.propagate()

    def _goToCenter(self) -> None:
        self.box.goToCenter()
        self.review.jumped()

    def _openSetUp(self) -> None:
        self.setUp.open(self.logic.parameters.model if self.logic.hasParameters else "bundled")

    def _onSetUpChanged(self) -> None:
        self.object.refreshModels()
        if self.logic.failure is not None:  # what was missing may be there now
            self.attempt(self.logic.preview)
        self.refresh()

    def _onServerChosen(self, name: str) -> None:
        """The user chose a model of a server's; "": the server was forgotten, and the model here is used again."""
        self.object.refreshModels()
        if self.logic.hasParameters and (name or isOnServer(self.logic.parameters.model)):
            self.object.useModel(onServer(name) if name else "bundled")
            self.logic.setParameters(self.logic.parameters)  # it may be the same name with another address or token
        self.refresh()

    # -- showing --------------------------------------------------------------------------------------------------------------------

    def state(self) -> PanelState:
        """How things stand."""
        position = self.views.position(self.logic.current)
        return readState(self.logic, position, self.saving.recoverable, self.saving.nextVolumeNode() is not None, self.learning)

    def refresh(self) -> None:
        """Show how things stand, everywhere."""
        self.attempt(self.saving.followVolume)
        state = self.state()
        for section in (self.object, self.box, self.review, self.masks, self.saving):
            section.refresh(state)
        self.learning.refresh(state.hasObject, state.hasVolume, state.correcting, state.open + state.due)
        self._enable(state)
        self._leaveKeys()
        self.messages.hint(hintText(state))
        self.folding.follow(openSections(state))
        self.folding.tell(summaries(self.logic, state))
        self.dataSets.refresh()
        self.events.follow()

    def _situation(self, isError: bool) -> tuple:
        """What a message without a condition of its own is about: it ends when this changes."""
        logic = self.logic
        steps = None if logic.current is None else logic.current.stepCount
        about = (logic.parameters.volume if logic.hasParameters else None, logic.current, steps)
        return about if isError else (*about, logic.running, logic.editor.active)

    def _whySceneStays(self) -> str:
        """Why another case cannot be opened now; empty if it can."""
        if not self._entered:
            return _("Go back to the module SAM2Annotate first.")
        return whyNot(self._controls["volume"], self.state())

    def refreshViews(self) -> None:
        """Show which slice the views show, and what the mouse does; called for every slice that a person scrolls past."""
        with oneRendering():  # frame, word and outline come with the slice that was scrolled to
            self.box.refreshTools(self.logic.hasParameters)
            self.review.refreshSlice()
        state = self.state()
        self.masks.refresh(state)
        self._enable(state)
        self.messages.hint(hintText(state))

    def _enable(self, state: PanelState) -> None:
        chosen = self.object.chosenNames(state)
        for name, control in self._controls.items():
            reason = whyNot(control, state)
            if self._reasons.get(name) == reason and self._chosenNames.get(name) == chosen.get(name):
                continue
            self._reasons[name] = reason
            toolTip = "\n".join(text for text in (toolTipOf(control, reason), chosen.get(name)) if text)
            for widget in self._widgets[name]:
                widget.enabled = not reason
                widget.toolTip = toolTip
        self._chosenNames = chosen
        for name, reason in hints(self._reasons, state).items():
            if self._hints.get(name) != reason:
                self._hints[name] = reason
                label = getattr(self.ui, f"{name}HintLabel")
                showText(label, reason)
                label.visible = bool(reason)

    def _leaveKeys(self) -> None:
        self.shortcuts.leave(keysOfEffect(self.logic.editor.active, self.review.correction.effectName))

    def _refreshWindow(self) -> None:
        if self.logic.hasParameters:
            state = self.state()
            self.object.refreshWindow(state.hasVolume)
            self.ui.showFedButton.visible = state.windowDiffers
            self.folding.follow(openSections(state))

    def _widgetsOf(self, control: Control) -> list:
        return [getattr(self.ui, name) for name in control.objectNames]

    # -- what the logic says ------------------------------------------------------------------------------------------------------------

    def _connectLogic(self) -> None:
        for event, receiver in self._receivers():
            event.connect(receiver)

    def _disconnectLogic(self) -> None:
        for event, receiver in self._receivers():
            event.disconnect(receiver)

    def _receivers(self) -> tuple:
        logic = self.logic
        return (
            (logic.changed, self._onChanged),
            (logic.slicesShown, self._onSlicesShown),
            (logic.propagated, self._onPropagated),
            (logic.message, self.say),
            (logic.service.stateChanged, self.object.showModelState),
            (logic.service.noticed, self.say),
            (self.boxTool.activeChanged, self.refreshViews),
            (self.learning.prototypes.proposed, self._onProposed),
        )

    def _onProposed(self, annotated: AnnotatedSegment) -> None:
        """An object was found: show where."""
        self.views.goTo(annotated, annotated.center)

    def _onViewMoved(self) -> None:
        self.box.following.viewMoved()
        self.review.viewMoved()

    def _onChanged(self) -> None:
        if not self._triggering and not waits(self._onRunOver):  # else it is shown once, when the user's step or the run is over
            self.refresh()

    def _onPropagated(self) -> None:
        inTurnOnce(self._onRunOver)

    def _onRunOver(self) -> None:
        self.refresh()
        self.box.following.end()

    def _onSlicesShown(self, positions: list[int]) -> None:
        """Slices were computed; cheap, as it happens some times a second. The views follow only the newest."""
        if self._triggering:
            return  # the step ends with showing everything
        self.review.slicesShown(positions)
        self.box.refreshProgress(self.logic.running)
        self._newest = positions[-1]
        inTurnOnce(self._followNewest)

    def _followNewest(self) -> None:
        with oneRendering():
            if not self.box.following.to(self._newest):
                self.views.render()
