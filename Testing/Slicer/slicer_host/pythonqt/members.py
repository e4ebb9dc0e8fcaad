"""What each kind of member does when a script reads, sets or calls it. Imports the facts, the registry and what does the work."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

from PySide6 import QtCore, QtGui

from .. import facts, registry
from . import enums, special, truth
from .calls import call, refuse_keywords, without_deprecation
from .conversion import NO, converter, returned
from .implementations import pyside_class
from .signals import BoundSignal

_OF_EVERY_OBJECT = ("className", "inherits", "delete")


class Access(Protocol):
    """How one member of a class is read and set through a proxy."""

    def get(self, proxy: Any) -> Any: ...

    def set(self, proxy: Any, value: Any) -> None: ...


@cache
def access_of(class_name: str, name: str) -> Access | None:
    """The access to a member, by PythonQt's order of look-up; None if the class has no member of this name."""
    member = _find(class_name, name)
    if member is None:
        if name in _OF_EVERY_OBJECT:
            return SpecialAccess(class_name, name, special.of_every_object(name))
        return _alias(class_name, name)
    if member.refusal:
        return RefusedAccess(member.refusal)
    handler = special.handler(class_name, member.name)
    if handler is not None:
        return SpecialAccess(class_name, name, handler)
    if member.kind == "property":
        return (ToolTipAccess if member.name == "toolTip" and member.owner == "QWidget" else PropertyAccess)(class_name, member)
    if member.kind == "field":
        return FieldAccess(class_name, member)
    if member.kind == "signal":
        return SignalAccess(member)
    if member.kind == "method":
        return MethodAccess(class_name, member)
    return ConstantAccess(class_name, member)


def class_attribute(cls: Any, name: str) -> Any:
    """What ``qt.QClass.name`` is: an enum or its value, a nested class, a static or an unbound method.

    Raises:
        AttributeError: nothing of this name, or a property or signal, which only objects have.
    """
    class_name = cls.qt_class_name
    member = _find(class_name, name) if class_name else None
    if member is None:
        raise AttributeError(unknown(class_name, name))
    if member.refusal:
        raise AttributeError(member.refusal)
    static = special.static_handler(class_name, member.name)
    if static is not None:
        return static
    if member.kind in ("enum value", "enum", "class"):
        return constant(class_name, member)
    if member.kind == "method":
        return UnboundMethod(class_name, member)
    raise AttributeError(f"{class_name}.{name} is a {member.kind} of its objects, the class itself does not have it")


def unknown(class_name: str, name: str) -> str:
    """The text of the error about a name that a class does not have."""
    if any(name in facts.entry(ancestor).get("cpp_only", ()) for ancestor in facts.ancestors(class_name)):
        return f"{class_name} has no attribute named '{name}': it is a C++ method that is neither slot nor invokable, Python cannot call it"
    return f"{class_name} has no attribute named '{name}'"


def constant(class_name: str, member: facts.Member) -> Any:
    """The value of an enum value, enum or nested class."""
    if member.kind == "enum value":
        return enums.enum_value(member.owner, member.type_name, member.name)
    if member.kind == "enum":
        return enums.enum_type(member.owner, member.name)
    from .proxy import qt_class

    return qt_class(f"{member.owner}.{member.name}")


class RefusedAccess:
    """A member that some Slicer lacks."""

    def __init__(self, refusal: str) -> None:
        self._refusal = refusal

    def get(self, proxy: Any) -> Any:
        raise AttributeError(self._refusal)

    def set(self, proxy: Any, value: Any) -> None:
        raise AttributeError(self._refusal)


class _ReadOnlyAccess:
    """Members that cannot be overwritten."""

    _what = "member"

    def __init__(self, class_name: str, member: facts.Member) -> None:
        self._class_name = class_name
        self._member = member

    def set(self, proxy: Any, value: Any) -> None:
        raise AttributeError(f"{self._what} '{self._member.name}' can not be overwritten on {self._class_name} object")


class MethodAccess(_ReadOnlyAccess):
    """A slot, invokable, decorator or wrapped method."""

    _what = "Slot"

    def get(self, proxy: Any) -> Any:
        return BoundMethod(proxy, self._class_name, self._member)


