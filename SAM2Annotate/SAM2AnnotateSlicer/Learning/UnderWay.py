"""UnderWay: one request of the model's process: running, stopping, how far; can be cancelled. Imports ModelService and Logic."""

from __future__ import annotations

import time
from collections.abc import Callable

from SAM2AnnotateLib.progress import Progress

from ..Event import Event
from ..Model.ModelService import Request
from ..Review.Logic import AnnotationLogic


class UnderWay:
    """What does one thing at a time in the model's process, and is asked how far it is.

    Args:
        logic: the steps of the work.
        clock: seconds of a clock that never goes back.

    Attributes:
        progressed: () told when it went on a little.
    """

    def __init__(self, logic: AnnotationLogic, clock: Callable[[], float] = time.monotonic):
        self._logic, self._clock = logic, clock
        self.progressed = Event()
        self._request: Request | None = None
        self._progress: Progress | None = None
        self._begun = 0.0

    @property
    def running(self) -> bool:
        """Whether it is under way."""
        return self._request is not None

    @property
    def stopping(self) -> bool:
        """Whether that was cancelled, and the model has not stopped yet."""
        return self._request is not None and self._request.cancelled

    @property
    def share(self) -> float:
        """How much of it is done, 0..1."""
        progress = self._progress
        return 0.0 if progress is None or not progress.total else min(1.0, progress.done / progress.total)

    @property
    def secondsLeft(self) -> float | None:
        """How long it will still take; None before anybody can know."""
        share = self.share
        return None if share <= 0 else (self._clock() - self._begun) * (1 - share) / share

    def cancel(self) -> None:
        """Stop it; nothing is changed then."""
        if self._request is not None:
            self._logic.service.cancel(self._request)
            self._logic.changed.emit()

    def _onProgress(self, progress: Progress) -> None:
        self._progress = progress
        self.progressed.emit()
