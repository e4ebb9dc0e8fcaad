"""Names that become folders and files of a configuration, and names in messages. Imports file_names and errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..errors import InputError
from ..file_names import is_reserved


def require_names(what: str, names: Sequence[str], taken: Sequence[str] = ()) -> None:
    """Raise InputError unless each name can name a folder on every system, and no two would share one.

    Args:
        what: of what they are names, for the message.
        names: to check.
        taken: names that have another use.
    """
    seen = {name.casefold(): f"'{name}' has another use" for name in taken}
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}", name) or is_reserved(name):
            raise InputError(
                f"'{name[:80]}' cannot name a {what}: use up to 60 letters, digits, '_' and '-', beginning with a letter or digit, and "
                "none of the names that Windows keeps for devices (CON, NUL, COM1)."
            )
        if name.casefold() in seen:
            raise InputError(f"A {what} cannot be called '{name}': {seen[name.casefold()]}. Choose another name.")
        seen[name.casefold()] = "the name is given twice"


def first_few(names: Iterable[str], most: int = 5) -> str:
    """Names for a message: the first of them, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
