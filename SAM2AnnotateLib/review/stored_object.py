"""An object under review as text, for the tag of a segment. Imports review's journal and session, json_input and errors.

The text is base64 of zlib of JSON: a segment's tags stand in the header of a ``.seg.nrrd`` file, whose separators it must not hold.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib

from ..errors import InputError
from ..json_input import Fields, kind_of, parse_json
from .journal import JournaledObject
from .session import ReviewSession
from .stored_session import require_about

TAG = "SAM2Annotate.Object"
_FORMAT = 1
_MOST_BYTES = 1 << 27


class _AnotherVersionError(InputError):
    """Not damaged, but not to be read here."""


def pack_object(stored: JournaledObject) -> str:
    """The object as text; `unpack_object` reads it back."""
    about = json.dumps(stored.about, separators=(",", ":"))
    content = f'{{"format":{_FORMAT},"axis":"{stored.axis}","session":{stored.session.to_text()},"about":{about}}}'
    # Level 1: done after every decision, on the thread that draws.
    return base64.b64encode(zlib.compress(content.encode(), 1)).decode()


def unpack_object(packed: str, name: str) -> JournaledObject:
    """Read back what `pack_object` wrote.

    Args:
        packed: the text.
        name: the segment's, for messages.

    Raises:
        InputError: if the text is damaged or of another version.
    """
    try:
        content = Fields(parse_json(_inflated(packed), "its text"), "the stored object")
        version = content.values.get("format")
        if version != _FORMAT:
            raise _AnotherVersionError(f"The review of '{name}' was stored by another version of SAM2Annotate (format {kind_of(version)}).")
        axis, about = content.text("axis"), content.object("about").values
        if axis not in ("i", "j", "k"):
            raise InputError(f"the axis is {axis[:20]!r}.")
        require_about(about)
        return JournaledObject(axis, ReviewSession.from_json(content.object("session").values), about)
    except _AnotherVersionError:
        raise
    except (binascii.Error, zlib.error, ValueError, InputError) as exc:
        raise InputError(f"The stored review of the segment '{name}' is damaged ({exc}). The segment itself is untouched.") from exc


def _inflated(packed: str) -> bytes:
    """The text unpacked, up to a size that no review has: a few bytes can stand for any number of them."""
    unpacking = zlib.decompressobj()
    content = unpacking.decompress(base64.b64decode(packed, validate=True), _MOST_BYTES)
    if not unpacking.eof:
        raise InputError("it is cut off" if len(content) < _MOST_BYTES else "it unpacks to more than any review holds")
    return content
