"""The managers that `slicer.app` hands out: of modules, and of layouts. Imports PySide6."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from ..registry import stand_in
from .scene_setup import SceneSetup


@stand_in("qSlicerModuleFactoryManager")
class ModuleFactoryManager(QObject):
    """Knows the names of the loaded modules."""

    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)

    def __init__(self, module_manager: ModuleManager):
        super().__init__(module_manager)
        self._module_manager = module_manager

    def loadedModuleNames(self):
        return self._module_manager.modulesNames()

    def isLoaded(self, name):
        return name in self._module_manager.modulesNames()

    def loadedModule(self, name):
        return self._module_manager.module(name)


@stand_in("qSlicerModuleManager")
class ModuleManager(QObject):
    """The loaded modules by name."""

    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._modules: dict[str, QObject] = {}
        self._factory_manager = ModuleFactoryManager(self)

    def add(self, module) -> None:
        """Host only: make a module known."""
        self._modules[module.name()] = module
        self.moduleLoaded.emit(module.name())

    def remove(self, name: str) -> None:
        """Host only: forget a module, as Slicer does when it ends."""
        self.moduleAboutToBeUnloaded.emit(name)
        del self._modules[name]

    def factoryManager(self):
        return self._factory_manager

    def modulesNames(self):
        return list(self._modules)

    def module(self, name):
        return self._modules.get(name)


@stand_in("qSlicerLoadableModule")
class LoadableModule(QObject):
    """A C++ module: its logic is real, and it has no widget here."""

    def __init__(self, name: str, logic, scene):
        super().__init__()
        self._name = name
        self._logic = logic
        self._scene = scene

    def name(self):
        return self._name

    def title(self):
        return self._name

    def path(self):
        return f"libqSlicer{self._name}Module.so"

    def isBuiltIn(self):
        return True

    def hidden(self):
        return False

    def logic(self):
        return self._logic

    def mrmlScene(self):
        return self._scene

    def widgetRepresentation(self):
        raise NotImplementedError(f"the test host has no widget for Slicer's C++ module {self._name}; use its logic()")


class LayoutFactory:
    """What the layout manager needs of the slice views; slice_views.py gives it. Exists so that this file draws nothing."""

    def slice_widget(self, name: str) -> QWidget | None:
        raise NotImplementedError

    def names(self) -> list[str]:
        raise NotImplementedError

    def show_layout(self, layout: int) -> None:
        raise NotImplementedError


@stand_in("qSlicerLayoutManager")
class LayoutManager(QObject):
    """Layouts of three slice views. There is no 3D view: `threeDViewCount` is 0, which a module has to live with anyway."""

    layoutChanged = Signal(int)

    def __init__(self, setup: SceneSetup, factory: LayoutFactory, parent=None):
        super().__init__(parent)
        self._setup = setup
        self._factory = factory

    def layout(self):
        return self._setup.layout_logic.GetLayoutNode().GetViewArrangement()

    def setLayout(self, layout):
        if layout != self.layout():
            self._setup.layout_logic.GetLayoutNode().SetViewArrangement(layout)
            self._factory.show_layout(layout)
            self.layoutChanged.emit(layout)

    def threeDViewCount(self):
        return 0

    def tableViewCount(self):
        return 0

    def plotViewCount(self):
        return 0

    def mrmlScene(self):
        return self._setup.scene

    def layoutLogic(self):
        return self._setup.layout_logic

    def mrmlSliceLogics(self):
        return self._setup.application_logic.GetSliceLogics()

    def sliceViewNames(self):
        return self._factory.names()

    def sliceWidget(self, name):
        return self._factory.slice_widget(name)

    def threeDWidget(self, _which):
        return None

    def viewWidget(self, node):
        return next((w for w in self.viewWidgets() if w.mrmlSliceNode() is node), None)

    def viewWidgets(self):
        return [self._factory.slice_widget(name) for name in self._factory.names()]

    def resetThreeDViews(self):
        """Without 3D views there is nothing to reset."""

    def resetSliceViews(self):
        for widget in self.viewWidgets():
            widget.sliceLogic().FitSliceToBackground()

    def setRenderPaused(self, pause):
        for widget in self.viewWidgets():
            widget.sliceView().setRenderPaused(pause)

    def allViewsPauseRenderCount(self):
        return min(widget.sliceView()._pauses for widget in self.viewWidgets())

    def pauseRender(self):
        self.setRenderPaused(True)

    def resumeRender(self):
        self.setRenderPaused(False)


def module_objects(setup: SceneSetup) -> list[LoadableModule]:
    """A module object for every logic of the set-up."""
    return [LoadableModule(name, logic, setup.scene) for name, logic in setup.module_logics.items()]
