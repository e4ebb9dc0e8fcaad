"""MaskDisplay: how masks are drawn in the slice views: shown or hidden, filled or as outlines, how strong. Imports qt and slicer.

All of it is kept in Slicer's own display node, so that the Segmentations module and the slice views' controllers show the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import qt
import slicer

from ..Review.AnnotatedSegment import AnnotatedSegment, tagOf
from ..Scene.OneRendering import oneRendering

_OPACITY_STEP = 0.1
_RETURNS_MILLISECONDS = (0, 100, 400)


def isShown(annotated: AnnotatedSegment) -> bool:
    """Whether the views draw an object's mask."""
    display = annotated.segmentationNode.GetDisplayNode()
    return display is not None and bool(display.GetVisibility()) and bool(display.GetSegmentVisibility(annotated.segmentId))


def isOutlined(annotated: AnnotatedSegment) -> bool:
    """Whether masks are drawn as outlines only."""
    display = annotated.segmentationNode.GetDisplayNode()
    return display is not None and not display.GetVisibility2DFill()


def setShown(segmentationNode, segmentId: str, shown: bool) -> None:
    """Show a segment, and with it its segmentation; or hide the segmentation."""
    with _display(segmentationNode) as display:
        display.SetVisibility(shown)
        if shown:
            display.SetSegmentVisibility(segmentId, True)


def setOutlined(annotated: AnnotatedSegment, outlined: bool) -> None:
    """Draw masks as outlines only, or filled."""
    with _display(annotated.segmentationNode) as display:
        display.SetVisibility2DFill(not outlined)
        display.SetVisibility2DOutline(True)


def changeOpacity(annotated: AnnotatedSegment, steps: int) -> float:
    """Fill masks more strongly by that many steps, or more faintly; returns the opacity, 0..1."""
    with _display(annotated.segmentationNode) as display:
        opacity = min(1.0, max(0.0, round(display.GetOpacity2DFill() + steps * _OPACITY_STEP, 2)))
        display.SetOpacity2DFill(opacity)
    return opacity


@contextmanager
def _display(segmentationNode) -> Iterator:
    """The display node, made if there is none; it tells of all changes together."""
    if segmentationNode.GetDisplayNode() is None:
        segmentationNode.CreateDefaultDisplayNodes()
    display = segmentationNode.GetDisplayNode()
    modifying = display.StartModify()
    try:
        yield display
    finally:
        display.EndModify(modifying)


class Revealer:
    """Shows segments after their nodes came into the scene, or another segmentation left it.

    The controllers of Slicer's slice views hide all segments of a segmentation that their selector goes over to, some time after the scene
    said that it is complete. So it is looked a few times, for half a second, whether they did.

    Args:
        isOpen: whether a segment is being corrected, which is hidden for a reason.
    """

    def __init__(self, isOpen: Callable):
        self._isOpen = isOpen
        self._targets: list[tuple] = []  # (node, segment ids; None for all that are annotated)
        self._waits: list[int] = []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._look)

    def begin(self, targets: Iterable[tuple]) -> None:
        """Show segments now, and look after them for half a second.

        Args:
            targets: (segmentation node, ids of its segments; None for all that are annotated).
        """
        self._targets += targets
        if self._targets:
            self._waits = list(_RETURNS_MILLISECONDS)
            self._look()

    def stop(self) -> None:
        """Look after none any more."""
        self._timer.stop()
        self._targets, self._waits = [], []

    def _look(self) -> None:
        self._targets = [target for target in self._targets if target[0].GetScene() is not None]
        with oneRendering():  # each segment that is shown has the views drawn
            for node, wanted in self._targets:
                for segmentId in node.GetSegmentation().GetSegmentIDs():
                    chosen = tagOf(node, segmentId) if wanted is None else segmentId in wanted
                    if chosen and not self._isOpen(node, segmentId):
                        _reveal(node, segmentId)
        if self._waits and self._targets:
            self._timer.setInterval(self._waits.pop(0))
            self._timer.start()
        else:
            self.stop()


def _reveal(node, segmentId: str) -> None:
    display = node.GetDisplayNode()
    if display is None or not display.GetVisibility() or not display.GetSegmentVisibility(segmentId):
        setShown(node, segmentId, True)


def segmentations() -> list:
    """All segmentation nodes of the scene."""
    return slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def shownSegments(node) -> list[str]:
    """Ids of the segments of a segmentation that the views draw."""
    display = node.GetDisplayNode()
    if display is None or not display.GetVisibility():
        return []
    return [segmentId for segmentId in node.GetSegmentation().GetSegmentIDs() if display.GetSegmentVisibility(segmentId)]
