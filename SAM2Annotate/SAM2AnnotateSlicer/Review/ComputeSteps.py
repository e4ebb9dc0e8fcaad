"""ComputeSteps: previews and propagation, from the object's state to slices shown. Imports Workspace and the library's propagation."""

from __future__ import annotations

import numpy as np

from SAM2AnnotateLib.errors import Cancelled, PromptError, SAM2AnnotateError
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.propagation import SliceResult

from ..Model.LearnedModels import LearnedModel
from ..Model.ModelService import OpenedVolume
from ..Scene.OneRendering import oneRendering
from ..Scene.ParameterNode import Overlap
from ..Scene.SceneBridge import volumeFromNode, voxelsKey
from ..Scene.SegmentLabelmap import SegmentLabelmap
from ..Told import told
from ..Turns import inTurnOnce
from ..Words import sentence
from .AnnotatedSegment import AnnotatedSegment
from .PropagationRun import PropagationRun, dueSlices
from .Workspace import Workspace


class ComputeSteps(Workspace):
    """Asks the model."""

    def preview(self, position: int | None = None) -> None:
        """Show the mask of a prompted slice from its prompt alone; by default the center slice."""
        annotated = self._requireObject()
        position = annotated.center if position is None else position
        prompt = annotated.session.prompts.get(position)
        if prompt is None or position in annotated.session.locked:
            return
        try:
            opened, learned = self._opened(annotated), self.learnedModels.find(annotated.learned)
        except SAM2AnnotateError as error:
            self.failure = error
            raise
        self.failure = None

        def upToDate() -> bool:
            return annotated.exists and annotated.session.prompts.get(position) is prompt

        def arrived(result: SliceResult, _done: int, _total: int) -> None:
            if upToDate():
                with oneRendering():
                    annotated.addResult(result, self._blocked(annotated, position))
                    if annotated is self.current:
                        self._store()  # a scene that is saved now must know that this mask is the model's
                    self.sliceArrived.emit(position, 1, 1)
                    self.changed.emit()

        def done() -> None:
            if annotated is self.current and upToDate() and position in annotated.session.results:
                crop = annotated.session.results[position].crop
                self.service.prefetch(opened, position, annotated.session.extent, crop)
                self.previewed.emit(annotated, position)

        told = {"onSlice": arrived, "onDone": done, "onFailed": self._previewFailed}
        self.service.preview(opened, position, prompt, self.policy, None, learned=learned, **told)

    @property
    def progress(self) -> tuple[int, int]:
        """(done, total) slices of the propagation; (0, 0) if none runs."""
        return (0, 0) if self._run is None else (self._run.done, self._run.total)

    def dueSlices(self) -> int:
        """How many slices 'Propagate' would compute: those that are not up to date, or all with another model or gray window."""
        annotated = self.current
        if annotated is None:
            return 0
        if self._isOutOfDate(annotated):
            known = {*annotated.session.locked, *annotated.session.prompts}
            return sum(position not in known for position in annotated.session.extent.indices)
        return dueSlices(annotated)

    def _isOutOfDate(self, annotated: AnnotatedSegment) -> bool:
        if not annotated.exists:
            return False
        try:
            mapping = self._mappingNow(annotated)
        except PromptError:  # no window is shown that could be another one; to propagate says so
            return False
        return annotated.isOutOfDate(self.service.choice.checkpoint, mapping)

    def estimateSeconds(self) -> float | None:
        """How long the propagation will take, or will still take; None before the first slice was measured."""
        each, (done, total) = self.service.secondsPerSlice, self.progress
        return None if each is None else each * (total - done if self.running else self.dueSlices())

    def propagate(self) -> None:
        """Compute every slice of the current object that is not locked and not up to date."""
        annotated = self._requireObject()
        annotated.effort.note("propagate")
        annotated.computeWith(self.service.choice.checkpoint, self._mappingNow(annotated))
        self._propagate(None)

    def useLearned(self, learned: LearnedModel | None, label: str) -> None:
        """Propose the open slices of the current object anew, with what was learned or with the model as it came; one step of undo.

        Locked slices stay as they are. Before anything but the box was computed, the preview alone is made anew.

        Args:
            learned: None for the model as it came.
            label: of the step.
        """
        annotated = self._requireObject()
        session = annotated.session
        self._opened(annotated)  # what the model cannot be shown refuses before anything is changed
        hadMore = bool(session.locked) or any(position not in session.prompts for position in session.results)
        self._abandonRun()
        annotated.useLearned(None if learned is None else learned.toJson(), label)
        self._store()
        self.changed.emit()
        if hadMore:
            self.propagate()
        else:
            self.preview()

    def opened(self, annotated: AnnotatedSegment) -> OpenedVolume:
        """The volume of an object as the model is to see it. Raises PromptError if it cannot be seen."""
        return self._opened(annotated)

    def cancel(self) -> None:
        """Stop what is being computed; slices that are done stay."""
        self.service.cancelAll()

    def _propagate(self, changed: int | None) -> None:
        annotated = self._requireObject()
        if self._run is not None:
            changed = None  # what the stopped run left undone is due too
            self._abandonRun()
        if dueSlices(annotated, changed) == 0:
            self.propagated.emit()
            self.changed.emit()
            return
        opened, learned = self._opened(annotated), self.learnedModels.find(annotated.learned)  # either may refuse
        self._run = PropagationRun(annotated, changed, self._arrived, self._ended)
        self._run.start(self.service, opened, self.policy, learned)
        self.changed.emit()

    def _arrived(self, result: SliceResult) -> None:
        run = self._run
        if run is not None:
            with oneRendering():  # a segment that grows is drawn anew by Slicer
                run.annotated.addResult(result, self._blocked(run.annotated, result.position), quiet=True)
            self.arrivals.add(run.annotated, result.position)
            inTurnOnce(self._storeNowAndThen)
            self.sliceArrived.emit(result.position, run.done, run.total)

    def _storeNowAndThen(self) -> None:
        if self.running:
            self._store(force=False)

    def _ended(self, run: PropagationRun, error: SAM2AnnotateError | None) -> None:
        with oneRendering():
            self._finish(run, error)

    def _finish(self, run: PropagationRun, error: SAM2AnnotateError | None) -> None:
        self._run = None
        self.arrivals.now()
        annotated = run.annotated
        if annotated.exists:
            annotated.labelmap.updateSurface()
            if self.service.description is not None:
                annotated.about["engine"] = self.service.description
            self._store()
        kept = f"{run.done} of {run.total} slices are done and kept."
        if isinstance(error, Cancelled):
            self._say(f"{sentence(str(error))} {kept}")
        elif error is not None:
            self._say(f"{sentence(told(error))} {kept} Press 'Propagate' to go on.", error=True)
        self.propagated.emit()
        self.changed.emit()

    def _outdateRun(self) -> None:
        """A prompt, the extent or a lock changed: what is being computed is out of date."""
        if self._run is not None:
            self._abandonRun()
            self._say("The propagation was stopped because its prompts changed. Press 'Propagate' to go on.")

    def _previewFailed(self, error: SAM2AnnotateError) -> None:
        if not isinstance(error, Cancelled):
            self.failure = error
            self._say(told(error), error=True)
        self.changed.emit()

    def _opened(self, annotated: AnnotatedSegment) -> OpenedVolume:
        volumeNode = annotated.volumeNode
        mapping = self._mappingOf(annotated)
        return OpenedVolume(annotated.imageKey(mapping), voxelsKey(volumeNode), volumeFromNode(volumeNode), annotated.axis, mapping)

    def _mappingOf(self, annotated: AnnotatedSegment) -> IntensityMapping:
        mapping = self._mappingNow(annotated)
        annotated.about |= {"mapping": mapping.to_json(), "model": self.parameters.model, "overlap": self.parameters.overlap.value}
        return mapping

    def _mappingNow(self, annotated: AnnotatedSegment) -> IntensityMapping:
        return self._grays.mapping(annotated.volumeNode, self.parameters.window)

    def _blocked(self, annotated: AnnotatedSegment, position: int) -> np.ndarray | None:
        """(rows, cols) pixels of other segments on a slice, if masks are to keep off them."""
        return _pixelsOf(_others(annotated), annotated, position) if self.parameters.overlap is Overlap.KEEP_OFF else None

    def followOverlap(self) -> None:
        """Bring the open slices in step with the choice whether masks keep off other segments, if it is not the one they were made with."""
        annotated, overlap = self.current, self.parameters.overlap
        if annotated is None or not annotated.exists:
            return
        madeWith = annotated.about.setdefault("overlap", overlap.value)
        if madeWith == overlap.value:
            return
        with oneRendering():
            self.arrivals.now()
            others, keeps = _others(annotated), overlap is Overlap.KEEP_OFF
            changed, unknown = annotated.keepOff(lambda position: _pixelsOf(others, annotated, position), keeps)
            annotated.about["overlap"] = overlap.value
            self._store()
            self._say(_overlapText(keeps, changed, unknown))
            self.changed.emit()


