"""How a widget shows a parameter node member and changes it, for the exact widget classes that Slicer knows. Imports qt, ctk and slicer."""

from __future__ import annotations

import enum
import pathlib
import typing

import ctk
import qt
import slicer

from .parameter_packs import isParameterPack
from .parameter_validators import Choice, Decimals, Maximum, Minimum, SingleStep, WithinRange, findFirstAnnotation, splitAnnotations

_INT_LIMITS = (-(2**31), 2**31 - 1)


class GuiConnector:
    """Reads and writes one widget. `_signal` is the widget's signal of a change."""

    _signal = ""

    def __init__(self, widget, datatype):
        self._widget = widget
        self._type, self._annotations = splitAnnotations(datatype)
        self._callback = None
        self._prepare()

    def _prepare(self):
        """Set the widget's range and choices by the annotations, before its first value."""

    def onChanged(self, callback):
        signal = getattr(self._widget, self._signal, None) if self._signal else None
        if signal is not None:
            if callback is not None:
                signal.connect(self.changed)
            elif self._callback is not None:
                signal.disconnect(self.changed)
        self._callback = callback

    def changed(self):
        if self._callback is not None:
            self._callback()

    def widget(self):
        return self._widget

    def read(self):
        raise NotImplementedError

    def write(self, value):
        raise NotImplementedError

    def _bounds(self):
        within = findFirstAnnotation(self._annotations, WithinRange)
        if within is not None:
            return within.minimum, within.maximum
        minimum, maximum = findFirstAnnotation(self._annotations, Minimum), findFirstAnnotation(self._annotations, Maximum)
        return (None if minimum is None else minimum.minimum), (None if maximum is None else maximum.maximum)


class _Checked(GuiConnector):
    def read(self):
        return self._widget.checked

    def write(self, value):
        self._widget.checked = value


class _CheckBox(_Checked):
    _signal = "stateChanged"


class _PushButton(_Checked):
    _signal = "toggled"

    def _prepare(self):
        if not self._widget.checkable:
            self._widget.checkable = True


class _Number(GuiConnector):
    _signal = "valueChanged"
    _unbounded: tuple[float, float] = (float("-inf"), float("inf"))
    _needs_bounds = False

    def _prepare(self):
        for annotation, name in ((Decimals, "decimals"), (SingleStep, "singleStep")):
            found = findFirstAnnotation(self._annotations, annotation)
            if found is not None:
                setattr(self._widget, name, found.value)
        minimum, maximum = self._bounds()
        if self._needs_bounds and (minimum is None or maximum is None):
            raise RuntimeError(f"{self._widget.className()} cannot show a number without a lower and an upper bound")
        self._widget.minimum = self._unbounded[0] if minimum is None else minimum
        self._widget.maximum = self._unbounded[1] if maximum is None else maximum

    def read(self):
        return self._type(self._widget.value)

    def write(self, value):
        self._widget.value = value


class _IntSpinBox(_Number):
    _unbounded = _INT_LIMITS


class _BoundedNumber(_Number):
    _needs_bounds = True


class _Choices(GuiConnector):
    _signal = "currentIndexChanged"

    def _prepare(self):
        if isinstance(self._type, type) and issubclass(self._type, enum.Enum):
            label = getattr(self._type, "label", lambda member: member.name)
            self._values, texts = list(self._type), [label(member) for member in self._type]
        else:
            choice = findFirstAnnotation(self._annotations, Choice)
            if choice is None:
                raise RuntimeError("a combo box needs the Choice annotation, or an enum")
            self._values, texts = list(choice.choices), [str(value) for value in choice.choices]
        self._widget.clear()
        for text in texts:
            self._widget.addItem(text)

    def read(self):
        return self._values[self._widget.currentIndex]

    def write(self, value):
        if value not in self._values:
            raise ValueError(f"Unable to find value {value} in choices {self._values}")
        self._widget.currentIndex = self._values.index(value)


class _LineEdit(GuiConnector):
    _signal = "textChanged"

    def read(self):
        return self._widget.text

    def write(self, value):
        self._widget.text = value


class _Label(_LineEdit):
    _signal = ""


