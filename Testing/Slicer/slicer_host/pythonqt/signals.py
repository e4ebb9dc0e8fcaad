"""Signals as PythonQt has them: connecting by name or by signature, receivers that get as many arguments as they declare.

Imports PySide6, the facts, the registry and `slots`.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore
from shiboken6 import Shiboken

from .. import facts, registry
from . import slots
from .calls import call
from .conversion import Boxed, unwrap, wrap
from .signatures import normalized_signal, parameter_count

# Address of the sender -> its connections; dropped when the sender is destroyed.
_connections: dict[int, list[_Connection]] = {}


class _Connection:
    """One connection: what was asked for, and how to undo it."""

    def __init__(self, signature: str, receiver: Any, undo: Callable[[], Any]) -> None:
        self.signature = signature
        self.receiver = receiver
        self.undo = undo


class BoundSignal:
    """A signal of one object: connect, disconnect, emit; calling it emits too."""

    def __init__(self, proxy: Any, member: facts.Member) -> None:
        self._proxy = proxy
        self._member = member

    @property
    def parameter_count(self) -> int:
        """How many arguments the first overload has."""
        return parameter_count(self._member.signatures[0])

    def connect(self, *arguments: Any) -> bool:
        """Connect a callable, or another signal, to the first overload declared.

        Raises:
            ValueError: not one argument, or it cannot be called.
        """
        if len(arguments) != 1:
            raise ValueError(f"Called connect with wrong number of arguments: it takes the receiver alone, got {len(arguments)}")
        return connect(self._proxy, self._member.signatures[0], arguments[0])

    def disconnect(self, *arguments: Any) -> bool:
        """Disconnect a receiver, or all of them; tells whether there was something to disconnect."""
        if len(arguments) > 1:
            raise ValueError(f"Called disconnect with wrong number of arguments: it takes a receiver or nothing, got {len(arguments)}")
        return disconnect(self._proxy, self._member.signatures[0], *arguments)

    def emit(self, *arguments: Any) -> None:
        """Emit with the arguments of any overload.

        Raises:
            ValueError: no overload has that many arguments.
        """
        for signature in self._member.signatures:
            if parameter_count(signature) == len(arguments):
                _emit(self._proxy, signature, arguments)
                return
        known = " or ".join(self._member.signatures)
        raise ValueError(f"{self._member.name} cannot be emitted with {len(arguments)} arguments; it is {known}")

    __call__ = emit

    def __getitem__(self, key: Any) -> None:
        raise TypeError(f"PythonQt signals cannot be subscripted; use connect('{self._member.signatures[0]}', f) with the overload wanted")


def known_signature(class_name: str, signature: str) -> tuple[str, str]:
    """The owner and the normalized form of a signal's signature as Python code gave it.

    Raises:
        ValueError: the class has no such signal everywhere. Slicer itself would only print that, and nothing would be connected.
    """
    wanted = normalized_signal(signature.lstrip("2") if signature[:1] == "2" else signature)
    found = list(facts.signals(class_name))
    for owner, known in found:
        if normalized_signal(known) == wanted:
            refusal = facts.signal_refusal(class_name, known)
            if refusal:
                raise ValueError(refusal)
            return owner, known
    near = sorted({known for _, known in found if known.split("(")[0] == wanted.split("(")[0]})
    hint = f"; it has {', '.join(near)}" if near else ""
    raise ValueError(f"{class_name} has no signal {signature!r}{hint}")


def connect(proxy: Any, signature: str, receiver: Any) -> bool:
    """Connect one signal of an object to a callable, a bound slot or another signal; to None without effect.

    Raises:
        ValueError: unknown signature, or a receiver that cannot be called.
    """
    owner, signature = known_signature(type(proxy).qt_class_name, signature)
    if receiver is None:  # PythonQt takes it and does nothing
        return True
    if not callable(receiver):
        raise ValueError(f"expected something to call when {signature} is emitted, got {receiver!r}")
    sender = proxy.__qt__()
    relay = _relay(receiver, signature)
    if facts.entry(owner)["namespace"] == "qt" and registry.stand_in_for(owner) is None:
        if sender.metaObject().indexOfSignal(signature) < 0:
            raise NotImplementedError(f"{owner} of PySide6 has no signal {signature}")
        connection = QtCore.QObject.connect(sender, QtCore.SIGNAL(signature), relay)
        undo: Callable[[], Any] = lambda: QtCore.QObject.disconnect(connection)  # noqa: E731
    else:
        bound = _stand_in_signal(sender, owner, signature)
        bound.connect(relay)
        undo = lambda: bound.disconnect(relay)  # noqa: E731
    _connections_of(sender).append(_Connection(signature, receiver, undo))
    return True


def disconnect(proxy: Any, signature: str, *receiver: Any) -> bool:
    """Undo the connections of one signal to a receiver, or to all; tells whether there were any.

    Raises:
        ValueError: unknown signature.
    """
    _, signature = known_signature(type(proxy).qt_class_name, signature)
    held = _connections.get(_address(proxy.__qt__()), [])
    wanted = receiver[0] if receiver else None
    ended = [found for found in held if found.signature == signature and (wanted is None or found.receiver == wanted)]
    for found in ended:
        held.remove(found)
        found.undo()
    return bool(ended)


def wanted_arguments(receiver: Any) -> int | None:
    """How many arguments a receiver declares, those with defaults included; None if it takes all it gets.

    Only plain functions and bound methods are asked; ``functools.partial``, other callable objects and Qt's own slots get everything.
    """
    function, bound = (receiver.__func__, 1) if isinstance(receiver, types.MethodType) else (receiver, 0)
    if not isinstance(function, types.FunctionType):
        return None
    takes_any = function.__code__.co_flags & 0x04  # CO_VARARGS
    return None if takes_any else function.__code__.co_argcount - bound


def _relay(receiver: Any, signature: str) -> Callable[..., None]:
    """What PySide6 calls: it must not hold the sender, or a sender without parent would never die."""
    declared = wanted_arguments(receiver)
    available = parameter_count(signature)
    count = available if declared is None else min(declared, available)
    if isinstance(receiver, BoundSignal):
        count = min(available, receiver.parameter_count)

    def relay(*arguments: Any) -> None:
        try:
            receiver(*[wrap(argument) for argument in arguments[:count]])
        except Exception as error:  # noqa: BLE001 - whatever a slot raises never reaches the emitter in Slicer; the tests see it in slot_errors
            slots.remember(error, f"the receiver {receiver!r} of {signature}")

    return relay


def _emit(proxy: Any, signature: str, arguments: tuple[Any, ...]) -> None:
    owner, signature = known_signature(type(proxy).qt_class_name, signature)
    sender = proxy.__qt__()
    if facts.entry(owner)["namespace"] == "qt" and registry.stand_in_for(owner) is None:
        member = facts.Member(signature.split("(")[0], "signal", owner, signatures=(f"{signature[signature.index('(') :]} -> void",))
        call(_NativeEmitter(sender, signature), member, arguments, owner)
    else:
        _stand_in_signal(sender, owner, signature).emit(*[_boxed(argument) for argument in arguments])


class _NativeEmitter:
    """Lends a signal of PySide6 the manners of a method, so that its arguments are converted as those of one."""

    def __init__(self, sender: QtCore.QObject, signature: str) -> None:
        self._emit = lambda *arguments: sender.emit(QtCore.SIGNAL(signature), *arguments)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return self._emit


def _boxed(value: Any) -> Any:
    inner = unwrap(value)
    return Boxed(inner) if type(inner) is dict else inner


def _stand_in_signal(sender: QtCore.QObject, owner: str, signature: str) -> Any:
    attribute = registry.signal_attribute(owner, signature)
    found = getattr(sender, attribute, None)
    if found is None or not hasattr(found, "emit"):
        implementing = type(sender).__qualname__
        raise NotImplementedError(f"Slicer's {owner} has the signal {signature}, but its stand-in {implementing} has no signal {attribute}")
    return found


def _address(sender: QtCore.QObject) -> int:
    return int(Shiboken.getCppPointer(sender)[0])


def _connections_of(sender: QtCore.QObject) -> list[_Connection]:
    address = _address(sender)
    if address not in _connections:
        _connections[address] = []
        sender.destroyed.connect(lambda: _connections.pop(address, None))
    return _connections[address]
