"""PythonQt's manners on offscreen PySide6: modules ``qt`` and ``ctk``, proxies for all Qt objects. Imports PySide6 and facts.json.

What real Slicer lacks is refused; what it has and this host has not raises NotImplementedError. See README of the shared facts, section 1.
"""

from . import immortal
from .conversion import unwrap, wrap
from .keys import press_key, type_key
from .modules import install
from .proxy import Proxy, qt_class
from .slots import slot_errors

immortal.protect_singletons()

__all__ = ["Proxy", "install", "press_key", "qt_class", "slot_errors", "type_key", "unwrap", "wrap"]
