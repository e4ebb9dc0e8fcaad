"""`slicer.parameterNodeWrapper`: typed access to a parameter node, and its binding to widgets. Imports slicer-core and qt.

Written anew by what Slicer does: the same format in the node, the same reserved names, the same order of events. Two observable traits are
kept on purpose: every value missing in the node is written as its default when the wrapper is made or the value is read, and a
change of the node writes all bound widgets again.
"""

from __future__ import annotations

import types
import typing

import qt
import slicer
import vtk

from . import parameter_connectors, parameter_packs, parameter_validators
from .parameter_connectors import GuiConnector, createGuiConnector
from .parameter_packs import isParameterPack
from .parameter_serializers import create_serializer
from .parameter_validators import default_of, splitAnnotations, unannotatedType

SlicerParameterNamePropertyName = "SlicerParameterName"

_RESERVED = [
    "allParameters",
    "_is_parameter_node_wrapper",
    "default",
    "isCached",
    "dataType",
    "getValue",
    "setValue",
    "connectGui",
    "connectParametersToGui",
    "disconnectGui",
    "StartModify",
    "EndModify",
    "AddObserver",
    "RemoveObserver",
    "Modified",
    "parameterNode",
]


class _Parameter:
    """One member: an attribute of the wrapper that lives in the parameter node."""

    def __init__(self, name, annotated_type, default):
        self.basename, self.unalteredType, self.default = name, annotated_type, default
        self.serializer = create_serializer(annotated_type)

    def __get__(self, wrapper, owner=None):
        if wrapper is None:
            return self
        node = wrapper.parameterNode
        if not self.serializer.isIn(node, self.basename):
            self.serializer.write(node, self.basename, self.default.value)
        return self.serializer.read(node, self.basename)

    def __set__(self, wrapper, value):
        with slicer.util.NodeModify(wrapper.parameterNode):
            self.serializer.write(wrapper.parameterNode, self.basename, value)


def parameterNodeWrapper(classtype=None):
    """Class decorator for typed access to a vtkMRMLScriptedModuleNode."""
    return _make_wrapper if classtype is None else _make_wrapper(classtype)


def isParameterNodeWrapper(classOrObj):
    return getattr(classOrObj, "_is_parameter_node_wrapper", False)


def findChildWidgetForParameter(widget, parameter):
    for child in widget.findChildren(qt.QWidget):
        if child.property(SlicerParameterNamePropertyName) == parameter:
            return child
    return None


def _make_wrapper(class_):
    hints = typing.get_type_hints(class_, include_extras=True)
    for name in _RESERVED:
        if name in hints or hasattr(class_, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
    parameters = {}
    for name, annotated_type in hints.items():
        _, annotations = splitAnnotations(annotated_type)
        if hasattr(class_, name):
            default = parameter_validators.Default(getattr(class_, name))
        else:
            default = default_of(annotations, create_serializer(annotated_type).default())
        parameters[name] = _Parameter(name, annotated_type, default)
        setattr(class_, name, parameters[name])
    class_.allParameters = parameters
    class_._is_parameter_node_wrapper = True
    for name, function in _METHODS.items():
        setattr(class_, name, function)
    class_.dataType = staticmethod(lambda name: _data_type(class_, name))
    return class_


def _check_name(class_, name):
    top, _, rest = name.partition(".")
    if top not in class_.allParameters:
        raise ValueError(f"Cannot find a param with the given name: {top}; there are {', '.join(class_.allParameters)}")
    type_ = unannotatedType(class_.allParameters[top].unalteredType)
    if rest and not isParameterPack(type_):
        raise ValueError(f"{type_} is not a parameter pack but expects to have '{rest}'")
    return top, rest


def _data_type(class_, name):
    top, rest = _check_name(class_, name)
    type_ = class_.allParameters[top].unalteredType
    return unannotatedType(type_).dataType(rest) if rest else type_


def _init(self, parameterNode, prefix=None):
    if parameterNode is None:
        raise ValueError("a parameterNodeWrapper needs a parameter node, got None")
    if prefix:
        raise NotImplementedError("the test host's parameterNodeWrapper has no prefix")
    self.parameterNode = parameterNode
    self._connectors_by_tag = {}
    self._observers_by_tag = {}
    self._next_tag = 0
    self._updating_gui = False
    for parameter in self.allParameters.values():
        if not parameter.serializer.isIn(parameterNode, parameter.basename):
            parameter.serializer.write(parameterNode, parameter.basename, parameter.default.value)


def _get_value(self, name):
    top, rest = _check_name(type(self), name)
    value = getattr(self, top)
    return value.getValue(rest) if rest else value


def _set_value(self, name, value):
    top, rest = _check_name(type(self), name)
    if rest:
        getattr(self, top).setValue(rest, value)
    else:
        setattr(self, top, value)


def _default(self, paramName):
    top, _ = _check_name(type(self), paramName)
    return self.allParameters[top].default


def _is_cached(self, paramName):
    _check_name(type(self), paramName)
    return False


def _connect_gui(self, gui):
    is_widget = getattr(gui, "isWidgetType", lambda: False)()
    widgets = gui.findChildren(qt.QWidget) if is_widget else vars(gui).values()
    mapping = {}
    for widget in widgets:
        name = widget.property(SlicerParameterNamePropertyName)
        if name:
            mapping[name] = widget
    return self.connectParametersToGui(mapping)


def _connect_parameters(self, mapping):
    for name in mapping:
        _check_name(type(self), name)
    connectors = {
        name: value if isinstance(value, GuiConnector) else createGuiConnector(value, self.dataType(name))
        for name, value in mapping.items()
    }
    tag = self._next_tag
    self._next_tag += 1
    self._connectors_by_tag[tag] = connectors
    for name, connector in connectors.items():
        connector.write(self.getValue(name))
        connector.onChanged(_gui_callback(self, name, connector))
    # Removed by disconnectGui: a callback that only its node refers to may be collected as garbage while VTK can still call it.
    self._observers_by_tag[tag] = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda _caller, _event: _update_gui(self))
    return tag


