"""ExtentOffer: first and last slice as the model proposes them, after a box without marked ends. Opens no dialog, knows no widget.

An end that a person marked is theirs, and stays. The search is of the background: whatever else is asked for goes first.
"""

from __future__ import annotations

from dataclasses import dataclass

from SAM2AnnotateLib.errors import Cancelled, PromptError, SAM2AnnotateError
from SAM2AnnotateLib.geometry import Extent
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.worker.messages import ExtentProposed, Message

from ..Model.ModelService import Request
from ..Review.AnnotatedSegment import AnnotatedSegment
from ..Review.Logic import AnnotationLogic

CERTAIN = 0.5


@dataclass(frozen=True, eq=False)
class ProposedEnds:
    """What was proposed for a box.

    Args:
        annotated: the object.
        prompt: its box; of another one nothing is known.
        extent: as proposed.
        certainties: of the first and the last slice, 0..1.
    """

    annotated: AnnotatedSegment
    prompt: SlicePrompt
    extent: Extent
    certainties: tuple[float, float]


class ExtentOffer:
    """Asks for the ends of each object that is marked by a box alone.

    Args:
        logic: the steps of the work.
    """

    def __init__(self, logic: AnnotationLogic):
        self._logic = logic
        self._ends: ProposedEnds | None = None
        self._request: Request | None = None
        self._asked: tuple[AnnotatedSegment, SlicePrompt] | None = None
        logic.previewed.connect(self._onPreviewed)

    @property
    def looking(self) -> bool:
        """Whether the ends of the current object are being looked for."""
        return self._request is not None and self._asked is not None and self._asked[0] is self._logic.current

    @property
    def ends(self) -> ProposedEnds | None:
        """What can be taken for the current object now; None if there is nothing, or the person has marked both ends."""
        ends = self._ends
        if ends is None or not self._fits(ends.annotated, ends.prompt) or self.wanted(ends) == ends.annotated.session.extent:
            return None
        return ends

    @staticmethod
    def wanted(ends: ProposedEnds) -> Extent:
        """First and last slice if the proposal is taken: an end that the person marked stays."""
        center, marked = ends.annotated.center, ends.annotated.session.extent
        first = marked.first if marked.first != center else min(center, ends.extent.first)
        last = marked.last if marked.last != center else max(center, ends.extent.last)
        return Extent(first, last)

    def take(self) -> None:
        """Make the proposed ends the person's own; one step of undo. Raises PromptError if there is nothing to take."""
        ends = self.ends
        if ends is None:
            raise PromptError("No first and last slice are proposed now.")
        self._logic.setExtent(self.wanted(ends))

    def stop(self) -> None:
        """Look no more."""
        request, self._request = self._request, None
        if request is not None:
            self._logic.service.cancel(request)

    def cleanup(self) -> None:
        """The panel goes."""
        self._logic.previewed.disconnect(self._onPreviewed)
        self.stop()

    def _onPreviewed(self, annotated: AnnotatedSegment, position: int) -> None:
        prompt = annotated.session.prompts.get(position)
        isBoxAlone = position == annotated.center and prompt is not None and prompt.box is not None and len(annotated.session.extent) == 1
        known = self._ends is not None and self._ends.annotated is annotated and self._ends.prompt is prompt
        if not isBoxAlone or known or annotated.session.locked:
            return
        self.stop()
        logic = self._logic
        try:
            opened, learned = logic.opened(annotated), logic.learnedModels.find(annotated.learned)
        except SAM2AnnotateError:  # the preview has told why
            return
        self._asked = (annotated, prompt)
        received = {"onReply": self._onReply, "onDone": self._onEnded, "onFailed": self._onEnded}
        request = logic.service.proposeExtent(opened, position, prompt, logic.policy, learned=learned, ofBackground=True, **received)
        if self._asked is not None:  # it may have ended within the call
            self._request = request
            logic.changed.emit()

    def _fits(self, annotated: AnnotatedSegment, prompt: SlicePrompt) -> bool:
        """Whether a proposal is of the current object as it is marked now, and nothing of it was decided or carried on yet."""
        if annotated is not self._logic.current or not annotated.exists:
            return False
        session = annotated.session
        return session.prompts.get(annotated.center) is prompt and not session.locked and set(session.results) <= {annotated.center}

    def _onReply(self, message: Message) -> None:
        if isinstance(message, ExtentProposed) and self._asked is not None:
            annotated, prompt = self._asked
            if message.first <= annotated.center <= message.last:
                certainties = (message.first_certainty, message.last_certainty)
                self._ends = ProposedEnds(annotated, prompt, Extent(message.first, message.last), certainties)

    def _onEnded(self, error: SAM2AnnotateError | None = None) -> None:
        """The search is over; that it failed is told, unless something else was asked for: the marks can be set by hand all the same."""
        self._request = self._asked = None
        if error is not None and not isinstance(error, Cancelled):
            self._logic.message.emit(f"First and last slice were not found: {error}", True)
        self._logic.changed.emit()
