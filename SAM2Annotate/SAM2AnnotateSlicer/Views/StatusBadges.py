"""StatusBadges: the status of the slice that a view shows, as a frame and a word in the view itself. Imports slicer, vtk, StatusColors.

A radiologist looks at the picture, not at the panel. The frame has the color of the strip's cell.
"""

from __future__ import annotations

import slicer
import vtk

from .StatusColors import StatusLook, nameOf

_FRAME_PIXELS = 4.0
_MARGIN = 0.004  # of the view, so that the frame's line lies inside it
_TEXT_POINTS = 14


class StatusBadges:
    """One badge a slice view; `show` draws, `remove` leaves every view as it was."""

    def __init__(self) -> None:
        self._badges: dict[str, _Badge] = {}

    def show(self, looks: dict[str, tuple[StatusLook, int]]) -> None:
        """Draw what these views show, and nothing in the others.

        Args:
            looks: by the view's layout name (``Red``): how the slice's status looks, and the slice's number.
        """
        layoutManager = slicer.app.layoutManager()
        if layoutManager is None:
            return
        for name in [name for name in self._badges if name not in looks]:
            self._badges.pop(name).remove()
        for name, (look, number) in looks.items():
            sliceWidget = layoutManager.sliceWidget(name)
            if sliceWidget is None:
                continue
            if name not in self._badges:
                self._badges[name] = _Badge(sliceWidget.sliceView())
            self._badges[name].set(look, number)

    def remove(self) -> None:
        """Take all badges out of their views."""
        while self._badges:
            self._badges.popitem()[1].remove()


class _Badge:
    """Frame and word in one slice view."""

    def __init__(self, view):
        self._view, self._shown = view, None
        low, high = _MARGIN, 1 - _MARGIN
        points = vtk.vtkPoints()
        for x, y in ((low, low), (high, low), (high, high), (low, high)):
            points.InsertNextPoint(x, y, 0.0)
        outline = vtk.vtkCellArray()
        outline.InsertNextCell(5)
        for corner in (0, 1, 2, 3, 0):
            outline.InsertCellPoint(corner)
        polyData = vtk.vtkPolyData()
        polyData.SetPoints(points)
        polyData.SetLines(outline)
        share = vtk.vtkCoordinate()
        share.SetCoordinateSystemToNormalizedViewport()
        mapper = vtk.vtkPolyDataMapper2D()
        mapper.SetInputData(polyData)
        mapper.SetTransformCoordinate(share)
        self._frame = vtk.vtkActor2D()
        self._frame.SetMapper(mapper)
        self._frame.GetProperty().SetLineWidth(_FRAME_PIXELS)
        self._text = vtk.vtkTextActor()
        self._text.GetTextProperty().SetFontSize(_TEXT_POINTS)
        self._text.GetTextProperty().SetShadow(True)
        self._text.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
        self._text.SetPosition(0.02, 0.02)
        self._renderer = view.renderWindow().GetRenderers().GetItemAsObject(0)
        for actor in (self._frame, self._text):
            self._renderer.AddViewProp(actor)

    def set(self, look: StatusLook, number: int) -> None:
        """Show a status; draws only if it is another than before."""
        if self._shown == (look, number):
            return
        self._shown = (look, number)
        color = [channel / 255 for channel in look.rgb]
        self._frame.GetProperty().SetColor(*color)
        self._text.GetTextProperty().SetColor(*[0.5 + channel / 2 for channel in color])  # lighter than the frame, to be read on black
        self._text.SetInput(f"{number}: {nameOf(look)}")
        self._view.scheduleRender()

    def remove(self) -> None:
        """Take it out of the view."""
        for actor in (self._frame, self._text):
            self._renderer.RemoveViewProp(actor)
        self._view.scheduleRender()
