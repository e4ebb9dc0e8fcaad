"""Values of properties as Qt Designer files write them. Imports the facts and what the proxies know of enums and signatures."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from PySide6 import QtCore, QtGui

from .. import facts
from ..pythonqt import wrap
from ..pythonqt.enums import enum_type
from ..pythonqt.signatures import parse


def types_of(signature: str) -> tuple[str, ...]:
    """The parameter types of a method's signature in the facts."""
    return parse(signature).types


def check_enums(holder: ElementTree.Element, class_name: str, where: str) -> None:
    """Check the enum values of a property, an attribute or an item's alignment.

    Raises:
        ValueError: a value with its enum's name in it, which Qt 5 does not read, or one that there is not.
    """
    texts = [element.text or "" for element in holder if element.tag in ("enum", "set")] + [holder.get("alignment", "")]
    for text in "|".join(texts).split("|"):
        enum_number(text.strip(), class_name, f"{where}, {holder.tag} {holder.get('name', '')}")


def value_of(property_element: ElementTree.Element, class_name: str) -> Any:
    """The value of a property, as a script would set it.

    Raises:
        NotImplementedError: a kind of value that no stand-in has needed yet.
    """
    element = property_element[0]
    text = element.text or ""
    if element.tag in ("string", "cstring"):
        return text
    if element.tag == "bool":
        return text.strip() == "true"
    if element.tag in ("number", "longlong", "uint"):
        return int(text)
    if element.tag in ("double", "float"):
        return float(text)
    if element.tag in ("enum", "set"):
        number = 0
        for part in filter(None, (part.strip() for part in text.split("|"))):
            number |= enum_number(part, class_name, class_name)
        return number
    if element.tag == "stringlist":
        return [item.text or "" for item in element.findall("string")]
    if element.tag == "size":
        return wrap(QtCore.QSize(int(element.findtext("width", "0")), int(element.findtext("height", "0"))))
    if element.tag == "color":
        return wrap(QtGui.QColor(*[int(element.findtext(part, "0")) for part in ("red", "green", "blue")]))
    raise NotImplementedError(f"{class_name}.{property_element.get('name')} has a <{element.tag}>, which this host cannot set yet")


def enum_number(text: str, class_name: str, where: str) -> int:
    """The number of ``Qt::Horizontal`` or ``ctkComboBox::NeverScroll``; an unqualified name is one of the class itself.

    Raises:
        ValueError: there is no such value, or the text has the name of the enum in it.
    """
    if not text:
        return 0
    scope, _, name = text.rpartition("::")
    if "::" in scope:
        outer = scope.rpartition("::")[0]
        raise ValueError(f"{where}: Qt 5 does not read the enum value {text}, write {outer}::{name}")
    owner = scope or class_name
    member = facts.find_member(owner, name) if facts.is_class(owner) else None
    if member is None or member.kind != "enum value":
        raise ValueError(f"{where}: there is no enum value {text}")
    if member.refusal:
        raise ValueError(f"{where}: {member.refusal}")
    return int(getattr(enum_type(member.owner, member.type_name), name))
