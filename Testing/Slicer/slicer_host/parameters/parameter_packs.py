"""`parameterPack`: a class whose annotated members live together in a parameter node. Imports slicer-core."""

from __future__ import annotations

import typing

import slicer

from .parameter_serializers import Serializer, create_serializer
from .parameter_validators import IsInstance, NotNone, default_of, splitAnnotations, unannotatedType

_RESERVED = ("allParameters", "_is_parameterPack", "getValue", "setValue", "dataType")


class _Member:
    """One member of a pack: a checked attribute that tells the parameter node, if there is one, that it changed."""

    def __init__(self, name, annotated_type, default):
        self.basename, self.unalteredType, self.default = name, annotated_type, default
        self.serializer = create_serializer(annotated_type)

    def __get__(self, pack, owner=None):
        return self if pack is None else pack.__dict__[f"_{self.basename}_value"]

    def __set__(self, pack, value):
        self.serializer.validate(value)
        pack.__dict__[f"_{self.basename}_value"] = value
        save = pack.__dict__.get("_save")
        if save is not None:
            save()


class PackSerializer(Serializer):
    """Stores each member of a pack under `name.member`."""

    def __init__(self, pack_class):
        super().__init__(validators=[NotNone(), IsInstance(pack_class)])
        self._class = pack_class

    def default(self):
        return self._class()

    def isIn(self, node, name):
        first = next(iter(self._class.allParameters.values()))
        return first.serializer.isIn(node, f"{name}.{first.basename}")

    def write(self, node, name, value):
        self.validate(value)
        with slicer.util.NodeModify(node):
            for member in self._class.allParameters.values():
                member.serializer.write(node, f"{name}.{member.basename}", getattr(value, member.basename))

    def read(self, node, name):
        pack = self._class.__new__(self._class)
        for member in self._class.allParameters.values():
            pack.__dict__[f"_{member.basename}_value"] = member.serializer.read(node, f"{name}.{member.basename}")
        pack.__dict__["_save"] = lambda: self.write(node, name, pack)
        return pack

    def remove(self, node, name):
        with slicer.util.NodeModify(node):
            for member in self._class.allParameters.values():
                member.serializer.remove(node, f"{name}.{member.basename}")


def isParameterPack(obj):
    return getattr(obj, "_is_parameterPack", False)


def parameterPack(classtype=None):
    """Class decorator: annotated members become checked attributes that a parameter node can hold."""
    return _make_pack if classtype is None else _make_pack(classtype)


def nestedParameterNames(parameterPackClassOrInstance):
    pack = unannotatedType(parameterPackClassOrInstance)
    names = []
    for name, member in pack.allParameters.items():
        inner = unannotatedType(member.unalteredType)
        names += [f"{name}.{nested}" for nested in nestedParameterNames(inner)] if isParameterPack(inner) else [name]
    return names


def _make_pack(class_):
    hints = typing.get_type_hints(class_, include_extras=True)
    if not hints:
        raise ValueError("Unable to find any members in parameterPack")
    for name in _RESERVED:
        if hasattr(class_, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterPack")
    members = {}
    for name, annotated_type in hints.items():
        _, annotations = splitAnnotations(annotated_type)
        serializer = create_serializer(annotated_type)
        default = getattr(class_, name) if hasattr(class_, name) else default_of(annotations, serializer.default()).value
        try:
            serializer.validate(default)
        except (TypeError, ValueError) as problem:
            raise ValueError(f"The default parameter of '{default}' fails the validation checks:\n  {problem}") from problem
        members[name] = _Member(name, annotated_type, default)
        setattr(class_, name, members[name])
    own_init = class_.__dict__.get("__init__")

    def initialize(self, *args, **kwargs):
        given = {} if own_init else {**dict(zip(members, args, strict=False)), **kwargs}
        if not own_init and (len(args) > len(members) or set(given) - set(members)):
            raise TypeError(f"{class_.__name__} takes {', '.join(members)}; got {args} {kwargs}")
        for name, member in members.items():
            setattr(self, name, given.get(name, member.default))
        if own_init:
            own_init(self, *args, **kwargs)

    def is_equal(self, other):
        return isinstance(other, class_) and all(getattr(self, name) == getattr(other, name) for name in members)

    def describe(self):
        return f"{class_.__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in members)})"

    def get_value(self, name):
        top, _, rest = name.partition(".")
        _check_member(class_, top)
        value = getattr(self, top)
        return value.getValue(rest) if rest else value

    def set_value(self, name, value):
        top, _, rest = name.partition(".")
        _check_member(class_, top)
        if rest:
            getattr(self, top).setValue(rest, value)
        else:
            setattr(self, top, value)

    def data_type(name):
        top, _, rest = name.partition(".")
        _check_member(class_, top)
        type_ = members[top].unalteredType
        return unannotatedType(type_).dataType(rest) if rest else type_

    class_.__init__ = initialize
    for name, function in (("__eq__", is_equal), ("__repr__", describe)):
        if name not in class_.__dict__:
            setattr(class_, name, function)
    class_.allParameters = members
    class_._is_parameterPack = True
    class_.getValue, class_.setValue, class_.dataType = get_value, set_value, staticmethod(data_type)
    return class_


def _check_member(class_, name):
    if name not in class_.allParameters:
        raise ValueError(f"{class_.__name__} has no member '{name}'")


@parameterPack
class FloatRange:
    """A range of two floats, lower one first."""

    _minimum: float
    _maximum: float

    def __init__(self, minimum=0, maximum=0):
        self.setRange(minimum, maximum)

    def setRange(self, minimum, maximum):
        if not minimum <= maximum:
            raise ValueError(f"FloatRange must have minimum <= maximum: {minimum} <= {maximum}")
        self._minimum, self._maximum = minimum, maximum

    @property
    def minimum(self):
        return self._minimum

    @minimum.setter
    def minimum(self, value):
        self.setRange(value, self._maximum)

    @property
    def maximum(self):
        return self._maximum

    @maximum.setter
    def maximum(self, value):
        self.setRange(self._minimum, value)