def _gui_callback(self, name, connector):
    def changed():
        if not self._updating_gui:
            with slicer.util.NodeModify(self):
                self.setValue(name, connector.read())

    return changed


def _update_gui(self):
    if self._updating_gui:
        return
    self._updating_gui = True
    try:
        with slicer.util.NodeModify(self):
            for connectors in list(self._connectors_by_tag.values()):
                for name, connector in connectors.items():
                    connector.write(self.getValue(name))
    finally:
        self._updating_gui = False


def _disconnect_gui(self, guiTag):
    for connector in self._connectors_by_tag.pop(guiTag, {}).values():
        connector.onChanged(None)
    if guiTag in self._observers_by_tag:
        self.RemoveObserver(self._observers_by_tag.pop(guiTag))


_METHODS = {
    "__init__": _init,
    "default": _default,
    "isCached": _is_cached,
    "getValue": _get_value,
    "setValue": _set_value,
    "connectGui": _connect_gui,
    "connectParametersToGui": _connect_parameters,
    "disconnectGui": _disconnect_gui,
    "StartModify": lambda self: self.parameterNode.StartModify(),
    "EndModify": lambda self, wasModified: self.parameterNode.EndModify(wasModified),
    "AddObserver": lambda self, event, callback, priority=0.0: self.parameterNode.AddObserver(event, callback, priority),
    "RemoveObserver": lambda self, tag: self.parameterNode.RemoveObserver(tag),
    "Modified": lambda self: self.parameterNode.Modified(),
}


def package() -> types.ModuleType:
    """A module with the names of `slicer.parameterNodeWrapper` that the host has."""
    module = types.ModuleType("slicer.parameterNodeWrapper")
    names = {
        parameter_validators: (
            "Validator NotNone IsInstance WithinRange Minimum Maximum Choice Exclude RangeBounds Default Decimals SingleStep "
            "findFirstAnnotation splitAnnotations unannotatedType"
        ),
        parameter_packs: "parameterPack isParameterPack nestedParameterNames FloatRange",
        parameter_connectors: "GuiConnector createGuiConnector",
    }
    for source, wanted in names.items():
        for name in wanted.split():
            setattr(module, name, getattr(source, name))
    module.parameterNodeWrapper = parameterNodeWrapper
    module.isParameterNodeWrapper = isParameterNodeWrapper
    module.findChildWidgetForParameter = findChildWidgetForParameter
    module.SlicerParameterNamePropertyName = SlicerParameterNamePropertyName
    return module
