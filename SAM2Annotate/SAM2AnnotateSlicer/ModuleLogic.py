"""ModuleLogic: what `slicer.util.getModuleLogic("SAM2Annotate")` gives: the panel's steps, and the door for scripts. Imports Console."""

from __future__ import annotations

from .Console import ConsoleReview, theConsole
from .Review.Logic import AnnotationLogic


class ModuleLogic(AnnotationLogic):
    """The logic that a panel works with; see `AnnotationLogic`, and `Console` for what is added to it."""

    def annotate(self, volumeNode, box, firstSlice=None, lastSlice=None, segmentationNode=None, segmentId=None, **options) -> ConsoleReview:
        """Carry one box through the slices of an object; see `Console.annotate` for arguments and errors."""
        return theConsole().annotate(volumeNode, box, firstSlice, lastSlice, segmentationNode, segmentId, **options)

    def review(self, segmentationNode, segmentId: str, **options) -> ConsoleReview:
        """Go on with a segment that was annotated before; see `Console.review`."""
        return theConsole().review(segmentationNode, segmentId, **options)

    def propose(self, volumeNode, prototype: str, library=None, segmentationNode=None, **options) -> ConsoleReview | None:
        """Look for an object that was kept as a prototype; see `Console.propose`."""
        return theConsole().propose(volumeNode, prototype, library, segmentationNode, **options)
