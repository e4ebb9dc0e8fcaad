"""What the stand-ins of widgets with a MRML scene share: following a scene, base classes, units. Imports PySide6, VTK and slicer-core."""

from __future__ import annotations

import vtk
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget
from shiboken6 import isValid

from ..registry import stand_in, stand_in_for


class SceneObserver:
    """Calls back on events of a VTK object as long as a Qt object lives, and of one VTK object at a time."""

    def __init__(self, owner):
        self._owner = owner
        self._observed = None
        self._tags: list[int] = []

    def observe(self, observed, callbacks, node_callbacks=None) -> None:
        """Observe an object (or none) instead of the one before.

        Args:
            observed: the scene, node or segmentation.
            callbacks: event -> function without arguments.
            node_callbacks: event of a scene about one node -> function of that node.
        """
        if self._observed is not None:
            for tag in self._tags:
                self._observed.RemoveObserver(tag)
        self._observed, self._tags = observed, []
        if observed is not None:
            self._tags = [observed.AddObserver(event, self._guarded(callback)) for event, callback in callbacks.items()]
            for event, callback in (node_callbacks or {}).items():
                self._tags.append(observed.AddObserver(event, self._guarded_for_node(callback)))

    def _guarded(self, callback):
        owner = self._owner

        def call(_caller, _event):
            if isValid(owner):
                callback()

        return call

    def _guarded_for_node(self, callback):
        owner = self._owner

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def call(_caller, _event, node):
            if isValid(owner) and node is not None:
                callback(node)

        return call


@stand_in("qMRMLWidget")
class MRMLWidget(QWidget):
    """A widget with a scene."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


@stand_in("qSlicerWidget")
class SlicerWidget(MRMLWidget):
    """A widget with a scene, of the application's own library."""


def add_flags(class_: type, properties: dict[str, str]) -> None:
    """Give a stand-in its on-off properties, which all look alike.

    Args:
        class_: has a dict `_flags` and a method `_apply_flag(flag)`, called after each change.
        properties: name of the property -> key in `_flags`.
    """
    for name, flag in properties.items():

        def getter(self, flag=flag):
            return self._flags[flag]

        def setter(self, value, flag=flag):
            self._flags[flag] = bool(value)
            self._apply_flag(flag)

        setattr(class_, name, getter)
        setattr(class_, f"set{name[0].upper()}{name[1:]}", setter)


def define_unit_widgets() -> None:
    """Register the widgets that are CTK's with a scene: they need CTK's stand-ins, which must be registered before."""
    for class_name, base_name in (
        ("qMRMLSliderWidget", "ctkSliderWidget"),
        ("qMRMLSpinBox", "ctkDoubleSpinBox"),
        ("qMRMLRangeWidget", "ctkRangeWidget"),
    ):
        base = stand_in_for(base_name)
        if base is not None and stand_in_for(class_name) is None:
            stand_in(class_name)(_with_scene(class_name, base))


def _with_scene(class_name: str, base: type) -> type:
    class WithScene(base):
        """A number widget that knows a scene and the quantity that it shows. Units are not converted: one unit is one millimeter."""

        def mrmlScene(self):
            return getattr(self, "_scene", None)

        def setMRMLScene(self, scene):
            self._scene = scene

        def quantity(self):
            return getattr(self, "_quantity", "")

        def setQuantity(self, quantity):
            self._quantity = quantity

    WithScene.__name__ = WithScene.__qualname__ = class_name
    return WithScene