def _others(annotated: AnnotatedSegment) -> list[SegmentLabelmap]:
    """The other segments of an object's segmentation."""
    node = annotated.segmentationNode
    ids = [segmentId for segmentId in node.GetSegmentation().GetSegmentIDs() if segmentId != annotated.segmentId]
    return [SegmentLabelmap(node, segmentId, annotated.volumeNode, annotated.axis) for segmentId in ids]


def _pixelsOf(labelmaps: list[SegmentLabelmap], annotated: AnnotatedSegment, position: int) -> np.ndarray:
    """(rows, cols) bool of the pixels that segments have on a slice of an object."""
    pixels = np.zeros(annotated.stack.frame_shape_rc, dtype=bool)
    for labelmap in labelmaps:
        pixels |= annotated.stack.frame_from_slice(labelmap.plane(annotated.stack.index_of(position)))
    return pixels


def _overlapText(keeps: bool, changed: int, unknown: int) -> str:
    """What became of the open slices when masks began, or ceased, to keep off other segments."""
    if changed + unknown == 0:
        return (
            "No open slice lies on another segment, so none was changed." if keeps else "No open slice had been cut, so none was changed."
        )
    done = "cut where other segments are" if keeps else "made whole again"
    texts = [f"Open slices {done}: {changed}."] if changed else []
    if unknown:
        texts.append(
            f"{unknown} may have been cut in an earlier session and are out of date. Press 'Propagate' (Enter) to compute them again."
        )
    return " ".join(texts)
