"""RubberBand: a rectangle drawn over a slice view while the mouse is dragged. Imports vtk only."""

from __future__ import annotations

import vtk

_COLOR = (1.0, 0.85, 0.1)  # as the ROI that the box becomes
_WIDTH_PIXELS = 2.0


class RubberBand:
    """A rectangle in a slice view, there from construction until `remove`.

    Args:
        view: the slice view (qMRMLSliceView) to draw over.
    """

    def __init__(self, view):
        self._view = view
        self._points = vtk.vtkPoints()
        self._points.SetNumberOfPoints(4)
        outline = vtk.vtkCellArray()
        outline.InsertNextCell(5)
        for corner in (0, 1, 2, 3, 0):
            outline.InsertCellPoint(corner)
        self._polyData = vtk.vtkPolyData()
        self._polyData.SetPoints(self._points)
        self._polyData.SetLines(outline)
        mapper = vtk.vtkPolyDataMapper2D()  # without a transform its points are pixels of the view
        mapper.SetInputData(self._polyData)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(mapper)
        self._actor.GetProperty().SetColor(*_COLOR)
        self._actor.GetProperty().SetLineWidth(_WIDTH_PIXELS)
        self._actor.VisibilityOff()
        self._renderer = view.renderWindow().GetRenderers().GetItemAsObject(0)
        self._renderer.AddViewProp(self._actor)

    def show(self, startXy, endXy) -> None:
        """Draw it between two opposite corners, (x, y) in pixels of the view, y up."""
        (x0, y0), (x1, y1) = startXy, endXy
        for corner, (x, y) in enumerate(((x0, y0), (x1, y0), (x1, y1), (x0, y1))):
            self._points.SetPoint(corner, x, y, 0.0)
        self._points.Modified()
        self._actor.VisibilityOn()
        self._view.scheduleRender()

    def remove(self) -> None:
        """Take it out of the view."""
        self._renderer.RemoveViewProp(self._actor)
        self._view.scheduleRender()
