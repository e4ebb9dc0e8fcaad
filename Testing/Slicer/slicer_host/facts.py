"""What real Slicer's Qt, CTK and Slicer classes offer to Python, from facts.json. Imports the standard library only.

Slicer 5.10 is built with Qt 5, later releases with Qt 5 or Qt 6. The module must run on all of them, so a member that some of them lack is
known here but refused: `Member.refusal` says which have it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FACTS_PATH = Path(__file__).with_name("facts.json")
_QT_MAJORS = frozenset({"5", "6"})
_OLDER_RELEASES = frozenset({"5.10", "5.12"})
_CALLABLE_KEYS = ("slots", "invokables", "methods", "decorators", "static", "decorators_static")
_STATIC_KEYS = ("static", "decorators_static")


@dataclass(frozen=True)
class Member:
    """One name that Python can reach on the objects of a class.

    Attributes:
        kind: ``property``, ``signal``, ``method``, ``enum``, ``enum value``, ``class`` (nested) or ``field`` (of a C++ structure).
        owner: the class that brings the name, the class asked for or a base of it.
        signatures: overloads of a method as ``(types) -> type``, full signatures of a signal in the order declared.
        type_name: the type of a property or field; the enum of an enum value.
        writable: whether a property or field can be set.
        static: whether a method needs no object.
        refusal: empty, or why the module must not use it.
    """

    name: str
    kind: str
    owner: str
    signatures: tuple[str, ...] = ()
    type_name: str = ""
    writable: bool = False
    static: bool = False
    refusal: str = ""


@cache
def load() -> dict[str, Any]:
    """All of facts.json; the namespace ``Qt`` is put among the classes."""
    facts: dict[str, Any] = json.loads(FACTS_PATH.read_text(encoding="utf-8"))
    facts["classes"]["Qt"] = {"kind": "qt namespace", "namespace": "qt", "bases": [], **facts["Qt"]}
    return facts


def is_class(name: str) -> bool:
    """Whether the facts have a Qt, CTK or Slicer Qt class of this name."""
    return name in load()["classes"]


def entry(class_name: str) -> dict[str, Any]:
    """The facts on one class, as in facts.json.

    Raises:
        KeyError: the class is not known.
    """
    found: dict[str, Any] = load()["classes"][class_name]
    return found


@cache
def ancestors(class_name: str) -> tuple[str, ...]:
    """The class, then its bases, nearest first; bases that the facts do not have are left out."""
    found = [class_name]
    for base in entry(class_name)["bases"]:
        if is_class(base):
            found += [name for name in ancestors(base) if name not in found]
    return tuple(found)


def inherits(class_name: str, base: str) -> bool:
    """Whether a known class is, or derives from, ``base``."""
    return base in ancestors(class_name)


@cache
def class_refusal(class_name: str) -> str:
    """Empty, or why the module must not name this class."""
    facts = entry(class_name)
    if "qt" in facts:
        return f"{class_name} exists only in builds with Qt {facts['qt']}"
    without = [release for release, members in facts.get("absent_in", {}).items() if members == "*"]
    return f"{class_name} is not in Slicer {', '.join(without)}" if without else ""


@cache
def find_member(class_name: str, name: str) -> Member | None:
    """What a name means on the objects of a class, in PythonQt's order: property, method or signal, enum value, enum, nested class."""
    line = ancestors(class_name)
    for owner in line:
        if name in entry(owner).get("properties", {}):
            type_name, writable = entry(owner)["properties"][name][:2]
            refusal = _refusal(class_name, name, [ancestor for ancestor in line if name in entry(ancestor).get("properties", {})])
            return Member(name, "property", owner, type_name=type_name, writable=writable, refusal=refusal)
    for find in (_find_signal, _find_method, _find_enum, _find_nested, _find_field):
        found = find(class_name, name)
        if found is not None:
            return found
    return None


