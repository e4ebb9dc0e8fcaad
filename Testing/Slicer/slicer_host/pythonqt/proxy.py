"""The proxies that scripts see in place of PySide6 objects, with PythonQt's rules of attributes. Imports the facts and `members`."""

from __future__ import annotations

import weakref
from functools import cache
from typing import Any

from PySide6 import QtCore
from shiboken6 import Shiboken

from .. import facts
from . import members, shells, truth
from .calls import convert_arguments, refuse_keywords, without_deprecation
from .conversion import to_variant, wrap
from .implementations import class_name_of, implementation

_proxies: weakref.WeakValueDictionary[int, Proxy] = weakref.WeakValueDictionary()


class QtClass(type):
    """The type of proxy classes: gives enums, static methods and unbound methods as attributes of the class."""

    qt_class_name: str

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        return members.class_attribute(cls, name)


class Proxy(metaclass=QtClass):
    """A Qt object as PythonQt shows it.

    Attribute access goes to what the facts list, to dynamic properties and to direct children by name, in this order. Only instances of
    Python subclasses take new attributes.
    """

    __slots__ = ("__weakref__", "_qt")
    qt_class_name = ""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        construct(self, arguments, keywords)

    def __qt__(self) -> Any:
        """The PySide6 object.

        Raises:
            ValueError: it was destroyed, or a Python subclass has not called the ``__init__`` of its Qt base.
        """
        try:
            inner = object.__getattribute__(self, "_qt")
        except AttributeError:
            raise ValueError(f"{type(self).__name__}: call qt.{type(self).qt_class_name}.__init__(self) before using it") from None
        if not Shiboken.isValid(inner):
            raise ValueError(f"Trying to use a destroyed {type(self).qt_class_name} object")
        return inner

    def __getattr__(self, name: str) -> Any:
        access = members.access_of(type(self).qt_class_name, name)
        if access is not None:
            return access.get(self)
        if name.startswith("__") or name == "_qt":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        inner = self.__qt__()
        if isinstance(inner, QtCore.QObject):
            if name.encode() in [bytes(known.data()) for known in inner.dynamicPropertyNames()]:
                return wrap(inner.property(name))
            child = inner.findChild(QtCore.QObject, name, QtCore.Qt.FindChildOption.FindDirectChildrenOnly)
            if child is not None:
                return wrap(child)
        raise AttributeError(members.unknown(type(self).qt_class_name, name))

    def __setattr__(self, name: str, value: Any) -> None:
        access = members.access_of(type(self).qt_class_name, name)
        if access is not None:
            access.set(self, value)
            return
        inner = self.__qt__() if _has_object(self) else None
        if isinstance(inner, QtCore.QObject) and name.encode() in [bytes(known.data()) for known in inner.dynamicPropertyNames()]:
            inner.setProperty(name, to_variant(value))
        elif _is_python_subclass(type(self)):
            object.__setattr__(self, name, value)
        else:
            raise AttributeError(
                f"'{name}' does not exist on {type(self).qt_class_name} and creating new attributes on C++ objects is not allowed"
            )

    __bool__ = truth.of_object

    def __eq__(self, other: object) -> bool:
        if other is None:
            return not truth.is_alive(self)
        return self._qt is other._qt if isinstance(other, Proxy) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._qt) if _has_object(self) else id(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__} (proxy of {self._qt!r})" if _has_object(self) else f"{type(self).__name__} (not initialized)"

    def __del__(self) -> None:
        # The instance of a Python subclass lives on, with all its attributes, while C++ owns its object.
        if _is_python_subclass(type(self)) and _has_object(self):
            inner = self._qt
            if Shiboken.isValid(inner) and not Shiboken.ownedByPython(inner):
                inner.kept_proxy = self
                inner.proxy_reference = weakref.ref(self)
                _proxies[id(inner)] = self


def _is_python_subclass(cls: type) -> bool:
    return cls.__dictoffset__ != 0  # proxy classes have slots alone


def _has_object(proxy: Proxy) -> bool:
    try:
        object.__getattribute__(proxy, "_qt")
    except AttributeError:
        return False
    return True


@cache
def qt_class(class_name: str) -> type[Proxy]:
    """The proxy class of a Qt, CTK or Slicer class that the facts know; its Python bases are the proxy classes of the C++ bases.

    Raises:
        KeyError: the facts have no class of this name.
    """
    entry = facts.entry(class_name)
    known = [base for base in entry["bases"] if facts.is_class(base)]
    # Qt 5 and 6 differ in some bases and the facts have both: one that another base brings along is left to that one.
    bases = [qt_class(base) for base in known if not any(other != base and facts.inherits(other, base) for other in known)]
    body: dict[str, Any] = {"__slots__": (), "qt_class_name": class_name, "__module__": entry["namespace"] or "PythonQt.private"}
    body.update(members.operators(class_name))
    return QtClass(class_name.rpartition(".")[2], tuple(bases) or (Proxy,), body)


def plain_class(cls: type) -> type[Proxy]:
    """The proxy class itself, or the nearest one that a Python subclass derives from."""
    return qt_class(cls.qt_class_name)  # type: ignore[attr-defined]


def construct(proxy: Proxy, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """Make the C++ object of a proxy.

    Raises:
        TypeError: Python cannot construct objects of this class.
        ValueError: arguments that PythonQt refuses.
        NotImplementedError: nothing stands in for the class.
    """
    cls = type(proxy)
    name = cls.qt_class_name
    refuse_keywords(name, keywords)
    constructors = tuple(facts.entry(name).get("ctors", ()))
    if facts.class_refusal(name):
        raise TypeError(facts.class_refusal(name))
    if not constructors or facts.entry(name)["namespace"] is None:
        raise TypeError(f"objects of {name} cannot be made from Python: there is no constructor that PythonQt can call")
    implementing = implementation(name)
    converted, _ = convert_arguments(name, name, constructors, arguments)
    plain = plain_class(cls)
    try:
        if cls is plain:
            _hold(proxy, without_deprecation(implementing, *converted))
        else:
            own = frozenset(attribute for base in cls.__mro__ if not issubclass(plain, base) for attribute in vars(base))
            overridden = own if facts.entry(name)["namespace"] == "qt" else frozenset()
            _hold(proxy, shells.shell_class(implementing, overridden)(proxy, *converted))
    except TypeError as error:
        raise ValueError(f"{name}{arguments!r} does not fit {' or '.join(constructors)}: {error}") from error


def proxy_of(inner: Shiboken.Object) -> Any:
    """The proxy of a PySide6 object: the same one as long as it lives, of the most specific class that the facts know.

    Raises:
        TypeError: no class of the facts describes the object.
    """
    found = _proxies.get(id(inner))
    if found is not None and found._qt is inner:
        return found
    name = class_name_of(type(inner))
    if name is None:
        raise TypeError(f"a {type(inner).__qualname__} cannot be shown to Python: the facts have no class for it")
    cls = qt_class(name)
    proxy = cls.__new__(cls)
    _hold(proxy, inner)
    return proxy


def _hold(proxy: Proxy, inner: Any) -> None:
    object.__setattr__(proxy, "_qt", inner)
    _proxies[id(inner)] = proxy
