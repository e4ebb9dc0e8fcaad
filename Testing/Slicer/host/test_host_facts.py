"""What a real Slicer answered (`real_facts.json`, from 5.12.3 with Qt 5.15), asked of the host."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import ctk
import pytest
import qt
import slicer
from slicer.parameterNodeWrapper import parameterNodeWrapper
from worlds import waitFor

from slicer_host import facts as known_facts
from slicer_host.modules.scripted_module import enter_module, leave_module, load_module, reload_module
from slicer_host.pythonqt import truth

REAL = json.loads((Path(__file__).parents[1] / "real_facts.json").read_text(encoding="utf-8"))
_QT_5_ONLY = {"QRegExp"}  # the module must run with Qt 6 too, so the host refuses them
_BY_DEFAULT = {name: truth for name, truth in REAL["bool_default"].items() if isinstance(truth, bool) and name not in _QT_5_ONLY}


# --- the truth of objects


@pytest.mark.parametrize("className", _BY_DEFAULT)
def test_an_object_without_content_is_as_true_as_in_slicer(className):
    assert bool(getattr(qt, className)()) is _BY_DEFAULT[className]


def test_all_of_the_facts_on_truth_are_asked():
    unasked = {name for name, truth in REAL["bool_default"].items() if name not in _BY_DEFAULT and isinstance(truth, bool)}
    assert unasked == _QT_5_ONLY and len(_BY_DEFAULT) > 100


def test_an_object_with_content_is_as_true_as_in_slicer():
    layout = qt.QVBoxLayout()
    layout.addWidget(qt.QLabel("never shown"))
    made = {
        "QVBoxLayout 1 item": layout,
        "QPixmap 4x4": qt.QPixmap(4, 4),
        "QIcon pixmap": qt.QIcon(qt.QPixmap(4, 4)),
        "QKeySequence Ctrl+A": qt.QKeySequence("Ctrl+A"),
        "qt.QSpacerItem(1,1)": qt.QSpacerItem(1, 1),
        "qt.QByteArray(b'a')": qt.QByteArray(b"a"),
        "ctk.ctkPathLineEdit()": ctk.ctkPathLineEdit(),
        "ctk.ctkRangeWidget()": ctk.ctkRangeWidget(),
        "ctk.ctkCollapsibleButton()": ctk.ctkCollapsibleButton(),
        "slicer.qMRMLNodeComboBox()": slicer.qMRMLNodeComboBox(),
    }
    assert {name: bool(thing) for name, thing in made.items()} == {name: REAL["bool_special"][name] for name in made}


def test_a_layout_is_true_once_something_in_it_can_be_seen():
    window = qt.QWidget()
    layout = qt.QVBoxLayout(window)
    assert not layout
    label = qt.QLabel("a")
    layout.addWidget(label)
    assert layout
    label.visible = False
    assert not layout


def test_a_destroyed_layout_is_false_too():
    window = qt.QWidget()
    layout = qt.QVBoxLayout(window)
    window.delete()
    assert not layout


# --- what slicer.util finds

_PAGE = """<ui version="4.0"><class>Form</class><widget class="QWidget" name="Form"><layout class="QVBoxLayout" name="outer">
 <item><widget class="QLabel" name="lab"/></item>
 <item><layout class="QVBoxLayout" name="emptyBox"/></item>
 <item><layout class="QHBoxLayout" name="fullBox"><item><widget class="QListWidget" name="emptyList"/></item>
  <item><widget class="QComboBox" name="emptyCombo"/></item></layout></item>
 <item><widget class="QTableWidget" name="emptyTable"/></item>
 <item><spacer name="gap"><property name="orientation"><enum>Qt::Vertical</enum></property></spacer></item>
