""".ui files load as in Slicer, what Slicer would silently get wrong is refused, and CTK's stand-ins work."""

from __future__ import annotations

import ctk
import pytest
import qt
import slicer

from slicer_host.modules import ui_files

PANEL = """<ui version="4.0"><class>Panel</class>
<widget class="qMRMLWidget" name="Panel"><layout class="QVBoxLayout" name="rows">
 <property name="leftMargin"><number>0</number></property>
 <item><widget class="ctkCollapsibleButton" name="inputs">
  <property name="text"><string>Inputs</string></property><property name="collapsed"><bool>true</bool></property>
  <layout class="QFormLayout" name="form">
   <item row="0" column="0"><widget class="QLabel" name="volumeLabel"><property name="text"><string>Volume:</string></property>
     <property name="buddy"><cstring>volume</cstring></property></widget></item>
   <item row="0" column="1"><widget class="qMRMLNodeComboBox" name="volume">
     <property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
     <property name="SlicerParameterName" stdset="0"><string>volume</string></property></widget></item>
   <item row="1" column="1" alignment="Qt::AlignTop"><widget class="ctkRangeWidget" name="extent">
     <property name="maximum"><double>50.0</double></property>
     <property name="minimumValue"><double>10.0</double></property></widget></item>
   <item row="2" column="1"><widget class="ctkSliderWidget" name="slider">
     <property name="value"><double>7</double></property></widget></item>
   <item row="3" column="1"><widget class="ctkPathLineEdit" name="path">
     <property name="filters"><set>ctkPathLineEdit::Dirs|ctkPathLineEdit::Readable</set></property></widget></item>
  </layout></widget></item>
 <item><widget class="QPushButton" name="apply"><property name="enabled"><bool>false</bool></property></widget></item>
 <item><spacer name="spacer"><property name="orientation"><enum>Qt::Vertical</enum></property></spacer></item>
</layout></widget>
<customwidgets>
 <customwidget><class>ctkCollapsibleButton</class><extends>QWidget</extends><header>h.h</header><container>1</container></customwidget>
</customwidgets>
<connections>
 <connection><sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
  <receiver>volume</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection>
 <connection><sender>apply</sender><signal>clicked()</signal><receiver>slider</receiver><slot>reset()</slot></connection>
</connections></ui>"""


@pytest.fixture
def load(tmp_path):
    def load_with(old="", new=""):
        assert old in PANEL
        path = tmp_path / "Panel.ui"
        path.write_text(PANEL.replace(old, new, 1) if old else PANEL, encoding="utf-8")
        return ui_files.load_ui(path)

    return load_with


def test_a_file_makes_its_widgets_with_their_properties(load):
    panel = load()
    ui = slicer.util.childWidgetVariables(panel)
    assert type(panel) is slicer.qMRMLWidget and type(ui.volume) is slicer.qMRMLNodeComboBox
    assert ui.inputs.text == "Inputs" and ui.inputs.collapsed is True and ui.apply.enabled is False
    assert (ui.extent.minimumValue, ui.extent.maximum, ui.slider.value) == (10.0, 50.0, 7.0)
    assert ui.volume.nodeTypes == ("vtkMRMLScalarVolumeNode",) and ui.volume.SlicerParameterName == "volume"
    assert ui.path.filters == 1 | 16
    assert panel.rows.count() == 3


def test_the_connections_of_a_file_are_made(load):
    panel = load()
    ui = slicer.util.childWidgetVariables(panel)
    panel.setMRMLScene(slicer.mrmlScene)
    assert ui.volume.mrmlScene() is slicer.mrmlScene
    ui.apply.enabled = True
    ui.apply.click()
    assert ui.slider.value == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"ctkSliderWidget"', '"ctkSlidingWidget"', "there is no class ctkSlidingWidget in Slicer"),
        ('"ctkSliderWidget"', '"ctkMessageBox"', "ctkMessageBox has no Designer plug-in"),
        ('"minimumValue"', '"lowest"', "ctkRangeWidget 'extent' has no property lowest"),
        ('"enabled"', '"enable"', "QPushButton 'apply' has no property enable"),
        ('"SlicerParameterName" stdset="0"', '"SlicerParameterName"', "has no property SlicerParameterName"),
        ("<enum>Qt::Vertical", "<enum>Qt::Orientation::Vertical", "write Qt::Vertical"),
        ('alignment="Qt::AlignTop"', 'alignment="Qt::AlignmentFlag::AlignTop"', "write Qt::AlignTop"),
        ("ctkPathLineEdit::Dirs", "ctkPathLineEdit::Folders", "no enum value ctkPathLineEdit::Folders"),
        ("<slot>reset()", "<slot>restart()", "ctkSliderWidget has no slot restart\\(\\)"),
        ("<slot>reset()", "<slot>setDecimals(int)", "the slot wants \\(int\\), the signal gives \\(\\)"),
        ("<signal>clicked()", "<signal>pushed()", "QPushButton has no signal 'pushed\\(\\)'"),
        ("<receiver>slider", "<receiver>slide", "names an object 'slide' that it does not make"),
        ('name="apply"', 'name="slider"', "two objects are called 'slider'"),
    ],
)
def test_what_the_loader_would_silently_get_wrong_is_refused(load, old, new, message):
    with pytest.raises(ValueError, match=message):
        load(old, new)


