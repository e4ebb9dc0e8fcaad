"""Why a request is refused: a status, and a sentence for the person. Imports errors."""

from __future__ import annotations

from ...errors import SAM2AnnotateError


class RefusedError(SAM2AnnotateError):
    """A request that is answered with a status and `{problem, remedy}`.

    Args:
        status: of HTTP.
        problem, remedy: for the person.
        retry_seconds: when to try again, where that helps.
    """

    def __init__(self, status: int, problem: str, remedy: str = "", retry_seconds: int | None = None):
        super().__init__(problem, remedy)
        self.status, self.retry_seconds = status, retry_seconds


def not_signed_in() -> RefusedError:
    """Nobody, or somebody whose time is over."""
    return RefusedError(401, "You are not signed in.", "Sign in and go on; nothing is lost.")


def not_allowed() -> RefusedError:
    """Somebody whose role does not suffice in a project that they are in."""
    return RefusedError(403, "This takes another role in the project.", "Ask the project's owner.")


def not_ours() -> RefusedError:
    """A request that another page made."""
    return RefusedError(403, "This request did not come from this page.", "Load the page again.")


def not_there() -> RefusedError:
    """The same whether there is no such thing, or it is somebody else's."""
    return RefusedError(404, "There is no such thing here for you.", "Go back to the list of your projects.")


def too_large(most_bytes: int) -> RefusedError:
    """A body beyond the limit."""
    return RefusedError(413, f"That is too much at once: at most {most_bytes >> 10} KB.")


def too_often(seconds: int) -> RefusedError:
    """Too many tries."""
    return RefusedError(429, "Too many tries.", f"Wait {seconds} seconds, then try again.", seconds)
