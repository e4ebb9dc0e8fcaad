"""An object under review as text, for the tag of a segment. Imports review.journal, review.session and errors.

The text is base64 of zlib of JSON: a segment's tags stand in the header of a ``.seg.nrrd`` file, whose separators it must not hold.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib

from ..errors import InputError, PromptError
from .journal import JournaledObject
from .session import ReviewSession

TAG = "SAM2Annotate.Object"
_FORMAT = 1


def pack_object(stored: JournaledObject) -> str:
    """The object as text; `unpack_object` reads it back."""
    content = {"format": _FORMAT, "axis": stored.axis, "session": stored.session.to_json(), "about": stored.about}
    # Level 1: done after every decision, on the thread that draws.
    return base64.b64encode(zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 1)).decode()


def unpack_object(packed: str, name: str) -> JournaledObject:
    """Read back what `pack_object` wrote.

    Args:
        packed: the text.
        name: the segment's, for messages.

    Raises:
        InputError: if the text is damaged or of another version.
    """
    try:
        content = json.loads(zlib.decompress(base64.b64decode(packed, validate=True)))
        if content["format"] != _FORMAT:
            raise InputError(f"The review of '{name}' was stored by another version of SAM2Annotate (format {content['format']}).")
        axis, about = content["axis"], content["about"]
        if axis not in ("i", "j", "k") or not isinstance(about, dict):
            raise ValueError(f"axis {axis!r}, about {type(about).__name__}")
        return JournaledObject(axis, ReviewSession.from_json(content["session"]), about)
    except (binascii.Error, zlib.error, ValueError, KeyError, TypeError, PromptError) as exc:
        raise InputError(f"The stored review of the segment '{name}' is damaged ({exc}). The segment itself is untouched.") from exc