class ConstantAccess(_ReadOnlyAccess):
    """An enum value, enum or nested class, reached through an object."""

    _what = "EnumValue"

    def get(self, proxy: Any) -> Any:
        return constant(self._class_name, self._member)


class SignalAccess:
    """A signal."""

    def __init__(self, member: facts.Member) -> None:
        self._member = member

    def get(self, proxy: Any) -> Any:
        return BoundSignal(proxy, self._member)

    def set(self, proxy: Any, value: Any) -> None:
        raise AttributeError(f"Signal '{self._member.name}' can not be overwritten on {self._member.owner} object")


class SpecialAccess:
    """A method that this host answers itself."""

    def __init__(self, class_name: str, name: str, handler: Callable[..., Any]) -> None:
        self._class_name = class_name
        self._name = name
        self._handler = handler

    def get(self, proxy: Any) -> Any:
        return BoundHandler(proxy, self._name, self._handler)

    def set(self, proxy: Any, value: Any) -> None:
        raise AttributeError(f"Slot '{self._name}' can not be overwritten on {self._class_name} object")


class PropertyAccess:
    """A Qt property: a value, not a method."""

    def __init__(self, class_name: str, member: facts.Member) -> None:
        self._class_name = class_name
        self._member = member
        self._convert = converter(member.type_name, member.owner)
        self._readers: dict[type, Callable[[Any], Any]] = {}
        self._writers: dict[type, Callable[[Any, Any], Any]] = {}

    def get(self, proxy: Any) -> Any:
        inner = proxy.__qt__()
        reader = self._readers.get(type(inner)) or self._find_reader(inner)
        value = without_deprecation(reader, inner)
        return value if type(value) in (str, bool, int, float) else returned(value, self._member.type_name)

    def set(self, proxy: Any, value: Any) -> None:
        member = self._member
        if not member.writable:
            raise AttributeError(f"Property '{member.name}' of {self._class_name} object is not writable")
        inner = proxy.__qt__()
        converted = self._convert(value, False)
        if converted is NO:
            raise AttributeError(f"Property '{member.name}' of {self._class_name} is {member.type_name} and does not accept {value!r}")
        writer = self._writers.get(type(inner)) or self._find_writer(inner)
        writer(inner, converted)

    def _find_reader(self, inner: Any) -> Callable[[Any], Any]:
        name = self._member.name
        capital = name[0].upper() + name[1:]
        found = self._method(inner, (name, f"is{capital}", f"has{capital}")) or (lambda target: target.property(name))
        self._readers[type(inner)] = found
        return found

    def _find_writer(self, inner: Any) -> Callable[[Any, Any], Any]:
        name = self._member.name
        found = self._method(inner, (f"set{name[0].upper()}{name[1:]}",)) or (lambda target, value: target.setProperty(name, value))
        self._writers[type(inner)] = found
        return found

    def _method(self, inner: Any, names: tuple[str, ...]) -> Callable[..., Any] | None:
        for name in names:
            found = getattr(type(inner), name, None)
            if callable(found):
                return found  # type: ignore[no-any-return]
        if registry.stand_in_for(self._member.owner) is not None or facts.entry(self._member.owner)["namespace"] != "qt":
            raise NotImplementedError(
                f"Slicer's {self._member.owner} has the property {self._member.name}, but its stand-in {type(inner).__qualname__} "
                f"has none of the methods {', '.join(names)}"
            )
        return None


class ToolTipAccess(PropertyAccess):
    """The tooltip of a widget: Slicer makes rich text of a plain one as soon as it is set, so that it wraps."""

    def get(self, proxy: Any) -> Any:
        text = super().get(proxy)
        if not text or QtGui.Qt.mightBeRichText(text):
            return text
        return QtGui.Qt.convertFromPlainText(text, QtCore.Qt.WhiteSpaceMode.WhiteSpaceNormal)


class FieldAccess(PropertyAccess):
    """A field of a C++ structure such as QStyleOptionViewItem."""

    def _find_reader(self, inner: Any) -> Callable[[Any], Any]:
        return lambda target: getattr(target, self._member.name)

    def _find_writer(self, inner: Any) -> Callable[[Any, Any], Any]:
        return lambda target, value: setattr(target, self._member.name, value)


