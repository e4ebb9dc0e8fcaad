"""Slicer's main window: module selector, module panel, slice views, and the keys that the window takes for itself. Imports PySide6."""

from __future__ import annotations

import vtk
from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import (
    QComboBox,
    QDockWidget,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QMenu,
    QScrollArea,
    QStatusBar,
    QToolBar,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from ..ctk.ctk_collapsible import CtkCollapsibleButton
from ..look import SMALL_SCREEN
from ..registry import stand_in
from ..views.slice_views import SliceWidget
from .managers import LayoutFactory, ModuleManager
from .scene_setup import SceneSetup

# Object name, text, shortcut and menu of the window's actions that have a key, as in qSlicerMainWindow.ui. An action in no menu has a key
# that nobody hears: Slicer's Undo and Redo are such.
_ACTIONS = (
    ("FileAddDataAction", "Add Data", "Ctrl+O", "File"),
    ("FileSaveSceneAction", "Save Data", "Ctrl+S", "File"),
    ("FileCloseSceneAction", "Close Scene", "Ctrl+W", "File"),
    ("EditApplicationSettingsAction", "Application Settings", "Ctrl+2", "Edit"),
    ("CutAction", "Cut", "Ctrl+X", "Edit"),
    ("CopyAction", "Copy", "Ctrl+C", "Edit"),
    ("PasteAction", "Paste", "Ctrl+V", "Edit"),
    ("ViewExtensionsManagerAction", "Extensions Manager", "Ctrl+4", "View"),
    ("ModuleHomeAction", "Home", "Ctrl+H", "View"),
    ("WindowMaximizeViewAction", "Maximize view", "Ctrl+6", "View"),
    ("EditUndoAction", "Undo", "Ctrl+Z", None),
    ("EditRedoAction", "Redo", "Ctrl+Y", None),
)
_MODULE_SELECTOR_ACTIONS = (("Module Finder", "Ctrl+F"), ("Previous", "Ctrl+Left"), ("Next", "Ctrl+Right"))

# Layout number (vtkMRMLLayoutNode) -> (view name, row, column, row span, column span). Other layouts show three views in a row.
_ONE_UP = {6: "Red", 7: "Yellow", 8: "Green"}
_FOUR_UP = 3


_PANEL_WIDTH = 410  # pixels that the panel has before a module needs more
_HELP_HEIGHT, _DATA_PROBE_HEIGHT = 25, 93


@stand_in("qSlicerModulePanel")
class ModulePanel(QWidget):
    """Where the widget of the current module is.

    There is no horizontal scroll bar, so the panel becomes as wide as the module needs, and the views give way.
    """

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scroll_area = QScrollArea()
        self._scroll_area.setObjectName("ScrollArea")
        self._scroll_area.setWidgetResizable(True)
        self._scroll_area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._module = None
        self._contents = QWidget()
        help_button = CtkCollapsibleButton()
        help_button.setObjectName("HelpCollapsibleButton")
        help_button.setText("Help and Acknowledgement")
        help_button.setFixedHeight(_HELP_HEIGHT)
        self._modules = QVBoxLayout(self._contents)
        self._modules.setContentsMargins(3, 3, 3, 3)
        self._modules.addWidget(help_button)
        self._scroll_area.setWidget(self._contents)
        self._contents.installEventFilter(self)
        data_probe = CtkCollapsibleButton()
        data_probe.setObjectName("DataProbeCollapsibleWidget")
        data_probe.setText("Data Probe")
        data_probe.setFixedHeight(_DATA_PROBE_HEIGHT)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._scroll_area)
        layout.addWidget(data_probe)

    def show_widget(self, widget: QWidget | None) -> None:
        """Host only: show a module's widget instead of the one before, which is hidden and has no parent then."""
        if self._module is not None and isValid(self._module):
            self._modules.removeWidget(self._module)
            self._module.hide()
            self._module.setParent(None)
        self._module = widget
        if widget is not None:
            self._modules.addWidget(widget, 1)
            widget.show()

    def eventFilter(self, watched, event):
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            bar = self._scroll_area.verticalScrollBar().sizeHint().width()
            self._scroll_area.setMinimumWidth(max(_PANEL_WIDTH, self._contents.minimumSizeHint().width() + bar))
        return False


