"""Messages: what the panel tells the user, and what becomes of a step that fails. Imports slicer, Notice and the library's errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import slicer
from slicer.i18n import tr as _

from SAM2AnnotateLib.errors import PromptError, SAM2AnnotateError

from ..Notice import Notice
from ..Scene.OneRendering import oneRendering
from ..Told import told
from ..Words import sentence

_STATUS_BAR_MILLISECONDS = 10000


class Messages:
    """Shows messages. Each ends when the user does the next thing, or when what it tells of is over.

    Args:
        label: of the panel.
        dialogs: whether failures of what the user did are shown in a dialog too.
        situation: gives what the panel is about, see `Notice`.
    """

    def __init__(self, label, dialogs: bool, situation: Callable[[bool], tuple]):
        self._notice, self._dialogs = Notice(label, situation), dialogs
        self._waiting: list[str] | None = None  # dialogs, while none may be opened

    def forget(self) -> None:
        """The user does the next thing: the last message has been read."""
        self._notice.forget()

    def hint(self, text: str) -> None:
        """Show what to do next, unless a message stands there that still holds."""
        self._notice.settle(text)

    def say(self, text: str, error: bool = False, holds: Callable[[], bool] | None = None) -> None:
        """Show a message in the panel and in Slicer's status bar, which is seen wherever the panel is scrolled to.

        Args:
            error: whether to mark it as one.
            holds: says whether it is still true. Without it the message ends with the situation.
        """
        self._notice.tell(text, error, holds)
        if slicer.util.mainWindow() is not None:
            slicer.util.showStatusMessage(text, _STATUS_BAR_MILLISECONDS)

    @contextmanager
    def dialogsLater(self) -> Iterator[None]:
        """Open the dialogs of failed steps only after this block."""
        outer, self._waiting = self._waiting, []
        try:
            yield
        finally:
            waiting, self._waiting = self._waiting, outer
            for text in waiting:
                self._openDialog(text)

    def _openDialog(self, text: str) -> None:
        if self._waiting is None:
            slicer.util.errorDisplay(text)
        else:
            self._waiting.append(text)

    def attempt(self, step: Callable, *arguments, clicked: bool = False, asks: bool = False):
        """Call a step; what goes wrong is shown, and returned as False. The views are rendered once, after it.

        Args:
            clicked: whether the user just asked for it: then a failure that is no slip of theirs is shown in a dialog too.
            asks: whether the step may open a dialog, while which the views go on being rendered.

        Returns:
            What the step returned; True for None.
        """
        try:
            with nullcontext() if asks else oneRendering():
                result = step(*arguments)
        except SAM2AnnotateError as error:
            self.say(told(error), error=True)
            if clicked and self._dialogs and not isinstance(error, PromptError):
                self._openDialog(told(error))
            return False
        except Exception as error:  # not foreseen: Slicer would only print it, and the user would see nothing happen
            logging.exception("SAM2Annotate: a step failed")
            self.say(_("Unexpected error: {error} Slicer's log has the details.").format(error=sentence(str(error))), error=True)
            raise
        return True if result is None else result
