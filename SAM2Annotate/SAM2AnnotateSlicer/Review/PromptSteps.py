"""PromptSteps: box, extent and points of the current object, from what a person does to their nodes. Imports ComputeSteps, PromptNodes."""

from __future__ import annotations

from SAM2AnnotateLib.errors import PromptError, SAM2AnnotateError
from SAM2AnnotateLib.geometry import Extent
from SAM2AnnotateLib.prompts import SlicePrompt

from .ComputeSteps import ComputeSteps
from .PromptNodes import pointPrompts, roiBoxAndExtent


class PromptSteps(ComputeSteps):
    """Takes prompts over."""

    def syncFromRoi(self, continues: bool = False) -> bool:
        """Take over what a person did to the ROI; an ROI that cannot be taken is put back.

        Args:
            continues: whether the drag goes on that was taken over last: then this is no step of undo of its own.

        Returns:
            Whether anything changed.

        Raises:
            PromptError: if it cannot be taken, e.g. because a locked slice would be left out.
        """
        annotated, roiNode = self.current, self.parameters.roi
        if annotated is None or roiNode is None or self._placing:
            return False
        self._refuseWhileCorrecting()
        try:
            return self._setBoxAndExtent(*roiBoxAndExtent(annotated, roiNode), continues)
        except SAM2AnnotateError:
            self._placeNodes()
            raise

    def setExtentEnd(self, position: int, last: bool) -> None:
        """Make a slice an end of the current object: the end on its side of the center slice, whichever way a person scrolls.

        Args:
            position: of the slice.
            last: on the center slice itself, whether it is the upper end, by position.
        """
        annotated = self._requireObject()
        extent = annotated.session.extent
        isUpper = last if position == annotated.center else position > annotated.center
        self.setExtent(Extent(extent.first, position) if isUpper else Extent(position, extent.last))

    def setExtent(self, extent: Extent) -> None:
        """Move both ends of the current object."""
        annotated = self._requireObject()
        prompt = annotated.session.prompts.get(annotated.center)
        self._setBoxAndExtent(prompt.box if prompt is not None else None, extent)
        self._placeNodes()

    def syncPoints(self, continues: bool = False) -> bool:
        """Take over the points that a person placed, moved or removed. Points outside the object's extent are left out, and told.

        Args:
            continues: whether the drag goes on that was taken over last: then this is no step of undo of its own.

        Returns:
            Whether anything changed.

        Raises:
            PromptError: if they prompt a locked slice; the points are put back.
        """
        annotated = self.current
        if annotated is None or self._placing:
            return False
        self._refuseWhileCorrecting()
        wanted, leftOut = pointPrompts(annotated, self.parameters.positivePoints, self.parameters.negativePoints)
        session, before = annotated.session, annotated.session.prompts
        changed = sorted(position for position in {*wanted, *before} if wanted.get(position) != before.get(position))
        locked = sorted(set(changed) & session.locked)
        if locked:
            self._placeNodes()
            raise PromptError(f"Slice {self._shown(locked[0])} is accepted or corrected. Unlock it (U) to add points.")
        if changed:
            if not continues:
                annotated.remember("points")
                annotated.effort.note("point")
            for position in changed:
                if position in wanted:
                    session.set_prompt(position, wanted[position])
            for position in changed:
                if position not in wanted:
                    session.remove_prompt(position)
            self._outdateRun()
            self._store()
            self.preview(changed[0] if changed[0] in wanted else annotated.center)
        for text in leftOut:
            self._say(text)
        self.changed.emit()
        return bool(changed)

    def _setBoxAndExtent(self, box, extent: Extent, continues: bool = False) -> bool:
        annotated = self._requireObject()
        session = annotated.session
        prompt = session.prompts.get(annotated.center)
        newPrompt = None if box is None or prompt is None else SlicePrompt(box=box, points=prompt.points)
        promptChanges = newPrompt is not None and newPrompt != prompt
        if not promptChanges and extent == session.extent:
            return False
        if promptChanges and annotated.center in session.locked:
            raise PromptError(f"Slice {self._shown(annotated.center)} is accepted or corrected. Unlock it (U) to change its box.")
        label = "" if continues else "box" if promptChanges else "first and last slice"
        if extent != session.extent:
            annotated.setExtent(extent, label)
        elif label:
            annotated.remember(label)
        if label:
            annotated.effort.note("box" if promptChanges else "extent")
        if promptChanges:
            session.set_prompt(annotated.center, newPrompt)
        self._outdateRun()
        self._store()
        self.changed.emit()
        if promptChanges:
            self.preview()
        return True

    def _refuseWhileCorrecting(self) -> None:
        """Box and points are put back while a slice is open in the editor, or its drawing could fall out of the extent."""
        if self.editor.active:
            self._placeNodes()
            raise PromptError("A slice is being corrected. Finish it (Enter) or leave it (Escape) before you change box or points.")
