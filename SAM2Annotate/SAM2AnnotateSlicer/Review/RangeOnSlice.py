"""RangeOnSlice: what lies in a range of gray values on the slice that is corrected, near the box. Imports slicer and CorrectionEditor.

The Segment Editor's own Threshold takes all of the slice, and flashes in every view what will not be changed at all. Here the preview is
what will be filled: a segment of its own on this one slice, in a node that is not saved.
"""

from __future__ import annotations

import numpy as np
import slicer

from SAM2AnnotateLib.errors import PromptError

from ..Scene.SegmentLabelmap import SegmentLabelmap
from .CorrectionEditor import CorrectionEditor, limitToSlice

_PREVIEW_ID, _PREVIEW_OPACITY = "InRange", 0.6
_PREVIEW_RGBS = ((0.1, 0.85, 1.0), (1.0, 0.3, 0.9))  # the one that is less like the object's color is taken
_MARGIN_SHARE, _MARGIN_PIXELS = 0.15, 4  # around the box, of its longer side, and at least
_SUGGESTED_PERCENTILES = (5, 95)  # of the gray values that are marked


class RangeOnSlice:
    """Shows and fills a range of gray values.

    Args:
        scene: where the preview's node is made.
        editor: holds the slice that is open.
    """

    def __init__(self, scene, editor: CorrectionEditor):
        self._scene, self._editor = scene, editor
        self._node = None

    def limits(self) -> tuple[float, float]:
        """Least and greatest gray value of the slice."""
        values = self._values()
        return float(values.min()), float(values.max())

    def suggested(self) -> tuple[float, float]:
        """The range of what is marked on the slice now, without its tails; of the box if nothing is marked."""
        marked = self._editor.mask()
        values = self._values()[marked if marked.any() else self._nearBox(margin=False)]
        low, high = np.percentile(values, _SUGGESTED_PERCENTILES)
        return float(low), float(high)

    def inRange(self, low: float, high: float, nearBox: bool) -> np.ndarray:
        """(rows, cols) bool mask of what lies within [low, high].

        Args:
            nearBox: only inside the object's box and a margin around it, whatever is marked now.
        """
        values = self._values()
        found = (values >= low) & (values <= high)
        return found & self._nearBox() if nearBox else found

    def show(self, mask: np.ndarray) -> None:
        """Show a (rows, cols) mask of the slice in the views, on this slice only."""
        annotated, index = self._opened()
        if self._node is None or self._node.GetScene() is not self._scene:
            self._node = self._makeNode(annotated, index)
        labelmap = SegmentLabelmap(self._node, _PREVIEW_ID, annotated.volumeNode, annotated.axis)
        labelmap.fillSlab(index, annotated.stack.slice_from_frame(mask))

    def hide(self) -> None:
        """Take the preview away. Does nothing if there is none."""
        node, self._node = self._node, None
        if node is not None and node.GetScene() is self._scene:
            self._scene.RemoveNode(node)

    def requireSome(self, low: float, high: float, nearBox: bool) -> np.ndarray:
        """As `inRange`.

        Raises:
            PromptError: if no pixel lies in the range.
        """
        found = self.inRange(low, high, nearBox)
        if not found.any():
            where = "near the box of this slice" if nearBox else "of this slice"
            raise PromptError(f"No pixel {where} lies between {low:g} and {high:g}. Move the ends of the range.")
        return found

    def fill(self, low: float, high: float, nearBox: bool) -> None:
        """Make the drawing what lies in the range. Raises PromptError if nothing does."""
        self._editor.draw(self.requireSome(low, high, nearBox))

    def _opened(self):
        annotated = self._editor.annotated
        if annotated is None:
            raise PromptError("No slice is being corrected.")
        return annotated, annotated.stack.index_of(self._editor.position)

    def _values(self) -> np.ndarray:
        annotated, _index = self._opened()
        return annotated.stack.frame(slicer.util.arrayFromVolume(annotated.volumeNode), self._editor.position)

    def _nearBox(self, margin: bool = True) -> np.ndarray:
        annotated, _index = self._opened()
        shape = annotated.stack.frame_shape_rc
        prompt = annotated.session.prompts.get(annotated.center)
        box = prompt.bounding_box() if prompt is not None else None
        near = np.zeros(shape, dtype=bool)
        if box is None:
            near[:] = True
            return near
        wider = max(_MARGIN_PIXELS, round(_MARGIN_SHARE * max(box.shape_rc))) if margin else 0
        rows, cols = box.slices_rc
        near[max(rows.start - wider, 0) : rows.stop + wider, max(cols.start - wider, 0) : cols.stop + wider] = True
        return near

    def _makeNode(self, annotated, index: int):
        node = slicer.vtkMRMLSegmentationNode()
        node.SetName("Gray values in range")
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)  # before it is added, or selectors would choose it
        self._scene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        node.SetAndObserveTransformNodeID(annotated.volumeNode.GetTransformNodeID())
        limitToSlice(node, annotated.volumeNode, annotated.axis, index)
        segment = slicer.vtkSegment()
        segment.SetName("In range")
        own = annotated.labelmap.segment.GetColor()
        segment.SetColor(*max(_PREVIEW_RGBS, key=lambda rgb: sum((one - other) ** 2 for one, other in zip(rgb, own, strict=True))))
        node.GetSegmentation().AddSegment(segment, _PREVIEW_ID)
        node.GetDisplayNode().SetSaveWithScene(False)
        node.GetDisplayNode().SetOpacity2DFill(_PREVIEW_OPACITY)
        return node
