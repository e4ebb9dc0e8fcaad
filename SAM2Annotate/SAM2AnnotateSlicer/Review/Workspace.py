"""Workspace: what all steps of the work share: parameters, the current object, the model, events, keeping. Knows no widget."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from SAM2AnnotateLib.errors import OutputError, PromptError, SAM2AnnotateError
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.propagation import RegionPolicy

from ..Event import Event
from ..Model.LearnedModels import LearnedModel, LearnedModels
from ..Model.ModelService import ModelChoice, ModelService
from ..Scene import GrayWindow
from ..Scene.ParameterNode import SAM2AnnotateParameterNode
from ..Told import told
from ..Words import sentence
from .AnnotatedSegment import AnnotatedSegment
from .Arrivals import Arrivals
from .CorrectionEditor import CorrectionEditor
from .JournalKeeper import JournalKeeper
from .ObjectKeeper import ObjectKeeper
from .PromptNodes import placeRoi, showPoints
from .PropagationRun import PropagationRun


class Workspace:
    """The state of the work on a scene. `AnnotationLogic` is made of this and the steps on top of it.

    Args:
        scene: the MRML scene.
        service: the model.
        journals: keeps journals.
        clock: seconds of a clock that never goes back.
        learnedModels: what was learned of objects; by default kept beside the journals.

    Events: `changed` () something that the panel shows; `sliceArrived` (position, done, total), for each one and to be taken quickly;
    `slicesShown` (positions) some of them are to be drawn, some times a second; `message` (text, is an error); `propagated` () a run of it
    ended, however it did; `objectChanged` () another object is the current one; `previewed` (object, position) a preview has come.
    """

    def __init__(
        self,
        scene,
        service: ModelService,
        journals: JournalKeeper,
        clock: Callable[[], float] = time.monotonic,
        learnedModels: LearnedModels | None = None,
    ):
        self.scene, self.service = scene, service
        self.learnedModels = learnedModels if learnedModels is not None else LearnedModels(journals.folder.with_name("learned"))
        self.keeper = ObjectKeeper(scene, journals, clock)
        self.changed, self.sliceArrived, self.message = Event(), Event(), Event()
        self.slicesShown, self.propagated, self.objectChanged = Event(), Event(), Event()
        self.previewed = Event()
        self.nextLearned: LearnedModel | None = None  # what the next object that is marked begins with
        self.nextAsItCame = False  # whether a person chose the model as it came for it
        # What an object that was just marked begins with, if nobody chose anything.
        self.learnedFor: Callable[[AnnotatedSegment], LearnedModel | None] = lambda _annotated: None
        self.editor = CorrectionEditor(scene)
        self.policy = RegionPolicy("auto")
        self.current: AnnotatedSegment | None = None
        self._parameters: SAM2AnnotateParameterNode | None = None
        self._grays = GrayWindow.GrayWindow()
        self._run: PropagationRun | None = None
        self.failure: SAM2AnnotateError | None = None  # that ended the latest preview of the current object
        self.arrivals = Arrivals(self._showArrived)
        self._placing = False  # whether a change of ROI or points is our own

    @property
    def parameters(self) -> SAM2AnnotateParameterNode:
        """The parameter node. Raises PromptError while the scene is closed."""
        if self._parameters is None:
            raise PromptError("The scene is being closed.")
        return self._parameters

    @property
    def hasParameters(self) -> bool:
        """Whether there is a parameter node; there is none while the scene is closed."""
        return self._parameters is not None

    def setParameters(self, parameters: SAM2AnnotateParameterNode | None) -> None:
        """Work with another parameter node; None while the scene is closed."""
        self._parameters = parameters
        if parameters is not None:
            self.service.use(ModelChoice.of(parameters.model, parameters.device))

    @property
    def volumeNode(self):
        """The volume to annotate.

        Raises:
            PromptError: if none is chosen.
        """
        volumeNode = self.parameters.volume
        if volumeNode is None or volumeNode.GetImageData() is None:
            raise PromptError("No volume is chosen. Load one (or press 'Try it on a sample') and choose it under 'Image and object'.")
        return volumeNode

    def mapping(self, boxValues: np.ndarray | None = None) -> IntensityMapping:
        """The gray mapping of the volume, as the panel's window says. An automatic one is settled by the first object and kept then."""
        volumeNode = self.volumeNode
        settle = boxValues is not None and not self.keeper.on(volumeNode)
        return self._grays.mapping(volumeNode, self.parameters.window, boxValues, settle)

    def showWindow(self) -> None:
        """Give the views the window that the model is fed with."""
        GrayWindow.show(self.volumeNode, self.mapping())

    def windowDiffers(self) -> bool:
        """Whether the views show another window than the model is fed with."""
        return self.current is not None and not GrayWindow.isShown(self.volumeNode, self.mapping())

    @property
    def running(self) -> bool:
        """Whether a propagation runs."""
        return self._run is not None

    @property
    def stopping(self) -> bool:
        """Whether a propagation was cancelled whose model has not stopped yet."""
        return self._run is not None and self._run.stopping

    # -- for the steps ----------------------------------------------------------------------------------------------------------------

    def _requireObject(self) -> AnnotatedSegment:
        if self.current is None:
            raise PromptError("No object is marked yet. Press 'Draw box' and drag a box around it on its center slice.")
        self.current.requireUsable()
        return self.current

    def _shown(self, position: int) -> int:
        """A slice's voxel index, by which the person knows it."""
        return self.current.stack.index_of(position) if self.current is not None else position

    def _say(self, text: str, error: bool = False) -> None:
        self.message.emit(text, error)

    def _setCurrent(self, annotated: AnnotatedSegment | None) -> None:
        self._attend(annotated)
        self.failure = None
        if annotated is not None:
            self.keeper.add(annotated)
            if self._parameters is not None and self._parameters.window == GrayWindow.AUTO:
                self._grays.settle(annotated.volumeNode, annotated.about.get("mapping"))
        if self._parameters is not None:
            self._placeNodes()
        self.objectChanged.emit()
        self.changed.emit()

    def _attend(self, annotated: AnnotatedSegment | None) -> None:
        """Make an object the current one, and hear of what a script does to it."""
        if self.current is not None:
            self.current.changed.disconnect(self._changedElsewhere)
        self.current = annotated
        if annotated is not None:
            annotated.changed.connect(self._changedElsewhere)

    def _changedElsewhere(self) -> None:
        """A script changed the current object by the console's means: bring box, points and journal up to date, and show it."""
        if self._parameters is None:
            return
        if self._run is not None and self._run.outdated:
            self._abandonRun()
            self._say("The propagation was stopped because a script changed the object. Press 'Propagate' to go on.")
        self._placeNodes()
        self._store()
        self.changed.emit()

    def _placeNodes(self) -> None:
        """Bring ROI and points in step with the current object; without one the ROI is hidden and there are no points."""
        parameters, annotated = self.parameters, self.current
        self._placing = True
        try:
            if annotated is not None:
                roiNode = placeRoi(annotated, parameters.roi)
                if roiNode is not parameters.roi:  # the parameter node would observe it a second time
                    parameters.roi = roiNode
            elif parameters.roi is not None:
                parameters.roi.SetDisplayVisibility(False)
            showPoints(annotated, parameters.positivePoints, parameters.negativePoints)
        finally:
            self._placing = False

    def _abandonRun(self) -> None:
        """Stop the propagation without a word, if one runs: another follows, or what it computes is out of date."""
        run, self._run = self._run, None
        if run is not None:
            self.arrivals.now()
            run.abandon()
            self.propagated.emit()

    def _showArrived(self, annotated: AnnotatedSegment, positions: list[int]) -> None:
        if annotated is self.current:
            self.slicesShown.emit(positions)

    def _decided(self, action: str, times: int = 1, slices: int = 0) -> None:
        """A person decided something: count it, keep it, show it.

        Args:
            action: what.
            times: how often.
            slices: how many slices were looked at for it just now; 0 if nobody knows when.
        """
        annotated = self._requireObject()
        annotated.effort.note(action, times, slices)
        if len(annotated.session.locked) == len(annotated.session.extent):
            annotated.about["finished"] = now()
        self._store()
        self.changed.emit()

    def _store(self, force: bool = True) -> None:
        """Keep the current object in its tag and the journal; while slices arrive, now and then."""
        if self.current is None:
            return
        try:
            self.keeper.store(self.current, force)
        except OutputError as error:
            why = sentence(told(error))
            self._say(f"The journal for recovery after a crash was not written: {why} The work in the scene is not affected.", error=True)


def now() -> str:
    """The time for the record."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
