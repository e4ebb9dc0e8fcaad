"""`slicer.app`: the application object. Imports PySide6 and slicer-core."""

from __future__ import annotations

from pathlib import Path

import slicer
from PySide6.QtCore import QLocale, QObject, QProcessEnvironment, QSettings, Signal
from PySide6.QtWidgets import QApplication

from ..registry import stand_in
from .managers import LayoutManager, ModuleManager
from .scene_setup import SceneSetup

VERSION = (5, 13, 0)
REVISION = "34567"


@stand_in("qSlicerApplication")
class Application(QApplication):
    """The application object. It is in testing mode, as Slicer started with `--testing` is: message boxes are not shown."""

    startupCompleted = Signal()
    renderPaused = Signal(bool)
    mrmlSceneChanged = Signal(object)

    def __init__(self, home: Path, temporary_directory: Path):
        self._home = home
        self._temporary_path = str(temporary_directory)
        QSettings.setDefaultFormat(QSettings.Format.IniFormat)
        for scope in (QSettings.Scope.UserScope, QSettings.Scope.SystemScope):
            QSettings.setPath(QSettings.Format.IniFormat, scope, str(home / "settings"))
        super().__init__(["Slicer", "--testing"])
        self.setOrganizationName("NA-MIC")
        self.setOrganizationDomain("www.slicer.org")
        self.setApplicationName("Slicer")
        self.setApplicationVersion("5.13.0-2026-08-21")
        self.setQuitOnLastWindowClosed(False)
        self._settings = QSettings()
        self._revision_settings = QSettings(str(home / "settings" / f"Slicer-{REVISION}.ini"), QSettings.Format.IniFormat)
        self._module_manager = ModuleManager(self)
        self._setup: SceneSetup | None = None
        self._layout_manager: LayoutManager | None = None
        self._io_manager: QObject | None = None

    def complete(self, setup: SceneSetup, io_manager: QObject, layout_manager: LayoutManager | None) -> None:
        """Host only: what exists once Slicer is up."""
        self._setup = setup
        self._io_manager = io_manager
        self._layout_manager = layout_manager

    def set_layout_manager(self, layout_manager: LayoutManager | None) -> None:
        """Host only: without one, Slicer has no main window."""
        self._layout_manager = layout_manager

    # Paths and versions. The first four are static in PySide6; as methods of the object they can be read as its properties.

    def applicationName(self):
        return QApplication.applicationName()

    def applicationVersion(self):
        return QApplication.applicationVersion()

    def organizationName(self):
        return QApplication.organizationName()

    def organizationDomain(self):
        return QApplication.organizationDomain()

    def slicerHome(self):
        return str(self._home)

    def slicerSharePath(self):
        return "share/Slicer-5.13"

    def temporaryPath(self):
        return self._temporary_path

    def setTemporaryPath(self, path):
        self._temporary_path = path
        self._setup.application_logic.SetTemporaryPath(path)

    def cachePath(self):
        return str(Path(self._temporary_path) / "RemoteIO")

    def startupWorkingPath(self):
        return str(Path.cwd())

    def slicerUserSettingsFilePath(self):
        return self._settings.fileName()

    def slicerRevisionUserSettingsFilePath(self):
        return self._revision_settings.fileName()

    def extensionsInstallPath(self):
        return str(self._home / "Extensions")

    def isInstalled(self):
        return True

    def revision(self):
        return REVISION

    def repositoryRevision(self):
        return "583e9b37d5"

    def majorVersion(self):
        return VERSION[0]

    def minorVersion(self):
        return VERSION[1]

    def mainApplicationName(self):
        return "Slicer"

    def mainApplicationMajorVersion(self):
        return VERSION[0]

    def mainApplicationMinorVersion(self):
        return VERSION[1]

    def mainApplicationPatchVersion(self):
        return VERSION[2]

    def applicationLocale(self):
        return QLocale(self.applicationLocaleName())

    def applicationLocaleName(self):
        return "en_US"

    def documentationBaseUrl(self):
        return "https://slicer.readthedocs.io/en/latest/"

    def moduleDocumentationUrl(self, name):
        return f"{self.documentationBaseUrl()}user_guide/modules/{name.lower()}.html"

    def arch(self):
        return "amd64"

    def os(self):
        return "linux"

    def platform(self):
        return "linux-amd64"

    # Services.

    def mrmlScene(self):
        return self._setup.scene

    def applicationLogic(self):
        return self._setup.application_logic

    def moduleLogic(self, name):
        return self._setup.module_logics.get(name)

    def moduleManager(self):
        return self._module_manager

    def layoutManager(self):
        return self._layout_manager

    def ioManager(self):
        return self._io_manager

    def coreIOManager(self):
        return self._io_manager

    def settings(self):
        return self._settings

    def userSettings(self):
        return self._settings

    def revisionUserSettings(self):
        return self._revision_settings

    def environment(self):
        return QProcessEnvironment.systemEnvironment()

    def startupEnvironment(self):
        return QProcessEnvironment.systemEnvironment()

    def setRenderPaused(self, pause):
        if self._layout_manager is not None:
            self._layout_manager.setRenderPaused(pause)
        self.renderPaused.emit(pause)

    def pauseRender(self):
        self.setRenderPaused(True)

    def resumeRender(self):
        self.setRenderPaused(False)

    def restart(self):
        raise RuntimeError("the test host cannot restart; replace slicer.util.restart in the test")

    @staticmethod
    def testingEnabled():
        return True


def is_slicer_class(name: str) -> bool:
    """Whether slicer-core gives a class that Slicer has under `slicer.` too (and not under `vtkITK.` and the like)."""
    found = slicer.__dict__.get(name)
    elsewhere = {"vtkITK", "vtkTeem", "vtkRemoteIO"}
    return isinstance(found, type) and name.startswith("vtk") and found.__module__.rpartition(".")[2] not in elsewhere
