"""The journal: the state of a review on disk after every decision, for after a crash. Imports review.session, geometry, atomic_files.

One small JSON file beside the user's work, replaced whole each time. It names the volume it belongs to by its grid and a hash of its
voxels, so that it is never offered for another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..atomic_files import write_text_atomically
from ..errors import GridMismatchError, InputError
from ..geometry import Volume
from .session import ReviewSession

_FORMAT = "sam2annotate-journal-2"
_SAMPLED_SLICES = 16


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


def volume_identity(volume: Volume) -> dict:
    """What tells one volume from another: grid, type, and a hash of up to 16 evenly spread slices, so that the cost stays small."""
    array = volume.array_kji
    digest = hashlib.sha256()
    for k in np.unique(np.linspace(0, array.shape[0] - 1, min(_SAMPLED_SLICES, array.shape[0])).astype(int)):
        digest.update(np.ascontiguousarray(array[k]).tobytes())
    matrix = np.round(volume.grid.ijk_to_ras, 4).tolist()
    return {"shape_kji": list(array.shape), "ijk_to_ras": matrix, "dtype": str(array.dtype), "sha256_of_slices": digest.hexdigest()}


def write_journal(path: str | Path, identity: dict, objects: Mapping[str, JournaledObject]) -> None:
    """Write the state of all objects on a volume.

    Args:
        path: the journal's file.
        identity: of the volume, see `volume_identity`.
        objects: by the object's name or id.

    Raises:
        OutputError: if it cannot be written; the last journal stands.
    """
    stored = {name: {"axis": one.axis, "about": one.about, "session": one.session.to_json()} for name, one in objects.items()}
    content = {"format": _FORMAT, "volume": identity, "objects": stored}
    write_text_atomically(path, json.dumps(content, separators=(",", ":")) + "\n")


def read_journal(path: str | Path, identity: dict) -> dict[str, JournaledObject]:
    """Read a journal back for the volume with this identity; returns the objects by name.

    Raises:
        InputError: if it cannot be read or is no journal.
        GridMismatchError: if it belongs to another volume.
        PromptError: if a session in it is damaged.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise InputError(f"The journal '{path}' cannot be read: {exc}.") from exc
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(f"'{path}' is no journal of this version of SAM2Annotate.")
    if content.get("volume") != identity:
        raise GridMismatchError(f"The journal '{path}' belongs to another volume, so it is not taken. Open the volume that it was made on.")
    try:
        stored = {name: (one["axis"], one["session"], one["about"]) for name, one in content["objects"].items()}
    except (AttributeError, KeyError, TypeError) as exc:
        raise InputError(f"The journal '{path}' is damaged: {exc!r}.") from exc
    return {name: JournaledObject(axis, ReviewSession.from_json(session), about) for name, (axis, session, about) in stored.items()}