def signals(class_name: str) -> Iterator[tuple[str, str]]:
    """All signals of a class and its bases as (owner, full signature), nearest class first, in the order declared."""
    for owner in ancestors(class_name):
        for signature in entry(owner).get("signals", ()):
            yield owner, signature


def signal_refusal(class_name: str, signature: str) -> str:
    """Empty, or why the module must not connect to this signal, which the class is known to have."""
    return _refusal(class_name, signature, [owner for owner, found in signals(class_name) if found == signature])


def _find_signal(class_name: str, name: str) -> Member | None:
    found = [(owner, signature) for owner, signature in signals(class_name) if signature.split("(")[0] == name]
    if not found:
        return None
    usable = tuple(signature for _, signature in found if not signal_refusal(class_name, signature))
    if usable:
        return Member(name, "signal", found[0][0], signatures=tuple(dict.fromkeys(usable)))
    if _find_method(class_name, name):
        return None
    return Member(name, "signal", found[0][0], signatures=(found[0][1],), refusal=signal_refusal(class_name, found[0][1]))


def _find_method(class_name: str, name: str) -> Member | None:
    owners: list[str] = []
    overloads: dict[str, None] = {}
    static = False
    for owner in ancestors(class_name):
        for key in _CALLABLE_KEYS:
            if name in entry(owner).get(key, {}):
                owners.append(owner)
                overloads.update(dict.fromkeys(entry(owner)[key][name]))
                static = static or key in _STATIC_KEYS
    if not owners:
        return None
    return Member(name, "method", owners[0], signatures=tuple(overloads), static=static, refusal=_refusal(class_name, name, owners))


def _find_enum(class_name: str, name: str) -> Member | None:
    for owner in ancestors(class_name):
        for enum_name, values in entry(owner).get("enums", {}).items():
            if name in values:
                return Member(name, "enum value", owner, type_name=enum_name, refusal=_refusal(class_name, name, [owner]))
    for owner in ancestors(class_name):
        if name in entry(owner).get("enums", {}):
            return Member(name, "enum", owner, type_name=name, refusal=_refusal(class_name, name, [owner]))
    return None


def _find_nested(class_name: str, name: str) -> Member | None:
    for owner in ancestors(class_name):
        if is_class(f"{owner}.{name}"):
            return Member(name, "class", owner, refusal=class_refusal(f"{owner}.{name}"))
    return None


def _find_field(class_name: str, name: str) -> Member | None:
    """PythonQt shows a field by wrapper methods ``py_get_...`` and ``py_set_...``."""
    getter = _find_method(class_name, f"py_get_{name}")
    if getter is None:
        return None
    type_name = getter.signatures[0].partition(" -> ")[2]
    writable = _find_method(class_name, f"py_set_{name}") is not None
    return Member(name, "field", getter.owner, type_name=type_name, writable=writable, refusal=getter.refusal)


def _refusal(class_name: str, name: str, owners: list[str]) -> str:
    """Why a name is not everywhere. It is, if each Qt major and each release has one of the classes that bring it."""
    majors: set[str] = set()
    releases: set[str] = set()
    for owner in owners:
        facts = entry(owner)
        majors |= {facts["qt"]} if "qt" in facts else {major for major in _QT_MAJORS if not _only_elsewhere(facts, name, major)}
        absent = facts.get("absent_in", {})
        releases |= {release for release in _OLDER_RELEASES if absent.get(release) != "*" and name not in absent.get(release, ())}
    if majors != _QT_MAJORS:
        return f"{class_name}.{name} exists only in builds with Qt {', '.join(sorted(majors))}; the module must run with Qt 5 and 6"
    if releases != _OLDER_RELEASES:
        return f"{class_name}.{name} is not in Slicer {', '.join(sorted(_OLDER_RELEASES - releases))}"
    return ""


def _only_elsewhere(facts: dict[str, Any], name: str, major: str) -> bool:
    return any(name in names for other, names in facts.get("only", {}).items() if other != major)
