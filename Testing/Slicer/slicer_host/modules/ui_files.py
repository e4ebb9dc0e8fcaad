"""Loads Qt Designer files as slicer.util.loadUI does, refusing what QUiLoader would silently get wrong. Imports PySide6 and the proxies.

QUiLoader turns an unknown class into its base and an unknown property into a dynamic one, and drops a connection that it could not make.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PySide6 import QtCore, QtUiTools

from .. import facts, registry
from ..pythonqt import wrap
from ..pythonqt.implementations import implementation
from ..pythonqt.signatures import normalized_signal, split_at_commas
from . import ui_values

# Names that Designer writes as properties and the loader understands, though no class has them.
_MARGINS = {"leftMargin", "topMargin", "rightMargin", "bottomMargin", "margin"}
_OF_LAYOUTS = frozenset({"spacing", "horizontalSpacing", "verticalSpacing"} | _MARGINS)
_OF_SPACERS = frozenset({"orientation", "sizeType", "sizeHint"})
_OF_LABELS = frozenset({"buddy"})
_DESIGNER_CLASSES = {"Line": "QFrame"}


def load_ui(path: str | Path) -> Any:
    """Make the widgets of a .ui file.

    Args:
        path: the file.

    Returns:
        The proxy of the top widget, without a parent.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a class, property, enum value, signal or slot that Slicer does not have in this place, or two widgets of one name.
        NotImplementedError: Slicer has it, this host has no stand-in.
    """
    file = Path(path)
    root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
    _check(root, file.name)
    assigned = _take_stand_in_properties(root)
    connections = root.find("connections")
    if connections is not None:
        root.remove(connections)

    loader = _Loader()
    loader.setWorkingDirectory(QtCore.QDir(str(file.parent)))
    buffer = QtCore.QBuffer()
    buffer.setData(ElementTree.tostring(root, encoding="utf-8"))
    buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
    made = loader.load(buffer)
    if made is None:
        raise ValueError(f"{file.name} could not be loaded: {loader.errorString()}")
    top = wrap(made)
    for name, properties in assigned:
        target = _named(made, name)
        for property_element in properties:
            setattr(wrap(target), property_element.get("name"), ui_values.value_of(property_element, _class_name(target)))
    for connection in connections if connections is not None else ():
        _connect(made, connection, file.name)
    return top


class _Loader(QtUiTools.QUiLoader):
    """Makes stand-ins for the classes that have one."""

    def createWidget(self, class_name: str, parent: Any = None, name: str = "") -> Any:
        if registry.stand_in_for(class_name) is None:
            return super().createWidget(class_name, parent, name)
        widget = registry.stand_in_for(class_name)(parent)  # type: ignore[misc]
        widget.setObjectName(name)
        return widget


def _check(root: ElementTree.Element, file_name: str) -> None:
    names: set[str] = set()
    for element in root.iter():
        if element.tag in ("widget", "layout", "action", "actiongroup"):
            name = element.get("name", "")
            if name and name in names:
                raise ValueError(f"{file_name}: two objects are called {name!r}; the second one would hide the first from the script")
            names.add(name)
        if element.tag in ("item", "attribute"):
            ui_values.check_enums(element, "QWidget", file_name)
        if element.tag == "widget":
            class_name = _DESIGNER_CLASSES.get(element.get("class", ""), element.get("class", ""))
            _check_class(class_name, file_name)
            _check_properties(element, class_name, file_name, _OF_LABELS if class_name == "QLabel" else frozenset())
        elif element.tag == "layout":
            _check_properties(element, element.get("class", ""), file_name, _OF_LAYOUTS)
        elif element.tag == "spacer":
            _check_properties(element, "", file_name, _OF_SPACERS)
        elif element.tag in ("action", "actiongroup"):
            _check_properties(element, "QAction" if element.tag == "action" else "QActionGroup", file_name, frozenset())


def _check_class(class_name: str, file_name: str) -> None:
    if not facts.is_class(class_name):
        raise ValueError(f"{file_name}: there is no class {class_name} in Slicer; it would silently become the base that the file states")
    refusal = facts.class_refusal(class_name)
    if refusal:
        raise ValueError(f"{file_name}: {refusal}")
    entry = facts.entry(class_name)
    if entry["namespace"] != "qt" and not entry.get("ui", {}).get("designer_plugin"):
        raise ValueError(f"{file_name}: {class_name} has no Designer plug-in in Slicer, so a .ui file cannot create it")
    implementation(class_name)


def _check_properties(element: ElementTree.Element, class_name: str, file_name: str, extra: frozenset[str]) -> None:
    where = f"{file_name}: {class_name or 'spacer'} {element.get('name', '')!r}"
    for property_element in element.findall("property"):
        name = property_element.get("name", "")
        ui_values.check_enums(property_element, class_name, where)
        if name in extra or property_element.get("stdset") == "0":
            continue
        member = facts.find_member(class_name, name) if class_name else None
        if member is None or member.kind != "property":
            raise ValueError(f'{where} has no property {name}; the loader would silently make a dynamic one, which wants stdset="0"')
        if member.refusal:
            raise ValueError(f"{where}: {member.refusal}")
        if not member.writable:
            raise ValueError(f"{where}: the property {name} cannot be set")


def _take_stand_in_properties(root: ElementTree.Element) -> list[tuple[str, list[ElementTree.Element]]]:
    """Remove from the tree the properties of CTK's and Slicer's own classes, which PySide6 does not know, and return them by widget."""
    taken = []
    for element in root.iter("widget"):
        class_name = _DESIGNER_CLASSES.get(element.get("class", ""), element.get("class", ""))
        own = []
        for property_element in element.findall("property"):
            member = facts.find_member(class_name, property_element.get("name", ""))
            if member is not None and member.kind == "property" and facts.entry(member.owner)["namespace"] != "qt":
                own.append(property_element)
                element.remove(property_element)
        if own:
            taken.append((element.get("name", ""), own))
    return taken


def _named(top: QtCore.QObject, name: str) -> QtCore.QObject:
    found = top if top.objectName() == name else top.findChild(QtCore.QObject, name)
    if found is None:
        raise ValueError(f"the file names an object {name!r} that it does not make")
    return found


def _class_name(target: QtCore.QObject) -> str:
    return str(type(wrap(target)).qt_class_name)


def _connect(top: QtCore.QObject, connection: ElementTree.Element, file_name: str) -> None:
    sender, signal, receiver, slot = (connection.findtext(tag, "").strip() for tag in ("sender", "signal", "receiver", "slot"))
    where = f"{file_name}: connection {sender}.{signal} -> {receiver}.{slot}"
    source, target = wrap(_named(top, sender)), wrap(_named(top, receiver))
    if normalized_signal(slot) not in _connectable(type(target).qt_class_name):
        raise ValueError(f"{where}: {type(target).qt_class_name} has no slot {slot}")
    given, wanted = (split_at_commas(normalized_signal(text).partition("(")[2][:-1]) for text in (signal, slot))
    if given[: len(wanted)] != wanted:
        raise ValueError(f"{where}: the slot wants ({', '.join(wanted)}), the signal gives ({', '.join(given)})")
    try:
        source.connect(signal, target, slot)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _connectable(class_name: str) -> set[str]:
    """Signatures of the slots, invokables and signals of a class."""
    found = {normalized_signal(signature) for _, signature in facts.signals(class_name)}
    for owner in facts.ancestors(class_name):
        for key in ("slots", "invokables"):
            for name, overloads in facts.entry(owner).get(key, {}).items():
                found |= {f"{name}({','.join(ui_values.types_of(overload))})" for overload in overloads}
    return found
