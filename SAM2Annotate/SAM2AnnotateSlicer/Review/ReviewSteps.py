"""ReviewSteps: accept, correct, empty, undo, what to look at next, and how far it is. Imports ComputeSteps and the library's review."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from SAM2AnnotateLib.errors import PromptError
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.review.doubt import Doubt
from SAM2AnnotateLib.review.doubts import expected_above, next_doubtful, session_doubts
from SAM2AnnotateLib.review.signals import ShapeMemory

from .AnnotatedSegment import AnnotatedSegment
from .ComputeSteps import ComputeSteps

GOOD_DSC = 0.9  # slices that are expected to reach it may be accepted together


class ReviewSteps(ComputeSteps):
    """Takes decisions, each of them one step of undo, kept at once."""

    _doubts: tuple[tuple, dict[int, Doubt]] | None = None
    _shapes = ShapeMemory()

    def accept(self, position: int) -> None:
        """Lock a slice as it is."""
        annotated = self._requireObject()
        if annotated.session.status(position) is SliceStatus.STALE:
            raise PromptError(f"Slice {self._shown(position)} is about to be computed again. Wait for it, or correct it.")
        annotated.remember("accept")
        annotated.session.accept(position)
        self._decided("accept", slices=1)

    def acceptUpTo(self, position: int) -> int:
        """Lock all proposed slices from the center slice to this one, both included; returns how many."""
        annotated = self._requireObject()
        session = annotated.session
        low, high = sorted((annotated.center, position))
        proposed = [p for p in range(low, high + 1) if p in session.extent and session.status(p) is SliceStatus.PROPOSED]
        if not proposed:
            raise PromptError("Between the center slice and this one there is no proposed slice that could be accepted.")
        annotated.remember(f"accept {len(proposed)} slices")
        for one in proposed:
            session.accept(one)
        self._decided("accept", slices=len(proposed))
        return len(proposed)

    def correct(self, position: int, mask: np.ndarray) -> None:
        """Lock a slice with a person's mask (rows, cols), and compute its neighbors anew up to the next known slices."""
        annotated = self._requireObject()
        annotated.session.status(position)  # raises outside the extent
        blocked = self._blocked(annotated, position)
        if blocked is not None:
            mask = mask & ~blocked
        annotated.remember("correct" if mask.any() else "no object here")
        annotated.session.correct(position, mask)
        annotated.show([position])
        self._decided("correct" if mask.any() else "empty", slices=1)
        self._carryOn(position)

    def noObjectHere(self, position: int) -> None:
        """Lock a slice as empty."""
        self.correct(position, np.zeros(self._requireObject().stack.frame_shape_rc, dtype=bool))

    def unlock(self, position: int) -> None:
        """Make a locked slice a proposal again."""
        annotated = self._requireObject()
        if position not in annotated.session.locked:
            raise PromptError(f"Slice {self._shown(position)} is neither accepted nor corrected.")
        annotated.remember("unlock")
        annotated.session.unlock(position)
        annotated.show([position])
        self._outdateRun()
        self._decided("unlock")

    def beginCorrection(self, position: int):
        """Open a slice in the editor; returns the segmentation node to edit in."""
        annotated = self._requireObject()
        annotated.effort.note("edit")
        node = self.editor.begin(annotated, position)
        self.changed.emit()
        return node

    def finishCorrection(self) -> None:
        """Take what was drawn as the correction."""
        position, mask = self.editor.position, self.editor.mask()
        self.correct(position, mask)  # may refuse: then the drawing stays open
        self.editor.leave()
        self.changed.emit()

    def leaveCorrection(self) -> None:
        """Throw away what was drawn."""
        self.editor.leave()
        self.changed.emit()

    def noticeEdits(self) -> list[int]:
        """Take over edits that were made in the Segment Editor elsewhere; returns their positions."""
        edited = self._noticeEditsQuietly()
        if edited:
            self._carryOn(edited[0] if len(edited) == 1 else None)
        return edited

    def _carryOn(self, changed: int | None) -> None:
        """Let a correction reach the slices beside it, unless nothing has been propagated yet."""
        session = self._requireObject().session
        if any(position not in session.prompts for position in session.results):
            self._propagate(changed)

    def _noticeEditsQuietly(self) -> list[int]:
        annotated = self.current
        if annotated is None or annotated.writing or not annotated.exists:
            return []
        edited = annotated.noticeEdits()
        if edited:
            slices = ", ".join(str(self._shown(position)) for position in edited[:5]) + (" ..." if len(edited) > 5 else "")
            self._say(f"Edited by hand, so corrected now: slice {slices}.")
            self._decided("correct", len(edited))
        return edited

    def undo(self) -> str:
        """Take back the last step on the current object; returns what it was."""
        return self._step(AnnotatedSegment.undo)

    def redo(self) -> str:
        """Do again what was taken back last."""
        return self._step(AnnotatedSegment.redo)

    def _step(self, step: Callable[[AnnotatedSegment], str]) -> str:
        annotated = self._requireObject()
        if self.editor.active:
            raise PromptError("A slice is being corrected. Finish it (Enter) or leave it (Escape) first.")
        self._abandonRun()
        label = step(annotated)
        if label:
            annotated.effort.note("undo")
            self._placeNodes()
            self._store()
        self.changed.emit()
        return label

    def doubts(self) -> dict[int, Doubt]:
        """The doubt about each proposed slice of the current object, by position."""
        if self.current is None:
            return {}
        session = self.current.session
        key = (session, session.version)
        if self._doubts is None or self._doubts[0][0] is not session:
            self._shapes = ShapeMemory()
        if self._doubts is None or self._doubts[0] != key:
            found = session_doubts(session, self.current.stack, self._shapes)
            self._doubts = (key, _withProposers(found, self.current.proposedDoubts))
        return self._doubts[1]

    def expectedGood(self) -> list[int]:
        """Positions of the slices that are expected to be good, which the panel offers to accept together; none while slices are due."""
        return [] if self.running or self.current is None else expected_above(self.doubts(), GOOD_DSC)

    def acceptTogether(self) -> int:
        """Lock the slices that are expected to be good as they are, in one step of undo; returns how many."""
        annotated, good = self._requireObject(), self.expectedGood()
        if not good:
            raise PromptError(f"No slice is expected to reach a DSC of {GOOD_DSC:g}. Look at each.")
        annotated.remember(f"accept {len(good)} slices together")
        for position in good:
            annotated.session.accept(position)
        self._decided("accept")
        return len(good)

    def nextDoubtful(self, position: int | None) -> int | None:
        """Position of the slice to look at next; None if nothing is in doubt."""
        return next_doubtful(self.doubts(), position)

    def openSlices(self) -> list[int]:
        """Positions of the slices that have a mask and wait for a decision, ascending."""
        if self.current is None:
            return []
        session = self.current.session
        waiting = (SliceStatus.PROPOSED, SliceStatus.STALE)
        return [position for position in session.extent.indices if session.status(position) in waiting]

    def minutesLeft(self) -> float | None:
        """Minutes of review that are left, by the time that the latest decisions took; None before there were five of them."""
        annotated = self.current
        each = None if annotated is None else annotated.effort.secondsPerSlice
        return None if each is None else each * (len(annotated.session.extent) - len(annotated.session.locked)) / 60

    def summary(self) -> str:
        """One line on the current object: what was accepted, corrected, emptied, how many actions and minutes.

        It is also there while volume and segmentation are moved against each other. Raises PromptError if there is no object.
        """
        annotated = self.current
        if annotated is None or not annotated.exists:
            annotated = self._requireObject()  # which says what is missing
        counts = annotated.counts()
        emptied = sum(annotated.isEmptied(position) for position in annotated.session.extent.indices)
        minutes = annotated.effort.seconds / 60
        left = len(annotated.session.extent) - counts[SliceStatus.ACCEPTED] - counts[SliceStatus.CORRECTED]
        return (
            f"{annotated.name}: {len(annotated.session.extent)} slices; {counts[SliceStatus.ACCEPTED]} accepted, "
            f"{counts[SliceStatus.CORRECTED] - emptied} corrected, {emptied} emptied, {left} not reviewed; "
            f"{annotated.effort.actions} actions, {minutes:.1f} minutes."
        )


def _withProposers(doubts: dict[int, Doubt], proposed: dict[int, float]) -> dict[int, Doubt]:
    """Doubts that are at least those of who proposed the slices; of what is in doubt there, no DSC is expected."""
    found = dict(doubts)
    for position, value in proposed.items():
        doubt = found.get(position)
        if doubt is not None and value > doubt.value:
            found[position] = Doubt(value, "it is little like the prototypes", None if value > 1 - GOOD_DSC else doubt.expected)
    return found
