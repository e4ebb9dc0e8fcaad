"""What a test does with slice views: look at their pixels, move the mouse in them, click, and photograph the window. Imports slice_views.

A module's own test may use these where it runs on the test host; they are no part of Slicer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
from PySide6.QtWidgets import QWidget

from .. import pythonqt
from .slice_views import SliceWidget, save_png


def pixels(view_name: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """The view as drawn now: (rows, columns, 3) uint8, row 0 on top; size is (width, height)."""
    return _widget(view_name).sliceView().draw(size)


def render_to_png(view_name: str, path: str | Path, size: tuple[int, int] = (500, 500)) -> None:
    """Draw the view into a PNG file."""
    save_png(pixels(view_name, size), Path(path))


def pixel_of(view_name: str, ras: tuple[float, float, float]) -> tuple[int, int]:
    """Where a world point (mm) is in `pixels(view_name)`: (row, column)."""
    x, y = _display_position(view_name, ras)
    return _widget(view_name).mrmlSliceNode().GetDimensions()[1] - 1 - y, x


def move_mouse(view_name: str, ras: tuple[float, float, float]) -> None:
    """Move the mouse to the point of the view that is nearest to a world point (mm): along the slice's normal."""
    x, y = _display_position(view_name, ras)
    for name in slicer.app.layoutManager().sliceViewNames():
        if name != view_name:
            _send(name, None, "LeaveEvent")
    _send(view_name, (x, y), "EnterEvent")
    _send(view_name, (x, y), "MouseMoveEvent")


def leave_views() -> None:
    """Move the mouse out of every slice view."""
    for name in slicer.app.layoutManager().sliceViewNames():
        _send(name, None, "LeaveEvent")


def click(view_name: str, ras: tuple[float, float, float]) -> None:
    """Click with the left button at the point of the view that is nearest to a world point (mm)."""
    move_mouse(view_name, ras)
    at = _display_position(view_name, ras)
    _send(view_name, at, "LeftButtonPressEvent")
    _send(view_name, at, "LeftButtonReleaseEvent")


def drag(view_name: str, from_ras: tuple[float, float, float], to_ras: tuple[float, float, float], steps: int = 5) -> None:
    """Press the left button at one world point (mm), move in equal steps, release at another."""
    move_mouse(view_name, from_ras)
    start = np.array(_display_position(view_name, from_ras))
    end = np.array(_display_position(view_name, to_ras))
    _send(view_name, tuple(start), "LeftButtonPressEvent")
    for step in range(1, steps + 1):
        _send(view_name, tuple(np.round(start + (end - start) * step / steps).astype(int)), "MouseMoveEvent")
    _send(view_name, tuple(end), "LeftButtonReleaseEvent")


def screenshot(widget, path: str | Path) -> None:
    """Save a picture of a widget, or of the main window if None, with the slice views drawn anew."""
    shown: QWidget = pythonqt.unwrap(widget if widget is not None else slicer.util.mainWindow())
    slicer.app.processEvents()
    for view in [shown, *shown.findChildren(QWidget)]:
        if isinstance(view, SliceWidget) and view.isVisible():
            view.sliceController().update_from_logic()
            view.sliceView().draw()
    if not shown.grab().save(str(path)):
        raise OSError(f"could not write the picture {path}")


def _widget(view_name: str) -> SliceWidget:
    widget = pythonqt.unwrap(slicer.app.layoutManager().sliceWidget(view_name))
    if widget is None:
        raise ValueError(f"no slice view is called {view_name!r}; there are {', '.join(slicer.app.layoutManager().sliceViewNames())}")
    return widget


def _display_position(view_name: str, ras: tuple[float, float, float]) -> tuple[int, int]:
    """VTK's display position of a world point in a view: (x, y) in pixels, y up."""
    view = _widget(view_name).sliceView()
    x, y, _ = view.convertRASToXYZ(ras)
    width, height = view.mrmlSliceNode().GetDimensions()[:2]
    if not (-0.5 <= x < width and -0.5 <= y < height):
        raise ValueError(f"the point {tuple(ras)} is outside what {view_name} shows ({x:.0f}, {y:.0f} of {width} x {height} pixels)")
    return min(max(round(x), 0), width - 1), min(max(round(y), 0), height - 1)


def _send(view_name: str, at: tuple[int, int] | None, event: str) -> None:
    view = _widget(view_name).sliceView()
    interactor = view.interactor()
    view.renderWindow().SetSize(*view.mrmlSliceNode().GetDimensions()[:2])
    if at is not None:
        interactor.SetEventInformation(int(at[0]), int(at[1]), 0, 0, chr(0), 0, None)
    interactor.InvokeEvent(event)
