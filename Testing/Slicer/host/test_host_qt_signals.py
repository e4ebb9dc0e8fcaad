"""Signals, overridden methods, processes and keys of the host behave as under PythonQt in Slicer."""

from __future__ import annotations

import functools
import sys

import pytest
import qt
import slicer

from slicer_host import pythonqt
from slicer_host.pythonqt import press_key, slot_errors


def wait_for(condition, milliseconds=5000):
    """Let events be handled until something is so."""
    clock = qt.QElapsedTimer()
    clock.start()
    while not condition() and clock.elapsed() < milliseconds:
        slicer.app.processEvents()
    assert condition(), "what the test waits for did not happen"


@pytest.fixture
def a_button():
    button = qt.QPushButton("Apply")
    button.checkable = True
    return button


@pytest.fixture
def a_window():
    window = qt.QMainWindow()
    window.setCentralWidget(qt.QLineEdit())
    window.show()
    yield window
    window.close()


# --- connecting


def test_a_receiver_gets_as_many_arguments_as_it_declares_defaults_included(a_button):
    got = []
    a_button.clicked.connect(lambda: got.append(()))
    a_button.clicked.connect(lambda index=7: got.append((index,)))
    a_button.clicked.connect(lambda *everything: got.append(everything))
    a_button.click()
    assert got == [(), (True,), (True,)]


def test_a_bound_method_gets_what_it_declares_besides_self(a_button):
    class Panel:
        def __init__(self):
            self.got = []

        def on_clicked(self):
            self.got.append("nothing")

        def on_toggled(self, checked):
            self.got.append(checked)

    panel = Panel()
    a_button.clicked.connect(panel.on_clicked)
    a_button.connect("toggled(bool)", panel.on_toggled)
    a_button.click()
    assert sorted(panel.got, key=str) == [True, "nothing"]


def test_a_partial_gets_all_arguments(a_button):
    got = []
    a_button.clicked.connect(functools.partial(lambda *everything: got.append(everything), "first"))
    a_button.click()
    assert got == [("first", True)]


def test_the_signature_decides_how_many_arguments_there_are(a_button):
    got = []
    a_button.connect("clicked()", lambda *everything: got.append(everything))
    a_button.connect("clicked( bool )", lambda *everything: got.append(everything))
    a_button.click()
    assert sorted(got) == [(), (True,)]


@pytest.mark.parametrize("signature", ["clicked", "clicked(int)", "pushed()", ""])
def test_a_wrong_signature_raises(a_button, signature):
    with pytest.raises(ValueError, match="QPushButton has no signal"):
        a_button.connect(signature, print)


def test_an_overload_that_qt_6_dropped_raises():
    with pytest.raises(ValueError, match="only in builds with Qt 5"):
        qt.QComboBox().connect("currentIndexChanged(QString)", print)


def test_signals_are_not_subscripted(a_button):
    with pytest.raises(TypeError, match="cannot be subscripted"):
        a_button.clicked[bool]


def test_what_cannot_be_called_cannot_be_connected(a_button):
    with pytest.raises(ValueError, match="something to call"):
        a_button.clicked.connect("on_clicked")


def test_both_ways_to_disconnect(a_button):
    got = []

    def receiver(checked):
        got.append(checked)

    a_button.clicked.connect(receiver)
    assert a_button.clicked.disconnect(receiver) is True
    a_button.connect("clicked(bool)", receiver)
    assert a_button.disconnect("clicked(bool)", receiver) is True
    a_button.click()
    assert got == [] and a_button.clicked.disconnect(receiver) is False


def test_a_slot_of_qt_and_another_signal_can_be_receivers(a_button):
    other, seen = qt.QPushButton(), []
    dialog = qt.QDialog()
    dialog.show()
    other.checkable = True
    other.toggled.connect(seen.append)
    a_button.connect("clicked()", dialog.accept)
    a_button.connect("toggled(bool)", other, "setChecked(bool)")
    a_button.clicked.connect(other.clicked)
    a_button.clicked.connect(other.pressed)  # which has no argument
    other.pressed.connect(lambda: seen.append("pressed"))
    other.clicked.connect(lambda checked: seen.append(("clicked", checked)))
    a_button.click()
    assert dialog.result() == qt.QDialog.Accepted
    assert seen == [True, ("clicked", True), "pressed"]


def test_signals_can_be_emitted_and_called(a_button):
    got = []
    a_button.clicked.connect(got.append)
    a_button.clicked.emit(True)
    a_button.clicked(False)
    assert got == [True, False]


