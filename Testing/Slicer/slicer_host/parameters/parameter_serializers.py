"""How values of parameter node members become strings and node references, in the format of Slicer's scenes. Imports slicer-core.

Format: numbers, strings and paths by `str`; bool as True/False; an enum by its name; a node as a node reference beside an empty parameter;
a list as `name.len` and `name.0`...; a tuple as `name.0`...; a dict as a list of pairs; a union under the index of its type; a pack
member as `name.member`.
"""

from __future__ import annotations

import collections.abc
import enum
import pathlib
import types
import typing

import slicer

from .parameter_validators import IsInstance, NotNone, Validator, splitAnnotations

_PATH_TYPES = (pathlib.Path, pathlib.PurePath, pathlib.PosixPath, pathlib.PurePosixPath, pathlib.WindowsPath, pathlib.PureWindowsPath)


class Serializer:
    """Writes and reads one kind of value under a name; one parameter per value unless a subclass says otherwise."""

    def __init__(self, to_text=str, from_text=str, default="", validators=()):
        self._to_text, self._from_text, self._default = to_text, from_text, default
        self.validators: list[Validator] = list(validators)

    def default(self):
        return self._default

    def validate(self, value) -> None:
        for validator in self.validators:
            validator.validate(value)

    def isIn(self, node, name):
        return node.HasParameter(name)

    def write(self, node, name, value):
        self.validate(value)
        node.SetParameter(name, self._to_text(value))

    def read(self, node, name):
        return self._from_text(node.GetParameter(name))

    def remove(self, node, name):
        node.UnsetParameter(name)


class _NodeSerializer(Serializer):
    def default(self):
        return None

    def write(self, node, name, value):
        self.validate(value)
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, None if value is None else value.GetID())

    def read(self, node, name):
        return node.GetNodeReference(name)

    def remove(self, node, name):
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class _NoneSerializer(Serializer):
    def default(self):
        return None

    def write(self, node, name, value):
        if value is not None:
            raise ValueError("Value must be None")
        node.SetParameter(name, "True")

    def read(self, node, name):
        return None


class ObservedList(collections.abc.MutableSequence):
    """A list whose changes go into the parameter node. As in Slicer, it has no `+` and `*`, only `+=` and `*=`."""

    def __init__(self, node, serializer, name, values):
        self._node, self._serializer, self._name, self._list = node, serializer, name, values

    def _save(self):
        self._serializer.write(self._node, self._name, self._list)

    def __len__(self):
        return len(self._list)

    def __getitem__(self, index):
        return self._list[index]

    def __setitem__(self, index, value):
        self._list[index] = value
        self._save()

    def __delitem__(self, index):
        del self._list[index]
        self._save()

    def insert(self, index, value):
        self._list.insert(index, value)
        self._save()

    def __eq__(self, other):
        return self._list == (other._list if isinstance(other, ObservedList) else other)

    def __repr__(self):
        return f"ObservedList({self._list})"


class _ListSerializer(Serializer):
    def __init__(self, element):
        super().__init__(validators=[NotNone()])
        self._element = element

    def default(self):
        return []

    def isIn(self, node, name):
        return node.HasParameter(f"{name}.len")

    def _length(self, node, name):
        return int(node.GetParameter(f"{name}.len")) if self.isIn(node, name) else 0

    def write(self, node, name, value):
        self.validate(value)
        values = list(value)
        for element in values:
            self._element.validate(element)
        with slicer.util.NodeModify(node):
            for index in range(len(values), self._length(node, name)):
                self._element.remove(node, f"{name}.{index}")
            for index, element in enumerate(values):
                self._element.write(node, f"{name}.{index}", element)
            node.SetParameter(f"{name}.len", str(len(values)))

    def read(self, node, name):
        values = [self._element.read(node, f"{name}.{index}") for index in range(self._length(node, name))]
        return ObservedList(node, self, name, values)

    def remove(self, node, name):
        with slicer.util.NodeModify(node):
            for index in range(self._length(node, name)):
                self._element.remove(node, f"{name}.{index}")
            node.UnsetParameter(f"{name}.len")


class _TupleSerializer(Serializer):
    def __init__(self, elements):
        super().__init__()
        self._elements = elements

    def default(self):
        """As in Slicer, one generator for all nodes: the second node of a class finds it used up, so a tuple needs a default of its own."""
        return (element.default() for element in self._elements)

    def validate(self, value):
        if len(value) != len(self._elements):
            raise ValueError("Unexpected number of tuple values")
        for element, part in zip(self._elements, value, strict=True):
            element.validate(part)

    def isIn(self, node, name):
        return self._elements[0].isIn(node, f"{name}.0")

    def write(self, node, name, value):
        value = tuple(value)
        self.validate(value)
        with slicer.util.NodeModify(node):
            for index, (element, part) in enumerate(zip(self._elements, value, strict=True)):
                element.write(node, f"{name}.{index}", part)

    def read(self, node, name):
        return tuple(element.read(node, f"{name}.{index}") for index, element in enumerate(self._elements))

    def remove(self, node, name):
        with slicer.util.NodeModify(node):
            for index, element in enumerate(self._elements):
                element.remove(node, f"{name}.{index}")


