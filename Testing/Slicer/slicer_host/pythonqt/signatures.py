"""Reads the signatures that the facts have: parameter types, which may be left out, the type returned. Imports the standard library."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

_NAMED_PARAMETER = re.compile(r"^(?P<type>.*[\s*&>])(?P<name>\w+)$")
_WORDS_OF_TYPES = frozenset({"const", "unsigned", "signed", "long", "short", "int", "char", "double", "float", "bool"})
_OWNERSHIP = re.compile(r"PythonQt\w+<(.*)>$")
_VALUE_TYPES_OUT = frozenset({"bool*", "int*", "double*", "qint64*", "QString*", "QRect*", "QRectF*", "uint*", "qlonglong*"})


@dataclass(frozen=True)
class Overload:
    """One way to call a method.

    Attributes:
        types: the parameters' types, normalized (`normalized_type`).
        required: how many of them must be given.
        returns: the normalized type of the result; ``void`` for none.
    """

    types: tuple[str, ...]
    required: int
    returns: str

    @property
    def outputs(self) -> frozenset[int]:
        """Indices of pointers to values, which only C++ can fill."""
        return frozenset(index for index, type_name in enumerate(self.types) if type_name in _VALUE_TYPES_OUT)

    def takes(self, count: int) -> bool:
        """Whether it can be called with that many arguments."""
        return self.required <= count <= len(self.types)


def split_at_commas(text: str) -> list[str]:
    """The parts between commas that no bracket encloses; none for an empty text."""
    parts, depth, start = [], 0, 0
    for index, char in enumerate(text):
        if char in "<([":
            depth += 1
        elif char in ">)]":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    last = text[start:]
    return [part.strip() for part in [*parts, last]] if text.strip() else []


@cache
def normalized_type(text: str) -> str:
    """A C++ type without const, reference, ownership wrappers and needless spaces: ``const QList<QAction *>&`` is ``QList<QAction*>``."""
    text = " ".join(text.split())
    text = re.sub(r"\s*([*&<>,]|::)\s*", r"\1", text)
    text = re.sub(r"^const\s+", "", text).rstrip("&")
    wrapped = _OWNERSHIP.match(text)
    return normalized_type(wrapped.group(1)) if wrapped else text.replace("unsigned int", "uint")


def _parameter(text: str) -> tuple[str, bool]:
    """Type and whether it may be left out, of ``QWidget*=``, ``double value``, ``parent: QWidget*=None`` or ``QRect rectangle=QRect()``."""
    declared, equals, _ = text.partition("=")
    declared = declared.strip()
    name, colon, annotated = declared.partition(": ")
    if colon and name.isidentifier():
        declared = annotated
    match = _NAMED_PARAMETER.match(declared)
    if match and match["name"] not in _WORDS_OF_TYPES and not set(match["type"].split()) <= {"const"}:
        declared = match["type"]
    return normalized_type(declared), bool(equals)


@cache
def parse(signature: str) -> Overload:
    """Read ``(types) -> type``, or ``(types)`` of a constructor.

    Raises:
        ValueError: the text is no signature.
    """
    arguments, _, returns = signature.partition(") -> ")
    if not arguments.startswith("("):
        raise ValueError(f"expected a signature such as '(int,QString=) -> bool', got {signature!r}")
    inner = arguments[1:] if returns else arguments[1:].removesuffix(")")
    parameters = [_parameter(part) for part in split_at_commas(inner)]
    required = sum(not optional for _, optional in parameters)
    returns = returns.split("  (")[0].removesuffix(" static")
    return Overload(tuple(type_name for type_name, _ in parameters), required, normalized_type(returns) or "void")


def normalized_signal(signature: str) -> str:
    """A signal's or slot's signature as Qt normalizes it: ``clicked( bool )`` is ``clicked(bool)``; other text comes back stripped."""
    match = re.match(r"^\s*(\w+)\s*\((.*)\)\s*$", signature, re.DOTALL)
    if not match:
        return signature.strip()
    return f"{match[1]}({','.join(normalized_type(part) for part in split_at_commas(match[2]))})"


def parameter_count(signal_signature: str) -> int:
    """How many arguments a signal or slot of this full signature has."""
    return len(split_at_commas(signal_signature[signal_signature.index("(") + 1 : signal_signature.rindex(")")]))
