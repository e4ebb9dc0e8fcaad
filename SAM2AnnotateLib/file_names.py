"""Names that come from files or people and are to name files: they stay in their folder, on every system. Imports errors.

Whoever joins a name that stood in a file to a folder asks here first. A plain name is one part of a path and means the same on Linux, macOS
and Windows; so a data set that was made here can be copied there.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from .errors import InputError

_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])[ .]*", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\ud800-\udfff]')
_LONGEST_BYTES = 255


def is_reserved(name: str) -> bool:
    """Whether Windows keeps a name for a device, whatever ending follows: ``CON``, ``nul.txt``, ``COM1.nii.gz``."""
    return _RESERVED.fullmatch(name.partition(".")[0]) is not None


def is_plain_name(name: object) -> bool:
    """Whether something is the name of a file or folder and no path, and can be one on every system."""
    return (
        isinstance(name, str)
        and name.strip(". ") != ""
        and name[-1] not in ". "
        and name[0] != " "
        and _FORBIDDEN.search(name) is None
        and not is_reserved(name)
        and len(name.encode()) <= _LONGEST_BYTES
    )


def require_plain_name(name: object, what: str) -> str:
    """The name, if it is plain.

    Args:
        name: anything that a file states.
        what: it is, for the message: "the case".

    Raises:
        InputError: if it is not.
    """
    if not is_plain_name(name):
        shown = repr(name if isinstance(name, str) else type(name).__name__)[:80]
        raise InputError(
            f"{what[:1].upper()}{what[1:]} {shown} cannot name a file: expected a plain name without '/', '\\', ':', '*', '?', quotes or "
            "control characters, not one that Windows keeps for a device (CON, NUL, COM1), and no '.' or space at its end."
        )
    return str(name)


def inside(folder: Path, name: object, what: str) -> Path:
    """The path of a file in a folder by a relative name with ``/``, if it lies there: no ``..``, no absolute name, no link that leads out.

    Args:
        folder: that the name counts from; it need not exist.
        name: ``imagesTr/p01_0000.nii.gz``, as a file states it.
        what: names it, for the message.

    Raises:
        InputError: if it would lead out of the folder, or a part of it cannot name a file.
    """
    if not isinstance(name, str) or not name or any(not is_plain_name(part) for part in name.split("/")):
        raise InputError(
            f"{what[:1].upper()}{what[1:]} names the file {str(name)[:120]!r}, which may lead out of '{folder}' or is no name on every "
            "system. Nothing was read or changed there. If you do not know where that file comes from, do not use it."
        )
    path = folder / PurePosixPath(name)
    home, parent = folder.resolve(), path.parent.resolve()
    if parent != home and home not in parent.parents:
        raise InputError(
            f"{what[:1].upper()}{what[1:]} names '{name}', but a link in '{folder}' leads out of that folder, to '{parent}'. "
            "Nothing was changed there. Put the folder itself in the link's place."
        )
    return path