class ObservedDict(collections.abc.MutableMapping):
    """A dict whose changes go into the parameter node."""

    def __init__(self, node, serializer, name, values):
        self._node, self._serializer, self._name, self._dict = node, serializer, name, values

    def __getitem__(self, key):
        return self._dict[key]

    def __setitem__(self, key, value):
        self._dict[key] = value
        self._serializer.write(self._node, self._name, self._dict)

    def __delitem__(self, key):
        del self._dict[key]
        self._serializer.write(self._node, self._name, self._dict)

    def __iter__(self):
        return iter(self._dict)

    def __len__(self):
        return len(self._dict)

    def __eq__(self, other):
        return self._dict == (other._dict if isinstance(other, ObservedDict) else other)

    def __repr__(self):
        return f"ObservedDict({self._dict})"


class _DictSerializer(_ListSerializer):
    def __init__(self, key, value):
        super().__init__(_TupleSerializer([key, value]))

    def default(self):
        return {}

    def write(self, node, name, value):
        self.validate(value)
        super().write(node, name, list(value.items()))

    def read(self, node, name):
        return ObservedDict(node, self, name, dict(iter(super().read(node, name))))


class _UnionSerializer(Serializer):
    def __init__(self, members):
        super().__init__()
        self._members = members

    def default(self):
        if len(self._members) == 2 and isinstance(self._members[1], _NoneSerializer):
            return None
        return self._members[0].default()

    def _index_of(self, value):
        problems = []
        for index, member in enumerate(self._members):
            if isinstance(member, _NoneSerializer) != (value is None):
                continue
            try:
                member.validate(value)
            except (TypeError, ValueError) as problem:
                problems.append(str(problem))
            else:
                return index
        raise TypeError(f"Unable to write value '{value}' of type '{type(value)}': {'; '.join(problems)}")

    def validate(self, value):
        self._index_of(value)

    def isIn(self, node, name):
        return any(member.isIn(node, f"{name}.{index}") for index, member in enumerate(self._members))

    def write(self, node, name, value):
        index = self._index_of(value)
        with slicer.util.NodeModify(node):
            self.remove(node, name)
            self._members[index].write(node, f"{name}.{index}", value)

    def read(self, node, name):
        for index, member in enumerate(self._members):
            if member.isIn(node, f"{name}.{index}"):
                return member.read(node, f"{name}.{index}")
        raise KeyError(f"Unable to find value for name: {name}")

    def remove(self, node, name):
        with slicer.util.NodeModify(node):
            for index, member in enumerate(self._members):
                member.remove(node, f"{name}.{index}")


def create_serializer(annotated_type) -> Serializer:
    """The serializer of a member's type, with the checks that its annotations ask for."""
    type_, annotations = splitAnnotations(annotated_type)
    serializer = _serializer_of(type_)
    serializer.validators += [annotation for annotation in annotations if isinstance(annotation, Validator)]
    return serializer


def _serializer_of(type_) -> Serializer:
    origin, arguments = typing.get_origin(type_), typing.get_args(type_)
    if getattr(type_, "_is_parameterPack", False):
        from .parameter_packs import PackSerializer  # a pack has members that need this file

        return PackSerializer(type_)
    if type_ in (int, float):
        return Serializer(str, type_, 0, [NotNone(), IsInstance((int, float) if type_ is float else int)])
    if type_ is str:
        return Serializer(default="", validators=[NotNone(), IsInstance(str)])
    if type_ is bool:
        return Serializer(lambda value: "True" if value else "False", lambda text: text == "True", False, [NotNone(), IsInstance(bool)])
    if type_ in _PATH_TYPES:
        return Serializer(str, type_, type_(), [NotNone(), IsInstance(type_)])
    if type_ is type(None):
        return _NoneSerializer()
    if origin is list:
        return _ListSerializer(create_serializer(arguments[0]))
    if origin is tuple:
        return _TupleSerializer([create_serializer(argument) for argument in arguments])
    if origin is dict:
        return _DictSerializer(*[create_serializer(argument) for argument in arguments])
    if origin in (typing.Union, types.UnionType):
        if origin is types.UnionType:
            raise TypeError(f"{type_}: Slicer's parameterNodeWrapper knows typing.Union and typing.Optional, not the | between types")
        return _UnionSerializer([create_serializer(argument) for argument in arguments])
    if isinstance(type_, type) and issubclass(type_, enum.Enum):
        return Serializer(lambda value: value.name, lambda text: type_[text], next(iter(type_)), [NotNone(), IsInstance(type_)])
    if isinstance(type_, type) and issubclass(type_, slicer.vtkMRMLNode):
        return _NodeSerializer(validators=[IsInstance(type_)])
    raise TypeError(f"Unable to create serializer for type: {type_}")
