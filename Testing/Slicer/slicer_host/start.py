"""Brings the stand-in for Slicer up: after `start()`, `import qt, ctk, slicer, vtk` work as in Slicer. Imports the rest of the host."""

from __future__ import annotations

import atexit
import os
import sys
import tempfile
import types
from pathlib import Path

_NOT_HERE = frozenset({"cli", "dicomDatabase", "dicomListener", "kits", "logic", "pythonApplicationLogHandler", "release", "testing"})
"""Names that `slicer` has in the application and not in the host."""

_running: dict[str, object] = {}


def start() -> None:
    """Start the host, once; later calls do nothing.

    Raises:
        RuntimeError: a QApplication that is not ours exists already.
    """
    if _running:
        return
    folder = tempfile.TemporaryDirectory(prefix="slicer_host_")
    from . import look

    if os.environ.get("QT_QPA_PLATFORM", "offscreen") == "offscreen":
        os.environ["QT_QPA_PLATFORM"] = look.write_screen(Path(folder.name))
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

    from PySide6.QtWidgets import QApplication

    if QApplication.instance() is not None:
        raise RuntimeError("a QApplication exists already; slicer_host.start() must come before anything that makes one")
    home, temporary_directory = Path(folder.name) / "home", Path(folder.name) / "tmp"
    temporary_directory.mkdir()

    import slicer
    import slicer.util

    from . import errors, pythonqt
    from .application import application, managers, scene_setup

    pythonqt.install()
    errors.install()
    app = application.Application(home, temporary_directory)
    look.dress(app)
    setup = scene_setup.build_scene(home, temporary_directory)
    _hide_leaks(slicer)
    slicer.mrmlScene = setup.scene
    slicer.app = pythonqt.wrap(app)
    slicer.modules = types.ModuleType("modules")
    slicer.moduleNames = types.ModuleType("moduleNames")

    from .application import scene_files
    from .ctk import ctk_widgets  # noqa: F401 - importing registers stand-ins
    from .modules import sample_data, scripted_bases, translation, util_functions
    from .widgets import markups_widgets, scene_widgets, segment_editor_widget, terminology_widget  # noqa: F401 - importing registers stand-ins

    scene_widgets.define_unit_widgets()

    io_manager = scene_files.IOManager(setup, app)
    app.complete(setup, io_manager, None)
    _serve_submodules(slicer, scripted_bases, translation)
    sys.modules["SampleData"] = sample_data.module()
    slicer.modules.sampleDataSources = {}
    util_functions.install()
    modules = managers.module_objects(setup)
    for module in modules:
        app.moduleManager().add(module)
        setattr(slicer.modules, module.name().lower(), pythonqt.wrap(module))
        setattr(slicer.moduleNames, module.name(), module.name())

    from .application import main_window
    from .views import slice_views

    slice_views.register_displayable_managers(setup)
    window = main_window.MainWindow(setup, app.moduleManager())
    app.complete(setup, io_manager, managers.LayoutManager(setup, window, app))
    window.connect_slice_logics()
    window.show()
    app.processEvents()
    app.startupCompleted.emit()
    _running.update(app=app, window=window, setup=setup, modules=modules, folder=folder)
    atexit.register(_stop)


def _stop() -> None:
    """Take modules, scene and views down before Python takes its objects down in an order of its own."""
    from . import clean

    clean.clean_up()
    window = _running["window"]
    for name in window.names():
        window.slice_widget(name).sliceView().release()
    window.close()
    _running["folder"].cleanup()


def _hide_leaks(slicer) -> None:
    """Take from `slicer` what slicer-core puts there and Slicer does not, and let it find Slicer's Qt classes.

    Without this a test would pass with `slicer.getNode(...)` or `slicer.vtkITKImageWriter()`, which Slicer does not have.
    """
    from . import facts, pythonqt
    from .application.application import is_slicer_class

    for name in list(vars(slicer)):
        if not name.startswith("__") and name != "util" and not is_slicer_class(name):
            delattr(slicer, name)

    def find(name: str):
        if facts.is_class(name) and facts.entry(name)["namespace"] == "slicer":
            refusal = facts.class_refusal(name)
            if refusal:
                raise AttributeError(f"{refusal}; the module must run with all of them")
            found = pythonqt.qt_class(name)
            setattr(slicer, name, found)
            return found
        if name in _NOT_HERE:
            raise AttributeError(f"Slicer has slicer.{name}, but the test host has not")
        raise AttributeError(f"module 'slicer' has no attribute {name!r}")

    slicer.__getattr__ = find


def _serve_submodules(slicer, scripted_bases, translation) -> None:
    """Make `slicer.ScriptedLoadableModule` and its like importable in every way that Slicer allows."""
    scripted = types.ModuleType("slicer.ScriptedLoadableModule")
    for name in scripted_bases.__all__:
        setattr(scripted, name, getattr(scripted_bases, name))
    scripted.__all__ = list(scripted_bases.__all__)

    from .parameters import parameter_nodes

    served = {
        "ScriptedLoadableModule": scripted,
        "i18n": translation.i18n_module(),
        "packaging": translation.packaging_module(),
        "parameterNodeWrapper": parameter_nodes.package(),
    }
    for name, module in served.items():
        sys.modules[f"slicer.{name}"] = module
        setattr(slicer, name, module)
