"""PySide6 classes behind Python subclasses of Qt classes: they pass virtual calls of C++ on to the proxy. Imports PySide6 and `slots`.

As in PythonQt, only subclasses of plain Qt classes have their overrides called; those of CTK's and Slicer's classes never are.
"""

from __future__ import annotations

import weakref
from functools import cache
from typing import Any

from . import slots
from .conversion import unwrap, wrap

# Virtual methods that a scripted module may override; all methods called ...Event are virtual too.
_OF_WIDGETS = {"sizeHint", "minimumSizeHint", "heightForWidth", "hasHeightForWidth", "focusNextPrevChild", "hitButton", "nextCheckState"}
_OF_DIALOGS = {"accept", "reject", "done", "showPopup", "hidePopup", "validate", "fixup", "stepBy", "textFromValue", "valueFromText"}
_OF_DELEGATES = {
    "paint",
    "createEditor",
    "setEditorData",
    "setModelData",
    "updateEditorGeometry",
    "editorEvent",
    "displayText",
    "initStyleOption",
}
_OF_MODELS = {"rowCount", "columnCount", "data", "setData", "headerData", "flags", "index", "parent", "filterAcceptsRow", "lessThan"}
_OF_LAYOUTS = {"addItem", "count", "itemAt", "takeAt", "setGeometry"}
_VIRTUAL = frozenset({"event", "eventFilter"} | _OF_WIDGETS | _OF_DIALOGS | _OF_DELEGATES | _OF_MODELS | _OF_LAYOUTS)
_MUST_BE_BOOL = frozenset(
    {"event", "eventFilter", "hasHeightForWidth", "editorEvent", "hitButton", "focusNextPrevChild", "filterAcceptsRow", "lessThan"}
)


@cache
def shell_class(base: type, overridden: frozenset[str]) -> type:
    """A subclass of a PySide6 class whose overridden virtual methods are those of the proxy that it was made for.

    Args:
        base: the PySide6 class, or a stand-in.
        overridden: names of methods that the Python subclass has; those that are not virtual in C++ are left alone.
    """
    body: dict[str, Any] = {"__init__": _shell_init(base), "__module__": __name__}
    for name in overridden:
        if (name.endswith("Event") or name in _VIRTUAL) and hasattr(base, name):
            body[name] = _override(base, name)
    return type(f"{base.__name__}Shell", (base,), body)


def _shell_init(base: type) -> Any:
    def __init__(self: Any, proxy: Any, *arguments: Any) -> None:  # noqa: N807
        self.proxy_reference = weakref.ref(proxy)
        self.kept_proxy = None
        base.__init__(self, *arguments)

    return __init__


def _override(base: type, name: str) -> Any:
    base_method = getattr(base, name)

    def override(self: Any, *arguments: Any) -> Any:
        proxy = self.proxy_reference()
        if getattr(proxy, "_qt", None) is not self:  # the proxy is gone, or not yet made
            return base_method(self, *arguments)
        try:
            result = getattr(proxy, name)(*[wrap(argument) for argument in arguments])
            if name in _MUST_BE_BOOL and not isinstance(result, bool):
                raise TypeError(f"{type(proxy).__name__}.{name} must return True or False, it returned {result!r}")
        except Exception as error:  # noqa: BLE001 - C++ called this and takes no exception; the tests see it in slot_errors
            slots.remember(error, f"{type(proxy).__name__}.{name}")
            return base_method(self, *arguments)
        return unwrap(result)

    override.__name__ = name
    return override
