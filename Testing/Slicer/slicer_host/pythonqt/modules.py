"""The modules ``qt`` and ``ctk`` as scripts import them. Imports the proxies and the facts."""

from __future__ import annotations

import importlib
import logging
import sys
from types import ModuleType
from typing import Any

from .. import facts
from .proxy import qt_class

_EXTRA = {
    "qVersion": lambda: facts.load()["sources"]["Qt meta objects"],
    "qDebug": logging.debug,
    "qWarning": logging.warning,
    "qCritical": logging.critical,
    "SIGNAL": lambda signature: f"2{signature}",
    "SLOT": lambda signature: f"1{signature}",
}


class QtModule(ModuleType):
    """A module whose attributes are the classes that the facts place there."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if facts.is_class(name) and facts.entry(name)["namespace"] == self.__name__ and "." not in name:
            refusal = facts.class_refusal(name)
            if refusal:
                raise AttributeError(f"{refusal}; the module must run with all of them")
            found = qt_class(name)
        elif self.__name__ == "qt" and name in facts.load()["qt_extra"]:
            if name not in _EXTRA:
                raise NotImplementedError(f"Slicer has qt.{name}, this test host has not")
            found = _EXTRA[name]
        else:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} in Slicer")
        setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return sorted(name for name, entry in facts.load()["classes"].items() if entry["namespace"] == self.__name__)


def install() -> None:
    """Put ``qt`` and ``ctk`` among the imported modules, in place of any that are there, and register CTK's stand-ins."""
    importlib.import_module("slicer_host.ctk.ctk_widgets")
    for name in ("qt", "ctk"):
        if not isinstance(sys.modules.get(name), QtModule):
            sys.modules[name] = QtModule(name, f"{name} as PythonQt has it, on PySide6")
