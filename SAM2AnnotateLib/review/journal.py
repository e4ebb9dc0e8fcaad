"""The journal: the state of a review on disk after every decision, for after a crash. Imports review.session, geometry, atomic_files.

One file beside the user's work. Its first line is the whole state as one JSON object, written whole or not at all. Each decision adds a
line with what it changed, so its cost does not grow with the number of slices; now and then the file is written whole again, and short.
Every line carries a checksum. The last one may be torn, by a crash or a full disk: it is passed over, and the decision in it with it. Any
other damage, and the journal is not believed at all.

It names the volume it belongs to by its grid and a hash of all of its voxels, so that it is never offered for another one.
"""

from __future__ import annotations

import hashlib
import json
import os
import weakref
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic_files import replaced_atomically
from ..errors import GridMismatchError, InputError, OutputError, PromptError
from ..geometry import Volume
from ..geometry.slicing import AXIS_NAMES
from ..json_input import Fields, parse_json
from .session import ReviewSession
from .stored_session import require_about, require_fits, require_session

_FORMAT = "sam2annotate-journal-3"
_EARLIER_FORMAT = "sam2annotate-journal-2"
_EARLIER_SAMPLED_SLICES = 16
# Appended lines may take as much as the first line, and at least this many bytes, before the file is written whole again.
_COMPACT_BEYOND = 1 << 20
_MOST_BYTES = 1 << 30
_FILES_KNOWN = 16


@dataclass(frozen=True)
class JournaledObject:
    """One object as the journal keeps it.

    Args:
        axis: that its slices are numbered along; see `SliceStack.along`.
        session: its review.
        about: what else the client keeps of it, as plain JSON.
    """

    axis: str
    session: ReviewSession
    about: dict = field(default_factory=dict)


@dataclass
class _File:
    """What this process knows of a journal that it wrote: its length and time, what of it is the first line, and which state it holds."""

    size: int
    modified_ns: int
    first_line: int
    identity: dict
    written: dict[str, weakref.ref[ReviewSession]]
    texts: dict[str, str]  # axis and about of each object
    marks: dict[str, tuple[int, dict]]  # version of each session, and its change mark


_known_files: dict[Path, _File] = {}


def volume_identity(volume: Volume) -> dict:
    """What tells one volume from another: grid, type, and a hash of every voxel. It takes about a second for 1 GB, so it is kept."""
    array = volume.array_kji
    digest = hashlib.blake2b(digest_size=16)
    for plane in array:  # one at a time, so that a turned array is not copied whole
        digest.update(np.ascontiguousarray(plane).data)
    return {**_grid_identity(volume), "blake2b_of_voxels": digest.hexdigest()}


def earlier_identity(volume: Volume) -> dict:
    """The identity in journals of earlier versions. It saw up to 16 evenly spread slices: another one may have been changed unnoticed."""
    array = volume.array_kji
    digest = hashlib.sha256()
    for k in np.unique(np.linspace(0, array.shape[0] - 1, min(_EARLIER_SAMPLED_SLICES, array.shape[0])).astype(int)):
        digest.update(np.ascontiguousarray(array[k]).tobytes())
    return {**_grid_identity(volume), "sha256_of_slices": digest.hexdigest()}


def _grid_identity(volume: Volume) -> dict:
    matrix = np.round(volume.grid.ijk_to_ras, 4).tolist()
    return {"shape_kji": list(volume.array_kji.shape), "ijk_to_ras": matrix, "dtype": str(volume.array_kji.dtype)}