@stand_in("qSlicerModuleSelectorToolBar")
class ModuleSelectorToolBar(QToolBar):
    """Chooses the module that is shown; calls exit of the one before and enter of the new one."""

    moduleSelected = Signal(str)

    def __init__(self, module_manager: ModuleManager, panel: ModulePanel, parent=None):
        super().__init__("Module Selection", parent)
        self._module_manager = module_manager
        self._panel = panel
        self._selected = ""
        self._combo_box = QComboBox()
        self._combo_box.setMinimumWidth(180)
        self.addWidget(QLabel("Modules: "))
        self.addWidget(self._combo_box)
        for text, key in _MODULE_SELECTOR_ACTIONS:
            action = QAction(text, self)
            action.setShortcut(QKeySequence(key))
            parent.addAction(action)

    def selectedModule(self):
        return self._selected

    def setSelectedModule(self, name):
        self.selectModule(name)

    def selectModule(self, name):
        if name == self._selected:
            return
        module = self._module_manager.module(name) if name else None
        if name and module is None:
            raise RuntimeError(f"no module is called {name!r}; there are {', '.join(self._module_manager.modulesNames())}")
        before = self._module_manager.module(self._selected) if self._selected else None
        if before is not None and hasattr(before, "made_widget") and before.made_widget() is not None:
            self._panel.show_widget(None)
            before.made_widget().exit()
        self._selected = name
        if module is not None:
            self._combo_box.clear()
            self._combo_box.addItem(module.title() or name)
            widget = module.widgetRepresentation()
            self._panel.show_widget(widget)
            widget.enter()
        self.moduleSelected.emit(name)


@stand_in("qSlicerMainWindow")
class MainWindow(QMainWindow, LayoutFactory):
    """The window. Its views are made here, as in Slicer."""

    initialWindowShown = Signal()

    def __init__(self, setup: SceneSetup, module_manager: ModuleManager):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer 5.13.0")
        self._setup = setup
        self._add_menus()
        self.setStatusBar(QStatusBar())
        self.statusBar().setObjectName("StatusBar")

        panel = ModulePanel()
        panel.setObjectName("ModulePanel")
        dock = QDockWidget("", self)
        dock.setObjectName("PanelDockWidget")
        dock.setWidget(panel)
        self.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
        toggle = dock.toggleViewAction()
        toggle.setShortcut(QKeySequence("Ctrl+5"))
        self._menus["View"].addAction(toggle)
        self._selector = ModuleSelectorToolBar(module_manager, panel, self)
        self._selector.setObjectName("ModuleSelectorToolBar")
        self.addToolBar(self._selector)

        central = QWidget()
        central.setObjectName("CentralWidget")
        frame = QFrame(central)
        frame.setObjectName("CentralWidgetLayoutFrame")
        frame.setStyleSheet("QFrame#CentralWidgetLayoutFrame { background: #5f5f71; }")
        outer = QHBoxLayout(central)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(frame)
        self._grid = QGridLayout(frame)
        self._grid.setContentsMargins(2, 2, 2, 2)
        self._grid.setSpacing(2)
        self._slice_widgets = {name: SliceWidget(setup, name, frame) for name in ("Red", "Green", "Yellow")}
        for name, widget in self._slice_widgets.items():
            widget.setObjectName(f"qMRMLSliceWidget{name}")
        self.setCentralWidget(central)
        self.show_layout(setup.layout_logic.GetLayoutNode().GetViewArrangement())
        self.resize(*SMALL_SCREEN)

    def moduleSelector(self):
        return self._selector

    def connect_slice_logics(self) -> None:
        """Host only: let the application logic know the slice logics."""
        logics = vtk.vtkCollection()
        for widget in self._slice_widgets.values():
            logics.AddItem(widget.sliceLogic())
        self._setup.application_logic.SetSliceLogics(logics)

    # Layout factory.

    def names(self):
        return list(self._slice_widgets)

    def slice_widget(self, name):
        return self._slice_widgets.get(name)

    def show_layout(self, layout):
        for widget in self._slice_widgets.values():
            self._grid.removeWidget(widget)
            widget.hide()
        if layout in _ONE_UP:
            places = {_ONE_UP[layout]: (0, 0, 2, 2)}
        elif layout == _FOUR_UP:  # where Slicer has its 3D view, the red view is wide here
            places = {"Red": (0, 0, 1, 2), "Green": (1, 0, 1, 1), "Yellow": (1, 1, 1, 1)}
        else:
            places = {"Red": (0, 0, 1, 1), "Green": (0, 1, 1, 1), "Yellow": (0, 2, 1, 1)}
        for name, place in places.items():
            self._grid.addWidget(self._slice_widgets[name], *place)
            self._slice_widgets[name].show()

    def _add_menus(self) -> None:
        self._menus: dict[str, QMenu] = {name: self.menuBar().addMenu(f"&{name}") for name in ("File", "Edit", "View", "Help")}
        self.menuBar().setObjectName("menubar")
        for object_name, text, key, menu in _ACTIONS:
            action = QAction(text, self)
            action.setObjectName(object_name)
            action.setShortcut(QKeySequence(key))
            if menu is not None:
                self._menus[menu].addAction(action)
