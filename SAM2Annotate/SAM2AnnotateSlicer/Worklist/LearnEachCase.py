"""LearnEachCase: after each reviewed case the model learns its objects from all reviewed ones; the next case begins with that. No Qt.

It is off until a person wants it. Learning itself is `CaseLearning`: in the background, one object after another.
"""

from __future__ import annotations

from SAM2AnnotateLib.errors import Cancelled, InputError, SAM2AnnotateError

from ..Model.LearnedModels import LearnedModel
from ..Review.AnnotatedSegment import AnnotatedSegment
from ..Review.Logic import AnnotationLogic
from ..Told import told
from .CaseLearning import CaseLearning
from .Worklist import Worklist
from .WorklistFolder import CaseState, WorklistCase, storedObjects

_REVIEWED = (CaseState.REVIEWED, CaseState.EXPORTED)
_MOST_LOOKED_AT = 10  # reviewed cases whose objects are learned when it is switched on


class LearnEachCase:
    """Learns after each reviewed case, and lets the next one begin with what was learned.

    Args:
        logic: the steps of the work.
        worklist: tells when a case was saved.
        learning: learns.

    Attributes:
        on: whether a person wants it.
    """

    def __init__(self, logic: AnnotationLogic, worklist: Worklist, learning: CaseLearning):
        self._logic, self._worklist, self._learning = logic, worklist, learning
        self._names: list[str] = []  # of objects that are to be learned
        self._isOwn = False  # whether what is learned now was begun here
        self.on = False
        worklist.saved.connect(self._onSaved)
        learning.ended.connect(self._onEnded)
        logic.learnedFor = self.learnedFor

    def learnedFor(self, annotated: AnnotatedSegment) -> LearnedModel | None:
        """What an object that was just marked begins with: what the list learned last of objects of its name; None for nothing."""
        return None if self._worklist.current is None else self._learning.learnedOf(annotated.name)

    def turn(self, on: bool) -> None:
        """Learn after each case from now on, and now what the reviewed ones show; or not any more."""
        self.on = on
        if not on:
            self.cancel()
        elif self._worklist.folder is not None:
            reviewed = [case for case in self._worklist.folder.cases() if self._isReviewed(case)]
            self._queue(reviewed[-_MOST_LOOKED_AT:])

    def cancel(self) -> None:
        """Stop learning; it begins again after the next case."""
        self._names = []
        if self._isOwn:
            self._learning.cancel()

    def cleanup(self) -> None:
        """The panel goes."""
        self._worklist.saved.disconnect(self._onSaved)
        self._learning.ended.disconnect(self._onEnded)
        self._logic.learnedFor = lambda _annotated: None

    # -- within -----------------------------------------------------------------------------------------------------------------------

    def _onSaved(self, case: WorklistCase) -> None:
        if self.on and self._isReviewed(case):
            self._queue([case])

    def _queue(self, cases: list[WorklistCase]) -> None:
        self._learning.problems.clear()
        for case in cases:
            try:
                names = [one.about.get("segment") for one in storedObjects(case.segmentation)]
            except InputError:  # the list of cases says so
                continue
            self._names += [name for name in names if isinstance(name, str) and name not in self._names]
        self._next()

    def _next(self) -> None:
        while self._names and not self._learning.running:
            name = self._names.pop(0)
            try:
                self._isOwn = self._learning.start(name)
            except SAM2AnnotateError as error:
                self._logic.message.emit(told(error), True)

    def _onEnded(self, name: str, error: SAM2AnnotateError | None) -> None:
        isOwn, self._isOwn = self._isOwn, False
        if isOwn and error is not None:
            self._names = []
            self._logic.message.emit(told(error), not isinstance(error, Cancelled))
        elif isOwn and self._learning.brought and self._learning.learnedOf(name) is not None:
            text = f"{self._learning.brought} The next '{name}' of the worklist begins with what was learned."
            self._logic.message.emit(text, False)
        self._next()

    def _isReviewed(self, case: WorklistCase) -> bool:
        try:
            return self._worklist.folder is not None and self._worklist.folder.state(case) in _REVIEWED
        except InputError:
            return False
