"""The host's Slicer half answers as Slicer does, and refuses what Slicer lacks: each service both ways."""

from __future__ import annotations

import sys

import pytest
import qt
import slicer

from slicer_host import errors, pythonqt
from slicer_host.modules import util_functions
from slicer_host.modules.scripted_module import enter_module, leave_module, load_module, reload_module, unload_module, without_main_window

MODULE_TEXT = """
import qt, slicer, vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

class Sample(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Sample")
        parent.categories = ["Segmentation"]

class SampleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.calls = ["init"]
        self.logic = None
    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.calls.append("setup")
        self.button = qt.QPushButton("Go")
        self.layout.addWidget(self.button)
        self.logic = SampleLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
    def onSceneEndClose(self, caller, event):
        self.calls.append("end close")
    def enter(self):
        self.calls.append(f"enter {self.parent.isEntered}")
    def exit(self):
        self.calls.append("exit")
    def cleanup(self):
        self.calls.append("cleanup")
        self.removeObservers()

class SampleLogic(ScriptedLoadableModuleLogic):
    pass

class SampleTest(ScriptedLoadableModuleTest):
    ran = 0
    def runTest(self):
        SampleTest.ran += 1
"""


@pytest.fixture
def sample_path(tmp_path):
    path = tmp_path / "Sample" / "Sample.py"
    (path.parent / "Resources").mkdir(parents=True)
    path.write_text(MODULE_TEXT)
    yield path
    if str(path.parent) in sys.path:
        sys.path.remove(str(path.parent))


@pytest.mark.parametrize(
    "expression", ["slicer.getNode", "slicer.vtkITKImageWriter", "slicer.MRMLCore", "slicer.sys", "slicer.qSlicerSettings"]
)
def test_names_that_slicer_core_leaks_or_nobody_has_are_refused(expression):
    with pytest.raises(AttributeError, match="no attribute"):
        eval(expression)


def test_names_that_slicer_has_are_there():
    assert slicer.util.getNode and slicer.vtkMRMLScene and slicer.vtkAddonMathUtilities and slicer.qMRMLNodeComboBox
    assert slicer.vtkSegmentationHistory and slicer.vtkSlicerSegmentEditorLogic


def test_what_slicer_has_and_the_host_has_not_says_so():
    with pytest.raises(AttributeError, match="the test host has not"):
        slicer.cli  # noqa: B018


def test_the_application_answers_by_its_listed_names_only():
    assert slicer.app.majorVersion == 5
    assert slicer.app.testingEnabled() is True
    assert slicer.app.applicationName == "Slicer"
    assert slicer.app.mrmlScene() is slicer.mrmlScene
    assert slicer.app.layoutManager().sliceViewNames() == ("Red", "Green", "Yellow")
    assert slicer.app.layoutManager().sliceWidget("Blue") is None
    with pytest.raises(AttributeError):
        slicer.app.noSuch  # noqa: B018
    with pytest.raises(AttributeError):
        slicer.app.noSuch = 1
    with pytest.raises(ValueError):
        slicer.app.layoutManager().sliceWidget()


def test_the_scene_starts_with_the_nodes_that_slicer_starts_with():
    names = ["Selection", "Interaction", "Crosshair", "Red", "Yellow", "Green", "Layout"]
    assert all(slicer.util.getNode(name) for name in names)
    assert slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed") is not None
    assert slicer.modules.volumes.logic().GetClassName() == "vtkSlicerVolumesLogic"
    assert not hasattr(slicer.modules, "nosuchmodule")


def test_settings_are_kept_between_objects_and_forgotten_between_tests():
    assert slicer.util.settingsValue("Sample/flag", False, converter=slicer.util.toBool) is False
    slicer.app.settings().setValue("Sample/flag", True)
    assert slicer.util.settingsValue("Sample/flag", False, converter=slicer.util.toBool) is True


def test_temp_directory_is_new_each_time():
    first = slicer.util.tempDirectory("a")
    assert first != slicer.util.tempDirectory("b")
    assert first.startswith(slicer.app.temporaryPath)


# Scripted modules.


