"""`slicer.util`: the wheel's own, except where it would open a window or read a .ui file. Imports slicer-core.

`slicer.util` of slicer-core is the application's file, and nearly all of it runs here as it is, on our `qt`, `ctk` and `slicer.app`. What
is replaced: message functions are recorded and answered as in testing mode unless a test says otherwise, and .ui files are read strictly.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass

import slicer
import slicer.util


@dataclass(frozen=True)
class ShownMessage:
    """A message that Slicer would have shown to the user."""

    function: str
    text: str


shown_messages: list[ShownMessage] = []
"""What was shown since the start of the test, oldest first."""

_answers: dict[str, object] = {}

# What each function returns in testing mode. The confirmations document True there, yet compare True with a button and return False.
_TESTING_ANSWERS = {
    "infoDisplay": None,
    "warningDisplay": None,
    "errorDisplay": None,
    "delayDisplay": None,
    "messageBox": 1024,  # qt.QMessageBox.Ok
    "confirmOkCancelDisplay": False,
    "confirmYesNoDisplay": False,
    "confirmRetryCloseDisplay": False,
}


def answer(function: str, value: object) -> None:
    """Let a message function of `slicer.util` return this value for the rest of the test."""
    if function not in _TESTING_ANSWERS:
        raise ValueError(f"{function!r} is no message function; there are {', '.join(_TESTING_ANSWERS)}")
    _answers[function] = value


def reset_messages() -> None:
    """Forget messages and answers, before each test."""
    shown_messages.clear()
    _answers.clear()


def install() -> None:
    """Replace the functions, once."""
    for name, testing_answer in _TESTING_ANSWERS.items():
        setattr(slicer.util, name, _recorded(getattr(slicer.util, name), testing_answer))
    slicer.util.loadUI = _load_ui


def _recorded(original, testing_answer):
    signature = inspect.signature(original)

    @functools.wraps(original)
    def shown(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        text = next(iter(bound.arguments.values()))
        if not isinstance(text, str):
            raise TypeError(f"slicer.util.{original.__name__} wants a str, got {type(text).__name__}")
        shown_messages.append(ShownMessage(original.__name__, text))
        return _answers.get(original.__name__, testing_answer)

    return shown


def _load_ui(path):
    """As slicer.util.loadUI, strictly."""
    from . import ui_files

    return ui_files.load_ui(str(path))
