"""Learner: learns the current object from its locked slices, in the model's process, and goes back. Opens no dialog, knows no widget.

What is learned is an adapter, a small file of the user's settings (`LearnedModels`). The object names it by its hash; a scene or a journal
keeps that name alone. Locked slices are never touched: they are what is learned from.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from SAM2AnnotateLib.errors import Cancelled, PromptError, SAM2AnnotateError
from SAM2AnnotateLib.geometry import Extent
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.worker.messages import Learned, Message, unpack

from ..Model.LearnedModels import LearnedModel
from ..Model.ModelService import OpenedVolume
from ..Review.AnnotatedSegment import AnnotatedSegment
from ..Review.Logic import AnnotationLogic
from ..Told import told
from ..Words import sentence
from .UnderWay import UnderWay

FEWEST_SLICES = 2  # that show the object: each is held out once, to see whether the others taught anything
OFFERED_AT = 3  # corrections since the object was begun, or learned last
SECONDS = 15.0
_BEYOND = 2  # slices beside each end of the object on which it is not


@dataclass(frozen=True)
class Brought:
    """What the latest learning brought.

    Args:
        text: one sentence for the user.
        learned: None if nothing better was found, so that nothing was changed.
    """

    text: str
    learned: LearnedModel | None


class Learner(UnderWay):
    """Learns one object at a time.

    Args:
        logic: the steps of the work.
        clock: seconds of a clock that never goes back.

    Attributes:
        options: how long a learning takes, as `ModelService.learn` has it.
    """

    def __init__(self, logic: AnnotationLogic, clock: Callable[[], float] = time.monotonic):
        super().__init__(logic, clock)
        self.options: dict = {"seconds": SECONDS}
        self._brought: tuple[AnnotatedSegment, Brought] | None = None
        self._listed: list[LearnedModel] | None = None
        self._counted: tuple[tuple, int] | None = None
        self._annotated: AnnotatedSegment | None = None
        self._message: Learned | None = None

    # -- how things stand -----------------------------------------------------------------------------------------------------------

    def lessonCount(self, annotated: AnnotatedSegment | None) -> int:
        """As the function `lessonCount`, counted once for each state: asked for every slice that a person scrolls past."""
        if annotated is None:
            return 0
        state = (annotated.session, annotated.session.version)
        if self._counted is None or self._counted[0] != state:
            self._counted = (state, lessonCount(annotated))
        return self._counted[1]

    def offers(self, annotated: AnnotatedSegment | None) -> bool:
        """Whether it is time to offer learning: a few slices were corrected since it was learned last, and nothing better is in use."""
        if annotated is None or self.running or not self.lessonCount(annotated) or volumesOf(annotated) > 1:
            return False
        since = annotated.about.get("learnedAt", 0)
        return corrections(annotated) - (since if isinstance(since, int) else 0) >= OFFERED_AT

    def broughtTo(self, annotated: AnnotatedSegment) -> str:
        """What the latest learning brought to an object, in a sentence; "" if it was none of this object, or not what is in use now."""
        if self._brought is None or self._brought[0] is not annotated:
            return ""
        brought = self._brought[1]
        used = (annotated.learned or {}).get("sha256")
        return brought.text if used == (None if brought.learned is None else brought.learned.sha256) else ""

    def usable(self) -> list[LearnedModel]:
        """All that was learned and that the model in use can take, the newest first."""
        if self._listed is None:
            self._listed = self._logic.learnedModels.all()
        base = (self._logic.service.description or {}).get("weights_sha256")
        return [one for one in self._listed if base is None or one.baseSha256 == base]

    def lookAgain(self) -> None:
        """Files of what was learned may have come or gone."""
        self._listed = None

    # -- steps ----------------------------------------------------------------------------------------------------------------------

    def learn(self) -> None:
        """Learn the current object from its locked slices; the open ones are proposed anew then, as one step of undo.

        Raises:
            PromptError: if there are too few slices, an object is being learned already, or what is in use was learned of several volumes.
        """
        logic, annotated = self._logic, self._logic.current
        if annotated is None:
            raise PromptError("No object is marked yet, so there is nothing to learn from.")
        annotated.requireUsable()
        if self.running:
            raise PromptError("An object is being learned already. Wait for it, or cancel it.")
        if not self.lessonCount(annotated):
            raise PromptError(f"Accept or correct at least {FEWEST_SLICES} slices that show the object: from these it is learned.")
        if volumesOf(annotated) > 1:
            raise PromptError(
                f"What is in use was learned of {volumesOf(annotated)} volumes; learning from this one alone would take its place. Press "
                "'Forget' first if you want that. A worklist can learn from this case too, once it is reviewed."
            )
        lessons = lessonsOf(annotated, logic.opened(annotated))
        annotated.effort.note("learn")
        self._annotated, self._progress, self._message, self._begun = annotated, None, None, self._clock()
        options = {"terminology": codeOf(annotated.segment.GetTerminology() or ""), **self.options}
        received = {"onProgress": self._onProgress, "onReply": self._onReply, "onDone": self._onDone, "onFailed": self._onFailed}
        request = logic.service.learn(lessons, logic.policy, annotated.name, options, **received)
        if self._annotated is not None:  # it may have ended within the call
            self._request = request
        logic.changed.emit()

    def forget(self) -> None:
        """Go back to the model as it came; the open slices are proposed anew, as one step of undo. The file stays.

        Raises:
            PromptError: if nothing that was learned is in use.
        """
        annotated = self._logic.current
        if annotated is None or annotated.learned is None:
            raise PromptError("The model answers as it came: there is nothing to forget.")
        annotated.effort.note("forget")
        self._logic.useLearned(None, "forgetting what was learned")

    def use(self, learned: LearnedModel | None) -> None:
        """Go on with something that was learned before, or with the model as it came; without an object, for the next one."""
        logic = self._logic
        if logic.current is None:
            logic.nextLearned, logic.nextAsItCame = learned, learned is None
            logic.changed.emit()
        elif (logic.current.learned or {}).get("sha256") != (None if learned is None else learned.sha256):
            logic.useLearned(learned, "forgetting what was learned" if learned is None else f"using what was learned of {learned.name}")

    # -- what the model says ----------------------------------------------------------------------------------------------------------

    def _onReply(self, message: Message) -> None:
        if isinstance(message, Learned):
            self._message = message

    def _onDone(self) -> None:
        annotated, message = self._annotated, self._message
        self._over()
        if annotated is None or message is None:
            return
        try:
            brought = self._take(annotated, message)
        except SAM2AnnotateError as error:
            self._tell(error)
            return
        self._brought = (annotated, brought)
        self.lookAgain()
        self._logic.message.emit(brought.text, False)
        self._logic.changed.emit()

    def _take(self, annotated: AnnotatedSegment, message: Learned) -> Brought:
        """Keep what was learned, and propose the open slices with it."""
        logic = self._logic
        learned = logic.learnedModels.keep(unpack([message.data])[0]) if message.data else None
        if annotated.exists and annotated.inCharge:
            annotated.about["learnedAt"] = corrections(annotated)
        if learned is None:
            return Brought(message.text, None)
        if annotated is not logic.current or not annotated.exists or not annotated.inCharge:
            where = "Another object is at work now, so it is not in use: choose it in the settings, under 'Learned'."
            return Brought(f"{message.text} {where}", learned)
        logic.useLearned(learned, f"learning from {message.slices} slices")
        return Brought(message.text, learned)

    def _onFailed(self, error: SAM2AnnotateError) -> None:
        self._over()
        self._tell(error)

    def _tell(self, error: SAM2AnnotateError) -> None:
        kept = "Nothing was learned, and nothing was changed."
        self._logic.message.emit(f"{sentence(told(error))} {kept}", not isinstance(error, Cancelled))
        self._logic.changed.emit()

    def _over(self) -> None:
        self._request = self._annotated = self._message = self._progress = None


def lessonsOf(annotated: AnnotatedSegment, opened: OpenedVolume) -> list[tuple[OpenedVolume, int, np.ndarray, Extent, bool]]:
    """What an object teaches: (volume, position, mask, extent, whether a person drew it) of its locked slices, and that it is not there a
    little beyond its ends."""
    session = annotated.session
    known = {position: session.mask(position) for position in session.locked}
    extent, nothing = session.extent, np.zeros(session.frame_shape_rc, dtype=bool)
    for position in (extent.first - _BEYOND, extent.last + _BEYOND):
        if len(extent) > 1 and 0 <= position < annotated.stack.shape_src[0]:
            known[position] = nothing
    accepted = {position for position in session.locked if session.status(position) is not SliceStatus.CORRECTED}
    return [(opened, position, mask, extent, position not in accepted) for position, mask in sorted(known.items())]


def lessonCount(annotated: AnnotatedSegment) -> int:
    """How many slices there are to learn from; 0 if too few of them show the object."""
    locked = annotated.session.locked
    shown = sum(annotated.session.mask(position).any() for position in locked)
    return len(locked) if shown >= FEWEST_SLICES else 0


def volumesOf(annotated: AnnotatedSegment) -> int:
    """Of how many volumes what is in use was learned; 1 if nothing is."""
    told = (annotated.learned or {}).get("volumes", 1)
    return told if isinstance(told, int) else 1


def codeOf(terminology: str) -> str:
    """The code of a segment's type, such as ``SCT:10200004:Liver``, from a serialized terminology entry; "" if there is none."""
    parts = terminology.split("~")
    return ":".join(parts[2].split("^")) if len(parts) > 2 and parts[2].strip("^") else ""


def corrections(annotated: AnnotatedSegment) -> int:
    """How many slices of an object a person drew or emptied."""
    return sum(annotated.session.status(position) is SliceStatus.CORRECTED for position in annotated.session.locked)
