"""The host's Qt objects take and refuse what PythonQt takes and refuses: attributes, calls, enums, conversions, lifetime."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import ctk
import pytest
import qt
import slicer

from slicer_host import extract_facts, facts, pythonqt, registry

SHARED_FACTS = Path("/work/shared/slicer-api")

# --- attributes


def test_a_property_is_a_value_and_no_method():
    button = qt.QPushButton("Apply")
    assert button.text == "Apply"
    with pytest.raises(TypeError, match="'str' object is not callable"):
        button.text()
    button.text = "Go"
    button.setText(button.text + "!")
    assert button.text == "Go!"


def test_a_getter_of_another_name_stays_a_method():
    button = qt.QPushButton()
    button.checkable = True
    button.checked = True
    assert button.isChecked() is True and button.checked is True
    assert qt.QLabel().isVisible() is False


def test_a_read_only_property_cannot_be_set():
    with pytest.raises(AttributeError, match="'count' of QComboBox object is not writable"):
        qt.QComboBox().count = 3


def test_a_property_refuses_a_value_that_does_not_fit():
    spin_box = qt.QSpinBox()
    with pytest.raises(AttributeError, match="'value' of QSpinBox is int and does not accept 'five'"):
        spin_box.value = "five"
    spin_box.value = 5
    assert spin_box.value == 5


def test_an_unknown_attribute_can_neither_be_read_nor_set():
    button = qt.QPushButton()
    with pytest.raises(AttributeError, match="QPushButton has no attribute named 'caption'"):
        button.caption  # noqa: B018
    with pytest.raises(AttributeError, match="creating new attributes on C\\+\\+ objects is not allowed"):
        button.caption = "Apply"


def test_methods_and_signals_cannot_be_overwritten():
    button = qt.QPushButton()
    with pytest.raises(AttributeError, match="Slot 'click' can not be overwritten"):
        button.click = print
    with pytest.raises(AttributeError, match="Signal 'clicked' can not be overwritten"):
        button.clicked = print


def test_instances_of_python_subclasses_take_new_attributes_but_no_names_of_qt():
    class Strip(qt.QWidget):
        pass

    strip = Strip()
    strip.cells = [1, 2]
    assert strip.cells == [1, 2]
    with pytest.raises(AttributeError, match="'x' of QWidget object is not writable"):
        strip.x = 1
    with pytest.raises(AttributeError, match="Slot 'update' can not be overwritten"):
        strip.update = None


def test_name_is_the_object_name():
    label = qt.QLabel()
    label.name = "title"
    assert (label.objectName, label.name) == ("title", "title")


def test_a_direct_child_is_an_attribute_by_its_name_and_a_grandchild_is_none():
    window, middle = qt.QWidget(), qt.QWidget()
    inner = qt.QLabel("deep", middle)
    middle.setParent(window)
    middle.objectName, inner.objectName = "middle", "inner"
    assert window.middle == middle and window.middle.inner.text == "deep"
    with pytest.raises(AttributeError, match="no attribute named 'inner'"):
        window.inner  # noqa: B018


def test_dynamic_properties_are_attributes_once_they_exist():
    widget = qt.QWidget()
    widget.setProperty("SlicerParameterName", "volume")
    assert widget.SlicerParameterName == "volume" == widget.property("SlicerParameterName")
    widget.SlicerParameterName = "segment"
    assert widget.property("SlicerParameterName") == "segment"


@pytest.mark.parametrize(
    ("read", "versions"),
    [
        (lambda: qt.QComboBox().textHighlighted, None),
        (lambda: qt.QFontMetrics(qt.QFont()).width, "Qt 5"),
        (lambda: qt.QProcess().startCommand, "Qt 6"),
        (lambda: qt.QRegExp, "Qt 5"),
        (lambda: slicer.qMRMLNodeComboBox().nodeAddedByUserAction, "Slicer 5.10"),
    ],
)
def test_a_name_that_some_slicer_lacks_is_refused_with_the_versions(read, versions):
    if versions is None:
        assert read() is not None
    else:
        with pytest.raises(AttributeError, match=versions):
            read()


def test_a_member_that_moved_between_classes_from_qt_5_to_6_is_accepted():
    position, button = qt.QPointF(3, 4), qt.Qt.LeftButton
    event = qt.QMouseEvent(qt.QEvent.MouseButtonPress, position, button, button, qt.Qt.NoModifier)
    assert event.button() == qt.Qt.LeftButton and event.pos() == qt.QPoint(3, 4)


def test_names_that_the_modules_do_not_have_are_refused():
    with pytest.raises(AttributeError, match="module 'qt' has no attribute 'QtWidgets'"):
        qt.QtWidgets  # noqa: B018
    with pytest.raises(AttributeError, match="module 'ctk' has no attribute 'QLabel'"):
        ctk.QLabel  # noqa: B018


# --- calls


def test_keyword_arguments_are_refused():
    with pytest.raises(ValueError, match="setText\\(\\) takes no keyword arguments"):
        qt.QLabel().setText(text="x")
    with pytest.raises(ValueError, match="QLabel\\(\\) takes no keyword arguments"):
        qt.QLabel(text="x")


def test_a_wrong_number_of_arguments_is_a_value_error():
    with pytest.raises(ValueError, match="setText\\(\\) called with 2 arguments"):
        qt.QLabel().setText("a", "b")
    with pytest.raises(ValueError, match="connect"):
        qt.QPushButton().connect()


def test_the_lax_round_makes_strings_floors_numbers_and_takes_anything_for_a_bool():
    label, spin_box, button = qt.QLabel(), qt.QSpinBox(), qt.QPushButton()
    label.setText(None)
    spin_box.setValue(3.7)
    button.checkable = "no"
    assert (label.text, spin_box.value, button.checkable) == ("None", 3, True)
    with pytest.raises(ValueError, match="does not take \\(str\\)"):
        spin_box.setValue("5")


def test_a_cpp_only_method_of_ctk_is_refused_with_the_reason():
    button = ctk.ctkCollapsibleButton()
    with pytest.raises(AttributeError, match="neither slot nor invokable"):
        button.setCollapsed(True)
    button.collapsed = True
    assert button.collapsed is True


def test_a_trailing_underscore_is_accepted_on_methods():
    assert qt.QWidget().raise_() is None
    with pytest.raises(AttributeError):
        qt.QLabel("x").text_  # noqa: B018


def test_output_parameters_are_dropped():
    answers = []

    def close():
        dialog = qt.QApplication.activeModalWidget()
        answers.append(dialog.className())
        dialog.setTextValue("liver")
        dialog.accept()

    qt.QTimer.singleShot(20, close)
    assert qt.QInputDialog.getText(None, "Segment", "Name") == "liver"
    assert answers == ["QInputDialog"]


def test_a_class_without_a_stand_in_cannot_be_constructed():
    with pytest.raises(NotImplementedError, match="ctkMatrixWidget.*no stand-in"):
        ctk.ctkMatrixWidget()


def test_a_class_without_a_constructor_cannot_be_constructed():
    with pytest.raises(TypeError, match="objects of QApplication cannot be made from Python"):
        qt.QApplication()


# --- values


def test_enums_are_numbers_by_class_and_by_enum():
    assert qt.QSizePolicy.Preferred == qt.QSizePolicy.Policy.Preferred == 5
    assert isinstance(qt.Qt.AlignLeft, int)
    assert type(qt.Qt.AlignLeft | qt.Qt.AlignTop) is int
    label = qt.QLabel()
    label.setAlignment(qt.Qt.AlignRight | qt.Qt.AlignTop)
    assert label.alignment == qt.Qt.AlignRight | qt.Qt.AlignTop
    label.setSizePolicy(7, 0)
    assert label.sizePolicy.horizontalPolicy() == qt.QSizePolicy.Expanding


def test_an_enum_value_that_does_not_exist_is_refused():
    with pytest.raises(AttributeError, match="Qt has no attribute named 'AlignMiddle'"):
        qt.Qt.AlignMiddle  # noqa: B018


def test_lists_come_back_as_tuples_and_null_strings_as_empty_ones():
    combo_box = qt.QComboBox()
    combo_box.addItems(["a", "b"])
    window = qt.QWidget()
    label = qt.QLabel("x", window)
    assert window.findChildren(qt.QLabel) == (label,)
    assert window.findChildren("QLabel") == (label,) and window.findChildren("QSlider") == ()
    assert window.children() == (label,)
    assert qt.QLabel().text == ""


def test_arbitrary_objects_survive_in_item_data():
    combo_box, payload = qt.QComboBox(), object()
    combo_box.addItem("object", payload)
    combo_box.addItem("dict", {"slices": [1, 2]})
    combo_box.addItem("widget", combo_box)
    assert combo_box.itemData(0) is payload and combo_box.findText("object") == 0
    assert combo_box.itemData(1) == {"slices": (1, 2)}
    assert combo_box.itemData(2) == combo_box and combo_box.itemData(9) is None


def test_bytes_come_from_data():
    assert qt.QByteArray(b"a\n").data() == b"a\n"


def test_values_compare_and_add_up():
    assert qt.QPoint(1, 2) + qt.QPoint(3, 4) == qt.QPoint(4, 6)
    assert qt.QColor(255, 0, 0) == qt.QColor("red") != qt.QColor("blue")
    assert qt.QRect(0, 0, 5, 6).contains(qt.QPoint(4, 5))


def test_pens_and_brushes_are_made_from_colors_but_not_from_texts():
    picture = qt.QImage(4, 4, qt.QImage.Format_RGB32)
    painter = qt.QPainter(picture)
    painter.setPen(qt.Qt.NoPen)
    painter.setBrush(qt.QColor(0, 0, 255))
    painter.drawRect(0, 0, 4, 4)
    with pytest.raises(ValueError, match="does not take \\(str\\)"):
        painter.setBrush("blue")
    painter.end()
    assert picture.pixelColor(2, 2).name() == "#0000ff"


def test_settings_keep_values_and_give_defaults(tmp_path):
    settings = qt.QSettings(str(tmp_path / "s.ini"), qt.QSettings.IniFormat)
    settings.setValue("SAM2Annotate/model", "tiny")
    settings.setValue("SAM2Annotate/recent", ["a", "b"])
    assert settings.value("SAM2Annotate/model") == "tiny"
    assert settings.value("SAM2Annotate/recent") == ("a", "b")
    assert settings.value("missing", 4) == 4 and settings.value("missing") is None
    with pytest.raises(ValueError, match="keyword"):
        settings.value("missing", type=int)


# --- lifetime and ownership


def test_the_proxy_of_a_live_object_is_the_same_one():
    label = qt.QLabel()
    layout = qt.QVBoxLayout()
    layout.addWidget(label)
    assert layout.itemAt(0).widget() is label
    assert pythonqt.wrap(pythonqt.unwrap(label)) is label


def test_a_parentless_object_dies_with_its_last_reference():
    hits = []
    timer = qt.QTimer()
    timer.timeout.connect(lambda: hits.append("timeout"))
    timer.start(1)
    del timer
    qt.QTimer.singleShot(30, lambda: hits.append("later"))
    _wait_for(lambda: "later" in hits)
    assert hits == ["later"]


def test_a_destroyed_object_is_falsy_equals_none_and_raises():
    window = qt.QWidget()
    label = qt.QLabel("x", window)
    assert label and label != None  # noqa: E711 - the comparison is what PythonQt overloads
    window.delete()
    assert not label and label == None and label is not None  # noqa: E711
    for use in (lambda: label.text, lambda: label.show(), lambda: label.setText("y")):
        with pytest.raises(ValueError, match="destroyed QLabel"):
            use()


def test_an_instance_of_a_subclass_lives_on_with_its_parent():
    class Panel(qt.QFrame):
        pass

    window = qt.QWidget()
    panel = Panel(window)
    panel.note = "kept"
    del panel
    gc.collect()
    (found,) = window.children()
    assert isinstance(found, Panel) and found.note == "kept"


def test_isinstance_and_class_name_follow_the_classes_of_cpp():
    button = ctk.ctkCollapsibleButton()
    assert isinstance(button, qt.QAbstractButton) and type(button) is ctk.ctkCollapsibleButton
    assert button.className() == "ctkCollapsibleButton"
    assert button.inherits("QWidget") and not button.inherits("QPushButton")


# --- the facts


def test_every_class_of_the_facts_makes_a_proxy_class():
    for name in facts.load()["classes"]:
        assert pythonqt.qt_class(name).qt_class_name == name


def test_the_facts_say_where_they_are_from():
    head = json.loads(facts.FACTS_PATH.read_text(encoding="utf-8"))
    assert "Slicer" in head["sources"] and "PySide6" in head["sources"]["Qt meta objects"]
    assert facts.FACTS_PATH.stat().st_size < 1_500_000


@pytest.mark.skipif(not SHARED_FACTS.is_dir(), reason="the facts that facts.json was made from are not here")
def test_the_facts_are_those_of_the_shared_folder():
    assert json.loads(json.dumps(extract_facts.extract(SHARED_FACTS))) == json.loads(facts.FACTS_PATH.read_text(encoding="utf-8"))


def test_every_stand_in_is_of_a_known_class():
    assert [name for name in registry._STAND_INS if not facts.is_class(name)] == []


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal there")
def test_calls_of_pyside_do_not_use_up_none():
    label = qt.QLabel()
    before = sys.getrefcount(None)
    for _ in range(10):
        label.setText("x")
    assert before > 1 << 40 and sys.getrefcount(None) > 1 << 40


def _wait_for(condition, milliseconds=2000):
    clock = qt.QElapsedTimer()
    clock.start()
    while not condition() and clock.elapsed() < milliseconds:
        slicer.app.processEvents()
    assert condition(), "what the test waits for did not happen"
