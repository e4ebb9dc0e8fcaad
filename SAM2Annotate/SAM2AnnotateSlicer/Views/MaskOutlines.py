"""MaskOutlines: the outline of the object's mask in the slice views, in the color of the slice's status. Imports slicer, vtk, StatusColors.

It lies on the borders of the mask's pixels, over Slicer's own picture of the segment. While a view is dragged or zoomed it moves along at
once; when a view goes to another slice it is gone until that slice's own outline is there.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

from SAM2AnnotateLib.errors import SAM2AnnotateError

from ..Review.AnnotatedSegment import AnnotatedSegment
from ..Scene.SceneBridge import ijkToWorld, sliceIndex
from .StatusColors import StatusLook

_WIDTH_PIXELS = 3.0


class MaskOutlines:
    """One outline a slice view; `show` draws, `remove` leaves every view as it was."""

    def __init__(self) -> None:
        self._outlines: dict[str, _Outline] = {}

    def show(self, annotated: AnnotatedSegment | None, shown: dict[str, tuple[int, StatusLook]]) -> None:
        """Draw outlines in these views, and in no others.

        Args:
            annotated: the object; may be None if there is nothing to show.
            shown: by the view's layout name (``Red``): the slice's position, and how its status looks.
        """
        layoutManager = slicer.app.layoutManager()
        if layoutManager is None:
            return
        for name in [name for name in self._outlines if name not in shown]:
            self._outlines.pop(name).remove()
        for name, (position, look) in shown.items():
            sliceWidget = layoutManager.sliceWidget(name)
            if sliceWidget is None:
                continue
            if name not in self._outlines:
                self._outlines[name] = _Outline(sliceWidget.sliceView())
            self._outlines[name].set(annotated, position, look)

    def viewMoved(self) -> None:
        """A slice view changed: move its outline along, or hide it if the view shows another slice. Quick."""
        for outline in self._outlines.values():
            outline.follow()

    def remove(self) -> None:
        """Take all outlines out of their views."""
        while self._outlines:
            self._outlines.popitem()[1].remove()


class _Outline:
    """The outline in one slice view."""

    def __init__(self, view):
        self._view = view
        self._annotated: AnnotatedSegment | None = None
        self._mask: np.ndarray | None = None
        self._index: int | None = None  # along the object's axis
        self._placed: np.ndarray | None = None
        self._look: StatusLook | None = None
        self._lines = vtk.vtkPolyData()
        self._rasToXy = vtk.vtkTransform()
        toXy = vtk.vtkTransformPolyDataFilter()
        toXy.SetInputData(self._lines)
        toXy.SetTransform(self._rasToXy)
        mapper = vtk.vtkPolyDataMapper2D()  # without a transform of its own its points are pixels of the view
        mapper.SetInputConnection(toXy.GetOutputPort())
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(mapper)
        self._actor.GetProperty().SetLineWidth(_WIDTH_PIXELS)
        self._actor.VisibilityOff()
        self._renderer = view.renderWindow().GetRenderers().GetItemAsObject(0)
        self._renderer.AddViewProp(self._actor)

    def set(self, annotated: AnnotatedSegment, position: int, look: StatusLook) -> None:
        """Show the mask of a slice; draws only if anything is another than before."""
        mask, index = annotated.session.mask(position), annotated.stack.index_of(position)
        placed = ijkToWorld(annotated.volumeNode)
        same = annotated is self._annotated and index == self._index and mask is self._mask and np.array_equal(placed, self._placed)
        if not same:
            self._annotated, self._index, self._mask, self._placed = annotated, index, mask, placed
            self._setLines(_borders(annotated, index, mask) if mask is not None else np.zeros((0, 3)), placed)
        visible = mask is not None and bool(mask.any())
        if same and look == self._look and bool(self._actor.GetVisibility()) == visible:
            return
        self._look = look
        self._actor.GetProperty().SetColor(*[channel / 255 for channel in look.rgb])
        self._actor.SetVisibility(visible)
        self._moveAlong()
        self._view.scheduleRender()

    def follow(self) -> None:
        """Move along with the view; hide from another slice than one's own."""
        if not self._actor.GetVisibility():
            return
        if self._isOnItsSlice():
            self._moveAlong()
        else:
            self._actor.VisibilityOff()

    def remove(self) -> None:
        """Take it out of the view."""
        self._renderer.RemoveViewProp(self._actor)
        self._view.scheduleRender()

    def _isOnItsSlice(self) -> bool:
        annotated = self._annotated
        try:
            return annotated.exists and sliceIndex(self._view.mrmlSliceNode(), annotated.volumeNode, annotated.axis) == self._index
        except SAM2AnnotateError:  # e.g. under a transform that the panel tells of elsewhere
            return False

    def _moveAlong(self) -> None:
        matrix = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self._view.mrmlSliceNode().GetXYToRAS(), matrix)
        self._rasToXy.SetMatrix(matrix)

    def _setLines(self, endsIjk: np.ndarray, placed: np.ndarray) -> None:
        """Take over (2 n, 3) ends of n lines, voxel indices; `placed` brings these to world RAS."""
        points = vtk.vtkPoints()
        world = np.stack([sum(endsIjk[:, n] * placed[row, n] for n in range(3)) + placed[row, 3] for row in range(3)], axis=1)
        points.SetData(numpy_to_vtk(world, deep=True))
        cells = vtk.vtkCellArray()
        cells.SetData(2, numpy_to_vtkIdTypeArray(np.arange(len(endsIjk), dtype=np.int64), deep=True))
        self._lines.SetPoints(points)
        self._lines.SetLines(cells)
        self._lines.Modified()


def _borders(annotated: AnnotatedSegment, index: int, mask: np.ndarray) -> np.ndarray:
    """(2 n, 3) voxel indices (i, j, k) of the ends of the borders between pixels of the mask and others; pixels' centers are whole."""
    plane = annotated.stack.slice_from_frame(mask)
    rows, columns = [axis for axis in (2, 1, 0) if "ijk"[axis] != annotated.axis]
    ends = []
    for axis, first in ((rows, True), (columns, False)):
        along = plane if first else plane.T
        edge = np.diff(along, axis=0, prepend=False, append=False)
        at, beside = np.nonzero(edge)
        lines = np.empty((len(at), 2, 3))
        lines[..., "ijk".index(annotated.axis)] = index
        lines[..., axis] = (at - 0.5)[:, None]
        other = columns if first else rows
        lines[:, 0, other], lines[:, 1, other] = beside - 0.5, beside + 0.5
        ends.append(lines.reshape(-1, 3))
    return np.concatenate(ends)
