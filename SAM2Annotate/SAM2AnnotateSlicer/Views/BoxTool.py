"""BoxTool: one drag of the mouse in a slice view becomes a box, and the view that the mouse is in is known. Imports qt and slicer.

While a box is being drawn the tool gets the mouse before anyone else and keeps it, so that the same drag does not change window and level,
move a markup or paint with the Segment Editor.
"""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _

from ..Event import Event
from .RubberBand import RubberBand

_PRIORITY = 100.0  # Slicer's interactor styles observe at 0, its Segment Editor effects at 1
_DRAG_PIXELS = 4  # less than this is a click
_CLICK_SHARE = 0.2  # side of a clicked box, of the smaller side of what the view shows
_FALLBACK_VIEW = "Red"
_LEFT_PRESSES = ("LeftButtonPressEvent", "LeftButtonDoubleClickEvent")
_RIGHT_PRESSES = ("RightButtonPressEvent", "RightButtonDoubleClickEvent")
_PRESSES = dict.fromkeys(_LEFT_PRESSES, "LeftButtonReleaseEvent") | dict.fromkeys(_RIGHT_PRESSES, "RightButtonReleaseEvent")
_EVENTS = (*_PRESSES, *sorted(set(_PRESSES.values())), "MouseMoveEvent", "KeyPressEvent")


