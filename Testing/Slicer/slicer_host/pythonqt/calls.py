"""Calls a method of PySide6 or of a stand-in under PythonQt's rules. Imports conversion, signatures and the facts."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

from .. import facts
from .conversion import NO, converter, returned
from .implementations import attribute_name
from .signatures import Overload, parse


@cache
def overloads(signatures: tuple[str, ...]) -> tuple[Overload, ...]:
    """The signatures, read."""
    return tuple(parse(signature) for signature in signatures)


def refuse_keywords(name: str, keywords: dict[str, Any]) -> None:
    """Raise if there are keyword arguments: PythonQt takes none.

    Raises:
        ValueError: there are some.
    """
    if keywords:
        raise ValueError(f"{name}() takes no keyword arguments in PythonQt, got {', '.join(keywords)}: pass them by position")


def convert_arguments(name: str, owner: str, signatures: tuple[str, ...], arguments: tuple[Any, ...]) -> tuple[list[Any], Overload]:
    """Choose the overload and convert the arguments for PySide6, without those for output parameters.

    Raises:
        ValueError: no overload takes that many arguments, or arguments of these types.
    """
    candidates = [overload for overload in overloads(signatures) if overload.takes(len(arguments))]
    if not candidates:
        raise ValueError(f"{name}() called with {len(arguments)} arguments; it takes {' or '.join(signatures)}")
    for strict in (True, False):
        for overload in candidates:
            converted = [
                None if index in overload.outputs else converter(overload.types[index], owner)(argument, strict)
                for index, argument in enumerate(arguments)
            ]
            if not any(value is NO for value in converted):
                return _without_outputs(converted, overload, owner), overload
    types = ", ".join(type(argument).__name__ for argument in arguments)
    raise ValueError(f"{name}() does not take ({types}) with the values {arguments!r}; it takes {' or '.join(signatures)}")


def without_deprecation(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call PySide6, also where Qt 6 calls deprecated what Qt 5 has no other name for and warnings are errors."""
    try:
        return function(*arguments)
    except DeprecationWarning:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return function(*arguments)


def _without_outputs(converted: list[Any], overload: Overload, owner: str) -> list[Any]:
    if owner == "QFileDialog":  # whose selected filter PySide6 takes as input too
        return ["" if index in overload.outputs else value for index, value in enumerate(converted)]
    return [value for index, value in enumerate(converted) if index not in overload.outputs]


def call(target: Any, member: facts.Member, arguments: tuple[Any, ...], owner: str) -> Any:
    """Call a method.

    Args:
        target: the PySide6 object, or the PySide6 class for a static method.
        member: the method.
        arguments: as the Python code gave them.
        owner: the class of the facts, for error messages and unqualified enums.

    Raises:
        ValueError: arguments that PythonQt refuses.
        NotImplementedError: Slicer has the method, PySide6 or the stand-in has not.
    """
    name = f"{owner}.{member.name}"
    converted, overload = convert_arguments(name, member.owner, member.signatures, arguments)
    function = getattr(target, attribute_name(member.name), None)
    if function is None:
        who = target if isinstance(target, type) else type(target)
        raise NotImplementedError(f"Slicer has {name}(), but {who.__module__}.{who.__qualname__} does not implement it in this test host")
    try:
        result = without_deprecation(function, *converted)
    except TypeError as error:
        if isinstance(function, types.MethodType):  # a stand-in's own mistake
            raise
        raise ValueError(f"{name}{arguments!r} does not fit {' or '.join(member.signatures)}: {error}") from error
    return None if overload.returns == "void" else returned(result, overload.returns)