def test_a_module_lives_through_slicers_stages_in_order(sample_path):
    load_module(sample_path)
    assert slicer.modules.sample.title == "Sample"
    assert slicer.modules.SampleInstance.moduleName == "Sample"
    assert not hasattr(slicer.modules, "SampleWidget")
    widget = enter_module("Sample")
    assert slicer.modules.SampleWidget is widget
    assert slicer.util.selectedModule() == "Sample"
    leave_module("Sample")
    enter_module("Sample")
    assert widget.calls == ["init", "setup", "enter True", "exit", "enter True"]
    unload_module("Sample")
    assert widget.calls[-2:] == ["exit", "cleanup"]
    assert not hasattr(slicer.modules, "sample")


def test_reload_cleans_up_and_sets_up_but_does_not_enter(sample_path):
    load_module(sample_path)
    before = enter_module("Sample")
    sample_path.write_text(MODULE_TEXT.replace('"Go"', '"Went"'))
    after = reload_module("Sample")
    assert before.calls[-1] == "cleanup"
    assert after is not before and after.calls == ["init", "setup"] and after.button.text == "Went"
    slicer.mrmlScene.Clear(False)
    assert before.calls[-1] == "cleanup" and after.calls[-1] == "end close"


def test_resource_paths_and_the_modules_own_test_are_found(sample_path):
    module = load_module(sample_path)
    assert slicer.modules.SampleInstance.resourcePath("x.png") == str(sample_path.parent / "Resources" / "x.png")
    slicer.selfTests["Sample"]()
    assert module.SampleTest.ran == 1


def test_a_module_without_its_widget_class_is_refused(sample_path):
    sample_path.write_text(MODULE_TEXT.replace("class SampleWidget", "class Other"))
    load_module(sample_path)
    with pytest.raises(AttributeError, match="SampleWidget"):
        enter_module("Sample")
    with pytest.raises(RuntimeError, match="no module is called"):
        slicer.util.selectModule("Nobody")


def test_the_parameter_node_is_one_per_module_and_survives_a_closed_scene_wiped(sample_path):
    module = load_module(sample_path)
    node = module.SampleLogic().getParameterNode()
    node.SetParameter("a", "1")
    assert module.SampleLogic().getParameterNode() is node
    assert node.GetSingletonTag() == "Sample" and node.GetAttribute("ModuleName") == "Sample"
    slicer.mrmlScene.Clear(False)
    assert module.SampleLogic().getParameterNode() is node
    assert node.GetParameter("a") == "" and node.GetAttribute("ModuleName") == "Sample"


def test_a_module_can_be_set_up_without_a_main_window_and_is_not_entered_then(sample_path):
    load_module(sample_path)
    with without_main_window():
        assert slicer.util.mainWindow() is None and slicer.app.layoutManager() is None
        widget = slicer.util.getModuleWidget("Sample")
        with pytest.raises(RuntimeError):
            slicer.util.selectModule("Sample")
    assert widget.calls == ["init", "setup"]
    assert slicer.util.mainWindow() is not None and slicer.app.layoutManager() is not None