def write_journal(path: str | Path, identity: dict, objects: Mapping[str, JournaledObject]) -> None:
    """Write the state of all objects on a volume: what has changed since this process wrote it last, or all of it.

    Args:
        path: the journal's file.
        identity: of the volume, see `volume_identity`.
        objects: by the object's name or id.

    Raises:
        OutputError: if it cannot be written; the last journal stands.
    """
    path = Path(path).absolute()
    known = _known_files.pop(path, None)  # comes back below, as the one that was used last
    if known is None or not _can_append(path, known, identity):
        known = _write_whole(path, identity, objects)
    elif change := _changes(known, objects):
        _append(path, known, change)
    known.written = {name: weakref.ref(one.session) for name, one in objects.items()}
    known.texts = {name: _beside(one) for name, one in objects.items()}
    known.marks = {name: (one.session.version, one.session.change_mark()) for name, one in objects.items()}
    _known_files[path] = known
    while len(_known_files) > _FILES_KNOWN:
        del _known_files[next(iter(_known_files))]


def read_journal(path: str | Path, identity: dict, earlier: dict | None = None) -> dict[str, JournaledObject]:
    """Read a journal back for the volume with this identity; returns the objects by name.

    Args:
        path: the journal's file.
        identity: of the volume, see `volume_identity`.
        earlier: of the same volume, see `earlier_identity`, to take journals of earlier versions too. They are told apart by a part of the
            voxels only.

    Raises:
        InputError: if it cannot be read, is damaged anywhere but at its torn end, or is no journal.
        GridMismatchError: if it belongs to another volume.
        PromptError: if a session in it is damaged.
    """
    content, changes = _read_lines(Path(path))
    if not isinstance(content, dict) or content.get("format") not in (_FORMAT, _EARLIER_FORMAT):
        raise InputError(f"'{path}' is no journal of this version of SAM2Annotate.")
    if content.get("volume") != (identity if content["format"] == _FORMAT else earlier):
        raise GridMismatchError(f"The journal '{path}' belongs to another volume, so it is not taken. Open the volume that it was made on.")
    stored = content.get("objects")
    if content["format"] == _FORMAT and content.get("check") != _check_of(stored):
        raise InputError(f"The journal '{path}' is damaged: its content does not fit its checksum. It is not taken.")
    try:
        objects = dict(Fields(stored, "its objects").values)
        for change in changes:
            _apply(objects, Fields(change, "a change").values)
        return {name: _object_of(one, identity) for name, one in objects.items()}
    except PromptError:
        raise
    except (InputError, KeyError, TypeError, AttributeError, ValueError) as exc:
        raise InputError(f"The journal '{path}' is damaged: {exc}") from exc


# -- writing ---------------------------------------------------------------------------------------------------------------------


def _can_append(path: Path, known: _File, identity: dict) -> bool:
    """Whether the file is as this process left it, and not too long."""
    try:
        now = path.stat()
    except OSError:
        return False
    same = (now.st_size, now.st_mtime_ns) == (known.size, known.modified_ns) and identity == known.identity
    return same and known.size - known.first_line <= max(_COMPACT_BEYOND, known.first_line)


def _write_whole(path: Path, identity: dict, objects: Mapping[str, JournaledObject]) -> _File:
    stored = {name: {"axis": one.axis, "about": one.about, "session": one.session.to_json()} for name, one in objects.items()}
    content = {"format": _FORMAT, "volume": identity, "objects": stored, "check": _check_of(stored)}
    line = _compact(content).encode() + b"\n"
    with replaced_atomically(path) as partial:
        partial.write_bytes(line)
    try:
        now = path.stat()
    except OSError as exc:
        raise OutputError(f"The journal '{path}' went away while it was written: {exc.strerror or exc}.") from exc
    return _File(now.st_size, now.st_mtime_ns, len(line), identity, {}, {}, {})


def _append(path: Path, known: _File, change: dict) -> None:
    text = _compact(change).encode()
    try:
        with open(path, "r+b") as file:
            file.seek(known.size)
            try:
                file.write(b"%08x %s\n" % (zlib.crc32(text), text))
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):  # what is left is a torn last line, which nobody believes
                    file.truncate(known.size)
                raise
            now = os.fstat(file.fileno())
    except OSError as exc:
        raise OutputError(f"Cannot write the journal '{path}': {exc.strerror or exc}. The last one stands.") from exc
    known.size, known.modified_ns = now.st_size, now.st_mtime_ns


