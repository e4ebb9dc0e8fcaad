"""A prototype as one run of bytes, to travel between processes. Imports case_files, errors.

A zip file, not compressed again, of the files that the library keeps of a case. It is checked like them; nothing is unpacked to disk.
"""

from __future__ import annotations

import io
import zipfile

from ..errors import InputError
from .case_files import contents_of, prototype_of
from .prototype import Prototype

_WHERE = "received"
_LARGEST_BYTES = 1 << 28
_MOST_FILES = 10_000


def prototype_to_bytes(prototype: Prototype) -> bytes:
    """Everything but what was learned; `prototype_from_bytes` reads it back. Equal prototypes give equal bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as packed:
        for name, content in contents_of(prototype).items():
            packed.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def prototype_from_bytes(data: bytes) -> Prototype:
    """Read back what `prototype_to_bytes` gave.

    Raises:
        InputError: in one line, if it is damaged or foreign.
    """
    if len(data) > _LARGEST_BYTES:
        raise InputError(f"The prototype has {len(data)} bytes, more than any has.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            entries = packed.infolist()
            stored = all(one.compress_type == zipfile.ZIP_STORED and not one.flag_bits & 1 for one in entries)
            if not stored or len(entries) > _MOST_FILES or sum(one.file_size for one in entries) > len(data):
                raise zipfile.BadZipFile("its files are not stored as ours are")
            files = {one.filename: packed.read(one) for one in entries}
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, RuntimeError) as exc:
        raise InputError(f"The prototype received is damaged or none of ours: {exc}.") from exc

    def content(name: str, most_bytes: int) -> bytes:
        if name not in files or len(files[name]) > most_bytes:
            raise InputError(f"The prototype received lacks its file '{name}', or that is larger than any is.")
        return files[name]

    return prototype_of(content, _WHERE)