UI_TEXT = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0"><class>Panel</class>
 <widget class="qMRMLWidget" name="Panel"><layout class="QVBoxLayout" name="verticalLayout">
  <item><widget class="qMRMLNodeComboBox" name="volumeSelector">
   <property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
   <property name="noneEnabled"><bool>true</bool></property>
   <property name="SlicerParameterName" stdset="0"><string>volume</string></property>
  </widget></item></layout></widget>
 <customwidgets>
  <customwidget><class>qMRMLNodeComboBox</class><extends>QWidget</extends><header>qMRMLNodeComboBox.h</header></customwidget>
  <customwidget><class>qMRMLWidget</class><extends>QWidget</extends><header>qMRMLWidget.h</header><container>1</container></customwidget>
 </customwidgets>
 <connections><connection><sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
  <receiver>volumeSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>"""


def test_a_ui_file_gives_slicers_widgets_their_scene_and_properties(tmp_path):
    (tmp_path / "Panel.ui").write_text(UI_TEXT)
    panel = slicer.util.loadUI(str(tmp_path / "Panel.ui"))
    ui = slicer.util.childWidgetVariables(panel)
    panel.setMRMLScene(slicer.mrmlScene)
    assert ui.volumeSelector.mrmlScene() is slicer.mrmlScene
    assert ui.volumeSelector.nodeTypes == ("vtkMRMLScalarVolumeNode",) and ui.volumeSelector.noneEnabled is True
    assert ui.volumeSelector.property("SlicerParameterName") == "volume"
    with pytest.raises(AttributeError):
        ui.nosuch  # noqa: B018


def test_a_ui_file_that_is_missing_or_names_an_unknown_class_is_refused(tmp_path):
    with pytest.raises(Exception, match="nothere"):
        slicer.util.loadUI(str(tmp_path / "nothere.ui"))
    (tmp_path / "Bad.ui").write_text(UI_TEXT.replace("qMRMLNodeComboBox", "qMRMLNodeBomboCox"))
    with pytest.raises(Exception, match="qMRMLNodeBomboCox"):
        slicer.util.loadUI(str(tmp_path / "Bad.ui"))


# Messages.


def test_messages_are_recorded_and_answered_as_in_testing_mode_or_as_the_test_says():
    slicer.util.errorDisplay("broken", windowTitle="oh")
    assert slicer.util.confirmOkCancelDisplay("sure?") is False
    util_functions.answer("confirmOkCancelDisplay", True)
    assert slicer.util.confirmOkCancelDisplay("sure?") is True
    assert [(m.function, m.text) for m in util_functions.shown_messages] == [
        ("errorDisplay", "broken"),
        ("confirmOkCancelDisplay", "sure?"),
        ("confirmOkCancelDisplay", "sure?"),
    ]


def test_messages_were_forgotten_since_the_test_before():
    assert util_functions.shown_messages == []
    assert slicer.util.confirmOkCancelDisplay("sure?") is False


def test_messages_with_wrong_arguments_are_refused():
    with pytest.raises(TypeError):
        slicer.util.errorDisplay()
    with pytest.raises(TypeError, match="wants a str"):
        slicer.util.errorDisplay(ValueError("x"))
    with pytest.raises(ValueError, match="no message function"):
        util_functions.answer("nosuch", 1)


def test_status_messages_reach_the_main_window():
    slicer.util.showStatusMessage("working")
    assert slicer.util.mainWindow().statusBar().currentMessage() == "working"


def test_nothing_is_installed(tmp_path):
    import slicer.packaging

    requirements = tmp_path / "requirements.txt"
    requirements.write_text("numpy>=1  # present\nno-such-package-of-ours>=2\n")
    loaded = slicer.packaging.load_requirements(str(requirements))
    assert slicer.packaging.pip_check(loaded[0]) and not slicer.packaging.pip_check(loaded)
    with pytest.raises(RuntimeError, match="installs nothing"):
        slicer.packaging.pip_ensure(loaded)
    with pytest.raises(RuntimeError, match="installs nothing"):
        slicer.util.pip_install("numpy")


# Errors that nobody catches.


def test_an_exception_in_an_observer_is_noticed():
    def observer(caller, event):
        raise RuntimeError("in the observer")

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    node.AddObserver("ModifiedEvent", observer)
    node.SetName("b")
    assert "in the observer" in errors.report()
    errors.reset()


def test_an_exception_in_a_slot_is_noticed():
    button = qt.QPushButton("a")
    button.connect("clicked()", lambda: 1 / 0)
    button.click()
    assert "ZeroDivisionError" in errors.report()
    errors.reset()


def test_keys_of_the_main_window_are_live_and_undo_in_no_menu_is_not(request):
    window = slicer.util.mainWindow()
    fired = []
    for key in ("Ctrl+Z", "Ctrl+S"):
        shortcut = qt.QShortcut(qt.QKeySequence(key), window)
        shortcut.connect("activated()", lambda key=key: fired.append(key))
        request.addfinalizer(shortcut.deleteLater)
    pythonqt.press_key(window, "Ctrl+Z")
    pythonqt.press_key(window, "Ctrl+S")
    assert fired == ["Ctrl+Z"]