def _changes(known: _File, objects: Mapping[str, JournaledObject]) -> dict:
    """What is other than in the file: by name of the object, nothing for one that is gone, the whole of a new one, or its changed part."""
    found: dict[str, Any] = {name: None for name in known.written if name not in objects}
    for name, one in objects.items():
        last = known.written.get(name)
        version, mark = known.marks.get(name, (-1, {}))
        positions = one.session.changed_since(mark) if last is not None and last() is one.session else None
        if positions is None:
            found[name] = {"axis": one.axis, "about": one.about, "session": one.session.to_json()}
        elif version != one.session.version or known.texts[name] != _beside(one):
            part = {"at": sorted(positions), "state": one.session.state_of(positions)}
            found[name] = {"axis": one.axis, "about": one.about, "part": part}
    return found


def _beside(one: JournaledObject) -> str:
    return _compact([one.axis, one.about])


def _compact(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"))


def _check_of(stored: Any) -> str:
    """Checksum of the objects, whatever the order and spaces of their JSON."""
    return f"{zlib.crc32(json.dumps(stored, separators=(',', ':'), sort_keys=True).encode()):08x}"


# -- reading ---------------------------------------------------------------------------------------------------------------------


def _read_lines(path: Path) -> tuple[Any, list[Any]]:
    """The first line's content, and that of every change."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"The journal '{path}' cannot be read: it is larger than any journal is.")
        content = path.read_bytes()
    except (OSError, ValueError) as exc:
        raise InputError(f"The journal '{path}' cannot be read: {getattr(exc, 'strerror', None) or exc}.") from exc
    what = f"the journal '{path}'"
    first, _, rest = content.partition(b"\n")
    try:
        whole = parse_json(first, what)
    except InputError:
        return parse_json(content, what), []  # a person or a program laid it out
    *lines, torn = rest.split(b"\n")
    changes = []
    for number, line in enumerate(lines):
        check, _, text = line.partition(b" ")
        if check != b"%08x" % zlib.crc32(text):
            if number == len(lines) - 1 and not torn:
                break  # the last line, torn where the disk had not written all of it
            raise InputError(f"The journal '{path}' is damaged in line {number + 2}. It is not taken.")
        changes.append(parse_json(text, what))
    return whole, changes


def _apply(objects: dict[str, Any], change: dict) -> None:
    """Carry a change out on the stored objects."""
    for name, one in change.items():
        if one is None:
            objects.pop(name, None)
        elif "part" not in one:
            objects[name] = one
        else:
            session = objects[name]["session"]
            positions, state = one["part"]["at"], one["part"]["state"]
            objects[name] = {"axis": one["axis"], "about": one["about"], "session": _merged(session, positions, state)}


def _merged(session: dict, positions: list[int], state: dict) -> dict:
    """A stored session with the state of some positions instead of its own."""
    gone = set(positions)
    merged = dict(session)
    for key, value in state.items():
        if isinstance(value, dict):  # by position
            kept = session.setdefault(key, {})
            for position in positions:
                kept.pop(str(position), None)
            kept.update(value)
            merged[key] = kept
        elif key == "old":  # positions
            merged[key] = sorted([position for position in session.get(key, []) if position not in gone] + value)
        else:
            merged[key] = value
    return merged


def _object_of(stored: Any, identity: dict) -> JournaledObject:
    fields = Fields(stored, "an object")
    axis, about, session = fields.text("axis"), fields.values["about"], fields.values["session"]
    if axis not in AXIS_NAMES:
        raise InputError(f"the axis is {axis[:20]!r}.")
    require_about(about)
    require_session(session)
    shape = identity.get("shape_kji")
    if shape is not None and axis in ("i", "j", "k"):
        require_fits(axis, tuple(session["frame_shape"]), session["extent"][1], tuple(shape))
    return JournaledObject(axis, ReviewSession.from_json(session), about)