</layout><action name="act"/></widget></ui>"""


@pytest.fixture
def a_page(tmp_path):
    path = tmp_path / "Form.ui"
    path.write_text(_PAGE, encoding="utf-8")
    return slicer.util.loadUI(str(path))


def test_variables_of_child_widgets_leave_out_empty_layouts_and_spacers(a_page):
    found = vars(slicer.util.childWidgetVariables(a_page))
    assert set(REAL["childWidgetVariables"]) <= set(found)
    assert not {"emptyBox", "gap"} & set(found)


def test_find_children_is_slicers_own(a_page):
    assert {child.className() for child in slicer.util.findChildren(a_page, name="empty*")} == {"QListWidget", "QComboBox", "QTableWidget"}
    assert slicer.util.findChildren(a_page, name="emptyBox") == []


# --- names


@pytest.mark.parametrize("className", ["QPicture", "QMatrix4x4", "QVector2D", "QVector3D"])
def test_a_class_that_slicer_has_is_known(className):
    assert known_facts.is_class(className)
    getattr(qt, className)()


_USED = [
    (uses["class"], name, kind.removesuffix(" NOTCALLED"))  # a method that was only named there
    for uses in REAL["ui_names"].values()
    if isinstance(uses, dict)
    for name, kind in uses.items()
    if name not in ("class", "page", "connect")
]


def test_each_name_that_the_panel_uses_is_property_or_method_as_in_slicer():
    found = {(className, name): known_facts.find_member(className, name) for className, name, _ in _USED}
    kinds = {key: None if member is None else "property" if member.kind == "property" else "method" for key, member in found.items()}
    assert kinds == {(className, name): kind for className, name, kind in _USED}


# --- signals and texts


def _tableItem():
    table = qt.QTableWidget(1, 1)
    table.setItem(0, 0, qt.QTableWidgetItem("a"))
    return table


# signal as the facts name it -> the object, and what is done to it
_ACTS = {
    "QPushButton.clicked()": (qt.QPushButton, lambda one: one.click()),
    "QPushButton.clicked(bool)": (qt.QPushButton, lambda one: one.click()),
    "QCheckBox.toggled(bool)": (qt.QCheckBox, lambda one: (one.click(), setattr(one, "checked", False))),
    "QCheckBox.clicked(bool)": (qt.QCheckBox, lambda one: (one.click(), setattr(one, "checked", False))),
    "QLineEdit.textChanged(QString)": (qt.QLineEdit, lambda one: one.setText("a")),
    "QSpinBox.valueChanged(int)": (qt.QSpinBox, lambda one: one.setValue(3)),
    "ctkRangeWidget.valuesChanged(double,double)": (ctk.ctkRangeWidget, lambda one: one.setValues(2, 5)),
    "QTableWidget.itemChanged(QTableWidgetItem*)": (_tableItem, lambda one: one.item(0, 0).setText("b")),
    "QTableWidget.itemSelectionChanged()": (_tableItem, lambda one: one.selectRow(0)),
}


@pytest.mark.parametrize("name", _ACTS)
def test_a_signal_brings_the_arguments_that_it_brings_in_slicer(name):
    make, act = _ACTS[name]
    thing, heard = make(), []
    thing.connect(name.partition(".")[2], lambda *arguments: heard.append([type(argument).__name__ for argument in arguments]))
    act(thing)
    assert heard == REAL["signals"][name]


def test_what_is_put_off_comes_in_slicer_s_order():
    button, order = qt.QPushButton(), []
    button.connect("clicked()", lambda: order.append("direct signal"))
    timers = [qt.QTimer() for _ in range(2)]
    qt.QTimer.singleShot(0, lambda: order.append("singleShot0 first"))
    timers[0].setSingleShot(True)
    timers[0].connect("timeout()", lambda: order.append("timer0 second"))
    timers[0].start(0)
    qt.QTimer.singleShot(1, lambda: order.append("singleShot1"))
    button.click()
    order.append("code after")
    waitFor(lambda: len(order) == 5, 5)
    assert order == REAL["order_singleShot"]


# --- buttons of dialogs


def test_buttons_of_a_dialog_are_default_and_auto_default_as_in_slicer():
    dialog = qt.QDialog()
    layout = qt.QVBoxLayout(dialog)
    plain = {name: qt.QPushButton(name) for name in REAL["dialog_buttons"]["plain"]}
    for button in plain.values():
        layout.addWidget(button)
    assert {name: [one.isDefault(), one.autoDefault] for name, one in plain.items()} == REAL["dialog_buttons"]["plain"]
    boxed = qt.QDialog()
    box = qt.QDialogButtonBox(boxed)
    box.setStandardButtons(qt.QDialogButtonBox.Ok | qt.QDialogButtonBox.Cancel)
    qt.QVBoxLayout(boxed).addWidget(box)
    boxed.show()
    found = {name: box.button(getattr(qt.QDialogButtonBox, name)) for name in REAL["dialog_buttons"]["box"]}
    assert {name: [one.isDefault(), one.autoDefault] for name, one in found.items()} == REAL["dialog_buttons"]["box"]
    boxed.close()


def test_a_button_outside_of_a_dialog_is_neither():
    button = qt.QPushButton()
    assert [button.isDefault(), button.autoDefault] == REAL["panel_button_autoDefault"]["acceptButton"]


def test_connecting_to_none_does_nothing_and_an_unknown_signal_is_an_error_though_slicer_is_silent():
    button = qt.QPushButton()
    assert str(button.connect("clicked()", None)) == REAL["signals"]["connect None"]
    button.click()
    assert REAL["signals"]["bad signal"] == "False"
    with pytest.raises(ValueError, match="no signal"):
        button.connect("nope()", print)


def test_a_tooltip_comes_back_as_rich_text_with_its_lines():
    button = qt.QPushButton()
    assert button.toolTip == ""
    button.toolTip = "a < b\nNot now: c"
    assert button.toolTip.startswith("<p>a &lt; b<br>") and button.toolTip.endswith("Not now: c</p>")
    button.toolTip = "<b>a</b>"
    assert button.toolTip == "<b>a</b>"


def test_a_parameter_node_s_widgets_speak_while_they_are_connected():
    @parameterNodeWrapper
    class Chosen:
        volume: slicer.vtkMRMLScalarVolumeNode

    selector = slicer.qMRMLNodeComboBox()
    selector.setMRMLScene(slicer.mrmlScene)
    heard = []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append)
    Chosen(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")).connectParametersToGui({"volume": selector})
    assert heard


def test_a_tuple_without_a_default_fails_on_the_second_node():
    @parameterNodeWrapper
    class Paired:
        pair: tuple[int, str]

    nodes = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode") for _ in range(2)]
    assert Paired(nodes[0]).pair == (0, "")
    with pytest.raises(ValueError, match="Unexpected number of tuple values"):
        Paired(nodes[1])


def test_a_widget_that_is_reloaded_where_it_is_shown_is_entered_already(tmp_path):
    path = tmp_path / "Shown.py"
    path.write_text(
        "from slicer.ScriptedLoadableModule import *\n"
        "class Shown(ScriptedLoadableModule): pass\n"
        "class ShownWidget(ScriptedLoadableModuleWidget):\n"
        "    def setup(self):\n"
        "        self.atSetup, self.calls = self.parent.isEntered, []\n"
        "    def enter(self): self.calls.append('enter')\n"
    )
    load_module(path)
    assert enter_module("Shown").atSetup is False
    again = reload_module("Shown")
    assert again.atSetup is True and again.calls == []
    leave_module("Shown")
    assert reload_module("Shown").atSetup is False


# --- the module under these facts


def test_code_of_the_module_may_not_ask_for_the_truth_of_a_qt_object():
    path = str(truth.strict_folders[0])
    asking = compile("answer = bool(thing)", f"{path}/SAM2AnnotateSlicer/Somewhere.py", "exec")
    for thing in (qt.QVBoxLayout(), qt.QLabel(), qt.QIcon()):
        with pytest.raises(AssertionError, match="compare with None"):
            exec(asking, {"thing": thing})


def test_every_name_that_a_page_takes_from_its_ui_file_is_one_that_slicer_gives():
    """A named layout without content, or a spacer, would be in the file and yet not among the variables."""
    from SAM2AnnotateSlicer.Panel.PanelControls import controls

    folder = Path(truth.strict_folders[0])
    missing = {}
    for page, users in _USERS_OF_PAGES.items():
        found = vars(slicer.util.childWidgetVariables(slicer.util.loadUI(str(folder / "Resources" / "UI" / f"{page}.ui"))))
        used = set().union(*(_namesOf(path) for pattern in users for path in folder.glob(f"SAM2AnnotateSlicer/{pattern}")))
        if page == "SAM2Annotate":
            used |= {name for control in controls() for name in control.objectNames}
        assert len(used) > 4, page
        missing |= {page: used - set(found)} if used - set(found) else {}
    assert missing == {}


_USERS_OF_PAGES = {
    "SAM2Annotate": ("Panel/*.py",),
    "NnunetExport": ("Nnunet/NnunetPage.py",),
    "Server": ("SetUp/ServerPage.py",),
    "SetUp": ("SetUp/SetUpPage.py",),
    "Worklist": ("Worklist/WorklistPage.py",),
}


def _namesOf(path: Path) -> set[str]:
    """What a file reads from an object called `ui` or `_ui`."""
    return {
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and (getattr(node.value, "id", "") == "ui" or getattr(node.value, "attr", "") in ("ui", "_ui"))
    }


def test_all_ui_files_are_looked_at():
    assert {path.stem for path in Path(truth.strict_folders[0]).glob("Resources/UI/*.ui")} == set(_USERS_OF_PAGES)
