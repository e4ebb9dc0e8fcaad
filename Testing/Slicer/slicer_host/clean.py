"""The host as it was after its start, for the next test. Imports slicer-core and the running host."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import slicer
from PySide6.QtCore import QCoreApplication, QEvent, QSettings
from PySide6.QtWidgets import QApplication

from . import errors, pythonqt
from .application.scene_setup import FOUR_UP_LAYOUT
from .modules import scripted_module, util_functions
from .views import views_and_mouse
from .widgets.segment_editor_widget import SegmentEditorWidget


def unload_modules() -> None:
    """Unload every scripted module, so that its `cleanup` runs."""
    for name in slicer.util.moduleNames():
        module = pythonqt.unwrap(slicer.app.moduleManager()).module(name)
        if isinstance(module, scripted_module.ScriptedModule):
            scripted_module.unload_module(name)


def paused_views() -> list[str]:
    """Names of the slice views whose rendering somebody paused and did not resume, nor will in the next turns of the event loop."""
    layouts = slicer.app.layoutManager()
    views = {name: pythonqt.unwrap(layouts.sliceWidget(name)).sliceView() for name in layouts.sliceViewNames()}
    for _turn in range(50):
        if not any(view.isRenderPaused() for view in views.values()):
            break
        slicer.app.processEvents()
        time.sleep(0.002)
    paused = [name for name, view in views.items() if view.isRenderPaused()]
    for name in paused:  # for the next test
        while views[name].isRenderPaused():
            views[name].resumeRender()
    return paused


def clean_up() -> None:
    """Unload scripted modules, close the scene, forget settings, messages and errors."""
    unload_modules()
    for widget in QApplication.allWidgets():  # an editor that a test left behind would complain of the next test's scene
        if isinstance(widget, SegmentEditorWidget):
            widget.setMRMLScene(None)
    slicer.modules.sampleDataSources.clear()
    slicer.mrmlScene.Clear(False)
    slicer.mrmlScene.SetURL("")  # a closed scene keeps the file that it came from
    slicer.mrmlScene.SetRootDirectory("")
    slicer.mrmlScene.SetSaveToXMLString(0)  # a scene that is saved to a text is written to no file
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    interaction.SetPlaceModePersistence(0)
    interaction.SwitchToViewTransformMode()
    slicer.app.layoutManager().layout = FOUR_UP_LAYOUT
    for name, orientation in (("Red", "Axial"), ("Yellow", "Sagittal"), ("Green", "Coronal")):
        slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().SetOrientation(orientation)
        pythonqt.unwrap(slicer.app.layoutManager().sliceWidget(name)).sliceController().forget_segments()
    views_and_mouse.leave_views()
    QSettings().clear()
    folder = Path(slicer.app.slicerUserSettingsFilePath).parent
    for beside in folder.iterdir() if folder.is_dir() else ():  # a module's journals, which the next test would be offered
        if beside.is_dir():
            shutil.rmtree(beside, ignore_errors=True)
    slicer.app.processEvents()
    # Slicer's event loop does this by itself; without a loop, what a test left by deleteLater() would stay, with its shortcuts.
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    util_functions.reset_messages()
    errors.reset()