def test_blocked_signals_are_not_emitted():
    spin_box, got = qt.QSpinBox(), []
    spin_box.valueChanged.connect(got.append)
    was_blocked = spin_box.blockSignals(True)
    spin_box.value = 3
    spin_box.blockSignals(was_blocked)
    spin_box.value = 4
    assert was_blocked is False and got == [4]


def test_an_exception_in_a_slot_does_not_reach_the_emitter_and_is_remembered(a_button, capsys):
    def fail():
        raise RuntimeError("no volume")

    a_button.clicked.connect(fail)
    a_button.click()
    (error,) = slot_errors
    slot_errors.clear()  # the fixture of all tests would fail this one
    assert str(error) == "no volume" and "no volume" in capsys.readouterr().err


def test_mrml_objects_pass_through_signals_untouched():
    selector, seen = slicer.qMRMLNodeComboBox(), []
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.setMRMLScene(slicer.mrmlScene)
    selector.connect("currentNodeChanged(vtkMRMLNode*)", seen.append)
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    selector.setCurrentNode(volume)
    assert seen and seen[-1] is volume


def test_a_timer_fires_and_single_shot_is_a_function():
    hits, timer = [], qt.QTimer()
    with pytest.raises(AttributeError):
        timer.singleShot = True
    timer.setSingleShot(True)
    timer.timeout.connect(lambda: hits.append("timer"))
    timer.start(1)
    qt.QTimer.singleShot(0, lambda: hits.append("static"))
    wait_for(lambda: len(hits) == 2)
    assert sorted(hits) == ["static", "timer"] and not timer.isActive()


# --- subclasses


class Strip(qt.QWidget):
    """Paints itself red and notes what happens to it."""

    def __init__(self, parent=None):
        qt.QWidget.__init__(self, parent)
        self.seen = []

    def paintEvent(self, event):
        painter = qt.QPainter(self)
        painter.fillRect(event.rect(), qt.QColor(255, 0, 0))
        painter.end()

    def sizeHint(self):
        return qt.QSize(40, 12)

    def mousePressEvent(self, event):
        self.seen.append((event.x(), event.y(), event.button()))
        qt.QWidget.mousePressEvent(self, event)

    def closeEvent(self, event):
        self.seen.append("close")
        event.accept()


def test_an_overridden_paint_event_paints():
    strip = Strip()
    strip.resize(strip.sizeHint())
    picture = strip.grab().toImage()
    assert picture.width() == 40 and picture.pixelColor(20, 6).name() == "#ff0000"


def test_an_overridden_size_hint_reaches_the_layout():
    window, layout = qt.QWidget(), qt.QVBoxLayout()
    window.setLayout(layout)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(Strip())
    assert window.layout().sizeHint().height() == 12


def test_events_reach_overrides_and_the_base_can_be_called():
    strip = Strip()
    strip.show()
    position = qt.QPointF(3, 4)
    press = qt.QMouseEvent(qt.QEvent.MouseButtonPress, position, position, qt.Qt.LeftButton, qt.Qt.LeftButton, qt.Qt.NoModifier)
    slicer.app.sendEvent(strip, press)
    strip.close()
    assert strip.seen == [(3, 4, qt.Qt.LeftButton), "close"]


def test_super_does_not_reach_methods_of_qt(capsys):
    class Dialog(qt.QDialog):
        def accept(self):
            super().accept()

    dialog = Dialog()
    with pytest.raises(AttributeError, match="'super' object has no attribute 'accept'"):
        dialog.accept()


class Filter(qt.QObject):
    def __init__(self, answer):
        qt.QObject.__init__(self)
        self.answer = answer
        self.seen = []

    def eventFilter(self, watched, event):
        self.seen.append((watched, event.type()))
        return self.answer


def test_an_event_filter_sees_and_may_stop_events():
    widget, watcher = qt.QWidget(), Filter(False)
    widget.installEventFilter(watcher)
    widget.show()
    assert (widget, qt.QEvent.Show) in watcher.seen
    widget.removeEventFilter(watcher)


def test_an_event_filter_must_return_a_bool():
    widget, watcher = qt.QWidget(), Filter(None)
    widget.installEventFilter(watcher)
    slicer.app.sendEvent(widget, qt.QEvent(qt.QEvent.User))
    widget.removeEventFilter(watcher)
    messages = {str(error) for error in slot_errors}
    slot_errors.clear()
    assert messages == {"Filter.eventFilter must return True or False, it returned None"}


