"""Notice: a label that tells what happened, for as long as it is so. Imports qt and Words.

A notice ends by itself: each carries the condition that it lives with, so that nobody has to remember to take it away.
"""

from __future__ import annotations

from collections.abc import Callable

import qt

from .Words import BREAK, breakable

_LONGEST = 280  # letters, about five lines of a panel
_ERROR_ON_LIGHT, _ERROR_ON_DARK = "color: #c0392b; font-weight: bold;", "color: #ff8a80; font-weight: bold;"
_DARK_BELOW = 128  # of a lightness of 255


def plainText(label) -> str:
    """What a label says, without the places to break lines."""
    return label.text.replace(BREAK, "")


def showText(label, text: str, isError: bool = False) -> None:
    """Show a text that may be long in a label that wraps; it makes the label neither wider nor very high, and is whole in the tooltip."""
    shown = text if len(text) <= _LONGEST else text[: _LONGEST - 4].rsplit(" ", 1)[0] + " ..."
    shown = breakable(shown)
    if label.text != shown:
        label.text = shown
    if text and plainText(label) != text:
        label.toolTip = text
    style = _errorStyle(label) if isError else ""
    if label.styleSheet != style:
        label.styleSheet = style


class Notice:
    """What a label tells, and until when.

    Args:
        label: shows it.
        situation: gives what a notice (an error, if True) without a condition of its own is about: it ends when one of these is another
            one. None never is: what is gone may be just what the notice tells of.
    """

    def __init__(self, label, situation: Callable[[bool], tuple] = lambda _isError: ()):
        self._label, self._situation = label, situation
        self._holds: Callable[[], bool] | None = None
        self._told = self._isError = False
        self._about: tuple | None = None  # the situation, once it has settled

    @property
    def stands(self) -> bool:
        """Whether something was told that still holds."""
        if not self._told:
            return False
        if self._holds is not None:
            return self._holds()
        now = self._situation(self._isError)
        self._about = now if self._about is None else self._about
        return all(one is None or one == before for one, before in zip(now, self._about, strict=True))

    def tell(self, text: str, isError: bool = False, holds: Callable[[], bool] | None = None) -> None:
        """Show a text.

        Args:
            isError: whether to mark it as one.
            holds: says whether the text is still true; asked at each `settle`. Without it the text ends with the situation.
        """
        self._told, self._isError, self._holds, self._about = True, isError, holds, None
        showText(self._label, text, isError)

    def forget(self) -> None:
        """What was told has been read."""
        self._told = False

    def settle(self, otherwise: str) -> None:
        """Show another text if nothing that was told still holds. To be called whenever things may have changed."""
        if not self.stands:
            self._told = False
            showText(self._label, otherwise)


def _errorStyle(label) -> str:
    isDark = label.palette.color(qt.QPalette.Window).lightness() < _DARK_BELOW
    return _ERROR_ON_DARK if isDark else _ERROR_ON_LIGHT