class _TextEdit(GuiConnector):
    _signal = "textChanged"

    def read(self):
        return self._widget.toPlainText()

    def write(self, value):
        self._widget.setPlainText(value)


class _Range(GuiConnector):
    _signal = "valuesChanged"

    def read(self):
        return self._type(self._widget.minimumValue, self._widget.maximumValue)

    def write(self, value):
        self._widget.setValues(value.minimum, value.maximum)


class _PathLineEdit(GuiConnector):
    _signal = "currentPathChanged"

    def read(self):
        return self._type(self._widget.currentPath)

    def write(self, value):
        self._widget.currentPath = str(value)


class _DirectoryButton(GuiConnector):
    _signal = "directoryChanged"

    def read(self):
        return self._type(self._widget.directory)

    def write(self, value):
        self._widget.directory = str(value)


class _NodeComboBox(GuiConnector):
    _signal = "currentNodeChanged"

    def _prepare(self):
        self._widget.nodeTypes = tuple(type_.__name__ for type_ in _node_types(self._type))
        # Slicer's widget loses its node while the list of types is exchanged, and tells so, to whoever listens by then.
        self._widget.currentNodeChanged.emit(self._widget.currentNode())

    def read(self):
        return self._widget.currentNode()

    def write(self, value):
        self._widget.setCurrentNode(value)


def createGuiConnector(widget, datatype):
    """The connector for exactly this class of widget and this type. RuntimeError if Slicer has none."""
    type_, _ = splitAnnotations(datatype)
    for widget_classes, fits, connector in _table():
        if type(widget) in widget_classes and fits(type_):
            return connector(widget, datatype)
    raise RuntimeError(f"Unable to create GUI connector from datatype '{datatype}' to widget type '{type(widget)}'")


def _table():
    """(widget classes, test of the type, connector), as Slicer lists them. `type(widget)` must be one of the classes, not a subclass."""

    def is_one_of(*types):
        return lambda type_: type_ in types

    def is_choice(type_):
        return type_ in (int, float, str, bool) or (isinstance(type_, type) and issubclass(type_, enum.Enum))

    def is_range(type_):
        return isParameterPack(type_) and {"minimum", "maximum"} <= set(dir(type_))

    paths = is_one_of(
        pathlib.Path, pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePath, pathlib.PurePosixPath, pathlib.PureWindowsPath
    )
    return (
        ((qt.QCheckBox, ctk.ctkCheckBox), is_one_of(bool), _CheckBox),
        ((qt.QPushButton, ctk.ctkCheckablePushButton), is_one_of(bool), _PushButton),
        ((qt.QSlider,), is_one_of(int), _BoundedNumber),
        ((qt.QSpinBox,), is_one_of(int), _IntSpinBox),
        ((qt.QDoubleSpinBox, ctk.ctkDoubleSpinBox, slicer.qMRMLSpinBox), is_one_of(float, int), _Number),
        ((ctk.ctkSliderWidget, ctk.ctkDoubleSlider, slicer.qMRMLSliderWidget), is_one_of(float, int), _BoundedNumber),
        ((qt.QComboBox, ctk.ctkComboBox), is_choice, _Choices),
        ((qt.QLineEdit,), is_one_of(str), _LineEdit),
        ((qt.QLabel,), is_one_of(str), _Label),
        ((qt.QTextEdit,), is_one_of(str), _TextEdit),
        ((ctk.ctkRangeWidget, ctk.ctkDoubleRangeSlider, slicer.qMRMLRangeWidget), is_range, _Range),
        ((ctk.ctkPathLineEdit,), paths, _PathLineEdit),
        ((ctk.ctkDirectoryButton,), paths, _DirectoryButton),
        ((slicer.qMRMLNodeComboBox,), lambda type_: bool(_node_types(type_)), _NodeComboBox),
    )


def _node_types(type_) -> list[type]:
    """The node classes of a type: one, or those of a union with None. Empty if it is anything else."""
    members = typing.get_args(type_) if typing.get_origin(type_) is typing.Union else (type_,)
    members = [splitAnnotations(member)[0] for member in members]
    nodes = [member for member in members if isinstance(member, type) and issubclass(member, slicer.vtkMRMLNode)]
    return nodes if len(nodes) + members.count(type(None)) == len(members) else []