def test_a_class_without_a_stand_in_is_named(load):
    with pytest.raises(NotImplementedError, match="ctkMatrixWidget"):
        load('"ctkSliderWidget"', '"ctkMatrixWidget"')


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        ui_files.load_ui(tmp_path / "none.ui")


# --- CTK


def test_a_collapsed_button_hides_its_contents_and_brings_back_what_was_visible():
    button, layout = ctk.ctkCollapsibleButton(), qt.QVBoxLayout()
    shown, hidden = qt.QLabel("shown"), qt.QLabel("hidden")
    button.setLayout(layout)
    layout.addWidget(shown)
    layout.addWidget(hidden)
    hidden.hide()
    button.show()
    seen = []
    button.contentsCollapsed.connect(seen.append)
    full_height = button.sizeHint.height()
    button.collapsed = True
    assert not shown.visible and button.sizeHint.height() < full_height and not button.checked
    button.click()
    assert shown.visible and not hidden.visible and button.collapsed is False and seen == [True, False]


def test_a_child_shown_while_collapsed_appears_when_expanded():
    button, layout = ctk.ctkCollapsibleButton(), qt.QVBoxLayout()
    late = qt.QLabel("late")
    button.setLayout(layout)
    layout.addWidget(late)
    late.hide()
    button.collapsed = True
    button.show()
    late.show()
    assert not late.visible
    button.collapsed = False
    assert late.visible


def test_a_range_keeps_its_values_in_order_and_tells_each_change_once():
    extent, values, lows, highs = ctk.ctkRangeWidget(), [], [], []
    extent.setRange(0, 40)
    extent.setValues(5, 20)
    extent.valuesChanged.connect(lambda low, high: values.append((low, high)))
    extent.minimumValueChanged.connect(lows.append)
    extent.maximumValueChanged.connect(highs.append)
    extent.minimumValue = 30
    extent.maximumValue = 90
    extent.maximumValue = 90
    assert (extent.minimumValue, extent.maximumValue) == (30, 40)
    assert values == [(30, 30), (30, 40)] and lows == [30] and highs == [30, 40]
    assert (extent.MinimumSpinBox.value, extent.Slider.maximumValue) == (30, 40)


def test_the_handles_of_a_range_can_be_dragged():
    extent = ctk.ctkDoubleRangeSlider()
    extent.setRange(0, 100)
    extent.resize(210, 22)
    extent.show()
    for kind, x in ((qt.QEvent.MouseButtonPress, 205), (qt.QEvent.MouseMove, 105), (qt.QEvent.MouseButtonRelease, 105)):
        position = qt.QPointF(x, 11)
        slicer.app.sendEvent(extent, qt.QMouseEvent(kind, position, position, qt.Qt.LeftButton, qt.Qt.LeftButton, qt.Qt.NoModifier))
    assert (extent.minimumValue, extent.maximumValue) == (0, 50)


def test_slider_and_spin_box_of_a_slider_widget_agree():
    slider, seen = ctk.ctkSliderWidget(), []
    slider.decimals = 0
    slider.maximum = 20
    slider.valueChanged.connect(seen.append)
    slider.SpinBox.value = 12
    slider.Slider.value = 15
    slider.value = 99
    assert (slider.value, slider.SpinBox.value, slider.Slider.value) == (20, 20, 20) and seen == [12, 15, 20]


def test_a_path_line_says_whether_the_path_is_there(tmp_path):
    line, valid = ctk.ctkPathLineEdit(), []
    line.filters = ctk.ctkPathLineEdit.Dirs
    line.connect("validInputChanged(bool)", valid.append)
    line.currentPath = str(tmp_path)
    line.setCurrentPath(str(tmp_path / "none"))
    assert valid == [True, False] and line.currentPath.endswith("none")


def test_a_directory_button_tells_a_new_directory(tmp_path):
    button, seen = ctk.ctkDirectoryButton(), []
    button.directoryChanged.connect(seen.append)
    button.directory = str(tmp_path)
    button.directory = str(tmp_path)
    assert seen == [str(tmp_path)]


def test_a_combo_box_is_set_by_user_data():
    combo_box = ctk.ctkComboBox()
    combo_box.addItem("Lung", "lung")
    combo_box.addItem("Bone", "bone")
    combo_box.currentUserDataAsString = "bone"
    assert combo_box.currentText == "Bone"


def test_all_ctk_stand_ins_paint_themselves():
    for name in (
        "ctkCollapsibleButton",
        "ctkRangeWidget",
        "ctkSliderWidget",
        "ctkComboBox",
        "ctkColorPickerButton",
        "ctkCheckablePushButton",
    ):
        widget = getattr(ctk, name)()
        widget.resize(120, 30)
        picture = widget.grab().toImage()
        colors = {picture.pixel(x, y) for x in range(0, 120, 3) for y in range(0, 30, 3)}
        assert len(colors) > 1, name