def test_a_delegate_paints_its_items():
    class Cells(qt.QStyledItemDelegate):
        def paint(self, painter, option, index):
            painter.fillRect(option.rect, qt.QColor(0, 0, 255))

        def sizeHint(self, option, index):
            return qt.QSize(50, 30)

    items, delegate = qt.QListWidget(), Cells()
    items.addItem("a")
    items.setItemDelegate(delegate)
    items.resize(100, 60)
    assert items.sizeHintForRow(0) == 30
    assert items.grab().toImage().pixelColor(20, 20).name() == "#0000ff"


def test_overrides_in_subclasses_of_slicer_classes_are_never_called_from_cpp():
    class Selector(slicer.qMRMLNodeComboBox):
        def sizeHint(self):
            return qt.QSize(999, 999)

    window, layout = qt.QWidget(), qt.QVBoxLayout()
    window.setLayout(layout)
    layout.addWidget(Selector())
    assert layout.sizeHint().width() < 900


def test_a_subclass_that_does_not_call_its_base_says_so():
    class Forgetful(qt.QWidget):
        def __init__(self):
            pass

    with pytest.raises(ValueError, match="call qt.QWidget.__init__\\(self\\)"):
        Forgetful().show()


# --- processes


def test_a_process_echoes_and_tells_that_it_finished():
    process, output, ends = qt.QProcess(), [], []
    process.readyReadStandardOutput.connect(lambda: output.append(process.readAllStandardOutput().data().decode()))
    process.finished.connect(lambda code, status: ends.append((code, status)))
    process.connect("started()", lambda: process.write("hello\n"))
    process.start(sys.executable, ["-c", "import sys; print(sys.stdin.readline().upper(), end=''); sys.exit(3)"])
    wait_for(lambda: ends)
    assert "".join(output) == "HELLO\n"
    assert ends == [(3, qt.QProcess.NormalExit)] and process.state() == qt.QProcess.NotRunning


def test_a_process_that_cannot_start_tells_why():
    process, errors = qt.QProcess(), []
    process.connect("errorOccurred(QProcess::ProcessError)", errors.append)
    process.start("/no/such/program", [])
    wait_for(lambda: errors)
    assert errors == [qt.QProcess.FailedToStart]


# --- keys


def test_a_shortcut_on_the_window_fires(a_window):
    fired = []
    shortcut = qt.QShortcut(qt.QKeySequence("Ctrl+G"), a_window)
    shortcut.activated.connect(lambda: fired.append("go"))
    press_key(a_window, "Ctrl+G")
    press_key(a_window.centralWidget(), "Ctrl+G")
    press_key(a_window, "Ctrl+Y")
    assert fired == ["go", "go"]


def test_a_line_edit_keeps_the_keys_that_it_uses_itself(a_window):
    fired = []
    shortcut = qt.QShortcut(qt.QKeySequence("Ctrl+Z"), a_window)
    shortcut.activated.connect(lambda: fired.append("undo"))
    line_edit = a_window.centralWidget()
    press_key(line_edit, "b")
    press_key(line_edit, "Ctrl+Z")
    assert line_edit.text == "" and fired == []
    press_key(a_window, "Ctrl+Z")
    assert fired == ["undo"]


def test_of_two_live_shortcuts_on_one_key_none_fires(a_window):
    fired, ambiguous, shortcuts = [], [], []
    for owner in ("ours", "theirs"):
        shortcut = qt.QShortcut(qt.QKeySequence("N"), a_window)
        shortcut.connect("activated()", functools.partial(fired.append, owner))
        shortcut.connect("activatedAmbiguously()", functools.partial(ambiguous.append, owner))
        shortcuts.append(shortcut)
    press_key(a_window, "N")
    assert fired == [] and len(ambiguous) == 1
    shortcuts[1].setParent(None)
    shortcuts[1].deleteLater()
    slicer.app.processEvents()
    press_key(a_window, "N")
    assert fired == ["ours"]


def test_a_key_that_no_shortcut_takes_is_typed(a_window):
    press_key(a_window.centralWidget(), "b")
    assert a_window.centralWidget().text == "b"


def test_only_single_keys_can_be_pressed(a_window):
    with pytest.raises(ValueError, match="expected one key"):
        press_key(a_window, "Ctrl+K, Ctrl+S")
    with pytest.raises(ValueError, match="expected a widget"):
        press_key(None, "A")


def test_unwrap_and_wrap_are_inverse_inside_lists():
    label = qt.QLabel()
    assert pythonqt.wrap(pythonqt.unwrap([label, {"a": label}, 3])) == (label, {"a": label}, 3)
