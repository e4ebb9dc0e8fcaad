"""How Slicer loads a scripted module, shows it, leaves it, reloads it and unloads it. Imports PySide6 and slicer-core.

The file is executed as a fresh module of the module's name; only its folder comes onto sys.path. Its widget is made at the first visit and
called as Slicer calls it: constructor, `setup`, then `enter` and `exit` as the user comes and goes, `cleanup` at the end.
An exception in any of them, which Slicer would print, is raised here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import slicer
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QVBoxLayout

from .. import pythonqt
from ..application.managers import LoadableModule
from ..registry import stand_in
from ..widgets.scene_widgets import SlicerWidget


@stand_in("qSlicerScriptedLoadableModuleWidget")
class ScriptedModuleWidget(SlicerWidget):
    """The C++ side of a scripted module's panel."""

    def __init__(self, module: ScriptedModule):
        super().__init__()
        self._module = module
        self._python_widget = None
        self._is_entered = False
        QVBoxLayout(self)

    def moduleName(self):
        return self._module.name()

    def module(self):
        return self._module

    def isEntered(self):
        return self._is_entered

    def self(self):
        return self._python_widget

    def reload(self):
        name = self._module.name()
        widget_class = getattr(sys.modules[name], f"{name}Widget", None)
        if widget_class is None:
            raise AttributeError(f"{self._module.path()} has no class {name}Widget, and Slicer finds it by this name")
        self._python_widget = widget_class(pythonqt.wrap(self))
        setattr(slicer.modules, f"{name}Widget", self._python_widget)
        self._python_widget.setup()

    def enter(self):
        self._is_entered = True
        getattr(self._python_widget, "enter", lambda: None)()

    def exit(self):
        self._is_entered = False
        getattr(self._python_widget, "exit", lambda: None)()


@stand_in("qSlicerScriptedLoadableModule")
class ScriptedModule(LoadableModule):
    """The C++ side of a scripted module."""

    def __init__(self, name: str, path: Path, scene):
        super().__init__(name, slicer.vtkSlicerScriptedLoadableModuleLogic(), scene)
        self._path = path
        self._widget: ScriptedModuleWidget | None = None
        self._values: dict[str, object] = {"icon": QIcon(), "hidden": False, "index": -1, "title": name}

    def path(self):
        return str(self._path)

    def isBuiltIn(self):
        return False

    def made_widget(self) -> ScriptedModuleWidget | None:
        """Host only: the widget, if it was made."""
        return self._widget

    def widgetRepresentation(self):
        if self._widget is None:
            widget = self.createNewWidgetRepresentation()
            self._widget = widget
        return self._widget

    def createNewWidgetRepresentation(self):
        widget = ScriptedModuleWidget(self)
        widget.reload()
        widget.setMRMLScene(self._scene)
        return widget

    def title(self):
        return self._values["title"]

    def setTitle(self, title):
        self._set("title", title, str)

    def categories(self):
        return self._values.get("categories", [])

    def setCategories(self, categories):
        self._set("categories", categories, (list, tuple))

    def contributors(self):
        return self._values.get("contributors", [])

    def setContributors(self, contributors):
        self._set("contributors", contributors, (list, tuple))

    def dependencies(self):
        return self._values.get("dependencies", [])

    def setDependencies(self, dependencies):
        self._set("dependencies", dependencies, (list, tuple))

    def associatedNodeTypes(self):
        return self._values.get("associatedNodeTypes", [])

    def setAssociatedNodeTypes(self, node_types):
        self._set("associatedNodeTypes", node_types, (list, tuple))

    def helpText(self):
        return self._values.get("helpText", "")

    def setHelpText(self, text):
        self._set("helpText", text, str)

    def acknowledgementText(self):
        return self._values.get("acknowledgementText", "")

    def setAcknowledgementText(self, text):
        self._set("acknowledgementText", text, str)

    def icon(self):
        return self._values["icon"]

    def setIcon(self, icon):
        self._set("icon", icon, QIcon)

    def hidden(self):
        return self._values["hidden"]

    def setHidden(self, hidden):
        self._set("hidden", hidden, bool)

    def index(self):
        return self._values["index"]

    def setIndex(self, index):
        self._set("index", index, int)

    def extensions(self):
        return self._values.get("extensions", {})

    def setExtensions(self, extensions):
        self._set("extensions", extensions, dict)

    def _set(self, name: str, value: object, wanted) -> None:
        if not isinstance(value, wanted):
            raise ValueError(f"parent.{name} of module {self.name()} got {value!r}")
        self._values[name] = value


def load_module(path: str | Path):
    """Load a scripted module as Slicer does at its start.

    Args:
        path: the module's .py file, e.g. `SAM2Annotate/SAM2Annotate.py`.

    Returns:
        The Python module object.
    """
    path = Path(path).resolve()
    name = path.stem
    manager = pythonqt.unwrap(slicer.app.moduleManager())
    if manager.module(name) is not None:
        raise RuntimeError(f"module {name} is loaded already; unload_module({name!r}) first")
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    python_module = importlib.util.module_from_spec(spec)
    sys.modules[name] = python_module
    spec.loader.exec_module(python_module)
    module = ScriptedModule(name, path, slicer.mrmlScene)
    instance = getattr(python_module, name)(pythonqt.wrap(module))
    setattr(slicer.modules, name.lower(), pythonqt.wrap(module))
    setattr(slicer.modules, f"{name}Instance", instance)
    setattr(slicer.moduleNames, name, name)
    manager.add(module)
    return python_module


def enter_module(name: str):
    """Show a module as the user does, and return its Python widget."""
    slicer.util.selectModule(name)
    return slicer.util.getModuleWidget(name)


def leave_module(name: str) -> None:
    """Leave a module for none, if it is the one shown."""
    if slicer.util.selectedModule() == name:
        pythonqt.unwrap(slicer.util.mainWindow().moduleSelector()).selectModule("")


def reload_module(name: str):
    """Reload a module by Slicer's own function, and return the new Python widget (set up, not entered)."""
    slicer.util.reloadScriptedModule(name)
    return slicer.util.getModuleWidget(name)


def unload_module(name: str) -> None:
    """Leave and unload a module as Slicer does when it ends: `exit` if it is shown, then `cleanup`."""
    leave_module(name)
    manager = pythonqt.unwrap(slicer.app.moduleManager())
    module = manager.module(name)
    manager.remove(name)
    if module.made_widget() is not None:
        module.made_widget().deleteLater()
    for attribute in (name.lower(), f"{name}Instance", f"{name}Widget"):
        if hasattr(slicer.modules, attribute):
            delattr(slicer.modules, attribute)
    delattr(slicer.moduleNames, name)
    slicer.selfTests.pop(name, None)
    sys.modules.pop(name, None)


@contextlib.contextmanager
def without_main_window() -> Iterator[None]:
    """Slicer as its generic tests start it, with `--no-main-window`: `mainWindow()` and `layoutManager()` are None."""
    app = pythonqt.unwrap(slicer.app)
    window, layout_manager = pythonqt.unwrap(slicer.util.mainWindow()), app.layoutManager()
    name = window.objectName()
    window.setObjectName("")
    app.set_layout_manager(None)
    try:
        yield
    finally:
        window.setObjectName(name)
        app.set_layout_manager(layout_manager)