class BoundMethod:
    """A method of one object."""

    __slots__ = ("_class_name", "_member", "_proxy")

    def __init__(self, proxy: Any, class_name: str, member: facts.Member) -> None:
        self._proxy = proxy
        self._class_name = class_name
        self._member = member

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        refuse_keywords(f"{self._class_name}.{self._member.name}", keywords)
        return call(self._proxy.__qt__(), self._member, arguments, self._class_name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BoundMethod) and self._proxy == other._proxy and self._member == other._member

    def __hash__(self) -> int:
        return hash((self._proxy, self._member.name))

    def __repr__(self) -> str:
        return f"<qt slot {self._member.name} of {self._class_name}>"


class BoundHandler:
    """A method of one object that this host answers itself."""

    __slots__ = ("_handler", "_name", "_proxy")

    def __init__(self, proxy: Any, name: str, handler: Callable[..., Any]) -> None:
        self._proxy = proxy
        self._name = name
        self._handler = handler

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        refuse_keywords(self._name, keywords)
        try:
            return self._handler(self._proxy, *arguments)
        except TypeError as error:
            if "positional argument" in str(error) and error.__traceback__ is not None and error.__traceback__.tb_next is None:
                raise ValueError(f"Called {self._name} with wrong number of arguments: {error}") from error
            raise

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BoundHandler) and self._proxy == other._proxy and self._handler is other._handler

    def __hash__(self) -> int:
        return hash((self._proxy, self._name))


class UnboundMethod:
    """A static method, or a method called on the class with the object first, as overrides call that of their base."""

    def __init__(self, class_name: str, member: facts.Member) -> None:
        self._class_name = class_name
        self._member = member

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        from .proxy import Proxy

        name = f"{self._class_name}.{self._member.name}"
        refuse_keywords(name, keywords)
        implementing = registry.stand_in_for(self._class_name) or pyside_class(self._class_name)
        if implementing is None:
            raise NotImplementedError(f"Slicer has {name}(), this test host has nothing that stands in for {self._class_name}")
        if self._member.static:
            return call(implementing, self._member, arguments, self._class_name)
        if not arguments or not isinstance(arguments[0], Proxy):
            raise ValueError(f"{name} is not static: its first argument must be the object, got {arguments[:1]!r}")
        inner = arguments[0].__qt__()
        if not isinstance(inner, implementing):
            raise ValueError(f"{name} needs a {self._class_name}, got {arguments[0]!r}")
        return call(_OfBase(implementing, inner), self._member, arguments[1:], self._class_name)


class _OfBase:
    """Lends an object the methods of one of its base classes, past what overrides them."""

    def __init__(self, base: type, inner: Any) -> None:
        self._base = base
        self._inner = inner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._base, name)
        return lambda *arguments: function(self._inner, *arguments)


def operators(class_name: str) -> dict[str, Callable[..., Any]]:
    """The special methods of a value class, such as ``__add__``, for the body of its proxy class."""
    found: dict[str, Callable[..., Any]] = {}
    for name in facts.entry(class_name).get("methods", {}):
        if name.startswith("__") and name.endswith("__"):
            member = facts.find_member(class_name, name)
            if member is not None and not member.refusal:
                found["__bool__" if name == "__nonzero__" else name] = _operator(class_name, member)
    if class_name == "QByteArray":
        found["__str__"] = lambda self: bytes(self.__qt__().data()).decode(errors="replace")
    if "__eq__" in found:
        found["__hash__"] = object.__hash__
    return found


def _operator(class_name: str, member: facts.Member) -> Callable[..., Any]:
    if member.name == "__nonzero__":
        return truth.of_content

    def operate(self: Any, *operands: Any) -> Any:
        inner = self.__qt__()
        try:
            return call(inner, member, operands, class_name)
        except ValueError:
            return NotImplemented

    operate.__name__ = member.name
    return operate


def _find(class_name: str, name: str) -> facts.Member | None:
    found = facts.find_member(class_name, name)
    if found is None and name.endswith("_") and not name.endswith("__"):
        found = facts.find_member(class_name, name[:-1])
        return found if found is not None and found.kind == "method" else None
    return found


def _alias(class_name: str, name: str) -> Access | None:
    return access_of(class_name, "objectName") if name == "name" and facts.inherits(class_name, "QObject") else None