class BoxTool:
    """Draws boxes in slice views.

    Between `install` and `remove` it observes every slice view of the layout. After `start`, the next press, drag and release of the left
    button gives a box; a click gives one of a fifth of the view around it. Escape and the right button cancel.

    Args:
        onBox: called with the slice node of the view and two opposite corners, each (r, a, s) in world RAS; `active` is False by then.
        onMessage: called with what the user should know.

    Attributes:
        activeChanged: emitted without arguments when `active` changes.
    """

    def __init__(self, onBox: Callable, onMessage: Callable[[str], None]):
        self.activeChanged = Event()
        self._onBox, self._onMessage = onBox, onMessage
        self._observed: dict[str, tuple] = {}  # name of the view -> (interactor, tags of observers by event)
        self._layoutManager = None  # whose signal is connected
        self._active = False
        self._lastViewName = _FALLBACK_VIEW
        self._dragViewName = ""  # of the view where the button is down
        self._startXy = (0, 0)
        self._band: RubberBand | None = None
        self._releasesToKeep: set[str] = set()  # which end presses that were ours, though the drawing may be over

    # -- life -----------------------------------------------------------------------------------------------------------------------

    def install(self) -> None:
        """Begin to observe the slice views, also those that a later layout brings. Without a layout manager nothing happens."""
        layoutManager = slicer.app.layoutManager()
        if self._layoutManager is not None or layoutManager is None:
            return
        self._layoutManager = layoutManager
        layoutManager.connect("layoutChanged(int)", self._onLayoutChanged)
        self._observeViews()

    def remove(self) -> None:
        """Cancel, and observe nothing any more."""
        self.cancel()
        if self._layoutManager is not None and slicer.app.layoutManager() is not None:  # none at Slicer's end, when ours is gone too
            self._layoutManager.disconnect("layoutChanged(int)", self._onLayoutChanged)
        self._layoutManager = None
        for name in list(self._observed):
            self._unobserve(name)
        self._releasesToKeep.clear()

    @property
    def active(self) -> bool:
        """Whether the next drag draws a box."""
        return self._active

    def start(self) -> None:
        """Let the next drag, or click, in any slice view draw a box. Without installed views nothing happens but a message."""
        if self._active:
            return
        if not self._observed:
            self._onMessage(_("There is no slice view to draw a box in."))
            return
        self._observeViews()
        interactionNode = slicer.app.applicationLogic().GetInteractionNode()
        if interactionNode.GetCurrentInteractionMode() == interactionNode.Place:
            interactionNode.SwitchToViewTransformMode()  # a point on its way to be placed would stay at the cursor
        for view in map(self._view, self._observed):
            view.setViewCursor(qt.QCursor(qt.Qt.CrossCursor))
        self._setActive(True)
        self._onMessage(_("Drag a box around the object on its center slice, in any slice view. Escape or the right button cancels."))

    def cancel(self) -> None:
        """Draw nothing after all."""
        self._dragViewName = ""
        self._removeBand()
        if self._active:
            layoutManager = slicer.app.layoutManager()
            names = layoutManager.sliceViewNames() if layoutManager is not None else ()
            for name in self._observed:
                if name in names:
                    self._view(name).unsetViewCursor()
            self._setActive(False)

    # -- views ----------------------------------------------------------------------------------------------------------------------

    def currentSliceNode(self):
        """The slice node of the view that the mouse was in last, if it is shown; else of Red, or another shown one. None without views."""
        layoutManager = slicer.app.layoutManager()
        if layoutManager is None:
            return slicer.mrmlScene.GetSingletonNode(_FALLBACK_VIEW, "vtkMRMLSliceNode")
        names = layoutManager.sliceViewNames()
        preferred = [name for name in (self._lastViewName, _FALLBACK_VIEW, *names) if name in names]
        shown = [name for name in preferred if layoutManager.sliceWidget(name).visible]
        return layoutManager.sliceWidget((shown or preferred)[0]).mrmlSliceNode() if preferred else None

    def _view(self, name: str):
        return slicer.app.layoutManager().sliceWidget(name).sliceView()

    def _observeViews(self) -> None:
        """Observe the views that there are now, and no others."""
        names = self._layoutManager.sliceViewNames()
        for name in [name for name in self._observed if name not in names]:
            self._unobserve(name)
        for name in names:
            interactor = self._view(name).interactor()
            if name in self._observed and self._observed[name][0] is interactor:
                continue
            self._unobserve(name)
            tags = {event: interactor.AddObserver(event, self._handler(name, event), _PRIORITY) for event in _EVENTS}
            self._observed[name] = (interactor, tags)

    def _unobserve(self, name: str) -> None:
        interactor, tags = self._observed.pop(name, (None, {}))
        for tag in tags.values():
            interactor.RemoveObserver(tag)

    def _handler(self, name: str, event: str) -> Callable:
        def handle(_caller, _event):
            self._onEvent(name, event)

        return handle

    def _onLayoutChanged(self, _layout) -> None:
        self.cancel()
        self._observeViews()

    # -- mouse ----------------------------------------------------------------------------------------------------------------------

    def _onEvent(self, name: str, event: str) -> None:
        if event == "MouseMoveEvent" and not self._dragViewName:
            self._lastViewName = name
        if event in _PRESSES:
            self._releasesToKeep.discard(_PRESSES[event])  # that release was missed, e.g. because its view went away
        if self._isOurs(name, event):
            self._keep(name, event)
            if self._active:
                self._act(name, event)
        self._releasesToKeep.discard(event)

    def _isOurs(self, name: str, event: str) -> bool:
        if event == "KeyPressEvent":  # other keys, e.g. to step through slices, go on working
            return self._active and self._observed[name][0].GetKeySym() == "Escape"
        if event in _PRESSES.values():
            return event in self._releasesToKeep  # others belong to presses before the start
        return self._active or (event == "MouseMoveEvent" and bool(self._releasesToKeep))

    def _keep(self, name: str, event: str) -> None:
        """Let no other observer have the event that is being handled."""
        interactor, tags = self._observed[name]
        interactor.GetCommand(tags[event]).SetAbortFlag(1)

    def _act(self, name: str, event: str) -> None:
        xy = self._observed[name][0].GetEventPosition()
        if event == "KeyPressEvent":
            self.cancel()
        elif event in _RIGHT_PRESSES:
            self.cancel()
            self._releasesToKeep.add("RightButtonReleaseEvent")  # alone it would open the view's menu
        elif event in _LEFT_PRESSES:
            self._releasesToKeep.add("LeftButtonReleaseEvent")
            self._press(name, xy)
        elif name == self._dragViewName and event == "MouseMoveEvent":
            self._band.show(self._startXy, xy)
        elif name == self._dragViewName and event == "LeftButtonReleaseEvent":
            self._release(name, xy)

    def _press(self, name: str, xy) -> None:
        self._dragViewName, self._startXy = name, tuple(xy)
        self._lastViewName = name
        self._removeBand()  # of a press whose release was missed
        self._band = RubberBand(self._view(name))

    def _release(self, name: str, xy) -> None:
        sliceNode = self._view(name).mrmlSliceNode()
        ends = (self._startXy, tuple(xy))
        if max(abs(xy[0] - self._startXy[0]), abs(xy[1] - self._startXy[1])) < _DRAG_PIXELS:
            ends = _aroundClick(sliceNode, xy)
        corners = tuple(_xyToRas(sliceNode, end) for end in ends)
        self.cancel()  # the drawing is over
        self._onBox(sliceNode, corners)

    def _removeBand(self) -> None:
        if self._band is not None:
            self._band.remove()
            self._band = None

    def _setActive(self, active: bool) -> None:
        self._active = active
        self.activeChanged.emit()


def _aroundClick(sliceNode, xy) -> tuple[tuple[float, float], tuple[float, float]]:
    """Opposite corners, in pixels, of the square around a click."""
    fieldMm, sizePixels = sliceNode.GetFieldOfView(), sliceNode.GetDimensions()
    halfMm = 0.5 * _CLICK_SHARE * min(fieldMm[0], fieldMm[1])
    half = [halfMm * sizePixels[axis] / fieldMm[axis] for axis in (0, 1)]
    return (xy[0] - half[0], xy[1] - half[1]), (xy[0] + half[0], xy[1] + half[1])


def _xyToRas(sliceNode, xy) -> tuple[float, float, float]:
    """World (r, a, s) of a pixel (x, y) of a slice view."""
    return tuple(sliceNode.GetXYToRAS().MultiplyPoint((xy[0], xy[1], 0.0, 1.0))[:3])
