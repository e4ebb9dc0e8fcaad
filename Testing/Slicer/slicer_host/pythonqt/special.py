"""Members that PythonQt treats apart: timers, children, properties by name, byte arrays. Imports PySide6, the facts and `signals`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from PySide6 import QtCore
from shiboken6 import Shiboken

from .. import facts
from . import signals, slots
from .conversion import to_variant, wrap
from .signatures import normalized_signal, parameter_count


def handler(class_name: str, name: str) -> Callable[..., Any] | None:
    """The function that answers a method of objects of a class, called with the proxy first; None where the general rules do."""
    for owner in facts.ancestors(class_name):
        if (owner, name) in _HANDLERS:
            return _HANDLERS[owner, name]
    return None


@cache
def static_handler(class_name: str, name: str) -> Callable[..., Any] | None:
    """The function that answers a static method; None where the general rules do."""
    return _STATIC_HANDLERS.get((class_name, name))


def of_every_object(name: str) -> Callable[..., Any]:
    """``className``, ``inherits`` or ``delete``, which all PythonQt objects have."""
    return {"className": _class_name, "inherits": _inherits, "delete": _delete}[name]


def _class_name(proxy: Any) -> str:
    return str(type(proxy).qt_class_name)


def _inherits(proxy: Any, class_name: str) -> bool:
    return facts.inherits(type(proxy).qt_class_name, class_name)


def _delete(proxy: Any) -> None:
    Shiboken.delete(proxy.__qt__())


def _connect(proxy: Any, signal: Any, receiver: Any, *slot: Any) -> bool:
    if not slot:
        return signals.connect(proxy, _text(signal), receiver)
    return signals.connect(proxy, _text(signal), _slot_of(receiver, _text(slot[0])))


def _disconnect(proxy: Any, signal: Any, receiver: Any = None, *slot: Any) -> bool:
    return signals.disconnect(proxy, _text(signal), _slot_of(receiver, _text(slot[0])) if slot else receiver)


class _Slot:
    """A slot given by its signature: gets as many arguments as that says."""

    def __init__(self, receiver: Any, signature: str) -> None:
        self._receiver = receiver
        self._signature = signature

    def __call__(self, *arguments: Any) -> None:
        getattr(self._receiver, self._signature.split("(")[0])(*arguments[: parameter_count(self._signature)])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Slot) and self._receiver == other._receiver and self._signature == other._signature

    def __hash__(self) -> int:
        return hash((self._receiver, self._signature))


def _slot_of(receiver: Any, signature: str) -> _Slot:
    wanted = normalized_signal(signature.lstrip("12"))
    member = facts.find_member(type(receiver).qt_class_name, wanted.split("(")[0])
    if "(" not in wanted or member is None or member.kind not in ("method", "signal"):
        raise ValueError(f"{type(receiver).qt_class_name} has no slot {signature!r}")
    return _Slot(receiver, wanted)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _set_property(proxy: Any, name: str, value: Any) -> bool:
    member = facts.find_member(type(proxy).qt_class_name, name)
    if member is not None and member.kind == "property":
        setattr(proxy, name, value)
        return True
    return bool(proxy.__qt__().setProperty(name, to_variant(value)))


def _property(proxy: Any, name: str) -> Any:
    member = facts.find_member(type(proxy).qt_class_name, name)
    if member is not None and member.kind == "property":
        return getattr(proxy, name)
    return wrap(proxy.__qt__().property(name))


def _find_children(proxy: Any, kind: Any = None, name: Any = "") -> tuple[Any, ...]:
    class_name = kind if isinstance(kind, str) else getattr(kind, "qt_class_name", "QObject")
    found = (wrap(child) for child in proxy.__qt__().findChildren(QtCore.QObject) if _is_known(child))
    return tuple(child for child in found if facts.inherits(type(child).qt_class_name, class_name) and name in ("", None, child.objectName))


def _is_known(child: Any) -> bool:
    from .implementations import class_name_of

    return class_name_of(type(child)) is not None


def _find_child(proxy: Any, kind: Any = None, name: Any = "") -> Any:
    return next(iter(_find_children(proxy, kind, name)), None)


def _children(proxy: Any) -> tuple[Any, ...]:
    return tuple(wrap(child) for child in proxy.__qt__().children() if _is_known(child))


def _parent(proxy: Any, *arguments: Any) -> Any:
    if arguments:  # QAbstractItemModel.parent(index)
        return wrap(proxy.__qt__().parent(*[argument.__qt__() for argument in arguments]))
    return wrap(proxy.__qt__().parent())


def _tr(proxy: Any, text: str, *more: Any) -> str:
    return text


def _single_shot(milliseconds: int, receiver: Callable[[], Any]) -> None:
    if not callable(receiver):
        raise ValueError(f"QTimer.singleShot(msec, callable): expected something to call, got {receiver!r}")

    def fire() -> None:
        try:
            receiver()
        except Exception as error:  # noqa: BLE001 - nobody is there to take it; the tests see it in slot_errors
            slots.remember(error, f"{receiver!r}, called by QTimer.singleShot")

    QtCore.QTimer.singleShot(int(milliseconds), fire)


def _single_shot_of_object(proxy: Any, milliseconds: int, receiver: Callable[[], Any]) -> None:
    _single_shot(milliseconds, receiver)


def _bytes(proxy: Any) -> bytes:
    return bytes(proxy.__qt__().data())


def _write(proxy: Any, data: Any, *size: Any) -> int:
    inner = data.__qt__() if hasattr(data, "__qt__") else data.encode() if isinstance(data, str) else bytes(data)
    if size:
        inner = bytes(inner)[: size[0]]
    return int(proxy.__qt__().write(inner))


_HANDLERS: dict[tuple[str, str], Callable[..., Any]] = {
    ("QObject", "connect"): _connect,
    ("QObject", "disconnect"): _disconnect,
    ("QObject", "setProperty"): _set_property,
    ("QObject", "property"): _property,
    ("QObject", "findChild"): _find_child,
    ("QObject", "findChildren"): _find_children,
    ("QObject", "children"): _children,
    ("QObject", "parent"): _parent,
    ("QObject", "tr"): _tr,
    ("QTimer", "singleShot"): _single_shot_of_object,
    ("QByteArray", "data"): _bytes,
    ("QIODevice", "write"): _write,
}
_STATIC_HANDLERS: dict[tuple[str, str], Callable[..., Any]] = {("QTimer", "singleShot"): _single_shot}
