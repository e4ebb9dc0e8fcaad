"""A strict stand-in for 3D Slicer's Python side: real MRML and slice views from slicer-core, PySide6 behind PythonQt's manners.

`start()` is all that a test needs. What tests may use besides, by submodule: `scripted_module` (load, enter, leave, reload, unload a
module), `views_and_mouse` (pixels, mouse, screenshots), `segment_editing` (paint, erase), `util_functions` (messages shown, answers),
`pythonqt` (press_key).
"""

from .start import start

__all__ = ["start"]
