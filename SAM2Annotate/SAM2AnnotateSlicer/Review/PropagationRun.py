"""PropagationRun: one run of the model over the slices that are due, from its start to its one end. Imports ModelService."""

from __future__ import annotations

from collections.abc import Callable

from SAM2AnnotateLib.errors import SAM2AnnotateError
from SAM2AnnotateLib.propagation import RegionPolicy, SliceResult

from ..Model.LearnedModels import LearnedModel
from ..Model.ModelService import ModelService, OpenedVolume, Request
from .AnnotatedSegment import AnnotatedSegment


class PropagationRun:
    """Runs once; make a new one for the next run.

    Args:
        annotated: the object.
        changed: position of the correction that it follows from; None for all slices that are not locked.
        onSlice: takes each result that is not out of date.
        onEnd: told the end, with the error if there was one; not told after `abandon`.
    """

    def __init__(
        self,
        annotated: AnnotatedSegment,
        changed: int | None,
        onSlice: Callable[[SliceResult], None],
        onEnd: Callable[[PropagationRun, SAM2AnnotateError | None], None],
    ):
        self.annotated, self.changed = annotated, changed
        self._onSlice, self._onEnd = onSlice, onEnd
        self._work = annotated.session.due_work(changed)
        self._revision = annotated.session.revision
        self.done, self.total = 0, len(self._work.due)
        self._request: Request | None = None
        self._over = False

    def start(self, service: ModelService, opened: OpenedVolume, policy: RegionPolicy, learned: LearnedModel | None = None) -> None:
        """Ask the model. `onEnd` may be called before this returns.

        Args:
            learned: what was learned of the object; the slices are those that it proposes best then.
        """
        self._service = service
        told = {"onSlice": self._arrived, "onDone": self._ended, "onFailed": self._ended}
        if learned is None:
            self._request = service.propagate(opened, self._work, policy, **told)
        else:
            self._request = service.proposeSlices(opened, self._work, policy, learned=learned, **told)

    def abandon(self) -> None:
        """Stop without a word: another run follows, or nobody is there to listen."""
        self._over = True
        if self._request is not None:
            self._service.cancel(self._request)

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._request is not None and self._request.cancelled

    @property
    def outdated(self) -> bool:
        """Whether the object was changed so that what is being computed does not fit it any more."""
        return self.annotated.session.revision != self._revision

    def _arrived(self, result: SliceResult, done: int, total: int) -> None:
        if not self._over and self.annotated.exists and not self.outdated:
            self.done, self.total = done, total
            self._onSlice(result)

    def _ended(self, error: SAM2AnnotateError | None = None) -> None:
        if not self._over:
            self._over = True
            self._onEnd(self, error)


def dueSlices(annotated: AnnotatedSegment, changed: int | None = None) -> int:
    """How many slices a run would compute, besides those that have a prompt of their own."""
    return len(annotated.session.due_work(changed).due - annotated.session.prompts.keys())
