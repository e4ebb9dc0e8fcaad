"""What a command says to a program instead of a person: one JSON object a line on standard output. Imports: stdlib, errors, progress.

``{"type": "progress", "done": 5, "total": 9, "what": "..."}`` while it works, with ``total`` null if not known; at the end one line of
another type with the command's result. An error goes to standard error as always, in one line, and the exit code is 2; besides it is told
as ``{"type": "failed", "error": "MissingPackageError", "problem": "...", "remedy": "..."}``, see `SAM2AnnotateError`. Standard input is to
stay open: its end tells that the program which asked is gone, and cancels the command. A kill alone may only reach a launcher.
"""

from __future__ import annotations

import json
import os
import sys
import threading

from ..errors import SAM2AnnotateError
from ..progress import CancelToken, Progress


def say(kind: str, **content: object) -> None:
    """Print one line and flush it."""
    print(json.dumps({"type": kind, **content}), flush=True)


def say_progress(progress: Progress) -> None:
    """Print where the work is."""
    say("progress", done=progress.done, total=progress.total, what=progress.what)


def say_failed(error: SAM2AnnotateError) -> None:
    """Print what went wrong, with what is to be done in a terminal apart from it."""
    say("failed", error=type(error).__name__, problem=error.problem, remedy=error.remedy)


def cancelled_with_input() -> CancelToken:
    """A token that is cancelled when standard input ends."""
    token = CancelToken()

    def watch() -> None:
        try:
            while os.read(sys.stdin.fileno(), 4096):  # not sys.stdin's own read: its lock would be held when the command ends
                pass
        except (OSError, ValueError):  # no standard input that could be watched
            return
        token.cancel()

    threading.Thread(target=watch, daemon=True).start()
    return token
